"""Show how far long work is: a bar for each of its parts, with the time that is left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["Report", "bars"]

Report = Callable[[int, int, str], None]


@contextmanager
def bars() -> Iterator[Callable[[str], Report]]:
    """Yield ``progress(name)``, which opens a bar at its first news and returns its ``report(done, total, text)``."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description:<44}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"), TimeElapsedColumn(),
        TimeRemainingColumn(),
    )  # fmt: skip
    shown = Progress(*columns, console=Console(stderr=True))

    def progress(name: str) -> Report:
        task: TaskID | None = None

        def report(done: int, total: int, text: str) -> None:
            nonlocal task
            if task is None:
                shown.start()  # not before: where all is refused at once, the error stands alone
                task = shown.add_task(name, total=total)
            told = name if text in ("", name) else f"{name}  {text}"
            shown.update(task, completed=done, total=total, description=told)

        return report

    try:
        yield progress
    finally:
        if shown.live.is_started:
            shown.stop()
