"""Copies of recordings and of stretches: found wherever they stand, and nothing else taken for one."""

import dataclasses

import numpy as np
import pytest

from dcdp.data import memory_store
from dcdp.data.quality import blocks, check_store, measure_store
from dcdp.data.quality.anchors import Anchors
from dcdp.data.quality.blocks import read_blocks

from .conftest import ACC, LABELS, SPEC, make_recording, noise


def store_of(*arrays, gyr=None):
    """A store of (subject, acc) with a gyroscope of its own noise each, or none."""
    return memory_store(SPEC, LABELS, [
        make_recording(i, subject, acc + np.float32([0, 0, 9.8]), gyr(i, len(acc)) if gyr else None)
        for i, (subject, acc) in enumerate(arrays)
    ])  # fmt: skip


def own_gyr(i, size):
    return 20 * noise(1000 + i, size)


def others(n=4):
    return [(f"s{i + 5}", noise(i + 50)) for i in range(n)]


def test_a_recording_under_two_names_of_one_subject():  # as sit_5/sub_1 and sit_13/sub_1 of MotionSense
    sitting = noise(0)
    quality = measure_store(store_of(("sub_1", sitting), ("sub_1", noise(1)), ("sub_1", sitting), *others()))
    (copy,) = quality.copies
    assert (copy.recording, copy.other, copy.subject, copy.other_subject) == ("r0", "r2", "sub_1", "sub_1")
    assert (copy.start_s, copy.other_start_s, copy.length_s, copy.whole) == (0, 0, 20, True)
    assert copy.n_windows == 12
    assert quality.n_shared_windows == 0


def test_a_shifted_stretch_of_another_subject():  # as rowing of DSADS, persons 4 and 8, 10 rows apart
    long = noise(0, 1010)
    arrays = [("s4", long[10:]), ("s8", long[:1000]), *others()]
    quality = measure_store(store_of(*arrays, gyr=own_gyr))
    (copy,) = quality.copies
    assert (copy.start_s, copy.other_start_s, copy.length_s, copy.whole) == (0, 0.2, 19.8, False)
    assert copy.signals == ("wrist_acc",)
    assert quality.n_shared_windows == 2 * copy.n_windows - 1  # 12 windows of one, 11 of the other lie in it
    (odd,) = check_store(store_of(*arrays, gyr=own_gyr))
    assert (odd.severity, odd.where) == ("warning", "r0 and r1")
    assert odd.value == "19.8 s of s4 and s8, at 0.0 s and at 0.2 s, 12 windows"


@pytest.mark.parametrize(("place", "other"), [(0, 0), (0, 700), (431, 12), (700, 699)])
def test_a_stretch_anywhere_is_found_from_three_seconds_on(place, other):
    def with_stretch(n_rows):
        one, two = noise(0), noise(1)
        two[other : other + n_rows] = one[place : place + n_rows]
        return measure_store(store_of(("s1", one), ("s2", two))).copies

    (copy,) = with_stretch(150)
    assert (copy.start_s, copy.other_start_s, copy.length_s) == (place / 50, other / 50, 3.0)
    assert with_stretch(149) == ()


def test_one_value_that_differs_cuts_a_copy_in_two():
    one = noise(0)
    two = one.copy()
    two[400, 1] += 1
    (copy,) = measure_store(store_of(("s1", one), ("s2", two))).copies
    assert (copy.start_s, copy.length_s, copy.total_s) == (401 / 50, 599 / 50, 999 / 50)
    assert copy.n_windows == 10  # the windows that hold row 400 are not copies


def test_a_stretch_that_stands_twice_in_one_recording():
    values = noise(0)
    values[600:900] = values[100:400]
    quality = measure_store(store_of(("s1", values), ("s2", noise(1))))
    (copy,) = quality.copies
    assert (copy.recording, copy.other) == ("r0", "r0")
    assert (copy.start_s, copy.other_start_s, copy.length_s) == (2.0, 12.0, 6.0)


