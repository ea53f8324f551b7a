"""Describe each window of a branch by statistics, inside the network, so that every exported file carries them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise, takewhile

import torch
from torch import Tensor, nn

__all__ = ["FURTHER_STATISTICS", "STATISTICS", "WindowStatistics", "recorded"]

STATISTICS = (
    "mean", "quantile_05", "quantile_25", "median", "quantile_75", "quantile_95", "minimum", "maximum",
    "std", "jerk_std", "jerk_mean_abs", "mean_crossing_rate", "skewness",
    "dominant_hz", "spectral_centroid_hz", "spectral_entropy",
)  # fmt: skip
FURTHER_STATISTICS = (
    "kurtosis", "energy", "range", "interquartile_range", "mean_abs_deviation",
    "jerk_max_abs", "turning_rate", "dominant_share", "spectral_spread_hz", "spectral_edge_hz",
)  # fmt: skip
_GEOMETRY = (
    "correlation_xy", "correlation_xz", "correlation_yz", "direction_x", "direction_y", "direction_z",
    "log_share_along_mean",
)  # fmt: skip
_FURTHER_GEOMETRY = ("jerk_norm_mean", "jerk_norm_std")
_EDGE_SHARE = 0.85
_MAX_PAIRED = 24
"""Most sensors that are compared in pairs: the number of pairs grows with the square."""
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_QUANTILE_HZ = 25.0
_BAND_EDGES_HZ = (0.3, 0.7, 1.2, 1.8, 2.5, 3.5, 5.0, 8.0, 12.5)
_TINY = 1e-6


class WindowStatistics(nn.Module):
    """Statistics of raw channels, of triad magnitudes, and of the triads' geometry.

    Series are the C channels followed by the magnitude of every triad. Each series gives the
    statistics named in `STATISTICS` and log band powers; each triad gives the three correlations
    between its axes, the direction of its mean (three cosines) and the log ratio of its power along the mean direction
    to its total power (how vertical the motion is). ``extended`` appends what is named in `FURTHER_STATISTICS` for each
    series, mean and deviation of the jerk vector's length for each triad, and the correlation between each pair of
    sensors; docs/features.md has all formulas.

    Parameters
    ----------
    n_channels
        C, number of input channels.
    triads
        First channel of each run of three channels x, y, z that form a vector.
    n_samples
        T, samples in a window, >= 1.
    rate_hz
        Sampling rate [Hz].
    extended
        Whether the further statistics come behind the others, which stay as they are.

    Attributes
    ----------
    n_features
        F, length of the output.
    source
        (F,) int64 buffer: the channel a feature is read from, or C + i for triad i. Dropping a
        channel drops every feature that comes from it (a triad's go with any of its channels).
    second
        (F,) int64 buffer: the other place that a feature is read from; that of ``source`` unless it compares two.

    Notes
    -----
    The spectrum is a product with a fixed cosine and sine basis (no FFT operator needed by an
    exported file), of the Hann-windowed signal after its mean was taken out. Quantiles are order
    statistics at the nearest rank of the signal thinned to about 25 Hz: sorting is the dearest part of the
    module, and a finer grid does not move them. Minimum and maximum are those of all samples.
    """

    source: Tensor
    second: Tensor
    paired: Tensor
    pairs: Tensor
    basis: Tensor
    bands: Tensor
    frequency_hz: Tensor
    ranks: Tensor

    def __init__(
        self, n_channels: int, triads: tuple[int, ...], n_samples: int, rate_hz: float, extended: bool = False
    ) -> None:
        super().__init__()
        self.extended = extended
        self.n_channels, self.triads, self.rate_hz = n_channels, tuple(triads), rate_hz
        n_samples = max(n_samples, 2)
        basis, frequency = _spectral_basis(n_samples, rate_hz)
        bands = _band_matrix(frequency)
        self.register_buffer("basis", basis, persistent=False)
        self.register_buffer("frequency_hz", frequency, persistent=False)
        self.register_buffer("bands", bands, persistent=False)
        self.band_hz = _bands_heard(frequency)
        self.thinning = max(1, round(rate_hz / _QUANTILE_HZ))
        n_thinned = -(-n_samples // self.thinning)
        ranks = torch.tensor([round(q * (n_thinned - 1)) for q in _QUANTILES])
        self.register_buffer("ranks", ranks, persistent=False)
        n_series = n_channels + len(self.triads)
        per_series = len(STATISTICS) + bands.shape[1]
        source = torch.arange(n_series).repeat_interleave(per_series)
        triad = n_channels + torch.arange(len(self.triads))
        source = second = torch.cat([source, triad.repeat_interleave(len(_GEOMETRY))])
        if extended:
            paired = torch.tensor(self._paired())
            self.register_buffer("paired", paired, persistent=False)
            self.register_buffer("pairs", torch.combinations(torch.arange(len(paired))), persistent=False)
            pairs = paired[self.pairs]
            own = torch.arange(n_series).repeat_interleave(len(FURTHER_STATISTICS))
            own = torch.cat([own, triad.repeat_interleave(len(_FURTHER_GEOMETRY))])
            source, second = torch.cat([source, own, pairs[:, 0]]), torch.cat([source, own, pairs[:, 1]])
        self.register_buffer("source", source, persistent=False)
        self.register_buffer("second", second, persistent=False)
        self.n_features = len(source)

    def names(self, channels: Sequence[str]) -> tuple[str, ...]:
        """Return the F names of the features, such as ``wrist_acc_x.mean`` or ``wrist_acc.correlation_xy``.

        Parameters
        ----------
        channels
            (C,) names; a triad is called by what its three have in common.

        Examples
        --------
        >>> names = WindowStatistics(3, (0,), 100, 50.0).names(["wrist_acc_x", "wrist_acc_y", "wrist_acc_z"])
        >>> names[0], names[-1], len(set(names))
        ('wrist_acc_x.mean', 'wrist_acc.log_share_along_mean', 103)
        """
        triads = _triad_names(channels, self.triads)
        series = [*channels, *(f"{name}_norm" for name in triads)]
        bands = [f"log_power_{low:g}_{high:g}hz" for low, high in self.band_hz]
        names = [f"{one}.{what}" for one in series for what in (*STATISTICS, *bands)]
        names += [f"{one}.{what}" for one in triads for what in _GEOMETRY]
        if self.extended:
            names += [f"{one}.{what}" for one in series for what in FURTHER_STATISTICS]
            names += [f"{one}.{what}" for one in triads for what in _FURTHER_GEOMETRY]
            names += [f"{series[i]}.correlation.{series[k]}" for i, k in self.paired[self.pairs].tolist()]
        return tuple(names)

    def _paired(self) -> list[int]:
        """Return the series that stand for a sensor: magnitudes of triads, and channels outside them."""
        inside = {channel for first in self.triads for channel in range(first, first + 3)}
        lone = [channel for channel in range(self.n_channels) if channel not in inside]
        return [*(self.n_channels + i for i in range(len(self.triads))), *lone][:_MAX_PAIRED]

    def seen(self, keep: Tensor) -> Tensor:
        """Return 1 for every statistic (B, F) whose channels are all kept, else 0, of channels kept (B, C), 1 or 0."""
        triads = [keep[:, first : first + 3].amin(1, keepdim=True) for first in self.triads]
        channels = torch.cat([keep, *triads], 1)
        mask = channels[:, self.source]
        return mask * channels[:, self.second] if self.extended else mask

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, F) statistics of ``x`` (B, C, T) in the units of the signals."""
        if x.shape[-1] == 1:  # a slow sensor: one sample stands for the window
            x = torch.cat([x, x], -1)
        series = self._series(x)
        mean = series.mean(-1, keepdim=True)
        centred = series - mean
        variance = centred.square().mean(-1)
        std = (variance + _TINY).sqrt()
        thinned = series[..., :: self.thinning].sort(-1).values
        quantile = torch.cat([thinned.index_select(-1, self.ranks), series.amin(-1, True), series.amax(-1, True)], -1)
        jerk = (series[..., 1:] - series[..., :-1]) * self.rate_hz
        jerk_std = (jerk.square().mean(-1) + _TINY).sqrt()
        jerk_mean_abs = jerk.abs().mean(-1)
        crossing = (centred[..., 1:] * centred[..., :-1] < 0).to(x.dtype).mean(-1) * self.rate_hz
        skewness = (centred / std.unsqueeze(-1)).pow(3).mean(-1)
        power, share = self._power(centred)
        dominant, centroid, entropy, bands = self._spectral(power, share)
        scalars = torch.stack([std, jerk_std, jerk_mean_abs, crossing, skewness, dominant, centroid, entropy], -1)
        features = torch.cat([mean, quantile, scalars, bands], -1).flatten(1)
        parts = [features, self._geometry(centred, mean)] if self.triads else [features]
        if self.extended:
            moments = self._further(series, centred, std, quantile, jerk)
            further = torch.cat([moments, self._further_spectral(power, share, centroid)], -1)
            parts += [further.flatten(1), self._jerk_length(jerk), self._correlation(centred / std.unsqueeze(-1))]
        return torch.cat(parts, -1) if len(parts) > 1 else features

    def _series(self, x: Tensor) -> Tensor:
        if not self.triads:
            return x
        vectors = torch.stack([x[:, i : i + 3] for i in self.triads], 1)  # (B, V, 3, T)
        return torch.cat([x, (vectors.square().sum(2) + _TINY).sqrt()], 1)

    def _power(self, centred: Tensor) -> tuple[Tensor, Tensor]:
        """Return the power (B, S, n) at each frequency, and its share in the whole."""
        n = self.frequency_hz.shape[0]
        projected = centred @ self.basis
        power = projected[..., :n].square() + projected[..., n:].square()
        return power, power / (power.sum(-1, keepdim=True) + _TINY)

    def _spectral(self, power: Tensor, share: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        n = self.frequency_hz.shape[0]
        entropy = -(share * (share + 1e-9).log()).sum(-1) / math.log(max(n, 2))
        centroid = share @ self.frequency_hz
        dominant = self.frequency_hz[power.argmax(-1)]
        return dominant, centroid, entropy, (power @ self.bands + 1e-4).log()

    def _further(self, series: Tensor, centred: Tensor, std: Tensor, quantile: Tensor, jerk: Tensor) -> Tensor:
        """Return the first seven of `FURTHER_STATISTICS`, (B, S, 7)."""
        kurtosis = (centred / std.unsqueeze(-1)).pow(4).mean(-1) - 3
        energy = series.square().mean(-1)
        extent = quantile[..., 6] - quantile[..., 5]
        between_quartiles = quantile[..., 3] - quantile[..., 1]
        turns = (jerk[..., 1:] * jerk[..., :-1] < 0).to(series.dtype).sum(-1)
        turning_rate = turns * (self.rate_hz / max(series.shape[-1] - 2, 1))
        deviation, jerk_max = centred.abs().mean(-1), jerk.abs().amax(-1)
        return torch.stack([kurtosis, energy, extent, between_quartiles, deviation, jerk_max, turning_rate], -1)

    def _further_spectral(self, power: Tensor, share: Tensor, centroid: Tensor) -> Tensor:
        """Return the last three of `FURTHER_STATISTICS`, (B, S, 3)."""
        distance = (self.frequency_hz - centroid.unsqueeze(-1)).square()
        spread = (share * distance).sum(-1).sqrt()
        below = power.cumsum(-1) < _EDGE_SHARE * power.sum(-1, keepdim=True)
        edge = self.frequency_hz[below.sum(-1).clamp(max=len(self.frequency_hz) - 1)]
        return torch.stack([share.amax(-1), spread, edge], -1)

    def _jerk_length(self, jerk: Tensor) -> Tensor:
        """Return mean and deviation of the length of every triad's jerk vector, (B, 2 V)."""
        if not self.triads:
            return jerk.new_empty(len(jerk), 0)
        vectors = torch.stack([jerk[:, i : i + 3] for i in self.triads], 1)  # (B, V, 3, T - 1)
        length = (vectors.square().sum(2) + _TINY).sqrt()
        mean = length.mean(-1, keepdim=True)
        deviation = ((length - mean).square().mean(-1, keepdim=True) + _TINY).sqrt()
        return torch.cat([mean, deviation], -1).flatten(1)

    def _correlation(self, standard: Tensor) -> Tensor:
        """Return the correlation between each pair of sensors, from standardised series (B, S, T)."""
        z = standard[:, self.paired]
        correlation = z @ z.transpose(-1, -2) / z.shape[-1]
        return correlation[:, self.pairs[:, 0], self.pairs[:, 1]]

    def _geometry(self, centred: Tensor, mean: Tensor) -> Tensor:
        c = torch.stack([centred[:, i : i + 3] for i in self.triads], 1)  # (B, V, 3, T)
        m = torch.stack([mean[:, i : i + 3, 0] for i in self.triads], 1)  # (B, V, 3)
        covariance = c @ c.transpose(-1, -2) / c.shape[-1]
        power = covariance.diagonal(dim1=-2, dim2=-1) + _TINY
        xy, xz, yz = covariance[..., 0, 1], covariance[..., 0, 2], covariance[..., 1, 2]
        px, py, pz = power.unbind(-1)
        correlation = torch.stack([xy / (px * py).sqrt(), xz / (px * pz).sqrt(), yz / (py * pz).sqrt()], -1)
        direction = m / (m.square().sum(-1, keepdim=True) + _TINY).sqrt()
        along = (direction.unsqueeze(-2) @ covariance @ direction.unsqueeze(-1)).squeeze(-1)
        vertical = ((along.clamp_min(0) + _TINY) / power.sum(-1, keepdim=True)).log()
        return torch.cat([correlation, direction, vertical], -1).flatten(1)


def _spectral_basis(n_samples: int, rate_hz: float) -> tuple[Tensor, Tensor]:
    """Return the (T, 2F) Hann-windowed cosine | sine basis and its (F,) frequencies up to 15 Hz."""
    frequency = torch.arange(1, n_samples // 2 + 1) * rate_hz / n_samples
    frequency = frequency[frequency <= 15.0] if (frequency <= 15.0).any() else frequency[:1]
    phase = 2 * math.pi * frequency * torch.arange(n_samples).unsqueeze(1) / rate_hz
    window = torch.hann_window(n_samples, periodic=False).unsqueeze(1) * (2 / n_samples)
    return torch.cat([phase.cos() * window, phase.sin() * window], 1).float(), frequency.float()


def _band_matrix(frequency_hz: Tensor) -> Tensor:
    """Return (F, bands) indicators; bands that hold no frequency are left out."""
    member = _band_members(frequency_hz)
    return member[:, member.any(0)].float()


def _bands_heard(frequency_hz: Tensor) -> tuple[tuple[float, float], ...]:
    """Return the edges [Hz] of the bands that `_band_matrix` keeps."""
    heard = _band_members(frequency_hz).any(0).tolist()
    return tuple(edges for edges, some in zip(pairwise(_BAND_EDGES_HZ), heard, strict=True) if some)


def _band_members(frequency_hz: Tensor) -> Tensor:
    edges = torch.tensor(_BAND_EDGES_HZ)
    return (frequency_hz[:, None] >= edges[:-1]) & (frequency_hz[:, None] < edges[1:])


def _triad_names(channels: Sequence[str], triads: Sequence[int]) -> list[str]:
    """Call a triad by the beginning that its channels share, or by its first channel where that is no name."""
    names = [_shared_start(channels[i : i + 3]).rstrip("_- .") for i in triads]
    return [name if name and names.count(name) == 1 else channels[i] for name, i in zip(names, triads, strict=True)]


def _shared_start(words: Sequence[str]) -> str:
    """Return the letters that all words begin with."""
    return "".join(letters[0] for letters in takewhile(lambda same: len(set(same)) == 1, zip(*words, strict=False)))


def recorded(x: Tensor) -> Tensor:
    """Return 1 for every channel (B, C) of windows ``x`` (B, C, T) that was recorded throughout, else 0."""
    return (~x.isnan().any(-1)).to(x.dtype)
