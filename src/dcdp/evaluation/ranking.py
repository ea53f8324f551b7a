"""Rank methods over data sets: mean ranks, Friedman test, and how far apart two mean ranks must be."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from dcdp.errors import DataError

__all__ = ["Ranking", "critical_difference", "rank_methods"]

Block = TypeVar("Block", bound=Hashable)

FEW_BLOCKS = 10  # fewer: the chi-square of Friedman's statistic is rough, and the test weak
_ROUNDING = 12  # decimals: what is left of 0.1 + 0.2 - 0.3 is a tie


@dataclass(frozen=True, slots=True)
class Ranking:
    """Methods ranked within blocks (data sets, or subjects of data sets); rank 1 is the best, ties share their mean.

    Attributes
    ----------
    methods
        K names, the best mean rank first.
    mean_ranks
        (K,) in that order, 1 to K.
    n_blocks
        Blocks ranked.
    statistic, p_value
        Friedman's test of "all methods are alike".
    critical_difference
        Two mean ranks that differ by less cannot be told apart (Nemenyi, 5 %).
    groups
        Largest runs of methods, in the order of ``methods``, that cannot be told apart; runs of one are left out.
    note
        What to keep in mind when reading it; empty if nothing.
    """

    methods: tuple[str, ...]
    mean_ranks: tuple[float, ...]
    n_blocks: int
    statistic: float
    p_value: float
    critical_difference: float
    groups: tuple[tuple[str, ...], ...]
    note: str


def rank_methods(scores: Mapping[Block, Mapping[str, float]]) -> Ranking:
    """Rank methods within each block and average the ranks.

    Parameters
    ----------
    scores
        Block -> method -> score (higher is better): the same methods in every block.

    Raises
    ------
    DataError
        If there are fewer than two methods, no block, a block lacks a method or a score is not finite.

    Notes
    -----
    Blocks count as independent. Subjects of one data set share their training people, so a ranking over
    (data set, subject) describes, and its p is too small.

    References
    ----------
    Friedman: "The use of ranks to avoid the assumption of normality implicit in the analysis of variance", 1937;
    statistic with the correction for ties. Demsar: "Statistical comparisons of classifiers over multiple data sets",
    JMLR 7, 2006 (section 3.2.2, mean ranks and critical difference).

    Examples
    --------
    >>> found = rank_methods({"a": {"x": 0.9, "y": 0.8, "z": 0.7}, "b": {"x": 0.6, "y": 0.6, "z": 0.1}})
    >>> found.methods, found.mean_ranks
    (('x', 'y', 'z'), (1.25, 1.75, 3.0))
    """
    names, table = _table(scores)
    ranks = _ranks(table)
    statistic, p_value = _friedman(ranks)
    mean = ranks.mean(axis=0)
    order = sorted(range(len(names)), key=lambda i: (mean[i], names[i]))
    methods, mean_ranks = tuple(names[i] for i in order), tuple(float(mean[i]) for i in order)
    difference = critical_difference(len(names), len(table))
    return Ranking(
        methods=methods,
        mean_ranks=mean_ranks,
        n_blocks=len(table),
        statistic=statistic,
        p_value=p_value,
        critical_difference=difference,
        groups=_groups(methods, mean_ranks, difference),
        note=_note(len(names), len(table), difference),
    )


def critical_difference(n_methods: int, n_blocks: int) -> float:
    """Return how far two mean ranks must differ to be told apart at 5 %, all pairs of methods considered.

    ``q * sqrt(K (K + 1) / (6 N))`` for K methods and N blocks, q from the studentised range with infinite degrees
    of freedom, divided by the root of 2.

    References
    ----------
    Nemenyi: "Distribution-free multiple comparisons", 1963, as given by Demsar, 2006.

    Examples
    --------
    >>> round(critical_difference(5, 30), 3)
    1.114
    """
    from scipy.stats import studentized_range  # takes most of a second to import

    q = float(studentized_range.ppf(0.95, n_methods, np.inf)) / np.sqrt(2)
    return float(q * np.sqrt(n_methods * (n_methods + 1) / (6 * n_blocks)))


def _table(scores: Mapping[Block, Mapping[str, float]]) -> tuple[list[str], NDArray[np.float64]]:
    """Return the K methods, and (N, K) scores."""
    names = list(next(iter(scores.values()), {}))
    if len(names) < 2:
        raise DataError("there must be two methods to rank", len(names), "Give the results of another method.")
    for block, row in scores.items():
        if set(row) != set(names):
            odd = ", ".join(sorted(set(row) ^ set(names)))
            raise DataError("every block must score the same methods", f"'{block}' differs in {odd}", "Leave them out.")
    table = np.array([[row[name] for name in names] for row in scores.values()], dtype=np.float64)
    if not np.isfinite(table).all():
        raise DataError("scores must be finite", "NaN or infinity", "Leave failed runs out.")
    return names, np.round(table, _ROUNDING)


def _ranks(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (N, K) ranks within each row, 1 for the highest score; equal scores share their mean rank."""
    from scipy.stats import rankdata

    ranks: NDArray[np.float64] = rankdata(-table, axis=1)
    return ranks


def _friedman(ranks: NDArray[np.float64]) -> tuple[float, float]:
    """Return Friedman's statistic, corrected for ties, and its p by the chi-square with K - 1 degrees of freedom.

    The sum of squared deviations of the mean ranks, against the variance of the ranks within blocks: written so,
    ties (which lower that variance) need no formula of their own.
    """
    from scipy.stats import chi2

    n_blocks, n_methods = ranks.shape
    middle = (n_methods + 1) / 2
    within = float(((ranks - middle) ** 2).sum()) / (n_blocks * (n_methods - 1))
    if within == 0.0:  # every block is one tie
        return 0.0, 1.0
    statistic = n_blocks * float(((ranks.mean(axis=0) - middle) ** 2).sum()) / within
    return statistic, float(chi2.sf(statistic, n_methods - 1))


def _groups(methods: tuple[str, ...], mean_ranks: tuple[float, ...], difference: float) -> tuple[tuple[str, ...], ...]:
    groups, reached = [], 0
    for first in range(len(methods)):
        last = max(i for i in range(first, len(methods)) if mean_ranks[i] - mean_ranks[first] < difference)
        if last > first and last + 1 > reached:  # else it lies inside the run before it
            groups.append(methods[first : last + 1])
            reached = last + 1
    return tuple(groups)


def _note(n_methods: int, n_blocks: int, difference: float) -> str:
    if difference >= n_methods - 1:
        return (
            f"{n_blocks} blocks cannot tell {n_methods} methods apart by rank: mean ranks must differ by "
            f"{difference:.2f}, and the most that they can is {n_methods - 1}"
        )
    return f"{n_blocks} blocks are few: a real difference is easily missed" if n_blocks < FEW_BLOCKS else ""
