"""The frozen records that cross floors: signals, recordings, branches, labels, windows.

Units are fixed: acceleration m/s2, angular rate deg/s, magnetic field uT (or ``"1"`` where a set
gives a normalised field), heart rate bpm; time in seconds. See ``docs/conventions.md``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dcdp.errors import ConfigError, DataError, unknown_name

__all__ = [
    "Branch",
    "Capture",
    "LabelSet",
    "Note",
    "Recording",
    "Segment",
    "Signal",
    "SignalSpec",
    "Stream",
    "Track",
    "Windows",
]


@dataclass(frozen=True, slots=True)
class Signal:
    """What is always true of one sensor at one place: name, channels, unit, rate.

    Attributes
    ----------
    name
        ``placement_modality`` such as ``"wrist_acc"``; unique within a spec.
    modality
        ``acc``, ``gyr``, ``mag``, ``hr``, ``emg``, ``ecg``, ...
    placement
        Where it is worn: ``wrist``, ``chest``, ``waist``, ...
    rate_hz
        Nominal sampling rate, > 0 [Hz].
    channels
        Channel names in column order, e.g. ``("wrist_acc_x", "wrist_acc_y", "wrist_acc_z")``.
    unit
        Unit of every channel: ``m/s2``, ``deg/s``, ``uT``, ``bpm``, ``1``.
    """

    name: str
    modality: str
    placement: str
    rate_hz: float
    channels: tuple[str, ...]
    unit: str

    def __post_init__(self) -> None:
        if not self.rate_hz > 0:
            raise DataError("rate_hz must be positive", f"{self.rate_hz} for '{self.name}'", "Give the rate in Hz.")
        if not self.channels or len(set(self.channels)) != len(self.channels):
            raise DataError("channels must be named once each", f"{self.channels}", "Name every column, once.")

    def n_samples(self, duration_s: float) -> int:
        """Return the samples of a stretch of ``duration_s``: the nearest whole number and at least 1.

        Examples
        --------
        >>> Signal("chest_hr", "hr", "chest", 1.0, ("chest_hr",), "bpm").n_samples(3.0)
        3
        """
        return max(1, round(duration_s * self.rate_hz))


@dataclass(frozen=True, slots=True)
class SignalSpec:
    """The signals of a data set, in a fixed order."""

    signals: tuple[Signal, ...]

    def __post_init__(self) -> None:
        names = self.names
        if not names or len(set(names)) != len(names):
            raise DataError("signals must be named once each", f"{names}", "Give each sensor its own name.")

    def __iter__(self) -> Iterator[Signal]:
        return iter(self.signals)

    def __len__(self) -> int:
        return len(self.signals)

    def __getitem__(self, name: str) -> Signal:
        for signal in self.signals:
            if signal.name == name:
                return signal
        raise unknown_name("signal", name, self.names)

    @property
    def names(self) -> tuple[str, ...]:
        """Signal names in order."""
        return tuple(signal.name for signal in self.signals)

    @property
    def n_channels(self) -> int:
        """Channels of all signals together."""
        return sum(len(signal.channels) for signal in self.signals)


@dataclass(frozen=True, slots=True)
class Track:
    """One signal as recorded: values (T, C) in the signal's unit, NaN where nothing was measured."""

    signal: Signal
    values: NDArray[np.float32]
    start_s: float = 0.0

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.shape[1] != len(self.signal.channels):
            raise DataError(
                f"values must be (T, {len(self.signal.channels)}) for '{self.signal.name}'",
                f"shape {self.values.shape}",
                "Give one row per sample and one column per channel.",
            )

    @property
    def stop_s(self) -> float:
        """End of the last sample's interval [s]."""
        return self.start_s + len(self.values) / self.signal.rate_hz


@dataclass(frozen=True, slots=True)
class Segment:
    """A run of one label over ``[start_s, stop_s)`` on the recording's clock."""

    start_s: float
    stop_s: float
    label: str

    def __post_init__(self) -> None:
        if not self.stop_s > self.start_s:
            raise DataError(
                "a segment must end after it starts", f"[{self.start_s}, {self.stop_s}) {self.label}",
                "Check the annotation's start and stop.",
            )


@dataclass(frozen=True, slots=True)
class Note:
    """What was found or changed while a signal was read, with its measure; never silent, kept with the recording.

    Attributes
    ----------
    kind
        ``rate_jitter``, ``duplicate_times``, ``out_of_order``, ``gap``, ``clock_offset``, ``clock_drift``, ``unit``,
        ``axes``, ``resampled``, ...
    signal
        Name of the signal, or ``""`` for the whole recording.
    value, unit
        The measure, such as 0.021 ``s``.
    text
        The same in words, for people.
    """

    kind: str
    signal: str
    value: float
    unit: str
    text: str


