"""The two normalisers: constants fitted once, monotone and bounded, whatever they were fitted on."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from dcdp.models.normalise import ChannelNormaliser, QuantileNormaliser, normalise_within

BOUND = 2.9
numbers = st.floats(-1e5, 1e5, width=32)
grains = st.integers(-3, 3).map(float)  # many ties


def fitted(column: np.ndarray) -> QuantileNormaliser:
    normaliser = QuantileNormaliser(1)
    normaliser.fit(torch.from_numpy(np.asarray(column, np.float32)).view(-1, 1))
    return normaliser


def apply(normaliser: QuantileNormaliser, column: np.ndarray) -> np.ndarray:
    return normaliser(torch.from_numpy(np.asarray(column, np.float32)).view(-1, 1))[0][:, 0].numpy()


@given(
    known=arrays(np.float32, st.integers(1, 40), elements=numbers | grains),
    new=arrays(np.float32, st.integers(1, 30), elements=numbers | grains),
)
def test_scores_are_monotone_and_bounded(known, new):
    score = apply(fitted(known), np.sort(new))
    assert np.isfinite(score).all()
    assert (np.abs(score) <= BOUND).all()
    assert (np.diff(score) >= -1e-5).all()


@given(
    known=arrays(np.float32, st.tuples(st.integers(1, 20), st.just(3)), elements=numbers | grains),
    new=arrays(np.float32, st.tuples(st.integers(1, 20), st.just(3)), elements=numbers),
)
def test_ramps_are_bounded_and_say_the_same(known, new):
    normaliser = QuantileNormaliser(3)
    normaliser.fit(torch.from_numpy(known))
    score, ramps = normaliser(torch.from_numpy(new))
    assert score.shape == (len(new), 3)
    assert ramps.shape == (len(new), 3, 8)
    assert (ramps.abs() <= 0.5).all()
    assert (ramps.diff(dim=-1) <= 1e-6).all()  # a later ramp starts to rise when the earlier ones are full


@given(value=numbers, n=st.integers(1, 20), new=arrays(np.float32, 5, elements=numbers))
def test_a_constant_feature_says_nothing(value, n, new):
    assert (apply(fitted(np.full(n, value)), new) == 0).all()


def test_ties_are_told_apart_from_what_is_above_and_below():
    known = np.repeat([0.0, 1.0, 2.0], [30, 50, 20])
    score = apply(fitted(known), np.array([-1.0, 0.0, 1.0, 2.0, 3.0]))
    assert (np.diff(score[1:4]) > 0.3).all()
    assert score[0] == score[1]
    assert score[4] == pytest.approx(score[3], abs=1e-3) or score[4] > score[3]


def test_scores_are_normal_scores_of_the_ranks():
    known = np.random.default_rng(0).gamma(2.0, 3.0, 4000)
    score = apply(fitted(known), known)
    expected = stats.norm.ppf(stats.rankdata(known) / (len(known) + 1))
    middle = np.abs(expected) < 1.5
    np.testing.assert_allclose(score[middle], expected[middle], atol=0.06)
    assert abs(stats.skew(score)) < 0.2 < stats.skew(known)


def test_an_outlier_moves_nothing():
    known = np.random.default_rng(0).normal(size=500)
    normaliser = fitted(known)
    high, higher = apply(normaliser, np.array([known.max() + 1, 1e30]))
    assert high == higher == pytest.approx(2.88, abs=0.02)


def test_features_are_fitted_one_by_one():
    known = torch.from_numpy(np.random.default_rng(0).normal(size=(200, 2)) * [1, 50] + [0, 900]).float()
    both = QuantileNormaliser(2)
    both.fit(known)
    for column in range(2):
        alone = fitted(known[:, column].numpy())
        assert torch.equal(both(known)[0][:, [column]], alone(known[:, [column]])[0])


def test_channels_get_zero_mean_and_unit_spread():
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(50, 3, 40)) * [[1], [20], [0.1]] + [[0], [90], [-5]])
    normaliser = ChannelNormaliser(3)
    normaliser.fit(x.float())
    z = normaliser(x.float())
    torch.testing.assert_close(z.mean((0, 2)), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(z.std((0, 2), correction=0), torch.ones(3), atol=1e-3, rtol=0)


@pytest.mark.parametrize("value", [0.0, 9.81, -1e4])
def test_a_constant_channel_stays_zero(value):
    x = torch.cat([torch.full((4, 1, 10), value), torch.randn(4, 1, 10)], 1)
    normaliser = ChannelNormaliser(2)
    normaliser.fit(x)
    z = normaliser(x)
    assert z.isfinite().all()
    torch.testing.assert_close(z[:, 0], torch.zeros(4, 10), atol=1e-2, rtol=0)
    assert z[:, 1].std() == pytest.approx(1, abs=0.1)


def test_a_spike_stays_a_spike():
    normaliser = ChannelNormaliser(1)
    normaliser.fit(torch.randn(20, 1, 10))
    spike = normaliser(torch.tensor([[[0.0, 1e6, -1e6]]]))
    assert spike[0, 0, 1:].tolist() == [10, -10]


def test_one_window_of_one_sample_is_enough_to_fit():
    normaliser = ChannelNormaliser(2)
    normaliser.fit(torch.tensor([[[3.0], [4.0]]]))
    assert normaliser(torch.tensor([[[3.0], [5.0]]])).flatten().tolist() == [0, 1]


def test_constants_travel_with_the_weights():
    fitted_one, fresh = fitted(np.arange(30)), QuantileNormaliser(1)
    fresh.load_state_dict(fitted_one.state_dict())
    new = torch.linspace(-5, 40, 20).view(-1, 1)
    assert torch.equal(fresh(new)[0], fitted_one(new)[0])


def test_a_window_on_its_own_scale_has_no_level_and_no_size() -> None:
    x, std = torch.randn(2, 3, 50, dtype=torch.float64), torch.tensor([[1.0], [2.0], [0.5]])
    own = normalise_within(x, std)
    deviation = x.std(-1, keepdim=True, correction=0)
    torch.testing.assert_close(own, (x - x.mean(-1, keepdim=True)) / (deviation + 0.003 * std))
    torch.testing.assert_close(normalise_within(1000 * x + 7, std), own, atol=0.02, rtol=0)


def test_a_spike_on_its_own_scale_is_clipped_and_a_still_window_is_0() -> None:
    x = torch.zeros(1, 2, 100)
    x[0, 0, 3] = 1e4
    own = normalise_within(x + 9.8, torch.ones(2, 1))
    assert own.abs().max() == 5
    assert own[0, 1].eq(0).all()
