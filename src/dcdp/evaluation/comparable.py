"""Refuse to compare results that were not made under the same conditions."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from dcdp.errors import SplitError
from dcdp.evaluation.method_results import MethodResult

__all__ = ["check_comparable", "check_one_split"]

Facts = Callable[[MethodResult], dict[str, Any]]

_SAME_SPLIT = "results that are compared must come from the same split and windows"
_APART = "Run both under the same conditions, or compare them apart."
_RENAME = "Leave one out, or give one another name: NAME=PATH."
_ABSENT = object()


def check_comparable(results: Sequence[MethodResult], *, partial: bool = False) -> None:
    """Check that results of one data set and split share folds, people, windows and labels, and that no audit failed.

    Parameters
    ----------
    results
        Of any number of data sets and splits.
    partial
        Accept results that tested some folds of the split only; the folds that they share must still be the same.

    Raises
    ------
    SplitError
        Naming the first difference and the two files.
    """
    first: dict[tuple[str, ...], MethodResult] = {}
    for one in results:
        _check_audit(one)
        place = (one.data, one.split)
        other = first.setdefault(place, one)
        _require_same(other, one, _conditions, _SAME_SPLIT, _APART)
        if not partial:
            _require_same(other, one, _folds, _SAME_SPLIT, f"{_APART} Where folds are missing only: --partial.")
        for name in _folds(one):  # two partial results need not meet in the first one's folds
            other = first.setdefault((*place, "fold", name), one)
            _require_same(other, one, functools.partial(_fold, name=name), _SAME_SPLIT, _APART)
        if not one.is_peer:
            _check_config(first.setdefault((*place, "method", one.method), one), one)


def check_one_split(results: Iterable[MethodResult]) -> None:
    """Check that the results of one data set come from one split.

    Raises
    ------
    SplitError
        Naming the two splits and the two files.
    """
    first: dict[str, MethodResult] = {}
    for one in results:
        other = first.setdefault(one.data, one)
        if other.split != one.split:
            raise SplitError(
                f"results of {one.data} must come from one split",
                f"'{other.split}' in '{other.path}', '{one.split}' in '{one.path}'",
                "Choose one with --split, or compare them apart.",
            )


def _check_audit(one: MethodResult) -> None:
    if one.result["leak_audit"]["passed"] is not True:
        raise SplitError(
            "a result must have passed its leak audit",
            f"passed: false in '{one.path}'",
            "Its scores cannot be trusted: mend the split and run it again.",
        )


def _conditions(one: MethodResult) -> dict[str, Any]:
    result = one.result
    windows = result["config"].get("windows", {})
    return {"windows": windows, "labels": result["labels"], "null label": result["null_label"]}


def _folds(one: MethodResult) -> dict[str, Any]:
    """Return, by fold, who is in each part and was scored, and how many windows were tested."""
    audits = one.result["leak_audit"]["folds"]
    return {
        f"fold {fold['fold']}": {
            **{part: sorted(fold[part]) for part in ("test", "train", "validation")},
            "scored": sorted(set(fold["test"]) & set(one.by_subject)),
            "sessions": fold.get("sessions"),
            "test windows": audits.get(fold["fold"], {}).get("n_windows", {}).get("test"),
        }
        for fold in one.result["split"]["folds"]
    }


def _fold(one: MethodResult, name: str) -> dict[str, Any]:
    return {name: _folds(one)[name]}


def _require_same(one: MethodResult, other: MethodResult, facts: Facts, rule: str, remedy: str) -> None:
    found = None if one is other else _first_difference(facts(one), facts(other), "")
    if found is not None:
        where, here, there = found
        raise SplitError(rule, f"{where} {here} in '{one.path}', {there} in '{other.path}'", remedy)


def _check_config(one: MethodResult, other: MethodResult) -> None:
    """Check the settings that both have: one that only the later version of dcdp knows had its default value before."""
    both = one.result["config"], other.result["config"]

    def config(each: MethodResult) -> dict[str, Any]:
        return {"config": _shared(each.result["config"], both[0] if each is other else both[1])}

    _require_same(one, other, config, f"every seed of {one.method} must have one configuration", _RENAME)


def _shared(settings: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings whose names stand in the other too."""
    return {
        name: _shared(value, other[name]) if isinstance(value, dict) and isinstance(other[name], dict) else value
        for name, value in settings.items()
        if name in other
    }


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
