"""Say whether one method is ahead of another on the same subjects and seeds."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from dcdp.errors import DataError

__all__ = ["Comparison", "compare"]

Key = TypeVar("Key", bound=Hashable)

MIN_PAIRS_FOR_P = 6  # two-sided, n pairs: the smallest p of the signed-rank test is 2 / 2**n


@dataclass(frozen=True, slots=True)
class Comparison:
    """A paired comparison of two methods.

    Attributes
    ----------
    n_pairs
        Pairs compared.
    mean_difference
        Mean of ours minus theirs.
    interval
        Bootstrap 95 % interval of that mean.
    p_value
        Two-sided Wilcoxon signed-rank test; 1 where all pairs are equal.
    verdict
        ``ahead`` or ``behind`` where the interval lies on one side of 0, else ``tie``.
    note
        What to keep in mind when reading it; empty if nothing.
    """

    n_pairs: int
    mean_difference: float
    interval: tuple[float, float]
    p_value: float
    verdict: Literal["ahead", "behind", "tie"]
    note: str


def compare(
    ours: Mapping[Key, float],
    theirs: Mapping[Key, float],
    *,
    seed: int = 0,
    n_resamples: int = 10_000,
) -> Comparison:
    """Compare two methods pair by pair.

    Parameters
    ----------
    ours, theirs
        Score (higher is better) by subject, or by (subject, seed): the same keys in both.
    seed
        Of the bootstrap.
    n_resamples
        Bootstrap resamples.

    Raises
    ------
    DataError
        If the keys differ, a score is not finite or there are fewer than two pairs.

    Notes
    -----
    Pairs count as independent. Seeds of one subject are not quite: average them by subject first
    where the answer is close.

    References
    ----------
    Wilcoxon: "Individual comparisons by ranking methods", 1945. Efron: "Bootstrap methods", 1979
    (percentile interval).

    Examples
    --------
    >>> result = compare({"a": 0.9, "b": 0.8, "c": 0.7}, {"a": 0.8, "b": 0.8, "c": 0.5})
    >>> round(result.mean_difference, 3), result.p_value, result.verdict
    (0.1, 0.5, 'tie')
    """
    difference = _differences(ours, theirs)
    low, high = _bootstrap_interval(difference, seed, n_resamples)
    return Comparison(
        n_pairs=len(difference),
        mean_difference=float(difference.mean()),
        interval=(low, high),
        p_value=_signed_rank_p(difference),
        verdict="ahead" if low > 0 else "behind" if high < 0 else "tie",
        note=_note(difference),
    )


def _differences(ours: Mapping[Key, float], theirs: Mapping[Key, float]) -> NDArray[np.float64]:
    if set(ours) != set(theirs):
        unpaired = sorted(map(str, set(ours) ^ set(theirs)))
        raise DataError(
            "both methods must be scored on the same pairs",
            f"{len(unpaired)} without a partner ({', '.join(unpaired[:5])})",
            "Run both on the same subjects and seeds.",
        )
    if len(ours) < 2:
        raise DataError("there must be two pairs to compare", len(ours), "Test more subjects or seeds.")
    difference = np.array([ours[key] - theirs[key] for key in ours], dtype=np.float64)
    if not np.isfinite(difference).all():
        raise DataError("scores must be finite", "NaN or infinity", "Leave failed runs out of both methods.")
    # what is left of 0.3 - 0.1 - 0.2 is not a difference
    return np.where(np.abs(difference) < 1e-12, 0.0, difference)


def _bootstrap_interval(difference: NDArray[np.float64], seed: int, n_resamples: int) -> tuple[float, float]:
    drawn = np.random.default_rng(seed).integers(len(difference), size=(n_resamples, len(difference)))
    low, high = np.quantile(difference[drawn].mean(axis=1), (0.025, 0.975))
    return float(low), float(high)


def _signed_rank_p(difference: NDArray[np.float64]) -> float:
    from scipy.stats import wilcoxon  # takes most of a second to import

    if not difference.any():
        return 1.0
    return float(wilcoxon(difference).pvalue)


def _note(difference: NDArray[np.float64]) -> str:
    n_unequal = np.count_nonzero(difference)
    if n_unequal >= MIN_PAIRS_FOR_P:
        return ""
    smallest = min(1.0, 2.0 / 2**n_unequal)
    return (
        f"only {n_unequal} pairs differ: p cannot go below {smallest:.3g}, however large the difference, "
        "and the bootstrap interval is too narrow"
    )
