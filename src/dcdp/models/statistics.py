"""Describe each window of a branch by statistics, inside the network, so that every exported file carries them."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

__all__ = ["STATISTICS", "WindowStatistics"]

STATISTICS = (
    "mean", "quantile_05", "quantile_25", "median", "quantile_75", "quantile_95", "minimum", "maximum",
    "std", "jerk_std", "jerk_mean_abs", "mean_crossing_rate", "skewness",
    "dominant_hz", "spectral_centroid_hz", "spectral_entropy",
)  # fmt: skip
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_QUANTILE_HZ = 25.0
_BAND_EDGES_HZ = (0.3, 0.7, 1.2, 1.8, 2.5, 3.5, 5.0, 8.0, 12.5)
_TINY = 1e-6


class WindowStatistics(nn.Module):
    """Statistics of raw channels, of triad magnitudes, and of the triads' geometry.

    Series are the C channels followed by the magnitude of every triad. Each series gives the
    statistics named in `STATISTICS` and log band powers; each triad gives the three correlations
    between its axes, the direction of its mean (three cosines) and the log ratio of its power along the mean direction
    to its total power (how vertical the motion is).

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

    Attributes
    ----------
    n_features
        F, length of the output.
    source
        (F,) int64 buffer: the channel a feature is read from, or C + i for triad i. Dropping a
        channel drops every feature that comes from it (a triad's go with any of its channels).

    Notes
    -----
    The spectrum is a product with a fixed cosine and sine basis (no FFT operator needed by an
    exported file), of the Hann-windowed signal after its mean was taken out. Quantiles are order
    statistics at the nearest rank of the signal thinned to about 25 Hz: sorting is the dearest part of the
    module, and a finer grid does not move them. Minimum and maximum are those of all samples.
    """

    source: Tensor
    basis: Tensor
    bands: Tensor
    frequency_hz: Tensor
    ranks: Tensor

    def __init__(self, n_channels: int, triads: tuple[int, ...], n_samples: int, rate_hz: float) -> None:
        super().__init__()
        self.n_channels, self.triads, self.rate_hz = n_channels, tuple(triads), rate_hz
        n_samples = max(n_samples, 2)
        basis, frequency = _spectral_basis(n_samples, rate_hz)
        bands = _band_matrix(frequency)
        self.register_buffer("basis", basis, persistent=False)
        self.register_buffer("frequency_hz", frequency, persistent=False)
        self.register_buffer("bands", bands, persistent=False)
        self.thinning = max(1, round(rate_hz / _QUANTILE_HZ))
        n_thinned = -(-n_samples // self.thinning)
        ranks = torch.tensor([round(q * (n_thinned - 1)) for q in _QUANTILES])
        self.register_buffer("ranks", ranks, persistent=False)
        n_series = n_channels + len(self.triads)
        per_series = len(STATISTICS) + bands.shape[1]
        source = torch.arange(n_series).repeat_interleave(per_series)
        triad = n_channels + torch.arange(len(self.triads))
        self.register_buffer("source", torch.cat([source, triad.repeat_interleave(7)]), persistent=False)
        self.n_features = len(self.source)

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
        dominant, centroid, entropy, bands = self._spectral(centred)
        scalars = torch.stack([std, jerk_std, jerk_mean_abs, crossing, skewness, dominant, centroid, entropy], -1)
        features = torch.cat([mean, quantile, scalars, bands], -1).flatten(1)
        return torch.cat([features, self._geometry(centred, mean)], -1) if self.triads else features

    def _series(self, x: Tensor) -> Tensor:
        if not self.triads:
            return x
        vectors = torch.stack([x[:, i : i + 3] for i in self.triads], 1)  # (B, V, 3, T)
        return torch.cat([x, (vectors.square().sum(2) + _TINY).sqrt()], 1)

    def _spectral(self, centred: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        n = self.frequency_hz.shape[0]
        projected = centred @ self.basis
        power = projected[..., :n].square() + projected[..., n:].square()
        share = power / (power.sum(-1, keepdim=True) + _TINY)
        entropy = -(share * (share + 1e-9).log()).sum(-1) / math.log(max(n, 2))
        centroid = share @ self.frequency_hz
        dominant = self.frequency_hz[power.argmax(-1)]
        return dominant, centroid, entropy, (power @ self.bands + 1e-4).log()

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
    edges = torch.tensor(_BAND_EDGES_HZ)
    member = (frequency_hz[:, None] >= edges[:-1]) & (frequency_hz[:, None] < edges[1:])
    return member[:, member.any(0)].float()
