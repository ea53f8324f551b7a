"""Read what Apple's devices export: the Health app's export.xml, and the CSV files of SensorLog.

Health: facts of the format are from descriptions of its exports (HealthKit Export Versions 11 to 14): ``Record``
elements with ``type``, ``unit``, ``value``, ``startDate`` and ``endDate``, in export.xml or export.zip, whose name
may be translated. Only heart rate is read. The document type that the export begins with is broken in some versions
of iOS and is not needed: it is passed over, so that no entity is ever declared, and it is refused if it declares one.

SensorLog (Bernd Thomas, sensorlog.berndthomas.net): one row for each sample, columns named ``name(unit)``, each
sensor with a time since the device was started. Acceleration is in g and counted as iOS does, up is negative.
"""

from __future__ import annotations

import contextlib
import math
import re
from array import array
from collections.abc import Iterator
from datetime import UTC, datetime
from xml.parsers import expat

import numpy as np
from numpy.typing import NDArray

from dcdp.data.readers.columns import Columns, header_of, read_columns
from dcdp.data.readers.export import Export, not_this
from dcdp.data.readers.streams import clean, finish, make_stream, segments_of
from dcdp.errors import FormatError
from dcdp.records import Capture, Note, Stream

__all__ = ["fits_health", "fits_sensorlog", "read_health", "read_sensorlog"]

_ROOT = re.compile(rb"<HealthData[\s>/]")
_HEART_RATE = "HKQuantityTypeIdentifierHeartRate"
_PROLOGUE_BYTES = 2**18
_STEP_BYTES = 2**16
_MAX_TOKEN_BYTES = 2**20
_MAX_DEPTH = 32
_MAX_RECORDS = 2**23
_CONTROL = bytes(set(range(32)) - {9, 10, 13})  # some exports have them, no XML may
_PER_MINUTE = {"count/min": 1.0, "bpm": 1.0, "count/s": 60.0}

_Built = tuple[Stream, tuple[Note, ...]]


def fits_health(export: Export) -> bool:
    """Say whether an export is that of the Health app."""
    return bool(_health_files(export))


def read_health(export: Export, placement: str | None) -> Capture:
    """Read heart rate; see `dcdp.data.readers.read_capture`."""
    names = _health_files(export)
    if len(names) > 1:
        raise FormatError("a recording must be one export", f"{len(names)} of the Health app in '{export.path}'",
                          "Give one of them.")
    times, beats = _records(export, names[0])
    order = np.argsort(times, kind="stable")  # an export groups its records by device, not by time
    notes = [Note("not_read", "", float("nan"), "1", "only heart rate is read of a Health export")]
    stream = make_stream(placement or "wrist", "hr", times[order], beats[order, None], "health", "bpm")
    return finish(str(export.path), [stream], notes=notes)


def _health_files(export: Export) -> list[str]:
    """Return the names of the files that begin as an export of the Health app does."""
    names = export.names if export.kind == "file" else export.named(".xml")
    return [name for name in list(names)[:20] if _ROOT.search(export.head(name, _PROLOGUE_BYTES)[:_PROLOGUE_BYTES])]


