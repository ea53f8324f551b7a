"""Judge what the readers noted of time stamps, clocks and units while they read."""

from __future__ import annotations

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
    "clock_offset": ("devices should share a clock", "It was shifted by this: check a movement that all of them saw."),
    "clock_drift": (
        "clocks should run at one rate", "It was stretched by this: start and stop the devices more often."),
}  # fmt: skip
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
        Of the sizes of the values.
    worst
        Recording of the largest.
    text
        The words of that note.
    """

    kind: str
    signal: str
    unit: str
    n_recordings: int
    median: float
    largest: float
    worst: str
    text: str


def note_table(quality: Quality) -> tuple[NoteFigures, ...]:
    """Put the notes of all recordings together, by kind, signal and unit."""
    found: dict[tuple[str, str, str], list[tuple[float, str, str]]] = {}
    for recording in quality.recordings:
        for note in recording.notes:
            row = (abs(note.value), recording.name, note.text)
            found.setdefault((note.kind, note.signal, note.unit), []).append(row)
    rows = []
    for (kind, signal, unit), told in sorted(found.items()):
        sizes = sorted(size for size, _, _ in told)
        largest, worst, text = max(told, key=lambda row: row[0])
        n = len({name for _, name, _ in told})
        rows.append(NoteFigures(kind, signal, unit, n, sizes[len(sizes) // 2], largest, worst, text))
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
        unit = f" {row.unit}" if row.unit else ""
        size = f"{row.median:.3g}{unit}, up to {row.largest:.3g}{unit} in '{row.worst}'"
        value = size if row.kind in _RULES else row.text
        yield Finding(severity, rule, where, value, remedy)


def _severity(row: NoteFigures, rate_hz: float | None, n_rows: int | None) -> Literal["warning", "note"]:
    periods = row.median * rate_hz if rate_hz and row.unit == "s" else row.median if row.unit in ("", "1") else 0.0
    serious = (
        (row.kind == "rate_jitter" and periods > JITTER_PERIODS)
        or (row.kind == "clock_drift" and row.unit == "ppm" and row.largest > DRIFT_PPM)
        or (row.kind in ("duplicate_times", "out_of_order") and bool(n_rows)
            and row.median * row.n_recordings > LOST_ROWS_SHARE * (n_rows or 0))
    )  # fmt: skip
    return "warning" if serious else "note"
