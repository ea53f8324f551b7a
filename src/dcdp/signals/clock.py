"""Bring samples with times of their own onto a regular clock, and say what was wrong with the times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from dcdp.errors import ConfigError, DataError, FormatError
from dcdp.records import Note, Signal, Stream, Track
from dcdp.signals.batches import in_batches, repeats, spread_batches
from dcdp.signals.resample import resample
from dcdp.signals.tidy import part_of_rows, require_finite_times, tidy_times

__all__ = ["on_clock", "regularise", "sampling_rate", "tidy_times"]

_GAP_STEPS = 1.75
_REGULAR_SHARE = 0.75
_RATE_TOLERANCE = 0.005  # clocks of sensors are off by less, rates on purpose by more
_ROUNDING_SAMPLES = 0.1
_GAP_SAMPLES = 1.5
_SPARSEST = 0.05
_ALWAYS_SAMPLES = 2**20  # a clock this long is made however little of it was recorded: 3 h at 100 Hz
_STRAY_SHARE = 0.01

_BRIDGED_PERIODS = 3.0  # two lost samples in a row are interpolated, three are a gap
_TOLD_JITTER = 0.01


def sampling_rate(times_s: NDArray[np.float64], nominal_hz: float | None = None) -> float:
    """Estimate the rate of a sensor from the times of its samples.

    Parameters
    ----------
    times_s
        (N,), N >= 2, strictly increasing [s].
    nominal_hz
        The rate that is expected, if one is.

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
    if len(times_s) < 2:
        raise FormatError("a rate must be told by two samples or more", len(times_s), "Give the rate in Hz.")
    steps = np.diff(times_s)
    typical = np.median(steps)
    regular = steps[np.abs(steps - typical) < 0.5 * typical]
    if len(regular) < _REGULAR_SHARE * len(steps):
        raise FormatError(
            "time_s must have regular steps",
            f"{len(steps) - len(regular)} of {len(steps)} steps far from {typical:.4g} s",
            "Write the time of each sample, or leave time_s out and give the rate.",
        )
    # Short steps must count as much as long ones: a mean over the regular ones alone would be off where times jitter.
    unbroken = steps[steps < _GAP_STEPS * typical]
    return _likely_rate(float(1 / unbroken.mean()), nominal_hz)


def _likely_rate(rate_hz: float, nominal_hz: float | None) -> float:
    for likely in (nominal_hz, float(round(rate_hz))):
        if likely and abs(rate_hz / likely - 1) <= _RATE_TOLERANCE:
            return likely
    return rate_hz


def on_clock(
    times_s: NDArray[np.float64],
    values: NDArray[np.float64],
    rate_hz: float,
    max_gap_s: float | None = None,
    start_s: float | None = None,
) -> NDArray[np.float32]:
    """Interpolate samples to a regular clock.

    Times within a tenth of a sample of the clock are taken to be rounded: those samples stay as they are.

    Parameters
    ----------
    times_s
        (N,), N >= 1, strictly increasing [s].
    values
        (N, C), NaN where a channel was not measured.
    rate_hz
        Of the clock [Hz].
    max_gap_s
        Longest step that is interpolated [s]; None: 1.5 periods of the clock.
    start_s
        First moment of the clock; None: that of the first sample.

    Returns
    -------
    NDArray
        (T, C) float32, up to the last sample; NaN before the first one and between two that are too far apart.

    Raises
    ------
    FormatError
        If less than a twentieth of the time was recorded, and the clock would have more than a million samples.

    Examples
    --------
    >>> on_clock(np.array([0.0, 0.1, 0.4]), np.array([[1.0], [2.0], [3.0]]), 10.0).ravel().tolist()
    [1.0, 2.0, nan, nan, 3.0]
    """
    place = _snapped((times_s - (times_s[0] if start_s is None else start_s)) * rate_hz)
    if _too_long(float(place[-1]), len(place)):  # bounds the memory that a stray time can ask for
        _refuse_length(times_s, rate_hz)
    max_gap_samples = _GAP_SAMPLES if max_gap_s is None else max_gap_s * rate_hz
    clock = np.arange(int(np.floor(place[-1])) + 1, dtype=np.float64)
    before = np.searchsorted(place, clock, side="right") - 1
    result = np.where(before[:, None] >= 0, values[before], np.nan)
    moved = np.flatnonzero((before >= 0) & (clock > place[before]))
    result[moved] = _between(place, values, clock[moved], before[moved], max_gap_samples)
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and counts as missing
        return result.astype(np.float32)


