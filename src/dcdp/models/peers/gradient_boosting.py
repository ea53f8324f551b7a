"""Gradient-boosted trees on window statistics, by LightGBM."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dcdp.errors import ConfigError

if TYPE_CHECKING:
    from lightgbm import Booster

__all__ = ["fit_boosting", "load_lightgbm", "predict_boosting"]


def load_lightgbm() -> ModuleType:
    """Return the package, whose wheel leaves out the OpenMP runtime that it needs.

    Raises
    ------
    ConfigError
        If the system has no such runtime.
    """
    import torch  # noqa: F401 - on Linux its wheel brings the runtime along, which serves whoever comes after it

    try:
        import lightgbm
    except OSError as error:
        raise ConfigError(
            "boosted trees need LightGBM, and LightGBM an OpenMP runtime", str(error),
            "Install it (macOS: brew install libomp, Debian and Ubuntu: apt install libgomp1), or do without trees: "
            "network.tree_rounds=0.",
        ) from error  # fmt: skip
    package: ModuleType = lightgbm
    return package


def fit_boosting(
    features: NDArray[np.floating],
    label: NDArray[np.integer],
    seed: int,
    *,
    n_rounds: int = 100,
    max_depth: int = -1,
    share: float = 0.3,
    n_threads: int = 1,
    on_round: Callable[[int], None] | None = None,
) -> tuple[Booster, NDArray[np.int64]]:
    """Fit a multiclass model; return it and the classes, sorted, that its outputs stand for.

    Parameters
    ----------
    features
        (N, F) finite statistics of the training windows.
    label
        (N,) class indices; classes may be missing.
    seed
        Of the features that each tree may look at. The same model for any ``n_threads``.
    n_rounds
        Trees of each class.
    max_depth
        Most decisions on the way to a leaf; -1 is any number.
    share
        Share of the features that a tree may look at.
    n_threads
        Threads.
    on_round
        Called with the number of rounds done after each.

    Raises
    ------
    ConfigError
        If LightGBM finds no OpenMP runtime.

    References
    ----------
    Ke, Meng, Finley, Wang, Chen, Ma, Ye, Liu (2017). LightGBM: A Highly Efficient Gradient Boosting Decision Tree.
    NeurIPS.

    Notes
    -----
    The package's defaults (100 rounds, 31 leaves, learning rate 0.1), but for two things: a tree looks at 30 % of the
    features, since neighbours among hundreds of statistics say much the same and this is three times faster; and
    windows are weighted so that all activities count alike, as for the forest.
    """
    lightgbm = load_lightgbm()
    classes, place, count = np.unique(label, return_inverse=True, return_counts=True)
    weight = len(label) / (len(classes) * count[place])
    settings = {
        "objective": "multiclass", "num_class": len(classes), "feature_fraction": share, "seed": seed,
        "deterministic": True, "force_row_wise": True, "num_threads": n_threads, "verbosity": -1,
        "max_depth": max_depth,
    }  # fmt: skip
    data = lightgbm.Dataset(features, place, weight=weight)
    calls = [] if on_round is None else [lambda state: on_round(state.iteration + 1)]
    return lightgbm.train(settings, data, n_rounds, callbacks=calls), classes.astype(np.int64)


def predict_boosting(
    model: Booster, classes: NDArray[np.int64], features: NDArray[np.floating], n_classes: int
) -> NDArray[np.float32]:
    """Predict (N, K) probabilities; a class that no training window had gets 0."""
    probability = np.zeros((len(features), n_classes), dtype=np.float32)
    probability[:, classes] = np.asarray(model.predict(features)).reshape(len(features), -1)
    return probability
