"""State what ``result.json`` must hold, and check it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from dcdp.errors import FormatError

__all__ = ["check_result"]

_NUMBER = (int, float)
_NUMBER_OR_NONE = (int, float, type(None))
_FIGURE = {"mean": _NUMBER, "std": _NUMBER, "by_subject": {"*": _NUMBER}, "by_fold": {"*": _NUMBER}}
_OPTIONAL = "?"

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
    "leak_audit": {"passed": bool, "folds": {"*": dict}},
    "config": dict,
    "versions": {"dcdp": str, "python": str},
    "machine": {"cores": int, "processor": str, "device": str},
    "seconds": {"*": _NUMBER},
    "labels": [str],
    "null_label": (str, type(None)),
    "branches": [str],
    "test": {
        "macro_f1": _FIGURE,
        "accuracy": _FIGURE,
        "weighted_f1": _FIGURE,
        "balanced_accuracy": _FIGURE,
        "calibration_error": _FIGURE,
        "per_class_f1": {"*": _NUMBER_OR_NONE},
        "confusion": [[int]],
        "by_branch?": {"*": {"macro_f1": _NUMBER_OR_NONE, "accuracy": _NUMBER_OR_NONE}},
        "absent?": {"*": {"macro_f1": _NUMBER, "by_subject?": {"*": _NUMBER}, "loss": _NUMBER}},
        "shapley?": {"*": _NUMBER_OR_NONE},
        "subsets?": {"*": _NUMBER},
        "utilisation?": {"*": {"alone": _NUMBER_OR_NONE, "gap": _NUMBER_OR_NONE}},
        "alignment?": {
            "*": {"retrieval_window": _NUMBER_OR_NONE, "retrieval_activity": _NUMBER_OR_NONE, "cka": _NUMBER_OR_NONE}
        },
    },
    # empty where nothing is trained in steps: a forest has no epochs, nor figures of validation people
    "validation": {"*": {"macro_f1?": _NUMBER}},
    "training": {"*": {"epochs?": int, "best_epoch?": int, "steps?": int}},
    "cost?": {
        "parameters": int,
        "bytes": int,
        "train_seconds": _NUMBER,
        "train_windows_per_s": _NUMBER_OR_NONE,
        "windows_per_s": _NUMBER,
        "latency_ms": _NUMBER,
    },
    "robustness?": dict,
    "peers?": {
        "*": {
            "macro_f1": _FIGURE,
            "seconds": _NUMBER,
            "absent?": {"*": {"macro_f1": _NUMBER, "by_subject?": {"*": _NUMBER}, "loss": _NUMBER}},
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
    _check_agreement(result)


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
        if isinstance(value, float) and not math.isfinite(value):
            raise FormatError(
                "every number of a result must be finite",
                f"{value} at '{where}'",
                "Write null for what could not be measured.",
            )


def _check_agreement(result: Mapping[str, Any]) -> None:
    test, labels = result["test"], result["labels"]
    shape = [len(row) for row in test["confusion"]]
    if shape != [len(labels)] * len(labels):
        raise FormatError(
            f"'test.confusion' must be {len(labels)} x {len(labels)}",
            f"rows of {shape}",
            "Score with the labels of the result.",
        )
    expected = {subject for fold in result["split"]["folds"] for subject in fold["test"]}
    scored = set(test["macro_f1"]["by_subject"])
    if not scored or not scored <= expected:
        raise FormatError(
            "'test.macro_f1.by_subject' must name test subjects of the split",
            f"{sorted(scored)}, the split tests {sorted(expected)}",
            "Score the test part.",
        )
    mean = sum(test["macro_f1"]["by_subject"].values()) / len(scored)
    if abs(mean - test["macro_f1"]["mean"]) > 1e-6:
        raise FormatError(
            "'test.macro_f1.mean' must be the mean over subjects",
            test["macro_f1"]["mean"],
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
