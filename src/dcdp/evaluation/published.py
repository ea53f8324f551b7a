"""The best macro-F1 that others have published on a data set under a split of ours."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PUBLISHED", "Published"]


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
    """

    macro_f1: float
    method: str
    source: str


_ARENA = "WHAR Arena, arXiv 2606.13194, figure 6: best of 17 models"

PUBLISHED = {
    ("dsads", "arena"): Published(0.8933, "random forest", _ARENA),
    ("hapt", "arena"): Published(0.848, "CNN-HAR", _ARENA),
    ("uschad", "arena"): Published(0.7883, "MLP-Mixer", _ARENA),
}
"""By data set and split. The test groups are the same; the authors draw validation windows from the training people."""