def _between(
    place: NDArray[np.float64],
    values: NDArray[np.float64],
    clock: NDArray[np.float64],
    before: NDArray[np.int64],
    max_gap: float,
) -> NDArray[np.float64]:
    """Interpolate by cubic pieces whose slope at a sample is that of the parabola through it and its neighbours.

    A straight line would take 7 % off a movement of 6 Hz sampled at 50 Hz, where a tick is halfway. Beside a gap
    the slope is that of the one known side.
    """
    step = np.diff(place)[:, None]
    with np.errstate(over="ignore", invalid="ignore"):
        rise = np.where(step <= max_gap, np.diff(values, axis=0) / step, np.nan)
        slope = np.concatenate([rise[:1], (step[1:] * rise[:-1] + step[:-1] * rise[1:]) / (step[1:] + step[:-1]),
                                rise[-1:]])  # fmt: skip
        slope[:-1] = np.where(np.isnan(slope[:-1]), rise, slope[:-1])
        slope[1:] = np.where(np.isnan(slope[1:]), rise, slope[1:])
        share = ((clock - place[before])[:, None]) / step[before]
        first, last, mean = slope[before], slope[before + 1], rise[before]
        bend = 3 * mean - 2 * first - last + share * (first + last - 2 * mean)
        return np.asarray(values[before] + share * step[before] * (first + share * bend), np.float64)


def _too_long(n_periods: float, n_samples: int) -> bool:
    return n_periods > _ALWAYS_SAMPLES and n_periods * _SPARSEST > n_samples


def _refuse_length(times_s: NDArray[np.float64], rate_hz: float) -> NoReturn:
    raise FormatError(
        "a recording must have no gap of most of its time",
        f"{len(times_s)} samples at {rate_hz:g} Hz over {times_s[-1] - times_s[0]:.6g} s",
        "Split the file at its long gaps; check that time_s is in seconds.",
    )


