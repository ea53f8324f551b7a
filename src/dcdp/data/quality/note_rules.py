"""Judge what the readers noted of time stamps, clocks and units while they read."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from dcdp.data.quality.figures import Quality
from dcdp.data.quality.finding import Finding

__all__ = ["NoteFigures", "judge_notes", "note_table"]

JITTER_PERIODS = 0.5
LOST_ROWS_SHARE = 0.01
DRIFT_PPM = 500.0

_RULES = {
    "rate_jitter": (
        "samples should come at an even rate", "They were put on an even clock; fast movements are blurred."),
    "duplicate_times": (
        "a time should be given once", "The first row of each was kept: check how the files were joined."),
    "out_of_order": ("rows should be in order of time", "They were sorted: check how the file was written."),
    "stray_times": ("times should follow one another", "Rows far from all others were left out: check the clock."),
    "bursts": ("samples should come one by one", "They were spread evenly over the time between bursts."),
    "damage": ("files should be whole", "What failed its check was left out: fetch the file again if you can."),
    "clock_offset": ("devices should share a clock", "It was shifted by this: check a movement that all of them saw."),
    "clock_drift": (
        "clocks should run at one rate", "It was stretched by this: start and stop the devices more often."),
}  # fmt: skip
_ROWS = ("duplicate_times", "out_of_order", "stray_times")
_OTHER = ("recordings are best stored as they are read", "It was done while reading.")


@dataclass(frozen=True, slots=True)
class NoteFigures:
    """Notes of one kind on one signal, over all recordings.

    Attributes
    ----------
    kind, signal, unit
        As in `dcdp.records.Note`; the signal is ``""`` for whole recordings.
    n_recordings
        Recordings with such a note.
    median, largest
        Of the sizes of the values; None where no note has a measure.
    worst, text
        Recording of the largest, and the words of that note.
    """

    kind: str
    signal: str
    unit: str
    n_recordings: int
    median: float | None
    largest: float | None
    worst: str
    text: str


def note_table(quality: Quality) -> tuple[NoteFigures, ...]:
    """Put the notes of all recordings together, by kind, signal and unit."""
    found: dict[tuple[str, str, str], list[tuple[float, str, str]]] = {}
    for recording in quality.recordings:
        for note in recording.notes:
            row = (abs(note.value) if math.isfinite(note.value) else -1.0, recording.name, note.text)
            found.setdefault((note.kind, note.signal, note.unit), []).append(row)
    rows = []
    for (kind, signal, unit), told in sorted(found.items()):
        sizes = sorted(size for size, _, _ in told if size >= 0)
        _, worst, text = max(told, key=lambda row: row[0])
        median, largest = (sizes[len(sizes) // 2], sizes[-1]) if sizes else (None, None)
        n = len({name for _, name, _ in told})
        rows.append(NoteFigures(kind, signal, unit, n, median, largest, worst, text))
    return tuple(rows)


def judge_notes(quality: Quality) -> Iterator[Finding]:
    """Yield a finding for each row of the `note_table` but gaps, which are measured again."""
    rates = {signal.name: signal.rate_hz for signal in quality.signals}
    n_rows = {signal.name: signal.n_rows for signal in quality.signals}
    for row in note_table(quality):
        if row.kind == "gap" or (row.kind in _RULES and not row.largest):
            continue
        rule, remedy = _RULES.get(row.kind, _OTHER)
        severity = _severity(row, rates.get(row.signal), n_rows.get(row.signal))
        where = row.signal or (row.worst if row.n_recordings == 1 else f"{row.n_recordings} recordings")
        yield Finding(severity, rule, where, row.text if row.kind not in _RULES else _size(row), remedy)


def _size(row: NoteFigures) -> str:
    unit = f" {row.unit}" if row.unit not in ("", "1") else ""
    return f"{row.median:.3g}{unit}, up to {row.largest:.3g}{unit} in '{row.worst}'"


def _severity(row: NoteFigures, rate_hz: float | None, n_rows: int | None) -> Literal["warning", "note"]:
    median, largest = row.median or 0.0, row.largest or 0.0
    serious = {
        "rate_jitter": median * (rate_hz or 0.0) > JITTER_PERIODS,
        "clock_drift": row.unit == "ppm" and largest > DRIFT_PPM,
        "damage": largest > 0,
        **dict.fromkeys(_ROWS, bool(n_rows) and median * row.n_recordings > LOST_ROWS_SHARE * (n_rows or 0)),
    }
    return "warning" if serious.get(row.kind) else "note"
