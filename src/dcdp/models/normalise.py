"""Bring channels and statistics to a common scale, by constants fitted on training subjects and kept in the network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["N_RAMPS", "ChannelNormaliser", "QuantileNormaliser", "normalise_within"]

N_RAMPS = 8
"""Coarse ramps per feature: a feature seen through them can be cut at thresholds, as a tree cuts it."""
_PER_RAMP = 2
_N_KNOTS = N_RAMPS * _PER_RAMP + 1
_TAIL = 0.002
_FLOOR = 0.003
"""Share of the training windows' deviation below which a window counts as still."""
_LARGEST = 5.0


class ChannelNormaliser(nn.Module):
    """Standardise each channel: ``(x - mean) / std``, clipped to +-10 so that a spike stays a spike.

    Notes
    -----
    A channel that is constant on the training subjects gets ``std = 1``: it stays 0. NaN (an absent signal) becomes 0,
    the mean of the training subjects.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_channels, 1))
        self.register_buffer("std", torch.ones(n_channels, 1))

    def fit(self, x: Tensor) -> None:
        """Fit on training windows ``x`` (N, C, T), N >= 1; NaN counts nothing."""
        flat = x.transpose(0, 1).flatten(1).double()
        mean = flat.nanmean(1, keepdim=True)
        std = (flat - mean).square().nanmean(1, keepdim=True).sqrt()
        self.mean.copy_(mean.nan_to_num(nan=0.0))  # a channel that nobody has
        self.std.copy_(torch.where(std > 1e-6, std, torch.ones_like(std)))

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` (B, C, T) on the scale of the training subjects."""
        z = ((x - self.mean) / self.std).clamp(-10, 10)
        return torch.where(z.isnan(), 0.0, z)


class QuantileNormaliser(nn.Module):
    """Map each feature to normal scores through its quantiles on the training subjects.

    The map is piecewise linear between knots and constant outside the outermost ones, so an
    outlier cannot move the network. Beside the score it gives coarse ramps: the feature's place within
    each eighth of the training windows, from which a linear layer can build thresholds as a tree does
    (piecewise linear encoding; Gorishniy et al. 2022, arXiv 2203.05556). Written as a sum of clipped ramps, it is one
    broadcast operation over (B, F, knots), and every exporter knows it.

    Notes
    -----
    Rank-type normalisation of statistics carries over to new people better than standardisation on
    sets with many sensors (docs/findings.md).
    """

    low: Tensor
    inverse_width: Tensor
    rise: Tensor
    base: Tensor

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.register_buffer("low", torch.zeros(n_features, _N_KNOTS - 1))
        self.register_buffer("inverse_width", torch.ones(n_features, _N_KNOTS - 1))
        self.register_buffer("rise", torch.zeros(n_features, _N_KNOTS - 1))
        self.register_buffer("base", torch.zeros(n_features))

    def fit(self, features: Tensor) -> None:
        """Fit on features (N, F) of training windows, N >= 1; NaN counts nothing."""
        level = torch.linspace(_TAIL, 1 - _TAIL, _N_KNOTS, dtype=torch.float64, device=features.device)
        ordered = features.double().sort(0).values  # NaN last
        last = (features.isfinite().sum(0) - 1).clamp(min=0)
        place = (level[:, None] * last).round().long()
        knots = ordered.gather(0, place).T.nan_to_num(nan=0.0)  # (F, knots)
        width = knots.diff(dim=1)
        score = torch.special.ndtri(level)
        # A step of no width (a feature with ties) is crossed at once, at its place.
        tiny = 1e-6 * (knots[:, -1:] - knots[:, :1]) + 1e-9
        self.low.copy_(knots[:, :-1])
        self.inverse_width.copy_(1 / torch.maximum(width, tiny))
        flat = (knots[:, -1:] - knots[:, :1]) <= 1e-9  # a constant feature says nothing: 0
        self.rise.copy_(torch.where(flat, 0.0, score.diff().expand_as(width)))
        self.base.copy_(torch.where(flat[:, 0], 0.0, score[0]))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return normal scores (B, F), within +-2.9, and ramps (B, F, 8) within +-0.5."""
        ramp = ((features.unsqueeze(-1) - self.low) * self.inverse_width).clamp(0, 1)
        score = self.base + (ramp * self.rise).sum(-1)
        return score, ramp.view(*ramp.shape[:2], N_RAMPS, _PER_RAMP).mean(-1) - 0.5


def normalise_within(x: Tensor, std: Tensor) -> Tensor:
    """Return what moves in each window, on the window's own scale: (x - mean) / deviation, within +-5.

    Parameters
    ----------
    x
        (B, C, T) windows.
    std
        (C, 1) deviation over the training windows. Far less than that is noise, which stays small.

    References
    ----------
    Ulyanov, Vedaldi, Lempitsky (2016). Instance Normalization. arXiv 1607.08022; here of the input, without weights.
    """
    moved = x - x.mean(-1, keepdim=True)
    deviation = moved.square().mean(-1, keepdim=True).sqrt()
    return (moved / (deviation + _FLOOR * std)).clamp(-_LARGEST, _LARGEST)
