"""``dcdp data fetch``: get a data set from its official address."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

__all__ = ["fetch"]


def fetch(name: str, /, *, data: Path | None = None) -> None:
    """Fetch a data set from its official address; go on where an earlier attempt stopped.

    The archive is compared with the known hashes of its files and appears under its name only when it is whole.
    A file that was fetched by hand into the same folder is verified instead.

    Parameters
    ----------
    name
        Data set (see dcdp data list).
    data
        Folder for the archive; $DCDP_DATA if left out, else the folder that every command looks in.
    """
    from rich.console import Console

    from dcdp.cli.summary import print_lines
    from dcdp.data import get_set
    from dcdp.data.fetch import fetch_set
    from dcdp.data.registry import data_folder

    declared = get_set(name)
    folder = data or data_folder()
    print_lines(f"{declared.title}", f"terms   {declared.licence}", f"cite    {declared.citation}")
    if declared.download is not None:
        print_lines(f"from    {declared.download.url}")
    with _progress(Console(stderr=True)) as bar:
        found = fetch_set(declared, folder, progress=_reporter(bar))
    known = "its files are the known ones" if found.known else "whole, but no hash of genuine files is known"
    print_lines(
        f"{'fetched' if found.fresh else 'here'}    {found.path}",
        f"sha256  {found.sha256} ({known})",
        "",
        "Next:",
        f"  dcdp data check {name}{f' --data {data}' if data else ''}",
        f"  dcdp train {name}{f' --data {data}' if data else ''}",
    )


def _progress(console: Console) -> Progress:
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description:<10}"), BarColumn(), TextColumn("{task.fields[amount]}"), TimeRemainingColumn(),
        console=console,
    )  # fmt: skip


def _reporter(bar: Progress) -> Callable[[int, int | None, str], None]:
    """Return a report that keeps one line for each thing that is done: bytes while fetching, files while verifying."""
    tasks: dict[str, TaskID] = {}

    def report(done: int, total: int | None, text: str) -> None:
        if text not in tasks:
            tasks[text] = bar.add_task(text, total=total, amount="")
        amount = f"{done / 1e6:.1f} MB" if text == "fetching" else f"{done} files"
        bar.update(tasks[text], completed=done, total=total, amount=amount)

    return report
