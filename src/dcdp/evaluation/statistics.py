"""Say how far a mean can be trusted, and whether one method is ahead of another on the same subjects and seeds."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dcdp.errors import DataError

__all__ = ["Comparison", "bootstrap_interval", "compare", "holm", "smallest_p"]

Key = TypeVar("Key", bound=Hashable)

MIN_PAIRS_FOR_P = 6  # with one pair less, p cannot go below .0625
_ROUNDING = 12  # decimals: what is left of 0.3 - 0.1 - 0.2 is no difference, and 0.3 - 0.2 is as large as 0.2 - 0.1


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
        Two-sided Wilcoxon signed-rank test, exact; 1 where all pairs are equal.
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
    where the answer is close. Pairs that are equal are left out of the test, as Wilcoxon did, and differences count
    as equal where 12 decimals agree.

    References
    ----------
    Wilcoxon: "Individual comparisons by ranking methods", 1945. The interval: `bootstrap_interval`.

    Examples
    --------
    >>> result = compare({"a": 0.9, "b": 0.8, "c": 0.7}, {"a": 0.8, "b": 0.8, "c": 0.5})
    >>> round(result.mean_difference, 3), result.p_value, result.verdict
    (0.1, 0.5, 'tie')
    """
    difference = _differences(ours, theirs)
    low, high = bootstrap_interval(difference, seed=seed, n_resamples=n_resamples)
    return Comparison(
        n_pairs=len(difference),
        mean_difference=float(difference.mean()),
        interval=(low, high),
        p_value=_signed_rank_p(difference),
        verdict="ahead" if low > 0 else "behind" if high < 0 else "tie",
        note=_note(difference),
    )


def bootstrap_interval(values: ArrayLike, *, seed: int = 0, n_resamples: int = 10_000) -> tuple[float, float]:
    """Return the bootstrap 95 % interval of a mean, as wide as so few values call for.

    Parameters
    ----------
    values
        (N,) one value a subject, or a pair; N >= 2.
    seed
        Of the draws: the same values give the same interval.
    n_resamples
        Resamples of N values, drawn with replacement.

    References
    ----------
    Efron: "Bootstrap methods: another look at the jackknife", 1979 (percentile interval). Hesterberg: "What teachers
    should know about the bootstrap", The American Statistician 69(4), 2015 (why it is too narrow, and by how much).

    Notes
    -----
    The percentile interval acts as if the spread of N values were known exactly: of 8 people 11 % of such intervals
    miss the mean, of 4 people 20 %. Hesterberg takes percentiles further out; of few values these are the values
    themselves, so the interval is stretched about the mean by the same factor, ``sqrt(N / (N - 1)) t / z``. Then 5 to
    6 % miss from 4 people on where values are normal; of very skewed values (exponential) 10 % with 8 people.

    Examples
    --------
    >>> bootstrap_interval([0.5, 0.5, 0.5])
    (0.5, 0.5)
    """
    from scipy.special import ndtri, stdtrit  # takes part of a second to import

    sample = np.asarray(values, dtype=np.float64)
    n = len(sample)
    drawn = np.random.default_rng(seed).integers(n, size=(n_resamples, n))
    mean, (low, high) = sample.mean(), np.quantile(sample[drawn].mean(axis=1), (0.025, 0.975))
    stretch = np.sqrt(n / (n - 1)) * stdtrit(n - 1, 0.975) / ndtri(0.975)
    return float(mean - (mean - low) * stretch), float(mean + (high - mean) * stretch)


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct the p values of a family of comparisons, so that the risk of one false claim among all stays 5 %.

    The smallest of n is multiplied by n, the next by n - 1 and so on; none may come out smaller than one before it,
    and none above 1.

    Parameters
    ----------
    p_values
        (N,) in [0, 1], in any order.

    Returns
    -------
    (N,) corrected, in the order given.

    References
    ----------
    Holm: "A simple sequentially rejective multiple test procedure", 1979.

    Examples
    --------
    >>> [round(p, 3) for p in holm([0.04, 0.01, 0.03])]
    [0.06, 0.03, 0.06]
    """
    corrected, largest = [0.0] * len(p_values), 0.0
    for done, place in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - done) * p_values[place]))
        corrected[place] = largest
    return corrected


def smallest_p(n_pairs: int) -> float:
    """Return the smallest p that the two-sided signed-rank test can give: 2 of the 2**n ways to sign n pairs.

    Examples
    --------
    >>> smallest_p(5), smallest_p(8)
    (0.0625, 0.0078125)
    """
    return min(1.0, 0.5 ** (n_pairs - 1))


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
    return np.round(difference, _ROUNDING) + 0.0  # no -0.0


def _signed_rank_p(difference: NDArray[np.float64]) -> float:
    """Return how often random signs give rank sums as uneven as these.

    Counted here, since SciPy's p is exact with a tie or an equal pair only up to 13 pairs, and in its older versions
    not even there: 1.14 gives five differences of one sign and a 0 a p of .043, below the .0625 that five can reach.
    """
    unequal = difference[difference != 0.0]
    _, size, counts = np.unique(np.abs(unequal), return_inverse=True, return_counts=True)
    ranks = (2 * np.cumsum(counts) - counts + 1)[size]  # twice the rank, so that the mean rank of a tie is whole
    chance = np.ones(1)  # of each rank sum
    for rank in ranks:
        chance = (np.pad(chance, (0, rank)) + np.pad(chance, (rank, 0))) / 2
    positive = int(ranks[unequal > 0.0].sum())
    least = min(positive, int(ranks.sum()) - positive)
    return min(1.0, 2 * float(chance[: least + 1].sum()))


def _note(difference: NDArray[np.float64]) -> str:
    n_unequal = int(np.count_nonzero(difference))
    if n_unequal == 0:
        return "no pair differs"
    if n_unequal >= MIN_PAIRS_FOR_P:
        return ""
    differ = "1 pair differs" if n_unequal == 1 else f"{n_unequal} pairs differ"
    return f"only {differ}: p cannot go below {smallest_p(n_unequal):.3g}, however large the difference"
