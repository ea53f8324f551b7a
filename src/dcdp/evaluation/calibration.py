"""Temper logits so that confidence means what it says."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dcdp.errors import DataError

__all__ = ["UNMEASURED_TEMPERATURE", "fit_temperature", "negative_log_likelihood"]

UNMEASURED_TEMPERATURE = 0.6
"""For networks trained with label smoothing and dropout on all people at hand. Smoothing of .1 makes them say less than
they know: where there were validation people, T was .4 to .8 (docs/findings.md)."""
MIN_TEMPERATURE, MAX_TEMPERATURE = 0.05, 20.0


def fit_temperature(logits: ArrayLike, label: ArrayLike) -> float:
    """Find the temperature T for which ``softmax(logits / T)`` is most likely to have made the labels.

    Parameters
    ----------
    logits
        (N, K), of windows that the weights were not fitted on (validation subjects).
    label
        (N,) class indices.

    Returns
    -------
    T in [0.05, 20]; above 1 where the logits are over-confident. Close to a bound where
    every window is right, or where the logits know nothing.

    Raises
    ------
    DataError
        If the arrays do not fit each other or are not finite.

    Notes
    -----
    The loss is convex in 1 / T, so that a bounded search along log T finds the only minimum.

    References
    ----------
    Guo, Pleiss, Sun, Weinberger: "On Calibration of Modern Neural Networks", ICML 2017, section 4.2.
    """
    from scipy.optimize import minimize_scalar  # not needed by most commands

    values, truth = _checked(logits, label)
    bounds = (np.log(MIN_TEMPERATURE), np.log(MAX_TEMPERATURE))
    found = minimize_scalar(
        lambda log_t: negative_log_likelihood(values, truth, float(np.exp(log_t))),
        bounds=bounds,
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(np.exp(found.x))


def negative_log_likelihood(logits: ArrayLike, label: ArrayLike, temperature: float = 1.0) -> float:
    """Mean over windows of ``-log softmax(logits / temperature)[label]`` [nat]."""
    values, truth = _checked(logits, label)
    scaled = values / temperature
    scaled -= scaled.max(axis=1, keepdims=True)
    return float((np.log(np.exp(scaled).sum(axis=1)) - scaled[np.arange(len(truth)), truth]).mean())


def _checked(logits: ArrayLike, label: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    values, truth = np.asarray(logits, dtype=np.float64), np.asarray(label, dtype=np.int64)
    if values.ndim != 2 or not len(values) or truth.shape != values.shape[:1]:
        raise DataError(
            "logits must be (N, K) and label (N,)",
            f"shapes {values.shape} and {truth.shape}",
            "Pass arrays of the same windows.",
        )
    if not np.isfinite(values).all():
        raise DataError("logits must be finite", "NaN or infinity", "Leave out rows of absent branches.")
    if truth.min() < 0 or truth.max() >= values.shape[1]:
        raise DataError(
            f"label must lie in [0, {values.shape[1]})",
            f"{truth.min()} to {truth.max()}",
            "Drop windows without a label.",
        )
    return values, truth
