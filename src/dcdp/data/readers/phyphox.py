"""Read exports of Phyphox (RWTH Aachen): a zip or folder of CSV files, or one CSV file.

Facts of the format are from the app's own exporter and its time reference (phyphox-android, ``DataExport.java``) and
from exports of iOS and Android phones: columns are named ``label (unit)``; a column in seconds is the time of those
behind it; columns of different length are filled up with NaN; separators are comma, semicolon or tab, the decimal
sign a point or a comma. Experiment time stands still in pauses; absolute time is only in ``meta/time.csv``, one line
for each START and PAUSE.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from dcdp.data.readers.columns import Columns, header_of, read_columns
from dcdp.data.readers.export import Export, not_this
from dcdp.data.readers.streams import clean, finish, make_stream
from dcdp.errors import FormatError
from dcdp.records import Capture, Note, Stream

__all__ = ["fits", "read"]

_NAME = re.compile(r"\s*(?P<what>.*?)\s*\((?P<unit>[^()]*)\)\s*")
_AXIS = re.compile(r"(?P<what>.*?)[\s_]*\b(?P<axis>[xyzXYZ])")
_UNITS = {
    "s": "s", "m/s^2": "m/s2", "m/s²": "m/s2", "m/s2": "m/s2", "rad/s": "rad/s", "°/s": "deg/s", "deg/s": "deg/s",
    "µT": "uT", "μT": "uT", "uT": "uT", "nT": "nT", "mT": "mT", "g": "g",
}  # fmt: skip
_MODALITIES = {"m/s2": "acc", "g": "acc", "rad/s": "gyr", "deg/s": "gyr", "uT": "mag", "nT": "mag", "mT": "mag"}
_CLOCK_TOLERANCE_S = 0.1
_TIME_COLUMNS = ("event", "experiment time", "system time")


def fits(export: Export) -> bool:
    """Say whether an export is one of Phyphox: columns ``label (unit)``, the first a time in seconds."""
    if any(PurePosixPath(name).parts[-2:] == ("meta", "time.csv") for name in export.names):
        return True
    tables = _tables(export)
    return 0 < len(tables) < 100 and any(_is_table(header_of(export.head(name))[0]) for name in tables)


def read(export: Export, placement: str | None) -> Capture:
    """Read an export; see `dcdp.data.readers.read_capture`."""
    place = placement or "phone"
    metas = [name for name in export.named(".csv") if PurePosixPath(name).parts[-2:] == ("meta", "time.csv")]
    if len(metas) > 1:
        raise FormatError("a recording must be one export", f"{len(metas)} files meta/time.csv in '{export.path}'",
                          "Give the folder of one of them.")
    clock, notes = _clock(export, metas[0]) if metas else (None, [
        Note("clock", "", float("nan"), "s", "no meta/time.csv: times are seconds since the experiment began")])
    root = PurePosixPath(metas[0]).parent.parent if metas else None
    built: list[tuple[Stream, tuple[Note, ...]]] = []
    for name in _tables(export):
        if root is not None and PurePosixPath(name).parent not in (root, root / "meta"):
            continue
        built += _read_table(export, name, place, clock, notes)
    built.sort(key=lambda pair: -len(pair[0].times_s))  # of two tables of one sensor the longer is kept
    built.sort(key=lambda pair: pair[0].name)
    return finish(str(export.path), built, notes=notes)


def _tables(export: Export) -> list[str]:
    """Return the names of the tables that may hold samples."""
    tables = export.names if export.kind == "file" else export.named(".csv", ".tsv", ".txt")
    metas = (("meta", "time.csv"), ("meta", "device.csv"))
    return [name for name in tables if PurePosixPath(name).parts[-2:] not in metas]


def _is_table(names: tuple[str, ...]) -> bool:
    """Say whether a header has a time in seconds and behind it a column of a known sensor."""
    units = [_unit(name) for name in names]
    return "s" in units and any(unit in _MODALITIES for unit in units[units.index("s") :])


def _unit(name: str) -> str | None:
    match = _NAME.fullmatch(name)
    return _UNITS.get(match["unit"].strip()) if match else None


def _read_table(
    export: Export, name: str, placement: str, clock: tuple[NDArray[np.float64], NDArray[np.float64]] | None,
    notes: list[Note],
) -> list[tuple[Stream, tuple[Note, ...]]]:  # fmt: skip
    """Return the streams of one table; what is not read is noted."""
    names = header_of(export.head(name, 2**16))[0]
    triads, unread = _triads(names, PurePosixPath(name).stem)
    if unread:
        notes.append(Note("not_read", "", float(len(unread)), "1", f"columns of '{clean(name)}' not read: "
                          f"{clean(', '.join(unread))}"))
    if not triads:
        return []
    table = read_columns(export, name, sorted({place for triad in triads for place in triad[3:]}))
    built = []
    for modality, unit, label, time, *axes in triads:
        times_s, values = _rows(table, time, axes)
        if clock is not None:
            times_s = _absolute(times_s, *clock)
        stream, said = make_stream(placement, modality, times_s, values, "phone", unit)
        if modality == "lin":
            text = f"'{clean(label)}' is acceleration without gravity"
            said = (*said, Note("gravity", stream.name, 0.0, "m/s2", text))
        built.append((stream, said))
    return built


def _triads(names: tuple[str, ...], stem: str) -> tuple[list[tuple[str, str, str, int, int, int, int]], list[str]]:
    """Return ``(modality, unit, label, place of time, of x, of y, of z)`` of each sensor, and the names not used."""
    groups: dict[tuple[int, str, str], dict[str, int]] = {}
    time: int | None = None
    for place, name in enumerate(names):
        unit = _unit(name)
        if unit == "s":
            time = place
        match = _NAME.fullmatch(name)
        axis = _AXIS.fullmatch(match["what"]) if match else None
        if unit in _MODALITIES and axis and time is not None:
            groups.setdefault((time, axis["what"], unit), {}).setdefault(axis["axis"].lower(), place)
    triads: list[tuple[str, str, str, int, int, int, int]] = []
    for (time, what, unit), axes in groups.items():
        label = f"{what} {stem}".lower()
        if set(axes) != set("xyz") or "grav" in what.lower():
            continue
        modality = _MODALITIES[unit]
        if modality == "acc" and ("lin" in what.lower() or "lin" in stem.lower() or "without g" in label):
            modality = "lin"
        triads.append((modality, unit, what or stem, time, axes["x"], axes["y"], axes["z"]))
    used = {place for triad in triads for place in triad[3:]}
    lengths = {triad[1] for triad in triads}  # a column without an axis in a triad's unit is its length
    return triads, [name for place, name in enumerate(names) if place not in used and _unit(name) not in lengths]


def _rows(table: Columns, time: int, axes: list[int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return times (N,) and values (N, 3) without the rows that only fill up a shorter column."""
    times_s = table.numbers(time)
    values = np.stack([table.numbers(place) for place in axes], axis=1)
    kept = ~np.isnan(times_s)
    if not np.isnan(values[~kept]).all():
        raise FormatError("each sample must have a time", f"none in line {table.first_line + int((~kept).argmax())} of "
                          f"{table.where}", "Export the recording again.")
    return times_s[kept], values[kept]


