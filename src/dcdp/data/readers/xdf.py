"""Read XDF, the files of LabStreamingLayer's recorders, through pyxdf (BSD licence, extra ``devices``).

Facts of the format are from its specification (sccn/xdf, XDF 1.0): a chain of chunks, each a length, a tag and
content; stream headers in XML name type, nominal rate, and the label, type and unit of every channel. pyxdf believes
what a file says of its own sizes, so the chain is followed here first, and what does not add up never reaches it. A
tail that is cut short, as a crashed recorder leaves it, is left out and noted.

Times are put on one clock by the offsets that the recorder measured (noted), and otherwise left as they are: pyxdf's
removal of jitter is off.
"""

from __future__ import annotations

import gzip
import io
import logging
import math
import re
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dcdp.data.readers.export import MAX_FILE_BYTES, Export, not_this
from dcdp.data.readers.streams import UNITS, clean, finish, make_stream, segments_of, slug
from dcdp.errors import ConfigError, FormatError
from dcdp.records import Capture, Note, Stream
from dcdp.signals.units import list_units

__all__ = ["fits", "read"]

_MAGIC = b"XDF:"
_GZIP = b"\x1f\x8b"
_FILE_HEADER, _STREAM_HEADER, _SAMPLES, _CLOCK_OFFSET, _BOUNDARY, _STREAM_FOOTER = 1, 2, 3, 4, 5, 6
_SAMPLE_BYTES = {"double64": 8, "float32": 4, "int64": 8, "int32": 4, "int16": 2, "int8": 1}
_MAX_XML_BYTES = 2**22
_MAX_STREAMS, _MAX_CHANNELS, _MAX_OFFSETS, _MAX_RESETS = 256, 1024, 100_000, 20
_MAX_VALUES, _MAX_SAMPLES = 2**27, 2**24  # each sample is visited, by us and by pyxdf
_MODALITIES = {
    "acc": "acc", "accel": "acc", "accelerometer": "acc", "acceleration": "acc", "accelerometers": "acc",
    "gyr": "gyr", "gyro": "gyr", "gyroscope": "gyr", "gyroscopes": "gyr", "angularvelocity": "gyr",
    "mag": "mag", "magn": "mag", "magnetometer": "mag", "magnetometers": "mag",
    "hr": "hr", "heartrate": "hr", "bpm": "hr", "ecg": "ecg", "ekg": "ecg", "emg": "emg", "eeg": "eeg",
}  # fmt: skip
_UNITS = {
    "m/s^2": "m/s2", "m/s²": "m/s2", "m/s/s": "m/s2", "meterspersecondsquared": "m/s2", "g": "g", "gs": "g", "mg": "mg",
    "°/s": "deg/s", "dps": "deg/s", "degreespersecond": "deg/s", "radianspersecond": "rad/s", "microtesla": "uT",
    "µt": "uT", "μt": "uT", "ut": "uT", "gauss": "G", "beatsperminute": "bpm", "1/min": "bpm", "microvolts": "uV",
    "microvolt": "uV", "µv": "uV", "μv": "uV", "uv": "uV", "millivolts": "mV", "millivolt": "mV", "mv": "mV",
    "volts": "V", "volt": "V", "v": "V",
}  # fmt: skip
_EXTRA = 'Install it with: pip install "dcdp[devices]", or: pip install pyxdf.'

_Built = tuple[Stream, tuple[Note, ...]]


@dataclass(slots=True)
class _Declared:
    """What a stream header declares, and what its chunks have claimed so far."""

    n_channels: int
    sample_bytes: int | None  # None: text
    n_offsets: int = 0
    n_resets: int = 0
    last_offset_s: float = -math.inf


def fits(export: Export) -> bool:
    """Say whether an export is an XDF file, packed by gzip or not."""
    if export.kind != "file":
        return False
    with export.open(export.names[0]) as file:
        head = file.read(2048)
    if head.startswith(_GZIP):
        try:
            head = zlib.decompressobj(31).decompress(head, 16)
        except zlib.error:
            return False
    return head.startswith(_MAGIC)


