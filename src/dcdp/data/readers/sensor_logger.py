"""Read exports of Sensor Logger (Kelvin Choi): a folder or zip of CSV files, one of its CSV files, or its JSON file.

Facts of the format are from the app's documentation (tszheichoi/awesome-sensor-logger: README, UNITS, COORDINATES,
CROSSPLATFORM): ``time`` is in nanoseconds since 1970; columns stand in the order z, y, x and are found by name;
``Accelerometer`` excludes gravity, which stands in ``Gravity``, Android adds ``TotalAcceleration`` with it. On iOS,
unless "Standardise Units & Frames" was on, all axes of acceleration and gravity have the opposite sign, and the watch
and the uncalibrated accelerometer count in g. ``Metadata`` says platform and standardisation.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dcdp.data.readers.columns import Columns, header_of, parse_columns, read_columns
from dcdp.data.readers.export import Export, not_this
from dcdp.data.readers.streams import clean, finish, make_stream, segments_of
from dcdp.errors import FormatError
from dcdp.records import Capture, Note, Segment, Stream
from dcdp.signals.units import STANDARD_GRAVITY_MPS2, convert

__all__ = ["fits", "read"]

_KNOWN = (
    "Accelerometer", "AccelerometerUncalibrated", "Annotation", "Gravity", "Gyroscope", "GyroscopeUncalibrated",
    "Headphone", "HeartRate", "Magnetometer", "MagnetometerUncalibrated", "Metadata", "TotalAcceleration",
    "WatchAccelerometer", "WatchGravity", "WatchGyroscope", "WatchHeartRate", "WatchMagnetometer",
    "WatchTotalAcceleration", "WristMotion",
)  # fmt: skip
_XYZ = ("x", "y", "z")
_MAX_JSON_BYTES = 2**27  # an object for each row takes several times its text
_MATCH_S = 0.1
_MAX_TIME_NS = 2**62

_Built = tuple[Stream, tuple[Note, ...]]


@dataclass(frozen=True, slots=True)
class _Tables:
    """The tables of one recording, read when they are asked for, and what its metadata say."""

    load: Mapping[str, Callable[[], Columns]]
    sign: int = 1
    is_standard: bool = False
    notes: list[Note] = field(default_factory=list)

    def __contains__(self, name: str) -> bool:
        return name in self.load

    def triad(self, name: str, columns: Sequence[str] = _XYZ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return times (N,) and values (N, C) of the columns of one table."""
        table = self.load[name]()
        return _times(table), np.stack([table.numbers(_place(table, column)) for column in columns], axis=1)


def fits(export: Export) -> bool:
    """Say whether an export is one of Sensor Logger: columns time and seconds_elapsed."""
    if export.kind == "file" and export.names[0].lower().endswith(".json"):
        head = export.head(export.names[0], 4096)
        return b'"seconds_elapsed"' in head and b'"sensor"' in head
    names = [name for name in export.named(".csv") if _stem(name)] or (export.names if export.kind == "file" else ())
    return any({"time", "seconds_elapsed"} <= {column.lower() for column in header_of(export.head(name))[0]}
               for name in list(names)[:100])  # fmt: skip


def read(export: Export, placement: str | None) -> Capture:
    """Read an export; see `dcdp.data.readers.read_capture`."""
    if export.kind == "file" and export.names[0].lower().endswith(".json"):
        tables = _described(_json_tables(export))
    else:
        tables = _described(_csv_tables(export))
    place = placement or "phone"
    built = [*_phone(tables, place), *_watch(tables, "wrist"), *_headphone(tables, "head")]
    if placement and not any(stream.placement == placement for stream, _ in built):  # a watch alone
        tables.notes.append(Note("placement", "", 1.0, "1", f"no phone among the devices: '{place}' not used"))
    ends = [stream.times_s[-1] for stream, _ in built if len(stream.times_s)]
    return finish(str(export.path), built, _segments(tables, max(ends, default=0.0)), tables.notes)


