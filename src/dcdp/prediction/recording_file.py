"""Read a table, what a recorder wrote, or described files, as a recording in its own units and rates."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dcdp.bundle import Bundle
from dcdp.data.own import is_description, read_like, read_named
from dcdp.data.readers import read_capture, recognise
from dcdp.data.tables import SUFFIXES, column_names, read_columns
from dcdp.errors import ConfigError, DataError, FormatError, MismatchError
from dcdp.prediction.fitting import whole_branches
from dcdp.records import Recording, Signal, Track
from dcdp.signals.clock import on_clock, regularise, sampling_rate

__all__ = ["TIME", "read_recording"]

TIME = "time_s"
"""Column with the time of each row [s]."""

_HEADER = re.compile(r"(?P<channel>.*?)\s*\[(?P<unit>[^\[\]]*)\]")
_SPELLINGS = {
    "m/s^2": "m/s2", "m/s²": "m/s2", "°/s": "deg/s", "dps": "deg/s", "µT": "uT", "μT": "uT", "µV": "uV", "μV": "uV",
}  # fmt: skip
_RATE_TOLERANCE = 0.05
_MAX_NAMED = 5


@dataclass(frozen=True, slots=True)
class _Column:
    place: int
    unit: str | None


def read_recording(
    path: Path, bundle: Bundle, rate_hz: float | None = None, *, like: str | Path | None = None, name: str = ""
) -> tuple[Recording, tuple[str, ...]]:
    """Read the signals that the branches of a bundle can use.

    Each signal gets the unit that its columns declare (``waist_acc_x [g]``; that of the bundle if none) and the rate
    at which its cells are filled, so that a slow sensor may leave most of them empty.

    Parameters
    ----------
    path
        CSV, TSV, Parquet or Feather, with a column for each channel; or a description, a file like those of one, or
        what a recorder wrote.
    bundle
        Names the channels.
    rate_hz
        Rate of the rows, if there is no column ``time_s`` [Hz].
    like
        Description of files like this one.
    name
        Recording of a description.

    Returns
    -------
    recording, notes
        One track for each signal of a whole branch; what was left out.

    Raises
    ------
    MissingError
        If there is no such file.
    FormatError
        If the file is damaged, a cell is no number, or times do not increase.
    MismatchError
        If channels are missing, or a rate contradicts the times.
    """
    if like is not None or is_description(path):
        recording = read_named(path, name) if like is None else read_like(path, like)
        return recording, _told(recording)
    if name:
        raise ConfigError("only a description has named recordings", f"'{name}' of '{path}'", "Give its TOML file.")
    if path.suffix.lower() not in SUFFIXES and (path.is_file() or path.is_dir()) and recognise(path):
        return _read_capture(path)
    known = {TIME, *(channel for signal in bundle.spec for channel in signal.channels)}
    columns = _columns(path, column_names(path), known)
    if rate_hz is not None and not 0 < rate_hz < np.inf:
        raise ConfigError("rate_hz must be positive", rate_hz, "Give the rate of the file in Hz.")
    if TIME not in columns and rate_hz is None:
        raise MismatchError(
            "a recording must say when its samples were taken", f"no column '{TIME}' in '{path}'",
            f"Add '{TIME}' in seconds, or give the sampling rate (--rate-hz), or a description of such files (--like).",
        )  # fmt: skip
    available = {signal.name: [c for c in signal.channels if c in columns] for signal in bundle.spec}
    signals, notes = whole_branches(bundle, available)
    wanted = [columns[channel] for signal in signals for channel in signal.channels]
    places = [*([columns[TIME].place] if TIME in columns else []), *(column.place for column in wanted)]
    table = read_columns(path, places)
    times_s, values = _times(path, table, TIME in columns, rate_hz)
    tracks, n_before = [], 0
    for signal in signals:
        part = values[:, n_before : n_before + len(signal.channels)]
        n_before += len(signal.channels)
        track = _track(replace(signal, unit=_unit(signal, columns)), times_s, part)
        tracks += [track] if track else []
        notes += () if track else (f"signal '{signal.name}' has no values",)
    if not tracks:
        raise DataError("a recording must hold values", f"'{path}' without", "Fill the columns of its channels.")
    return Recording(path.stem, path.stem, "1", tuple(tracks)), (*notes, *_unused(columns, known))


def _read_capture(path: Path) -> tuple[Recording, tuple[str, ...]]:
    """Read what a recorder wrote, with the names of signals that it has without a description."""
    capture = read_capture(path)
    origin_s = min(float(stream.times_s.min()) for stream in capture.streams)
    made = [regularise(stream, origin_s=origin_s) for stream in capture.streams if len(stream.times_s) > 1]
    notes = (*capture.notes, *(note for _, said in made for note in said))
    recording = Recording(path.stem, path.stem, "1", tuple(track for track, _ in made), notes=notes)
    return recording, _told(recording)


def _told(recording: Recording) -> tuple[str, ...]:
    """Return the notes of a recording as sentences, once each."""
    return tuple(dict.fromkeys(f"{note.signal}: {note.text}" if note.signal else note.text for note in recording.notes))


def _columns(path: Path, header: Sequence[str], known: Collection[str]) -> dict[str, _Column]:
    """Return channel -> column; a header is a channel's name, and maybe its unit in brackets."""
    columns: dict[str, _Column] = {}
    for place, name in enumerate(header):
        match = None if name in known else _HEADER.fullmatch(name)
        channel, unit = (match["channel"], match["unit"].strip()) if match else (name, None)
        if channel in columns and channel:
            raise FormatError("columns must be named once each", f"'{channel}' twice in '{path}'", "Leave one out.")
        columns[channel] = _Column(place, unit and _SPELLINGS.get(unit, unit))
    if TIME in columns and columns[TIME].unit not in (None, "s"):
        raise MismatchError(f"'{TIME}' must be in seconds", f"[{columns[TIME].unit}]", "Convert it, and drop the unit.")
    return columns


