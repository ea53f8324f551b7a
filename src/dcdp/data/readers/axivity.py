"""Read Axivity CWA files (AX3, AX6) through cwa-reader-rs (MIT licence, extra ``devices``).

Facts of the format are from the Open Movement project's documentation (``cwa.h``, ``ax3-technical.md``): a header of
1,024 bytes, then blocks of 512, each with the time of one of its samples, the rate, the scales and up to 120 samples.
Acceleration is in g, angular rate in deg/s. The device's clock shows the local time of the computer that set it up.

The library takes a path and may panic on damage; blocks are checked here first, and a panic becomes an error. It
decodes the values; the times are computed here, because it passes over the fraction of a second in a block's stamp
(which moves samples by up to one period) and stretches a block over a lost one behind it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dcdp.data.readers.export import MAX_FILE_BYTES, Export, not_this
from dcdp.data.readers.streams import clean, finish, make_stream
from dcdp.errors import ConfigError, DcdpError, FormatError
from dcdp.records import Capture, Note

__all__ = ["fits", "read"]

_HEADER_BYTES, _BLOCK_BYTES = 1024, 512
_BLOCK = np.dtype({
    "names": ["tag", "length", "fraction", "sequence", "time", "rate", "format", "place", "count", "words"],
    "formats": ["S2", "<u2", "<u2", "<u4", "<u4", "u1", "u1", "<i2", "<u2", ("<u2", 256)],
    "offsets": [0, 2, 4, 10, 14, 24, 25, 26, 28, 0],
    "itemsize": _BLOCK_BYTES,
})  # fmt: skip
_BYTES_OF_FORMAT = {0x30: 4, 0x32: 6, 0x62: 12, 0x92: 18}
_MAX_SAMPLES = 2**27
_BAD_SHARE = 0.1
_RATE_TOLERANCE = 0.1  # of a block: the sensors run a few per cent beside their nominal rate
_EXTRA = 'Install it with: pip install "dcdp[devices]", or: pip install cwa-reader-rs.'


def fits(export: Export) -> bool:
    """Say whether an export is a CWA file."""
    return export.kind == "file" and export.head(export.names[0], 4) == b"MD\xfc\x03"


def read(export: Export, placement: str | None) -> Capture:
    """Read an export; see `dcdp.data.readers.read_capture`."""
    where = export.where(export.names[0])
    whole, blocks, notes = _check(export, where)
    frame = _frame(export.path, where) if whole is None else _frame_of(whole, where)
    codes, counts = np.unique(blocks["rate"] & 15, return_counts=True)
    rate_hz = float(_rates(codes[counts.argmax()]))
    times_s, lost_s = _times(blocks)
    if len(frame) != len(times_s):
        raise not_this(where, "a CWA file", f"{len(frame)} of {len(times_s)} samples decoded")
    if lost_s > 0:
        notes.append(Note("gap", "", lost_s, "s", f"{lost_s:.3g} s between blocks: stopped, or blocks lost"))
    place = placement or "body"
    notes.append(Note("clock", "", float("nan"), "s", "the device shows the local time of the computer that set it: "
                      "taken as if it were UTC"))
    built = []
    for modality, prefix, unit in (("acc", "acc", "g"), ("gyr", "gyro", "deg/s"), ("mag", "mag", "uT")):
        names = [f"{prefix}_{axis}" for axis in "xyz"]
        if set(names) <= set(frame.columns):
            values = np.stack([frame[name].to_numpy().astype(np.float64) for name in names], axis=1)
            built.append(make_stream(place, modality, times_s, values, "axivity", unit, rate_hz))
    return finish(str(export.path), built, notes=notes)


def _check(export: Export, where: str) -> tuple[bytes | None, NDArray[np.void], list[Note]]:
    """Look at every block; return the file without those that are damaged, the others, and notes.

    None in place of the file if it is whole.
    """
    n_bytes = export.size(export.names[0])
    if n_bytes > MAX_FILE_BYTES:
        raise FormatError(f"a CWA file may have at most {MAX_FILE_BYTES} bytes", f"{n_bytes} of {where}",
                          "Cut the recording into shorter ones.")
    data = np.frombuffer(export.read(export.names[0]), dtype=np.uint8)
    n_blocks = (len(data) - _HEADER_BYTES) // _BLOCK_BYTES
    if n_blocks < 1:
        raise not_this(where, "a CWA file", "it holds no block of samples")
    blocks = data[_HEADER_BYTES : _HEADER_BYTES + n_blocks * _BLOCK_BYTES].view(_BLOCK)
    good, n_bad = _good(blocks)
    if not good.any() or n_bad > _BAD_SHARE * n_blocks:
        raise not_this(where, "a CWA file", f"{n_bad} of {n_blocks} blocks are damaged")
    n_samples = int(blocks["count"][good].astype(np.int64).sum())
    if n_samples > _MAX_SAMPLES:
        raise FormatError(f"a recording may have at most {_MAX_SAMPLES} samples", f"{n_samples} in {where}",
                          "Cut the recording into shorter ones.")
    tail = (len(data) - _HEADER_BYTES) % _BLOCK_BYTES
    notes = [Note("damage", "", float(n_bad), "1", f"{n_bad} of {n_blocks} blocks are damaged")] if n_bad else []
    notes += [Note("damage", "", float(tail), "bytes", "the last block is cut short")] if tail else []
    if not notes and good.all():
        return None, blocks, notes
    return data[:_HEADER_BYTES].tobytes() + blocks[good].tobytes(), blocks[good], notes


def _good(blocks: NDArray[np.void]) -> tuple[NDArray[np.bool_], int]:
    """Say which blocks hold samples and are whole, and how many are damaged; the rest is empty."""
    ours = (blocks["tag"] == b"AX") & (blocks["length"] == _BLOCK_BYTES - 4)
    sums = blocks["words"].sum(axis=1, dtype=np.uint32) & 0xFFFF
    size = np.zeros(len(blocks), dtype=np.int64)
    for code, n_bytes in _BYTES_OF_FORMAT.items():
        size[blocks["format"] == code] = n_bytes
    fits = (size > 0) & (size * blocks["count"] <= 480) & ((blocks["rate"] & 15) >= 6)
    whole = ours & (sums == 0) & fits & _has_date(blocks["time"])
    empty = (ours & whole & (blocks["count"] == 0)) | ~blocks["words"].any(axis=1)
    return whole & ~empty, int((~whole & ~empty).sum())


def _has_date(stamp: NDArray[np.uint32]) -> NDArray[np.bool_]:
    month, day, hour, minute, second = _fields(stamp)[1:]
    return (month > 0) & (month < 13) & (day > 0) & (hour < 24) & (minute < 60) & (second < 60)


def _fields(stamp: NDArray[np.uint32]) -> tuple[NDArray[np.int64], ...]:
    """Return year, month, day, hour, minute and second of packed stamps."""
    parts = ((26, 63), (22, 15), (17, 31), (12, 31), (6, 63), (0, 63))
    year, *others = (((stamp >> shift) & mask).astype(np.int64) for shift, mask in parts)
    return year + 2000, *others


def _rates(codes: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the rates that codes mean [Hz]."""
    return np.asarray(3200 / 2.0 ** (15 - (np.asarray(codes, dtype=np.int64) & 15)))


