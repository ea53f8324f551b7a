"""Sum up the notes of many recordings: what was converted, moved, resampled or left out, and in how many."""

from __future__ import annotations

import math
from collections.abc import Iterable

from dcdp.data.index import RecordingEntry
from dcdp.records import Note

__all__ = ["summarise_notes"]


def summarise_notes(recordings: Iterable[RecordingEntry]) -> list[tuple[str, str, str]]:
    """Return one row for each signal and kind of note: signal, in how many recordings, and words with the range.

    Examples
    --------
    >>> from dcdp.records import Note
    >>> notes = [Note("clock_offset", "", by_s, "s", f"clock of 'watch' moved by {by_s} s") for by_s in (2.5, -1.0)]
    >>> entries = [RecordingEntry(f"s{i}", "s", "1", (), {}, {}, (note,)) for i, note in enumerate(notes)]
    >>> summarise_notes(entries)
    [('', '2', "clock_offset -1 to 2.5 s, such as: clock of 'watch' moved by 2.5 s")]
    """
    entries = list(recordings)
    found: dict[tuple[str, str], list[Note]] = {}
    for entry in entries:
        for note in dict.fromkeys(entry.notes):
            found.setdefault((note.signal, note.kind), []).append(note)
    return [(signal, str(len(notes)), _words(kind, notes)) for (signal, kind), notes in sorted(found.items())]


def _words(kind: str, notes: list[Note]) -> str:
    if len({note.text for note in notes}) == 1:
        return notes[0].text
    values = sorted(note.value for note in notes if math.isfinite(note.value))
    measured = bool(values) and notes[0].unit not in ("1", "")
    extent = f" {_range(values)} {notes[0].unit}" if measured else ""
    return f"{kind}{extent}, such as: {notes[0].text}"


def _range(values: list[float]) -> str:
    low, high = f"{values[0]:.4g}", f"{values[-1]:.4g}"
    return low if low == high else f"{low} to {high}"
