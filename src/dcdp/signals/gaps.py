"""Bridge short gaps from the past alone, so that a live stream and a file give the same values."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from dcdp.errors import ConfigError

__all__ = ["hold_last", "nan_runs"]

Float = TypeVar("Float", np.float32, np.float64)


def hold_last(values: NDArray[Float], max_gap_samples: int) -> NDArray[Float]:
    """Hold the last measured value of each channel for at most ``max_gap_samples`` samples.

    Parameters
    ----------
    values
        (T, C), NaN where nothing was measured.
    max_gap_samples
        Longest hold, >= 0 [samples]. 0 holds nothing.

    Returns
    -------
    NDArray
        (T, C), a new array. The first ``max_gap_samples`` samples of every gap are filled and the rest of a longer
        gap stays NaN, as does a gap before the first measurement.

    Raises
    ------
    ConfigError
        If ``max_gap_samples`` is negative.

    Notes
    -----
    The length of a gap is known only when it ends, so a causal rule must fill the head of a long gap too. Holding is
    done once, when a store is written: a second pass would extend the holds inside long gaps.

    Examples
    --------
    >>> hold_last(np.array([[1.0], [np.nan], [np.nan], [4.0]]), 1).ravel().tolist()
    [1.0, 1.0, nan, 4.0]
    """
    if max_gap_samples < 0:
        raise ConfigError("max_gap_samples must not be negative", max_gap_samples, "Give 0 to hold nothing.")
    measured = ~np.isnan(values)
    if not max_gap_samples or measured.all():
        return values.copy()
    now = np.arange(len(values))[:, None]
    last = np.maximum.accumulate(np.where(measured, now, -1), axis=0)
    held = np.take_along_axis(values, np.maximum(last, 0), axis=0)  # before the first measurement: row 0, a NaN
    return np.where(now - last <= max_gap_samples, held, np.nan).astype(values.dtype)


def nan_runs(values: NDArray[Float]) -> NDArray[np.int64]:
    """Find the stretches in which at least one channel is NaN.

    Parameters
    ----------
    values
        (T, C).

    Returns
    -------
    NDArray
        (n_runs, 2), the intervals ``[start, stop)`` in rows, sorted.

    Examples
    --------
    >>> nan_runs(np.array([[1.0], [np.nan], [np.nan], [4.0]])).tolist()
    [[1, 3]]
    """
    missing = np.isnan(values).any(axis=1)
    edges = np.diff(missing.astype(np.int8), prepend=0, append=0)
    return np.column_stack([np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)])