def _phone(tables: _Tables, place: str) -> list[_Built]:
    built = []
    acceleration = _acceleration(tables, place, "", "phone")
    if acceleration:
        built.append(acceleration)
    elif "AccelerometerUncalibrated" in tables:
        unit = "g" if tables.sign < 0 else "m/s2"  # iOS unless standardised
        raw = tables.triad("AccelerometerUncalibrated")
        built.append(make_stream(place, "acc", *raw, "phone", unit, sign=tables.sign))
    if "Accelerometer" in tables and not acceleration:
        built.append(_without_gravity(place, *tables.triad("Accelerometer"), "phone", "m/s2", tables.sign))
    for modality, unit, names in (("gyr", "rad/s", ("Gyroscope", "GyroscopeUncalibrated")),
                                  ("mag", "uT", ("Magnetometer", "MagnetometerUncalibrated"))):  # fmt: skip
        name = next((name for name in names if name in tables), None)
        if name:
            built.append(make_stream(place, modality, *tables.triad(name), "phone", unit))
    return built


def _watch(tables: _Tables, place: str) -> list[_Built]:
    built = []
    if "WristMotion" in tables:
        built += _motion(tables, "WristMotion", place, "watch")
    acceleration = _acceleration(tables, place, "Watch", "watch")
    if acceleration:
        built.append(acceleration)
    elif "WatchAccelerometer" in tables:
        built.append(_without_gravity(place, *tables.triad("WatchAccelerometer"), "watch", "m/s2", tables.sign))
    if "WatchGyroscope" in tables:
        built.append(make_stream(place, "gyr", *tables.triad("WatchGyroscope"), "watch", "rad/s"))
    if "WatchMagnetometer" in tables:
        built.append(make_stream(place, "mag", *tables.triad("WatchMagnetometer"), "watch", "uT"))
    for name in ("HeartRate", "WatchHeartRate"):
        if name in tables:
            built.append(make_stream(place, "hr", *tables.triad(name, ("bpm",)), "watch", "bpm"))
    return built


def _headphone(tables: _Tables, place: str) -> list[_Built]:
    return _motion(tables, "Headphone", place, "headphone") if "Headphone" in tables else []


def _acceleration(tables: _Tables, place: str, prefix: str, device: str) -> _Built | None:
    """Return acceleration with gravity: as recorded, or the sum of its two parts, or None."""
    if f"{prefix}TotalAcceleration" in tables:
        return make_stream(place, "acc", *tables.triad(f"{prefix}TotalAcceleration"), device, "m/s2", sign=tables.sign)
    if f"{prefix}Accelerometer" not in tables or f"{prefix}Gravity" not in tables:
        return None
    times_s, motion = tables.triad(f"{prefix}Accelerometer")
    gravity, n_missing = _matched(times_s, *tables.triad(f"{prefix}Gravity"))
    stream, notes = make_stream(place, "acc", times_s, motion + gravity, device, "m/s2", sign=tables.sign)
    said = Note("gravity", stream.name, 9.8, "m/s2", f"{prefix}Gravity added to {prefix}Accelerometer")
    text = f"{n_missing} samples without gravity within {_MATCH_S:g} s"
    return stream, (*notes, said, *((Note("gap", stream.name, float(n_missing), "1", text),) if n_missing else ()))


def _matched(
    times_s: NDArray[np.float64], gravity_s: NDArray[np.float64], gravity: NDArray[np.float64]
) -> tuple[NDArray[np.float64], int]:
    """Return gravity (N, 3) at other times, on the line between its samples, and how many have none near."""
    if np.array_equal(times_s, gravity_s):
        return gravity, 0
    order = np.argsort(gravity_s, kind="stable")
    gravity_s, gravity = gravity_s[order], gravity[order]
    if not len(gravity_s):
        return np.full((len(times_s), 3), np.nan), len(times_s)
    found = np.stack([np.interp(times_s, gravity_s, gravity[:, axis]) for axis in range(3)], axis=1)
    after = np.clip(np.searchsorted(gravity_s, times_s), 1, max(1, len(gravity_s) - 1))
    near = np.minimum(np.abs(times_s - gravity_s[after - 1]),
                      np.abs(gravity_s[np.minimum(after, len(gravity_s) - 1)] - times_s))  # fmt: skip
    found[near > _MATCH_S] = np.nan
    return found, int((near > _MATCH_S).sum())


