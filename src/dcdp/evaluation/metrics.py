"""Turn predictions into counts, and counts into figures.

There are two tables of counts, and both can be added over subjects and folds: the confusion matrix
(K, K) and the reliability table (3, bins). Every figure is computed from one of them, over any
number of leading axes, so that the figures of all subjects come from one call.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dcdp.errors import DataError

__all__ = [
    "accuracy",
    "balanced_accuracy",
    "checked_probability",
    "confusion_matrix",
    "expected_calibration_error",
    "macro_f1",
    "per_class_f1",
    "reliability_table",
    "weighted_f1",
]

N_BINS = 15
_SUM_TOLERANCE = 1e-3  # half-precision softmax sums to 1 within about this


def confusion_matrix(label: ArrayLike, prediction: ArrayLike, n_classes: int) -> NDArray[np.int64]:
    """Count windows by true class (rows) and predicted class (columns).

    Parameters
    ----------
    label, prediction
        (N,) class indices in ``[0, n_classes)``.
    n_classes
        K.

    Returns
    -------
    (K, K) counts.

    Raises
    ------
    DataError
        If there is no window, the lengths differ or an index is out of range (an unknown label is -1).

    Examples
    --------
    >>> confusion_matrix([0, 0, 1], [0, 1, 1], n_classes=2)
    array([[1, 1],
           [0, 1]])
    """
    truth = _class_indices("label", label, n_classes)
    predicted = _class_indices("prediction", prediction, n_classes)
    if len(truth) != len(predicted):
        raise DataError(
            "each window must have one label and one prediction",
            f"{len(truth)} labels, {len(predicted)} predictions",
            "Pass arrays of the same windows.",
        )
    counts = np.bincount(truth * n_classes + predicted, minlength=n_classes**2)
    return counts.reshape(n_classes, n_classes).astype(np.int64)


def reliability_table(label: ArrayLike, probability: ArrayLike, n_bins: int = N_BINS) -> NDArray[np.float64]:
    """Sum, in bins of equal width of the top probability, what calibration is measured from.

    Bin b holds the confidences in ``(b / n_bins, (b + 1) / n_bins]``.

    Parameters
    ----------
    label
        (N,) class indices.
    probability
        (N, K), rows that sum to 1.
    n_bins
        Number of bins over [0, 1].

    Returns
    -------
    (3, n_bins): number of windows, sum of their confidences, number predicted correctly.

    Raises
    ------
    DataError
        If the probabilities are not probabilities, or do not fit the labels.
    """
    given = checked_probability(probability)
    truth = _class_indices("label", label, given.shape[1])
    if len(truth) != len(given):
        raise DataError(
            "each window must have one label and one probability row",
            f"{len(truth)} labels, {len(given)} rows",
            "Pass arrays of the same windows.",
        )
    confidence = np.clip(given.max(axis=1), 0.0, 1.0)
    edges = np.linspace(0.0, 1.0, n_bins + 1)
    place = np.maximum(np.searchsorted(edges, confidence, side="left") - 1, 0)
    correct = given.argmax(axis=1) == truth
    columns = (np.ones_like(confidence), confidence, correct.astype(np.float64))
    return np.stack([np.bincount(place, weights=column, minlength=n_bins) for column in columns])


def accuracy(confusion: ArrayLike) -> NDArray[np.float64]:
    """Fraction of windows predicted correctly; (..., K, K) counts give (...)."""
    counts = _counts(confusion)
    correct: NDArray[np.float64] = _hits(counts).sum(axis=-1) / counts.sum(axis=(-2, -1))
    return correct


def per_class_f1(confusion: ArrayLike) -> NDArray[np.float64]:
    """F1 of each class; (..., K, K) counts give (..., K).

    NaN for a class that occurs neither in the truth nor in the predictions: nothing was measured.

    Examples
    --------
    >>> per_class_f1([[1, 1, 0], [0, 2, 0], [0, 0, 0]]).round(3)
    array([0.667, 0.8  ,   nan])
    """
    counts = _counts(confusion)
    return _ratio(2 * _hits(counts), counts.sum(axis=-1) + counts.sum(axis=-2))


def macro_f1(confusion: ArrayLike) -> NDArray[np.float64]:
    """Mean F1 over the classes that occur in the truth or in the predictions; (..., K, K) gives (...).

    Notes
    -----
    The rule for absent classes is fixed here, and is scikit-learn's (``f1_score(average="macro",
    zero_division=0)`` with no ``labels``): a class that is predicted but never true counts as 0, a
    class that is neither is left out. Averaging over all K classes instead would punish a subject
    for activities that the subject was never asked to do.

    Examples
    --------
    >>> round(float(macro_f1([[1, 1, 0], [0, 2, 0], [0, 0, 0]])), 3)  # over all three classes: .489
    0.733
    """
    scores = per_class_f1(confusion)
    return _mean_of_known(scores)


def weighted_f1(confusion: ArrayLike) -> NDArray[np.float64]:
    """Mean F1 over classes, weighted by how often each is true; (..., K, K) counts give (...)."""
    support = _counts(confusion).sum(axis=-1)
    weight = support / support.sum(axis=-1, keepdims=True)
    weighted: NDArray[np.float64] = (np.nan_to_num(per_class_f1(confusion)) * weight).sum(axis=-1)
    return weighted


def balanced_accuracy(confusion: ArrayLike) -> NDArray[np.float64]:
    """Mean recall over the classes that occur in the truth; (..., K, K) counts give (...)."""
    counts = _counts(confusion)
    recall = _ratio(_hits(counts), counts.sum(axis=-1))
    return _mean_of_known(recall)


def expected_calibration_error(reliability: ArrayLike) -> NDArray[np.float64]:
    """Mean gap between confidence and accuracy over bins, weighted by windows; (..., 3, bins) gives (...).

    Parameters
    ----------
    reliability
        From `reliability_table`, or a sum of such tables.

    References
    ----------
    Guo, Pleiss, Sun, Weinberger: "On Calibration of Modern Neural Networks", ICML 2017, equation 3
    (15 bins of equal width, confidence of the predicted class).
    """
    table = np.asarray(reliability, dtype=np.float64)
    n_windows, confidence, correct = table[..., 0, :], table[..., 1, :], table[..., 2, :]
    gap: NDArray[np.float64] = np.abs(confidence - correct).sum(axis=-1) / n_windows.sum(axis=-1)
    return gap


def checked_probability(probability: ArrayLike) -> NDArray[np.float64]:
    """Return (N, K) probabilities as float64, or say why they are none."""
    given = np.asarray(probability, dtype=np.float64)
    if given.ndim != 2 or given.size == 0:
        raise DataError("probability must be (N, K)", f"shape {given.shape}", "Give one row per window.")
    if not np.isfinite(given).all() or given.min() < 0 or np.abs(given.sum(axis=1) - 1).max() > _SUM_TOLERANCE:
        raise DataError(
            "each row of probability must be finite, not negative, and sum to 1",
            f"values in [{given.min():.4g}, {given.max():.4g}], sums in [{given.sum(axis=1).min():.4g}, "
            f"{given.sum(axis=1).max():.4g}]",
            "Apply a softmax to logits first.",
        )
    return given


def _class_indices(name: str, values: ArrayLike, n_classes: int) -> NDArray[np.int64]:
    array = np.asarray(values)
    if array.ndim != 1 or array.size == 0 or array.dtype.kind not in "iu":
        raise DataError(
            f"{name} must be a list of class indices", f"shape {array.shape} of {array.dtype}", "Give one per window."
        )
    if array.min() < 0 or array.max() >= n_classes:
        raise DataError(
            f"{name} must lie in [0, {n_classes})",
            f"{array.min()} to {array.max()}",
            "Drop windows without a label before scoring.",
        )
    return array.astype(np.int64)


def _counts(confusion: ArrayLike) -> NDArray[np.float64]:
    counts = np.asarray(confusion, dtype=np.float64)
    if counts.ndim < 2 or counts.shape[-1] != counts.shape[-2]:
        raise DataError("confusion must be (..., K, K)", f"shape {counts.shape}", "Use confusion_matrix to make it.")
    if not (counts.sum(axis=(-2, -1)) > 0).all():
        raise DataError("confusion must count a window", "none", "Leave subjects without windows out.")
    return counts


def _hits(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.diagonal(counts, axis1=-2, axis2=-1)


def _ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divide, NaN where there is nothing to divide by."""
    ratio: NDArray[np.float64] = np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)
    return ratio


def _mean_of_known(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average the last axis without its NaN."""
    mean: NDArray[np.float64] = np.nansum(values, axis=-1) / np.count_nonzero(~np.isnan(values), axis=-1)
    return mean
