"""Spread rows evenly that a device stamped in batches, many at nearly one time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dcdp.records import Note

__all__ = ["in_batches", "repeats", "spread_batches"]

_BATCHES = 4
_BATCH_STEP = 4.0
_LOST_BATCH = 1.8
_CLOSE = 0.2  # of a period: a sensor that reports when it likes may well be twice as fast at times
_CALL_S = 1e-3  # rows handed over in one go are stamped closer together than any sensor of the body samples


def in_batches(steps: NDArray[np.float64], nominal_hz: float | None) -> bool:
    """Say whether most of the time passes between batches of rows that share nearly one time."""
    if len(steps) < 2 * _BATCHES:
        return False
    inner = float(np.quantile(steps, 0.25))
    between = steps[steps > max(_BATCH_STEP * inner, 1e-9)]
    if len(between) < _BATCHES or between.sum() < 0.5 * steps.sum() or len(between) > 0.5 * len(steps) + 1:
        return False
    if nominal_hz is None:
        return inner < _CALL_S
    rate_hz = len(steps) / np.minimum(between, 3 * np.median(between)).sum()
    return bool(inner * nominal_hz < _CLOSE and abs(rate_hz / nominal_hz - 1) < 0.25)


def repeats(times_s: NDArray[np.float64], values: NDArray[np.float64]) -> bool:
    """Say whether most rows with the time of another are copies of it."""
    order = np.argsort(times_s, kind="stable")
    twin = np.flatnonzero(np.diff(times_s[order]) == 0)
    same = (values[order[twin]] == values[order[twin + 1]]) | np.isnan(values[order[twin]])
    return bool(len(twin) and same.all(axis=1).mean() > 0.5)


def spread_batches(
    times_s: NDArray[np.float64], values: NDArray[np.float64], signal: str
) -> tuple[NDArray[np.float64], NDArray[np.float64], float, Note]:
    """Give rows that were stamped in batches the times of an even rate.

    A straight line in the row number is fitted to the stamps of each stretch without a gap, with one slope for all.
    Whether a batch has the time of its first row or of its last cannot be told: the line goes through the middle, and
    all times of the signal may be off by half a batch, the same for all.

    Parameters
    ----------
    times_s, values
        (N,) [s] and (N, C), in the order of the file.
    signal
        Name for the note.

    Returns
    -------
    times_s, values, rate_hz, note
        Strictly increasing times, their values, the rate, and a note of kind ``bursts``: time between batches [s].
    """
    order = np.argsort(times_s, kind="stable")
    times_s, values = times_s[order], values[order]
    steps = np.diff(times_s)
    between_s = float(np.median(steps[steps > max(_BATCH_STEP * np.quantile(steps, 0.25), 1e-9)]))
    start = np.concatenate([[0], np.flatnonzero(steps > _LOST_BATCH * between_s) + 1])
    n_rows = np.diff(start, append=len(times_s))
    row = np.arange(len(times_s)) - np.repeat(start + (n_rows - 1) / 2, n_rows)
    since_s = times_s - times_s[0]
    middle_s = np.repeat(np.add.reduceat(since_s, start) / n_rows, n_rows)
    period_s = float((row * (since_s - middle_s)).sum() / (row**2).sum())
    spread_s = times_s[0] + middle_s + row * period_s
    told = (
        f"rows were stamped in batches about {between_s:.3g} s apart and were spread evenly at {1 / period_s:.5g} Hz; "
        "all may be early or late by half a batch"
    )
    order = np.argsort(spread_s, kind="stable")
    order = order[np.diff(spread_s[order], prepend=-np.inf) > 0]
    return spread_s[order], values[order], 1 / period_s, Note("bursts", signal, between_s, "s", told)
