"""Encode one branch: the waveform along its path, the window's statistics, and its shapes, into one embedding."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dcdp.models.encoders import make_encoder
from dcdp.models.normalise import N_RAMPS, ChannelNormaliser, QuantileNormaliser, normalise_within
from dcdp.models.rocket import RocketFeatures
from dcdp.models.statistics import WindowStatistics, recorded

__all__ = ["BranchEncoder"]

_WAVEFORM_HZ = 12.5
"""Rate after the stem [Hz]: half the cost of 25 Hz, and better on people not seen (docs/findings.md)."""


class BranchEncoder(nn.Module):
    """Views of the same signals: a convolutional path, a path over window statistics, and one over fixed convolutions.

    Parameters
    ----------
    kind
        ``residual`` or ``dense``: the waveform path.
    n_channels, n_samples, rate_hz
        C and T of the branch's input, and its rate [Hz].
    triads
        First channels of the vectors among the channels.
    widths
        D_1..D_K of the waveform path; empty leaves the path out.
    statistics_width
        Width of the statistics path; 0 leaves it out.
    kernel
        Kernel length after the stem.
    dropout
        Dropout of each path's part of the embedding.
    channel_dropout
        Probability that a whole channel is hidden from all paths, in training.
    feature_dropout
        Probability that a single statistic or response is hidden, in training.
    path_dropout
        Probability that one of the paths is hidden from a window, in training.
    extended
        Whether the statistics path reads the further statistics too.
    rocket_width
        Width of the path over fixed convolutions (`RocketFeatures`); 0 leaves it out.
    pool_segments
        Parts of the window, in order, whose means the waveform path hands on.
    instance_norm
        Whether the waveform path also reads each channel, and the length of each vector, on the window's own scale.
    waveform_dropout
        Probability that the waveform path is hidden from a window, in training, whatever `path_dropout` hides of the
        other windows. A branch that has no other path keeps it.

    Notes
    -----
    The paper's paths end in global average pooling, which is ``pool_segments=1``. More parts keep the order in time:
    to sit down and to get up have the same parts otherwise. On the scale of all training windows the sway of somebody
    who stands is next to nothing; on the window's own it is a shape like any other, and as large for the weak as for
    the vigorous. Both are ours, and so is the statistics path: with few people to learn from, what new people share
    with the others is posture and amplitude, robustly scaled (docs/findings.md).
    """

    def __init__(
        self,
        kind: str,
        n_channels: int,
        n_samples: int,
        rate_hz: float,
        triads: Sequence[int],
        widths: Sequence[int],
        statistics_width: int,
        kernel: int,
        dropout: float,
        channel_dropout: float,
        feature_dropout: float,
        path_dropout: float,
        extended: bool = False,
        rocket_width: int = 0,
        pool_segments: int = 1,
        instance_norm: bool = False,
        waveform_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.n_channels, self.n_samples = n_channels, n_samples
        self.channel_dropout, self.feature_dropout, self.path_dropout = channel_dropout, feature_dropout, path_dropout
        self.stage_widths, self.pool_segments = tuple(widths), pool_segments
        self.vectors, self.instance_norm = tuple(triads), instance_norm
        self.waveform_dropout = waveform_dropout if widths else 0.0
        self.waveform: nn.Module | None = None
        self.statistics: WindowStatistics | None = None
        self.rocket: RocketFeatures | None = None
        self.embedding_width = 0
        if widths or rocket_width:
            self.channel_normaliser = ChannelNormaliser(n_channels)
        if widths:
            n_read = 2 * n_channels + len(self.vectors) if instance_norm else n_channels
            self.waveform = make_encoder(kind, n_read, widths, kernel, max(1, round(rate_hz / _WAVEFORM_HZ)))
            self.waveform_drop = nn.Dropout(dropout)
            self.embedding_width += widths[-1] * pool_segments
        if statistics_width:
            self.statistics = WindowStatistics(n_channels, tuple(triads), n_samples, rate_hz, extended)
            n = self.statistics.n_features
            self.quantile_normaliser = QuantileNormaliser(n)
            self.read = _reader(n * (1 + N_RAMPS), statistics_width, dropout)
            self.embedding_width += statistics_width
        if rocket_width:
            self.rocket = RocketFeatures(n_channels, n_samples, rate_hz)
            self.read_rocket = _reader(self.rocket.n_features, rocket_width, dropout)
            self.embedding_width += rocket_width

    @torch.no_grad()
    def fit(self, x: Tensor) -> None:
        """Fit the normalisers on raw training windows ``x`` (N, C, T); channels of absent signals are NaN."""
        if self.waveform is not None or self.rocket is not None:
            self.channel_normaliser.fit(x)
        if self.rocket is not None:
            whole = recorded(x).all(1)  # without a channel a response is another one
            self.rocket.fit(self.channel_normaliser(x[whole] if whole.any() else x))
        if self.statistics is not None:
            rows = [self._known_statistics(part) for part in torch.split(x, 512)]
            self.quantile_normaliser.fit(torch.cat(rows))

    def describe(self, x: Tensor) -> Tensor | None:
        """Return the statistics (B, F) that the statistics path reads; None without that path."""
        return None if self.statistics is None else self.statistics(x.nan_to_num(0.0))

    def forward(self, x: Tensor, described: Tensor | None = None) -> tuple[list[Tensor], Tensor]:
        """Return K stage features (B, D_k, T_k) and the embedding (B, D) of raw windows ``x`` (B, C, T).

        A channel that is NaN anywhere in its window is absent: no path sees it. ``described`` is what `describe` says
        of the windows, where that is at hand.
        """
        keep = recorded(x)
        x = torch.where(keep.unsqueeze(-1) > 0, x, 0.0)
        if self.training and self.channel_dropout:
            keep = keep * (torch.rand_like(keep) >= self.channel_dropout).to(keep.dtype)
        stages: list[Tensor] = []
        parts: list[Tensor] = []
        if self.waveform is not None:
            stages = self.waveform(self._views(x, keep.unsqueeze(-1)))
            parts.append(self.waveform_drop(_pool(stages[-1], self.pool_segments)))
        if self.statistics is not None:
            parts.append(self.read(self._statistics(x, keep, described)))
        if self.rocket is not None:
            mask = self._hide_features(self.rocket.seen(keep))
            parts.append(self.read_rocket(self.rocket(self.channel_normaliser(x)) * mask))
        return stages, torch.cat(self._hide_a_path(parts), 1)

    def _views(self, x: Tensor, keep: Tensor) -> Tensor:
        """Return what the waveform path reads: channels on the training scale, and on the window's own if asked to."""
        views = [self.channel_normaliser(x) * keep]
        if self.instance_norm:
            std = self.channel_normaliser.std
            views.append(normalise_within(x, std) * keep)
            for first in self.vectors:
                axes = slice(first, first + 3)
                length = x[:, axes].square().sum(1, keepdim=True).sqrt()
                whole = keep[:, axes].amin(1, keepdim=True)
                views.append(normalise_within(length, std[axes].mean(0, keepdim=True)) * whole)
        return torch.cat(views, 1)

    def _statistics(self, x: Tensor, keep: Tensor, described: Tensor | None = None) -> Tensor:
        assert self.statistics is not None
        score, ramps = self.quantile_normaliser(self.statistics(x) if described is None else described)
        mask = self._hide_features(self.statistics.seen(keep))
        return torch.cat([score * mask, (ramps * mask.unsqueeze(-1)).flatten(1)], 1)

    def _hide_features(self, mask: Tensor) -> Tensor:
        if self.training and self.feature_dropout:
            mask = mask * (torch.rand_like(mask) >= self.feature_dropout).to(mask.dtype)
        return mask

    def _known_statistics(self, x: Tensor) -> Tensor:
        """Return raw statistics (B, F), NaN where a channel that one is read from is absent."""
        assert self.statistics is not None
        return torch.where(self.statistics.seen(recorded(x)) > 0, self.statistics(x), torch.nan)

    def _hide_a_path(self, parts: list[Tensor]) -> list[Tensor]:
        """Hide the waveform, else one of the paths, each as often as the others; never the only one."""
        if not self.training or len(parts) < 2 or self.path_dropout == self.waveform_dropout == 0:
            return parts
        share = self.path_dropout / len(parts)
        u = torch.rand(len(parts[0]), 1, device=parts[0].device)
        # The last one's share lies at the top, as that of the second of two always did: same seeds, same results.
        hidden = [(u >= k * share) & (u < (k + 1) * share) for k in range(len(parts) - 1)] + [u >= 1 - share]
        if self.waveform_dropout:
            without = torch.rand_like(u) < self.waveform_dropout
            hidden = [own & ~without for own in hidden]
            hidden[0] = hidden[0] | without
        return [part * (~own).to(part.dtype) for part, own in zip(parts, hidden, strict=True)]


def _pool(h: Tensor, n_segments: int) -> Tensor:
    """Return the means (B, D S) of S even parts of ``h`` (B, D, T), in order; where T < S, samples are repeated."""
    if h.shape[-1] < n_segments:
        h = h.repeat_interleave(n_segments, -1)
    return torch.cat([part.mean(-1) for part in h.tensor_split(n_segments, -1)], 1)


def _reader(n_in: int, width: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(nn.Linear(n_in, width), nn.LayerNorm(width), nn.GELU(), nn.Dropout(dropout))
