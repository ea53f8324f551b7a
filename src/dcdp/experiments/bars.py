"""Progress bars of a run; without a console there are none."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

__all__ = ["progress_bars", "reporter", "track"]


def progress_bars(console: Console | None) -> Any:
    """Return a context that gives bars to add tasks to, or None without a console."""
    if console is None:
        return nullcontext()
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description:<24}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        TimeRemainingColumn(), console=console, transient=False,
    )  # fmt: skip


def reporter(bar: Progress | None, what: str) -> Any:
    """Return a ``progress(done, total, text)`` that keeps a bar of its own, or None without bars."""
    if bar is None:
        return None
    task = None

    def report(done: int, total: int, text: str) -> None:
        nonlocal task
        if task is None:
            task = bar.add_task(what, total=total)
        bar.update(task, completed=done, total=total, description=f"{what} {text}" if text != what else what)

    return report


def track(items: Sequence[Any], bar: Progress | None, what: str) -> Any:
    """Go through items, with a bar of their own if there are bars."""
    return items if bar is None else bar.track(items, description=what)