@dataclass(frozen=True, slots=True)
class Stream:
    """Samples of one sensor as a device wrote them: a time stamp each, jittered, perhaps out of order.

    Attributes
    ----------
    name, modality, placement, channels, unit
        As of a `Signal`.
    times_s
        (N,) float64, the device's own clock [s]; Unix time where the file gives it.
    values
        (N, C) float64, NaN where nothing was measured.
    device
        Streams of one device share a clock.
    rate_hz
        Nominal rate where the file declares one [Hz].
    """

    name: str
    modality: str
    placement: str
    channels: tuple[str, ...]
    unit: str
    times_s: NDArray[np.float64]
    values: NDArray[np.float64]
    device: str = ""
    rate_hz: float | None = None

    def __post_init__(self) -> None:
        shape = (len(self.times_s), len(self.channels))
        if self.values.shape != shape or self.times_s.ndim != 1:
            raise DataError(f"values must be {shape} for '{self.name}'", f"shape {self.values.shape}",
                            "Give one time a row and one name a column.")


@dataclass(frozen=True, slots=True)
class Capture:
    """What one file or folder of a recorder holds: streams, and labels if someone marked them."""

    streams: tuple[Stream, ...]
    segments: tuple[Segment, ...] = ()
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True)
class Recording:
    """One continuous recording of one subject: tracks on one clock, labels as segments.

    A signal that was not recorded has no track. Time outside every segment is the null class.
    Segments are sorted and do not overlap. ``notes`` say what was found and changed on the way in.
    """

    name: str
    subject: str
    session: str
    tracks: tuple[Track, ...]
    segments: tuple[Segment, ...] = ()
    notes: tuple[Note, ...] = ()

    def __post_init__(self) -> None:
        if not self.tracks:
            raise DataError("a recording must have a track", f"none in '{self.name}'", "Leave empty recordings out.")
        for before, after in zip(self.segments, self.segments[1:], strict=False):
            if after.start_s < before.stop_s:
                raise DataError(
                    "segments must be sorted and must not overlap", f"{before} then {after} in '{self.name}'",
                    "Sort the annotations and decide which label holds where two overlap.",
                )

    def track(self, signal: str) -> Track | None:
        """Return the track of a signal, or None if it was not recorded."""
        return next((track for track in self.tracks if track.signal.name == signal), None)


@dataclass(frozen=True, slots=True)
class LabelSet:
    """Activity names in class order; the null class, if kept, is one of them."""

    names: tuple[str, ...]
    null_label: str | None = None

    def __post_init__(self) -> None:
        if len(set(self.names)) != len(self.names):
            raise DataError("labels must be unique", f"{self.names}", "Name every activity once.")

    def __len__(self) -> int:
        return len(self.names)

    def index(self, name: str) -> int:
        """Class index of a label."""
        if name not in self.names:
            raise unknown_name("label", name, self.names)
        return self.names.index(name)


@dataclass(frozen=True, slots=True)
class Branch:
    """Signals that share an encoder. All of them have one rate.

    Attributes
    ----------
    name
        ``acc``, ``wrist``, ...
    signals
        Names of the signals whose channels are stacked, in order.
    encoder
        ``residual`` or ``dense``.
    """

    name: str
    signals: tuple[str, ...]
    encoder: str = "residual"

    def __post_init__(self) -> None:
        if self.encoder not in ("residual", "dense"):
            raise unknown_name("encoder", self.encoder, ("residual", "dense"))
        if not self.signals:
            raise ConfigError("a branch must read a signal", f"none for '{self.name}'", "Name at least one signal.")


@dataclass(frozen=True, slots=True)
class Windows:
    """N windows as places in a store: nothing is copied until a batch is gathered.

    Attributes
    ----------
    window_s
        Length of every window [s].
    recording
        (N,) int64, index into the store's recordings.
    start_s
        (N,) float64, start on the recording's clock [s].
    rows
        Signal name -> (N,) int64, first row of the window in the store's array of that signal
        (0 where the signal is absent). Signals with the same rows everywhere share one array, which is read-only.
    present
        (N, S) bool in the order of the spec: True where the signal was recorded over the whole window.
    label
        (N,) int64 class index, or -1 where unknown.
    subject
        (N,) str array.
    session
        (N,) str array, or None where nobody asked: only an official split by session does.
    """

    window_s: float
    recording: NDArray[np.int64]
    start_s: NDArray[np.float64]
    rows: dict[str, NDArray[np.int64]]
    present: NDArray[np.bool_]
    label: NDArray[np.int64]
    subject: NDArray[np.str_]
    label_set: LabelSet = field(default_factory=lambda: LabelSet(()))
    session: NDArray[np.str_] | None = None

    def __len__(self) -> int:
        return len(self.recording)

    def take(self, index: NDArray[np.integer] | NDArray[np.bool_]) -> Windows:
        """Return the windows at ``index`` (integers or a mask)."""
        return Windows(
            self.window_s,
            self.recording[index],
            self.start_s[index],
            self._rows_at(index),
            self.present[index],
            self.label[index],
            self.subject[index],
            self.label_set,
            None if self.session is None else self.session[index],
        )

    def _rows_at(self, index: NDArray[np.integer] | NDArray[np.bool_]) -> dict[str, NDArray[np.int64]]:
        """Take the rows of each signal; those that share an array go on sharing one."""
        taken = {id(rows): rows[index] for rows in {id(rows): rows for rows in self.rows.values()}.values()}
        return {name: taken[id(rows)] for name, rows in self.rows.items()}