def read(export: Export, placement: str | None) -> Capture:
    """Read an export; see `dcdp.data.readers.read_capture`."""
    name = export.names[0]
    where = export.where(name)
    data, notes = _whole_chunks(_unpacked(export.read(name), where), where)
    found, said = _load(data, where)
    notes += [*said, Note("clock", "", float("nan"), "s", "times are LabStreamingLayer's clock, not the time of day")]
    built: list[_Built] = []
    marks: list[tuple[float, str]] = []
    end_s = -math.inf
    names = [slug(_text(stream["info"], "name")) or "stream" for stream in found]
    for stream, stream_name in zip(found, names, strict=True):
        times_s = np.asarray(stream["time_stamps"], dtype=np.float64).reshape(-1)
        end_s = max(end_s, float(np.nanmax(times_s))) if np.isfinite(times_s).any() else end_s
        if _text(stream["info"], "channel_format") == "string":
            rows = [row[0] if row else "" for row in stream["time_series"]]
            marks += zip(times_s.tolist(), rows, strict=False)
            continue
        one = placement is not None and sum(_text(s["info"], "channel_format") != "string" for s in found) == 1
        place = placement if one and placement else (f"{placement}_{stream_name}" if placement else stream_name)
        built += _sensors(stream, times_s, place, notes)
    return finish(str(export.path), built, segments_of(marks, end_s), notes)


def _unpacked(data: bytes, where: str) -> bytes:
    if not data.startswith(_GZIP):
        return data
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            plain = file.read(min(MAX_FILE_BYTES, 200 * len(data)) + 1)
    except (OSError, EOFError, zlib.error) as err:
        raise not_this(where, "an XDF file", str(err)) from err
    if len(plain) > min(MAX_FILE_BYTES, 200 * len(data)):
        raise FormatError("a file may unpack to at most 200 times its size and a gigabyte", f"more of {where}",
                          "Do not use this file.")
    return plain


def _whole_chunks(data: bytes, where: str) -> tuple[bytes, list[Note]]:
    """Follow the chain of chunks and check what each claims; return it without a tail that is cut short."""
    declared: dict[int, _Declared] = {}
    place, n_values, n_samples = len(_MAGIC), 0, 0
    while place < len(data):
        start = place
        length, place = _length(data, place)
        if length is None or place + length > len(data):
            text = f"the last {len(data) - start} bytes are cut short and were left out"
            return data[:start], [Note("damage", "", float(len(data) - start), "bytes", text)]
        if length < 2:
            raise not_this(where, "an XDF file", f"a chunk without a tag at byte {start}")
        tag = struct.unpack_from("<H", data, place)[0]
        content = memoryview(data)[place + 2 : place + length]
        more_samples, n_channels = _check_chunk(tag, content, declared, f"at byte {start}", where)
        n_samples, n_values = n_samples + more_samples, n_values + more_samples * n_channels
        if n_values > _MAX_VALUES or n_samples > _MAX_SAMPLES:
            raise FormatError(f"an XDF file may hold at most {_MAX_SAMPLES} samples, {_MAX_VALUES} values",
                              f"more in {where}", "Cut the recording into shorter ones.")
        place += length
    return data, []


def _length(data: bytes | memoryview, place: int) -> tuple[int | None, int]:
    """Return a number of variable length and the place behind it; None if it is cut short or none."""
    size = data[place] if place < len(data) else 0
    if size not in (1, 4, 8) or place + 1 + size > len(data):
        return None, place
    return int.from_bytes(data[place + 1 : place + 1 + size], "little"), place + 1 + size


def _check_chunk(
    tag: int, content: memoryview, declared: dict[int, _Declared], at: str, where: str
) -> tuple[int, int]:  # fmt: skip
    """Refuse a chunk that claims more than it has; return the samples that it holds, and their channels."""
    if tag == _FILE_HEADER:
        _check_xml(content, at, where)
    if tag not in (_STREAM_HEADER, _SAMPLES, _CLOCK_OFFSET, _STREAM_FOOTER):
        return 0, 0
    if len(content) < 4:
        raise not_this(where, "an XDF file", f"a chunk without a stream {at}")
    number, content = struct.unpack_from("<I", content)[0], content[4:]
    if tag == _STREAM_HEADER:
        if number in declared or len(declared) >= _MAX_STREAMS:
            why = f"stream {number} declared twice, or over {_MAX_STREAMS} streams, {at}"
            raise not_this(where, "an XDF file", why)
        declared[number] = _header(content, at, where)
        return 0, 0
    if number not in declared:
        raise not_this(where, "an XDF file", f"a chunk of stream {number}, which is not declared, {at}")
    if tag == _SAMPLES:
        return _check_samples(content, declared[number], at, where), declared[number].n_channels
    if tag == _CLOCK_OFFSET:
        _check_offset(content, declared[number], at, where)
    else:
        _check_xml(content, at, where)
    return 0, 0