def _clock(export: Export, name: str) -> tuple[tuple[NDArray[np.float64], NDArray[np.float64]] | None, list[Note]]:
    """Return experiment and system time of each START, and notes on pauses."""
    table = read_columns(export, name)
    places = [table.place(column) for column in _TIME_COLUMNS]
    if None in places:
        raise not_this(export.where(name), "the times of an export", f"columns {', '.join(table.names)}")
    event, experiment, system = (place for place in places if place is not None)
    events = [text.upper() for text in table.strings(event)]
    inner, outer = table.numbers(experiment), table.numbers(system)
    if not (np.isfinite(inner).all() and np.isfinite(outer).all() and (np.diff(inner) >= 0).all()):
        raise not_this(export.where(name), "the times of an export", "a time is missing or runs backwards")
    starts = np.array([text == "START" for text in events], dtype=bool)
    if not starts.any():
        return None, [Note("clock", "", float("nan"), "s", "meta/time.csv has no START: times are seconds since the "
                           "experiment began")]
    notes = []
    for i in range(1, len(events)):
        passed, counted = outer[i] - outer[i - 1], inner[i] - inner[i - 1]
        if events[i] == "START":
            notes.append(Note("gap", "", float(passed), "s", f"paused for {passed:.3g} s"))
        elif abs(passed - counted) > _CLOCK_TOLERANCE_S:
            notes.append(Note("clock_offset", "", float(passed - counted), "s",
                              f"the phone's clock was set by {passed - counted:.3g} s while recording"))
    return (inner[starts], outer[starts]), notes


def _absolute(
    times_s: NDArray[np.float64], inner: NDArray[np.float64], outer: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return experiment times as Unix times, by the last START before each."""
    last = np.clip(np.searchsorted(inner, times_s, side="right") - 1, 0, None)
    return np.asarray(outer[last] + (times_s - inner[last]), dtype=np.float64)
