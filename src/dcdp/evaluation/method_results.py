"""Read what each method scored on one data set, split and seed, from result files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dcdp.errors import DataError, MissingError
from dcdp.evaluation.results import read_result

__all__ = ["MethodResult", "find_results", "read_method_results", "unique_results", "with_absent"]

_RESULT_FILE = re.compile(r"(result|(.+-)?s\d+)\.json")


@dataclass(frozen=True, slots=True)
class MethodResult:
    """One method's scores on one data set, split and seed.

    Attributes
    ----------
    data, split, method, seed
        What was run.
    by_subject, by_fold
        Macro-F1 of each test subject, and of all windows of each fold together (None where that is not known).
    test
        Every figure of the method, as under ``test`` in the result.
    cost
        Whatever of these is known: ``parameters``, ``bytes``, ``train_seconds`` (mean over folds; of a peer trained
        beside another with its prediction), ``train_windows_per_s``, ``windows_per_s`` (of prediction),
        ``latency_ms`` (of one window).
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
    by_fold: Mapping[str, float | None]
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
    found = sorted(file for file in path.rglob("*.json") if _RESULT_FILE.fullmatch(file.name))
    if not found:
        raise MissingError(
            "a folder must hold results", f"no result.json and no s0.json under '{path}'", "Finish a run first."
        )
    return found


def read_method_results(path: Path, name: str = "") -> list[MethodResult]:
    """Read the results at a path; one with peers inside gives a result for each of them too.

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
    return [one for file in find_results(path) for one in _of_file(file, read_result(file), name)]


def unique_results(results: Iterable[MethodResult]) -> list[MethodResult]:
    """Drop results that say the same again: a file given twice, or a peer of two runs under one seed.

    Raises
    ------
    DataError
        If two results of one data set, split, method and seed have different scores.
    """
    kept: dict[tuple[str, str, str, int], MethodResult] = {}
    for one in results:
        first = kept.setdefault((one.data, one.split, one.method, one.seed), one)
        if first.by_subject != one.by_subject:
            raise DataError(
                "a method must have one result for each seed",
                f"two of {one.method}, seed {one.seed}, on {one.data}: '{first.path}' and '{one.path}'",
                "Leave one out, or give one another name: NAME=PATH.",
            )
        if len(one.cost) > len(first.cost):
            kept[one.data, one.split, one.method, one.seed] = replace(first, cost=one.cost)
    return list(kept.values())


def with_absent(results: Iterable[MethodResult], branch: str = "") -> list[MethodResult]:
    """Put the scores with a branch absent at test in the place of those with all sensors.

    Parameters
    ----------
    branch
        Name of the absent branch; empty takes each of them in turn, and their mean.

    Raises
    ------
    DataError
        If a result does not tell by person what is left without the branch, or tells of other branches than another.
    """
    results = list(results)
    first: dict[str, MethodResult] = {}
    for one in results:
        other = first.setdefault(one.data, one)
        if not branch and _absent_branches(one) != _absent_branches(other):
            raise DataError(
                "a mean over absent branches must be over the same ones for all methods",
                f"{_absent_branches(one)} in '{one.path}', {_absent_branches(other)} in '{other.path}'",
                "Name one branch that all of them have.",
            )  # fmt: skip
    return [replace(one, by_subject=_left_without(one, branch), by_fold=dict.fromkeys(one.by_fold)) for one in results]


def _absent_branches(one: MethodResult) -> list[str]:
    return sorted(one.test.get("absent") or ())


def _left_without(one: MethodResult, branch: str) -> dict[str, float]:
    told = {name: figures.get("by_subject") for name, figures in (one.test.get("absent") or {}).items()}
    tables = [table for name, table in told.items() if branch in ("", name)]
    if not tables or None in tables:
        found = f"{one.method}, seed {one.seed}, on {one.data}, which tells {sorted(told) or 'nothing'}"
        raise DataError(
            f"a result must tell by person what is left without {branch or 'each branch'}", f"that of {found}",
            "Name a branch of the data set, or run the method again: older results hold means alone.",
        )  # fmt: skip
    return {person: sum(table[person] for table in tables) / len(tables) for person in tables[0]}


def _of_file(path: Path, result: Mapping[str, Any], name: str) -> Iterator[MethodResult]:
    own, split, seed = name or result["method"], result["split"]["name"], result["seed"]
    tests = {own: result["test"]} | {peer: test for peer, test in result.get("peers", {}).items() if peer != own}
    for method, test in tests.items():
        figure, is_peer = test["macro_f1"], method != own
        cost = _cost_of_peer(test, len(result["split"]["folds"])) if is_peer else _cost(result)
        scores = figure["by_subject"], figure["by_fold"], test
        yield MethodResult(result["data"], split, method, seed, *scores, cost, is_peer, path, result)


def _cost(result: Mapping[str, Any]) -> dict[str, float]:
    told = result.get("cost") or {}
    folds = list(result["training"].values())
    found = {
        "train_seconds": result["seconds"].get("train", 0.0) / len(result["split"]["folds"]),
        "parameters": max((fold.get("parameters", 0) for fold in folds), default=0),
        "train_windows_per_s": sum(fold.get("windows_per_s", 0.0) for fold in folds) / max(len(folds), 1),
    } | told
    return _positive(found)


def _cost_of_peer(test: Mapping[str, Any], n_folds: int) -> dict[str, float]:
    known = {name: test.get(name) for name in ("parameters", "windows_per_s")}
    return _positive({"train_seconds": test["seconds"] / n_folds} | known)


def _positive(values: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers above 0: what a logarithmic axis can show, and 0 only says "not measured"."""
    return {name: float(value) for name, value in values.items() if isinstance(value, (int, float)) and value > 0}