def test_what_is_alike_but_plain_is_no_copy():
    rest = np.zeros((1000, 3), np.float32)
    rest[::100] = 1  # changes too seldom to be told from another
    wave = np.sin(np.arange(1000) / 5)[:, None].astype(np.float32) * np.ones(3, np.float32)
    rhythm = np.round(np.tile(wave[:62], (20, 1))[:1000], 3)  # repeats itself, and overlaps itself when moved
    assert measure_store(store_of(("s1", rest), ("s2", rest))).copies == ()
    assert measure_store(store_of(("s1", rhythm), ("s2", noise(1)))).copies == ()


def test_many_copies_of_one_recording_are_each_named_and_shared():
    same = noise(0)
    quality = measure_store(store_of(*[(f"s{i}", same) for i in range(6)]))
    assert {name for copy in quality.copies for name in (copy.recording, copy.other)} == {f"r{i}" for i in range(6)}
    assert len(quality.copies) == 5  # linear in the copies: each with one other
    assert quality.n_shared_windows == sum(map(sum, quality.coverage.windows))


def test_two_of_one_subject_and_one_of_another_are_all_shared():
    same = noise(0)
    quality = measure_store(store_of(("s1", same), ("s1", same), ("s2", same), ("s3", noise(1))))
    pairs = {(copy.recording, copy.other) for copy in quality.copies}
    assert pairs == {("r0", "r2"), ("r1", "r2")}
    n_windows = sum(quality.coverage.windows[0]) + sum(quality.coverage.windows[1])
    assert quality.n_shared_windows == n_windows > 0


def test_gaps_do_not_hide_a_copy():
    one = noise(0)
    one[300:360] = np.nan
    quality = measure_store(store_of(("s1", one), ("s2", one.copy())))
    assert (quality.copies[0].length_s, quality.copies[0].whole) == (20.0, True)


def test_small_blocks_give_the_same_figures(make_store, monkeypatch):
    def change(subject, acc, gyr):
        gyr[:] = np.clip(gyr, -25, 25)
        if subject == "s2":
            acc[290:520, 0] = 1.5
            acc[100:340] = np.nan
            gyr[700:1300] = np.nan
        if subject == "s4":
            acc[10:20, 1], acc[1500:1510, 1] = -30, -40  # only the lower level counts
        if subject == "s3":
            acc[800:1700] = make_acc["s1"][600:1500]
        make_acc[subject] = acc.copy()

    make_acc = {}
    store = make_store(change, size=2000)
    whole = measure_store(store)
    monkeypatch.setattr(blocks, "BLOCK_VALUES", 1500)  # 500 rows: a recording is four blocks and more
    assert max(block.values.shape[1] - block.n_before for block in read_blocks(store, ACC, 100)) == 500
    parts = measure_store(store)
    assert whole.copies[0].length_s == 18.0
    assert whole.signals[0].gaps.total_s == pytest.approx((230 - 0) / 50)
    assert whole.signals[1].channels[0].at_high > 10
    assert (whole.signals[0].channels[1].low, whole.signals[0].channels[1].at_low) == (-40, 10)
    for one, other in zip(whole.signals, parts.signals, strict=True):  # gravity is judged from other runs
        one, other = (dataclasses.replace(figures, frames=(), rest=None) for figures in (one, other))
        assert one == other
    assert dataclasses.replace(whole, signals=()) == dataclasses.replace(parts, signals=())


def test_thinned_anchors_still_find_long_copies(monkeypatch):
    monkeypatch.setattr("dcdp.data.quality.anchors._MOST", 400)
    long = noise(0, 20_000)
    store = store_of(("s1", long), ("s2", np.roll(long, 77, axis=0)), *others(1))
    quality = measure_store(store)
    assert quality.copies[0].total_s >= (20_000 - 77) / 50
    assert quality.copies_from_s > 3
    anchors = Anchors(50.0)
    for block in read_blocks(store, ACC, anchors.n_overlap):
        anchors.add(block)
    prints, rows = anchors.collected()
    assert len(prints) == len(rows) <= 400