def _times(blocks: NDArray[np.void]) -> tuple[NDArray[np.float64], float]:
    """Return the time of every sample (N,) [s since 1970], and the time lost between blocks [s].

    A stamp is a second and its fraction, and the place of the sample it belongs to. For readers without fractions the
    device moves that place back by the whole samples of the fraction, which is undone here. A block that follows its
    neighbour closely is spread up to it, because the sensor's rate is not exactly the nominal one.
    """
    rate_hz, count = _rates(blocks["rate"]), blocks["count"].astype(np.int64)
    year, month, day, hour, minute, second = _fields(blocks["time"])
    months = (year - 1970).astype("M8[Y]").astype("M8[M]") + (month - 1)
    days = months.astype("M8[D]").astype(np.int64) + day - 1
    fraction = np.where(blocks["fraction"] & 0x8000, blocks["fraction"] & 0x7FFF, 0) / 32768
    first_s = days * 86400.0 + hour * 3600 + minute * 60 + second + fraction
    first_s -= (blocks["place"] + np.floor(fraction * rate_hz)) / rate_hz
    span_s = count / rate_hz
    late_s = first_s[1:] - first_s[:-1] - span_s[:-1]
    follows = (np.diff(blocks["sequence"].astype(np.int64)) == 1) & (
        np.abs(late_s) <= _RATE_TOLERANCE * span_s[:-1] + 2 / rate_hz[:-1])  # fmt: skip
    span_s[:-1] += np.where(follows, late_s, 0)
    starts = np.cumsum(count) - count
    index = np.arange(count.sum()) - np.repeat(starts, count)
    times_s = np.repeat(first_s, count) + index * np.repeat(span_s / count, count)
    return times_s, float(late_s[~follows & (late_s > 0)].sum())


def _frame_of(data: bytes, where: str) -> Any:
    """Let the library read what is whole of a file: it takes a path only."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "whole.cwa")
        path.write_bytes(data)
        return _frame(path, where)


def _frame(path: Path, where: str) -> Any:
    """Let the library read a file that has been checked."""
    load = _library()
    try:
        return load(str(path), include_temperature=False, include_light=False, include_battery=False)
    except (KeyboardInterrupt, SystemExit, GeneratorExit, DcdpError):
        raise
    except BaseException as err:  # a panic of the library derives from BaseException
        raise not_this(where, "a CWA file", clean(f"{type(err).__name__}: {err}")) from err


def _library() -> Callable[..., Any]:
    try:
        from cwa_reader_rs import read_cwa_file
    except ImportError as err:
        raise ConfigError("reading CWA needs the package cwa-reader-rs", "it is not installed", _EXTRA) from err
    return read_cwa_file  # type: ignore[no-any-return]
