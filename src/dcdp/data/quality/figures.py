"""What is measured of a store: plain numbers by signal, recording and subject, ready for JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from dcdp.records import Note

__all__ = [
    "QUANTILES",
    "ChannelFigures",
    "Copy",
    "CoverageFigures",
    "FrameFigures",
    "GapFigures",
    "Quality",
    "RecordingFigures",
    "SignalFigures",
    "to_plain",
]

QUANTILES = (0.001, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999)
"""Quantiles of a channel's values that are kept."""


@dataclass(frozen=True, slots=True)
class GapFigures:
    """Stretches in which a signal has a row with NaN, beyond those that were bridged when the store was written.

    Attributes
    ----------
    n
        Number of gaps.
    longest_s, total_s
        Length of the longest one, and of all together [s].
    share
        Rows with NaN over all rows, in [0, 1].
    """

    n: int = 0
    longest_s: float = 0.0
    total_s: float = 0.0
    share: float = 0.0


@dataclass(frozen=True, slots=True)
class ChannelFigures:
    """One channel over the whole store.

    Attributes
    ----------
    name
        Of the channel.
    n_measured
        Values that are numbers.
    missing_share
        NaN over all values, in [0, 1].
    low, high
        Extremes; None without a value.
    quantiles
        Of evenly spread rows, at `QUANTILES`; empty without a value.
    counts
        Histogram of the same rows: equal bins from the first to the last quantile, the rest in the outermost ones.
    at_low, at_high
        Values at the lowest and at the highest level that sit there for three samples or more in a row.
    flat_share
        Share of the rows in stuck stretches (see `RecordingFigures.flat_s` for how long those are), in [0, 1].
    stuck_on
        Subjects for whom the channel has a single level throughout, with that level.
    """

    name: str
    n_measured: int
    missing_share: float
    low: float | None
    high: float | None
    quantiles: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()
    at_low: int = 0
    at_high: int = 0
    flat_share: float = 0.0
    stuck_on: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class FrameFigures:
    """How an accelerometer sits in the field of gravity on one subject.

    Attributes
    ----------
    subject
        Name.
    rest
        Median magnitude over the quietest quarter of the stretches [the signal's unit]; None without a whole stretch.
    direction
        Unit vector of the mean acceleration; empty without a value.
    angle_deg
        Angle to where gravity points on the other subjects in the same activities, the median over activities [deg];
        None with fewer than three other subjects.
    """

    subject: str
    rest: float | None
    direction: tuple[float, ...] = ()
    angle_deg: float | None = None


@dataclass(frozen=True, slots=True)
class SignalFigures:
    """One signal over the whole store.

    Attributes
    ----------
    name, modality, placement, unit, rate_hz
        As declared.
    n_rows, n_recordings
        Rows, and recordings that have any.
    gaps
        Of all recordings together.
    channels
        In column order.
    frames
        By subject, for an accelerometer with three axes; else empty.
    rest
        Magnitude at rest over all subjects, for the same signals.
    rest_problem
        What `dcdp.signals.units.check_gravity` says of it.
    """

    name: str
    modality: str
    placement: str
    unit: str
    rate_hz: float
    n_rows: int
    n_recordings: int
    gaps: GapFigures
    channels: tuple[ChannelFigures, ...]
    frames: tuple[FrameFigures, ...] = ()
    rest: float | None = None
    rest_problem: str | None = None

    @property
    def missing_share(self) -> float:
        """Share of NaN in the worst channel, in [0, 1]."""
        return max(one.missing_share for one in self.channels)

    @property
    def at_limit_share(self) -> float:
        """Share of the worst channel's values that sit at one of its limits, in [0, 1]."""
        measured = (one for one in self.channels if one.n_measured)
        return max((max(one.at_low, one.at_high) / one.n_measured for one in measured), default=0.0)


