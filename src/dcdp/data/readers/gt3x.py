"""Read ActiGraph GT3X files: a zip with info.txt and log.bin, a chain of time-stamped records.

Facts of the format are from ActiGraph's documentation (actigraph/GT3X-File-Format): each record is a separator 0x1E,
a type, the second it belongs to (uint32), the size of its payload (uint16), the payload, and a checksum, the
complement of the exclusive or of all bytes before it; stray zeros may stand between records. ACTIVITY packs 12-bit
numbers in the order y, x, z, ACTIVITY2 has int16 in the order x, y, z; both count steps of g by the scale in
PARAMETERS, info.txt, or by the serial number. An ACTIVITY2 of one byte tells that a cable was plugged in.
SENSOR_SCHEMA and SENSOR_DATA describe and hold the gyroscope and magnetometer of a GT9X Link.

Values are not rounded to three decimals as the manufacturer's own software does. While the device sleeps (idle sleep
mode) it writes no records: such times are left out, not filled.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from dcdp.data.readers.export import Export, not_this
from dcdp.data.readers.streams import clean, finish, make_stream
from dcdp.errors import FormatError
from dcdp.records import Capture, Note, Stream

__all__ = ["fits", "read"]

_SEPARATOR = 0x1E
_ACTIVITY, _HEART_RATE, _HEART_RATE_BLE, _PARAMETERS, _SCHEMA, _SENSOR_DATA, _ACTIVITY2 = 0, 4, 14, 21, 24, 25, 26
_READ = (_ACTIVITY, _HEART_RATE, _HEART_RATE_BLE, _PARAMETERS, _SCHEMA, _SENSOR_DATA, _ACTIVITY2)
_ACCEL_SCALE = (0, 55)
_SCALES = {"NEO": 341.0, "CLE": 341.0, "MRA": 341.0, "MOS": 256.0, "TAS": 256.0}
_MAX_RATE_HZ = 1000.0
_MAX_SAMPLES = 2**27
_MAX_RECORDS = 2**24
_BATCH_BYTES = 2**22
_BAD_SHARE = 0.1
_TRIADS = {"gyroscope": ("gyr", "deg/s"), "magnetometer": ("mag", "uT"), "accelerometer": ("acc", "g")}

_Built = tuple[Stream, tuple[Note, ...]]
_Part = tuple[NDArray[np.float64], NDArray[np.int16]]


@dataclass(frozen=True, slots=True)
class _Records:
    """Where the records of one type lie: second (R,), place of the payload (R,), size of the payload (R,)."""

    second: NDArray[np.int64]
    place: NDArray[np.int64]
    size: NDArray[np.int64]

    def of_size(self, n_bytes: int) -> _Records:
        kept = self.size == n_bytes
        return _Records(self.second[kept], self.place[kept], self.size[kept])


def fits(export: Export) -> bool:
    """Say whether an export is a zip with info.txt beside log.bin or the older activity.bin."""
    names = {PurePosixPath(name).name.lower() for name in export.names}
    return export.kind in ("zip", "folder") and "info.txt" in names and bool(names & {"log.bin", "activity.bin"})


def read(export: Export, placement: str | None) -> Capture:
    """Read an export; see `dcdp.data.readers.read_capture`."""
    by_name = {PurePosixPath(name).name.lower(): name for name in export.names}
    if "log.bin" not in by_name:
        raise FormatError("a GT3X file must hold log.bin", f"activity.bin in '{export.path}'",
                          "This is the older format (firmware 2.5 and before): convert it with the maker's software.")
    info = _info(export.read(by_name["info.txt"]))
    rate_hz = _rate(info, export.where(by_name["info.txt"]))
    data, where = export.read(by_name["log.bin"]), export.where(by_name["log.bin"])
    log = np.frombuffer(data, dtype=np.uint8)
    records, notes = _chain(data, log, where)
    place = placement or (limb if (limb := info.get("limb", "").lower()) in ("ankle", "waist", "wrist") else "body")
    scale = _scale(log, records[_PARAMETERS], info, where)
    zone = f", zone {clean(info['timezone'])}" if info.get("timezone") else ""
    notes.append(Note("clock", "", float("nan"), "s", f"the device shows local time{zone}: taken as UTC"))
    built = [_acceleration(log, records, place, rate_hz, scale, where), *_sensors(log, records, place, where),
             _heart_rate(log, records, place)]  # fmt: skip
    # a GT9X Link has a second accelerometer in its motion unit: the first is kept
    return finish(str(export.path), [pair for pair in built if len(pair[0].times_s)], notes=notes)


def _info(data: bytes) -> dict[str, str]:
    """Return the lines ``Key: value`` of info.txt by their key in lower case without blanks."""
    lines = (line.partition(":") for line in data[:65536].decode("utf-8", errors="replace").splitlines())
    return {clean(key).lower().replace(" ", ""): value.strip() for key, colon, value in lines if colon}


def _rate(info: dict[str, str], where: str) -> float:
    text = info.get("samplerate", "")
    try:
        rate_hz = float(text)
    except ValueError:
        rate_hz = float("nan")
    if not 0 < rate_hz <= _MAX_RATE_HZ:
        raise FormatError(f"Sample Rate must be a number of Hz up to {_MAX_RATE_HZ:g}", f"{text[:40]!r} in {where}",
                          "Download the file from the device again.")
    return rate_hz


def _chain(data: bytes, log: NDArray[np.uint8], where: str) -> tuple[dict[int, _Records], list[Note]]:
    """Follow the chain of records to its end; return those that are read, by type, checked."""
    header = struct.Struct("<BBIH").unpack_from
    found = {kind: array("q") for kind in _READ}
    place, end, n_records = 0, len(data), 0
    while place < end:
        if data[place] != _SEPARATOR:
            if data[place]:
                raise not_this(where, "the log", f"no record at byte {place}")
            rest = data[place : place + 4096]  # stray zeros between records
            place += len(rest) - len(rest.lstrip(b"\0"))
            continue
        n_records += 1
        if n_records > _MAX_RECORDS:
            raise FormatError(f"a log may have at most {_MAX_RECORDS} records", f"more in {where}",
                              "Cut the recording into shorter ones.")
        if place + 9 > end:
            raise not_this(where, "the log", f"the last record is cut short at byte {place}")
        _, kind, second, size = header(data, place)
        if place + 9 + size > end:
            raise not_this(where, "the log", f"the record at byte {place} is cut short")
        if kind in found:
            found[kind].extend((second, place + 8, size))
        place += 9 + size
    records, n_bad, n_all = {}, 0, 0
    for kind, rows in found.items():
        table = np.array(rows, dtype=np.int64).reshape(-1, 3)
        good = _checked(log, table)
        n_bad, n_all = n_bad + int((~good).sum()), n_all + len(good)
        records[kind] = _Records(*table[good].T)
    if n_bad > _BAD_SHARE * n_all:
        raise not_this(where, "the log", f"{n_bad} of {n_all} records have a wrong checksum")
    bad = Note("damage", "", float(n_bad), "1", f"{n_bad} records with a wrong checksum left out")
    return records, [bad] if n_bad else []


def _checked(log: NDArray[np.uint8], table: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Say of each record (second, place, size) whether its checksum fits."""
    good = np.zeros(len(table), dtype=bool)
    for size in np.unique(table[:, 2]).tolist():
        rows = np.flatnonzero(table[:, 2] == size)
        for part in _batches(rows, size + 9):
            good[part] = np.bitwise_xor.reduce(_bytes(log, table[part, 1] - 8, size + 9), axis=1) == 0xFF
    return good


