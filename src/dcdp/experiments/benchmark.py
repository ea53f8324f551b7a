"""Run the cells of a grid, fold by fold and resumable at every step, and collect their results."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dcdp.data.synthetic import BodyConfig
from dcdp.errors import DataError
from dcdp.experiments.cells import (
    claimed_cell,
    finish_cell,
    finished_result,
    finished_results,
    fold_folder,
    folds_done,
)
from dcdp.experiments.fold_job import FoldJob, Place, open_source, run_job
from dcdp.experiments.fold_request import resolve_device
from dcdp.experiments.grid import Cell, Grid, select_cells
from dcdp.experiments.pool import Failure, run_jobs
from dcdp.experiments.progress import Board
from dcdp.experiments.source import DataSource
from dcdp.files import storage_errors
from dcdp.splits import Split, make_folds, select_folds

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["GridOutcome", "run_grid"]

_LOG = "log.jsonl"
_Data = tuple[str, BodyConfig, float]
"""What is opened: a data set by name, the body where it is that, and the longest gap that is bridged [s]."""


@dataclass(frozen=True)
class GridOutcome:
    """What came of a grid.

    Attributes
    ----------
    results
        Of every finished cell, those finished before included, in the order of the grid.
    failures
        Name of a cell that did not finish -> why, in one line.
    """

    results: list[dict[str, Any]]
    failures: dict[str, str]


@dataclass
class _State:
    """Where a cell stands: its folds, what each gave, and why it failed if it did."""

    cell: Cell
    splits: tuple[Split, ...]
    folds: dict[str, dict[str, Any]] = field(default_factory=dict)
    failure: str = ""


def run_grid(
    grid: Grid,
    out: Path | None = None,
    *,
    only: Sequence[str] = (),
    workers: int = 1,
    device: str = "auto",
    data: Path | None = None,
    cache: Path | None = None,
    keep: bool = False,
    console: Console | None = None,
) -> GridOutcome:
    """Run every cell that is not finished, and return the results of all.

    A cell ends in ``OUT/<data>-<split>/<method>/s<seed>.json``, in the layout of ``result.json`` with a ``cost``, and
    an ``.npz`` of its predictions. A finished fold is never run again, unless one of its files is damaged; an
    interrupted training goes on from its last checkpoint. Every finished fold is also a line of ``OUT/log.jsonl``.

    Parameters
    ----------
    grid
        See `dcdp.experiments.grid.read_grid`.
    out
        Folder of the results; the grid's own if None.
    only
        Patterns of cells (see `dcdp.experiments.grid.select_cells`); none runs all.
    workers
        Folds that run at a time, each in a process of its own.
    device
        ``auto``, ``cpu`` or ``cuda``.
    data, cache
        Original files, and the folder of parsed recordings.
    keep
        Keep the models and histories of finished cells.
    console
        Where the progress is shown.

    Raises
    ------
    ConfigError
        If a cell in the folder is of another configuration, or of other people (finished ones are compared where their
        data are opened for others); nothing is run then.
    StorageError
        If another process runs one of the cells.
    DcdpError
        If a data set cannot be opened.
    KeyboardInterrupt
        On Ctrl-C or SIGTERM, after every process has written a checkpoint.
    """
    out, cells = out or grid.out, select_cells(grid, only)
    place = Place(data, cache, resolve_device(device))
    finished, damaged = finished_results(out, cells)
    open_cells = [cell for cell in cells if cell.name not in finished | damaged]
    with ExitStack() as claims, Board(console, len(cells), len(finished), workers) as board:
        sources = _sources(open_cells, place, board)
        states = {cell.name: _State(cell, _folds(cell, sources[_data_of(cell)])) for cell in open_cells}
        for cell in cells:  # a finished one must have had the people that those to run have
            if cell.name in finished and _data_of(cell) in sources:
                finished_result(out, cell, _folds(cell, sources[_data_of(cell)]))
        for state in states.values():
            claims.enter_context(claimed_cell(out, state.cell))
            state.folds = folds_done(out, state.cell, state.splits)
        jobs = {
            f"{state.cell.name}/{split.fold}":
                FoldJob(state.cell, split, fold_folder(out, state.cell, split.fold), place, keep)
            for state in states.values()
            for split in state.splits
            if split.fold not in state.folds
        }
        board.begin(list(jobs.values()), {name: len(state.splits) for name, state in states.items()}, _known(states))

        def close(state: _State) -> None:
            if len(state.folds) == len(state.splits):
                try:
                    result = finish_cell(out, state.cell, state.splits, state.folds, place.device, keep)
                except DataError as err:  # folds of two versions of the program, which tell different figures
                    state.failure = f"{err} Delete '{out / state.cell.name}' to run the cell again."
                    return
                finished[state.cell.name], state.folds = result, {}
                board.finished(state.cell, result)

        def step(name: str, *news: Any) -> None:
            board.step(jobs[name], *news)

        def done(name: str, outcome: Any) -> None:
            job = jobs[name]
            state = states[job.cell.name]
            _note(out / _LOG, job, outcome)
            if isinstance(outcome, Failure):
                state.failure = state.failure or f"fold {job.split.fold}: {outcome.message}"
            else:
                state.folds[job.split.fold] = outcome
            board.folded(job, outcome)
            close(state)

        for state in states.values():  # one that was killed between its last fold and its result
            close(state)
        run_jobs(
            run_job, {name: (job,) for name, job in jobs.items()}, workers, step, done,
            unwanted=lambda name: bool(states[jobs[name].cell.name].failure),
        )  # fmt: skip
    results = [finished[cell.name] for cell in cells if cell.name in finished]
    return GridOutcome(results, damaged | {name: state.failure for name, state in states.items() if state.failure})


def _data_of(cell: Cell) -> _Data:
    return cell.data, cell.config.body, cell.config.windows.gap_s


def _sources(cells: Sequence[Cell], place: Place, board: Board) -> dict[_Data, DataSource]:
    """Open the data of the cells, each set once; it is parsed here if it must be."""
    wanted = dict.fromkeys(_data_of(cell) for cell in cells)
    return {(name, body, gap_s): open_source(name, place, body, gap_s, board.reading) for name, body, gap_s in wanted}


def _folds(cell: Cell, source: DataSource) -> tuple[Split, ...]:
    return select_folds(make_folds(cell.split, source.subjects, official=source.official), cell.folds)


def _known(states: Mapping[str, _State]) -> dict[str, list[float]]:
    """Return the macro-F1 of the folds that each cell has already."""
    return {
        name: [fold["scores"]["macro_f1"]["mean"] for fold in state.folds.values()] for name, state in states.items()
    }


def _note(path: Path, job: FoldJob, outcome: Any) -> None:
    """Append a line for a finished or failed fold."""
    line: dict[str, Any] = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "cell": job.cell.name, "fold": job.split.fold,
    }  # fmt: skip
    if isinstance(outcome, Failure):
        line |= {"failed": outcome.message, "trace": outcome.trace}
    else:
        line |= {"macro_f1": outcome["scores"]["macro_f1"]["mean"], "elapsed_s": round(outcome["elapsed_s"], 2)}
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
