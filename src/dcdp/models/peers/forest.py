"""The peer to beat everywhere: a random forest on window statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from dcdp.errors import DataError

if TYPE_CHECKING:
    from sklearn.ensemble import RandomForestClassifier

__all__ = ["FOREST_INPUTS", "fit_forest", "forest_bytes", "predict_proba"]

FOREST_INPUTS = {"forest": "base", "forest_extended": "extended"}
"""Name of the peer -> the window statistics that it reads (docs/features.md)."""


def fit_forest(
    features: NDArray[np.floating],
    label: NDArray[np.integer],
    seed: int,
    *,
    n_trees: int = 200,
    class_weight: Literal["balanced", "balanced_subsample"] | None = "balanced",
    n_jobs: int | None = None,
) -> RandomForestClassifier:
    """Fit a random forest.

    Parameters
    ----------
    features
        (N, F) finite statistics of the training windows.
    label
        (N,) class indices; classes may be missing.
    seed
        Of the bootstrap and the choice of features. The same forest for any ``n_jobs``.
    n_trees
        Trees.
    class_weight
        ``balanced``: rare activities count as much as frequent ones.
    n_jobs
        Processes; -1 takes all cores.

    Raises
    ------
    DataError
        If the features are not (N, F) or not finite, or the labels do not fit them.

    References
    ----------
    Breiman: "Random Forests", 2001.
    """
    from sklearn.ensemble import RandomForestClassifier  # takes a second to import

    _check(features)
    if label.shape != (len(features),) or label.min() < 0:
        raise DataError(
            "each window must have a label",
            f"{label.shape} labels for {len(features)} windows",
            "Drop windows without a label.",
        )
    forest = RandomForestClassifier(n_trees, class_weight=class_weight, random_state=seed, n_jobs=n_jobs)
    return forest.fit(features, label)


def predict_proba(
    forest: RandomForestClassifier, features: NDArray[np.floating], n_classes: int
) -> NDArray[np.float32]:
    """Predict (N, K) probabilities; a class that no training window had gets 0.

    Raises
    ------
    DataError
        If the features are not those of the fit, or not finite.
    """
    _check(features)
    if features.shape[1] != forest.n_features_in_:
        raise DataError(
            f"features must have {forest.n_features_in_} columns",
            features.shape[1],
            "Compute the statistics as for training.",
        )
    probability = np.zeros((len(features), n_classes), dtype=np.float32)
    probability[:, forest.classes_.astype(np.intp)] = forest.predict_proba(features)
    return probability


def forest_bytes(forest: RandomForestClassifier) -> int:
    """Return the memory that the nodes and the class counts of all trees take [bytes]."""
    states = (tree.tree_.__getstate__() for tree in forest.estimators_)
    return int(sum(state["nodes"].nbytes + state["values"].nbytes for state in states))


def _check(features: NDArray[np.floating]) -> None:
    if features.ndim != 2 or features.size == 0:
        raise DataError("features must be (N, F)", f"shape {features.shape}", "Give one row per window.")
    bad = ~np.isfinite(features)
    if bad.any():
        raise DataError(
            "features must be finite",
            f"{bad.sum()} that are not, in columns {np.flatnonzero(bad.any(axis=0))[:5].tolist()}",
            "Fill gaps before taking statistics.",
        )
