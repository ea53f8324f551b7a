"""Score with sensors taken away or failing: each branch absent, every subset once, and each corruption's severities."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dcdp.errors import DataError
from dcdp.evaluation.balance import Subset, shapley_shares, shapley_values
from dcdp.evaluation.by_subject import macro_f1_by_subject

__all__ = ["CLEAN", "absent_table", "pool_robustness", "score_robustness_point"]

CLEAN = "clean"
"""Name of the undisturbed windows among the corruptions, severity 0: what the others are held against."""

_DIGITS = 5  # of figures by subject: a result holds thousands of them


def absent_table(
    predict: Callable[[NDArray[np.bool_]], ArrayLike],
    label: ArrayLike,
    subject: ArrayLike,
    branches: Sequence[str],
    *,
    n_permutations: int = 64,
    seed: int = 0,
) -> dict[str, dict[str, Any]]:
    """Measure what each branch is worth, by macro-F1 as mean over subjects.

    Parameters
    ----------
    predict
        Takes a (M,) mask of the branches that may be used, returns (N, K) probabilities. It is called
        once for each subset that is needed. Where a window has none of these branches it must still
        give a row: equal probabilities.
    label, subject
        (N,) true class indices, and names.
    branches
        The M names.
    n_permutations, seed
        See `shapley_values`; of use where M > 5.

    Returns
    -------
    ``absent``
        branch -> ``macro_f1`` without it, also ``by_subject``, and ``loss`` = macro-F1 with all minus that.
    ``shapley``
        branch -> share of the macro-F1 of all branches together (None where that is 0).
    ``subsets``
        names joined by ``+`` -> macro-F1, for every subset that was visited.

    Notes
    -----
    Having no branch is worth 0 here, not chance, so that shares do not depend on how often each
    activity occurs among the test windows; chance is then shared alike.
    """
    if not branches:
        raise DataError("there must be a branch", "none", "Name the branches of the network.")
    by_subject: dict[Subset, dict[str, float]] = {}
    visited: dict[Subset, float] = {}

    def value(subset: Subset) -> float:
        if subset not in visited:
            by_subject[subset] = macro_f1_by_subject(label, predict(np.array(subset)), subject)
            visited[subset] = float(np.mean(list(by_subject[subset].values())))
        return visited[subset]

    shares = shapley_shares(shapley_values(value, len(branches), n_permutations=n_permutations, seed=seed))
    return {
        "absent": _absent(value, by_subject, branches),
        "shapley": {branch: _known(share) for branch, share in zip(branches, shares, strict=True)},
        "subsets": {_name(subset, branches): result for subset, result in sorted(visited.items(), key=_by_size)},
    }


def score_robustness_point(label: ArrayLike, probability: ArrayLike, subject: ArrayLike) -> dict[str, Any]:
    """Score the windows of one fold under one disturbance: ``by_subject``, macro-F1 of each.

    Parameters
    ----------
    label, subject
        (N,) true class indices, and names.
    probability
        (N, K), rows that sum to 1.
    """
    by_subject = macro_f1_by_subject(label, probability, subject)
    return {"by_subject": {name: round(value, _DIGITS) for name, value in by_subject.items()}}


def pool_robustness(folds: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Join what folds scored under each corruption and severity into the ``robustness`` block of a result.

    Parameters
    ----------
    folds
        Fold -> corruption -> severity -> what `score_robustness_point` gives, and perhaps ``size`` by unit. `CLEAN`
        is among them.

    Returns
    -------
    dict
        Corruption -> severity -> ``macro_f1`` with its ``mean`` over subjects and ``by_subject``; ``loss``, the clean
        mean minus that; and ``size``, the mean over folds, where they have it.

    Raises
    ------
    DataError
        If folds were scored under different disturbances, or a disturbance on other subjects than `CLEAN`.
    """
    first = next(iter(folds.values()), {})
    shape = {kind: list(levels) for kind, levels in first.items()}
    for name, fold in folds.items():
        if {kind: list(levels) for kind, levels in fold.items()} != shape or CLEAN not in shape:
            raise DataError("every fold must meet the same disturbances", f"others in '{name}'", "Score it again.")
    clean = {name: value for fold in folds.values() for name, value in fold[CLEAN]["0"]["by_subject"].items()}
    return {
        kind: {level: _pooled_point([fold[kind][level] for fold in folds.values()], clean) for level in levels}
        for kind, levels in shape.items()
    }


def _pooled_point(points: Sequence[Mapping[str, Any]], clean: Mapping[str, float]) -> dict[str, Any]:
    by_subject = {subject: value for point in points for subject, value in point["by_subject"].items()}
    if set(by_subject) != set(clean):
        odd = sorted(set(by_subject) ^ set(clean))
        raise DataError("the disturbed windows must be those of the clean subjects", odd, "Score both on one split.")
    mean = float(np.mean(list(by_subject.values())))
    pooled: dict[str, Any] = {
        "macro_f1": {"mean": mean, "by_subject": by_subject},
        "loss": float(np.mean(list(clean.values()))) - mean,
    }
    sizes = [point["size"] for point in points if "size" in point]
    if sizes:
        pooled["size"] = {unit: float(np.mean([size[unit] for size in sizes])) for unit in sizes[0]}
    return pooled


def _absent(
    value: Callable[[Subset], float], by_subject: Mapping[Subset, Mapping[str, float]], branches: Sequence[str]
) -> dict[str, dict[str, Any]]:
    if len(branches) == 1:  # nothing would be left
        return {}
    clean = value((True,) * len(branches))
    table: dict[str, dict[str, Any]] = {}
    for removed in branches:
        subset = tuple(branch != removed for branch in branches)
        left = value(subset)
        table[removed] = {"macro_f1": left, "by_subject": dict(by_subject[subset]), "loss": clean - left}
    return table


def _name(subset: Subset, branches: Sequence[str]) -> str:
    return "+".join(branch for branch, used in zip(branches, subset, strict=True) if used)


def _by_size(item: tuple[Subset, float]) -> tuple[int, tuple[bool, ...]]:
    return sum(item[0]), tuple(not used for used in item[0])


def _known(share: float) -> float | None:
    return None if np.isnan(share) else float(share)
