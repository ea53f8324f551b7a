"""Cut recordings into windows: seconds in, places in the store's arrays out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from dcdp.errors import ConfigError, DataError, unknown_name
from dcdp.records import LabelSet, Segment, Signal, SignalSpec, Windows
from dcdp.signals.labels import activities_of, kept_labels, majority_label

__all__ = ["WindowConfig", "cut_windows", "short_recordings"]


@dataclass(frozen=True, slots=True)
class WindowConfig:
    """How recordings become windows. The defaults are those of the ``arena`` protocol.

    Attributes
    ----------
    window_s
        Length of a window, > 0 [s].
    stride_s
        Hop between the starts of two windows, > 0 [s].
    null
        ``drop`` leaves out the windows that belong mostly to no activity, ``keep`` makes them a class of their own.
    gap_s
        Longest gap over which the last value is held when recordings are stored, >= 0 [s]. A window with a longer
        gap in a signal counts that signal as absent.
    short
        ``error`` refuses a window that is longer than every recording, ``drop`` then returns no windows.

    Raises
    ------
    ConfigError
        If a value is out of its range.
    """

    window_s: float = 3.0
    stride_s: float = 1.5
    null: Literal["drop", "keep"] = "drop"
    gap_s: float = 0.2
    short: Literal["error", "drop"] = "error"

    def __post_init__(self) -> None:
        for name in ("window_s", "stride_s"):
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigError(f"{name} must be positive", getattr(self, name), "Give seconds, for example 3.0.")
        if not 0 <= self.gap_s < math.inf:
            raise ConfigError("gap_s must not be negative", self.gap_s, "Give seconds; 0 bridges nothing.")
        for name, choices in (("null", ("drop", "keep")), ("short", ("error", "drop"))):
            if getattr(self, name) not in choices:
                raise unknown_name(name, str(getattr(self, name)), choices)


class _Entry(Protocol):
    """What the cutting of windows reads of a stored recording."""

    @property
    def name(self) -> str: ...
    @property
    def subject(self) -> str: ...
    @property
    def session(self) -> str: ...
    @property
    def segments(self) -> Sequence[Segment]: ...
    @property
    def rows(self) -> Mapping[str, tuple[int, int]]: ...
    @property
    def start_s(self) -> Mapping[str, float]: ...


class _Store(Protocol):
    """What the cutting of windows reads of a store."""

    @property
    def spec(self) -> SignalSpec: ...
    @property
    def labels(self) -> LabelSet: ...
    @property
    def recordings(self) -> Sequence[_Entry]: ...
    def array(self, signal: str, /) -> NDArray[np.float32]: ...


@dataclass(frozen=True, slots=True)
class _Cut:
    """The n windows of one recording: starts (n,), first rows (n, S), presence (n, S), labels (n,)."""

    start_s: NDArray[np.float64]
    rows: NDArray[np.int64]
    present: NDArray[np.bool_]
    label: NDArray[np.int64]

    def take(self, index: NDArray[np.bool_]) -> _Cut:
        return _Cut(self.start_s[index], self.rows[index], self.present[index], self.label[index])


class _Joined:
    """Windows of recording after recording in arrays for the most there can be: what is not filled costs no memory.

    Signals share an array of rows until a recording in which their rows differ.
    """

    def __init__(self, n_most: int, n_signals: int) -> None:
        self.recording, self.label = np.empty(n_most, np.int64), np.empty(n_most, np.int64)
        self.start_s = np.empty(n_most)
        self.present = np.empty((n_most, n_signals), np.bool_)
        self.rows = [np.empty(n_most, np.int64)] * n_signals
        self.n_windows = 0

    def add(self, number: int, cut: _Cut) -> None:
        """Put the windows of a recording behind the others."""
        own = slice(self.n_windows, self.n_windows + len(cut.label))
        self.recording[own], self.label[own], self.start_s[own] = number, cut.label, cut.start_s
        self.present[own] = cut.present
        filled: dict[int, list[tuple[NDArray[np.int64], NDArray[np.int64]]]] = {}
        for column, before in enumerate(self.rows):
            rows, sharers = cut.rows[:, column], filled.setdefault(id(before), [])
            same = next((array for array, other in sharers if np.array_equal(other, rows)), None)
            if same is None:
                same = before.copy() if sharers else before
                same[own] = rows
                sharers.append((same, rows))
            self.rows[column] = same
        self.n_windows = own.stop


def cut_windows(
    store: _Store,
    config: WindowConfig,
    *,
    labelled: bool = True,
    progress: Callable[[int, int, str], None] | None = None,
) -> Windows:
    """Cut every recording of a store into windows on one clock; nothing is copied.

    In each recording, windows start every ``stride_s`` from its first sample of any signal. A signal is present in a
    window if it was recorded from end to end, without NaN; windows in which no signal is present are left out, so a
    recording that is shorter than a window gives none (`short_recordings` names them).

    Parameters
    ----------
    store
        The recordings; its arrays already hold values over gaps of up to ``gap_s``.
    config
        Lengths and policies.
    labelled
        False keeps every window with the label -1, for recordings whose activity is unknown.
    progress
        Called with recordings done, recordings in all, and what is being done.

    Returns
    -------
    Windows
        In the order of the recordings, then of time. Its label set ends with the null class if that is kept, and
        does not name it otherwise. See `majority_label` for the rule.

    Raises
    ------
    ConfigError
        If the null class is to be kept and the set has none, or a segment has a label that the set does not know.
    DataError
        If no recording is as long as a window (unless ``short="drop"``), or no window has an activity.
    """
    labels = kept_labels(store.labels, config.null)
    activities = activities_of(store.labels)
    fits = len(short_recordings(store, config.window_s)) < len(store.recordings)
    if not fits and config.short == "error":
        raise _too_long(store, config.window_s)
    joined = _Joined(sum(len(_starts(store, entry, config.stride_s)) for entry in store.recordings), len(store.spec))
    for number, entry in enumerate(store.recordings):
        cut = _cut_recording(store, entry, config, activities if labelled else None)
        joined.add(number, cut.take(cut.label != len(activities)) if config.null == "drop" else cut)
        if progress is not None:
            progress(number + 1, len(store.recordings), "cutting windows")
    windows = _windows(store, config.window_s, labels, joined)
    if fits and labelled and not (windows.label < len(activities)).any():
        raise DataError(
            "a window must hold an activity", "only windows of the null class or with gaps in every signal",
            "Check the annotation and the signals, or cut with labelled=False to predict.",
        )
    return windows


def short_recordings(store: _Store, window_s: float) -> tuple[str, ...]:
    """Name the recordings in which no signal is as long as a window of ``window_s``."""
    return tuple(
        entry.name
        for entry in store.recordings
        if not any(_n_rows(entry, signal) >= signal.n_samples(window_s) for signal in store.spec)
    )


def _cut_recording(store: _Store, entry: _Entry, config: WindowConfig, activities: Sequence[str] | None) -> _Cut:
    """Cut one recording; without ``activities`` every label is -1."""
    start_s = _starts(store, entry, config.stride_s)
    rows = np.zeros((len(start_s), len(store.spec)), np.int64)
    present = np.zeros(rows.shape, np.bool_)
    for column, signal in enumerate(store.spec):
        if _n_rows(entry, signal):
            rows[:, column], present[:, column] = _place(store, entry, signal, start_s, config.window_s)
    whole = present.any(axis=1)
    start_s, rows, present = start_s[whole], rows[whole], present[whole]
    if activities is None:
        return _Cut(start_s, rows, present, np.full(len(start_s), -1))
    for label in {part.label for part in entry.segments} - {store.labels.null_label}:
        store.labels.index(label)  # a label that the set does not know is no null class but a mistake
    return _Cut(start_s, rows, present, majority_label(entry.segments, start_s, config.window_s, activities))


def _starts(store: _Store, entry: _Entry, stride_s: float) -> NDArray[np.float64]:
    """Return every start from the first sample of any signal to the last; the caller keeps those that fit."""
    recorded = [signal for signal in store.spec if _n_rows(entry, signal)]
    if not recorded:
        return np.empty(0)
    first_s = min(entry.start_s[signal.name] for signal in recorded)
    last_s = max(entry.start_s[signal.name] + _n_rows(entry, signal) / signal.rate_hz for signal in recorded)
    n_starts = math.floor((last_s - first_s) / stride_s) + 1
    return np.asarray(first_s + stride_s * np.arange(n_starts), np.float64)


def _place(
    store: _Store, entry: _Entry, signal: Signal, start_s: NDArray[np.float64], window_s: float
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the first rows of the windows in the signal's array (0 where absent), and where it is present."""
    first, n_rows = entry.rows[signal.name]
    n_samples = signal.n_samples(window_s)
    # Half a sample goes up; the small term keeps 37.4999999 and 37.5 together.
    offset = np.floor((start_s - entry.start_s[signal.name]) * signal.rate_hz + 0.5 + 1e-6).astype(np.int64)
    present = (offset >= 0) & (offset + n_samples <= n_rows)
    if signal.name in getattr(entry, "complete", ()):  # its writer has looked: the values need not be read
        return np.where(present, first + offset, 0), present
    n_missing = _missing_before(store.array(signal.name)[first : first + n_rows])
    if n_missing is not None:
        begin = np.where(present, offset, 0)
        present &= n_missing[np.minimum(begin + n_samples, n_rows)] == n_missing[begin]
    return np.where(present, first + offset, 0), present


