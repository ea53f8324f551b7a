"""Encode one branch: the waveform along its path, and the window's statistics, into one embedding."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dcdp.models.encoders import make_encoder
from dcdp.models.normalise import N_RAMPS, ChannelNormaliser, QuantileNormaliser
from dcdp.models.statistics import WindowStatistics, recorded

__all__ = ["BranchEncoder"]

_WAVEFORM_HZ = 12.5
"""Rate after the stem [Hz]: half the cost of 25 Hz, and better on people not seen (docs/findings.md)."""


class BranchEncoder(nn.Module):
    """Two views of the same signals: a convolutional path and a path over window statistics.

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
        Dropout of the embedding's two halves.
    channel_dropout
        Probability that a whole channel is hidden from both paths, in training.
    feature_dropout
        Probability that a single statistic is hidden, in training.
    path_dropout
        Probability that one of the two paths is hidden from a window, in training.
    extended
        Whether the statistics path reads the further statistics too.

    Notes
    -----
    The paper's paths end in global average pooling; ours does too, and the statistics path beside it is ours:
    with few people to learn from, what new people share with the others is posture and amplitude,
    robustly scaled (docs/findings.md).
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
    ) -> None:
        super().__init__()
        self.n_channels, self.n_samples = n_channels, n_samples
        self.channel_dropout, self.feature_dropout, self.path_dropout = channel_dropout, feature_dropout, path_dropout
        self.stage_widths = tuple(widths)
        self.waveform: nn.Module | None = None
        self.statistics: WindowStatistics | None = None
        self.embedding_width = 0
        if widths:
            self.channel_normaliser = ChannelNormaliser(n_channels)
            self.waveform = make_encoder(kind, n_channels, widths, kernel, max(1, round(rate_hz / _WAVEFORM_HZ)))
            self.waveform_drop = nn.Dropout(dropout)
            self.embedding_width += widths[-1]
        if statistics_width:
            self.statistics = WindowStatistics(n_channels, tuple(triads), n_samples, rate_hz, extended)
            n = self.statistics.n_features
            self.quantile_normaliser = QuantileNormaliser(n)
            self.read = nn.Sequential(
                nn.Linear(n * (1 + N_RAMPS), statistics_width),
                nn.LayerNorm(statistics_width),
                nn.GELU(),
                nn.Dropout(dropout),
            )
            self.embedding_width += statistics_width

    @torch.no_grad()
    def fit(self, x: Tensor) -> None:
        """Fit the normalisers on raw training windows ``x`` (N, C, T); channels of absent signals are NaN."""
        if self.waveform is not None:
            self.channel_normaliser.fit(x)
        if self.statistics is not None:
            rows = [self._known_statistics(part) for part in torch.split(x, 512)]
            self.quantile_normaliser.fit(torch.cat(rows))

    def forward(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return K stage features (B, D_k, T_k) and the embedding (B, D) of raw windows ``x`` (B, C, T).

        A channel that is NaN anywhere in its window is absent: neither path sees it.
        """
        keep = recorded(x)
        x = torch.where(keep.unsqueeze(-1) > 0, x, 0.0)
        if self.training and self.channel_dropout:
            keep = keep * (torch.rand_like(keep) >= self.channel_dropout).to(keep.dtype)
        stages: list[Tensor] = []
        halves: list[Tensor] = []
        if self.waveform is not None:
            stages = self.waveform(self.channel_normaliser(x) * keep.unsqueeze(-1))
            halves.append(self.waveform_drop(stages[-1].mean(-1)))
        if self.statistics is not None:
            halves.append(self.read(self._statistics(x, keep)))
        return stages, torch.cat(self._hide_a_path(halves), 1)

    def _statistics(self, x: Tensor, keep: Tensor) -> Tensor:
        assert self.statistics is not None
        score, ramps = self.quantile_normaliser(self.statistics(x))
        mask = self.statistics.seen(keep)
        if self.training and self.feature_dropout:
            mask = mask * (torch.rand_like(mask) >= self.feature_dropout).to(mask.dtype)
        return torch.cat([score * mask, (ramps * mask.unsqueeze(-1)).flatten(1)], 1)

    def _known_statistics(self, x: Tensor) -> Tensor:
        """Return raw statistics (B, F), NaN where a channel that one is read from is absent."""
        assert self.statistics is not None
        return torch.where(self.statistics.seen(recorded(x)) > 0, self.statistics(x), torch.nan)

    def _hide_a_path(self, halves: list[Tensor]) -> list[Tensor]:
        if not self.training or self.path_dropout == 0 or len(halves) < 2:
            return halves
        u = torch.rand(len(halves[0]), 1, device=halves[0].device)
        first = (u >= self.path_dropout / 2).to(halves[0].dtype)
        second = (u < 1 - self.path_dropout / 2).to(halves[0].dtype)
        return [halves[0] * first, halves[1] * second]
