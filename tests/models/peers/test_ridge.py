import warnings

import numpy as np
import pytest
from sklearn.linear_model import RidgeClassifier

from dcdp.models.peers.ridge import RidgeProblem


@pytest.mark.parametrize(("n_windows", "n_features", "n_classes"), [(300, 40, 5), (60, 200, 4), (200, 30, 2)])
def test_every_strength_gives_what_sklearn_gives(n_windows, n_features, n_classes):
    rng = np.random.default_rng(n_features)
    label = np.where(rng.random(n_windows) < 0.6, 1, rng.integers(0, n_classes, n_windows))  # unlike numbers of windows
    features = rng.normal(size=(n_windows, n_features)).astype(np.float32)
    features[:, :3] += label[:, None]
    problem = RidgeProblem(features, 2 * label)  # classes need not follow each other
    for alpha in (1.0, 1000.0):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = RidgeClassifier(alpha, solver="cholesky", class_weight="balanced").fit(features, 2 * label)
        ridge, wanted = problem.solve(alpha), expected.decision_function(features)
        wanted = np.stack([-wanted, wanted], 1) if wanted.ndim == 1 else wanted
        np.testing.assert_array_equal(ridge.classes, expected.classes_)
        np.testing.assert_allclose(ridge(features), wanted, atol=2e-4)
