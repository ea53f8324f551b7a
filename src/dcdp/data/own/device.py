"""Read the files of one device as streams in the library's units, each with its own times."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dcdp.data.frame import Table, Times
from dcdp.data.own.description import Description, DeviceDescription, SignalDescription
from dcdp.data.readers import read_capture, recognise
from dcdp.data.readers.streams import make_stream
from dcdp.data.tables import column_names, read_table
from dcdp.errors import DataError, FormatError
from dcdp.records import Note, Segment, Stream
from dcdp.signals.frames import remap_axes, rotate
from dcdp.signals.units import check_gravity

__all__ = ["Piece", "read_device"]

_NS = 1_000_000_000
_FEWEST_FOR_GRAVITY = 256
_EMPTY = pl.DataFrame()
_ACCELERATIONS = ("m/s2", "g", "mg")

Who = tuple[str, str]
"""Subject and session, ``""`` where the device does not say."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What one device recorded of one session: times in streams and rows count from ``origin_ns``.

    Attributes
    ----------
    origin_ns
        Whole nanoseconds on the clock of the device.
    streams
        The sensors.
    label_times_s, labels
        (N,) time and text of the column of labels, if it is read.
    segments
        Marks that someone set in the recorder.
    notes
        On what was converted.
    """

    origin_ns: int
    streams: tuple[Stream, ...]
    label_times_s: NDArray[np.float64] | None = None
    labels: NDArray[np.str_] | None = None
    segments: tuple[Segment, ...] = ()
    notes: tuple[Note, ...] = ()

    @property
    def start_s(self) -> float:
        """Earliest time, from the origin [s]."""
        return min(float(np.nanmin(stream.times_s)) for stream in self.streams)

    def moved(self, origin_ns: int) -> Piece:
        """Return the same with times that count from another origin."""
        by_s = (self.origin_ns - origin_ns) / _NS
        return Piece(
            origin_ns,
            tuple(replace(stream, times_s=stream.times_s + by_s) for stream in self.streams),
            None if self.label_times_s is None else self.label_times_s + by_s,
            self.labels,
            tuple(Segment(s.start_s + by_s, s.stop_s + by_s, s.label) for s in self.segments),
            self.notes,
        )


def read_device(
    description: Description, device: DeviceDescription, paths: Sequence[Path], *, labels: bool = True
) -> dict[Who, Piece]:
    """Read the files of one device.

    Parameters
    ----------
    paths
        Its files: one, or several parts of one recording in order.
    labels
        False leaves a column of labels unread.

    Returns
    -------
    dict
        (subject, session) -> what was recorded. One entry, unless a column names several people.

    Raises
    ------
    FormatError
        Naming file, line and column where a file is damaged or no number can be read.
    DataError
        If there is no sample, or gravity contradicts the unit.
    """
    if device.format != "table":
        return {("", ""): _piece_of_capture(description, device, paths)}
    column = description.labels.column if labels and device is description.label_device else ""
    parts: dict[Who, list[Piece]] = {}
    for path in paths:
        for who, piece in _read_table(description, device, path, column).items():
            parts.setdefault(who, []).append(piece)
    return {who: _joined(device, pieces) for who, pieces in parts.items()}


def _read_table(
    description: Description, device: DeviceDescription, path: Path, label_column: str
) -> dict[Who, Piece]:
    table = _load(device, path, label_column)
    if not len(table):
        raise DataError("a recording must hold samples", f"no row in '{path}'", "Delete the file, or export it again.")
    times = _times(device, table)
    columns = {s: np.stack([table.numbers(table.place(c)) for c in s.columns], axis=1) for s in device.signals}
    texts = table.strings(table.place(label_column)) if label_column else None
    pieces = {}
    for who, rows in _people(device, table):
        own_s = times.since_s[rows]
        built = [
            _stream(description, device, signal, own_s, values[rows], path)
            for signal, values in columns.items() if not np.isnan(values[rows]).all()
        ]  # fmt: skip
        if not built:
            raise DataError("a recording must hold values", f"none in the columns of '{path}'", "Check its columns.")
        notes = tuple(note for _, said in built for note in said)
        pieces[who] = Piece(
            times.origin_ns, tuple(stream for stream, _ in built), own_s if label_column else None,
            None if texts is None else texts[rows], notes=notes,
        )  # fmt: skip
    return {who: _on_clock(device, piece) for who, piece in pieces.items()}


def _load(device: DeviceDescription, path: Path, label_column: str) -> Table:
    wanted = [column for signal in device.signals for column in signal.columns]
    wanted += [device.time.column] if device.time else []
    wanted += [column for column in (device.subject_column, device.session_column, label_column) if column]
    header = Table(path, column_names(path, device.dialect), _EMPTY, None)
    return read_table(path, [header.place(name) for name in wanted], device.dialect)


def _times(device: DeviceDescription, table: Table) -> Times:
    if device.time is None:
        assert device.rate_hz is not None
        return Times(0, np.arange(len(table)) / device.rate_hz)
    return table.times(table.place(device.time.column), device.time.unit)


def _people(device: DeviceDescription, table: Table) -> Iterable[tuple[Who, NDArray[np.int64]]]:
    """Yield subject and session with their rows; all rows where no column names them."""
    columns = [column for column in (device.subject_column, device.session_column) if column]
    if not columns:
        yield ("", ""), np.arange(len(table))
        return
    texts = [table.strings(table.place(column)) for column in columns]
    if device.subject_column and (texts[0] == "").any():
        row = int((texts[0] == "").argmax())
        raise FormatError(f"column '{device.subject_column}' must name the person in each row",
                          f"nothing in {table.where(row)}", "Fill it in.")
    told = np.stack(texts, axis=1)
    found, place = np.unique(told, axis=0, return_inverse=True)
    for number, values in enumerate(found):
        subject = str(values[0]) if device.subject_column else ""
        session = str(values[-1]) if device.session_column else ""
        yield (subject, session), np.flatnonzero(place.ravel() == number)


def _stream(
    description: Description, device: DeviceDescription, signal: SignalDescription, times_s: NDArray[np.float64],
    values: NDArray[np.float64], path: Path,
) -> tuple[Stream, tuple[Note, ...]]:  # fmt: skip
    place, name = device.place_of(signal), device.signal_name(signal)
    unit, notes = _settled_unit(description, name, signal, values, path)
    turned = _turned(signal, values)
    if turned is not values:
        how = f"axes {signal.axes}" if signal.axes else "mounting rotation"
        notes = (*notes, Note("axes", name, 1.0, "1", f"{how} applied"))
    stream, said = make_stream(place, signal.modality, times_s, turned, device.name, unit, device.rate_hz)
    return stream, (*notes, *said)


def _settled_unit(
    description: Description, name: str, signal: SignalDescription, values: NDArray[np.float64], path: Path
) -> tuple[str, tuple[Note, ...]]:
    """Return the unit of the values: the one that is given, unless gravity says otherwise and may decide."""
    unit = signal.given_unit
    if signal.modality != "acc" or values.shape[1] != 3 or len(values) < _FEWEST_FOR_GRAVITY:
        return unit, ()
    odd = check_gravity(values, unit)
    if odd is None or "no stretch" in odd:
        return unit, ()
    fits = [other for other in _ACCELERATIONS if check_gravity(values, other) is None]
    if not fits:
        return unit, (Note("gravity", name, float("nan"), unit, odd),)
    if description.wrong_unit == "refuse":
        raise DataError(
            f"'{name}' must be in {unit}", f"{odd} in '{path}'",
            f'Set unit = "{fits[0]}" for it, or wrong_unit = "convert" to have it judged file by file. If the recorder '
            'takes gravity away, its modality is "lin".',
        )  # fmt: skip
    return fits[0], (Note("wrong_unit", name, 1.0, "1", f"{odd}, not {unit} as described"),)


def _turned(signal: SignalDescription, values: NDArray[np.float64]) -> NDArray[np.float64]:
    if not (signal.axes or signal.rotation):
        return values
    turned: NDArray[np.floating] = values
    if signal.axes:
        turned = remap_axes(turned, signal.axes, mirror=signal.mirror)
    if signal.rotation:
        turned = rotate(turned, np.array(signal.rotation), mirror=signal.mirror)
    return turned.astype(np.float64)


def _piece_of_capture(description: Description, device: DeviceDescription, paths: Sequence[Path]) -> Piece:
    if len(paths) > 1:
        raise FormatError("only tables come in parts", f"{len(paths)} files such as '{paths[0]}'",
                          "Leave {part} out of files.")
    path = paths[0]
    found = recognise(path)
    if device.format not in ("auto", found):
        raise FormatError(f"'{path}' must be of the format '{device.format}'", f"'{found}'",
                          f'Set format = "{found or "table"}".')
    capture = read_capture(path, device.placement or None)
    built = [_chosen(device, stream, description, path) for stream in capture.streams]
    kept = [(stream, notes) for stream, notes in built if stream is not None]
    if not kept:
        raise DataError("a recording must hold a described signal",
                        f"{', '.join(stream.name for stream in capture.streams)} in '{path}'",
                        f"Correct the signals of device '{device.name}', or leave them out to take all.")
    origin_s = int(np.floor(min(float(stream.times_s.min()) for stream, _ in kept)))
    streams = tuple(replace(stream, times_s=stream.times_s - origin_s, device=device.name) for stream, _ in kept)
    segments = tuple(Segment(s.start_s - origin_s, s.stop_s - origin_s, s.label) for s in capture.segments)
    notes = (*capture.notes, *(note for _, said in kept for note in said))
    return _on_clock(device, Piece(origin_s * _NS, streams, segments=segments, notes=notes))


def _chosen(
    device: DeviceDescription, stream: Stream, description: Description, path: Path
) -> tuple[Stream | None, tuple[Note, ...]]:
    """Return a stream of a recorder as it is described; as it is where nothing is; None if it is not wanted."""
    if not device.signals:
        return stream, ()
    wanted = [
        signal for signal in device.signals
        if signal.modality == stream.modality and signal.placement in ("", stream.placement)
    ]  # fmt: skip
    if not wanted:
        return None, ()
    signal = replace(wanted[0], placement=wanted[0].placement or device.placement or stream.placement, unit=stream.unit)
    return _stream(description, replace(device, rate_hz=device.rate_hz or stream.rate_hz), signal, stream.times_s,
                   stream.values, path)  # fmt: skip


def _on_clock(device: DeviceDescription, piece: Piece) -> Piece:
    """Begin at 0 where the device has no clock to share, and add the offset that is given."""
    if device.clock == "start" or (device.time is None and device.format == "table"):
        start_s = piece.start_s
        piece = replace(piece.moved(piece.origin_ns + round(start_s * _NS)), origin_ns=0)
    return piece if not device.offset_s else replace(piece, origin_ns=piece.origin_ns + round(device.offset_s * _NS))


def _joined(device: DeviceDescription, pieces: Sequence[Piece]) -> Piece:
    """Put the parts of one recording behind one another."""
    if len(pieces) == 1:
        return pieces[0]
    if device.time is None or device.clock == "start":  # each part begins where the one before ended
        assert device.rate_hz is not None or device.time is not None
        after, placed = 0.0, []
        for piece in pieces:
            placed.append(replace(piece.moved(-round(after * _NS)), origin_ns=0))
            stop_s = max(float(stream.times_s[-1]) for stream in placed[-1].streams)
            after = stop_s + (1 / device.rate_hz if device.rate_hz else 0.0)
        pieces = placed
    origin_ns = pieces[0].origin_ns
    pieces = [piece.moved(origin_ns) for piece in pieces]
    names = dict.fromkeys(stream.name for piece in pieces for stream in piece.streams)
    streams = tuple(_concatenated([s for piece in pieces for s in piece.streams if s.name == name]) for name in names)
    times = [piece.label_times_s for piece in pieces if piece.label_times_s is not None]
    texts = [piece.labels for piece in pieces if piece.labels is not None]
    return Piece(
        origin_ns, streams, np.concatenate(times) if times else None, np.concatenate(texts) if texts else None,
        tuple(segment for piece in pieces for segment in piece.segments),
        tuple(dict.fromkeys(note for piece in pieces for note in piece.notes)),
    )  # fmt: skip


def _concatenated(streams: Sequence[Stream]) -> Stream:
    return replace(
        streams[0], times_s=np.concatenate([stream.times_s for stream in streams]),
        values=np.concatenate([stream.values for stream in streams]),
    )  # fmt: skip
