"""Windows lie where they say, carry the majority label, and know which signals they hold."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcdp.data.store import Store, memory_store
from dcdp.errors import ConfigError, DataError
from dcdp.records import LabelSet, Recording, Segment, Signal, SignalSpec, Track
from dcdp.signals import WindowConfig, cut_windows, majority_label, short_recordings

ACC = Signal("wrist_acc", "acc", "wrist", 25.0, ("x", "y", "z"), "m/s2")
MAG = Signal("wrist_mag", "mag", "wrist", 12.5, ("mx",), "uT")
HEART = Signal("chest_hr", "hr", "chest", 1.0, ("hr",), "bpm")
SPEC = SignalSpec((ACC, MAG, HEART))
LABELS = LabelSet(("sit", "walk", "run"), "other")


def track(signal: Signal, seconds: float, start_s: float = 0.0) -> Track:
    n_rows = round(seconds * signal.rate_hz)
    values = np.arange(n_rows * len(signal.channels), dtype=np.float32).reshape(n_rows, -1)
    return Track(signal, values, start_s)


def store_of(*recordings: Recording, labels: LabelSet = LABELS) -> Store:
    return memory_store(SPEC, labels, recordings, gap_s=0.0)


def walking(seconds: float = 10.0, name: str = "a") -> Recording:
    return Recording(name, f"of {name}", "1", (track(ACC, seconds),), (Segment(0.0, seconds, "walk"),))


def quarter(low: int, high: int) -> st.SearchStrategy[float]:
    return st.integers(4 * low, 4 * high).map(lambda number: number / 4)


@st.composite
def recordings(draw: st.DrawFn) -> Recording:
    """Any signals with own starts, lengths and gaps; any segments, on quarters of a second."""
    tracks = []
    for signal in draw(st.lists(st.sampled_from(SPEC.signals), min_size=1, unique=True)):
        made = track(signal, draw(quarter(1, 15)), draw(quarter(-2, 6)))
        for row in draw(st.lists(st.integers(0, 400), max_size=2)):
            made.values[row : row + 3, 0] = draw(st.sampled_from([np.nan, np.inf]))
        tracks.append(made)
    edges = draw(st.lists(quarter(-4, 25), unique=True, max_size=8).map(sorted))
    segments = [
        Segment(start, stop, draw(st.sampled_from((*LABELS.names, "other"))))
        for start, stop in pairwise(edges)
        if draw(st.booleans())
    ]
    return Recording(draw(st.sampled_from("abc")), "s", "1", tuple(tracks), tuple(segments))


def slow_label(segments: tuple[Segment, ...], start_s: float, stop_s: float) -> str:
    inside = dict.fromkeys((*LABELS.names, "other"), 0.0)
    for part in segments:
        inside[part.label] += max(0.0, min(stop_s, part.stop_s) - max(start_s, part.start_s))
    inside["other"] = stop_s - start_s - sum(inside[name] for name in LABELS.names)
    return max(inside, key=lambda name: inside[name])  # the first of equals


def slow_windows(recording: Recording, window_s: float, stride_s: float) -> list[tuple[float, dict[str, int], str]]:
    """Start, row within each whole track, and label of every window, one at a time."""
    found = []
    start_s = first_s = min(made.start_s for made in recording.tracks)
    while start_s < max(made.stop_s for made in recording.tracks):
        rows = {}
        for made in recording.tracks:
            row = math.floor((start_s - made.start_s) * made.signal.rate_hz + 0.5)
            n_samples = made.signal.n_samples(window_s)
            whole = row >= 0 and row + n_samples <= len(made.values)
            if whole and np.isfinite(made.values[row : row + n_samples]).all():
                rows[made.signal.name] = row
        if rows:
            found.append((start_s, rows, slow_label(recording.segments, start_s, start_s + window_s)))
        start_s += stride_s
        assert start_s > first_s
    return found


@settings(deadline=None, max_examples=150)
@given(st.lists(recordings(), min_size=1, max_size=3), quarter(1, 4), quarter(1, 3), st.sampled_from(["drop", "keep"]))
def test_equals_a_slow_loop(made: list[Recording], window_s: float, stride_s: float, null: str) -> None:
    store = store_of(*made)
    expected = [
        (number, *window)
        for number, recording in enumerate(made)
        for window in slow_windows(recording, window_s, stride_s)
        if null == "keep" or window[2] != "other"
    ]
    config = WindowConfig(window_s, stride_s, null, short="drop")  # type: ignore[arg-type]
    if not any(window[3] != "other" for window in expected) and len(short_recordings(store, window_s)) < len(made):
        with pytest.raises(DataError, match="a window must hold an activity"):
            cut_windows(store, config)
        return
    windows = cut_windows(store, config)
    assert windows.recording.tolist() == [window[0] for window in expected]
    assert windows.start_s.tolist() == [window[1] for window in expected]
    assert [windows.label_set.names[label] for label in windows.label] == [window[3] for window in expected]
    for column, name in enumerate(SPEC.names):
        assert windows.present[:, column].tolist() == [name in window[2] for window in expected]
        for row, (number, _, rows, _) in zip(windows.rows[name], expected, strict=True):
            first = store.recordings[number].rows.get(name, (0, 0))[0]
            assert row == (first + rows[name] if name in rows else 0)


def test_the_default_is_three_seconds_with_half_overlap() -> None:
    windows = cut_windows(store_of(walking(10.0)), WindowConfig())
    assert windows.start_s.tolist() == [0.0, 1.5, 3.0, 4.5, 6.0]
    assert windows.rows["wrist_acc"].tolist() == [0, 38, 75, 113, 150]
    assert windows.label.tolist() == [1] * 5
    assert windows.subject.tolist() == ["of a"] * 5


def test_no_window_ends_beyond_the_recording() -> None:
    assert len(cut_windows(store_of(walking(3.0)), WindowConfig())) == 1
    assert len(cut_windows(store_of(walking(4.48)), WindowConfig())) == 1
    assert len(cut_windows(store_of(walking(4.52)), WindowConfig())) == 2


def test_the_gathered_window_is_the_recorded_stretch() -> None:
    first, second = walking(5.0, "a"), walking(9.0, "b")
    store = store_of(first, second)
    windows = cut_windows(store, WindowConfig(2.0, 2.0))
    number = int(np.flatnonzero((windows.recording == 1) & (windows.start_s == 4.0))[0])
    batch = store.gather(windows, np.array([number]))
    np.testing.assert_array_equal(batch["wrist_acc"][0], second.tracks[0].values[100:150])
    assert not batch["chest_hr"].any()


def test_the_null_class_is_kept_last_or_not_named() -> None:
    store = store_of(replace(walking(20.0), segments=(Segment(0.0, 7.0, "run"),)))
    dropped = cut_windows(store, WindowConfig())
    kept = cut_windows(store, WindowConfig(null="keep"))
    assert dropped.label_set == LabelSet(("sit", "walk", "run"))
    assert kept.label_set == LabelSet(("sit", "walk", "run", "other"), "other")
    assert dropped.label.tolist() == [2] * 4
    assert kept.label.tolist() == [2] * 4 + [3] * 8


def test_a_null_class_among_the_labels_is_moved_last() -> None:
    store = store_of(walking(), labels=LabelSet(("other", "walk"), "other"))
    assert cut_windows(store, WindowConfig(null="keep")).label_set.names == ("walk", "other")
    assert cut_windows(store, WindowConfig()).label.tolist() == [0] * 5


def test_unlabelled_windows_are_all_kept() -> None:
    windows = cut_windows(store_of(replace(walking(), segments=())), WindowConfig(), labelled=False)
    assert windows.label.tolist() == [-1] * 5


def test_equal_shares_go_to_the_first_class_and_never_to_null() -> None:
    halves = [Segment(0.0, 1.5, "walk"), Segment(1.5, 3.0, "sit")]
    assert majority_label(halves, np.array([0.0]), 3.0, ["sit", "walk"]).tolist() == [0]
    assert majority_label(halves, np.array([0.0]), 3.0, ["walk", "sit"]).tolist() == [0]
    assert majority_label(halves[:1], np.array([0.0]), 3.0, ["sit", "walk"]).tolist() == [1]


def test_tenths_of_seconds_do_not_break_a_tie() -> None:
    half = [Segment(0.4, 0.7, "walk")]  # 0.7 - 0.4 < 0.3
    assert majority_label(half, np.array([0.4]), 0.6, ["walk"]).tolist() == [0]


def test_shares_of_one_class_add_up() -> None:
    parts = [Segment(0.0, 0.9, "sit"), Segment(0.9, 2.1, "walk"), Segment(2.1, 3.0, "sit")]
    assert majority_label(parts, np.array([0.0]), 3.0, ["walk", "sit"]).tolist() == [1]


def test_progress_counts_recordings() -> None:
    seen = []
    cut_windows(store_of(walking(), walking(name="b")), WindowConfig(), progress=lambda *told: seen.append(told))
    assert seen == [(1, 2, "cutting windows"), (2, 2, "cutting windows")]


def test_short_recordings_are_skipped_and_named() -> None:
    store = store_of(walking(2.0, "brief"), walking(9.0, "long"))
    assert short_recordings(store, 3.0) == ("brief",)
    assert set(cut_windows(store, WindowConfig()).recording.tolist()) == {1}


def test_a_window_longer_than_every_recording_is_refused() -> None:
    store = store_of(walking(2.0, "s03/walk"), walking(1.0, "b"))
    with pytest.raises(DataError, match=r"got 3 s, the longest \('s03/walk'\) has 2 s. Shorten window_s"):
        cut_windows(store, WindowConfig())
    assert len(cut_windows(store, WindowConfig(short="drop"))) == 0


def test_recordings_of_the_null_class_alone_are_refused() -> None:
    store = store_of(replace(walking(), segments=(Segment(0.0, 10.0, "other"),)))
    for null in ("drop", "keep"):
        with pytest.raises(DataError, match="a window must hold an activity"):
            cut_windows(store, WindowConfig(null=null))  # type: ignore[arg-type]


def test_a_set_without_null_class_cannot_keep_it() -> None:
    with pytest.raises(ConfigError, match="null='keep' needs a set with a null class"):
        cut_windows(store_of(walking(), labels=LabelSet(("walk",))), WindowConfig(null="keep"))


def test_a_label_that_the_set_does_not_know_is_refused() -> None:
    store = store_of(walking())
    store.labels = LabelSet(("sit", "wlak"))
    with pytest.raises(ConfigError, match="Did you mean 'wlak'"):
        cut_windows(store, WindowConfig())


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"window_s": 0.0}, "window_s must be positive: got 0.0"),
        ({"stride_s": -1.0}, "stride_s must be positive: got -1.0"),
        ({"window_s": math.nan}, "window_s must be positive: got nan"),
        ({"gap_s": -0.1}, "gap_s must not be negative: got -0.1"),
        ({"null": "dorp"}, "Did you mean 'drop'"),
        ({"short": "eror"}, "Did you mean 'error'"),
    ],
)
def test_senseless_options_are_refused(options: dict[str, float], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        WindowConfig(**options)  # type: ignore[arg-type]


def test_signals_with_the_same_rows_share_one_array():
    first = Recording("a", "p", "1", (track(ACC, 10), track(replace(ACC, name="hip_acc"), 10)))
    spec = SignalSpec((ACC, replace(ACC, name="hip_acc"), replace(ACC, name="leg_acc")))
    alike = memory_store(spec, LABELS, [first], gap_s=0.0)
    rows = cut_windows(alike, WindowConfig(2.0, 1.0), labelled=False).rows
    assert rows["wrist_acc"] is rows["hip_acc"] is not rows["leg_acc"]
    late = Recording("b", "p", "1", (track(ACC, 10), track(spec["hip_acc"], 10, 0.4), track(spec["leg_acc"], 10)))
    windows = cut_windows(memory_store(spec, LABELS, [first, late], gap_s=0.0), WindowConfig(2.0, 1.0), labelled=False)
    taken = windows.take(np.array([0, 9, 10]))
    assert [taken.rows[name].tolist() for name in spec.names] == [[0, 250, 275], [0, 0, 265], [0, 0, 25]]
    some = cut_windows(alike, WindowConfig(2.0, 1.0), labelled=False).take(np.array([1]))
    assert some.rows["wrist_acc"] is some.rows["hip_acc"]
    with pytest.raises(ValueError, match="read-only"):
        rows["wrist_acc"][0] = 1
