"""Refuse to compare results that were not made under the same conditions."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from dcdp.errors import SplitError
from dcdp.evaluation.cells import Cell

__all__ = ["check_comparable", "check_one_split"]

_SAME_SPLIT = "results that are compared must come from the same split and windows"
_APART = "Run both under the same conditions, or compare them apart."
_RENAME = "Leave one out, or give one another name: NAME=PATH."
_ABSENT = object()


def check_comparable(cells: Sequence[Cell], *, partial: bool = False) -> None:
    """Check that cells of one data set and split share folds, people, windows and labels, and that no audit failed.

    Parameters
    ----------
    cells
        Of any number of data sets and splits.
    partial
        Accept cells that tested some folds of the split only; the folds that they share must still be the same.

    Raises
    ------
    SplitError
        Naming the first difference and the two files.
    """
    first: dict[tuple[str, ...], Cell] = {}
    for cell in cells:
        _check_audit(cell)
        place = (cell.data, cell.split)
        _check_same(first.setdefault(place, cell), cell, _conditions, _SAME_SPLIT, _APART)
        if not partial:
            _check_same(first[place], cell, _folds, _SAME_SPLIT, f"{_APART} Where folds are missing only: --partial.")
        for name in _folds(cell):  # two partial cells need not meet in the first one's folds
            other = first.setdefault((*place, "fold", name), cell)
            _check_same(other, cell, functools.partial(_fold, name=name), _SAME_SPLIT, _APART)
        if not cell.is_peer:
            other = first.setdefault((*place, "method", cell.method), cell)
            _check_same(other, cell, _config, f"every seed of {cell.method} must have one configuration", _RENAME)


def check_one_split(cells: Iterable[Cell]) -> None:
    """Check that the results of one data set come from one split.

    Raises
    ------
    SplitError
        Naming the two splits and the two files.
    """
    first: dict[str, Cell] = {}
    for cell in cells:
        other = first.setdefault(cell.data, cell)
        if other.split != cell.split:
            raise SplitError(
                f"results of {cell.data} must come from one split",
                f"'{other.split}' in '{other.path}', '{cell.split}' in '{cell.path}'",
                "Choose one with --split, or compare them apart.",
            )


def _check_audit(cell: Cell) -> None:
    if cell.result["leak_audit"]["passed"] is not True:
        raise SplitError(
            "a result must have passed its leak audit",
            f"passed: false in '{cell.path}'",
            "Its scores cannot be trusted: mend the split and run it again.",
        )


def _conditions(cell: Cell) -> dict[str, Any]:
    result = cell.result
    windows = result["config"].get("windows", {})
    return {"windows": windows, "labels": result["labels"], "null label": result["null_label"]}


def _config(cell: Cell) -> dict[str, Any]:
    return {"config": cell.result["config"]}


def _folds(cell: Cell) -> dict[str, Any]:
    """Return, by fold, who is in each part and was scored, and how many windows were tested."""
    audits = cell.result["leak_audit"]["folds"]
    return {
        f"fold {fold['fold']}": {
            **{part: sorted(fold[part]) for part in ("test", "train", "validation")},
            "scored": sorted(set(fold["test"]) & set(cell.by_subject)),
            "sessions": fold.get("sessions"),
            "test windows": audits.get(fold["fold"], {}).get("n_windows", {}).get("test"),
        }
        for fold in cell.result["split"]["folds"]
    }


def _fold(cell: Cell, name: str) -> dict[str, Any]:
    return {name: _folds(cell)[name]}


def _check_same(one: Cell, other: Cell, facts: Callable[[Cell], dict[str, Any]], rule: str, remedy: str) -> None:
    found = None if one is other else _first_difference(facts(one), facts(other), "")
    if found is not None:
        where, here, there = found
        raise SplitError(rule, f"{where} {here} in '{one.path}', {there} in '{other.path}'", remedy)


def _first_difference(one: Any, other: Any, where: str) -> tuple[str, str, str] | None:
    """Return where two nested values differ first, and the two values there in a few words."""
    if one == other:
        return None
    if not (isinstance(one, Mapping) and isinstance(other, Mapping)):
        return where, _brief(one), _brief(other)
    keys = dict.fromkeys([*one, *other])
    key = next(key for key in keys if one.get(key, _ABSENT) != other.get(key, _ABSENT))
    place = f"{where}, {key}" if where else str(key)
    return _first_difference(one.get(key, _ABSENT), other.get(key, _ABSENT), place)


def _brief(value: Any) -> str:
    if value is _ABSENT:
        return "missing"
    if isinstance(value, Mapping):
        return "there"
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return f"'{text if len(text) <= 60 else text[:59] + '…'}'"
