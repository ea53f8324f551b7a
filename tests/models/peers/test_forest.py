from __future__ import annotations

import numpy as np
import pytest

from dcdp.errors import DataError
from dcdp.models.peers.forest import fit_forest, predict_proba


@pytest.fixture(scope="module")
def windows():
    generator = np.random.default_rng(0)
    label = generator.choice([0, 2, 3], p=[0.8, 0.1, 0.1], size=300)  # class 1 of 4 is missing
    centres = generator.normal(0, 1.5, size=(4, 6))
    return (centres[label] + generator.normal(size=(300, 6))).astype(np.float32), label


def test_probabilities_stand_in_the_columns_of_all_classes(windows):
    features, label = windows
    probability = predict_proba(fit_forest(features, label, seed=0, n_trees=20), features, n_classes=5)
    assert probability.shape == (300, 5)
    assert probability.dtype == np.float32
    np.testing.assert_allclose(probability.sum(axis=1), 1, atol=1e-5)
    assert (probability[:, [1, 4]] == 0).all()
    assert (probability.argmax(axis=1) == label).mean() > 0.95


def test_seed_fixes_the_forest(windows):
    features, label = windows
    first, second, other = (
        predict_proba(fit_forest(features, label, seed, n_trees=5), features, 4) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


def test_defaults_are_those_of_the_protocol(windows):
    forest = fit_forest(*windows, seed=0, n_trees=2)
    assert forest.class_weight == "balanced"
    assert fit_forest.__kwdefaults__["n_trees"] == 200


def test_bad_input_is_refused(windows):
    features, label = windows
    holed = features.copy()
    holed[3, 2] = np.nan
    with pytest.raises(DataError, match=r"1 that are not, in columns \[2\]"):
        fit_forest(holed, label, seed=0)
    with pytest.raises(DataError, match="each window must have a label"):
        fit_forest(features, label - 1, seed=0)
    with pytest.raises(DataError, match=r"features must be \(N, F\)"):
        fit_forest(features[0], label, seed=0)
    forest = fit_forest(features, label, seed=0, n_trees=1)
    with pytest.raises(DataError, match="features must have 6 columns: got 5"):
        predict_proba(forest, features[:, :5], n_classes=4)
