"""MiniRocket's random convolutions by sktime, under a ridge classifier."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dcdp.models.peers.packages import require_package
from dcdp.models.peers.ridge import Ridge, RidgeProblem

__all__ = ["ALPHAS", "MiniRocket", "Transform", "fit_minirocket", "predict_minirocket"]

ALPHAS = (100.0, 300.0, 1e3, 1e4, 1e5)
"""How strongly the ridge classifier may be held back; less is ill-conditioned with thousands of features."""
_USUAL_ALPHA = 1e3

Array = NDArray[np.float32]
Transform = Callable[[Array], Array]


@dataclass(frozen=True)
class MiniRocket:
    """A fitted transform, the scale of its features, and a ridge classifier over them.

    Attributes
    ----------
    transform
        Windows (N, C, T) -> features (N, F).
    mean, std
        (F,) of the training windows' features.
    ridge
        The classifier.
    alpha
        The strength that was chosen.
    """

    transform: Transform
    mean: Array
    std: Array
    ridge: Ridge
    alpha: float

    @property
    def n_parameters(self) -> int:
        """Numbers that the classifier has learned."""
        return self.ridge.weight.size + self.ridge.offset.size

    @property
    def n_bytes(self) -> int:
        """Memory of classifier and scales [bytes]; the kernels are drawn again from the seed."""
        return int(sum(a.nbytes for a in (self.ridge.weight, self.ridge.offset, self.mean, self.std)))


def fit_minirocket(
    windows: Array,
    label: NDArray[np.integer],
    seed: int,
    held_out: NDArray[np.bool_] | None = None,
    make: Callable[[Array, int], Transform] | None = None,
) -> MiniRocket:
    """Fit transform and classifier.

    Parameters
    ----------
    windows
        (N, C, T) standardised training windows, T >= 9.
    label
        (N,) class indices; classes may be missing.
    seed
        Of the kernels' channels and thresholds.
    held_out
        (N,) True for the windows by whose accuracy the classifier's strength is chosen; the classifier is then
        fitted on all. None takes 1000.
    make
        ``make(windows, seed)`` fits the transform; sktime's with 10 000 kernels if left out.

    Raises
    ------
    ConfigError
        If sktime or numba is not installed.

    References
    ----------
    Dempster, Schmidt, Webb (2021). MiniRocket: A Very Fast (Almost) Deterministic Transform for Time Series
    Classification. KDD, arXiv 2012.08791.

    Notes
    -----
    - The paper chooses the strength by leaving out one window at a time. Neighbouring windows share half of their
      samples, so here it is chosen on people that the classifier was not fitted on, by plain accuracy: rare
      activities hardly count in it, as they do in macro-F1.
    - The authors' programme tries ten strengths from 0.001 to 1000 on features of unit length, which on standardised
      ones, as here, are those times the number of windows. Here it is the five of `ALPHAS`: in float32 weaker ones are
      ill-conditioned. Of 64 folds (30 of HAPT, 24 of DSADS, 10 of USC-HAD) 15 chose the weakest and 9 the
      strongest, so that a wider range, or more people to choose by, might do better.
    - Windows are weighted so that all activities count alike, as for the forest.
    - The paper turns to logistic regression beyond some 10 000 windows; here it is the ridge classifier throughout.
    - A ridge classifier has no probabilities; see `predict_minirocket`.
    """
    transform = (make or _by_sktime)(windows, seed)
    features = transform(windows)
    mean, std = features.mean(0), features.std(0)
    std[std < 1e-6] = 1
    features = (features - mean) / std
    alpha = _USUAL_ALPHA if held_out is None else _choose(features, label, held_out)
    return MiniRocket(transform, mean, std, RidgeProblem(features, label).solve(alpha), alpha)


def predict_minirocket(model: MiniRocket, windows: Array, n_classes: int) -> Array:
    """Return (N, K): the softmax of the ridge's outputs, which lie near -1 and 1, times 4.

    They order the classes as the ridge does; how sure they look means little. A class without training windows gets 0.
    """
    features = (model.transform(windows) - model.mean) / model.std
    output = model.ridge(features)
    share = np.exp(4 * (output - output.max(1, keepdims=True)))
    probability = np.zeros((len(windows), n_classes), dtype=np.float32)
    probability[:, model.ridge.classes] = share / share.sum(1, keepdims=True)
    return probability


def _choose(features: Array, label: NDArray[np.integer], held_out: NDArray[np.bool_]) -> float:
    problem, asked = RidgeProblem(features[~held_out], label[~held_out]), features[held_out]
    found = []
    for alpha in ALPHAS:
        ridge = problem.solve(alpha)
        found.append(float((ridge.classes[ridge(asked).argmax(1)] == label[held_out]).mean()))
    return ALPHAS[int(np.argmax(found))]


def _by_sktime(windows: Array, seed: int) -> Transform:
    require_package("peer 'minirocket'", "sktime")
    require_package("peer 'minirocket'", "numba")
    from sktime.transformations.rocket import MiniRocketMultivariate

    rocket = MiniRocketMultivariate(random_state=seed).fit(windows)
    return lambda x: np.asarray(rocket.transform(x), dtype=np.float32)
