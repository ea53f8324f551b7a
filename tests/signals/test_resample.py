"""Resampling keeps what the new rate can hold, and nothing else."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcdp.errors import ConfigError
from dcdp.signals import resample

rates = st.sampled_from([20.0, 25.0, 31.25, 33.3, 50.0, 51.2, 64.0, 98.4, 100.0])


def tone(hz: float, rate_hz: float, n_samples: int) -> np.ndarray:
    time_s = np.arange(n_samples) / rate_hz
    wave = np.column_stack([np.sin(2 * np.pi * hz * time_s), 9.8 + np.cos(2 * np.pi * hz * time_s)])
    return wave.astype(np.float32)


@settings(max_examples=40, deadline=None)
@given(rates, rates, st.floats(0.5, 4.0))
def test_a_slow_tone_is_the_same_at_any_rate(rate_hz: float, to_hz: float, hz: float) -> None:
    n_samples = round(10 * rate_hz)
    there = resample(tone(hz, rate_hz, n_samples), rate_hz, to_hz)
    assert there.dtype == np.float32
    assert len(there) == pytest.approx(n_samples * to_hz / rate_hz, abs=1.01)
    inner = slice(round(2 * to_hz), round(8 * to_hz))  # the filter has no signal beyond the ends
    np.testing.assert_allclose(there[inner], tone(hz, to_hz, len(there))[inner], atol=0.02)


@settings(max_examples=40, deadline=None)
@given(rates, rates, st.floats(0.5, 4.0))
def test_there_and_back(rate_hz: float, to_hz: float, hz: float) -> None:
    source = tone(hz, rate_hz, round(10 * rate_hz))
    back = resample(resample(source, rate_hz, to_hz), to_hz, rate_hz)
    inner = slice(round(2 * rate_hz), round(8 * rate_hz))
    np.testing.assert_allclose(back[inner], source[inner], atol=0.03)


@pytest.mark.parametrize("hz", [30.0, 40.0, 45.0])
def test_what_the_new_rate_cannot_hold_is_gone(hz: float) -> None:
    low = resample(tone(hz, 100.0, 1000), 100.0, 25.0)[50:-50]
    assert np.abs(low[:, 0]).max() < 0.01  # taking every fourth sample would keep it whole, as a false slow tone
    np.testing.assert_allclose(low[:, 1], 9.8, atol=0.01)


def test_a_constant_keeps_its_level_to_the_ends() -> None:
    np.testing.assert_allclose(resample(np.full((100, 2), 9.8, np.float32), 50.0, 20.0), 9.8, rtol=1e-3)


@given(rates, rates, st.integers(2, 120), st.integers(0, 100), st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_missing_stays_missing_and_in_its_place(
    rate_hz: float, to_hz: float, n_samples: int, start: int, length: int
) -> None:
    source = np.ones((n_samples, 2), np.float32)
    source[start : start + length, 0] = np.nan
    result = resample(source, rate_hz, to_hz)
    assert np.isfinite(result[:, 1]).all()
    for number, value in enumerate(result[:, 0]):
        place = number * rate_hz / to_hz
        around = {math.floor(place + 1e-6), min(math.ceil(place - 1e-6), n_samples - 1)}
        assert np.isnan(value) == any(np.isnan(source[row, 0]) for row in around)


def test_a_gap_does_not_ring() -> None:
    source = tone(1.0, 100.0, 1000)
    source[400:500] = np.nan
    result = resample(source, 100.0, 50.0)
    good = np.isfinite(result[:, 0])
    assert good.sum() == pytest.approx(450, abs=2)
    np.testing.assert_allclose(result[good], tone(1.0, 50.0, 500)[good], atol=0.2)


def test_the_same_rate_is_a_copy() -> None:
    source = tone(1.0, 50.0, 20)
    same = resample(source, 50.0, 50.0)
    np.testing.assert_array_equal(same, source)
    assert not np.shares_memory(same, source)
    assert resample(source[:0], 50.0, 25.0).shape == (0, 2)


def test_a_rate_of_zero_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"rates must be positive: got 50\.0 to 0\.0 Hz"):
        resample(np.zeros((3, 1), np.float32), 50.0, 0.0)


@pytest.mark.parametrize(("to_hz", "n_samples"), [(25.0, 1), (50.0, 1), (120.0, 3)])
def test_one_sample_is_held(to_hz: float, n_samples: int) -> None:
    np.testing.assert_array_equal(resample(np.full((1, 2), 7, np.float32), 50.0, to_hz), np.full((n_samples, 2), 7))