def _records(export: Export, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return times (N,) and heart rates (N,) in the order of the file."""
    where = export.where(name)
    times, beats = array("d"), array("d")
    depth = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _MAX_DEPTH:
            raise not_this(where, "a Health export", "elements nested too deeply")
        if tag == "Record" and attributes.get("type") == _HEART_RATE:
            if len(times) >= _MAX_RECORDS:
                raise FormatError(f"a Health export may have at most {_MAX_RECORDS} heart rates", f"more in {where}",
                                  "Export a shorter time.")
            times.append(_middle(attributes, where))
            beats.append(_beats(attributes, where))

    def end(_: str) -> None:
        nonlocal depth
        depth -= 1

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = start, end
    n_fed = 0
    try:
        for part in _body(export, name, where):
            parser.Parse(part, False)
            n_fed += len(part)
            if n_fed - max(0, parser.CurrentByteIndex) > _MAX_TOKEN_BYTES + _STEP_BYTES:
                raise not_this(where, "a Health export", f"an element of more than {_MAX_TOKEN_BYTES} bytes")
        parser.Parse(b"", True)
    except expat.ExpatError as err:
        raise not_this(where, "a Health export", str(err)) from err
    return np.array(times, dtype=np.float64), np.array(beats, dtype=np.float64)


def _body(export: Export, name: str, where: str) -> Iterator[bytes]:
    """Yield the file from its root element on: the document type before it is never parsed."""
    with export.open(name) as file:
        head = file.read(_PROLOGUE_BYTES)
        root = _ROOT.search(head)
        if root is None:
            raise not_this(where, "a Health export", "no element HealthData")
        if b"<!ENTITY" in head[: root.start()]:
            raise FormatError("a Health export must not declare entities", f"one in {where}", "Do not use this file.")
        part = head[root.start() :]
        while part:
            yield part.translate(None, _CONTROL)
            part = file.read(_STEP_BYTES)


def _middle(attributes: dict[str, str], where: str) -> float:
    """Return the middle of the time that a record covers [s since 1970]."""
    start, end = (_date(attributes.get(key, ""), where) for key in ("startDate", "endDate"))
    return (start + end) / 2


def _date(text: str, where: str) -> float:
    if len(text) == 25:  # 2023-11-14 22:13:20 +0100
        with contextlib.suppress(ValueError, OverflowError):
            moment = datetime.fromisoformat(text[:19] + text[20:])
            if moment.tzinfo is not None:
                return moment.timestamp()
    raise not_this(where, "a Health export", f"date {clean(text)!r}")


def _beats(attributes: dict[str, str], where: str) -> float:
    text, unit = attributes.get("value", ""), attributes.get("unit", "")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or unit not in _PER_MINUTE:
        raise not_this(where, "a Health export", f"heart rate {clean(text)!r} {clean(unit)!r}")
    return value * _PER_MINUTE[unit]


_SENSORS = (
    # modality, unit, sign, columns without axis, name of the column with the sensor's own time
    ("acc", "g", -1, ("accelerometerAcceleration{}(G)",), "accelerometerTimestamp_sinceReboot(s)"),
    ("acc", "g", -1, ("motionUserAcceleration{}(G)", "motionGravity{}(G)"), "motionTimestamp_sinceReboot(s)"),
    ("lin", "g", -1, ("motionUserAcceleration{}(G)",), "motionTimestamp_sinceReboot(s)"),
    ("gyr", "rad/s", 1, ("motionRotationRate{}(rad/s)",), "motionTimestamp_sinceReboot(s)"),
    ("gyr", "rad/s", 1, ("gyroRotation{}(rad/s)",), "gyroTimestamp_sinceReboot(s)"),
    ("mag", "uT", 1, ("motionMagneticField{}(µT)",), "motionTimestamp_sinceReboot(s)"),
    ("mag", "uT", 1, ("magnetometer{}(µT)",), "magnetometerTimestamp_sinceReboot(s)"),
)
_WALL = "loggingTime(txt)"
_LABEL = "label(N)"


def fits_sensorlog(export: Export) -> bool:
    """Say whether an export is a CSV file of SensorLog."""
    return len(_sensorlog_files(export)) > 0


def _sensorlog_files(export: Export) -> list[str]:
    names = export.names if export.kind == "file" else export.named(".csv")
    return [name for name in list(names)[:50] if _is_sensorlog(header_of(export.head(name, 2**16))[0])]


def _is_sensorlog(names: tuple[str, ...]) -> bool:
    known = {_plain(name) for name in names}
    return any(_columns(columns, "X") <= known for _, _, _, columns, _ in _SENSORS)


def _plain(name: str) -> str:
    """Return a column's name with the one micro sign."""
    return name.replace("\u03bc", "µ")


def _columns(patterns: tuple[str, ...], axis: str) -> set[str]:
    return {pattern.format(axis) for pattern in patterns}


def read_sensorlog(export: Export, placement: str | None) -> Capture:
    """Read a file of SensorLog; see `dcdp.data.readers.read_capture`."""
    names = _sensorlog_files(export)
    if len(names) != 1:
        raise FormatError("a recording must be one file", f"{len(names)} of SensorLog in '{export.path}'",
                          "Give one of them: phone and watch write a file each.")
    is_watch = "watch" in names[0].lower()  # the file names the device, its columns are the same
    place, device = placement or ("wrist" if is_watch else "phone"), "watch" if is_watch else "phone"
    columns = {_plain(name): i for i, name in enumerate(header_of(export.head(names[0], 2**16))[0])}
    wanted = [p.format(axis) for _, _, _, patterns, time in _SENSORS for p in (*patterns, time) for axis in "XYZ"]
    table = read_columns(export, names[0], [columns[name] for name in {*wanted, _WALL, _LABEL} if name in columns])
    wall_s = _wall(table, columns)
    offset_s = _offset(table, columns, wall_s)
    built: list[_Built] = []
    for modality, unit, sign, patterns, clock in _SENSORS:
        if any(stream.modality == modality or (modality == "lin" and stream.modality == "acc") for stream, _ in built):
            continue
        if all(_columns(patterns, axis) <= set(columns) for axis in "XYZ"):
            parts = [np.stack([table.numbers(columns[p.format(axis)]) for axis in "XYZ"], axis=1) for p in patterns]
            times_s = _sensor_times(table, columns, clock, wall_s, offset_s)
            times_s, values = _fresh(times_s, np.sum(parts, axis=0))
            built.append(make_stream(place, modality, times_s, values, device, unit, sign=sign))
    marks = _labels(table, columns, wall_s)
    end_s = max((float(stream.times_s[-1]) for stream, _ in built if len(stream.times_s)), default=0.0)
    return finish(str(export.path), built, segments_of(marks, end_s), _clock_notes(wall_s))


def _clock_notes(wall_s: NDArray[np.float64] | None) -> list[Note]:
    if wall_s is not None:
        return [Note("clock", "", float("nan"), "s", "time of day as logged; as UTC where it has no zone")]
    return [Note("clock", "", float("nan"), "s", "no loggingTime: times are seconds since the device was started")]


def _wall(table: Columns, columns: dict[str, int]) -> NDArray[np.float64] | None:
    """Return the time of day of the rows (N,) [s since 1970], or None."""
    if _WALL not in columns or not table.n_rows:
        return None
    found = np.empty(table.n_rows)
    for row, text in enumerate(table.strings(columns[_WALL])):
        try:
            moment = datetime.fromisoformat("".join(text[:40].rsplit(" ", 1)) if text.count(" ") > 1 else text)
            found[row] = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError) as err:
            at = f"line {table.first_line + row} of {table.where}"
            raise FormatError(f"column '{_WALL}' must hold dates", f"{clean(text)!r} in {at}",
                              "Export the recording with ISO dates.") from err
    return found