def _missing_before(values: NDArray[np.float32]) -> NDArray[np.int64] | None:
    """Count the rows before each place that are not all finite, (T + 1,); None if there is none."""
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(values.sum()):  # one fast pass: a sum hides no NaN and no infinity
            return None
    return np.concatenate([[0], np.cumsum(~np.isfinite(values).all(axis=1))])


def _n_rows(entry: _Entry, signal: Signal) -> int:
    return entry.rows.get(signal.name, (0, 0))[1]


def _too_long(store: _Store, window_s: float) -> DataError:
    """Return the error for a window that is longer than every recording."""
    longest_s, name = max(
        ((_n_rows(entry, signal) / signal.rate_hz, entry.name) for entry in store.recordings for signal in store.spec),
        default=(0.0, "none"),
    )
    return DataError(
        "a window must fit a recording", f"{window_s:g} s, the longest ('{name}') has {longest_s:g} s",
        "Shorten window_s or set short='drop'.",
    )


def _windows(store: _Store, window_s: float, labels: LabelSet, joined: _Joined) -> Windows:
    n_windows = joined.n_windows
    recording = joined.recording[:n_windows]
    kept = {id(rows): rows[:n_windows] for rows in joined.rows}
    for rows in kept.values():
        rows.flags.writeable = False  # signals share it
    return Windows(
        window_s,
        recording,
        joined.start_s[:n_windows],
        {name: kept[id(rows)] for name, rows in zip(store.spec.names, joined.rows, strict=True)},
        joined.present[:n_windows],
        joined.label[:n_windows],
        np.array([entry.subject for entry in store.recordings], dtype=np.str_)[recording],
        labels,
        np.array([entry.session for entry in store.recordings], dtype=np.str_)[recording],
    )