def _snapped(place: NDArray[np.float64]) -> NDArray[np.float64]:
    """Move places (in samples) that are nearly whole onto whole ones."""
    whole = np.rint(place)
    moved = np.where(np.abs(place - whole) < _ROUNDING_SAMPLES, whole, place)
    return moved if (np.diff(moved) > 0).all() else place


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows on their way to a regular clock: strictly increasing times, the rate of the device, and what was noted."""

    times_s: NDArray[np.float64]
    values: NDArray[np.float64]
    rate_hz: float
    notes: tuple[Note, ...]


def regularise(
    stream: Stream, rate_hz: float | None = None, origin_s: float = 0.0, max_gap_s: float | None = None
) -> tuple[Track, tuple[Note, ...]]:
    """Put a stream on a regular clock, and note everything that was done to its times.

    Rows are tidied (see `tidy_times`; rows without any value are left out). The rate of the device is estimated. Rows
    stamped in batches, many at nearly one time, are spread evenly. Values are interpolated to a clock at the rate of
    the device, which starts with the first sample; if another rate is wanted they are then resampled with a low-pass
    filter, so that nothing is aliased.

    Parameters
    ----------
    stream
        As the device wrote it. Its ``rate_hz`` is the rate that is expected.
    rate_hz
        Wanted rate [Hz]; None: that of the device.
    origin_s
        Moment on the device's clock that is time 0 of the track [s].
    max_gap_s
        Longest step that is interpolated [s]; None: three periods of the device. In a longer one the track is NaN.

    Returns
    -------
    Track, notes
        Notes of kinds ``out_of_order``, ``duplicate_times``, ``stray_times``, ``bursts``, ``rate``, ``rate_jitter``,
        ``gap`` and ``resampled``.

    Raises
    ------
    ConfigError
        If ``rate_hz`` or ``max_gap_s`` is not positive.
    DataError
        If there are no values, no rate can be told, or less than a twentieth of the time was recorded.
    """
    for name, option in (("rate_hz", rate_hz), ("max_gap_s", max_gap_s)):
        if option is not None and not 0 < option < np.inf:
            raise ConfigError(f"{name} must be positive", option, f"Leave {name} out to take that of the device.")
    rows = _without_strays(_read_rows(stream, rate_hz), stream.name)
    max_gap_s = max_gap_s or _BRIDGED_PERIODS / rows.rate_hz
    values = on_clock(rows.times_s, rows.values, rows.rate_hz, max_gap_s)
    notes = [*rows.notes, *_timing_notes(rows, stream, max_gap_s)]
    to_hz = rate_hz or rows.rate_hz
    if to_hz != rows.rate_hz:
        values = resample(values, rows.rate_hz, to_hz)
        told = f"resampled from {rows.rate_hz:.6g} Hz to {to_hz:.6g} Hz"
        notes.append(Note("resampled", stream.name, to_hz, "Hz", told))
    signal = Signal(stream.name, stream.modality, stream.placement, to_hz, stream.channels, stream.unit)
    return Track(signal, values, float(rows.times_s[0]) - origin_s), tuple(notes)


def _read_rows(stream: Stream, wanted_hz: float | None) -> _Rows:
    """Tidy a stream and find its rate."""
    require_finite_times(stream.times_s, stream.name)
    filled = np.flatnonzero(~np.isnan(stream.values).all(axis=1))
    times_s, values = stream.times_s[filled], stream.values[filled]
    if not len(times_s):
        raise DataError(f"'{stream.name}' must hold values", f"none in {len(stream.times_s)} rows", "Leave it out.")
    nominal_hz = stream.rate_hz
    if in_batches(np.diff(np.sort(times_s)), nominal_hz) and not repeats(times_s, values):
        # Tidied for the notes, and to refuse a clock that was set back; rows of one time are kept here.
        told = tuple(note for note in tidy_times(times_s, values, stream.name)[2] if note.kind == "out_of_order")
        times_s, values, batch_hz, note = spread_batches(times_s, values, stream.name)
        return _Rows(times_s, values, _likely_rate(batch_hz, nominal_hz), (*told, note))
    times_s, values, notes = tidy_times(times_s, values, stream.name)
    if len(times_s) == 1:
        rate = nominal_hz or wanted_hz
        if rate is None or len(filled) > 1:
            raise DataError(f"the times of '{stream.name}' must differ", f"{len(filled)} rows at one time",
                            "Give the rate, and a time for each row.")
        return _Rows(times_s, values, rate, notes)
    try:
        rate = sampling_rate(times_s, nominal_hz)
    except FormatError:  # a sensor that reports when it likes, such as heart rate
        rate = nominal_hz or _likely_rate(float(1 / np.median(np.diff(times_s))), None)
    return _Rows(times_s, values, rate, notes)


def _without_strays(rows: _Rows, signal: str) -> _Rows:
    """Leave out a few rows with times far from all others, if with them the clock would be too long."""
    if not _too_long((rows.times_s[-1] - rows.times_s[0]) * rows.rate_hz, len(rows.times_s)):
        return rows
    edges = np.concatenate([[0], np.flatnonzero(np.diff(rows.times_s) * rows.rate_hz > _ALWAYS_SAMPLES) + 1])
    n_rows = np.diff(edges, append=len(rows.times_s))
    most = int(n_rows.argmax())
    n_stray = len(rows.times_s) - int(n_rows[most])
    if n_stray > _STRAY_SHARE * len(rows.times_s):
        _refuse_length(rows.times_s, rows.rate_hz)
    kept = slice(edges[most], edges[most] + n_rows[most])
    told = f"{part_of_rows(n_stray, len(rows.times_s))} had times far from all others and were left out"
    note = Note("stray_times", signal, float(n_stray), "rows", told)
    return _Rows(rows.times_s[kept], rows.values[kept], rows.rate_hz, (*rows.notes, note))


def _timing_notes(rows: _Rows, stream: Stream, max_gap_s: float) -> list[Note]:
    """Return notes on a rate that is not the declared one, on jitter, and on gaps."""
    notes: list[Note] = []
    name, nominal_hz, period_s = stream.name, stream.rate_hz, 1 / rows.rate_hz
    steps = np.diff(rows.times_s)
    if nominal_hz and abs(rows.rate_hz / nominal_hz - 1) > _RATE_TOLERANCE:
        told = f"the rate is {rows.rate_hz:.6g} Hz, not {nominal_hz:.6g} Hz as declared"
        notes.append(Note("rate", name, rows.rate_hz, "Hz", told))
    inside: NDArray[np.float64] = steps[steps <= max_gap_s]
    spread_s = 1.4826 * float(np.median(np.abs(inside - np.median(inside)))) if len(inside) else 0.0
    if spread_s > _TOLD_JITTER * period_s:
        told = f"steps between samples spread by {1e3 * spread_s:.3g} ms, {spread_s / period_s:.2g} of a period"
        notes.append(Note("rate_jitter", name, spread_s, "s", told))
    gap = np.flatnonzero(steps > max_gap_s)
    if len(gap):
        lost_s = float((steps[gap] - period_s).sum())
        longest = gap[steps[gap].argmax()]
        told = (
            f"{len(gap)} {'gap' if len(gap) == 1 else 'gaps'} of {lost_s:.4g} s in all, "
            f"the longest of {steps[longest]:.4g} s after {rows.times_s[longest] - rows.times_s[0]:.4g} s"
        )
        notes.append(Note("gap", name, lost_s, "s", told))
    return notes
