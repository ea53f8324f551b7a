"""The index of a store: what lies where in its arrays, as JSON. Replacing it is what commits a write."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dcdp.errors import FormatError, MissingError
from dcdp.files import write_text
from dcdp.records import LabelSet, Note, Segment, Signal, SignalSpec

__all__ = ["INDEX_NAME", "ArrayFile", "RecordingEntry", "StoreIndex", "load_index", "save_index"]

INDEX_NAME = "index.json"
FORMAT = 2


@dataclass(frozen=True, slots=True)
class RecordingEntry:
    """Where a recording lies in the arrays of a store.

    Attributes
    ----------
    name, subject, session, segments, notes
        As in `dcdp.records.Recording`.
    rows
        Signal -> (first row, number of rows). A signal that was not recorded is left out.
    start_s
        Signal -> time of its first sample on the recording's clock [s].
    fingerprint
        What the recording was made from, in the words of whoever stored it (a hash of its files), or "".
    complete
        Signals that are finite from end to end: nobody need read them to look for gaps.
    """

    name: str
    subject: str
    session: str
    segments: tuple[Segment, ...]
    rows: Mapping[str, tuple[int, int]]
    start_s: Mapping[str, float]
    notes: tuple[Note, ...] = ()
    fingerprint: str = ""
    complete: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ArrayFile:
    """One array (n_rows, C) on disk: the channels of its signals side by side, in this order.

    Rows beyond ``n_rows`` were never committed.
    """

    name: str
    signals: tuple[str, ...]
    n_rows: int


@dataclass(frozen=True, slots=True)
class StoreIndex:
    """All of a store but its arrays."""

    spec: SignalSpec
    labels: LabelSet
    recordings: tuple[RecordingEntry, ...]
    files: tuple[ArrayFile, ...]


def save_index(folder: Path, index: StoreIndex) -> None:
    """Replace the index of a store's folder, atomically."""
    plain = {"format": FORMAT, **asdict(index), "spec": [asdict(signal) for signal in index.spec]}
    write_text(folder / INDEX_NAME, json.dumps(plain, separators=(",", ":")))


def load_index(folder: Path) -> StoreIndex:
    """Read the index of a store's folder.

    Raises
    ------
    MissingError
        If there is none.
    FormatError
        If it is not an index of this format.
    """
    path = folder / INDEX_NAME
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError) as err:
        raise MissingError(f"a store must have an {INDEX_NAME}", f"none in '{folder}'",
                           "Open the data set again to make its store.") from err
    try:
        return _from_plain(json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError) as err:
        raise FormatError("an index must be of this format", f"'{path}' ({err!r})",
                          f"Delete '{folder}' and open the data set again.") from err


def _from_plain(plain: dict[str, Any]) -> StoreIndex:
    if plain["format"] not in (1, FORMAT):
        raise ValueError(f"format {plain['format']}")
    signals = tuple(Signal(**{**signal, "channels": tuple(signal["channels"])}) for signal in plain["spec"])
    labels = LabelSet(tuple(plain["labels"]["names"]), plain["labels"]["null_label"])
    recordings = tuple(_entry(entry) for entry in plain["recordings"])
    files = _files_of_format_1(signals, recordings) if plain["format"] == 1 else _files(plain)
    _require_tiled(recordings, files)
    return StoreIndex(SignalSpec(signals), labels, recordings, files)


def _entry(plain: dict[str, Any]) -> RecordingEntry:
    segments = tuple(Segment(**segment) for segment in plain["segments"])
    notes = tuple(Note(**note) for note in plain.get("notes", ()))
    rows = {signal: (int(first), int(count)) for signal, (first, count) in plain["rows"].items()}
    return RecordingEntry(plain["name"], plain["subject"], plain["session"], segments, rows, plain["start_s"], notes,
                          plain.get("fingerprint", ""), tuple(plain.get("complete", ())))


def _files(plain: dict[str, Any]) -> tuple[ArrayFile, ...]:
    files = tuple(ArrayFile(str(own["name"]), tuple(own["signals"]), int(own["n_rows"])) for own in plain["files"])
    held = [signal for file in files for signal in file.signals]
    if sorted(held) != sorted(signal["name"] for signal in plain["spec"]):
        raise ValueError(f"files of {', '.join(held)}")
    return files


def _files_of_format_1(signals: tuple[Signal, ...], recordings: tuple[RecordingEntry, ...]) -> tuple[ArrayFile, ...]:
    """Return the files of the first format: one a signal, without padding."""
    return tuple(
        ArrayFile(f"{signal.name}.npy", (signal.name,), sum(own.rows.get(signal.name, (0, 0))[1] for own in recordings))
        for signal in signals
    )


def _require_tiled(recordings: tuple[RecordingEntry, ...], files: tuple[ArrayFile, ...]) -> None:
    """Refuse recordings that do not lie one behind the other from the first row to the last."""
    place = {signal: number for number, file in enumerate(files) for signal in file.signals}
    ends = [0] * len(files)
    for entry in recordings:
        grown = list(ends)
        for signal, (first, count) in entry.rows.items():
            if first != ends[place[signal]] or count < 0:
                raise ValueError(f"{signal} of {entry.name} at row {first}, not {ends[place[signal]]}")
            grown[place[signal]] = max(grown[place[signal]], first + count)
        ends = grown
    for file, end in zip(files, ends, strict=True):
        if end != file.n_rows:
            raise ValueError(f"{end} of {file.n_rows} rows in {file.name}")