def _batches(rows: NDArray[np.int64], n_bytes: int) -> list[NDArray[np.int64]]:
    """Return rows in parts of a few megabytes: an index takes eight times the bytes that it fetches."""
    n_rows = max(1, _BATCH_BYTES // max(1, n_bytes))
    return [rows[start : start + n_rows] for start in range(0, len(rows), n_rows)]


def _bytes(log: NDArray[np.uint8], places: NDArray[np.int64], n_bytes: int) -> NDArray[np.uint8]:
    """Return ``n_bytes`` from each place (R, n_bytes)."""
    return np.asarray(log[places[:, None] + np.arange(n_bytes)])


def _scale(log: NDArray[np.uint8], parameters: _Records, info: dict[str, str], where: str) -> float:
    """Return the steps in one g."""
    scale = float("nan")
    for place, size in zip(parameters.place, parameters.size, strict=True):
        pairs = np.frombuffer(log[place : place + size - size % 8].tobytes(), dtype="<u2,<u2,<u4")
        for space, key, value in pairs.tolist():
            if (space, key) == _ACCEL_SCALE:
                scale = _decimal(value)
    if np.isnan(scale):
        try:
            scale = float(info.get("accelerationscale", "nan"))
        except ValueError:
            scale = float("nan")
    if np.isnan(scale):
        scale = _SCALES.get(info.get("serialnumber", "")[:3].upper(), float("nan"))
    if not 1 <= scale <= 1e6:
        raise FormatError("a GT3X file must tell the scale of its acceleration", f"{scale:g} steps in one g of {where}",
                          "Download the file from the device again.")
    return scale


def _decimal(code: int) -> float:
    """Return a number of three bytes of fraction and one byte of exponent, both two's complement."""
    exponent = (code >> 24) - ((code >> 31) << 8)
    fraction = (code & 0xFFFFFF) - ((code & 0x800000) << 1)
    return float(fraction / 2**23 * 2.0**exponent)


def _acceleration(
    log: NDArray[np.uint8], records: dict[int, _Records], place: str, rate_hz: float, scale: float, where: str
) -> _Built:
    parts = [*_parts(log, records[_ACTIVITY], rate_hz, _twelve_bits, where),
             *_parts(log, records[_ACTIVITY2], rate_hz, _sixteen_bits, where)]  # fmt: skip
    times_s, values = _joined(parts)
    stream, notes = make_stream(place, "acc", times_s, values / scale, "actigraph", "g", rate_hz)
    seconds = np.unique(times_s.astype(np.int64))
    steps = np.diff(seconds)
    asleep = int(steps[steps > 1].sum() - (steps > 1).sum())
    n_gaps = int((steps > 1).sum())
    gap = Note("gap", stream.name, float(asleep), "s", f"{n_gaps} gaps, {asleep} s in all: asleep or lost")
    return stream, (*notes, *((gap,) if asleep else ()))


def _parts(
    log: NDArray[np.uint8], records: _Records, rate_hz: float,
    unpack: Callable[[NDArray[np.uint8]], NDArray[np.int16]], where: str,
) -> list[_Part]:  # fmt: skip
    """Return times (R, samples) and values (R, samples, 3) of the records of each size."""
    n_samples = 0
    parts = []
    for size in np.unique(records.size).tolist():
        if size < 2:  # a cable was plugged in, or the device sleeps
            continue
        same = records.of_size(size)
        for batch in _batches(np.arange(len(same.place)), size):
            values = unpack(_bytes(log, same.place[batch], size))
            n_samples += values.shape[0] * values.shape[1]
            if n_samples > _MAX_SAMPLES:
                raise FormatError(f"a recording may have at most {_MAX_SAMPLES} samples", f"more in {where}",
                                  "Cut the recording into shorter ones.")
            # more samples than the rate gives are spread over their second, so that no time runs backwards
            offsets_s = np.arange(values.shape[1]) / max(rate_hz, values.shape[1])
            parts.append((same.second[batch, None] + offsets_s, values))
    return parts


def _joined(parts: Sequence[_Part]) -> tuple[NDArray[np.float64], NDArray[np.int16]]:
    """Return times (N,) in order and values (N, 3)."""
    if not parts:
        return np.empty(0), np.empty((0, 3), dtype=np.int16)
    times_s = np.concatenate([times.ravel() for times, _ in parts])
    values = np.concatenate([values.reshape(-1, 3) for _, values in parts])
    if (np.diff(times_s) < 0).any():  # records of several sizes
        order = np.argsort(times_s, kind="stable")
        return times_s[order], values[order]
    return times_s, values


def _twelve_bits(payload: NDArray[np.uint8]) -> NDArray[np.int16]:
    """Return (R, samples, 3) as x, y, z from 12-bit numbers in the order y, x, z."""
    n_records, size = payload.shape
    n_samples = size * 8 // 36
    padded = np.pad(payload, ((0, 0), (0, -size % 3)))
    a, b, c = (padded[:, i::3].astype(np.int16) for i in range(3))  # three bytes hold two numbers
    pairs = np.stack([a << 4 | b >> 4, (b & 15) << 8 | c], axis=2).reshape(n_records, -1)
    signed = pairs - ((pairs & 0x800) << 1)
    return np.asarray(signed[:, : 3 * n_samples].reshape(n_records, n_samples, 3)[:, :, [1, 0, 2]])


def _sixteen_bits(payload: NDArray[np.uint8]) -> NDArray[np.int16]:
    """Return (R, samples, 3) as x, y, z from little-endian int16."""
    n_records, size = payload.shape
    n_samples = size // 6
    whole = np.ascontiguousarray(payload[:, : 6 * n_samples])
    return whole.view("<i2").reshape(n_records, n_samples, 3).astype(np.int16)


def _heart_rate(log: NDArray[np.uint8], records: dict[int, _Records], place: str) -> _Built:
    """Return the beats per minute that the device averaged, or that a chest strap sent: whichever there are more of."""
    own = records[_HEART_RATE].of_size(1)
    sent = records[_HEART_RATE_BLE]
    sent = _Records(sent.second[sent.size > 1], sent.place[sent.size > 1], sent.size[sent.size > 1])
    # the Bluetooth profile: the first bit of the flags tells whether the rate has one byte or two
    wide = (log[sent.place] & 1).astype(bool) & (sent.size > 2)
    high = np.where(wide, log[np.minimum(sent.place + 2, len(log) - 1)], 0).astype(np.float64)
    times_s, beats = sent.second, log[sent.place + 1] + 256.0 * high
    if len(own.second) >= len(times_s):
        times_s, beats = own.second, log[own.place].astype(np.float64)
    beats[beats == 0] = np.nan  # no pulse felt
    return make_stream(place, "hr", times_s.astype(np.float64), beats[:, None], "actigraph", "bpm")


def _sensors(log: NDArray[np.uint8], records: dict[int, _Records], place: str, where: str) -> list[_Built]:
    """Return the triads that the file's own schemas describe."""
    built = []
    for second_place, size in zip(records[_SCHEMA].place, records[_SCHEMA].size, strict=True):
        schema = _schema(log[second_place : second_place + size].tobytes(), where)
        if schema is None:
            continue
        number, n_samples, dtype, scales = schema
        n_bytes = 2 + n_samples * dtype.itemsize
        same = records[_SENSOR_DATA].of_size(n_bytes)
        payload = _bytes(log, same.place, n_bytes)
        ours = payload[:, :2].copy().view("<i2")[:, 0] == number
        rows = np.ascontiguousarray(payload[ours, 2:]).view(dtype)
        times_s = (same.second[ours, None] + np.arange(n_samples) / n_samples).ravel()
        for kind, (modality, unit) in _TRIADS.items():
            names = [f"{kind} {axis}" for axis in "xyz"]
            if set(names) <= set(scales):
                values = np.stack([rows[name].ravel() / scales[name] for name in names], axis=1)
                built.append(make_stream(place, modality, times_s, values, "actigraph", unit, float(n_samples)))
    return built


def _schema(data: bytes, where: str) -> tuple[int, int, np.dtype[np.void], dict[str, float]] | None:
    """Return number, samples in a record, layout and scale by column of one SENSOR_SCHEMA; None if none is known."""
    if len(data) < 6:
        raise not_this(where, "the log", "a sensor schema is cut short")
    number, n_columns, n_samples = struct.unpack_from("<3h", data)
    if not 0 < n_columns <= 32 or not 0 < n_samples <= _MAX_RATE_HZ or len(data) < 6 + 23 * n_columns:
        raise not_this(where, "the log", f"a sensor schema of {n_columns} columns and {n_samples} samples")
    fields, scales = [], {}
    for i in range(n_columns):
        flags, _, n_bits, code, label = struct.unpack_from("<BBBI16s", data, 6 + 23 * i)
        if n_bits not in (8, 16):
            return None
        name = clean(label.decode("ascii", errors="replace").replace("\0", " ")).lower()
        if not name or name in scales:
            name = f"column {i}"
        fields.append((name, (">" if flags & 1 else "<") + ("i" if flags & 2 else "u") + str(n_bits // 8)))
        scales[name] = _decimal(code) or 1.0
    return number, n_samples, np.dtype(fields), scales
