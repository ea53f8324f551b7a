"""Put samples with times of their own on a regular clock, with NaN in the gaps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dcdp.errors import FormatError

__all__ = ["on_clock", "sampling_rate"]

_REGULAR_SHARE = 0.75
_RATE_TOLERANCE = 0.005  # clocks of sensors are off by less, rates on purpose by more
_ROUNDING_SAMPLES = 0.1
_GAP_SAMPLES = 1.5
_SPARSEST = 0.05


def sampling_rate(times_s: NDArray[np.float64], nominal_hz: float) -> float:
    """Estimate the rate of a sensor from the times of its samples.

    Parameters
    ----------
    times_s
        (N,), N >= 2, strictly increasing [s].
    nominal_hz
        The rate that is expected.

    Returns
    -------
    float
        ``nominal_hz``, or else the whole number of hertz, if the estimate is within half a percent of it [Hz].

    Raises
    ------
    FormatError
        If more than a quarter of the steps are more than half a sample off.

    Examples
    --------
    >>> sampling_rate(np.array([0.0, 0.0201, 0.0399, 0.06, 0.9, 0.92]), 50.0)
    50.0
    """
    steps = np.diff(times_s)
    typical = np.median(steps)
    regular = steps[np.abs(steps - typical) < 0.5 * typical]
    if len(regular) < _REGULAR_SHARE * len(steps):
        raise FormatError(
            "time_s must have regular steps",
            f"{len(steps) - len(regular)} of {len(steps)} steps far from {typical:.4g} s",
            "Write the time of each sample, or leave time_s out and give the rate.",
        )
    rate = float(1 / regular.mean())
    for likely in (nominal_hz, float(round(rate))):
        if likely and abs(rate / likely - 1) <= _RATE_TOLERANCE:
            return likely
    return rate


def on_clock(times_s: NDArray[np.float64], values: NDArray[np.float64], rate_hz: float) -> NDArray[np.float32]:
    """Interpolate samples to a regular clock that starts with the first of them.

    Times within a tenth of a sample of the clock are taken to be rounded: those samples stay as they are.

    Parameters
    ----------
    times_s
        (N,), N >= 1, strictly increasing [s].
    values
        (N, C), NaN where a channel was not measured.
    rate_hz
        Of the clock [Hz].

    Returns
    -------
    NDArray
        (T, C) float32; NaN between two samples that are more than 1.5 periods apart.

    Raises
    ------
    FormatError
        If less than a twentieth of the time was recorded.

    Examples
    --------
    >>> on_clock(np.array([0.0, 0.1, 0.4]), np.array([[1.0], [2.0], [3.0]]), 10.0).ravel().tolist()
    [1.0, 2.0, nan, nan, 3.0]
    """
    place = _snapped((times_s - times_s[0]) * rate_hz)
    if place[-1] * _SPARSEST > len(place) + 1 / _SPARSEST:  # bounds the memory that a stray time can ask for
        raise FormatError(
            "a recording must have no gap of most of its time",
            f"{len(place)} samples at {rate_hz:g} Hz over {times_s[-1] - times_s[0]:.6g} s",
            "Split the file at its long gaps; check that time_s is in seconds.",
        )
    clock = np.arange(int(place[-1]) + 1, dtype=np.float64)
    before = np.searchsorted(place, clock, side="right") - 1
    in_gap = (np.diff(place, append=np.inf)[before] > _GAP_SAMPLES) & (clock > place[before])
    result = np.stack([np.interp(clock, place, channel) for channel in values.T], axis=1)
    result[in_gap] = np.nan
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and counts as missing
        return result.astype(np.float32)


def _snapped(place: NDArray[np.float64]) -> NDArray[np.float64]:
    """Move places (in samples) that are nearly whole onto whole ones."""
    whole = np.rint(place)
    moved = np.where(np.abs(place - whole) < _ROUNDING_SAMPLES, whole, place)
    return moved if (np.diff(moved) > 0).all() else place
