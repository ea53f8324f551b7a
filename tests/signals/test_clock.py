"""Times are put in order without losing any, and a signal is the same on a regular clock as it was in the world."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcdp.errors import ConfigError, DataError, FormatError
from dcdp.records import Note, Stream, Track
from dcdp.signals import on_clock, regularise, tidy_times

UNHURRIED = settings(deadline=None, max_examples=60)
TICKS = st.lists(st.tuples(st.integers(0, 12), st.sampled_from([None, 1.0, 2.0, 3.0])), max_size=30)


def stream_of(times_s: np.ndarray, values: np.ndarray, rate_hz: float | None = None) -> Stream:
    values = np.asarray(values, float).reshape(len(times_s), values.size // max(len(times_s), 1) or 1)
    channels = tuple(f"c{number}" for number in range(values.shape[1]))
    return Stream("wrist_acc", "acc", "wrist", channels, "m/s2", times_s.astype(float), values, "watch", rate_hz)


def wave(times_s: np.ndarray, hz: float = 2.0) -> np.ndarray:
    return np.column_stack([np.sin(2 * np.pi * hz * times_s), 9.8 + np.cos(2 * np.pi * hz * times_s)])


def track_times(track: Track, origin_s: float = 0.0) -> np.ndarray:
    return origin_s + track.start_s + np.arange(len(track.values)) / track.signal.rate_hz


def told(notes: tuple[Note, ...], kind: str) -> Note:
    (note,) = [note for note in notes if note.kind == kind]
    assert note.signal == "wrist_acc"
    return note


@given(TICKS)
def test_tidy_keeps_every_distinct_time_and_its_first_values(rows: list[tuple[int, float | None]]) -> None:
    times_s = np.array([tick / 4 for tick, _ in rows])
    values = np.array([np.nan if value is None else value for _, value in rows]).reshape(-1, 1)
    tidy_s, tidy, notes = tidy_times(times_s, values, "wrist_acc")
    assert tidy_s.tolist() == sorted(set(times_s.tolist()))
    for time_s, value in zip(tidy_s, tidy[:, 0], strict=True):
        measured = [v for (tick, v) in rows if tick / 4 == time_s and v is not None]
        assert value == measured[0] if measured else np.isnan(value)
    n_late = sum(time_s < max(times_s[: row + 1]) for row, time_s in enumerate(times_s))
    expected = {"out_of_order": n_late, "duplicate_times": len(rows) - len(tidy_s)}
    assert {note.kind: note.value for note in notes} == {kind: n for kind, n in expected.items() if n}


def test_tidy_says_count_and_share() -> None:
    _, _, notes = tidy_times(np.array([0.0, 2, 1, 3, 3, 4, 5, 6]), np.zeros((8, 1)), "wrist_acc")
    assert told(notes, "out_of_order").text.startswith("1 of 8 rows (12.5 %) were out of order")
    assert told(notes, "duplicate_times").text == "1 of 8 rows (12.5 %) had the time of another"


def test_tidy_leaves_good_rows_alone() -> None:
    times_s, values = np.arange(5.0), np.ones((5, 2))
    same_s, same, notes = tidy_times(times_s, values, "a")
    assert notes == ()
    np.testing.assert_array_equal(same_s, times_s)
    np.testing.assert_array_equal(same, values)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_times_that_are_not_finite_are_refused(wrong: float) -> None:
    with pytest.raises(FormatError, match=r"the times of 'a' must be finite: got 1 of 3 rows .* the first is row 2"):
        tidy_times(np.array([0.0, wrong, 1.0]), np.zeros((3, 1)), "a")


def test_a_clock_that_was_set_back_is_refused_with_its_row() -> None:
    times_s = np.arange(1000) / 50
    times_s[600:] -= 5.003
    with pytest.raises(FormatError, match=r"clock of 'a' must not be set back: got 6\.997 s after 11\.98 s in row 601"):
        tidy_times(times_s, np.zeros((1000, 1)), "a")


def test_blocks_in_the_wrong_order_and_repeated_blocks_are_not_a_clock_set_back() -> None:
    times_s = np.arange(1000) / 50
    swapped = np.concatenate([times_s[600:], times_s[:600]])
    assert [note.kind for note in tidy_times(swapped, np.zeros((1000, 1)), "a")[2]] == ["out_of_order"]
    repeated = np.concatenate([times_s, times_s[300:500]])
    kinds = [note.kind for note in tidy_times(repeated, np.zeros((1200, 1)), "a")[2]]
    assert kinds == ["out_of_order", "duplicate_times"]


@UNHURRIED
@given(
    st.integers(0, 2**32), st.sampled_from([20.0, 50.0, 100.0]), st.floats(0, 0.3), st.booleans(),
    st.integers(0, 40), st.floats(0, 3), st.sampled_from([0.0, 1.7e9]),
)  # fmt: skip
def test_regularise_recovers_a_sine(
    seed: int, rate_hz: float, jitter: float, shuffled: bool, n_twins: int, gap_s: float, start_s: float
) -> None:
    """Within 2 pi f times a tenth of a period (rounded times) and 0.03; 0.15 more at 20 Hz where samples are lost."""
    rng = np.random.default_rng(seed)
    true_s = (np.arange(round(20 * rate_hz)) + rng.uniform(-jitter, jitter, round(20 * rate_hz))) / rate_hz
    true_s = true_s[(true_s < 9) | (true_s > 9 + gap_s)]
    rows = np.concatenate([np.arange(len(true_s)), rng.integers(0, len(true_s), n_twins)])
    rows = rng.permutation(rows) if shuffled else np.sort(rows)
    track, notes = regularise(stream_of(start_s + true_s[rows], wave(true_s)[rows]), origin_s=start_s)
    assert track.signal.rate_hz == pytest.approx(rate_hz, rel=0.006)
    found = track.values
    missing = np.isnan(found).any(axis=1)
    lost_s = np.diff(true_s).max()
    bound = 2 * np.pi * 2.0 * 0.1 / rate_hz + 0.03 + (0.15 * 20 / rate_hz if lost_s > 1.7 / rate_hz else 0.0)
    assert np.abs(found - wave(track_times(track)))[~missing].max() < bound
    if lost_s > 3.7 / rate_hz:
        assert missing.sum() == pytest.approx((lost_s - 1 / rate_hz) * rate_hz, abs=2.2)
        assert told(notes, "gap").value == pytest.approx(lost_s - 1 / rate_hz, abs=0.05 / rate_hz + 1e-3)
    elif lost_s < 2.9 / rate_hz:
        assert not missing.any()
    assert ("duplicate_times" in {note.kind for note in notes}) == (n_twins > 0)
    if jitter > 0.1:
        assert told(notes, "rate_jitter").value == pytest.approx(0.87 * jitter / rate_hz, rel=0.4)


@pytest.mark.parametrize("stamp", ["start", "end", "rounded"])
@pytest.mark.parametrize("nominal_hz", [None, 50.0])
def test_batches_are_spread_evenly(stamp: str, nominal_hz: float | None) -> None:
    true_s = np.arange(3000) / 50
    batch = np.floor(true_s + 1e-9)
    times_s = {"start": batch, "end": batch + 1 + np.tile(np.arange(50) * 1e-4, 60), "rounded": np.rint(true_s)}[stamp]
    track, notes = regularise(stream_of(times_s, wave(true_s, 0.5), nominal_hz))
    assert track.signal.rate_hz == pytest.approx(50.0, rel=1e-3)
    assert told(notes, "bursts").value == pytest.approx(1.0, abs=0.01)
    assert len(track.values) == pytest.approx(3000, abs=2)
    offset_s = {"start": -0.49, "end": 0.51, "rounded": 0.0}[stamp]
    expected = wave(track_times(track) - offset_s, 0.5)
    assert np.abs(track.values - expected).max() < 0.05


def test_a_lost_batch_is_a_gap() -> None:
    true_s = np.delete(np.arange(3000) / 50, np.s_[1000:1150])
    track, notes = regularise(stream_of(np.floor(true_s + 1e-9), wave(true_s, 0.5)))
    assert told(notes, "gap").value == pytest.approx(3.0, abs=0.1)
    assert np.isnan(track.values).all(axis=1).sum() == pytest.approx(150, abs=3)


def test_pauses_between_stretches_are_not_batches() -> None:
    times_s = np.concatenate([60 * minute + np.arange(800) / 40 for minute in range(10)])
    track, notes = regularise(stream_of(times_s, np.ones(8000)))
    assert track.signal.rate_hz == 40.0
    assert told(notes, "gap").text.startswith("9 gaps of 360 s in all, the longest of 40.0")


def test_a_sensor_that_reports_when_it_likes() -> None:
    rng = np.random.default_rng(0)
    times_s = np.cumsum(rng.choice([0.3, 1.0, 2.4], 200))
    track, notes = regularise(stream_of(times_s, 60 + times_s / 10, 1.0))
    assert track.signal.rate_hz == 1.0
    np.testing.assert_allclose(track.values[:, 0], 60 + track_times(track) / 10, atol=0.03)
    assert told(notes, "rate_jitter").value > 0.5


def test_no_rate_above_the_wanted_one_is_aliased() -> None:
    times_s = np.arange(4000) / 200
    track, notes = regularise(stream_of(times_s, np.sin(2 * np.pi * 33 * times_s)), rate_hz=25.0)
    assert np.abs(track.values[20:-20]).max() < 0.01  # plain interpolation would keep it whole, as 8 Hz
    assert told(notes, "resampled").text == "resampled from 200 Hz to 25 Hz"
    slow, _ = regularise(stream_of(times_s, wave(times_s)), rate_hz=25.0)
    assert np.abs(slow.values - wave(track_times(slow)))[20:-20].max() < 0.01


def test_a_rate_that_is_not_the_declared_one_is_said() -> None:
    track, notes = regularise(stream_of(np.arange(500) / 50, np.zeros(500), 100.0))
    assert track.signal.rate_hz == 50.0
    assert told(notes, "rate").text == "the rate is 50 Hz, not 100 Hz as declared"


def test_a_stray_time_is_left_out_and_said() -> None:
    times_s = 1.7e9 + np.arange(500) / 50
    times_s[3] = 0.0
    track, notes = regularise(stream_of(times_s, np.arange(500)), origin_s=1.7e9)
    assert told(notes, "stray_times").value == 1
    assert len(track.values) == 500
    assert track.start_s == 0.0


def test_time_without_recording_must_not_ask_for_memory() -> None:
    times_s = np.concatenate([np.arange(500) / 50, 1.7e9 + np.arange(500) / 50])
    with pytest.raises(FormatError, match=r"no gap of most of its time: got 1000 samples at 50 Hz over 1\.7e"):
        regularise(stream_of(times_s, np.zeros(1000)))


def test_a_night_between_two_sessions_is_a_gap() -> None:
    times_s = np.concatenate([np.arange(500) / 20, 4e4 + np.arange(500) / 20])
    track, notes = regularise(stream_of(times_s, np.ones(1000)))
    assert len(track.values) == 800_500
    assert told(notes, "gap").value == pytest.approx(4e4 - 25)


def test_rows_without_values_do_not_count() -> None:
    values = np.full(1000, np.nan)
    values[::50] = np.arange(20)
    track, _ = regularise(stream_of(np.arange(1000) / 50, values))
    assert track.signal.rate_hz == 1.0
    assert track.values.ravel().tolist() == list(range(20))


def test_none_one_and_two_rows() -> None:
    with pytest.raises(DataError, match="'wrist_acc' must hold values: got none in 0 rows"):
        regularise(stream_of(np.empty(0), np.empty((0, 1))))
    with pytest.raises(DataError, match="must hold values: got none in 2 rows"):
        regularise(stream_of(np.arange(2.0), np.full(2, np.nan)))
    with pytest.raises(DataError, match="the times of 'wrist_acc' must differ: got 1 rows at one time"):
        regularise(stream_of(np.zeros(1), np.zeros(1)))
    with pytest.raises(DataError, match="the times of 'wrist_acc' must differ: got 60 rows at one time"):
        regularise(stream_of(np.zeros(60), np.arange(60), 50.0))
    track, notes = regularise(stream_of(np.array([7.0]), np.array([3.0]), 50.0), origin_s=5.0)
    assert (track.start_s, track.values.tolist(), notes) == (2.0, [[3.0]], ())
    track, _ = regularise(stream_of(np.array([0.0, 0.5]), np.array([1.0, 2.0])))
    assert (track.signal.rate_hz, track.values.ravel().tolist()) == (2.0, [1.0, 2.0])


@pytest.mark.parametrize("options", [{"rate_hz": 0.0}, {"max_gap_s": -1.0}, {"rate_hz": np.nan}])
def test_senseless_options_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=rf"{next(iter(options))} must be positive"):
        regularise(stream_of(np.arange(9.0), np.zeros(9)), **options)


def test_the_longest_gap_that_is_bridged_is_a_choice() -> None:
    stream = stream_of(np.delete(np.arange(100) / 10, np.s_[40:50]), np.arange(90))
    assert np.isnan(regularise(stream)[0].values).sum() == 10
    assert not np.isnan(regularise(stream, max_gap_s=1.2)[0].values).any()


def test_a_clock_may_start_before_or_after_the_first_sample() -> None:
    times_s, values = np.array([1.0, 1.1, 1.2]), np.array([[1.0], [2.0], [3.0]])
    assert np.isnan(on_clock(times_s, values, 10.0, start_s=0.8)).ravel().tolist() == [True, True, False, False, False]
    assert on_clock(times_s, values, 10.0, start_s=1.1).ravel().tolist() == [2.0, 3.0]
    assert on_clock(times_s, values, 10.0, start_s=9.0).shape == (0, 1)


def test_a_missing_cell_spoils_no_sample_on_the_clock() -> None:
    times_s = np.arange(20) / 10 + np.where(np.arange(20) > 10, 0.03, 0.0)
    values = np.arange(20.0)[:, None].repeat(2, axis=1)
    values[5, 0] = np.nan
    found = on_clock(times_s, values, 10.0)
    assert np.flatnonzero(np.isnan(found[:, 0])).tolist() == [5]
    assert not np.isnan(found[:, 1]).any()
    assert found[12:, 1] == pytest.approx(np.arange(12, 20) - 0.3, abs=0.05)
