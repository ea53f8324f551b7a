"""A ridge classifier for thousands of features: one product of the features serves every strength that is tried."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Ridge", "RidgeProblem"]

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Ridge:
    """Linear outputs (N, K) near 1 for the class of a window and near -1 for the others.

    Attributes
    ----------
    classes
        (K,) class indices that occurred in training, sorted.
    weight, offset
        (F, K) and (K,).
    """

    classes: NDArray[np.intp]
    weight: Array
    offset: Array

    def __call__(self, features: Array) -> Array:
        """Return (N, K) outputs of features (N, F)."""
        output: Array = features @ self.weight + self.offset
        return output


class RidgeProblem:
    """Minimise ``sum_n w_n |y_n - W x_n - b|^2 + alpha |W|^2`` for any alpha, where each class has the same total w.

    Parameters
    ----------
    features
        (N, F).
    label
        (N,) class indices; classes may be missing.

    Notes
    -----
    What ``sklearn.linear_model.RidgeClassifier(class_weight="balanced", solver="cholesky")`` finds (of two classes it
    has one output, here there are two). That takes the product of all features anew for each alpha, which is most of
    the time; here it is taken once, and each alpha costs a Cholesky factor. Of fewer windows than features the kernel
    (N, N) is solved, else the covariance (F, F).
    """

    def __init__(self, features: Array, label: NDArray[np.integer]) -> None:
        self.classes, place, counts = np.unique(label, return_inverse=True, return_counts=True)
        target = np.where(place[:, None] == np.arange(len(self.classes)), 1.0, -1.0).astype(np.float32)
        weight = (len(label) / (len(counts) * counts[place])).astype(np.float32)[:, None]
        total = weight.sum(dtype=np.float64)
        self._mean: Array = ((weight * features).sum(0, dtype=np.float64) / total).astype(np.float32)
        self._target_mean: Array = ((weight * target).sum(0, dtype=np.float64) / total).astype(np.float32)
        self._features: Array = (features - self._mean) * np.sqrt(weight)
        self._target: Array = (target - self._target_mean) * np.sqrt(weight)
        self._by_windows = len(features) < features.shape[1]
        rows = self._features if self._by_windows else self._features.T
        self._product = rows @ rows.T

    def solve(self, alpha: float) -> Ridge:
        """Return the classifier of one strength, alpha > 0."""
        from scipy.linalg import LinAlgWarning, solve

        system = self._product.copy()
        system.flat[:: len(system) + 1] += np.float32(alpha)
        right = self._target if self._by_windows else self._features.T @ self._target
        with warnings.catch_warnings():
            # The weakest strength is on the verge of what float32 solves; if that does harm, another is chosen.
            warnings.simplefilter("ignore", LinAlgWarning)
            found = solve(system, right, assume_a="pos", overwrite_a=True, check_finite=False)
        weight = (self._features.T @ found if self._by_windows else found).astype(np.float32)
        return Ridge(self.classes, weight, self._target_mean - self._mean @ weight)
