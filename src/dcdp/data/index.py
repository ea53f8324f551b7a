"""The index of a store: what lies where in its arrays, as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dcdp.errors import FormatError, MissingError
from dcdp.records import LabelSet, Note, Segment, Signal, SignalSpec

__all__ = ["INDEX_NAME", "RecordingEntry", "StoreIndex", "load_index", "save_index"]

INDEX_NAME = "index.json"
FORMAT = 1


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
    """

    name: str
    subject: str
    session: str
    segments: tuple[Segment, ...]
    rows: Mapping[str, tuple[int, int]]
    start_s: Mapping[str, float]
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True)
class StoreIndex:
    """All of a store but its arrays; ``n_bytes`` is the size of each array file [bytes]."""

    spec: SignalSpec
    labels: LabelSet
    recordings: tuple[RecordingEntry, ...]
    n_bytes: Mapping[str, int]


def save_index(folder: Path, index: StoreIndex) -> None:
    """Write the index into a store's folder."""
    plain = {"format": FORMAT, **asdict(index), "spec": [asdict(signal) for signal in index.spec]}
    (folder / INDEX_NAME).write_text(json.dumps(plain, separators=(",", ":")), encoding="utf-8")


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
    if plain["format"] != FORMAT:
        raise ValueError(f"format {plain['format']}")
    signals = tuple(Signal(**{**signal, "channels": tuple(signal["channels"])}) for signal in plain["spec"])
    labels = LabelSet(tuple(plain["labels"]["names"]), plain["labels"]["null_label"])
    recordings = tuple(_entry(entry) for entry in plain["recordings"])
    return StoreIndex(SignalSpec(signals), labels, recordings, dict(plain["n_bytes"]))


def _entry(plain: dict[str, Any]) -> RecordingEntry:
    segments = tuple(Segment(**segment) for segment in plain["segments"])
    notes = tuple(Note(**note) for note in plain.get("notes", ()))
    rows = {signal: (int(first), int(count)) for signal, (first, count) in plain["rows"].items()}
    return RecordingEntry(plain["name"], plain["subject"], plain["session"], segments, rows, plain["start_s"], notes)
