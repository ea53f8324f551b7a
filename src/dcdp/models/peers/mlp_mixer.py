"""MLP-Mixer for activity recognition: patches of the channel-by-time picture, mixed by small perceptrons."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

__all__ = ["MlpMixer"]

_PATCH, _WIDTH, _TOKEN_UNITS, _CHANNEL_UNITS, _N_BLOCKS = 4, 128, 64, 256, 8


class MlpMixer(nn.Module):
    """Three pictures made of one, patches of 4 channels by 4 samples, eight blocks that mix patches, then features.

    Parameters
    ----------
    n_channels, n_samples
        C and T; the picture is filled up with zeros to whole patches.
    n_classes
        K.

    References
    ----------
    Ojiako, Farrahi (2023). MLPs Are All You Need for Human Activity Recognition. Applied Sciences 13(20), 11154;
    after Tolstikhin et al. (2021). MLP-Mixer: An all-MLP Architecture for Vision. NeurIPS.

    Notes
    -----
    - Here patches are 4 x 4, with 128 features, 64 units across patches, 256 across features and 8 blocks for all sets,
      the defaults of the public collection ``whar_models``. The authors' programme (MLPMixerHAR) has 8 x 8, 512, 256,
      2048 and 10, and other patches for each of their sets: some thirty times as many weights.
    - The convolution that makes three pictures of the one has 15 x 15 weights, as in the authors' programme. That
      puts one zero around the pictures and drops what is no whole patch; here they are filled up.
    - Nothing comes from training on photographs.
    """

    def __init__(self, n_channels: int, n_samples: int, n_classes: int) -> None:
        super().__init__()
        lacking = -n_samples % _PATCH, -n_channels % _PATCH
        self.fill_up = nn.ZeroPad2d((0, lacking[0], 0, lacking[1]))
        n_patches = (n_samples + lacking[0]) * (n_channels + lacking[1]) // _PATCH**2
        self.picture = nn.Conv2d(1, 3, 15, padding=7)
        self.cut = nn.Conv2d(3, _WIDTH, _PATCH, _PATCH)
        self.blocks = nn.Sequential(*(_Block(n_patches) for _ in range(_N_BLOCKS)))
        self.norm = nn.LayerNorm(_WIDTH)
        self.classify = nn.Linear(_WIDTH, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, K) of windows (B, C, T)."""
        patches = self.cut(self.fill_up(self.picture(x.unsqueeze(1)))).flatten(2).transpose(1, 2)  # (B, P, 128)
        logits: Tensor = self.classify(self.norm(self.blocks(patches)).mean(1))
        return logits


class _Block(nn.Module):
    """Mix each feature across the P patches, then each patch across its features."""

    def __init__(self, n_patches: int) -> None:
        super().__init__()
        self.before_patches, self.before_features = nn.LayerNorm(_WIDTH), nn.LayerNorm(_WIDTH)
        self.across_patches = _perceptron(n_patches, _TOKEN_UNITS)
        self.across_features = _perceptron(_WIDTH, _CHANNEL_UNITS)

    def forward(self, x: Tensor) -> Tensor:
        narrow, bend, widen = cast("tuple[nn.Linear, nn.GELU, nn.Linear]", tuple(self.across_patches))
        units = bend(_across_rows(narrow, self.before_patches(x), narrow.bias[:, None]))
        x = _across_rows(widen, units, x + widen.bias[:, None])
        out: Tensor = x + self.across_features(self.before_features(x))
        return out


def _across_rows(layer: nn.Linear, x: Tensor, plus: Tensor) -> Tensor:
    """Return ``plus + W x``, the weights of a linear layer across the rows of (B, P, D).

    The layer itself works across columns: turning its input and output round costs a CPU a fifth of a training step.
    """
    return torch.baddbmm(plus, layer.weight.expand(len(x), -1, -1), x)


def _perceptron(width: int, units: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, units), nn.GELU(), nn.Linear(units, width))
