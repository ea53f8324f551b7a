"""Give each window the label of the activity that fills most of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dcdp.errors import ConfigError
from dcdp.records import LabelSet, Segment

__all__ = ["activities_of", "kept_labels", "majority_label"]

_TIE_S = 1e-6  # times that differ by less are equal: sums of seconds are not exact


def activities_of(labels: LabelSet) -> tuple[str, ...]:
    """Return the labels that are not the null class."""
    return tuple(name for name in labels.names if name != labels.null_label)


def kept_labels(labels: LabelSet, null: str) -> LabelSet:
    """Return the label set of the windows: the null class last if it is kept, else not at all."""
    if null == "drop":
        return LabelSet(activities_of(labels))
    if labels.null_label is None:
        raise ConfigError("null='keep' needs a set with a null class", "a set without", "Set windows.null='drop'.")
    return LabelSet((*activities_of(labels), labels.null_label), labels.null_label)


def majority_label(
    segments: Sequence[Segment], start_s: NDArray[np.float64], window_s: float, activities: Sequence[str]
) -> NDArray[np.int64]:
    """Return for each window the activity that fills most of it.

    Time outside the segments of all activities is the null class, and competes like any other. Of classes with equal
    time the first in ``activities`` wins, the null class last.

    Parameters
    ----------
    segments
        Sorted, without overlap; a label that is not an activity counts as the null class.
    start_s
        (N,) starts of the windows [s].

    Returns
    -------
    NDArray
        (N,) index into ``activities``; ``len(activities)`` for the null class.

    Examples
    --------
    >>> majority_label([Segment(0, 4, "walk")], np.array([0.0, 2.0, 3.0]), 3.0, ["sit", "walk"]).tolist()
    [1, 1, 2]
    """
    inside_s = np.zeros((len(activities) + 1, len(start_s)))
    for number, activity in enumerate(activities):
        own = np.array([(part.start_s, part.stop_s) for part in segments if part.label == activity])
        if len(own):
            total_s = np.cumsum(own[:, 1] - own[:, 0])
            reached_s = np.column_stack([total_s - (own[:, 1] - own[:, 0]), total_s]).ravel()
            until = np.interp(start_s + window_s, own.ravel(), reached_s)
            inside_s[number] = until - np.interp(start_s, own.ravel(), reached_s)
    inside_s[-1] = window_s - inside_s.sum(axis=0)
    most: NDArray[np.int64] = np.argmax(np.round(inside_s / _TIE_S), axis=0)
    return most
