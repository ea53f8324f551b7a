"""Change the rate of a recording, or of a live stream, without aliasing."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from dcdp.errors import ConfigError, DataError
from dcdp.signals.gaps import nan_runs

__all__ = ["CausalResampler", "resample"]

# Bounds the ratio's relative error by about 1e-8, well under a sample over the longest recording.
_MAX_DENOMINATOR = 10_000
_HALF_LENGTH = 10  # of the filter, in samples of the lower rate; as in SciPy's resample_poly
_KAISER_BETA = 5.0


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
    is written; `CausalResampler` is for live streams. Inside a gap it sees a straight line between the two sides.
    """
    ratio = _ratio(rate_hz, to_hz)
    if ratio == 1 or not len(values):
        return values.astype(np.float32)
    missing = np.isnan(values)
    result = _filter(_bridge(values, missing), ratio)
    return np.where(_spread(missing, ratio, len(result)), np.nan, result).astype(np.float32)


class CausalResampler:
    """Resample a stream chunk by chunk, with the filter of `resample`.

    Sample k of what comes out belongs to the time ``k / to_hz`` after the first row that went in, as in `resample`.
    It comes out at the latest with the first row that is `delay_s` later: ten samples of the lower rate, the half
    length of the filter. How the rows are cut into chunks does not change one bit of it.

    Parameters
    ----------
    rate_hz, to_hz
        Rate before and after, > 0 [Hz].
    n_channels
        Columns, > 0.

    Raises
    ------
    ConfigError
        If a rate is not positive, or there is no channel.

    Notes
    -----
    Which samples are NaN follows the rule of `resample`. What the filter sees in their place differs where the future
    is not known: in a gap of at most `delay_s` the straight line between the two sides, for which the samples beside
    it wait; at a longer gap, and at the start, the last value before it or the first value after it. Away from these
    the values are those of `resample` to the precision of float32.

    Examples
    --------
    >>> stream = CausalResampler(50.0, 25.0, 1)
    >>> stream.delay_s
    0.4
    >>> [len(stream.push(np.ones((10, 1)))) for _ in range(4)], len(stream.flush())
    ([0, 0, 5, 5], 10)
    """

    def __init__(self, rate_hz: float, to_hz: float, n_channels: int) -> None:
        ratio = _ratio(rate_hz, to_hz)
        if n_channels < 1:
            raise ConfigError("n_channels must be positive", n_channels, "Give the number of columns.")
        self._up, self._down, self._n_channels = ratio.numerator, ratio.denominator, n_channels
        self._half = _HALF_LENGTH * max(self._up, self._down) if ratio != 1 else 0
        self._longest_line = self._half // self._up
        self._reach = self._longest_line + 1
        self._taps = self._phases()
        self._rate_hz = rate_hz
        self.reset()

    @property
    def delay_s(self) -> float:
        """Longest time from a sample to the row with which it comes out, where no gap has to be bridged [s]."""
        return self._half / self._up / self._rate_hz

    def reset(self) -> None:
        """Forget everything: the next row is the first."""
        shape = (0, self._n_channels)
        # Rows that wait until their gaps can be filled: values, what was missing, what came after a long gap.
        self._values, self._missing, self._fresh = np.empty(shape), np.empty(shape, bool), np.empty(shape, bool)
        self._last = np.zeros(self._n_channels)
        self._lost = np.ones(self._n_channels, bool)  # before the first value it is as in a long gap
        # Rows that the filter may still need, the first of which has the number `_first`.
        self._history = np.zeros((self._reach, self._n_channels))
        self._gaps = np.ones((self._reach, self._n_channels), bool)
        self._first, self._n_out = -self._reach, 0

    def push(self, chunk: NDArray[np.floating]) -> NDArray[np.float32]:
        """Take in rows, and return the samples that are complete.

        Parameters
        ----------
        chunk
            (N, C), N >= 0, NaN where nothing was measured; an infinite value counts as missing.

        Returns
        -------
        NDArray
            (M, C) float32, M >= 0.

        Raises
        ------
        DataError
            If the chunk has not C columns.
        """
        if chunk.ndim != 2 or chunk.shape[1] != self._n_channels:
            raise DataError(f"a chunk must be (N, {self._n_channels})", f"shape {chunk.shape}", "Give whole rows.")
        rows: NDArray[np.float64] = np.where(np.isfinite(chunk), chunk, np.nan).astype(np.float64)
        if not self._half:
            return rows.astype(np.float32)
        return self._pass_on(self._take_in(rows))

    def flush(self) -> NDArray[np.float32]:
        """Return the samples up to the last row, beyond which its value is held, and reset."""
        n_rows = self._first + len(self._history) + len(self._values)
        for channel in range(self._n_channels):
            self._fill(channel, len(self._values), at_end=True)
        found = [self._pass_on(len(self._values))]
        if self._half and n_rows > 0:
            n_left = -(-n_rows * self._up // self._down) - self._n_out
            held = np.repeat(self._history[-1:], self._reach + 1, axis=0)
            found.append(self._advance(held, np.repeat(self._gaps[-1:], self._reach + 1, axis=0))[:n_left])
        self.reset()
        return np.concatenate(found)

    def _phases(self) -> NDArray[np.float64]:
        """Return the filter by distance in rows and phase, (2 * reach + 1, up)."""
        from scipy.signal import firwin

        if not self._half:
            return np.ones((1, 1))
        filter_ = self._up * firwin(2 * self._half + 1, 1 / max(self._up, self._down), window=("kaiser", _KAISER_BETA))
        rows = np.arange(-self._reach, self._reach + 1)
        place = np.arange(self._up) - rows[:, None] * self._up + self._half
        inside = (place >= 0) & (place < len(filter_))
        taps: NDArray[np.float64] = np.where(inside, filter_[np.where(inside, place, 0)], 0.0)
        return taps

    def _take_in(self, chunk: NDArray[np.float64]) -> int:
        """Queue rows, fill the gaps that can be filled, and return how many rows can go on."""
        n_before = len(self._values)
        self._values = np.concatenate([self._values, chunk])
        self._missing = np.concatenate([self._missing, np.isnan(chunk)])
        self._fresh = np.concatenate([self._fresh, np.zeros(chunk.shape, bool)])
        return min(self._fill(channel, n_before) for channel in range(self._n_channels))

    def _fill(self, channel: int, n_before: int, at_end: bool = False) -> int:
        """Fill the gaps of a channel, and return the number of rows before the first that stays open."""
        values, n_rows = self._values[:, channel], len(self._values)
        if self._lost[channel] and n_before < n_rows and not np.isnan(values[n_before]):
            self._fresh[n_before, channel], self._lost[channel] = True, False
        for start, stop in nan_runs(values[:, None]):
            before = values[start - 1] if start else self._last[channel]
            known = stop < n_rows
            if known and not self._lost[channel] and stop - start <= self._longest_line:
                part = np.arange(1, stop - start + 1) / (stop - start + 1)
                values[start:stop] = before + part * (values[stop] - before)
            elif known or at_end or self._lost[channel] or stop - start > self._longest_line:
                values[start:stop] = before
                self._lost[channel] = not known
                if known:
                    self._fresh[stop, channel] = True
            else:
                return int(start)
        return n_rows

    def _pass_on(self, n_rows: int) -> NDArray[np.float32]:
        """Filter the first rows of the queue; behind a long gap the filter starts anew."""
        if not n_rows:
            return np.empty((0, self._n_channels), np.float32)
        cuts = np.unique(np.concatenate([[0], np.flatnonzero(self._fresh[:n_rows].any(axis=1)), [n_rows]]))
        found = []
        for start, stop in pairwise(cuts):
            anew = self._fresh[start]
            self._history[:, anew] = self._values[start, anew]
            found.append(self._advance(self._values[start:stop], self._missing[start:stop]))
        self._last = self._values[n_rows - 1].copy()
        self._values, self._missing, self._fresh = (
            rows[n_rows:] for rows in (self._values, self._missing, self._fresh)
        )
        return np.concatenate(found)

    def _advance(self, rows: NDArray[np.float64], missing: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Append filled rows to the history, and return the samples that are complete with them."""
        self._history = np.concatenate([self._history, rows])
        self._gaps = np.concatenate([self._gaps, missing])
        n_rows = self._first + len(self._history)
        n_out = max((n_rows * self._up - 1 - self._half) // self._down + 1, self._n_out)
        at = np.arange(self._n_out, n_out, dtype=np.int64) * self._down
        row, phase = at // self._up - self._first, at % self._up
        total = np.zeros((len(at), self._n_channels))
        for number, taps in enumerate(self._taps):  # one tap at a time: a sum whose order no chunk can change
            # Where the filter has ended, the tap is 0 and the row need not have come yet.
            total += taps[phase, None] * self._history[np.minimum(row - self._reach + number, len(self._history) - 1)]
        total[self._gaps[row] | self._gaps[row + (phase > 0)]] = np.nan
        self._n_out = n_out
        n_old = n_out * self._down // self._up - self._reach - self._first
        self._history, self._gaps = self._history[n_old:], self._gaps[n_old:]
        self._first += n_old
        with np.errstate(over="ignore"):
            return total.astype(np.float32)


def _ratio(rate_hz: float, to_hz: float) -> Fraction:
    if not (0 < rate_hz < np.inf and 0 < to_hz < np.inf):
        raise ConfigError("rates must be positive", f"{rate_hz} to {to_hz} Hz", "Give both rates in Hz.")
    return Fraction(to_hz / rate_hz).limit_denominator(_MAX_DENOMINATOR)


def _filter(values: NDArray[np.float64], ratio: Fraction) -> NDArray[np.float64]:
    """Apply SciPy's polyphase filter; beyond both ends it sees the line through the first and last sample."""
    from scipy.signal import resample_poly  # a slow import that cutting windows does not need

    if len(values) == 1:  # no line goes through one sample
        return np.repeat(values, -(-ratio.numerator // ratio.denominator), axis=0)
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
