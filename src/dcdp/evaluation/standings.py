"""Put methods side by side: one table for each data set and split, and their ranks over all of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from dcdp.errors import DataError, unknown_name
from dcdp.evaluation.method_results import MethodResult
from dcdp.evaluation.published import Published, published_best
from dcdp.evaluation.ranking import Ranking, rank_methods
from dcdp.evaluation.statistics import Comparison, bootstrap_interval, compare, holm, smallest_p

__all__ = ["Overall", "Row", "Standing", "overall", "standings"]


@dataclass(frozen=True, slots=True)
class Row:
    """One method on one data set and split, its seeds averaged by subject first.

    Attributes
    ----------
    method, seeds, n_folds
        What was run; the folds that any seed has.
    folds_by_seed
        How many each seed has; where some have fewer, a person has the mean of the seeds that tested them.
    by_subject
        Macro-F1 of each test subject, mean over seeds.
    mean, spread
        Of those, over subjects (population standard deviation).
    interval
        Bootstrap 95 % interval of the mean over subjects; None for one subject.
    by_group
        Macro-F1 of all windows of a fold together, mean over seeds and folds; None where that is not known.
    seed_spread
        Standard deviation over seeds of the mean over the subjects that every seed tested; None for one seed, or if
        there are none.
    difference
        This method minus the baseline, paired by subject; None for the baseline, and where fewer than two subjects
        are shared.
    p_holm
        Its p, corrected for the comparisons of this table.
    """

    method: str
    seeds: tuple[int, ...]
    n_folds: int
    folds_by_seed: Mapping[int, int]
    by_subject: Mapping[str, float]
    mean: float
    spread: float
    interval: tuple[float, float] | None
    by_group: float | None
    seed_spread: float | None
    difference: Comparison | None = None
    p_holm: float | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """The methods on one data set and split, the highest mean first.

    Attributes
    ----------
    data, split, n_folds
        What was tested; the folds that any method has.
    baseline
        The method that the others are compared with; None if it was not run here.
    rows
        One a method.
    published
        The best published figure, where there is one for these folds and windows.
    notes
        What to keep in mind when reading the table.
    """

    data: str
    split: str
    n_folds: int
    baseline: str | None
    rows: tuple[Row, ...]
    published: Published | None
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Overall:
    """Ranks over data sets.

    Attributes
    ----------
    by_set
        Methods ranked within each data set by their mean; None with fewer than two common methods.
    by_subject
        Methods ranked within each subject of each data set.
    missing
        Methods left out of the ranks, each with the data sets on which it was not run, or not on all folds.
    """

    by_set: Ranking | None
    by_subject: Ranking | None
    missing: Mapping[str, tuple[str, ...]]


def standings(results: Sequence[MethodResult], baseline: str = "dcdp") -> list[Standing]:
    """Return a table for each data set and split, in the order of their names.

    Parameters
    ----------
    results
        Comparable (see `dcdp.evaluation.check_comparable`), each once (see `dcdp.evaluation.unique_results`).
    baseline
        Method to compare the others with.

    Raises
    ------
    DataError
        If there is no result.
    ConfigError
        If no result is of the baseline.

    Notes
    -----
    Pairs are subjects: the seeds of each method are averaged by subject first, all that it has, since the seeds of two
    different methods have nothing in common that could be paired. Holm's family is the comparisons of one table.
    """
    if not results:
        raise DataError("there must be a result to compare", "none", "Give result files, runs or a benchmark's folder.")
    methods = sorted({one.method for one in results})
    if baseline not in methods:
        raise unknown_name("baseline", baseline, methods)

    def place(one: MethodResult) -> tuple[str, str]:
        return one.data, one.split

    return [_standing(list(group), baseline) for _, group in groupby(sorted(results, key=place), key=place)]


def overall(tables: Sequence[Standing]) -> Overall:
    """Rank the methods that were run on all folds of every data set."""
    complete = {_title(table, tables): [row for row in table.rows if row.n_folds == table.n_folds] for table in tables}
    methods = dict.fromkeys(row.method for table in tables for row in table.rows)
    missing = {
        method: tuple(name for name, rows in complete.items() if method not in {row.method for row in rows})
        for method in methods
    }
    common = {method for method in methods if not missing[method]}
    left_out = {method: names for method, names in missing.items() if names}
    if len(common) < 2:
        return Overall(None, None, left_out)
    by_set = {name: {row.method: row.mean for row in rows if row.method in common} for name, rows in complete.items()}
    by_subject: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    for name, rows in complete.items():
        for row in rows:
            if row.method in common:
                for subject, value in row.by_subject.items():
                    by_subject[name, subject][row.method] = value
    return Overall(rank_methods(by_set), rank_methods(by_subject), left_out)


def _title(table: Standing, tables: Sequence[Standing]) -> str:
    """Return the data set's name, with the split where it was tested under several."""
    several = sum(other.data == table.data for other in tables) > 1
    return f"{table.data} {table.split}" if several else table.data


