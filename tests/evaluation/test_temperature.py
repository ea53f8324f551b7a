from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax, softmax

from dcdp.errors import DataError
from dcdp.evaluation import fit_temperature, negative_log_likelihood


def made_logits(n_windows, seed, temperature=1.0):
    """Logits whose labels were drawn from ``softmax(logits / temperature)``."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, 3, size=(n_windows, 4))
    probability = softmax(logits / temperature, axis=1)
    label = (generator.random((n_windows, 1)) > probability.cumsum(axis=1)).sum(axis=1).clip(max=3)
    return logits, label


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_true_temperature_is_found(temperature):
    assert fit_temperature(*made_logits(20_000, 0, temperature)) == pytest.approx(temperature, rel=0.05)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000), st.floats(0.5, 2.0))
def test_temperature_scales_with_the_logits(seed, scale):
    logits, label = made_logits(200, seed)
    assert fit_temperature(scale * logits, label) == pytest.approx(scale * fit_temperature(logits, label), rel=1e-3)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000), st.floats(0.06, 19.0))
def test_no_other_temperature_is_better(seed, other):
    logits, label = made_logits(100, seed)
    best = negative_log_likelihood(logits, label, fit_temperature(logits, label))
    assert best <= negative_log_likelihood(logits, label, other) + 1e-9


def test_likelihood_is_scipys():
    logits, label = made_logits(50, 0)
    expected = -log_softmax(logits / 2.5, axis=1)[np.arange(50), label].mean()
    assert negative_log_likelihood(logits, label, 2.5) == pytest.approx(expected)
    assert np.isfinite(negative_log_likelihood(1000 * logits, label))


def test_bounds_hold_where_the_data_set_none():
    always_right, useless = np.eye(3)[[0, 1, 2]], -np.eye(3)[[0, 1, 2]]
    assert 0.05 <= fit_temperature(always_right, [0, 1, 2]) < 0.07
    assert fit_temperature(10 * useless, [0, 1, 2]) == pytest.approx(20, rel=0.01)


@pytest.mark.parametrize(
    ("logits", "label", "message"),
    [
        ([[1.0, 2.0]], [0, 1], r"shapes \(1, 2\) and \(2,\)"),
        ([[np.nan, 2.0]], [0], "logits must be finite"),
        ([[1.0, 2.0]], [-1], r"label must lie in \[0, 2\)"),
        (np.zeros((0, 2)), [], r"logits must be \(N, K\)"),
    ],
)
def test_bad_input_is_refused(logits, label, message):
    with pytest.raises(DataError, match=message):
        fit_temperature(logits, label)
