"""``dcdp benchmark``: run a grid of data sets, splits, methods and seeds; go on where it stopped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from dcdp.errors import ConfigError, FormatError

if TYPE_CHECKING:
    from dcdp.experiments.grid import Cell, Grid

__all__ = ["benchmark"]


def benchmark(
    file: Path,
    /,
    *,
    out: Path | None = None,
    only: Annotated[list[str] | None, Parameter(negative="")] = None,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    export: Path | None = None,
    keep: Annotated[bool, Parameter(negative="")] = False,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    workers: int = 1,
    data: Path | None = None,
    cache: Path | None = None,
) -> None:
    """Run a grid of data sets, splits, methods and seeds; go on where it stopped.

    Every cell ends in one result, OUT/DATA-SPLIT/METHOD/sSEED.json. Interrupted or killed, the same command goes on:
    finished cells and folds are never run again. A cell that fails does not stop the others.

    Parameters
    ----------
    file
        Grid in TOML, such as grids/arena.toml; see docs/benchmark.md.
    out
        Folder of the results; as the file says, or runs/FILE, if left out.
    only
        Only these cells, e.g. hapt, hapt/forest, '*/dcdp' or hapt-arena/dcdp/s1. May be repeated.
    dry_run
        List the cells and which are finished, and run nothing.
    export
        Write the table of the finished cells, e.g. results/arena.json, copy their results into the folder of that name
        beside it, and run nothing.
    keep
        Keep models and training histories of finished cells.
    device
        Where to train; auto takes an accelerator if there is one.
    workers
        Folds to run at a time, each in a process of its own.
    data
        Folder with the archives, or with the unpacked data sets.
    cache
        Folder for parsed recordings.
    """
    if workers < 1:
        raise ConfigError("workers must be 1 or more", workers, "Give the number of folds to run at a time.")
    if dry_run and export is not None:
        raise ConfigError("a benchmark is either listed or exported", "--dry-run and --export", "Give one of them.")
    from dcdp.experiments.grid import Grid, read_grid, select_cells

    grid = read_grid(file)
    grid = Grid(select_cells(grid, only or ()), out or grid.out)
    if dry_run:
        _print_cells(grid)
    elif export is not None:
        _export(grid, export)
    else:
        _run(grid, workers=workers, device=device, data=data, cache=cache, keep=keep)


def _run(grid: Grid, **options: Any) -> None:
    from rich.console import Console

    from dcdp.experiments.benchmark import run_grid

    outcome = run_grid(grid, console=Console(stderr=True), **options)
    if outcome.results:
        _print_results(outcome.results, grid.out)
        _write_report([cell for cell in grid.cells if cell.name not in outcome.failures], grid.out)
    if outcome.failures:
        raise ConfigError(
            "every cell must finish", f"{_counted(outcome.failures, grid)} that did not: {_listed(outcome.failures)}",
            f"Mend that and start again; see '{grid.out / 'log.jsonl'}'.",
        )  # fmt: skip


def _counted(failures: Mapping[str, str], grid: Grid) -> str:
    return f"{len(failures)} of {len(grid.cells)}"


def _listed(failures: Mapping[str, str]) -> str:
    return "; ".join(f"{name} ({reason})" for name, reason in failures.items())


def _print_results(results: list[dict[str, Any]], out: Path) -> None:
    from dcdp.cli.summary import print_lines, print_table
    from dcdp.experiments.export import sum_up

    for name, methods in sum_up(results).items():
        best_first = sorted(methods, key=lambda method: -methods[method]["macro_f1"])
        rows = [_row(method, methods[method]) for method in best_first]
        columns = ["method", "macro-F1", "by group", "people", "seeds", "folds", "parameters", "train s", "windows/s"]
        print_table(columns, rows, f"{name}: macro-F1 of people never seen")
    print_lines(f"results  {out}")


def _write_report(cells: Sequence[Cell], out: Path) -> None:
    from dcdp.cli.summary import print_lines
    from dcdp.experiments.cells import result_path
    from dcdp.reports.benchmark import write_benchmark_report

    files = [path for path in (result_path(out, cell) for cell in cells) if path.is_file()]
    page = write_benchmark_report(files, out / "report.html", title=f"Benchmark {out.name}")
    print_lines(f"report   {page}")


def _row(method: str, figures: Mapping[str, Any]) -> list[Any]:
    return [
        method, figures["macro_f1"], figures["macro_f1_by_group"], len(figures["by_subject"]), len(figures["seeds"]),
        figures["folds"], figures["parameters"], round(figures["train_seconds"]), round(figures["windows_per_s"]),
    ]  # fmt: skip


def _print_cells(grid: Grid) -> None:
    from dcdp.cli.summary import print_lines, print_table

    states = [_state(grid.out, cell) for cell in grid.cells]
    rows = [
        [cell.name, cell.method.base, " ".join(cell.method.settings), cell.folds or "all", state]
        for cell, state in zip(grid.cells, states, strict=True)
    ]
    print_table(["cell", "base", "settings", "folds", "state"], rows)
    finished = sum(state.startswith("finished") for state in states)
    print_lines(f"{len(grid.cells)} cells, {finished} finished, in {grid.out}")


def _state(out: Path, cell: Cell) -> str:
    from dcdp.experiments.cells import finished_result, n_folds_done

    try:
        result = finished_result(out, cell)
    except ConfigError as err:
        return f"of another configuration: {err.got}"
    except FormatError as err:
        return f"damaged. {err.remedy}"
    if result is not None:
        return f"finished, macro-F1 {result['test']['macro_f1']['mean']:.4f}"
    n_folds = n_folds_done(out, cell)
    return f"{n_folds} folds" if n_folds else ""


def _export(grid: Grid, table: Path) -> None:
    from dcdp.cli.summary import print_lines
    from dcdp.experiments.export import export_grid

    summary, damaged = export_grid(grid, grid.out, table)
    n_methods = sum(len(methods) for methods in summary.values())
    print_lines(f"table    {table}  ({len(summary)} sets, {n_methods} rows)", f"results  {table.with_suffix('')}")
    if damaged:
        raise FormatError(
            "every finished cell must be readable", f"{_counted(damaged, grid)} left out: {_listed(damaged)}",
            "Then export again.",
        )  # fmt: skip
