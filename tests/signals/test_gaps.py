"""Gaps are bridged from the past alone, and not for long."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dcdp.errors import ConfigError
from dcdp.signals import hold_last, nan_runs

values = arrays(
    np.float32,
    st.tuples(st.integers(0, 25), st.integers(1, 3)),
    elements=st.one_of(st.just(float("nan")), st.integers(-4, 4).map(float)),
)
limits = st.integers(0, 6)


def slow_hold(column: np.ndarray, limit: int) -> list[float]:
    held, last, age = [], np.nan, 0
    for value in column:
        last, age = (last, age + 1) if np.isnan(value) else (value, 0)
        held.append(last if age <= limit else np.nan)
    return held


@given(values, limits)
def test_equals_a_slow_loop(recorded: np.ndarray, limit: int) -> None:
    expected = np.array([slow_hold(column, limit) for column in recorded.T], np.float32).T.reshape(recorded.shape)
    held = hold_last(recorded, limit)
    assert held.dtype == recorded.dtype
    np.testing.assert_array_equal(held, expected)


@given(values, limits, st.integers(0, 25), st.integers(-9, 9))
def test_the_future_never_changes_the_past(recorded: np.ndarray, limit: int, now: int, other: int) -> None:
    changed = recorded.copy()
    changed[now:] = other
    np.testing.assert_array_equal(hold_last(recorded, limit)[:now], hold_last(changed, limit)[:now])


@given(values, limits)
def test_what_was_measured_stays(recorded: np.ndarray, limit: int) -> None:
    measured = ~np.isnan(recorded)
    np.testing.assert_array_equal(hold_last(recorded, limit)[measured], recorded[measured])


@given(values)
def test_short_gaps_are_held_once_and_for_all(recorded: np.ndarray) -> None:
    held = hold_last(recorded, len(recorded))
    np.testing.assert_array_equal(hold_last(held, len(recorded)), held)


def test_a_long_gap_is_held_at_its_head_only() -> None:
    recorded = np.array([[7.0], *[[np.nan]] * 5, [8.0]])
    assert np.isnan(hold_last(recorded, 2)).ravel().tolist() == [False, False, False, True, True, True, False]


def test_the_source_is_not_written() -> None:
    recorded = np.array([[1.0], [np.nan]])
    hold_last(recorded, 1)[0] = 5.0
    assert np.isnan(recorded[1, 0])
    assert recorded[0, 0] == 1.0
    whole = np.array([[1.0], [2.0]])
    hold_last(whole, 1)[0] = 5.0
    assert whole[0, 0] == 1.0


def test_a_negative_limit_is_refused() -> None:
    with pytest.raises(ConfigError, match="max_gap_samples must not be negative: got -1"):
        hold_last(np.zeros((3, 1)), -1)


@given(values)
def test_runs_are_the_missing_rows(recorded: np.ndarray) -> None:
    runs = nan_runs(recorded)
    rows = [row for start, stop in runs for row in range(start, stop)]
    assert rows == np.flatnonzero(np.isnan(recorded).any(axis=1)).tolist()
    assert (runs[1:, 0] > runs[:-1, 1]).all()  # apart, so that no run is told in two pieces
