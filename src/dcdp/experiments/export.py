"""Sum up the finished cells of a grid in one table, to be committed with their results."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dcdp.errors import MissingError
from dcdp.experiments.cells import finished_results, result_path
from dcdp.experiments.grid import Grid
from dcdp.files import storage_errors, write_text

__all__ = ["export_grid", "sum_up"]


def export_grid(grid: Grid, out: Path, table: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Write the table of the finished cells, and copy their results beside it, into a folder of its name.

    Parameters
    ----------
    grid, out
        The cells, and the folder in which they were run.
    table
        ``results/arena.json`` gets the table, ``results/arena/`` the results.

    Returns
    -------
    summary
        What the table holds; see `sum_up`.
    damaged
        Name of a cell that is left out, as its result is damaged -> which file to delete.

    Raises
    ------
    MissingError
        If no cell is finished, or none can be read.
    ConfigError
        If a cell in the folder is of another configuration.
    """
    finished, damaged = finished_results(out, grid.cells)
    if not finished:
        why = "; ".join([f"none in '{out}'", *damaged.values()])
        raise MissingError("a cell must be finished", why, "Run the grid first.")
    for cell in (cell for cell in grid.cells if cell.name in finished):
        copy = result_path(table.with_suffix(""), cell)
        with storage_errors(copy):
            copy.parent.mkdir(parents=True, exist_ok=True)
            if copy.resolve() != result_path(out, cell).resolve():
                shutil.copyfile(result_path(out, cell), copy)
    summary = sum_up(list(finished.values()))
    write_text(table, _lines(summary))
    return summary, damaged


def sum_up(results: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the figures of each data set and method, means over seeds.

    Returns
    -------
    dict
        Set (with the split, where that is not ``arena``) -> method -> ``macro_f1`` (mean over subjects, then seeds),
        ``macro_f1_by_group`` (of all windows of a fold together, mean over folds, then seeds), ``by_subject``,
        ``seeds``, ``folds`` (how many), and ``parameters``, ``windows_per_s``, ``latency_ms`` and ``train_seconds``.
    """
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for result in results:
        split = result["split"]["name"]
        name = result["data"] if split == "arena" else f"{result['data']}-{split}"
        groups.setdefault((name, result["method"]), []).append(result)
    table: dict[str, dict[str, dict[str, Any]]] = {}
    for (name, method), seeds in groups.items():
        table.setdefault(name, {})[method] = _figures(sorted(seeds, key=lambda result: result["seed"]))
    return table


def _figures(seeds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    f1 = [result["test"]["macro_f1"] for result in seeds]
    costs = [result["cost"] for result in seeds]
    subjects = {subject: None for figure in f1 for subject in figure["by_subject"]}
    return {
        "macro_f1": _mean([figure["mean"] for figure in f1]),
        "macro_f1_by_group": _mean([np.mean(list(figure["by_fold"].values())) for figure in f1]),
        "by_subject": {
            subject: _mean([figure["by_subject"][subject] for figure in f1 if subject in figure["by_subject"]])
            for subject in subjects
        },
        "seeds": [result["seed"] for result in seeds],
        "folds": len({fold["fold"] for result in seeds for fold in result["split"]["folds"]}),
        "windows_per_s": _mean([cost["windows_per_s"] for cost in costs], 1),
        "parameters": round(_mean([cost["parameters"] for cost in costs])),
        "latency_ms": _mean([cost["latency_ms"] for cost in costs], 3),
        "train_seconds": _mean([cost["train_seconds"] for cost in costs], 1),
    }


def _mean(values: Sequence[float], digits: int = 6) -> float:
    return round(float(np.mean(values)), digits)


def _lines(table: Mapping[str, Mapping[str, Any]]) -> str:
    """Return JSON with one line for each method, so that a change is seen where it is."""
    sets = []
    for name, methods in table.items():
        rows = ",\n".join(f"  {json.dumps(method)}: {json.dumps(figures)}" for method, figures in methods.items())
        sets.append(f" {json.dumps(name)}: {{\n{rows}\n }}")
    return "{\n" + ",\n".join(sets) + "\n}\n"
