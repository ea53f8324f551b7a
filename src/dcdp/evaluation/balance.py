"""Measure how much each branch contributes, and how much of it the joint training leaves unused."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from math import factorial

import numpy as np
from numpy.typing import NDArray

from dcdp.errors import DataError

__all__ = ["Subset", "head_losses", "non_empty_subsets", "shapley_shares", "shapley_values", "utilisation_gap"]

Subset = tuple[bool, ...]
"""(M,) mask in branch order, True for the branches that take part."""

MAX_EXACT = 7  # 128 sampled orders of so many branches visit nearly all subsets anyway


def head_losses(
    label: NDArray[np.integer],
    probability: NDArray[np.floating],
    present: NDArray[np.bool_],
    branches: Sequence[str],
) -> dict[str, float | None]:
    """Return the cross-entropy of each branch's head over the windows that have the branch; None where none has.

    Parameters
    ----------
    label
        (N,) class index.
    probability
        (N, M, K) of the branch heads.
    present
        (N, M), True where the branch was recorded.
    branches
        Names, in order.

    Examples
    --------
    >>> sure = np.array([[[1.0, 0.0], [0.5, 0.5]]])
    >>> head_losses(np.array([1]), sure, np.array([[False, True]]), ("acc", "gyr"))  # doctest: +NUMBER
    {'acc': None, 'gyr': 0.693}
    """
    truth = np.take_along_axis(probability, label[:, None, None], 2)[..., 0]
    loss = -np.log(truth + 1e-12)
    return {
        name: float(loss[present[:, m], m].mean()) if present[:, m].any() else None for m, name in enumerate(branches)
    }


def non_empty_subsets(n_branches: int) -> Iterator[Subset]:
    """Yield every subset of M branches but the empty one, the full one last.

    Examples
    --------
    >>> list(non_empty_subsets(2))
    [(False, True), (True, False), (True, True)]
    """
    return (subset for subset in product((False, True), repeat=n_branches) if any(subset))


def shapley_values(
    value: Callable[[Subset], float],
    n_branches: int,
    *,
    empty: float = 0.0,
    n_permutations: int = 64,
    seed: int = 0,
) -> NDArray[np.float64]:
    """Split the value of all branches together fairly among them.

    Parameters
    ----------
    value
        Score (higher is better) of a non-empty subset. Called once for each subset that is needed.
    n_branches
        M, >= 1. Up to 7 branches all ``2**M - 1`` subsets are visited; above, sampled orders.
    empty
        Value of having no branch at all.
    n_permutations
        Orders drawn where M > 7; each is used forwards and backwards.
    seed
        Of those draws.

    Returns
    -------
    (M,) values that sum to ``value(all) - empty``. Negative for a branch that does harm.

    References
    ----------
    Shapley: "A Value for n-Person Games", 1953; sampling by Castro, Gomez, Tejada: "Polynomial
    calculation of the Shapley value based on sampling", 2009.
    """
    known: dict[Subset, float] = {(False,) * n_branches: empty}

    def worth(subset: Subset) -> float:
        if subset not in known:
            known[subset] = float(value(subset))
        return known[subset]

    if n_branches <= MAX_EXACT:
        return _exact(worth, n_branches)
    return _sampled(worth, n_branches, n_permutations, seed)


def shapley_shares(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Express Shapley values as parts of their sum; NaN where the branches together are worth nothing."""
    total = values.sum()
    return values / total if abs(total) > 1e-12 else np.full(values.shape, np.nan)


def utilisation_gap(joint_accuracy: Mapping[str, float], alone_accuracy: Mapping[str, float]) -> dict[str, float]:
    """Return, by branch, the accuracy it reaches alone minus that of its head in the joint network.

    Positive: joint training leaves the branch under-used. Negative: the branch learns from the others.

    Raises
    ------
    DataError
        If the two do not name the same branches.
    """
    if set(joint_accuracy) != set(alone_accuracy):
        raise DataError(
            "both trainings must have the same branches",
            f"{sorted(joint_accuracy)} jointly, {sorted(alone_accuracy)} alone",
            "Train each branch of the joint network alone.",
        )
    return {branch: alone_accuracy[branch] - joint_accuracy[branch] for branch in joint_accuracy}


def _exact(worth: Callable[[Subset], float], n_branches: int) -> NDArray[np.float64]:
    values = np.zeros(n_branches)
    for subset in product((False, True), repeat=n_branches):
        size = sum(subset)
        for m in range(n_branches):
            if not subset[m]:
                weight = factorial(size) * factorial(n_branches - size - 1) / factorial(n_branches)
                values[m] += weight * (worth(_joined(subset, m)) - worth(subset))
    return values


def _sampled(worth: Callable[[Subset], float], n_branches: int, n_orders: int, seed: int) -> NDArray[np.float64]:
    generator = np.random.default_rng(seed)
    values = np.zeros(n_branches)
    for _ in range(n_orders):
        order = generator.permutation(n_branches).tolist()
        for sequence in (order, order[::-1]):
            subset: Subset = (False,) * n_branches
            for m in sequence:
                larger = _joined(subset, m)
                values[m] += worth(larger) - worth(subset)
                subset = larger
    return values / (2 * n_orders)


def _joined(subset: Subset, m: int) -> Subset:
    return (*subset[:m], True, *subset[m + 1 :])
