"""Read what the paper claims off the results: alignment by contrast, balance by modulation, stability by momentum."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from operator import getitem
from typing import Any

import numpy as np

from dcdp.evaluation import bootstrap_interval
from dcdp.experiments.verdicts import Results

__all__ = ["read_alignment", "read_balance", "read_stability"]

_FEWEST_SEEDS = 5  # protocol: a claim needs them

_Run = tuple[int, str]
"""Seed and fold."""


def read_alignment(with_contrast: Results, without: Results) -> list[dict[str, Any]]:
    """Compare how well branches find each other at every stage, with and without contrast.

    Returns
    -------
    list of dict
        For each stage and measure (``retrieval_window`` and ``retrieval_activity``: recall at 1; ``cka``): means
        over seeds ``with`` and ``without``.

    Notes
    -----
    Without contrast nothing trains the projections at whose outputs this is read: they are random there.
    """
    tables = [[r["test"].get("alignment") or {} for r in results.values()] for results in (with_contrast, without)]
    return [
        {"stage": stage, "measure": measure, **_both(tables, stage, measure)}
        for stage, measures in (tables[0][0] if tables[0] else {}).items()
        for measure in measures
        if all(stage in table for own in tables for table in own)
    ]


def read_balance(modulated: Results, without: Results, alone: Results | None = None) -> list[dict[str, Any]]:
    """Compare what each branch learns and is worth, with and without modulation.

    Parameters
    ----------
    alone
        Results that hold the accuracy of branches trained alone (``test.utilisation``).

    Returns
    -------
    list of dict
        For each branch and measure, means over seeds ``with`` and ``without``: ``head accuracy`` of its own head,
        ``Shapley share`` of the joint macro-F1, and, where ``alone`` is known, the ``utilisation gap`` (accuracy
        alone minus that of the head in the joint network; 0 is full use). ``spread of shares`` is over branches: the
        standard deviation.
    """
    tests = [[result["test"] for result in results.values()] for results in (modulated, without)]
    branches = list(next(iter(modulated.values()))["branches"])
    rows = []
    for branch in branches:
        heads = _both(tests, "by_branch", branch, "accuracy")
        rows.append({"branch": branch, "measure": "head accuracy", **heads})
        shares = _both(tests, "shapley", branch)
        rows.append({"branch": branch, "measure": "Shapley share", **shares})
        own = _mean([result["test"]["utilisation"][branch]["alone"] for result in alone.values()]) if alone else None
        if own is not None:
            gaps = {key: None if value is None else own - value for key, value in heads.items()}
            rows.append({"branch": branch, "measure": "utilisation gap", **gaps})
    spread = _both([[_spread(test["shapley"].values()) for test in side] for side in tests])
    return [*rows, {"branch": "all", "measure": "spread of shares", **spread}]


def read_stability(with_momentum: Results, without: Results) -> dict[str, Any]:
    """Compare how much runs differ from seed to seed, and the loss from step to step, with and without momentum.

    Returns
    -------
    dict
        ``seed_spread``: standard deviation over seeds of the mean macro-F1 (None for one seed); ``step_variance``:
        mean over folds and seeds of the variance of the loss between steps, each ``with`` and ``without``;
        ``steadier``: by which share the latter is lower, with its ``interval`` over folds (None for one); ``note``.

    Notes
    -----
    The change of a fold is the mean logarithm of the ratio over seeds: seeds of one fold train on the same people and
    are no independent pairs, and the mean of a ratio itself is off 1 where nothing changes but by chance.
    """
    seeds = sorted(with_momentum.keys() & without.keys())
    variances = [
        {(seed, fold): facts.get("loss_step_variance") for seed in seeds for fold, facts in r[seed]["training"].items()}
        for r in (with_momentum, without)
    ]
    told: dict[str, Any] = {
        "seeds": seeds,
        "seed_spread": {"with": _seed_spread(with_momentum, seeds), "without": _seed_spread(without, seeds)},
        "step_variance": _both([list(own.values()) for own in variances]),
        "steadier": None,
        "interval": None,
        "note": "" if len(seeds) >= _FEWEST_SEEDS else f"{_counted(len(seeds))}; a claim needs {_FEWEST_SEEDS}",
    }
    changes = _log_ratios(*variances)
    if len(changes) > 1:
        low, high = bootstrap_interval(changes)
        steadier, *interval = (float(-np.expm1(change)) for change in (np.mean(changes), high, low))
        told |= {"steadier": steadier, "interval": interval}
    return told


def _log_ratios(ours: Mapping[_Run, float | None], theirs: Mapping[_Run, float | None]) -> list[float]:
    """Return, for each fold that both know, the logarithm of ours to theirs, mean over seeds."""
    by_fold: dict[str, list[float]] = {}
    for (seed, fold), value in ours.items():
        if value and (other := theirs.get((seed, fold))):
            by_fold.setdefault(fold, []).append(float(np.log(value / other)))
    return [float(np.mean(ratios)) for ratios in by_fold.values()]


def _both(sides: Sequence[Sequence[Any]], *keys: str) -> dict[str, float | None]:
    """Return the mean of the value under these keys, one inside the other, on either side."""
    names = ("with", "without")
    return {name: _mean([reduce(getitem, keys, one) for one in side]) for name, side in zip(names, sides, strict=True)}


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _spread(shares: Iterable[float | None]) -> float | None:
    known = [share for share in shares if share is not None]
    return float(np.std(known)) if known else None


def _counted(n_seeds: int) -> str:
    return f"{n_seeds} seed{'s' if n_seeds != 1 else ''}"


def _seed_spread(results: Results, seeds: Sequence[int]) -> float | None:
    if len(seeds) < 2:
        return None
    return float(np.std([results[seed]["test"]["macro_f1"]["mean"] for seed in seeds], ddof=1))