def _times(
    path: Path, table: NDArray[np.float64], has_time: bool, rate_hz: float | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Split a table into times (N,) and values (N, C)."""
    if not has_time:
        assert rate_hz is not None
        return np.arange(len(table)) / rate_hz, table
    times_s = table[:, 0]
    wrong = np.isnan(times_s)
    wrong[1:] |= ~(np.diff(times_s) > 0)
    if wrong.any():
        row = int(wrong.argmax())
        after = f" after {times_s[row - 1]:.10g}" if row else ""
        raise FormatError(
            f"'{TIME}' must increase from row to row", f"{times_s[row]:.10g}{after} in row {row + 1} of '{path}'",
            "Sort the rows by time and drop repeated ones.",
        )  # fmt: skip
    if rate_hz is not None and len(times_s) > 1 and abs(np.median(np.diff(times_s)) * rate_hz - 1) > _RATE_TOLERANCE:
        raise MismatchError(
            f"rate_hz must agree with '{TIME}'", f"{rate_hz:g} Hz, the rows are {1 / np.median(np.diff(times_s)):g} Hz",
            f"Leave rate_hz out, or drop the column '{TIME}'.",
        )  # fmt: skip
    return times_s, table[:, 1:]


def _unit(signal: Signal, columns: Mapping[str, _Column]) -> str:
    units = {columns[channel].unit or signal.unit for channel in signal.channels}
    if len(units) > 1:
        raise MismatchError(
            f"the channels of '{signal.name}' must share a unit", ", ".join(sorted(units)),
            "Convert the columns to one unit.",
        )  # fmt: skip
    return units.pop()


def _track(signal: Signal, times_s: NDArray[np.float64], values: NDArray[np.float64]) -> Track | None:
    """Return a signal at the rate of its own filled rows; None where fewer than two are filled."""
    filled = ~np.isnan(values).all(axis=1)
    if filled.sum() < 2:
        return None
    times_s, values = times_s[filled], values[filled]
    rate_hz = sampling_rate(times_s, signal.rate_hz)
    return Track(replace(signal, rate_hz=rate_hz), on_clock(times_s, values, rate_hz), float(times_s[0]))


def _unused(columns: Mapping[str, _Column], known: Collection[str]) -> tuple[str, ...]:
    names = [name for name in columns if name not in known]
    more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
    return (f"columns not read: {', '.join(sorted(names)[:_MAX_NAMED])}{more}",) if names else ()
