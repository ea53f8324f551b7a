"""Lay the movement of two devices side by side, and correlate pieces of the one with the other at every lag."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dcdp.records import Stream
from dcdp.signals.clock import regularise

__all__ = ["RATE_HZ", "Pair", "Pieces", "movement", "slide"]

Array = NDArray[np.float64]

RATE_HZ = 25.0
"""Of all movement here: the body moves below 12 Hz; the parabola through a peak finds a hundredth of a sample."""
_TREND_S = 2.0
_STILL = 0.1  # of the lively pieces' movement: people at rest tell nothing of their clocks


@dataclass(frozen=True, slots=True)
class Pair:
    """Movement of the reference and of the other device at `RATE_HZ`, and when each starts on its own clock."""

    still: Array
    still_start_s: float
    moved: Array
    moved_start_s: float

    @property
    def swapped(self) -> Pair:
        """The same with the parts of the two devices exchanged."""
        return Pair(self.moved, self.moved_start_s, self.still, self.still_start_s)

    @property
    def base_s(self) -> float:
        """Offset at which both start together."""
        return self.still_start_s - self.moved_start_s


@dataclass(frozen=True, slots=True)
class Pieces:
    """Pieces of the other device's movement: first samples (P,) and their common length."""

    start: NDArray[np.int64]
    n_samples: int

    @classmethod
    def of(cls, pair: Pair, piece_s: float) -> Pieces:
        """Cut those in which the device moved, by a tenth of what it moves in lively ones or more."""
        n_samples = round(piece_s * RATE_HZ)
        start = np.arange(len(pair.moved) // n_samples) * n_samples
        rows = np.nan_to_num(pair.moved[: len(start) * n_samples]).reshape(len(start), n_samples)
        size = np.sqrt((rows**2).mean(axis=1))
        return cls(start[size >= _STILL * np.quantile(size, 0.9)], n_samples)

    def take(self, most: int) -> Pieces:
        """Return at most so many, evenly spread."""
        number = np.linspace(0, len(self.start) - 1, min(most, len(self.start))).round().astype(np.int64)
        return Pieces(self.start[number], self.n_samples)

    @property
    def middle_s(self) -> Array:
        """Middle of each from the start of the device's movement [s]."""
        return np.asarray((self.start + self.n_samples / 2) / RATE_HZ, np.float64)


def movement(stream: Stream) -> tuple[Array, float]:
    """Return the size of the movement on a regular clock, without its slow part, and the start of that clock."""
    size = np.linalg.norm(stream.values, axis=1)[:, None]
    track, _ = regularise(replace(stream, channels=(stream.name,), values=size), RATE_HZ)
    size = track.values[:, 0].astype(np.float64)
    return size - _smoothed(size, _TREND_S), track.start_s


def _smoothed(values: Array, over_s: float) -> Array:
    """Return the moving average of what is known; NaN stays."""
    from scipy.ndimage import uniform_filter1d

    known = np.isfinite(values)
    n_samples = round(over_s * RATE_HZ) | 1
    total = uniform_filter1d(np.where(known, values, 0.0), n_samples, mode="constant")
    share = uniform_filter1d(known.astype(np.float64), n_samples, mode="constant")
    average: Array = np.where(known, total / np.maximum(share, 0.5 / n_samples), np.nan)
    return average


def slide(pair: Pair, start: int, n_samples: int, low: int, high: int) -> Array:
    """Correlate a piece with the reference at lags ``low`` to ``high``, (high - low + 1,); 0 where half is missing."""
    from scipy.fft import irfft, next_fast_len, rfft

    first, stop = start + low, start + high + n_samples
    result = np.zeros(high - low + 1)
    if stop <= 0 or first >= len(pair.still):
        return result
    # At both ends the piece may hang over by half, no more: what lies beyond is not looked at.
    first, stop = max(first, -n_samples // 2), min(stop, len(pair.still) + n_samples // 2)
    if stop - first < n_samples:
        return result
    n_fast = next_fast_len(stop - first, real=True)
    region = np.full(stop - first, np.nan)
    region[max(-first, 0) : len(pair.still) - first] = pair.still[max(first, 0) : max(stop, 0)]
    piece = pair.moved[start : start + n_samples]
    front, back = (rfft(_powers(values), n_fast) for values in (piece, region))
    n_places = stop - first - n_samples + 1

    def along(one: int, two: int) -> Array:
        product: Array = irfft(np.conj(front[one]) * back[two], n_fast)[:n_places]
        return product

    n_both = np.maximum(along(0, 0), 1.0)
    sum_piece, sum_region = along(1, 0), along(0, 1)
    spread_piece = np.maximum(along(2, 0) - sum_piece**2 / n_both, 0.0)
    spread_region = np.maximum(along(0, 2) - sum_region**2 / n_both, 0.0)
    scale = np.sqrt(spread_piece * spread_region)
    sure = (n_both > 0.5 * n_samples) & (scale > 1e-6 * max(float(scale.max()), 1e-12))
    found = (along(1, 1) - sum_piece * sum_region / n_both) / np.where(sure, scale, 1.0)
    result[first - start - low :][:n_places] = np.where(sure, found, 0.0)
    return result


def _powers(values: Array) -> Array:
    known = np.isfinite(values)
    filled = np.where(known, values, 0.0)
    return np.stack([known.astype(np.float64), filled, filled**2])
