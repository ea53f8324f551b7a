"""``dcdp robustness``: score models on people whose sensors are absent, noisy, turned, slow, late or lossy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from dcdp.errors import ConfigError

if TYPE_CHECKING:
    from dcdp.evaluation import Endurance

__all__ = ["robustness"]


def robustness(
    what: Path,
    /,
    *,
    corruptions: str = "",
    out: Path | None = None,
    only: Annotated[list[str] | None, Parameter(negative="")] = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    workers: int = 1,
    data: Path | None = None,
    cache: Path | None = None,
) -> None:
    """Score models on people whose sensors are absent, noisy, turned, slow, late or lossy.

    Of a run folder: its stored models, without training; writes robustness.json and robustness.html into it. Of a grid
    file: every method, trained under the same folds and met by the same disturbances; interrupted or killed, the same
    command goes on. See docs/robustness.md.

    Parameters
    ----------
    what
        Folder that dcdp train wrote, or a grid in TOML such as grids/robustness.toml.
    corruptions
        Of a run folder, only these, e.g. noise,rotation; all of noise, bias, drift, rotation, rate, clock, lost and
        packets if left out. Each modality and placement is always taken away once.
    out
        Of a grid, folder of the results; as the file says, or runs/FILE, if left out.
    only
        Of a grid, only these cells, e.g. hapt/forest. May be repeated.
    device
        Where to compute; auto takes an accelerator if there is one.
    workers
        Of a grid, folds to run at a time, each in a process of its own.
    data
        Folder with the archives, or with the unpacked data set.
    cache
        Folder for parsed recordings.
    """
    if what.suffix.lower() != ".toml":
        if out is not None or only:
            raise ConfigError("a run folder keeps its own results", "--out or --only", "Leave them out.")
        _of_run(what, corruptions, device, data, cache)
        return
    if corruptions:
        raise ConfigError("a grid meets every corruption", f"--corruptions {corruptions}", "Leave it out.")
    if workers < 1:
        raise ConfigError("workers must be 1 or more", workers, "Give the number of folds to run at a time.")
    _of_grid(what, out, only or [], workers=workers, device=device, data=data, cache=cache)


def _of_run(run: Path, corruptions: str, device: str, data: Path | None, cache: Path | None) -> None:
    from dcdp.cli.progress import bars
    from dcdp.cli.summary import print_lines
    from dcdp.cli.train import words
    from dcdp.evaluation import endurance_of
    from dcdp.experiments.fold_request import resolve_device
    from dcdp.experiments.robustness_runs import JSON_NAME, PAGE_NAME, robustness_of_run
    from dcdp.signals.corruptions import CORRUPTIONS

    names = words(corruptions) or tuple(CORRUPTIONS)
    with bars() as progress:
        found = robustness_of_run(
            run, data, cache, corruptions=names, device=resolve_device(device), progress=progress("robustness")
        )
    _print(endurance_of([found]), found["method"])
    print_lines(f"report  {run / PAGE_NAME}", f"result  {run / JSON_NAME}")


def _of_grid(file: Path, out: Path | None, only: list[str], **options: Any) -> None:
    from rich.console import Console

    from dcdp.cli.summary import print_lines
    from dcdp.evaluation import endurance_of
    from dcdp.experiments.grid import Grid, read_grid, select_cells
    from dcdp.experiments.robustness_runs import PAGE_NAME, robustness_of_grid

    grid = read_grid(file)
    grid = Grid(select_cells(grid, only), out or grid.out)
    outcome = robustness_of_grid(grid, console=Console(stderr=True), **options)
    _print(endurance_of(outcome.results))
    if outcome.results:
        print_lines(f"report   {grid.out / PAGE_NAME}", f"results  {grid.out}")
    if outcome.failures:
        why = "; ".join(f"{name} ({reason})" for name, reason in outcome.failures.items())
        raise ConfigError("every cell must finish", f"{len(outcome.failures)} that did not: {why}",
                          f"Mend that and start again; see '{grid.out / 'log.jsonl'}'.")


def _print(methods: list[Endurance], own: str = "dcdp") -> None:
    """Print, for each data set, a row a method: macro-F1 undisturbed, then what each disturbance costs."""
    from dcdp.cli.summary import print_lines, print_table
    from dcdp.evaluation import absence_verdicts
    from dcdp.reports.robustness import absence_table, loss_table, verdict_words

    for data, split in dict.fromkeys((one.data, one.split) for one in methods):
        here = [one for one in methods if (one.data, one.split) == (data, split)]
        for kind in ("modality", "placement"):
            columns, rows = absence_table(here, f"absent_{kind}")
            if rows:
                print_table(columns, rows, f"{data}, {split}: macro-F1 with one {kind} absent")
        columns, rows = loss_table(here)
        if rows:
            print_table(columns, rows, f"{data}, {split}: loss of macro-F1, mean over the severities")
        print_lines(*(verdict_words(verdict, own) for verdict in absence_verdicts(here, own)), "")