def _motion(tables: _Tables, name: str, place: str, device: str) -> list[_Built]:
    """Return the acceleration and angular rate of a watch or headphone that gives motion and gravity in one table."""
    columns = {column.lower() for column in tables.load[name]().names}
    built: list[_Built] = []
    parts = {}
    for part in ("acceleration", "gravity", "rotationRate"):
        triad = [f"{part}{axis}" for axis in "XYZ"]
        if {column.lower() for column in triad} <= columns:
            parts[part] = tables.triad(name, triad)
    if "acceleration" in parts:
        times_s, motion = parts["acceleration"]
        unit = "m/s2" if tables.is_standard else "g"
        if "gravity" in parts:
            gravity = parts["gravity"][1]
            gravity_unit = "g" if _size(gravity) < STANDARD_GRAVITY_MPS2**0.5 else "m/s2"  # its size tells
            if device == "watch":  # has both in one unit; the headphone has gravity in m/s2 always
                unit = gravity_unit
            total = convert(motion, unit, "m/s2") + convert(gravity, gravity_unit, "m/s2")
            stream, notes = make_stream(place, "acc", times_s, total, device, sign=tables.sign)
            text = f"motion in {unit} and gravity in {gravity_unit} added, in m/s2"
            said = Note("unit", stream.name, 1.0, "m/s2", text)
            built.append((stream, (*notes, said)))
        else:
            built.append(_without_gravity(place, times_s, motion, device, unit, tables.sign))
    if "rotationRate" in parts:
        built.append(make_stream(place, "gyr", *parts["rotationRate"], device, "rad/s"))
    return built


def _size(vectors: NDArray[np.float64]) -> float:
    """Return the median length of vectors (N, 3), 0 if there is none."""
    with np.errstate(all="ignore"):
        lengths = np.linalg.norm(vectors[np.isfinite(vectors).all(axis=1)], axis=1)
    return float(np.median(lengths)) if len(lengths) else 0.0


def _without_gravity(
    place: str, times_s: NDArray[np.float64], values: NDArray[np.float64], device: str, unit: str, sign: int
) -> _Built:
    stream, notes = make_stream(place, "lin", times_s, values, device, unit, sign=sign)
    return stream, (*notes, Note("gravity", stream.name, 0.0, "m/s2", "acceleration without gravity: none recorded"))


def _segments(tables: _Tables, end_s: float) -> tuple[Segment, ...]:
    if "Annotation" not in tables:
        return ()
    table = tables.load["Annotation"]()
    texts = table.strings(_place(table, "text"))
    return segments_of(list(zip(_times(table).tolist(), texts, strict=True)), end_s)


def _described(load: Mapping[str, Callable[[], Columns]]) -> _Tables:
    """Read platform and standardisation from the metadata."""
    facts: dict[str, str] = {}
    if "Metadata" in load:
        table = load["Metadata"]()
        if table.n_rows:
            facts = {name.lower(): table.strings(place)[0].lower() for place, name in enumerate(table.names)}
    is_standard = facts.get("standardisation") == "true"
    platform = facts.get("platform", "")
    notes = []
    if platform not in ("ios", "android"):
        notes.append(Note("axes", "", float("nan"), "1", "no platform in Metadata: axes taken as on Android; on an "
                          "iPhone without standardised frames all axes of acceleration have the opposite sign"))
    sign = -1 if platform == "ios" and not is_standard else 1
    return _Tables(load, sign, is_standard or platform == "android", notes)


