"""Turn a standardised waveform into K stages of features, along a residual or a dense path."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["DenseEncoder", "ResidualEncoder", "make_encoder"]


_GROUP_WIDTH = 8


def _norm(n: int) -> nn.Module:
    """Normalise within a window, so that no window depends on which others share its batch."""
    return nn.GroupNorm(max(1, n // _GROUP_WIDTH), n)


def _halve(h: Tensor) -> Tensor:
    """Mean of neighbours in time (an odd last sample is left out); several times faster than pooling on a CPU."""
    even = h.shape[-1] // 2 * 2
    return (h[..., 0:even:2] + h[..., 1:even:2]) * 0.5


class _ConvUnit(nn.Sequential):
    """Convolution, normalisation, GELU: the unit both paths are made of."""

    def __init__(self, n_in: int, n_out: int, kernel: int, stride: int = 1) -> None:
        super().__init__(
            nn.Conv1d(n_in, n_out, kernel, stride=stride, padding=kernel // 2, bias=False),
            _norm(n_out),
            nn.GELU(),
        )


class _ResidualStage(nn.Module):
    """``h_k = h_{k-1} + F_k(h_{k-1})`` with F_k two convolutions; the width changes before the sum."""

    def __init__(self, n_in: int, n_out: int, kernel: int) -> None:
        super().__init__()
        self.change = nn.Conv1d(n_in, n_out, 1, bias=False) if n_in != n_out else nn.Identity()
        self.unit = _ConvUnit(n_out, n_out, kernel)
        self.close = nn.Sequential(nn.Conv1d(n_out, n_out, kernel, padding=kernel // 2, bias=False), _norm(n_out))

    def forward(self, h: Tensor) -> Tensor:
        h = self.change(h)
        return nn.functional.gelu(h + self.close(self.unit(h)))


class _DenseStage(nn.Module):
    """``h_k = H_k([h_0, ..., h_{k-1}])``: each unit reads all earlier ones; a 1x1 convolution sets the width."""

    def __init__(self, n_in: int, n_out: int, kernel: int, n_units: int = 2) -> None:
        super().__init__()
        growth = max(n_out // 2, 4)
        self.units = nn.ModuleList(_ConvUnit(n_in + i * growth, growth, kernel) for i in range(n_units))
        self.transition = _ConvUnit(n_in + n_units * growth, n_out, 1)

    def forward(self, h: Tensor) -> Tensor:
        for unit in self.units:
            h = torch.cat([h, unit(h)], 1)
        out: Tensor = self.transition(h)
        return out


class _StagedEncoder(nn.Module):
    """Stem, then K stages with the time axis halved between them."""

    def __init__(self, stages: Sequence[nn.Module], n_channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.stem = _ConvUnit(n_channels, width, 2 * stride + 3, stride)
        self.stages = nn.ModuleList(stages)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return K features (B, D_k, T_k) of ``x`` (B, C, T)."""
        features, h = [], self.stem(x)
        for k, stage in enumerate(self.stages):
            if k and h.shape[-1] > 1:
                h = _halve(h)
            h = stage(h)
            features.append(h)
        return features


class ResidualEncoder(_StagedEncoder):
    """Residual path: for strongly periodic, stable motion (accelerometer).

    Parameters
    ----------
    n_channels
        C, input channels.
    widths
        D_1..D_K, channels after each stage.
    kernel
        Odd kernel length [samples at the stage's rate].
    stride
        Stride of the stem, which brings every sensor near one rate.

    References
    ----------
    Ji et al. (2025), arXiv 2507.02826: the residual path. Widths, kernels and K are ours.
    """

    def __init__(self, n_channels: int, widths: Sequence[int], kernel: int, stride: int) -> None:
        ins = (widths[0], *widths[:-1])
        super().__init__(
            [_ResidualStage(i, o, kernel) for i, o in zip(ins, widths, strict=True)], n_channels, widths[0], stride
        )


class DenseEncoder(_StagedEncoder):
    """Dense path: for finer, less regular signals. Parameters as in `ResidualEncoder`."""

    def __init__(self, n_channels: int, widths: Sequence[int], kernel: int, stride: int) -> None:
        ins = (widths[0], *widths[:-1])
        super().__init__(
            [_DenseStage(i, o, kernel) for i, o in zip(ins, widths, strict=True)], n_channels, widths[0], stride
        )


def make_encoder(kind: str, n_channels: int, widths: Sequence[int], kernel: int, stride: int) -> _StagedEncoder:
    """Return the encoder of a branch by its kind, ``residual`` or ``dense``."""
    return {"residual": ResidualEncoder, "dense": DenseEncoder}[kind](n_channels, widths, kernel, stride)
