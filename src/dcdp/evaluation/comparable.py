"""Refuse to compare results that were not made under the same conditions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dcdp.errors import SplitError
from dcdp.evaluation.acting import OURS, reads_setting
from dcdp.evaluation.method_results import MethodResult

__all__ = ["check_comparable", "check_one_split"]

Place = tuple[str, ...]
Told = dict[Place, tuple[MethodResult, Any]]
"""By place and fact: the first result that tells it, and what it tells."""

_SAME_SPLIT = "results that are compared must come from the same split and windows"
_APART = "Run both under the same conditions, or compare them apart."
_PARTIAL = f"{_APART} Where folds are missing only: --partial."
_RENAME = "Leave one out, or give one another name: NAME=PATH."
_LEAVE_OUT = "Leave one out: a peer trained beside another method keeps its name."
_SYNTHETIC = "synthetic"
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
    told: Told = {}
    for one in results:
        _check_audit(one)
        place, folds = (one.data, one.split), _folds(one)
        _require_same(told, place, one, _conditions(one), _SAME_SPLIT, _APART)
        if not partial:
            _require_same(told, place, one, {"": folds}, _SAME_SPLIT, _PARTIAL)
        _require_same(told, place, one, folds, _SAME_SPLIT, _APART)
        _require_same(told, (*place, "counts", *sorted(folds)), one, _counts(one), _SAME_SPLIT, _APART)
        rule, remedy = f"every seed of {one.method} must have one configuration", _LEAVE_OUT if one.is_peer else _RENAME
        _require_same(told, (*place, "method", one.method), one, _settings(one), rule, remedy)


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
    audit = one.result["leak_audit"]
    names = [fold["fold"] for fold in one.result["split"]["folds"]]
    passed = {"": audit["passed"]} | {f"fold {name}, ": audit["folds"].get(name, {}).get("passed") for name in names}
    wrong = next((where for where, value in passed.items() if value is not True), None)
    if wrong is not None:
        raise SplitError(
            "a result must have passed its leak audit, as a whole and in each fold",
            f"{wrong}passed: {str(passed[wrong]).lower()} in '{one.path}'",
            "Its scores cannot be trusted: mend the split and run it again.",
        )


def _conditions(one: MethodResult) -> dict[str, Any]:
    result = one.result
    windows = result["config"].get("windows", {})
    found = {"windows": windows, "labels": result["labels"], "null label": result["null_label"]}
    if one.data == _SYNTHETIC:  # nothing else reads the body
        found |= _flat(result["config"].get("body", {}), "body, ")
    return found


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


def _counts(one: MethodResult) -> dict[str, int]:
    """Return how many test windows of all folds are of each activity; nothing of a peer that does not tell."""
    rows = one.test.get("confusion") or ()
    return {f"test windows of {label}": sum(row) for label, row in zip(one.result["labels"], rows, strict=False)}


def _settings(one: MethodResult) -> dict[str, Any]:
    """Return what makes a method the one that it is, and every setting that it reads."""
    base = one.method if one.is_peer else one.result.get("base", OURS)  # `dcdp train` has one method, and tells no base
    config = {
        key: value for key, value in _flat(one.result["config"]).items()
        if reads_setting(base, key) and (one.data == _SYNTHETIC or not key.startswith("body."))
    }  # fmt: skip
    return {"base": base} | {f"config, {key.replace('.', ', ')}": value for key, value in config.items()}


def _flat(tree: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= _flat(value, f"{where}{key}.") if isinstance(value, Mapping) else {f"{where}{key}": value}
    return flat


def _require_same(
    told: Told, place: Place, one: MethodResult, facts: Mapping[str, Any], rule: str, remedy: str
) -> None:
    """Check each fact against the first result that tells it, which need not be the first of all.

    Two partial results need not meet in the first one's folds, and a setting that an older version of dcdp did not
    know had its default value.
    """
    for name, fact in facts.items():
        other, known = told.setdefault((*place, name), (one, fact))
        found = _first_difference(known, fact, name)
        if found is not None:
            where, here, there = found
            raise SplitError(rule, f"{where} {here} in '{other.path}', {there} in '{one.path}'", remedy)


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