def _standing(results: list[MethodResult], baseline: str) -> Standing:
    by_method: dict[str, list[MethodResult]] = defaultdict(list)
    for one in results:
        by_method[one.method].append(one)
    rows = [_row(method, own) for method, own in by_method.items()]
    rows = _compared(rows, baseline)
    n_folds = len({fold for one in results for fold in one.by_fold})
    data, split = results[0].data, results[0].split
    return Standing(
        data=data,
        split=split,
        n_folds=n_folds,
        baseline=baseline if baseline in by_method else None,
        rows=tuple(sorted(rows, key=lambda row: (row.n_folds < n_folds, -row.mean, row.method))),
        published=_published(results, rows),
        notes=tuple(_notes(rows, baseline, n_folds)),
    )


def _published(results: Sequence[MethodResult], rows: Sequence[Row]) -> Published | None:
    """Return the best published figure, if every row can be held against it."""
    first = results[0]  # the others have the same windows
    least, windows = min(row.n_folds for row in rows), first.result["config"].get("windows", {})
    is_by_group = all(row.by_group is not None for row in rows)
    return published_best(first.data, first.split, least, windows) if is_by_group else None


def _row(method: str, results: Sequence[MethodResult]) -> Row:
    by_subject = _averaged([one.by_subject for one in results])
    folds = {fold for one in results for fold in one.by_fold}
    by_fold = _averaged([_known(one.by_fold) for one in results])
    values = np.array(list(by_subject.values()))
    everyone = [subject for subject in by_subject if all(subject in one.by_subject for one in results)]
    by_seed = [np.mean([one.by_subject[subject] for subject in everyone]) for one in results if everyone]
    return Row(
        method=method,
        seeds=tuple(sorted(one.seed for one in results)),
        n_folds=len(folds),
        folds_by_seed={one.seed: len(one.by_fold) for one in results},
        by_subject=by_subject,
        mean=float(values.mean()),
        spread=float(values.std()),
        interval=_interval(values) if len(values) > 1 else None,
        by_group=float(np.mean(list(by_fold.values()))) if folds == by_fold.keys() else None,
        seed_spread=float(np.std(by_seed, ddof=1)) if len(by_seed) > 1 else None,
    )


def _interval(scores: NDArray[np.float64]) -> tuple[float, float]:
    """Return the interval of a mean score, which of few people may reach where no score can."""
    low, high = bootstrap_interval(scores)
    return max(low, 0.0), min(high, 1.0)


def _known(scores: Mapping[str, float | None]) -> dict[str, float]:
    return {name: value for name, value in scores.items() if value is not None}


def _averaged(scores: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of each name over those that have it."""
    names = sorted({name for one in scores for name in one})
    return {name: float(np.mean([one[name] for one in scores if name in one])) for name in names}


def _compared(rows: list[Row], baseline: str) -> list[Row]:
    base = next((row for row in rows if row.method == baseline), None)
    if base is None:
        return rows
    found = {row.method: _difference(row, base) for row in rows if row is not base}
    known = {method: difference for method, difference in found.items() if difference is not None}
    corrected = dict(zip(known, holm([one.p_value for one in known.values()]), strict=True))
    return [replace(row, difference=known.get(row.method), p_holm=corrected.get(row.method)) for row in rows]


def _difference(row: Row, base: Row) -> Comparison | None:
    shared = [subject for subject in base.by_subject if subject in row.by_subject]
    if len(shared) < 2:
        return None
    return compare({one: row.by_subject[one] for one in shared}, {one: base.by_subject[one] for one in shared})


def _notes(rows: Sequence[Row], baseline: str, n_folds: int) -> list[str]:
    notes: dict[str, list[str]] = defaultdict(list)
    few = _few_people([row.difference.n_pairs for row in rows if row.difference is not None])
    for row in rows:
        if row.difference is not None and row.difference.note:
            notes[row.difference.note].append(row.method)
        if not few and row.difference is not None and row.difference.verdict != "tie" and (row.p_holm or 0.0) > 0.05:
            notes["the interval leaves 0 out, but p is above .05 once corrected: a hint, no proof"].append(row.method)
        short = sorted(seed for seed, own in row.folds_by_seed.items() if own < row.n_folds)
        if short:
            seeds = ", ".join(f"seed {seed} has {row.folds_by_seed[seed]}" for seed in short)
            notes[f"{seeds} of {row.n_folds} folds; a person has the mean of the seeds that tested them"].append(
                row.method
            )
        if row.n_folds < n_folds:
            notes[f"tested on {row.n_folds} of {n_folds} folds, and compared on their people alone"].append(row.method)
    told = [f"{', '.join(methods)}: {note}." for note, methods in notes.items()] + few
    if baseline not in {row.method for row in rows}:
        told.append(f"{baseline} was not run here: nothing to compare with.")
    return told


def _few_people(n_pairs: Sequence[int]) -> list[str]:
    """Say so where Holm's correction leaves no difference, however large, a p below .05."""
    smallest = min(1.0, len(n_pairs) * smallest_p(max(n_pairs, default=0)))
    if len(n_pairs) < 2 or smallest <= 0.05:
        return []
    people, family = max(n_pairs), len(n_pairs)
    return [
        f"{people} people and {family} comparisons: once corrected, no p can be below {smallest:.2g}, however large "
        "the difference. Read the intervals."
    ]