def _check_xml(content: memoryview, at: str, where: str) -> Any:
    from xml.etree.ElementTree import ParseError, fromstring

    if len(content) > _MAX_XML_BYTES:
        raise not_this(where, "an XDF file", f"a description of {len(content)} bytes {at}")
    text = bytes(content).decode("utf-8", errors="replace")
    if "<!" in text.replace("<!--", "").replace("<![CDATA[", ""):  # a document type can declare entities that explode
        raise FormatError("a description must not declare a document type", f"one {at} of {where}",
                          "Do not use this file.")
    try:
        return fromstring(text)  # no document type, so no entities
    except (ParseError, ValueError, RecursionError) as err:
        raise not_this(where, "an XDF file", f"{err} {at}") from err


def _header(content: memoryview, at: str, where: str) -> _Declared:
    info = _check_xml(content, at, where)
    count, kind = info.findtext("channel_count") or "", info.findtext("channel_format") or ""
    rate = info.findtext("nominal_srate") or ""
    try:
        n_channels, rate_hz = int(count[:20]), float(rate[:40])
    except ValueError:
        n_channels, rate_hz = 0, math.nan
    if info.tag != "info" or not 0 < n_channels <= _MAX_CHANNELS or not 0 <= rate_hz <= 1e6 or (
        kind != "string" and kind not in _SAMPLE_BYTES) or info.find("name") is None:  # fmt: skip
        why = f"a stream of {clean(count)!r} channels {clean(kind)!r} at {clean(rate)!r} Hz {at}"
        raise not_this(where, "an XDF file", why)
    return _Declared(n_channels, None if kind == "string" else n_channels * _SAMPLE_BYTES[kind])


def _check_samples(content: memoryview, stream: _Declared, at: str, where: str) -> int:
    n_samples, place = _length(content, 0)
    if n_samples is None or n_samples > len(content):
        raise not_this(where, "an XDF file", f"{n_samples} samples in {len(content)} bytes {at}")
    for _ in range(n_samples):
        place = _sample_end(content, place, stream)
        if place > len(content):
            raise not_this(where, "an XDF file", f"{n_samples} samples do not fit their chunk {at}")
    if place != len(content):
        raise not_this(where, "an XDF file", f"{len(content) - place} bytes behind the samples {at}")
    return n_samples


def _sample_end(content: memoryview, place: int, stream: _Declared) -> int:
    """Return the place behind one sample; beyond the content if it does not fit."""
    if place >= len(content) or content[place] not in (0, 8):
        return len(content) + 1
    place += 1 + content[place]
    if stream.sample_bytes is not None:
        return place + stream.sample_bytes
    for _ in range(stream.n_channels):
        n_bytes, place = _length(content, place)
        if n_bytes is None:
            return len(content) + 1
        place += n_bytes
    return place


def _check_offset(content: memoryview, stream: _Declared, at: str, where: str) -> None:
    """Refuse clocks that no recorder measures: pyxdf fits a line to each stretch between two resets."""
    if len(content) != 16:
        raise not_this(where, "an XDF file", f"a clock offset of {len(content)} bytes {at}")
    time_s, offset_s = struct.unpack("<dd", content)
    stream.n_offsets += 1
    stream.n_resets += time_s < stream.last_offset_s
    stream.last_offset_s = time_s
    too_many = stream.n_offsets > _MAX_OFFSETS or stream.n_resets > _MAX_RESETS
    if too_many or not (abs(time_s) < 1e12 and abs(offset_s) < 1e12):
        raise not_this(where, "an XDF file", f"clock offsets that cannot be {at}")


def _load(data: bytes, where: str) -> tuple[list[Any], list[Note]]:
    """Let pyxdf read what has been checked."""
    load = _library()
    with _heard() as said, warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            streams, _ = load(io.BytesIO(data), dejitter_timestamps=False)
        except Exception as err:  # whatever a library raises on a file, the file is what is wrong
            raise not_this(where, "an XDF file", f"{type(err).__name__}: {err}") from err
    errors = [text for level, text in said if level >= logging.ERROR]
    if errors:
        raise not_this(where, "an XDF file", clean(errors[0]))
    notes = [Note("damage", "", 1.0, "1", clean(text)) for _, text in said if "Segments and clock" not in text]
    return streams, notes


def _library() -> Callable[..., Any]:
    try:
        from pyxdf import load_xdf
    except ImportError as err:
        raise ConfigError("reading XDF needs the package pyxdf", "it is not installed", _EXTRA) from err
    return load_xdf  # type: ignore[no-any-return]


@contextmanager
def _heard() -> Iterator[list[tuple[int, str]]]:
    """Collect what pyxdf logs instead of printing it: it passes over damage with a word in its log."""
    said: list[tuple[int, str]] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append((record.levelno, record.getMessage()))

    logger, listener = logging.getLogger("pyxdf"), Listener(logging.WARNING)
    before = logger.propagate
    logger.addHandler(listener)
    logger.propagate = False
    try:
        yield said
    finally:
        logger.removeHandler(listener)
        logger.propagate = before


