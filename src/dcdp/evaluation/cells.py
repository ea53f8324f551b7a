"""Read result files as cells of a benchmark: what one method scored on one data set, split and seed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dcdp.errors import DataError, MissingError
from dcdp.evaluation.results import read_result

__all__ = ["Cell", "find_results", "read_cells", "unique_cells"]

_CELL_FILE = re.compile(r"(result|(.+-)?s\d+)\.json")


@dataclass(frozen=True, slots=True)
class Cell:
    """One method's scores on one data set, split and seed.

    Attributes
    ----------
    data, split, method, seed
        What was run.
    by_subject, by_fold
        Macro-F1 of each test subject, and of all windows of each fold together.
    test
        Every figure of the method, as under ``test`` in the result.
    cost
        Whatever of these is known: ``parameters``, ``bytes``, ``train_seconds``, ``train_windows_per_s``,
        ``windows_per_s`` (of prediction), ``latency_ms`` (of one window).
    is_peer
        Whether it was trained beside the result's own method, so that the result's ``config`` is not its own.
    path, result
        The file, and all that it holds.
    """

    data: str
    split: str
    method: str
    seed: int
    by_subject: Mapping[str, float]
    by_fold: Mapping[str, float]
    test: Mapping[str, Any]
    cost: Mapping[str, float]
    is_peer: bool
    path: Path
    result: Mapping[str, Any]


def find_results(path: Path) -> list[Path]:
    """Return the result files at a path: the file itself, a run's ``result.json``, or all under a folder.

    In a folder, results are called ``result.json``, ``s0.json`` (as in a benchmark) or ``NAME-s0.json``.

    Raises
    ------
    MissingError
        If there is nothing at the path, or no result under it.
    """
    path = Path(path)
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise MissingError("a result must exist", f"no file or folder '{path}'", "Give a result, a run or a folder.")
    if (path / "result.json").is_file():
        return [path / "result.json"]
    found = sorted(file for file in path.rglob("*.json") if _CELL_FILE.fullmatch(file.name))
    if not found:
        raise MissingError(
            "a folder must hold results", f"no result.json and no s0.json under '{path}'", "Finish a run first."
        )
    return found


def read_cells(path: Path, name: str = "") -> list[Cell]:
    """Read the cells of every result at a path; a result with peers gives a cell for each of them too.

    Parameters
    ----------
    path
        Result file, run folder, or folder to search.
    name
        What to call the results' own method, to tell two configurations of one method apart.

    Raises
    ------
    MissingError
        If there is no result.
    FormatError
        If a file is not a result.
    """
    return [cell for file in find_results(path) for cell in _cells_of(file, read_result(file), name)]


def unique_cells(cells: Iterable[Cell]) -> list[Cell]:
    """Drop cells that say the same again: a file given twice, or a peer of two runs under one seed.

    Raises
    ------
    DataError
        If two results of one data set, split, method and seed have different scores.
    """
    kept: dict[tuple[str, str, str, int], Cell] = {}
    for cell in cells:
        first = kept.setdefault((cell.data, cell.split, cell.method, cell.seed), cell)
        if first.by_subject != cell.by_subject:
            raise DataError(
                "a method must have one result for each seed",
                f"two of {cell.method}, seed {cell.seed}, on {cell.data}: '{first.path}' and '{cell.path}'",
                "Leave one out, or give one another name: NAME=PATH.",
            )
        if len(cell.cost) > len(first.cost):
            kept[cell.data, cell.split, cell.method, cell.seed] = replace(first, cost=cell.cost)
    return list(kept.values())


def _cells_of(path: Path, result: Mapping[str, Any], name: str) -> Iterator[Cell]:
    own, split, seed = name or result["method"], result["split"]["name"], result["seed"]
    tests = {own: result["test"]} | {peer: test for peer, test in result.get("peers", {}).items() if peer != own}
    for method, test in tests.items():
        figure, is_peer = test["macro_f1"], method != own
        cost = _cost_of_peer(test) if is_peer else _cost(result)
        scores = figure["by_subject"], figure["by_fold"], test
        yield Cell(result["data"], split, method, seed, *scores, cost, is_peer, path, result)


def _cost(result: Mapping[str, Any]) -> dict[str, float]:
    told = result.get("cost") or {}
    folds = list(result["training"].values())
    found = {
        "train_seconds": result["seconds"].get("train"),
        "parameters": max((fold.get("parameters", 0) for fold in folds), default=0),
        "train_windows_per_s": sum(fold.get("windows_per_s", 0.0) for fold in folds) / max(len(folds), 1),
    } | told
    return _positive(found)


def _cost_of_peer(test: Mapping[str, Any]) -> dict[str, float]:
    names = {"seconds": "train_seconds", "parameters": "parameters", "windows_per_s": "windows_per_s"}
    return _positive({name: test.get(key) for key, name in names.items()})


def _positive(values: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers above 0: what a logarithmic axis can show, and 0 only says "not measured"."""
    return {name: float(value) for name, value in values.items() if isinstance(value, (int, float)) and value > 0}
