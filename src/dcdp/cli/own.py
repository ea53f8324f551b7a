"""Show one's own recordings: import them with a progress bar, then say what they are and what was done to them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dcdp.data.index import RecordingEntry
    from dcdp.data.own import OwnSet

__all__ = ["import_own", "is_own", "print_import", "print_own", "run_name"]


def is_own(name: str) -> bool:
    """Say whether a name means described recordings, and not a data set."""
    if not (name.lower().endswith(".toml") or Path(name).is_dir()):
        return False
    from dcdp.data import list_sets

    return name not in ("synthetic", *list_sets())


def run_name(name: str) -> str:
    """Return the word by which runs on a data set are named: of a description, the name that it gives itself."""
    if not is_own(name):
        return Path(name).name
    from dcdp.data.own import load_description

    return load_description(name).name


def import_own(name: str | Path, cache: Path | None = None, gap_s: float | None = None) -> OwnSet:
    """Open described recordings; new and changed files are read with a progress bar."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from dcdp.data.own import open_own
    from dcdp.data.store import GAP_S

    columns = (TextColumn("{task.description:<40}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
               TimeRemainingColumn())  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        tasks: list[Any] = []

        def report(done: int, total: int, text: str) -> None:
            if not tasks:
                tasks.append(bar.add_task("reading", total=total))
            bar.update(tasks[0], completed=done, total=total, description=f"reading {text}"[-40:])

        return open_own(name, cache, gap_s=GAP_S if gap_s is None else gap_s, progress=report)


def print_import(own: OwnSet) -> None:
    """Say in a few lines what was read, and what was done to it on the way in."""
    from dcdp.cli.summary import print_lines

    again = "" if own.n_read else " (from the cache)"
    read = f" ({own.n_read} read now)" if 0 < own.n_read < len(own.store.recordings) else again
    print_lines(f"{own.description.name}: {_extent(own)}{read}")
    if own.n_read:
        print_notes(own.store.recordings)
    print_lines("")


def print_own(own: OwnSet) -> None:
    """Print all that is known of described recordings: people, signals, branches, activities, notes."""
    from dcdp.cli.summary import print_lines, print_table
    from dcdp.data.own import default_branches

    described, store = own.description, own.store
    title = f"{described.title} ({described.name})" if described.title else described.name
    branches = described.branches or default_branches(store.spec)
    split = described.split
    print_lines(
        title,
        f"described   {described.path}",
        f"recordings  {_extent(own)}",
        f"people      {', '.join(store.subjects)}",
        *(f"branch      {branch.name}: {', '.join(branch.signals)}" for branch in branches),
        *([f"official    {len(split.train)} train, {len(split.test)} test people"] if split else []),
        "",
    )
    hours = {s.name: sum(e.rows.get(s.name, (0, 0))[1] for e in store.recordings) / s.rate_hz / 60 for s in store.spec}
    print_table(
        ["signal", "modality", "placement", "rate [Hz]", "unit", "minutes"],
        [[s.name, s.modality, s.placement, f"{s.rate_hz:g}", s.unit, f"{hours[s.name]:.1f}"] for s in store.spec],
    )
    rows = []
    for index, label in enumerate(store.labels.names):
        found = [(e.subject, s) for e in store.recordings for s in e.segments if s.label == label]
        minutes = sum(segment.stop_s - segment.start_s for _, segment in found) / 60
        rows.append([str(index), label, f"{minutes:.1f}", str(len({subject for subject, _ in found}))])
    print_table(["class", "activity", "minutes", "people"], rows)
    print_notes(store.recordings)


def print_notes(recordings: tuple[RecordingEntry, ...]) -> None:
    """Print what was found and changed while recordings were read, or nothing."""
    from dcdp.cli.summary import print_table
    from dcdp.data.own import summarise_notes

    rows = [[signal or "all", count, words] for signal, count, words in summarise_notes(recordings)]
    if rows:
        print_table(["signal", "recordings", "what was found and done"], rows)


def _extent(own: OwnSet) -> str:
    store = own.store
    spans_s = [max(n / store.spec[name].rate_hz for name, (_, n) in entry.rows.items()) for entry in store.recordings]
    n_people, n = len(store.subjects), len(store.recordings)
    people = f"{n_people} {'person' if n_people == 1 else 'people'}"
    return f"{n} {'recording' if n == 1 else 'recordings'} of {people}, {sum(spans_s) / 60:.1f} minutes"