@dataclass(frozen=True, slots=True)
class RecordingFigures:
    """One recording. Signals in which nothing was found are left out of the mappings.

    Attributes
    ----------
    name, subject, session, notes
        As recorded.
    start_s, stop_s
        From the first sample of any signal to the end of the last [s].
    spans_s
        Signal -> (start, stop) of what was recorded of it [s]; no entry where it was not recorded.
    gaps
        Signal -> its gaps.
    gap_spans_s
        Signal -> its longest gaps, at most 100, in order of time.
    flat_s
        Channel -> longest stuck stretch [s]: one value for 2 s and 25 samples or more (a motion sensor), or for 60 s
        (any other).
    flat_spans_s
        Signal -> longest stuck stretches of any of its channels, at most 100, in order of time.
    """

    name: str
    subject: str
    session: str
    start_s: float
    stop_s: float
    spans_s: Mapping[str, tuple[float, float]]
    gaps: Mapping[str, GapFigures]
    gap_spans_s: Mapping[str, tuple[tuple[float, float], ...]]
    flat_s: Mapping[str, float]
    flat_spans_s: Mapping[str, tuple[tuple[float, float], ...]]
    notes: tuple[Note, ...] = ()

    @property
    def duration_s(self) -> float:
        """Length [s]."""
        return self.stop_s - self.start_s


@dataclass(frozen=True, slots=True)
class CoverageFigures:
    """Who shows which class for how long.

    Attributes
    ----------
    subjects
        Sorted.
    classes
        The activities, in class order; without the null class.
    null_label
        Name of the null class, if it has one.
    recorded_s
        Recorded time of each subject [s].
    labelled_s
        Subject x class: time in segments of that class [s].
    window_s, stride_s
        Of the windows below (the default).
    windows
        Subject x class: windows in which some signal is whole.
    """

    subjects: tuple[str, ...]
    classes: tuple[str, ...]
    null_label: str | None
    recorded_s: tuple[float, ...]
    labelled_s: tuple[tuple[float, ...], ...]
    window_s: float
    stride_s: float
    windows: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Copy:
    """A stretch whose values stand twice in a store, bit by bit.

    Attributes
    ----------
    recording, other
        Names of the two recordings; the same name for a stretch that is repeated within one.
    subject, other_subject
        Who was recorded.
    start_s, other_start_s
        Where the longest common stretch begins, from the start of each signal [s].
    length_s
        How long it is [s].
    total_s
        All common stretches at this shift together [s].
    signals
        In which it was found.
    whole
        Whether the stretch is all of the shorter recording.
    n_windows
        Windows (of the default length) that lie in it, counted once.
    """

    recording: str
    other: str
    subject: str
    other_subject: str
    start_s: float
    other_start_s: float
    length_s: float
    total_s: float
    signals: tuple[str, ...]
    whole: bool
    n_windows: int


@dataclass(frozen=True, slots=True)
class Quality:
    """All that is measured of a store.

    Attributes
    ----------
    signals, recordings
        In the order of the store.
    coverage
        Labels and windows by subject and class.
    copies
        The longest first.
    n_shared_windows
        Windows whose values also occur in a recording of another subject.
    copies_from_s
        Length from which every copied stretch is found [s].
    """

    signals: tuple[SignalFigures, ...]
    recordings: tuple[RecordingFigures, ...]
    coverage: CoverageFigures
    copies: tuple[Copy, ...] = ()
    n_shared_windows: int = 0
    copies_from_s: float = 0.0

    def stuck_s(self, signal: SignalFigures) -> float:
        """Return the longest stuck stretch of any channel of a signal [s]; 0 if there is none."""
        channels = {channel.name for channel in signal.channels}
        found = (length for one in self.recordings for name, length in one.flat_s.items() if name in channels)
        return max(found, default=0.0)


def to_plain(figures: Any) -> Any:
    """Return figures as what JSON can hold; a number that is not finite becomes null.

    Examples
    --------
    >>> to_plain(GapFigures(1, 0.5, 0.5, float("nan")))
    {'n': 1, 'longest_s': 0.5, 'total_s': 0.5, 'share': None}
    """
    return _plain(asdict(figures))


def _plain(item: Any) -> Any:
    if isinstance(item, Mapping):
        return {str(key): _plain(value) for key, value in item.items()}
    if isinstance(item, (list, tuple)):
        return [_plain(value) for value in item]
    if isinstance(item, float) and not math.isfinite(item):
        return None
    return item
