"""Read CSV files of AndroSensor (Fiv Asim) for Android: one row for all sensors at once.

The columns name sensor, axis and unit (``ACCELEROMETER X (m/s²)``), as the app's recordings show; ``Time since start
in ms`` counts from the start, ``YYYY-MO-DD HH-MI-SS_SSS`` is the phone's local time. Rows repeat the last value of a
sensor that is slower than the rows.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

import numpy as np

from dcdp.data.readers.columns import Columns, header_of, read_columns
from dcdp.data.readers.export import Export
from dcdp.data.readers.streams import clean, finish, make_stream
from dcdp.errors import FormatError
from dcdp.records import Capture, Note

__all__ = ["fits", "read"]

_COLUMN = re.compile(r"(?P<sensor>[A-Z ]+?)\s+(?P<axis>[XYZ])\s*\((?P<unit>[^()]*)\)")
_SENSORS = {"ACCELEROMETER": "acc", "GYROSCOPE": "gyr", "LINEAR ACCELERATION": "lin", "MAGNETIC FIELD": "mag"}
_UNITS = {"m/s²": "m/s2", "m/s^2": "m/s2", "m/s2": "m/s2", "rad/s": "rad/s", "μT": "uT", "µT": "uT", "uT": "uT"}
_SINCE_START = re.compile(r"time since start( in ms|\s*\(ms\))", re.IGNORECASE)
_WALL = re.compile(r"(date\s*\()?YYYY-MO-DD HH-MI-SS_SSS\)?", re.IGNORECASE)
_DATE = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})[ T](\d{1,2})[:\-](\d{1,2})[:\-](\d{1,2})[:_.](\d{1,3})")


def fits(export: Export) -> bool:
    """Say whether an export is a CSV file of AndroSensor."""
    if export.kind != "file":
        return False
    names = header_of(export.head(export.names[0], 2**16))[0]
    return any(_SINCE_START.fullmatch(name) for name in names) and bool(_triads(names))


def read(export: Export, placement: str | None) -> Capture:
    """Read an export; see `dcdp.data.readers.read_capture`."""
    name = export.names[0]
    names = header_of(export.head(name, 2**16))[0]
    triads = _triads(names)
    time = next(i for i, column in enumerate(names) if _SINCE_START.fullmatch(column))
    wall = next((i for i, column in enumerate(names) if _WALL.fullmatch(column)), None)
    used = [time, *([] if wall is None else [wall]), *(i for _, _, places in triads for i in places)]
    table = read_columns(export, name, used)
    times_s = table.numbers(time) / 1000
    if not np.isfinite(times_s).all():
        row = int(np.isnan(times_s).argmax())
        raise FormatError("each row must have a time", f"none in line {table.first_line + row} of {table.where}",
                          "Export the recording again.")
    start_s, notes = _start(table, wall)
    if start_s is not None and len(times_s):
        times_s = times_s - times_s[0] + start_s
    place = placement or "phone"
    built = []
    for modality, unit, places in triads:
        values = np.stack([table.numbers(i) for i in places], axis=1)
        kept = ~np.isnan(values).all(axis=1)
        built.append(make_stream(place, modality, times_s[kept], values[kept], "phone", unit))
    unread = [column for i, column in enumerate(names) if i not in used]
    if unread:
        notes.append(Note("not_read", "", float(len(unread)), "1", f"columns not read: {clean(', '.join(unread))}"))
    return finish(str(export.path), built, notes=notes)


def _triads(names: tuple[str, ...]) -> list[tuple[str, str, tuple[int, int, int]]]:
    """Return modality, unit, and the places of x, y and z of each sensor."""
    found: dict[tuple[str, str], dict[str, int]] = {}
    for place, name in enumerate(names):
        match = _COLUMN.fullmatch(name)
        unit = _UNITS.get(match["unit"].strip()) if match else None
        if match and unit and match["sensor"] in _SENSORS:
            found.setdefault((_SENSORS[match["sensor"]], unit), {}).setdefault(match["axis"], place)
    return [(modality, unit, (axes["X"], axes["Y"], axes["Z"]))
            for (modality, unit), axes in found.items() if len(axes) == 3]  # fmt: skip


def _start(table: Columns, wall: int | None) -> tuple[float | None, list[Note]]:
    """Return the local time of the first row as if it were UTC [s], and a note on the clock."""
    match = _DATE.fullmatch(table.strings(wall)[0]) if wall is not None and table.n_rows else None
    if match is None:
        return None, [Note("clock", "", float("nan"), "s", "no date: times are seconds since the start")]
    parts = [int(text) for text in match.groups()]
    try:
        moment = datetime(*parts[:6], parts[6] * 1000, tzinfo=UTC)  # type: ignore[misc, arg-type]
    except ValueError as err:
        raise FormatError("a date must exist", f"{match[0]!r} in {table.where}", "Export the recording again.") from err
    return moment.timestamp(), [Note("clock", "", float("nan"), "s", "the phone's local time, taken as if it were UTC")]
