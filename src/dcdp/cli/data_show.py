"""``dcdp data show`` and ``readers``: what the file of a recorder holds, and which recorders are known."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dcdp.records import Capture, Note, Stream

__all__ = ["readers", "show"]

_FIRST_DATE_S, _LAST_DATE_S = 1e9, 4e9  # 2001 and 2096: a time between them is a date, others count from some start
_MAX_SEGMENTS = 20


def show(path: Path, /, *, placement: str | None = None) -> None:
    """Show what a recorder's file holds: sensors, rates, units, gaps, marks, and what was converted.

    Parameters
    ----------
    path
        File, folder or zip, as the recorder exported it.
    placement
        Where the device was worn; by the kind of device if left out.
    """
    from dcdp.cli.summary import print_lines, print_table
    from dcdp.data.readers import list_readers, read_capture, recognise

    capture = read_capture(path, placement)
    titles = {reader.name: reader.title for reader in list_readers()}
    name = recognise(path)
    print_lines(f"{path}: {titles.get(name or '', name)} [{name}]", "")
    rows, found = [], list(capture.notes)
    for stream in capture.streams:
        row, notes = _row(stream)
        rows.append(row)
        found += notes
    print_table(["signal", "device", "samples", "rate", "unit", "start (UTC)", "duration"], rows)
    print_lines(*_marks(capture), *_remarks(found))


def readers() -> None:
    """List the recorders whose files are read."""
    from dcdp.cli.summary import print_table
    from dcdp.data.readers import list_readers

    print_table(["format", "recorder"], [[reader.name, reader.title] for reader in list_readers()])


def _row(stream: Stream) -> tuple[list[object], tuple[Note, ...]]:
    """Return the cells of one stream, and what its times are like."""
    from dcdp.errors import DcdpError
    from dcdp.records import Note
    from dcdp.signals.clock import regularise

    try:
        track, notes = regularise(stream)
        rate = f"{track.signal.rate_hz:.5g} Hz"
    except DcdpError as err:
        rate, notes = "-", (Note("rate", stream.name, float("nan"), "Hz", str(err)),)
    first, last = float(stream.times_s.min()), float(stream.times_s.max())
    cells = [stream.name, stream.device, len(stream.times_s), rate, stream.unit, _moment(first), _span(last - first)]
    return cells, notes


def _moment(time_s: float) -> str:
    if not _FIRST_DATE_S < time_s < _LAST_DATE_S:
        return f"{time_s:.3f} s"
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _span(seconds: float) -> str:
    if not seconds < 1e8:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02d}:{rest:04.1f}" if hours else f"{minutes}:{rest:04.1f}"


def _marks(capture: Capture) -> list[str]:
    if not capture.segments:
        return ["no marks"]
    shown = [f"  {_moment(one.start_s)}  {_span(one.stop_s - one.start_s):>8}  {one.label}"
             for one in capture.segments[:_MAX_SEGMENTS]]  # fmt: skip
    n_more = len(capture.segments) - len(shown)
    return [f"{len(capture.segments)} marked segments:", *shown, *([f"  and {n_more} more"] if n_more else [])]


def _remarks(notes: list[Note]) -> list[str]:
    if not notes:
        return []
    lines = (f"  {note.kind:<15} {note.signal + ': ' if note.signal else ''}{note.text}" for note in notes)
    return ["", "notes:", *lines]
