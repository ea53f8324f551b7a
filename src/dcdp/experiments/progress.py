"""Show how far a benchmark is: a live table on a terminal, a line for each finished cell elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any

from dcdp.experiments.fold_job import FoldJob
from dcdp.experiments.grid import Cell
from dcdp.experiments.pool import Failure

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

__all__ = ["Board"]

_ENDED_SHOWN = 6


@dataclass
class _Row:
    """One cell: what the table says of it."""

    n_folds: int
    f1: list[float] = field(default_factory=list)
    steps: dict[str, str] = field(default_factory=dict)
    began: float = 0.0
    end: str = ""


class Board:
    """Context that keeps the table.

    Parameters
    ----------
    console
        None shows nothing.
    n_cells, n_finished
        Cells in all, and those that were finished before.
    workers
        Folds that run at a time.
    """

    def __init__(self, console: Console | None, n_cells: int, n_finished: int, workers: int) -> None:
        self.console, self.n_cells, self.n_finished, self.workers = console, n_cells, n_finished, workers
        self._rows: dict[str, _Row] = {}
        self._waiting: list[FoldJob] = []
        self._seconds: dict[tuple[str, str], list[float]] = {}
        self._share: dict[str, float] = {}
        self._ended: list[str] = []
        self._reading = ""
        self._began = time.monotonic()
        self._live: Any = None

    def __enter__(self) -> Board:
        if self.console is not None and self.console.is_terminal:
            from rich.live import Live

            self._live = Live(console=self.console, get_renderable=self._table, refresh_per_second=2)
            self._live.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._live is not None:
            self._live.__exit__(kind, error, at)

    def begin(self, jobs: Sequence[FoldJob], folds: Mapping[str, int], known: Mapping[str, Sequence[float]]) -> None:
        """Take note of the folds to run, the number of folds of each cell, and the macro-F1 of those run before."""
        self._reading, self._waiting = "", list(jobs)
        self._rows = {name: _Row(n, list(known.get(name, ()))) for name, n in folds.items()}
        self._say(f"{self.n_finished} of {self.n_cells} cells are finished, {len(jobs)} folds to run")

    def reading(self, done: int, total: int, text: str) -> None:
        """Show that a data set is being read."""
        self._reading = f"reading {text} {done}/{total}"

    def step(self, job: FoldJob, done: int, total: int, text: str) -> None:
        """Show how far a fold is."""
        row = self._rows[job.cell.name]
        row.began = row.began or time.monotonic()
        row.steps[job.split.fold] = f"{text} {done}/{total}" if text else "begins"
        self._share[f"{job.cell.name}/{job.split.fold}"] = done / max(total, 1)

    def folded(self, job: FoldJob, outcome: Any) -> None:
        """Take note of a fold that has finished or failed."""
        row = self._rows[job.cell.name]
        row.steps.pop(job.split.fold, None)
        self._waiting = [other for other in self._waiting if other != job]
        if isinstance(outcome, Failure):
            self._waiting = [other for other in self._waiting if other.cell != job.cell]
            self._end(job.cell.name, f"failed: {outcome.message}")
            return
        row.f1.append(outcome["scores"]["macro_f1"]["mean"])
        self._seconds.setdefault((job.cell.data_name, job.cell.method.base), []).append(outcome["elapsed_s"])

    def finished(self, cell: Cell, result: Mapping[str, Any]) -> None:
        """Take note of a finished cell."""
        self.n_finished += 1
        figure, seconds = result["test"]["macro_f1"], result["seconds"]["total"]
        self._end(cell.name, f"macro-F1 {figure['mean']:.3f} ± {figure['std']:.3f}, {_clock(seconds)}")

    def left_s(self) -> float | None:
        """Return about how long the remaining folds take [s]; None before the first has finished."""
        every = [second for seconds in list(self._seconds.values()) for second in seconds]
        if not every:
            return None
        total = 0.0
        for job in list(self._waiting):
            own = self._seconds.get((job.cell.data_name, job.cell.method.base), every)
            total += sum(own) / len(own) * (1 - self._share.get(f"{job.cell.name}/{job.split.fold}", 0.0))
        return total / self.workers

    def _end(self, name: str, text: str) -> None:
        if name not in self._ended:
            self._ended.append(name)
            self._rows[name].end = text
            self._say(f"{name}  {text}  ({self.n_finished}/{self.n_cells}{self._left()})")

    def _say(self, line: str) -> None:
        if self.console is not None and self._live is None:
            self.console.print(line, soft_wrap=True, highlight=False, markup=False)

    def _left(self) -> str:
        left = self.left_s()
        return f", about {_clock(left)} left" if left else ""

    def _table(self) -> Table:
        from rich.table import Table

        elapsed = time.monotonic() - self._began
        caption = f"{self.n_finished}/{self.n_cells} cells, {_clock(elapsed)} elapsed{self._left()}"
        table = Table(box=None, caption=self._reading or caption, caption_justify="left", pad_edge=False)
        for title in ("cell", "folds", "macro-F1", "now"):
            table.add_column(title, overflow="fold")
        for name in self._ended[-_ENDED_SHOWN:]:
            row = self._rows[name]
            table.add_row(name, f"{len(row.f1)}/{row.n_folds}", "", row.end)
        for name, row in list(self._rows.items()):
            if row.steps and not row.end:
                mean = f"{sum(row.f1) / len(row.f1):.3f}" if row.f1 else ""
                now = ", ".join(f"{fold}: {text}" for fold, text in list(row.steps.items()))
                spent = _clock(time.monotonic() - row.began)
                table.add_row(name, f"{len(row.f1)}/{row.n_folds}", mean, f"{now}  {spent}")
        return table


def _clock(seconds: float) -> str:
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}"
