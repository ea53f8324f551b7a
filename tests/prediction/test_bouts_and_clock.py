"""Windows merge into bouts that cover the recording once; samples find their place on a regular clock."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcdp.errors import FormatError
from dcdp.prediction.bouts import Bout, merge_windows
from dcdp.signals.clock import on_clock, sampling_rate

UNHURRIED = settings(deadline=None)  # a busy machine is no failure
LABELS = st.lists(st.sampled_from("abc"), min_size=1, max_size=30)


@UNHURRIED
@given(LABELS, st.floats(0.5, 5), st.floats(0.1, 5))
def test_bouts_tile_an_unbroken_recording(labels: list[str], window_s: float, stride_s: float) -> None:
    times_s = np.arange(len(labels)) * stride_s
    bouts = merge_windows(times_s, labels, window_s, stride_s)
    assert (bouts[0].start_s, bouts[-1].stop_s) == pytest.approx((0, times_s[-1] + window_s))
    for before, after in pairwise(bouts):
        assert before.stop_s == after.start_s
        assert before.label != after.label
    for centre_s, label in zip(times_s + window_s / 2, labels, strict=True):
        assert [bout.label for bout in bouts if bout.start_s <= centre_s < bout.stop_s] == [label]


def test_a_gap_ends_a_bout() -> None:
    found = merge_windows(np.array([0.0, 1.0, 5.0]), ["a", "a", "a"], 2.0, 1.0)
    assert found == (Bout("a", 0.0, 3.0), Bout("a", 5.0, 7.0))


def test_no_window_gives_no_bout() -> None:
    assert merge_windows(np.empty(0), [], 2.0, 1.0) == ()


@UNHURRIED
@given(
    st.integers(2, 400), st.floats(0.5, 500), st.sampled_from([0.0, 10.0, 1.7e9]), st.integers(0, 2**32),
    st.integers(0, 60), st.sampled_from([0, 3]),
)  # fmt: skip
def test_regular_samples_keep_their_values_and_lost_ones_are_missing(
    n: int, rate_hz: float, start_s: float, seed: int, n_lost: int, digits: int
) -> None:
    rate_hz = round(rate_hz, 1) if start_s < 1e9 else min(round(rate_hz, 1), 100.0)
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n, 2)).astype(np.float32)
    kept = np.ones(n, bool)
    kept[rng.integers(1, n, min(n_lost, n // 4))] = False
    kept[[0, -1]] = True
    times_s = start_s + np.arange(n) / rate_hz
    if digits and rate_hz <= 60:
        times_s = times_s.round(digits)
    found = on_clock(times_s[kept], values[kept].astype(float), rate_hz)
    assert found.dtype == np.float32
    assert np.array_equal(found, np.where(kept[:, None], values, np.nan), equal_nan=True)


@UNHURRIED
@given(st.integers(60, 500), st.floats(0.5, 200), st.integers(0, 2**32))
def test_a_rate_is_found_in_spite_of_jitter_and_loss(n: int, rate_hz: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    times_s = (np.arange(n) + rng.uniform(-0.05, 0.05, n)) / rate_hz
    kept = np.ones(n, bool)
    kept[rng.integers(0, n, n // 20)] = False
    assert sampling_rate(times_s[kept], 7.0) == pytest.approx(rate_hz, rel=0.02)
    assert sampling_rate(times_s[kept], rate_hz) == pytest.approx(rate_hz, rel=0.02)


def test_a_rate_beside_the_nominal_one_is_the_nominal_one() -> None:
    assert sampling_rate(np.arange(100) / 50.2, 50.0) == 50.0
    assert sampling_rate(np.arange(100) / 99.7, 50.0) == 100.0
    assert sampling_rate(np.arange(100) / 51.45, 50.0) == pytest.approx(51.45)


def test_times_in_bursts_have_no_rate() -> None:
    with pytest.raises(FormatError, match=r"time_s must have regular steps: got .* of 99 steps"):
        sampling_rate(np.cumsum(np.tile([0.001, 0.039], 50)), 50.0)


def test_values_between_the_ticks_are_interpolated() -> None:
    times_s = np.array([0.0, 0.8, 2.2, 3.0])
    found = on_clock(times_s, times_s[:, None] * 10, 1.0)
    assert found.ravel() == pytest.approx([0, 10, 20, 30], abs=1e-5)


def test_one_channel_may_have_gaps_of_its_own() -> None:
    values = np.array([[1.0, 1.0], [np.nan, 2.0], [3.0, 3.0]])
    assert np.array_equal(on_clock(np.arange(3.0), values, 1.0), values.astype(np.float32), equal_nan=True)


def test_a_stray_time_does_not_ask_for_memory() -> None:
    with pytest.raises(FormatError, match="no gap of most of its time: got 4 samples at 50 Hz over 1e"):
        on_clock(np.array([0, 0.02, 0.04, 1e12]), np.zeros((4, 1)), 50.0)