def _csv_tables(export: Export) -> dict[str, Callable[[], Columns]]:
    """Return the known tables of a folder or zip, all of which must lie in one folder."""
    if export.kind == "file":
        name = export.names[0]
        stem = _stem(name) or _guess(header_of(export.head(name))[0])
        return {stem: lambda: read_columns(export, name)}
    known = {name: _stem(name) for name in export.named(".csv")}
    found = {name: stem for name, stem in known.items() if stem}
    folders = sorted({str(PurePosixPath(name).parent) for name in found})
    if len(folders) != 1 or len(set(found.values())) != len(found):
        raise FormatError("a recording must be one export", f"{len(folders)} folders with sensors in '{export.path}'",
                          f"Give one of them: {clean(', '.join(folders))}.")
    return {stem: lambda name=name: read_columns(export, name) for name, stem in found.items()}  # type: ignore[misc]


def _stem(name: str) -> str:
    """Return the table that a file's name means, or nothing."""
    stem = PurePosixPath(name).stem.lower()
    return next((known for known in _KNOWN if known.lower() == stem), "")


def _guess(columns: Sequence[str]) -> str:
    """Return the table that a single file of another name holds."""
    if "bpm" in columns:
        return "HeartRate"
    if "rotationRateX" in columns:
        return "WristMotion"
    raise FormatError("one file of Sensor Logger must keep its name", f"columns {clean(', '.join(columns))}",
                      "Name it as in the export (Gyroscope.csv), or give the whole folder or zip.")


def _json_tables(export: Export) -> dict[str, Callable[[], Columns]]:
    """Return the tables of the JSON export: a list of rows, each with its sensor."""
    name = export.names[0]
    if export.size(name) > _MAX_JSON_BYTES:
        raise FormatError(f"a JSON export may have at most {_MAX_JSON_BYTES} bytes", f"{export.size(name)} of "
                          f"{export.where(name)}", "Export it as a zip of CSV files.")
    try:
        rows = json.loads(export.read(name))
    except (ValueError, RecursionError) as err:
        raise not_this(export.where(name), "a JSON export", str(err)) from err
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise not_this(export.where(name), "a JSON export", "it is no list of rows")
    grouped: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        stem = _stem(f"{row.get('sensor')}.csv".replace("/", "_"))
        if stem:
            grouped.setdefault(stem, []).append(row)
    where = export.where(name)
    return {stem: lambda rows=rows: _table_of(rows, where) for stem, rows in grouped.items()}  # type: ignore[misc]


def _table_of(rows: Sequence[Mapping[str, Any]], where: str) -> Columns:
    """Return rows of a JSON export as the table that its CSV would have been."""
    names = [str(name) for name in rows[0]]
    if not names or any("\n" in name or '"' in name for name in names):
        raise not_this(where, "a JSON export", "a row without plain names")
    lines = [";".join(names)]
    for row in rows:
        cells = (row.get(name, "") for name in names)
        lines.append(";".join('"' + ("" if cell is None else str(cell)).replace('"', '""') + '"' for cell in cells))
    return parse_columns("\n".join(lines).encode("utf-8", errors="replace"), where)


def _place(table: Columns, name: str) -> int:
    place = table.place(name)
    if place is None:
        raise FormatError(f"a table of Sensor Logger must have a column '{name}'",
                          f"{clean(', '.join(table.names))} in {table.where}", "Export the recording again.")
    return place


def _times(table: Columns) -> NDArray[np.float64]:
    """Return the times (N,) of the rows [s since 1970]."""
    times_ns = table.integers(_place(table, "time"))
    if len(times_ns) and (times_ns.min() < 0 or times_ns.max() > _MAX_TIME_NS):
        raise FormatError("times must be nanoseconds since 1970",
                          f"{times_ns.min()} to {times_ns.max()} in {table.where}", "Export the recording again.")
    return times_ns / 1e9
