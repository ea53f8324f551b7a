"""Score a fitted method on test people whose sensors are absent or fail: it never saw either in training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dcdp.data.corrupted import CorruptedStore
from dcdp.data.store import GAP_S, Store
from dcdp.evaluation import CLEAN, score_robustness_point
from dcdp.experiments.fold_request import Report
from dcdp.records import SignalSpec, Windows
from dcdp.signals.corruptions import CORRUPTIONS, get_corruption

__all__ = ["MOST_WINDOWS", "Predict", "Spread", "absences", "score_robustness", "training_spread"]

N_SPREAD = 2048
"""Windows from which the training spread of a channel is computed."""

MOST_WINDOWS = 1000
"""Windows of a test person that are disturbed: every one of some forty disturbances is a pass over all of them."""

Predict = Callable[[Store, Windows], NDArray[np.float32]]
Spread = dict[str, NDArray[np.float64]]
Point = tuple[str, str, Store, Windows]


def score_robustness(
    predict: Predict,
    store: Store,
    test: Windows,
    spread: Spread,
    *,
    corruptions: Sequence[str] = tuple(CORRUPTIONS),
    gap_s: float = GAP_S,
    seed: int = 0,
    progress: Report | None = None,
) -> dict[str, Any]:
    """Score the test windows of one fold: undisturbed, without each sensor, and under each corruption and severity.

    Of a person with more than `MOST_WINDOWS` windows evenly spaced ones are taken, the same every time.

    Parameters
    ----------
    predict
        ``predict(store, windows)`` gives probabilities (N, K).
    store, test
        The recordings and the windows of the test people.
    spread
        See `training_spread`.
    corruptions
        Names from `dcdp.signals.corruptions.CORRUPTIONS`.
    gap_s
        Longest gap over which a lost value is held [s].
    seed
        Of the disturbances: the same for every method, so that all meet the same ones.
    progress
        Called as ``progress(done, total, text)``.

    Returns
    -------
    dict
        Corruption -> severity -> what `dcdp.evaluation.score_robustness_point` gives. The corruptions begin with
        ``clean``, severity 0, then ``absent_modality`` and ``absent_placement``, whose severities are the names of what
        is absent.

    Raises
    ------
    ConfigError
        If there is no corruption of a name.
    """
    chosen = [get_corruption(name) for name in corruptions]
    test = _thinned(test)
    n_points = 1 + sum(map(len, absences(store.spec).values())) + sum(len(one.severities) for one in chosen)
    found: dict[str, Any] = {}
    points = _points(store, test, spread, [one.name for one in chosen], gap_s, seed)
    for done, (name, severity, disturbed, windows) in enumerate(points):
        if progress is not None:
            progress(done, n_points, f"{name} {severity}".replace("_", " "))
        point = score_robustness_point(windows.label, predict(disturbed, windows), windows.subject)
        if isinstance(disturbed, CorruptedStore) and disturbed.corruption.unit.startswith("share"):
            point["size"] = _sizes(store.spec, spread, disturbed.severity)
        found.setdefault(name, {})[severity] = point
    if progress is not None:
        progress(n_points, n_points, "robustness")
    return found


def absences(spec: SignalSpec) -> dict[str, dict[str, tuple[str, ...]]]:
    """Return the signals that go with each modality and each placement, where others are left.

    Examples
    --------
    >>> from dcdp.data import get_set
    >>> absences(get_set("hapt").spec)
    {'absent_modality': {'acc': ('waist_acc',), 'gyr': ('waist_gyr',)}}
    """
    table: dict[str, dict[str, tuple[str, ...]]] = {}
    for kind in ("modality", "placement"):
        names = dict.fromkeys(getattr(signal, kind) for signal in spec)
        if len(names) > 1:
            groups = {name: tuple(s.name for s in spec if getattr(s, kind) == name) for name in names}
            table[f"absent_{kind}"] = groups
    return table


def training_spread(store: Store, train: Windows) -> Spread:
    """Return the standard deviation of every channel over training windows, evenly spaced ones if there are many.

    Returns
    -------
    dict
        Signal -> (C,) [unit of the signal]; 0 where no training window has it.
    """
    some = train.take(np.linspace(0, len(train) - 1, min(len(train), N_SPREAD)).round().astype(np.int64))
    gathered = store.gather(some, np.arange(len(some)))
    spread = {}
    for column, signal in enumerate(store.spec):
        here = some.present[:, column]
        values = gathered[signal.name][here].astype(np.float64)
        spread[signal.name] = values.std((0, 1)) if here.any() else np.zeros(len(signal.channels))
    return spread


def _points(
    store: Store, test: Windows, spread: Spread, corruptions: Sequence[str], gap_s: float, seed: int
) -> Iterator[Point]:
    """Yield name, severity, and the store and windows to predict."""
    yield CLEAN, "0", store, test
    for kind, groups in absences(store.spec).items():
        for name, signals in groups.items():
            kept = ~np.isin(store.spec.names, signals)
            yield kind, name, store, replace(test, present=test.present & kept)
    for name in corruptions:
        for severity in get_corruption(name).severities:
            disturbed = CorruptedStore(store, name, severity, seed=seed, spread=spread, gap_s=gap_s)
            yield name, f"{severity:g}", disturbed, disturbed.mark_absent(test)


def _thinned(windows: Windows) -> Windows:
    kept = np.zeros(len(windows), dtype=np.bool_)
    for subject in np.unique(windows.subject):
        own = np.flatnonzero(windows.subject == subject)
        kept[own[np.linspace(0, len(own) - 1, min(len(own), MOST_WINDOWS)).round().astype(np.int64)]] = True
    return windows if kept.all() else windows.take(kept)


def _sizes(spec: SignalSpec, spread: Mapping[str, NDArray[np.float64]], share: float) -> dict[str, float]:
    """Return what a share of the spread is in each unit, mean over channels."""
    by_unit: dict[str, list[float]] = {}
    for signal in spec:
        by_unit.setdefault(signal.unit, []).extend(spread[signal.name].tolist())
    return {unit: float(share * np.mean(values)) for unit, values in by_unit.items()}