def _sensors(stream: Mapping[str, Any], times_s: NDArray[np.float64], place: str, notes: list[Note]) -> list[_Built]:
    """Return one stream for each kind of sensor among the channels."""
    info = stream["info"]
    n_channels = int(_text(info, "channel_count"))
    values = np.asarray(stream["time_series"], dtype=np.float64).reshape(len(times_s), n_channels)
    notes += _offsets(stream, place)
    groups: dict[str, list[int]] = {}
    channels = _channels(info, n_channels)
    for column, (label, kind, _) in enumerate(channels):
        groups.setdefault(_modality(label, kind, _text(info, "type")), []).append(column)
    rate = float(_text(info, "nominal_srate") or 0) or None
    device = slug(_text(info, "hostname")) or place
    built = []
    for modality, columns in groups.items():
        columns = _in_order([channels[column][0] for column in columns], columns)
        units = {channels[column][2] for column in columns}
        unit = units.pop() if len(units) == 1 else ""
        known = _unit(unit, modality)
        one, said = make_stream(place, modality, times_s, values[:, columns], device, known, rate)
        if known is None and modality in UNITS:
            text = f"the file declares {clean(unit) or 'no unit'}: taken as {one.unit}"
            said = (*said, Note("unit", one.name, float("nan"), one.unit, text))
        built.append((one, said))
    return built


def _channels(info: Mapping[str, Any], n_channels: int) -> list[tuple[str, str, str]]:
    """Return label, type and unit of every channel, empty where the header does not say."""
    found: list[tuple[str, str, str]] = []
    try:
        listed = info["desc"][0]["channels"][0]["channel"]
        found = [(_text(one, "label"), _text(one, "type"), _text(one, "unit")) for one in listed]
    except (KeyError, IndexError, TypeError):
        pass  # a header need not describe its channels
    return found if len(found) == n_channels else [("", "", "")] * n_channels


def _modality(label: str, kind: str, stream_type: str) -> str:
    """Return the modality of a channel by its type, else by its label, else by the type of its stream."""
    words = [kind, *re.split(r"[\s_\-.:/]+", label), stream_type]
    for word in words:
        plain = re.sub(r"[^a-z]", "", word.lower())
        for candidate in (plain, plain.rstrip("xyz")):
            if candidate in _MODALITIES:
                return _MODALITIES[candidate]
    return slug(stream_type) or "signal"


def _in_order(labels: list[str], columns: list[int]) -> list[int]:
    """Return three columns as x, y, z if their labels say which is which."""
    axes = [label.strip().lower()[-1:] for label in labels]
    return [columns[axes.index(axis)] for axis in "xyz"] if sorted(axes) == ["x", "y", "z"] else columns


def _unit(text: str, modality: str) -> str | None:
    """Return a unit that the modality can be converted from, or None."""
    plain = text.strip()
    unit = _UNITS.get(plain.lower().replace(" ", ""), plain)
    if modality not in UNITS:
        return unit if unit in list_units() else None
    fitting = {"acc": ("m/s2", "g", "mg"), "gyr": ("deg/s", "rad/s", "mdeg/s", "rpm"), "hr": ("bpm", "Hz"),
               "mag": ("uT", "nT", "mT", "T", "G", "mG")}.get(modality, ("mV", "uV", "V"))  # fmt: skip
    return unit if unit in fitting else None


def _offsets(stream: Mapping[str, Any], place: str) -> list[Note]:
    """Note the offset between the clocks of a device and of the recorder, and how it drifted."""
    times_s, values_s = (np.asarray(stream.get(key, []), dtype=np.float64) for key in ("clock_times", "clock_values"))
    if not len(values_s):
        return []
    middle = float(np.median(values_s))
    notes = [Note("clock_offset", place, middle, "s", f"clock moved by {middle:.6g} s, as the recorder measured")]
    span_s = float(times_s.max() - times_s.min())
    if span_s > 0:
        drift = 1e6 * float(values_s[times_s.argmax()] - values_s[times_s.argmin()]) / span_s
        notes.append(Note("clock_drift", place, drift, "ppm", f"drifted by {drift:.3g} ppm"))
    return notes


def _text(info: Mapping[str, Any], key: str) -> str:
    """Return one text of a header as pyxdf gives it: a list of one, or None."""
    found = info.get(key) if hasattr(info, "get") else None
    first = found[0] if isinstance(found, list) and found else found
    return first if isinstance(first, str) else ""
