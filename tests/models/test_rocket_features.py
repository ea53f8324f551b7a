"""Fixed convolutions: the formula written out, the scale, and what an absent channel hides."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch

from dcdp.models.rocket import RocketFeatures


@pytest.fixture
def fitted():
    def make(n_channels=4, n_samples=60, rate_hz=50.0, n=40):
        torch.manual_seed(0)
        features = RocketFeatures(n_channels, n_samples, rate_hz)
        x = torch.randn(n, n_channels, n_samples)
        features.fit(x)
        return features, x

    return make


def share_above(window, kernel, reads, dilation, threshold):
    """Return the share of time in which the response to one kernel exceeds its threshold, sample by sample."""
    n_channels, n = window.shape
    above = 0
    for t in range(n):
        response = 0.0
        for c in range(n_channels):
            for place in range(9):
                at = t + dilation * (place - 4)
                if reads[c] and 0 <= at < n:
                    response += kernel[place] * window[c, at]
        above += response > threshold
    return above / n


def test_each_feature_is_the_share_of_time_above_its_threshold(fitted):
    features, _ = fitted(n_channels=2, n_samples=25, n=12)
    x = torch.randn(1, 2, 25)  # thresholds are responses to training windows: there a tie could fall either way
    raw = features(x) * features.std + features.mean
    kernels = [[2.0 if place in own else -1.0 for place in range(9)] for own in combinations(range(9), 3)]
    assert features.dilations == (1, 2, 3)
    column = 0
    for level, dilation in enumerate(features.dilations):
        for k, kernel in enumerate(kernels):
            for threshold in features.threshold[level, k].tolist():
                if column % 41 == 0:  # every one takes long
                    reads = features.reads[level, k].tolist()
                    expected = share_above(x[0].numpy(), kernel, reads, dilation, threshold)
                    assert raw[0, column] == pytest.approx(expected, abs=1e-5)
                column += 1
    assert column == features.n_features == raw.shape[1]


def test_training_windows_have_mean_0_and_deviation_1(fitted):
    features, x = fitted()
    out = features(x)
    assert out.mean(0).abs().max() < 1e-4
    assert (out.std(0, correction=0) - 1).abs().max() < 1e-3
    assert 0.4 < float(features.mean.mean()) < 0.6  # thresholds are spread over all quantiles


def test_a_hidden_channel_hides_what_is_read_from_it_and_nothing_else(fitted):
    features, x = fitted()
    keep = torch.ones(1, 4)
    assert features.seen(keep).all()
    keep[0, 1] = 0
    seen = features.seen(keep)[0] > 0
    other = x.clone()
    other[:, 1] = torch.randn(len(x), x.shape[-1])
    changed = (features(x) != features(other)).any(0)
    assert not (changed & seen).any()
    assert changed[~seen].float().mean() > 0.99
    assert features.reads.sum(-1).unique().tolist() == [1.0, 2.0, 3.0]


def test_fast_sensors_are_thinned_to_50_hz_and_slow_ones_may_have_a_single_sample(fitted):
    fast, x = fitted(n_channels=3, n_samples=120, rate_hz=100.0)
    halved, _ = fitted(n_channels=3, n_samples=60, rate_hz=50.0)
    halved.load_state_dict(fast.state_dict())
    torch.testing.assert_close(fast(x), halved(x.view(len(x), 3, 60, 2).mean(-1)))
    slow, one = fitted(n_channels=1, n_samples=1, rate_hz=0.33)
    assert slow(one).isfinite().all()


def test_the_same_seed_reads_the_same_channels():
    one, same, other = (RocketFeatures(6, 75, 25.0, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.reads, same.reads)
    assert (one.reads != other.reads).any()
