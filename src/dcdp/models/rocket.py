"""Describe the shape of a branch's waveforms by fixed random convolutions (MiniRocket's), inside the network."""

from __future__ import annotations

from itertools import combinations

import torch
from torch import Tensor, nn

__all__ = ["RocketFeatures"]

_LENGTH = 9
_N_TWOS = 3
_GOLDEN = (5**0.5 - 1) / 2
_MOST_DILATIONS = 5
_FITTED_ON = 1024
_STEEP = 1e6


class RocketFeatures(nn.Module):
    """For each kernel the share of time in which its response exceeds a threshold (PPV).

    The 84 kernels of MiniRocket have nine weights, three of them 2 and six -1, at dilations from 1 to a quarter of
    the window. Each kernel at each dilation reads a random non-empty subset of the branch's channels; thresholds are quantiles
    of its response on training windows. Weights sum to 0: neither an offset nor a slow drift moves a feature.

    Parameters
    ----------
    n_channels, n_samples
        C and T of the input.
    n_thresholds
        Features of each kernel at each dilation.
    seed
        Of the channels that each kernel reads.

    References
    ----------
    Dempster, Schmidt, Webb (2021). MiniRocket. KDD, arXiv 2012.08791.
    """

    weight: Tensor
    reads: Tensor
    threshold: Tensor

    def __init__(self, n_channels: int, n_samples: int, n_thresholds: int = 2, seed: int = 0) -> None:
        super().__init__()
        self.dilations = _dilations(n_samples)
        kernels = _kernels()  # (84, 9)
        generator = torch.Generator().manual_seed(seed)
        reads = _subsets(len(self.dilations) * len(kernels), n_channels, generator)
        reads = reads.view(len(self.dilations), len(kernels), n_channels)
        self.register_buffer("weight", kernels[None, :, None] * reads.unsqueeze(-1))  # (L, 84, C, 9)
        self.register_buffer("reads", reads.flatten(0, 1))
        self.register_buffer("threshold", torch.zeros(len(self.dilations), len(kernels), n_thresholds))
        self.n_features = self.threshold.numel()

    @torch.no_grad()
    def fit(self, x: Tensor) -> None:
        """Take thresholds from the responses on standardised training windows ``x`` (N, C, T), N >= 1."""
        x = x[:: max(1, len(x) // _FITTED_ON)]
        n_levels = self.threshold.shape[-1] * self.threshold.shape[1]
        level = (torch.arange(1, n_levels + 1) * _GOLDEN % 1).view(self.threshold.shape[1:]).to(x.device)
        for i in range(len(self.dilations)):
            ordered = self._response(x, i).transpose(0, 1).flatten(1).sort(1).values  # (84, N * T)
            place = (level * (ordered.shape[1] - 1)).long()
            self.threshold[i] = ordered.gather(1, place)

    def seen(self, keep: Tensor) -> Tensor:
        """Return 1 for every feature (B, F) whose channels are all kept, else 0, of channels kept (B, C), 1 or 0."""
        hidden = (1 - keep) @ self.reads.T.to(keep.dtype)
        return (hidden == 0).to(keep.dtype).repeat_interleave(self.threshold.shape[-1], 1)

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """Return (B, F) shares in [0, 1] of standardised windows ``x`` (B, C, T)."""
        features = []
        for i in range(len(self.dilations)):
            response = self._response(x, i)
            over = [((response - t.unsqueeze(-1)) * _STEEP).clamp(0, 1).mean(-1) for t in self.threshold[i].unbind(-1)]
            features.append(torch.stack(over, -1).flatten(1))
        return torch.cat(features, 1)

    def _response(self, x: Tensor, i: int) -> Tensor:
        """Return (B, 84, T); a product with shifted copies, many times faster on a CPU than a dilated convolution."""
        dilation, n = self.dilations[i], x.shape[-1]
        padded = nn.functional.pad(x, (dilation * (_LENGTH // 2),) * 2)
        shifted = torch.stack([padded[..., k * dilation : k * dilation + n] for k in range(_LENGTH)], 2)
        return self.weight[i].flatten(1) @ shifted.flatten(1, 2)


def _kernels() -> Tensor:
    kernels = torch.full((84, _LENGTH), -1.0)
    for row, places in zip(kernels, combinations(range(_LENGTH), _N_TWOS), strict=True):
        row[list(places)] = 2.0
    return kernels


def _dilations(n_samples: int) -> tuple[int, ...]:
    most = max((n_samples - 1) / (_LENGTH - 1), 1)
    spread = torch.logspace(0, torch.log2(torch.tensor(most)).item(), _MOST_DILATIONS, base=2.0)
    return tuple(sorted({int(d) for d in spread.tolist()}))


def _subsets(n: int, n_channels: int, generator: torch.Generator) -> Tensor:
    """Return (n, C) of 0 and 1, each row 1 to 3 channels."""
    out = torch.zeros(n, n_channels)
    for row in out:
        size = int(torch.randint(1, min(n_channels, 3) + 1, (), generator=generator))
        row[torch.randperm(n_channels, generator=generator)[:size]] = 1
    return out