def _sensor_times(
    table: Columns, columns: dict[str, int], clock: str, wall_s: NDArray[np.float64] | None, offset_s: float
) -> NDArray[np.float64]:
    """Return the time of each row by the sensor's own clock, moved to the time of day where that is logged."""
    if clock not in columns:
        if wall_s is None:
            raise FormatError("a sensor must have a time", f"neither '{clock}' nor '{_WALL}' in {table.where}",
                              "Export the recording with time stamps.")
        return wall_s
    return table.numbers(columns[clock]) + offset_s


def _offset(table: Columns, columns: dict[str, int], wall_s: NDArray[np.float64] | None) -> float:
    """Return what to add to the time since the device was started: one number for all its sensors.

    A row is logged just after its newest sample.
    """
    clocks = sorted({columns[clock] for *_, clock in _SENSORS if clock in columns})
    if wall_s is None or not clocks:
        return 0.0
    newest = np.fmax.reduce([table.numbers(place) for place in clocks])
    late_s = (wall_s - newest)[np.isfinite(newest)]
    return float(np.median(late_s)) if len(late_s) else 0.0


def _fresh(
    times_s: NDArray[np.float64], values: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Leave out rows without a time or without a value, and those that only repeat the sensor's last sample."""
    kept = np.isfinite(times_s) & ~np.isnan(values).all(axis=1)
    times_s, values = times_s[kept], values[kept]
    new = np.ones(len(times_s), dtype=bool)
    new[1:] = (np.diff(times_s) != 0) | (np.diff(values, axis=0) != 0).any(axis=1)
    return times_s[new], values[new]


def _labels(table: Columns, columns: dict[str, int], wall_s: NDArray[np.float64] | None) -> list[tuple[float, str]]:
    """Return a mark wherever the label that the user pressed changes."""
    if _LABEL not in columns or wall_s is None:
        return []
    texts = [clean(text) for text in table.strings(columns[_LABEL])]
    return [(float(wall_s[row]), text) for row, text in enumerate(texts) if not row or text != texts[row - 1]]
