"""Read Axivity CWA files (AX3, AX6) through cwa-reader-rs (MIT licence, extra ``devices``).

Facts of the format are from the Open Movement project's documentation (``cwa.h``, ``ax3-technical.md``): a header of
1,024 bytes, then blocks of 512, each with the time of one of its samples, the rate, the scales and up to 120 samples.
Acceleration is in g, angular rate in deg/s. The device's clock shows the local time of the computer that set it up.

The library takes a path and may panic on damage; blocks are checked here first, and a panic becomes an error.
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
    "names": ["tag", "length", "time", "rate", "format", "count", "words"],
    "formats": ["S2", "<u2", "<u4", "u1", "u1", "<u2", ("<u2", 256)],
    "offsets": [0, 2, 14, 24, 25, 28, 0],
    "itemsize": _BLOCK_BYTES,
})  # fmt: skip
_BYTES_OF_FORMAT = {0x30: 4, 0x32: 6, 0x62: 12, 0x92: 18}
_MAX_SAMPLES = 2**27
_BAD_SHARE = 0.1
_EXTRA = 'Install it with: pip install "dcdp[devices]", or: pip install cwa-reader-rs.'


def fits(export: Export) -> bool:
    """Say whether an export is a CWA file."""
    return export.kind == "file" and export.head(export.names[0], 4) == b"MD\xfc\x03"


def read(export: Export, placement: str | None) -> Capture:
    """Read an export; see `dcdp.data.readers.read_capture`."""
    where = export.where(export.names[0])
    good, rate_hz, notes = _check(export, where)
    frame = _frame(export.path, where) if good is None else _frame_of(good, where)
    times_s = _seconds(frame.index)
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


def _check(export: Export, where: str) -> tuple[bytes | None, float, list[Note]]:
    """Look at every block; return the file without those that are damaged, the rate of most, and notes.

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
    ours = (blocks["tag"] == b"AX") & (blocks["length"] == _BLOCK_BYTES - 4)
    sums = blocks["words"].sum(axis=1, dtype=np.uint32) & 0xFFFF
    size = np.zeros(n_blocks, dtype=np.int64)
    for code, n_bytes_sample in _BYTES_OF_FORMAT.items():
        size[blocks["format"] == code] = n_bytes_sample
    good = ours & (sums == 0) & (size > 0) & (size * blocks["count"] <= 480) & ((blocks["rate"] & 15) >= 6)
    n_bad = int((ours & ~good).sum()) + int((~ours & blocks["words"].any(axis=1)).sum())
    if not good.any() or n_bad > _BAD_SHARE * n_blocks:
        raise not_this(where, "a CWA file", f"{n_bad} of {n_blocks} blocks are damaged")
    n_samples = int(blocks["count"][ours].astype(np.int64).sum())
    if n_samples > _MAX_SAMPLES:
        raise FormatError(f"a recording may have at most {_MAX_SAMPLES} samples", f"{n_samples} in {where}",
                          "Cut the recording into shorter ones.")
    codes, counts = np.unique(blocks["rate"][good] & 15, return_counts=True)
    rate_hz = 3200 / 2.0 ** (15 - int(codes[counts.argmax()]))
    tail = (len(data) - _HEADER_BYTES) % _BLOCK_BYTES
    notes = [Note("damage", "", float(n_bad), "1", f"{n_bad} of {n_blocks} blocks are damaged")] if n_bad else []
    notes += [Note("damage", "", float(tail), "bytes", "the last block is cut short")] if tail else []
    if not notes and good.all():
        return None, rate_hz, notes
    return data[:_HEADER_BYTES].tobytes() + blocks[good].tobytes(), rate_hz, notes


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


def _seconds(index: Any) -> NDArray[np.float64]:
    """Return an index of dates as seconds since 1970, exact to a microsecond."""
    ticks = np.asarray(index.to_numpy())
    if ticks.dtype.kind != "M":
        raise FormatError("a CWA file must give the time of each sample", f"{ticks.dtype}", "Download it again.")
    whole = ticks.astype("M8[s]")
    return np.asarray(whole.astype(np.int64) + (ticks - whole) / np.timedelta64(1, "s"), dtype=np.float64)
