"""The best macro-F1 that others have published on a data set under a split of ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["PUBLISHED", "Published", "published_best"]


@dataclass(frozen=True, slots=True)
class Published:
    """A published figure.

    Attributes
    ----------
    macro_f1
        By group: of all windows of a fold together, then the mean over folds.
    method
        As the authors call it.
    source
        Where it stands.
    n_folds
        All that it is the mean of.
    """

    macro_f1: float
    method: str
    source: str
    n_folds: int


_WINDOWS = {"window_s": 3.0, "stride_s": 1.5, "null": "drop"}
_ARENA = "WHAR Arena, arXiv 2606.13194, figure 6: best of 17 models"

PUBLISHED = {
    ("dsads", "arena"): Published(0.8933, "random forest", _ARENA, 8),
    ("hapt", "arena"): Published(0.848, "CNN-HAR", _ARENA, 10),
    ("uschad", "arena"): Published(0.7883, "MLP-Mixer", _ARENA, 10),
}
"""By data set and split. The test groups are the same; the authors draw validation windows from the training people."""


def published_best(data: str, split: str, n_folds: int, windows: Mapping[str, Any]) -> Published | None:
    """Return the published figure that results can be held against: of the same split, all its folds and windows.

    Parameters
    ----------
    n_folds
        How many of the split were tested.
    windows
        The settings with which they were cut.

    Examples
    --------
    >>> arena = {"window_s": 3.0, "stride_s": 1.5, "null": "drop"}
    >>> [published_best("hapt", "arena", n_folds, arena) is not None for n_folds in (9, 10)]
    [False, True]
    """
    found = PUBLISHED.get((data, split))
    is_alike = found is not None and n_folds == found.n_folds and _WINDOWS.items() <= windows.items()
    return found if is_alike else None
