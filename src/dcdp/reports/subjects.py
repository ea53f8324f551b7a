"""Compare methods over held-out subjects: intervals by bootstrap, differences paired by subject."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from dcdp.evaluation import bootstrap_interval
from dcdp.reports.run_folder import Run, mapping, numbers

__all__ = ["FEWEST", "Difference", "Scores", "compare", "interval", "scores_of"]

FEWEST = 5  # subjects; fewer are too few to call anyone ahead


@dataclass(frozen=True, slots=True)
class Scores:
    """One method's macro-F1: over subjects, and for each."""

    name: str
    mean: float
    std: float
    by_subject: dict[str, float]


@dataclass(frozen=True, slots=True)
class Difference:
    """Ours minus theirs, paired by subject: the mean, its 95 % interval, subjects ahead and in all."""

    mean: float
    low: float
    high: float
    n_ahead: int
    n: int

    @property
    def verdict(self) -> str:
        """``ahead``, ``behind``, ``tie`` where the interval holds 0, or ``open`` with too few subjects to say."""
        if self.n < FEWEST:
            return "open"
        return "ahead" if self.low > 0 else "behind" if self.high < 0 else "tie"


def interval(values: ArrayLike) -> tuple[float, float]:
    """Bootstrap 95 % interval of the mean over two subjects or more, the same as in every table of the library.

    Examples
    --------
    >>> interval([0.9, 0.9, 0.9])
    (0.9, 0.9)
    """
    low, high = bootstrap_interval(values)
    return round(low, 9), round(high, 9)  # the last digits differ between machines, and bytes of pages must not


def compare(ours: Mapping[str, float], theirs: Mapping[str, float]) -> Difference | None:
    """Compare two methods over the subjects that both were tested on; None if there are fewer than two."""
    shared = [subject for subject in ours if subject in theirs]
    if len(shared) < 2:
        return None
    gap = np.array([ours[subject] - theirs[subject] for subject in shared])
    return Difference(float(gap.mean()), *interval(gap), int((gap > 0).sum()), len(gap))


def scores_of(run: Run) -> list[Scores]:
    """Return the run's own method first, then its peers in the order of the result."""
    methods = {str(run.result.get("method", "dcdp")): run.test}
    for name, peer in mapping(run.result, "peers").items():
        methods.setdefault(str(name), mapping(peer))
    return [_scores(name, mapping(test, "macro_f1")) for name, test in methods.items() if numbers(test, "macro_f1")]


def _scores(name: str, macro_f1: dict[str, object]) -> Scores:
    by_subject = numbers(macro_f1, "by_subject")
    values = np.array(list(by_subject.values()) or [np.nan])
    told = numbers(macro_f1)
    return Scores(name, told.get("mean", float(values.mean())), told.get("std", float(values.std())), by_subject)
