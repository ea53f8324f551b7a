"""CNN-HAR: convolutions along time, one layer that joins the channels, a classifier."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

__all__ = ["CnnHar"]

_MAPS = (50, 40, 20)
_UNITED = 400
_REACH, _ALPHA, _BETA = 2, 1e-4 / 5, 0.75


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
        picture = x.transpose(1, 2).unsqueeze(1).contiguous(memory_format=torch.channels_last)  # maps lie side by side
        maps = self.convolutions(picture)  # (B, 400, T', 1)
        logits: Tensor = self.classify(maps.amax((2, 3)))
        return logits


class _AcrossMaps(nn.Module):
    """``torch.nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1)`` of (B, D, T, C)."""

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = _AcrossMapsGradient.apply(x)  # type: ignore[no-untyped-call]
        return y


class _AcrossMapsGradient(torch.autograd.Function):
    """``y_i = x_i s_i^-b, s_i = 1 + a sum_j x_j^2`` over the maps j near i, with its gradient written out.

    The gradient is ``g_j s_j^-b - 2 a b x_j sum_i g_i x_i s_i^(-b-1)`` over the maps i near j. On a CPU the
    layer is bound by memory, and automatic differentiation reads and writes each map several times more often.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        scale = _sum_near(x.square()).mul_(_ALPHA).add_(1)
        shrink = (scale * scale.sqrt()).rsqrt()  # scale ** -_BETA, in a quarter of its time
        ctx.save_for_backward(x, scale, shrink)
        return x * shrink

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        x, scale, shrink = ctx.saved_tensors
        direct = gradient * shrink
        return torch.addcmul(direct, x, _sum_near(direct * x / scale), value=-2 * _ALPHA * _BETA)


def _sum_near(x: Tensor) -> Tensor:
    """Add to each map of (B, D, T, C) the two maps on either side."""
    padded = nn.functional.pad(x, (0, 0, 0, 0, _REACH, _REACH))
    near = padded[:, : x.shape[1]] + padded[:, 1 : x.shape[1] + 1]
    for k in range(2, 2 * _REACH + 1):
        near += padded[:, k : k + x.shape[1]]
    return near
