"""Score predictions by subject first and pooled second, and join the folds of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dcdp.errors import DataError
from dcdp.evaluation.metrics import (
    accuracy,
    balanced_accuracy,
    checked_probability,
    confusion_matrix,
    expected_calibration_error,
    macro_f1,
    per_class_f1,
    reliability_table,
    weighted_f1,
)

__all__ = ["Scores", "macro_f1_by_subject", "pool_folds", "score", "score_branches", "subject_macro_f1"]

Scores = dict[str, Any]
"""Plain numbers, lists and dictionaries in the layout of the ``test`` block of ``result.json``."""

_FROM_CONFUSION = {
    "macro_f1": macro_f1,
    "accuracy": accuracy,
    "weighted_f1": weighted_f1,
    "balanced_accuracy": balanced_accuracy,
}
_EXTRAS = ("by_branch", "absent", "shapley", "subsets", "alignment", "utilisation")


def score(label: ArrayLike, probability: ArrayLike, subject: ArrayLike, labels: Sequence[str]) -> Scores:
    """Score the windows of one fold.

    Parameters
    ----------
    label
        (N,) true class indices.
    probability
        (N, K), rows that sum to 1.
    subject
        (N,) names.
    labels
        The K activity names.

    Returns
    -------
    ``macro_f1``, ``accuracy``, ``weighted_f1``, ``balanced_accuracy`` and ``calibration_error``, each with
    ``mean`` and ``std`` (population) over subjects, ``by_subject``, and ``pooled`` (all windows as one);
    ``per_class_f1`` (pooled; None for a class neither true nor predicted), ``confusion`` and
    ``reliability`` (pooled counts).

    Raises
    ------
    DataError
        If an array does not fit the others, or holds no probabilities or unknown labels.
    """
    given, truth, names = checked_probability(probability), np.asarray(label), np.asarray(subject)
    if given.shape[1] != len(labels):
        raise DataError(
            "probability must have a column per label",
            f"{given.shape[1]} columns, {len(labels)} labels",
            "Pass all labels of the set, in class order.",
        )
    subjects, groups = _groups(names, len(given))
    confusion = np.stack([confusion_matrix(truth[g], given[g].argmax(axis=1), len(labels)) for g in groups])
    reliability = np.stack([reliability_table(truth[g], given[g]) for g in groups])
    scores: Scores = {
        name: _block(subjects, figure(confusion), float(figure(confusion.sum(axis=0))))
        for name, figure in _FROM_CONFUSION.items()
    }
    pooled_error = float(expected_calibration_error(reliability.sum(axis=0)))
    scores["calibration_error"] = _block(subjects, expected_calibration_error(reliability), pooled_error)
    return scores | _pooled_tables(confusion.sum(axis=0), reliability.sum(axis=0), labels)


def score_branches(
    label: ArrayLike,
    branch_probability: NDArray[np.floating],
    present: NDArray[np.bool_],
    subject: ArrayLike,
    branches: Sequence[str],
) -> dict[str, dict[str, float | None]]:
    """Score each branch's own head where that branch is present: means over subjects.

    Parameters
    ----------
    label, subject
        (N,) true class indices, and names.
    branch_probability
        (N, M, K); rows of absent branches are not read.
    present
        (N, M).
    branches
        The M names.

    Returns
    -------
    ``macro_f1`` and ``accuracy`` by branch; None for a branch that no window has.
    """
    truth, names = np.asarray(label), np.asarray(subject)
    table: dict[str, dict[str, float | None]] = {}
    for m, branch in enumerate(branches):
        seen = present[:, m]
        if not seen.any():
            table[branch] = {"macro_f1": None, "accuracy": None}
            continue
        given = checked_probability(branch_probability[seen, m])
        confusion = _confusion_by_subject(truth[seen], given, names[seen])
        table[branch] = {"macro_f1": float(macro_f1(confusion).mean()), "accuracy": float(accuracy(confusion).mean())}
    return table


def subject_macro_f1(label: ArrayLike, probability: ArrayLike, subject: ArrayLike) -> float:
    """Mean over subjects of macro-F1: the one number that a run is judged by."""
    confusion = _confusion_by_subject(np.asarray(label), checked_probability(probability), np.asarray(subject))
    return float(macro_f1(confusion).mean())


def macro_f1_by_subject(label: ArrayLike, probability: ArrayLike, subject: ArrayLike) -> dict[str, float]:
    """Macro-F1 of each subject, in the order of their names."""
    subjects = np.unique(np.asarray(subject)).tolist()
    confusion = _confusion_by_subject(np.asarray(label), checked_probability(probability), np.asarray(subject))
    return dict(zip(map(str, subjects), macro_f1(confusion).tolist(), strict=True))


def pool_folds(folds: Mapping[str, Scores], labels: Sequence[str]) -> Scores:
    """Join the scores of folds whose test subjects differ into the ``test`` block of a result.

    Means are over all subjects. ``by_fold`` is computed from all windows of the fold as one, which is
    how benchmarks that average over groups of subjects report it; with one subject a fold it equals
    ``by_subject``. Figures that a fold carries beside those of `score` (``by_branch``, ``absent``,
    ``shapley``, ``subsets``, ``alignment``, ``utilisation``) are averaged, weighted by the fold's number of subjects.

    Parameters
    ----------
    folds
        Fold name -> its scores.
    labels
        The K activity names.

    Raises
    ------
    DataError
        If there is no fold, a subject was tested in two of them, or they carry different figures.
    """
    if not folds:
        raise DataError("there must be a fold to pool", "none", "Test at least one fold.")
    confusion = np.sum([fold["confusion"] for fold in folds.values()], axis=0)
    reliability = np.sum([fold["reliability"] for fold in folds.values()], axis=0)
    pooled = {name: float(figure(confusion)) for name, figure in _FROM_CONFUSION.items()}
    pooled["calibration_error"] = float(expected_calibration_error(reliability))
    result: Scores = {}
    for name, value in pooled.items():
        by_subject = _merged({fold: scores[name]["by_subject"] for fold, scores in folds.items()})
        result[name] = _block(list(by_subject), np.array(list(by_subject.values())), value)
        result[name]["by_fold"] = {fold: scores[name]["pooled"] for fold, scores in folds.items()}
    result |= _pooled_tables(confusion, reliability, labels)
    weights = [len(fold["macro_f1"]["by_subject"]) for fold in folds.values()]
    for name in _EXTRAS:
        if any(name in fold for fold in folds.values()):
            result[name] = _mean_tree([fold.get(name) for fold in folds.values()], weights, name)
    return result


def _groups(subject: NDArray[Any], n_windows: int) -> tuple[list[str], list[NDArray[np.intp]]]:
    """Return the sorted subjects and the windows of each."""
    if subject.shape != (n_windows,):
        raise DataError(
            "each window must have a subject",
            f"shape {subject.shape} for {n_windows} windows",
            "Pass arrays of the same windows.",
        )
    subjects, place = np.unique(subject, return_inverse=True)
    return [str(name) for name in subjects], [np.flatnonzero(place == s) for s in range(len(subjects))]


def _confusion_by_subject(
    label: NDArray[Any], probability: NDArray[np.float64], subject: NDArray[Any]
) -> NDArray[np.int64]:
    _, groups = _groups(subject, len(probability))
    prediction, n_classes = probability.argmax(axis=1), probability.shape[1]
    return np.stack([confusion_matrix(label[g], prediction[g], n_classes) for g in groups])


def _block(subjects: Sequence[str], values: NDArray[np.float64], pooled: float) -> dict[str, Any]:
    return {
        "mean": float(values.mean()),
        "std": float(values.std()),
        "by_subject": dict(zip(subjects, values.tolist(), strict=True)),
        "pooled": pooled,
    }


def _pooled_tables(confusion: NDArray[Any], reliability: NDArray[Any], labels: Sequence[str]) -> Scores:
    f1 = [None if np.isnan(value) else float(value) for value in per_class_f1(confusion)]
    count, confidence, correct = reliability.tolist()
    return {
        "per_class_f1": dict(zip(labels, f1, strict=True)),
        "confusion": confusion.tolist(),
        # a list of rows, so that tables of folds add up; see reliability_table for the rows
        "reliability": [count, confidence, correct],
    }


def _merged(by_fold: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    seen: dict[str, str] = {}
    for fold, by_subject in by_fold.items():
        for subject in by_subject:
            if subject in seen:
                raise DataError(
                    "a subject must be tested in one fold",
                    f"'{subject}' in '{seen[subject]}' and '{fold}'",
                    "Pool the folds of one split only.",
                )
            seen[subject] = fold
    return {subject: by_fold[seen[subject]][subject] for subject in sorted(seen)}


def _mean_tree(trees: Sequence[Any], weights: Sequence[int], where: str) -> Any:
    """Average the leaves of trees of one shape; a None leaf (not measurable there) is left out.

    ``by_subject`` is joined: every fold has subjects of its own.
    """
    if where.endswith(".by_subject"):
        return _merged({str(number): tree for number, tree in enumerate(trees)})
    if any(isinstance(tree, Mapping) for tree in trees):
        keys = [set(tree) if isinstance(tree, Mapping) else set() for tree in trees]
        if any(given != keys[0] for given in keys):
            raise DataError(
                f"every fold must carry the same figures in '{where}'",
                f"{[sorted(given) for given in keys]}",
                "Evaluate all folds with the same options.",
            )
        return {key: _mean_tree([tree[key] for tree in trees], weights, f"{where}.{key}") for key in trees[0]}
    known = [(value, weight) for value, weight in zip(trees, weights, strict=True) if value is not None]
    if not known:
        return None
    return float(np.average([value for value, _ in known], weights=[weight for _, weight in known]))
