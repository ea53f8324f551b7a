"""Measure what a fitted method costs: memory, training, prediction of many windows and of one."""

from __future__ import annotations

import time
from copy import copy
from statistics import median
from typing import Any

import numpy as np

from dcdp.data.store import Store
from dcdp.experiments.methods import FittedMethod
from dcdp.records import Windows

__all__ = ["measure_cost"]

_WINDOWS = 1024
_REPEATS = 15


def measure_cost(fitted: FittedMethod, store: Store, windows: Windows) -> dict[str, Any]:
    """Time the prediction of some windows, reading included, and put it beside the other costs.

    Returns
    -------
    dict
        ``parameters`` and ``bytes`` of the model; ``train_seconds`` [s] of the fold and ``train_windows_per_s`` (None
        where there are no steps); ``windows_per_s`` of prediction, and ``latency_ms``: the median time for one window.
    """
    store = copy(store)  # what was remembered of the windows of this very store does not count
    some = windows.take(np.unique(np.linspace(0, len(windows) - 1, min(_WINDOWS, len(windows))).astype(np.intp)))
    fitted.predict(store, some.take(np.arange(min(8, len(some)))))  # what is loaded at the first call
    many_s = _timed(fitted, store, some)
    singles = [_timed(fitted, store, some.take(np.array([n % len(some)]))) for n in range(_REPEATS)]
    return {
        "parameters": fitted.parameters,
        "bytes": fitted.n_bytes,
        "train_seconds": round(fitted.seconds, 3),
        "train_windows_per_s": None if fitted.windows_per_s is None else round(fitted.windows_per_s, 1),
        "windows_per_s": round(len(some) / many_s, 1),
        "latency_ms": round(1000 * median(singles), 3),
    }


def _timed(fitted: FittedMethod, store: Store, windows: Windows) -> float:
    started = time.perf_counter()
    fitted.predict(store, windows)
    return time.perf_counter() - started
