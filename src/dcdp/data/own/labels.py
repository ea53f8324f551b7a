"""Make segments of labels, wherever they stand: a column, an annotation file, the path, marks of the recorder."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dcdp.data.frame import Table
from dcdp.data.own.description import Description, LabelDescription
from dcdp.data.tables import read_table
from dcdp.errors import DataError, unknown_name
from dcdp.records import Note, Segment

__all__ = ["Annotation", "activity_of", "read_annotation", "segments_of_rows", "settle_segments"]

_NS = 1_000_000_000
_SLACK_S = 1.0  # an annotation made by hand may begin and end beside the recording
_BREAK_S = 1.0
_TIE_S = 1e-6


@dataclass(frozen=True, slots=True)
class Annotation:
    """Rows of an annotation file.

    Attributes
    ----------
    origin_ns
        What the times count from: 0 on the clock of the recording.
    start_s, stop_s
        (N,) [s], or in samples of the device; stop is NaN where the row lasts until the next one.
    labels, subject, session
        (N,) text.
    where
        Place of each row in the file, for messages.
    """

    origin_ns: int
    start_s: NDArray[np.float64]
    stop_s: NDArray[np.float64]
    labels: NDArray[np.str_]
    subject: NDArray[np.str_] | None
    session: NDArray[np.str_] | None
    where: tuple[str, ...]

    def of(self, subject: str, session: str) -> NDArray[np.int64]:
        """Return the rows of one recording."""
        own = np.ones(len(self.labels), np.bool_)
        if self.subject is not None:
            own &= self.subject == subject
        if self.session is not None:
            own &= self.session == session
        return np.flatnonzero(own)


def read_annotation(path: Path, labels: LabelDescription) -> Annotation:
    """Read an annotation file.

    Raises
    ------
    FormatError
        If a column is missing, or a cell is no time; the message names file, line and column.
    """
    table = read_table(path, None, labels.dialect)
    unit = "s" if labels.unit == "samples" else labels.unit
    start = table.times(table.place(labels.start), unit)
    n_rows = len(table)
    since_s, stop_s = start.since_s, np.full(n_rows, np.nan)
    origin_ns = start.origin_ns
    if labels.stop:
        stop = table.times(table.place(labels.stop), unit)
        stop_s = stop.since_s + (stop.origin_ns - origin_ns) / _NS
    elif labels.duration:
        lasting = table.numbers(table.place(labels.duration))
        stop_s = since_s + lasting / {"s": 1, "ms": 1e3, "us": 1e6, "ns": 1e9}.get(labels.unit, 1)
    return Annotation(
        origin_ns, since_s, stop_s, table.strings(table.place(labels.label)), _column(table, labels.subject_column),
        _column(table, labels.session_column), tuple(table.where(row) for row in range(n_rows)),
    )  # fmt: skip


def activity_of(text: str, labels: LabelDescription, where: str) -> str | None:
    """Return the activity that a label in a file means, or None for the null class.

    Raises
    ------
    ConfigError
        If it is not among those that are described.
    """
    names = dict(labels.names)
    for spelling in (text, text.removesuffix(".0")):  # whole numbers, as tables with empty cells write them
        if spelling in ("", *labels.null):
            return None
        if spelling in names:
            text = names[spelling]
            break
    if text in ("", *labels.null):
        return None
    known = labels.order or (tuple(dict.fromkeys(names.values())) if names else ())
    if known and text not in known:
        raise unknown_name(f"the label in {where}", text, (*known, *names))
    return text


def segments_of_rows(
    times_s: NDArray[np.float64], texts: NDArray[np.str_], labels: LabelDescription, where: str
) -> tuple[Segment, ...]:
    """Return the runs of one label in a column, sorted; a gap of more than a second ends a run.

    Examples
    --------
    >>> rows = np.array(["walk", "walk", "", "sit"])
    >>> segments_of_rows(np.arange(4.0), rows, LabelDescription(), "a.csv")
    (Segment(start_s=0.0, stop_s=2.0, label='walk'), Segment(start_s=3.0, stop_s=4.0, label='sit'))
    """
    if not len(texts):
        return ()
    order = np.argsort(times_s, kind="stable")
    times_s, texts = times_s[order], texts[order]
    steps = np.diff(times_s)
    typical_s = float(np.median(steps)) if len(steps) else 0.0
    broken = steps > max(_BREAK_S, 3 * typical_s)
    first = np.concatenate([[0], np.flatnonzero((texts[1:] != texts[:-1]) | broken) + 1])
    stop = np.append(first[1:], len(texts))
    found = {text: activity_of(text, labels, f"'{where}'") for text in dict.fromkeys(texts[first].tolist())}
    segments = []
    for begin, end in zip(first, stop, strict=True):
        label = found[str(texts[begin])]
        last_s = float(times_s[end - 1]) + typical_s
        until_s = min(last_s, float(times_s[end])) if end < len(times_s) and not broken[end - 1] else last_s
        if label is not None and until_s > times_s[begin]:
            segments.append(Segment(float(times_s[begin]), until_s, label))
    return tuple(segments)


def settle_segments(
    described: Description, rows: Iterable[tuple[float, float, str, str]], start_s: float, stop_s: float, name: str
) -> tuple[tuple[Segment, ...], tuple[Note, ...]]:
    """Return annotated runs as segments of a recording: sorted, inside it, without overlap.

    Parameters
    ----------
    rows
        Start, stop (NaN: until the next row), label in the file, place in the file; times on the recording's clock.
    start_s, stop_s
        Extent of the recording [s].

    Raises
    ------
    DataError
        If rows overlap, end before they start, or lie outside the recording, unless the description allows it.
    ConfigError
        If a label is unknown.
    """
    labels = described.labels
    kept = _closed(sorted(rows, key=lambda row: row[0]), stop_s)
    found = [(first, last, label, where) for first, last, text, where in kept
             if (label := activity_of(text, labels, where)) is not None]  # fmt: skip
    found, outside = _inside(found, labels, start_s, stop_s, name)
    found, overlapping = _apart(found, labels)
    segments = tuple(Segment(first, last, label) for first, last, label, _ in found)
    return segments, (*outside, *overlapping)


def _closed(rows: Sequence[tuple[float, float, str, str]], end_s: float) -> list[tuple[float, float, str, str]]:
    """End each row that has no stop where the next begins."""
    closed = []
    for number, (first, last, text, where) in enumerate(rows):
        if np.isnan(last):
            last = rows[number + 1][0] if number + 1 < len(rows) else end_s
            if last <= first:
                continue
        if not last > first:
            raise DataError("an annotation must end after it starts", f"{first:g} to {last:g} s in {where}",
                            "Correct that line, or the columns in [labels].")
        closed.append((first, last, text, where))
    return closed


def _inside(
    rows: Sequence[tuple[float, float, str, str]], labels: LabelDescription, start_s: float, stop_s: float, name: str
) -> tuple[list[tuple[float, float, str, str]], tuple[Note, ...]]:
    """Cut rows to the recording: silently by up to a second, else only where it is allowed."""
    kept, cut_s = [], 0.0
    for first, last, label, where in rows:
        beyond_s = max(start_s - first, last - stop_s)
        if beyond_s > _SLACK_S and labels.outside == "refuse":
            raise DataError(
                f"an annotation must lie inside its recording ('{name}', {start_s:.6g} to {stop_s:.6g} s)",
                f"{first:.6g} to {last:.6g} s in {where}",
                'Check labels.unit and labels.clock, or set labels.outside = "cut".',
            )
        cut_s += max(0.0, min(last, start_s) - first) + max(0.0, last - max(first, stop_s))
        if min(last, stop_s) - max(first, start_s) > _TIE_S:
            kept.append((max(first, start_s), min(last, stop_s), label, where))
    if cut_s > _SLACK_S:
        told = f"{cut_s:.4g} s of annotation outside the recording left out"
        return kept, (Note("labels_cut", "", cut_s, "s", told),)
    return kept, ()


def _apart(
    rows: Sequence[tuple[float, float, str, str]], labels: LabelDescription
) -> tuple[list[tuple[float, float, str, str]], tuple[Note, ...]]:
    """Refuse overlapping rows, or let the first or the last of two hold."""
    apart: list[tuple[float, float, str, str]] = []
    shared_s = 0.0
    for first, last, label, where in rows:
        while apart and first < apart[-1][1]:
            other = apart[-1]
            both_s = min(last, other[1]) - first
            if both_s > _TIE_S and labels.overlap == "refuse":
                raise DataError(
                    "annotations must not overlap",
                    f"'{other[2]}' {other[0]:.6g} to {other[1]:.6g} s, then '{label}' {first:.6g} to {last:.6g} s in "
                    f"{where}",
                    'Correct them, or set labels.overlap = "first" or "last".',
                )
            shared_s += max(0.0, both_s)
            if labels.overlap == "last":
                apart.pop()
                if first - other[0] > _TIE_S:
                    apart.append((other[0], first, *other[2:]))
                break
            first = other[1]
        if last - first > _TIE_S:
            apart.append((first, last, label, where))
    if shared_s > _TIE_S and labels.overlap != "refuse":
        held = f"{shared_s:.4g} s with two annotations: the {labels.overlap} holds"
        return apart, (Note("labels_overlap", "", shared_s, "s", held),)
    return apart, ()


def _column(table: Table, name: str) -> NDArray[np.str_] | None:
    return table.strings(table.place(name)) if name else None
