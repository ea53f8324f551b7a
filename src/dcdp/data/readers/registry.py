"""The readers of recorder formats by name, and which of them fits a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dcdp.data.readers import android, apple, axivity, gt3x, phyphox, sensor_logger, xdf
from dcdp.data.readers.export import Export, open_export
from dcdp.errors import FormatError, StorageError
from dcdp.records import Capture

__all__ = ["Reader", "list_readers", "read_capture", "recognise"]


@dataclass(frozen=True, slots=True)
class Reader:
    """One format: what it is called, whether an export is of it, and how it is read."""

    name: str
    title: str
    fits: Callable[[Export], bool]
    read: Callable[[Export, str | None], Capture]


# In this order: a format whose mark is sure comes before one that is known by its columns.
_READERS = (
    Reader("axivity", "Axivity AX3 and AX6 (CWA)", axivity.fits, axivity.read),
    Reader("xdf", "LabStreamingLayer (XDF)", xdf.fits, xdf.read),
    Reader("gt3x", "ActiGraph (GT3X)", gt3x.fits, gt3x.read),
    Reader("apple_health", "Apple Health export (heart rate)", apple.fits_health, apple.read_health),
    Reader("sensor_logger", "Sensor Logger (iOS, Android)", sensor_logger.fits, sensor_logger.read),
    Reader("sensorlog", "SensorLog (iOS, watchOS)", apple.fits_sensorlog, apple.read_sensorlog),
    Reader("androsensor", "AndroSensor (Android)", android.fits, android.read),
    Reader("phyphox", "Phyphox (iOS, Android)", phyphox.fits, phyphox.read),
)
_OLE, _WORKBOOK = b"\xd0\xcf\x11\xe0", "[Content_Types].xml"


def list_readers() -> tuple[Reader, ...]:
    """Return the readers, sorted by name."""
    return tuple(sorted(_READERS, key=lambda reader: reader.name))


def recognise(path: Path) -> str | None:
    """Return the name of the reader that fits a file or folder by its content, or None.

    Raises
    ------
    MissingError
        If there is nothing at that path.
    StorageError
        If it cannot be read.
    """
    try:
        reader = _reader_of(open_export(path))
    except FormatError:  # a damaged archive is no recording of a known kind
        return None
    return None if reader is None else reader.name


def read_capture(path: Path, placement: str | None = None) -> Capture:
    """Read what a recorder wrote.

    Parameters
    ----------
    path
        File, folder or zip.
    placement
        Where the device was worn, such as ``wrist``. Left out: ``phone`` for a phone, ``wrist`` for a watch, what the
        file says, or ``body``.

    Returns
    -------
    Capture
        Streams in m/s2, deg/s, uT, bpm with the times of the device; marks as segments; notes on what was converted,
        left out or doubtful.

    Raises
    ------
    MissingError
        If there is nothing at that path.
    FormatError
        If no reader fits, or the file is damaged or hostile.
    DataError
        If it holds no sample of a known sensor.
    ConfigError
        If a package of the extra ``devices`` is needed and not installed.
    StorageError
        If the disk does not give it.
    """
    export = open_export(path)
    reader = _reader_of(export)
    if reader is None:
        raise _unknown(export)
    try:
        return reader.read(export, placement)
    except MemoryError as err:
        raise StorageError("a recording must fit the memory", f"'{path}'", "Cut it into shorter ones.") from err


def _reader_of(export: Export) -> Reader | None:
    return next((reader for reader in _READERS if reader.fits(export)), None)


def _unknown(export: Export) -> FormatError:
    """Return the error for what no reader knows; a workbook is the likely mistake."""
    if _WORKBOOK in export.names or (export.kind == "file" and export.head(export.names[0], 4) == _OLE):
        return FormatError("a recording must not be a workbook", f"'{export.path}'", "Export it as CSV.")
    known = ", ".join(reader.name for reader in list_readers())
    return FormatError(f"a recording must be of a known kind ({known})", f"'{export.path}'",
                       "For a table of your own, describe it: dcdp data describe FOLDER.")
