"""Score the network with branches taken away: each one absent, and every subset once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dcdp.errors import DataError
from dcdp.evaluation.balance import Subset, shapley_shares, shapley_values
from dcdp.evaluation.by_subject import subject_macro_f1

__all__ = ["absent_table"]


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
        branch -> ``macro_f1`` without it, and ``loss`` = macro-F1 with all minus that.
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
    visited: dict[Subset, float] = {}

    def value(subset: Subset) -> float:
        if subset not in visited:
            visited[subset] = subject_macro_f1(label, predict(np.array(subset)), subject)
        return visited[subset]

    shares = shapley_shares(shapley_values(value, len(branches), n_permutations=n_permutations, seed=seed))
    return {
        "absent": _absent(value, branches),
        "shapley": {branch: _known(share) for branch, share in zip(branches, shares, strict=True)},
        "subsets": {_name(subset, branches): result for subset, result in sorted(visited.items(), key=_by_size)},
    }


def _absent(value: Callable[[Subset], float], branches: Sequence[str]) -> dict[str, dict[str, float]]:
    if len(branches) == 1:  # nothing would be left
        return {}
    clean = value((True,) * len(branches))
    table = {}
    for removed in branches:
        left = value(tuple(branch != removed for branch in branches))
        table[removed] = {"macro_f1": left, "loss": clean - left}
    return table


def _name(subset: Subset, branches: Sequence[str]) -> str:
    return "+".join(branch for branch, used in zip(branches, subset, strict=True) if used)


def _by_size(item: tuple[Subset, float]) -> tuple[int, tuple[bool, ...]]:
    return sum(item[0]), tuple(not used for used in item[0])


def _known(share: float) -> float | None:
    return None if np.isnan(share) else float(share)
