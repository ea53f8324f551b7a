"""A live stream comes out as the file would, whatever the chunks it arrives in."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcdp.errors import ConfigError, DataError
from dcdp.signals import CausalResampler, resample

UNHURRIED = settings(deadline=None, max_examples=60)
rates = st.sampled_from([20.0, 25.0, 33.3, 50.0, 64.0, 100.0])
gaps = st.lists(st.tuples(st.integers(0, 300), st.integers(1, 80), st.integers(0, 1)), max_size=4)


def recorded(n_samples: int, holes: list[tuple[int, int, int]], seed: int = 0) -> np.ndarray:
    values = 9.8 + np.cumsum(np.random.default_rng(seed).normal(size=(n_samples, 2)), axis=0)
    for start, length, channel in holes:
        values[start : start + length, channel] = np.nan
    return values


@UNHURRIED
@given(rates, rates, st.integers(0, 300), gaps, st.lists(st.integers(0, 60), max_size=12), st.integers(0, 9))
def test_no_chunking_changes_one_bit(
    rate_hz: float, to_hz: float, n_samples: int, holes: list[tuple[int, int, int]], sizes: list[int], seed: int
) -> None:
    values = recorded(n_samples, holes, seed)
    stream = CausalResampler(rate_hz, to_hz, 2)
    whole, rest = stream.push(values), stream.flush()
    cuts = np.minimum(np.cumsum([0, *sizes, n_samples]), n_samples)
    parts = [stream.push(values[start:stop]) for start, stop in pairwise(cuts)]
    np.testing.assert_array_equal(np.concatenate(parts).view(np.int32), whole.view(np.int32))
    np.testing.assert_array_equal(stream.flush().view(np.int32), rest.view(np.int32))


@UNHURRIED
@given(rates, rates, st.integers(0, 300), gaps)
def test_as_many_samples_and_the_same_missing_as_in_a_file(
    rate_hz: float, to_hz: float, n_samples: int, holes: list[tuple[int, int, int]]
) -> None:
    values = recorded(n_samples, holes)
    stream = CausalResampler(rate_hz, to_hz, 2)
    live = np.concatenate([stream.push(values), stream.flush()])
    np.testing.assert_array_equal(np.isnan(live), np.isnan(resample(values.astype(np.float32), rate_hz, to_hz)))


@pytest.mark.parametrize(("rate_hz", "to_hz"), [(100.0, 25.0), (50.0, 20.0), (25.0, 64.0), (33.3, 50.0)])
def test_away_from_the_ends_it_is_the_filter_of_files(rate_hz: float, to_hz: float) -> None:
    values = recorded(800, [(400, 3, 0), (500, 1, 1)])  # gaps short enough for a straight line
    stream = CausalResampler(rate_hz, to_hz, 2)
    live = np.concatenate([stream.push(values), stream.flush()])
    of_file = resample(values.astype(np.float32), rate_hz, to_hz)
    inner = slice(round(len(live) * 0.2), round(len(live) * 0.8))
    np.testing.assert_allclose(live[inner], of_file[inner], atol=1e-4)


@pytest.mark.parametrize(("rate_hz", "to_hz"), [(100.0, 25.0), (50.0, 20.0), (25.0, 64.0), (100.0, 99.0), (50.0, 50.0)])
def test_a_sample_comes_out_after_the_delay_and_not_later(rate_hz: float, to_hz: float) -> None:
    stream = CausalResampler(rate_hz, to_hz, 1)
    n_out = 0
    for row in range(200):
        n_out += len(stream.push(np.ones((1, 1))))
        newest_s = (n_out - 1) / to_hz
        assert not n_out or newest_s + stream.delay_s < (row + 1) / rate_hz + 1e-9  # needs no row that has not come
        assert newest_s + 1 / to_hz + stream.delay_s > row / rate_hz - 1e-9  # and holds none back


def test_the_delay_is_ten_samples_of_the_lower_rate() -> None:
    assert CausalResampler(100.0, 25.0, 1).delay_s == pytest.approx(0.4)
    assert CausalResampler(25.0, 100.0, 1).delay_s == pytest.approx(0.4)
    assert CausalResampler(50.0, 50.0, 1).delay_s == 0.0


@UNHURRIED
@given(st.integers(0, 199), st.floats(-50, 50))
def test_the_future_never_changes_the_past(now: int, other: float) -> None:
    values = recorded(200, [(60, 30, 0)])
    changed = values.copy()
    changed[now:] = other
    first = CausalResampler(50.0, 20.0, 2).push(values[:now])
    stream = CausalResampler(50.0, 20.0, 2)
    np.testing.assert_array_equal(stream.push(changed)[: len(first)], first)


def test_what_the_new_rate_cannot_hold_is_gone() -> None:
    time_s = np.arange(2000) / 100
    stream = CausalResampler(100.0, 25.0, 1)
    low = stream.push(np.sin(2 * np.pi * 33 * time_s)[:, None])[20:]
    assert np.abs(low).max() < 0.01


def test_a_constant_keeps_its_level_from_the_start_and_beside_gaps() -> None:
    values = np.full((400, 1), 9.8)
    values[100:300] = np.nan
    values[300:] = -9.8
    stream = CausalResampler(50.0, 20.0, 1)
    live = np.concatenate([stream.push(values), stream.flush()])[:, 0]
    np.testing.assert_allclose(live[:40], 9.8, rtol=1e-3)
    np.testing.assert_allclose(live[120:], -9.8, rtol=1e-3)
    assert np.isnan(live[41:119]).all()


def test_a_long_gap_does_not_hold_up_the_stream() -> None:
    stream = CausalResampler(50.0, 25.0, 2)
    values = np.ones((500, 2))
    values[100:, 0] = np.nan
    live = stream.push(values)
    assert len(live) == 240
    assert np.isnan(live[50:, 0]).all()
    np.testing.assert_allclose(live[:, 1], 1.0, rtol=1e-3)


def test_reset_forgets() -> None:
    values = recorded(100, [])
    stream = CausalResampler(50.0, 20.0, 2)
    first = stream.push(values)
    stream.push(np.full((30, 2), 1e6))
    stream.reset()
    np.testing.assert_array_equal(stream.push(values), first)


def test_an_infinite_value_is_missing() -> None:
    values = np.ones((100, 1))
    values[50] = np.inf
    live = CausalResampler(50.0, 25.0, 1).push(values)
    assert np.flatnonzero(np.isnan(live)).tolist() == [25]
    np.testing.assert_allclose(np.delete(live, 25), 1.0, rtol=1e-3)


def test_memory_does_not_grow() -> None:
    stream = CausalResampler(100.0, 33.3, 1)
    sizes = []
    for number in range(300):
        stream.push(np.full((20, 1), np.nan if number % 7 == 3 else 1.0))
        sizes.append(len(stream._history) + len(stream._values))
    assert max(sizes) < 120


def test_senseless_streams_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"rates must be positive: got 50\.0 to 0\.0 Hz"):
        CausalResampler(50.0, 0.0, 1)
    with pytest.raises(ConfigError, match="n_channels must be positive: got 0"):
        CausalResampler(50.0, 25.0, 0)
    with pytest.raises(DataError, match=r"a chunk must be \(N, 3\): got shape \(5, 2\)"):
        CausalResampler(50.0, 25.0, 3).push(np.zeros((5, 2)))
