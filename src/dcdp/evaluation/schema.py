"""State what ``result.json`` must hold, and check it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

from dcdp.errors import FormatError

__all__ = ["check_result"]

_NUMBER = (int, float)
_NUMBER_OR_NONE = (int, float, type(None))
_FIGURE = {"mean": _NUMBER, "std": _NUMBER, "by_subject": {"*": _NUMBER}, "by_fold": {"*": _NUMBER}}
_FIGURES = dict.fromkeys(("accuracy", "weighted_f1", "balanced_accuracy", "calibration_error"), _FIGURE)
_ABSENT = {"*": {"macro_f1": _NUMBER, "by_subject?": {"*": _NUMBER}, "loss": _NUMBER}}
_POINT = {"macro_f1": {"mean": _NUMBER, "by_subject": {"*": _NUMBER}}, "size?": {"*": _NUMBER}}
_SHARES = ("macro_f1", *_FIGURES)
_OPTIONAL = "?"
_TOO_LARGE = 2.0**63

# A dictionary is a dictionary with these keys ("name?": may be missing; "*": every other key), a list with
# one item is a list of such items, a type (or several) is itself. Other keys are free.
_SCHEMA: dict[str, Any] = {
    "format": int,
    "data": str,
    "method": str,
    "seed": int,
    "split": {
        "name": str,
        "folds": [
            {"fold": str, "train": [str], "validation": [str], "test": [str], "sessions?": {"*": [[str]]}},
        ],
    },
    "leak_audit": {"passed": bool, "folds": {"*": {"n_windows?": {"*": int}}}},
    "config": dict,
    "versions": {"dcdp": str, "python": str},
    "machine": {"cores": int, "processor": str, "device": str},
    "seconds": {"*": _NUMBER},
    "labels": [str],
    "null_label": (str, type(None)),
    "branches": [str],
    "test": {
        "macro_f1": _FIGURE,
        **_FIGURES,
        "per_class_f1": {"*": _NUMBER_OR_NONE},
        "confusion": [[int]],
        "by_branch?": {"*": {"macro_f1": _NUMBER_OR_NONE, "accuracy": _NUMBER_OR_NONE}},
        "absent?": _ABSENT,
        "shapley?": {"*": _NUMBER_OR_NONE},
        "subsets?": {"*": _NUMBER},
        "utilisation?": {"*": {"alone": _NUMBER_OR_NONE, "gap": _NUMBER_OR_NONE}},
        "alignment?": {
            "*": {"retrieval_window": _NUMBER_OR_NONE, "retrieval_activity": _NUMBER_OR_NONE, "cka": _NUMBER_OR_NONE}
        },
    },
    # empty where nothing is trained in steps: a forest has no epochs, nor figures of validation people
    "validation": {"*": {"macro_f1?": _NUMBER}},
    "training": {
        "*": {"epochs?": int, "best_epoch?": int, "steps?": int, "parameters?": int, "windows_per_s?": _NUMBER_OR_NONE}
    },
    "cost?": {
        "parameters": int,
        "bytes": int,
        "train_seconds": _NUMBER,
        "train_windows_per_s": _NUMBER_OR_NONE,
        "windows_per_s": _NUMBER,
        "latency_ms": _NUMBER,
    },
    "robustness?": {"*": {"*": _POINT}},
    "peers?": {
        "*": {
            "macro_f1": _FIGURE,
            **{f"{name}?": figure for name, figure in _FIGURES.items()},
            "per_class_f1?": {"*": _NUMBER_OR_NONE},
            "confusion?": [[int]],
            "seconds": _NUMBER,
            "absent?": _ABSENT,
            "parameters?": int,
            "windows_per_s?": _NUMBER,
        }
    },
}


def check_result(result: Mapping[str, Any]) -> None:
    """Check that a result has every key, of the right kind, and that its parts agree.

    Raises
    ------
    FormatError
        Naming the first place that is wrong.
    """
    _check(result, _SCHEMA, "")
    _check_finite(result)
    _check_labels(result["labels"])
    tests = {"test": result["test"]} | {f"peers.{name}": peer for name, peer in result.get("peers", {}).items()}
    for where, figures in tests.items():
        _check_confusion(figures, where, len(result["labels"]))
        _check_people(figures["macro_f1"]["by_subject"], where, result["split"]["folds"])
        _check_shares(figures, where)
        _check_mean(figures["macro_f1"], where)


def _check(value: Any, schema: Any, where: str) -> None:
    if isinstance(schema, dict):
        _require_kind(value, dict, where)
        _check_keys(value, schema, where)
    elif isinstance(schema, list):
        _require_kind(value, list, where)
        for i, item in enumerate(value):
            _check(item, schema[0], f"{where}[{i}]")
    else:
        _require_kind(value, schema, where)


def _check_keys(value: dict[str, Any], schema: dict[str, Any], where: str) -> None:
    for key, inner in schema.items():
        name = key.removesuffix(_OPTIONAL)
        if key == "*":
            for other in value:
                _check(value[other], inner, _joined(where, other))
        elif name in value:
            _check(value[name], inner, _joined(where, name))
        elif name == key:
            raise FormatError(
                f"a result must have '{_joined(where, name)}'",
                f"keys {sorted(value)}",
                "Add it, or run the evaluation again.",
            )


def _require_kind(value: Any, kinds: Any, where: str) -> None:
    kinds = kinds if isinstance(kinds, tuple) else (kinds,)
    # True is an int to Python, not to a reader
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        names = " or ".join(kind.__name__ for kind in kinds)
        raise FormatError(
            f"'{where or 'result'}' must be {names}",
            f"{type(value).__name__} {str(value)[:60]!r}",
            "Correct it, or run the evaluation again.",
        )


def _check_finite(result: Mapping[str, Any]) -> None:
    for where, value in _leaves(result, ""):
        if isinstance(value, (int, float)) and not abs(value) < _TOO_LARGE:  # so that NaN is refused as well
            raise FormatError(
                "every number of a result must be finite",
                f"{str(value)[:40]} at '{where}'",
                "Write null for what could not be measured.",
            )


def _check_shares(figures: Mapping[str, Any], where: str) -> None:
    """Check that scores are shares of 1: one in per cent would be ahead of everything."""
    for name, table in product(_SHARES, ("by_subject", "by_fold")):
        scores = figures[name][table] if name in figures else {"": 0.0}  # of peers macro-F1 alone is known
        wrong = [score for score in scores.values() if not 0 <= score <= 1]
        if wrong or not scores:
            raise FormatError(
                f"'{where}.{name}.{table}' must hold shares from 0 to 1", wrong[0] if wrong else "none",
                "Give shares, not per cent, or run the evaluation again.",
            )  # fmt: skip


def _check_labels(labels: list[str]) -> None:
    if len(set(labels)) < len(labels):
        raise FormatError("labels must differ", labels, "Run the evaluation again.")


def _check_confusion(figures: Mapping[str, Any], where: str, n_labels: int) -> None:
    if "confusion" not in figures:  # of a peer
        return
    shape = [len(row) for row in figures["confusion"]]
    if shape != [n_labels] * n_labels:
        raise FormatError(
            f"'{where}.confusion' must be {n_labels} x {n_labels}",
            f"rows of {shape}",
            "Score with the labels of the result.",
        )
    least = min((count for row in figures["confusion"] for count in row), default=0)
    if least < 0:
        raise FormatError(f"counts of '{where}.confusion' must not be negative", least, "Run the evaluation again.")


def _check_people(scores: Mapping[str, float], where: str, folds: list[dict[str, Any]]) -> None:
    expected = {subject for fold in folds for subject in fold["test"]}
    if not scores or not scores.keys() <= expected:
        raise FormatError(
            f"'{where}.macro_f1.by_subject' must name test subjects of the split",
            f"{sorted(scores)}, the split tests {sorted(expected)}",
            "Score the test part.",
        )


def _check_mean(figure: Mapping[str, Any], where: str) -> None:
    mean = sum(figure["by_subject"].values()) / len(figure["by_subject"])
    if abs(mean - figure["mean"]) > 1e-6:
        raise FormatError(
            f"'{where}.macro_f1.mean' must be the mean over subjects",
            figure["mean"],
            f"The subjects' mean is {mean:.6f}.",
        )


def _leaves(value: Any, where: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, _joined(where, str(key)))
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from _leaves(item, f"{where}[{i}]")
    else:
        yield where, value


def _joined(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key
