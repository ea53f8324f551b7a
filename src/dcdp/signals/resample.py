"""Change the rate of a recording without aliasing."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from dcdp.errors import ConfigError

__all__ = ["resample"]

# Bounds the ratio's relative error by about 1e-8, well under a sample over the longest recording.
_MAX_DENOMINATOR = 10_000


def resample(values: NDArray[np.float32], rate_hz: float, to_hz: float) -> NDArray[np.float32]:
    """Resample with a polyphase low-pass filter; stretches of NaN stay NaN.

    Parameters
    ----------
    values
        (T, C) at ``rate_hz``, NaN where nothing was measured.
    rate_hz, to_hz
        Rate before and after, > 0 [Hz].

    Returns
    -------
    NDArray
        (ceil(T * to_hz / rate_hz), C) float32 on the same clock: the first sample keeps its time. A sample is NaN if
        one of the two samples around it in the source is.

    Raises
    ------
    ConfigError
        If a rate is not positive.

    Notes
    -----
    The filter is symmetric and looks ahead by ten samples of the lower rate: it is meant for files, before a store
    is written, not for live streams. Inside a gap it sees a straight line between the two sides.
    """
    if not (0 < rate_hz < np.inf and 0 < to_hz < np.inf):
        raise ConfigError("rates must be positive", f"{rate_hz} to {to_hz} Hz", "Give both rates in Hz.")
    ratio = Fraction(to_hz / rate_hz).limit_denominator(_MAX_DENOMINATOR)
    if ratio == 1 or not len(values):
        return values.astype(np.float32)
    missing = np.isnan(values)
    result = _filter(_bridge(values, missing), ratio)
    return np.where(_spread(missing, ratio, len(result)), np.nan, result).astype(np.float32)


def _filter(values: NDArray[np.float64], ratio: Fraction) -> NDArray[np.float64]:
    """Apply SciPy's polyphase filter; beyond both ends it sees the line through the first and last sample."""
    from scipy.signal import resample_poly  # a slow import that cutting windows does not need

    result: NDArray[np.float64] = resample_poly(values, ratio.numerator, ratio.denominator, axis=0, padtype="line")
    return result


def _bridge(values: NDArray[np.float32], missing: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Draw straight lines over the gaps, so that the filter does not ring at their edges."""
    bridged = values.astype(np.float64)
    rows = np.arange(len(values))
    for channel in np.flatnonzero(missing.any(axis=0)):
        gap = missing[:, channel]
        bridged[gap, channel] = 0.0 if gap.all() else np.interp(rows[gap], rows[~gap], bridged[~gap, channel])
    return bridged


def _spread(missing: NDArray[np.bool_], ratio: Fraction, n_samples: int) -> NDArray[np.bool_]:
    """Mark the samples of the result that have a missing neighbour in the source."""
    at = np.arange(n_samples) * ratio.denominator  # in integers: sample positions in the source, times the numerator
    before = at // ratio.numerator
    after = np.minimum(-(-at // ratio.numerator), len(missing) - 1)
    return missing[before] | missing[after]
