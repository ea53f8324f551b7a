"""Rows on a clock: rounding step by step, gaps, runs of labels."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcdp.data.rows import gap_notes, label_runs, place_rows, spread
from dcdp.errors import FormatError


@pytest.mark.parametrize("step_ms", [33, 34])
def test_milliseconds_that_are_cut_do_not_drift_off_the_clock(step_ms):
    times = np.arange(2000) * step_ms / 1000
    assert place_rows(times, 30.0, "a").tolist() == list(range(2000))


def test_a_row_that_comes_early_still_gets_a_place():
    assert place_rows(np.array([0.0, 0.001, 0.01]), 100.0, "a").tolist() == [0, 1, 2]


@given(st.lists(st.integers(1, 6), min_size=1, max_size=60), st.sampled_from([9.0, 30.0, 100.0]))
def test_whole_steps_are_found_again(steps, rate_hz):
    position = np.cumsum([0, *steps])
    if position[-1] + 1 > 4 * len(position):
        return
    np.testing.assert_array_equal(place_rows(7.5 + position / rate_hz, rate_hz, "a"), position)


def test_a_leap_is_damage_once_it_is_most_of_the_recording():
    times = np.arange(100) / 100
    times[50:] += 2.9
    assert place_rows(times, 100.0, "a")[-1] == 389
    times[50:] += 0.2
    with pytest.raises(FormatError, match=r"leap over most of a recording: got 3.11 s more in 'a' line 51"):
        place_rows(times, 100.0, "a")


def test_missing_rows_are_nan_and_told():
    position = np.array([0, 1, 4, 6])
    values = spread(np.arange(8.0).reshape(4, 2), position)
    assert values.dtype == np.float32
    assert np.flatnonzero(np.isnan(values[:, 0])).tolist() == [2, 3, 5]
    assert values[position].ravel().tolist() == list(range(8))
    (note,) = gap_notes(position, 10.0)
    assert (note.value, note.text) == (pytest.approx(0.3), "rows are missing 2 times, 0.3 s in all")
    assert gap_notes(np.arange(5), 10.0) == ()


@given(st.lists(st.integers(0, 3), min_size=1, max_size=80))
def test_runs_say_what_the_column_says(codes):
    names = {0: None, 1: "a", 2: "b", 3: "c"}
    runs = label_runs(np.array(codes, float), names, 4.0, "a")
    found = [None] * len(codes)
    for run in runs:
        for number in range(round(run.start_s * 4), round(run.stop_s * 4)):
            assert found[number] is None
            found[number] = run.label
    assert found == [names[code] for code in codes]
    assert all(one.stop_s < other.start_s or one.label != other.label for one, other in pairwise(runs))


def test_a_run_ends_where_rows_are_missing():
    runs = label_runs(np.ones(4), {1: "a"}, 1.0, "a", np.array([0, 1, 5, 6]))
    assert [(run.start_s, run.stop_s) for run in runs] == [(0.0, 2.0), (5.0, 7.0)]


def test_an_unknown_label_names_its_line():
    with pytest.raises(FormatError, match=r"label must be one of 0, 1: got 2 in 'a' line 12"):
        label_runs(np.array([0, 1, 2.0]), {0: None, 1: "a"}, 1.0, "a", first_line=10)
