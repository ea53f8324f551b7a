"""CNN-HAR: convolutions along time, one layer that joins the channels, a classifier."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["CnnHar"]

_MAPS = (50, 40, 20)
_UNITED = 400
_REACH, _ALPHA = 2, 1e-4


class CnnHar(nn.Module):
    """Three convolutions of 50, 40 and 20 maps shared by all channels, then 400 maps over all channels.

    Parameters
    ----------
    n_channels, n_samples
        C and T >= 32.
    n_classes
        K.

    References
    ----------
    Yang, Nguyen, San, Li, Krishnaswamy (2015). Deep Convolutional Neural Networks on Multichannel Time Series for
    Human Activity Recognition. IJCAI, figure 1: kernels of 5, 5 and 3 samples, two poolings.

    Notes
    -----
    - The paper's windows have 30 samples, of which one is left behind the third convolution. Of longer windows the
      largest activation over time is taken there.
    - Pooling takes 4 samples at a hop of 2, and normalisation across maps stands behind every activation, as in the
      authors' own programme; the figure leaves both open.
    - The paper slides windows by 3 samples and smooths predictions over neighbours; here windows and scores are those
      of every other method.
    """

    def __init__(self, n_channels: int, n_samples: int, n_classes: int) -> None:  # noqa: ARG002 - any length will do
        super().__init__()
        first, second, third = _MAPS
        self.convolutions = nn.Sequential(
            nn.Conv2d(1, first, (5, 1)), nn.ReLU(), nn.MaxPool2d((4, 1), (2, 1)), _AcrossMaps(),
            nn.Conv2d(first, second, (5, 1)), nn.ReLU(), nn.MaxPool2d((4, 1), (2, 1)), _AcrossMaps(),
            nn.Conv2d(second, third, (3, 1)), nn.ReLU(), _AcrossMaps(),
            nn.Conv2d(third, _UNITED, (1, n_channels)), nn.ReLU(), _AcrossMaps(),
        )  # fmt: skip
        self.classify = nn.Linear(_UNITED, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, K) of windows (B, C, T)."""
        maps = self.convolutions(x.transpose(1, 2).unsqueeze(1))  # (B, 400, T', 1)
        logits: Tensor = self.classify(maps.amax((2, 3)))
        return logits


class _AcrossMaps(nn.Module):
    """``torch.nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1)`` of (B, D, T, C), in half its time."""

    def forward(self, x: Tensor) -> Tensor:
        squares = nn.functional.pad(x.square(), (0, 0, 0, 0, _REACH, _REACH))
        near = squares[:, : x.shape[1]]
        for k in range(1, 2 * _REACH + 1):
            near = near + squares[:, k : k + x.shape[1]]
        root = torch.sqrt(1 + near * (_ALPHA / (2 * _REACH + 1)))
        return x / (root * torch.sqrt(root))
