"""Disturbances: nothing at severity 0, the stated size otherwise, and the same whenever the same place is asked for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dcdp.errors import ConfigError
from dcdp.signals.corruptions import (
    CORRUPTIONS,
    add_bias,
    add_drift,
    add_noise,
    get_corruption,
    hold_lost,
    samples_since_kept,
    thin,
    turn,
)
from dcdp.signals.keyed import key_of, key_of_words, normal, uniform

WINDOWS = arrays(np.float32, (3, 7, 3), elements=st.floats(-50, 50, width=32))
SAMPLES = key_of(5, np.arange(3)[:, None] * 100 + np.arange(7))
PERSONS = key_of(5, np.arange(3))


def white(n_windows=400, n_samples=60, n_channels=3):
    return np.zeros((n_windows, n_samples, n_channels), np.float32)


def keys(values):
    return key_of(3, np.arange(len(values))[:, None] * values.shape[1] + np.arange(values.shape[1]))


@given(values=WINDOWS)
def test_severity_0_is_the_identity_bit_for_bit(values):
    before = values.tobytes()
    for same in (
        add_noise(values, 0.0, SAMPLES), add_bias(values, np.zeros(3), PERSONS), add_drift(values, 0.0, SAMPLES),
        turn(values, 0.0, PERSONS), thin(values, 0), hold_lost(values, np.zeros((3, 7), bool)),
    ):  # fmt: skip
        assert same.tobytes() == before
        assert same.dtype == np.float32


@given(values=WINDOWS, angle=st.floats(1, 180))
def test_no_function_changes_what_it_was_given(values, angle):
    before = values.copy()
    lost = np.zeros((3, 7), bool)
    lost[:, 2:4] = True
    add_noise(values, 1.0, SAMPLES)
    add_bias(values, 1.0, PERSONS)
    add_drift(values, 1.0, SAMPLES)
    turn(values, angle, PERSONS)
    thin(values, 1)
    hold_lost(values, lost)
    np.testing.assert_array_equal(values, before)


def test_noise_has_the_stated_deviation_by_channel():
    noise = add_noise(white(), np.array([0.5, 2.0, 0.0]), keys(white()))
    np.testing.assert_allclose(noise.std((0, 1)), [0.5, 2.0, 0.0], rtol=0.02)
    np.testing.assert_allclose(noise.mean((0, 1)), 0, atol=0.05)
    between = np.corrcoef(noise[:, 1:, 0].ravel(), noise[:, :-1, 0].ravel())[0, 1]
    assert abs(between) < 0.02  # white
    assert abs(np.corrcoef(noise[..., 0].ravel(), noise[..., 1].ravel())[0, 1]) < 0.02


@given(size=st.floats(0.01, 20))
def test_a_bias_has_the_stated_size_is_constant_and_takes_both_signs(size):
    values = white(200, 5)
    bias = add_bias(values, size, key_of(1, np.arange(200)))
    np.testing.assert_allclose(np.abs(bias), size, rtol=1e-6)
    assert (bias == bias[:, :1]).all()
    assert 0.3 < (bias[:, 0] > 0).mean() < 0.7
    assert {tuple(signs) for signs in np.sign(bias[:, 0]).astype(int).tolist()} == {
        (a, b, c) for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)
    }


def test_a_drift_begins_at_0_and_reaches_the_stated_deviation_as_a_walk():
    walk = add_drift(white(3000, 41, 1), 2.0, keys(white(3000, 41, 1)))[..., 0]
    assert (walk[:, 0] == 0).all()
    assert walk[:, -1].std() == pytest.approx(2.0, rel=0.05)
    assert walk[:, 10].std() == pytest.approx(1.0, rel=0.05)  # a quarter of the steps: half the deviation


def test_a_drift_needs_time():
    values = white(2, 1)
    assert add_drift(values, 1.0, keys(values)) is values


@given(values=WINDOWS, angle=st.floats(0.1, 180))
def test_a_rotation_keeps_norms_and_angles_between_vectors(values, angle):
    turned = turn(values, angle, PERSONS)
    np.testing.assert_allclose(np.linalg.norm(turned, axis=2), np.linalg.norm(values, axis=2), rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(np.einsum("btc,bsc->bts", turned, turned), np.einsum("btc,bsc->bts", values, values),
                               rtol=1e-4, atol=1e-2)  # fmt: skip


@given(angle=st.floats(1, 179))
def test_a_rotation_turns_by_the_stated_angle_and_never_mirrors(angle):
    axes = np.tile(np.eye(3, dtype=np.float32), (50, 1, 1))
    turned = turn(axes, angle, key_of(9, np.arange(50))).astype(np.float64)
    np.testing.assert_allclose(np.linalg.det(turned), 1, atol=1e-5)
    trace = np.trace(turned, axis1=1, axis2=2)  # 1 + 2 cos of the angle
    np.testing.assert_allclose(np.degrees(np.arccos((trace - 1) / 2)), angle, atol=0.1)


def test_rotation_axes_are_uniform():
    axes = turn(np.tile(np.eye(3, dtype=np.float32), (4000, 1, 1)), 90.0, key_of(2, np.arange(4000)))
    # Averaged over all axes, a turn by 90 degrees keeps a third of every vector.
    np.testing.assert_allclose(axes.mean(0), np.eye(3) / 3, atol=0.03)


def test_half_the_rate_keeps_every_second_sample_and_draws_lines():
    ramp = np.arange(8, dtype=np.float32).reshape(1, 8, 1) ** 2
    assert thin(ramp, 1).ravel().tolist() == [0, 2, 4, 10, 16, 26, 36, 36]
    assert thin(ramp, 2).ravel().tolist() == [0, 4, 8, 12, 16, 16, 16, 16]
    assert thin(ramp[:, :1], 2).tolist() == ramp[:, :1].tolist()


@given(lost=arrays(np.bool_, (4, 9)))
def test_lost_samples_hold_the_last_kept_one(lost):
    values = np.arange(36, dtype=np.float32).reshape(4, 9, 1)
    held = hold_lost(values, lost)
    for row in range(4):
        kept = np.flatnonzero(~lost[row])
        for t in range(9):
            source = t if not len(kept) else max((k for k in kept if k <= t), default=kept[0])
            assert held[row, t, 0] == values[row, source, 0]


@given(lost=arrays(np.bool_, (3, 8)))
def test_the_time_since_a_sample_was_kept_is_what_a_loop_counts(lost):
    since = samples_since_kept(lost)
    for row in range(3):
        count = 8
        for t in range(8):
            count = 0 if not lost[row, t] else count + 1
            assert since[row, t] == count if count < 9 else since[row, t] >= 8


def test_keys_give_uniform_and_normal_numbers():
    many = key_of(0, np.arange(200_000))
    drawn = uniform(many)
    assert 0 < drawn.min() < drawn.max() < 1
    np.testing.assert_allclose(np.histogram(drawn, 10, (0, 1))[0] / len(drawn), 0.1, atol=0.003)
    z = normal(many)
    np.testing.assert_allclose([z.mean(), z.std(), (z**3).mean(), (z**4).mean()], [0, 1, 0, 3], atol=0.06)
    assert len(np.unique(many)) == len(many)


@settings(max_examples=30)
@given(seed=st.integers(0, 2**62), other=st.integers(0, 2**62))
def test_the_same_key_draws_the_same_and_another_seed_another(seed, other):
    rows = np.arange(20)
    assert (key_of(seed, rows) == key_of(seed, rows)).all()
    assert (key_of(seed, rows)[::-1] == key_of(seed, rows[::-1])).all()
    assert seed == other or not (key_of(seed, rows) == key_of(other, rows)).any()


def test_words_have_keys_of_their_own_on_every_machine():
    keys_ = key_of_words([["s1", "s2"], ["s2", "s1"]])
    assert keys_.shape == (2, 2)
    assert keys_[0, 0] == keys_[1, 1] != keys_[0, 1]
    assert int(key_of_words("s1")) == 6064584127301525897  # of BLAKE2b, not of this process


def test_corruptions_are_known_by_name():
    assert all(name == one.name and list(one.severities) == sorted(set(one.severities)) for name, one in
               CORRUPTIONS.items())  # fmt: skip
    assert all(one.severities[0] > 0 for one in CORRUPTIONS.values())
    with pytest.raises(ConfigError, match="Did you mean 'noise'"):
        get_corruption("nois")


def test_senseless_sizes_are_refused():
    with pytest.raises(ConfigError, match="must have a size >= 0"):
        add_noise(white(1), -1.0, keys(white(1)))
    with pytest.raises(ConfigError, match="must have a size >= 0"):
        add_bias(white(1), np.nan, key_of(1, np.arange(1)))
    with pytest.raises(ConfigError, match="halvings must be a whole number"):
        thin(white(1), 0.5)
