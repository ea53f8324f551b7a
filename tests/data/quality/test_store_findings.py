"""Each rule on a store that breaks it, and on one that does not."""

import math

import numpy as np
import pytest

from dcdp.data import check_store, memory_store, require_trainable
from dcdp.data.quality import judge, measure_store, note_table, verdict
from dcdp.errors import DataError
from dcdp.records import Note, Recording, Segment, Signal, SignalSpec, Track
from dcdp.signals.windows import WindowConfig, cut_windows

from .conftest import ACC, GYR, LABELS, PEOPLE, SPEC, make_recording, noise


def facts(store):
    return [(finding.severity, finding.where, finding.value) for finding in check_store(store)]


def word(store):
    return verdict(check_store(store)).word


def test_sound_recordings_have_no_findings(make_store):
    store = make_store()
    assert check_store(store) == []
    assert verdict([]) == verdict(check_store(store))
    require_trainable(store)


def test_a_channel_that_is_constant_throughout(make_store):
    store = make_store(lambda _s, _a, gyr: gyr[:, 1].fill(2.5))
    assert facts(store) == [("error", "wrist_gyr_y", "2.5 throughout")]
    assert word(store) == "not fit"
    with pytest.raises(DataError, match=r"a channel must vary: got 2\.5 throughout in wrist_gyr_y\."):
        require_trainable(store)


def test_a_channel_that_is_constant_on_one_subject(make_store):
    store = make_store(lambda subject, _a, gyr: gyr[:, 1].fill(2.5) if subject == "s2" else None)
    assert facts(store) == [("warning", "wrist_gyr_y of s2", "2.5 throughout")]
    assert word(store) == "fit with care"
    require_trainable(store)


def test_a_channel_with_gaps_and_otherwise_constant_is_constant(make_store):
    def change(_s, _a, gyr):
        gyr[:, 0] = 1
        gyr[500:700, 0] = np.nan

    assert ("error", "wrist_gyr_x", "1 throughout") in facts(make_store(change))


def test_missing_values_are_counted(make_store):
    def change(subject, _a, gyr):
        if subject in ("s1", "s2", "s3"):
            gyr[100:300, 2] = np.nan  # the first 10 of them (0.2 s) are held

    assert facts(make_store(change)) == [("warning", "wrist_gyr_z", "11.40% missing")]


def test_a_signal_whose_channels_are_missing_together_is_named_once(make_store):
    store = make_store(lambda subject, _a, gyr: gyr[100:210].fill(np.nan) if subject == "s1" else None)
    assert facts(store) == [("note", "wrist_gyr", "2.00% missing")]
    assert word(store) == "fit for training"


def test_one_subject_who_lost_much(make_store):
    store = make_store(
        lambda subject, _a, gyr: gyr[100:510].fill(np.nan) if subject == "s1" else None, size=2000,
        subjects=(*PEOPLE, "s6", "s7", "s8"),
    )  # fmt: skip
    assert facts(store) == [("note", "wrist_gyr", "2.50% missing")]
    store = make_store(
        lambda subject, _a, gyr: gyr[100:810].fill(np.nan) if subject == "s1" else None, size=2000,
        subjects=(*PEOPLE, "s6", "s7", "s8"),
    )  # fmt: skip
    assert ("warning", "wrist_gyr of s1", "35% missing") in facts(store)


def test_no_subject_is_named_where_all_lost_much(make_store):
    found = facts(make_store(lambda _s, _a, gyr: gyr[100:410].fill(np.nan)))
    assert found == [("warning", "wrist_gyr", "30.00% missing")]


def test_windows_are_those_that_training_cuts(make_store):
    def change(subject, acc, gyr):
        if subject in ("s2", "s4"):
            acc[100:400] = np.nan
            gyr[200:500] = np.nan

    store = make_store(change)
    windows = cut_windows(store, WindowConfig())
    counts = [[int(((windows.subject == who) & (windows.label == k)).sum()) for k in (0, 1)] for who in PEOPLE]
    assert [list(row) for row in measure_store(store).coverage.windows] == counts
    assert counts[1] != counts[0]


def test_a_channel_and_a_signal_that_were_never_measured(make_store):
    store = make_store(lambda _s, _a, gyr: gyr[:, 2].fill(np.nan))
    assert [found[:2] for found in facts(store) if found[0] == "error"] == [("error", "wrist_gyr_z")]
    store = make_store(lambda _s, _a, gyr: gyr.fill(np.nan))
    assert facts(store)[0] == ("error", "wrist_gyr", "no value in the whole set")
    with pytest.raises(DataError, match="a signal must be measured: got no value in the whole set in wrist_gyr"):
        require_trainable(store)


def test_clipping_is_found_at_both_ends_where_values_stay_there(make_store):
    def change(_s, _a, gyr):
        wave = 100 * np.sin(np.arange(1000)[:, None] / 8 + gyr[:, :1] / 50)
        gyr[:] = np.clip(wave + gyr / 100, [-900, -900, -80], [70, 900, 900])

    found = [one for one in check_store(make_store(change)) if one.rule == "a channel should not sit at its limit"]
    assert [(one.severity, one.where) for one in found] == [("warning", "wrist_gyr_x"), ("warning", "wrist_gyr_z")]
    assert found[0].value.endswith("in runs at the highest, 70")
    assert found[1].value.endswith("in runs at the lowest, -80")


def test_single_values_at_the_extreme_are_no_clipping(make_store):
    def change(_s, _a, gyr):
        gyr[::10, 0] = 200  # a spike, again and again, but never three samples long

    assert check_store(make_store(change)) == []


def test_labels(make_store):
    assert facts(make_store(labels=("null", "null"))) == [
        ("error", "the whole set", "the null class only"),
        ("warning", "the whole set", "none of sit, walk"),
    ]
    for labels in ((), ("null", "null")):
        with pytest.raises(DataError, match="recordings must have labels: got the null class only in the whole set"):
            require_trainable(make_store(labels=labels))
    found = facts(make_store(labels=("sit", "null", "null")))
    assert ("warning", "the whole set", "none of walk") in found
    assert ("note", "the whole set", "30.0%") in found


def test_windows_that_never_hold_an_activity(make_store):
    assert facts(make_store(size=100)) == [("warning", "the whole set", "none of 3 s")]


def test_a_class_that_one_subject_lacks_and_one_that_only_one_shows():
    def store(labels):
        return memory_store(SPEC, LABELS, [
            make_recording(i, f"s{i}", noise(i) + np.float32([0, 0, 9.8]), 20 * noise(i + 50), own)
            for i, own in enumerate(labels)
        ])  # fmt: skip

    both, walk = ("sit", "walk"), ("walk", "walk")
    assert facts(store([both] * 4 + [walk])) == [("note", "s4", "none of sit")]
    found = facts(store([both] + [walk] * 4))
    assert found[0] == ("warning", "sit", "only s0")
    assert ("note", "s3", "none of sit") in found
    assert ("warning", "s4", "none") in facts(store([both] * 4 + [("null",)]))


def test_one_subject_only(make_store):
    store = make_store(subjects=("s1", "s1"))
    assert facts(store) == [("error", "the whole set", "only s1")]
    with pytest.raises(DataError, match="training must have two subjects or more: got only s1"):
        require_trainable(store)
    assert ("note", "the whole set", "4") in facts(make_store(subjects=PEOPLE[:4]))


def test_the_first_of_several_errors_counts_the_others(make_store):
    with pytest.raises(DataError, match=r"two subjects or more.*\(1 more: see 'dcdp data check'\)"):
        require_trainable(make_store(lambda _s, _a, gyr: gyr[:, 1].fill(1), subjects=("s1",)))


def test_acceleration_in_g_is_noticed(make_store):
    store = make_store(lambda _s, acc, _g: np.divide(acc, 9.8, out=acc))
    ((severity, where, value),) = facts(store)
    assert (severity, where) == ("warning", "wrist_acc")
    assert value.endswith("m/s2, which looks like g")


def test_angular_rate_in_radians_is_noticed_where_people_move(make_store):
    def moving(_s, acc, gyr):
        acc *= np.where(np.arange(1000) % 300 < 150, 1, 3).astype(np.float32)[:, None]
        gyr *= np.float32(math.pi / 180)

    assert next(found for found in facts(make_store(moving)) if "rad/s" in found[2])[:2] == ("warning", "wrist_gyr")
    assert facts(make_store(lambda _s, _a, gyr: np.multiply(gyr, 0.02, out=gyr))) == []  # they may lie still


def test_a_stuck_sensor_is_found_and_its_place_known(make_store):
    def change(subject, acc, _g):
        if subject == "s2":
            acc[300:420, 0] = 1.5
        if subject == "s3":
            acc[300:390, 0] = 1.5  # 1.8 s: shorter than the limit

    quality = measure_store(make_store(change))
    assert {one.name: dict(one.flat_s) for one in quality.recordings if one.flat_s} == {"r1": {"wrist_acc_x": 2.4}}
    assert quality.recordings[1].flat_spans_s == {"wrist_acc": ((6.0, 8.4),)}
    (odd,) = judge(quality)
    assert (odd.severity, odd.where, odd.value) == ("warning", "wrist_acc_x", "up to 2.4 s ('r1'), in 1 recordings")


def test_a_heart_rate_may_stay_the_same_for_a_while():
    hr = Signal("chest_hr", "hr", "chest", 1.0, ("chest_hr",), "bpm")

    def store(n_same):
        values = [np.where(np.arange(300) < n_same, 80, 60 + 40 * noise(i, 300)[:, 0]) for i in range(5)]
        return memory_store(SignalSpec((hr,)), LABELS, [
            Recording(f"r{i}", f"s{i}", "1", (Track(hr, v[:, None].astype(np.float32)),),
                      (Segment(0, 150, "sit"), Segment(150, 300, "walk")))
            for i, v in enumerate(values)
        ])  # fmt: skip

    assert facts(store(50)) == []
    assert facts(store(70)) == [("warning", "chest_hr", "up to 70.0 s ('r0'), in 5 recordings")]


def test_infinite_values(make_store):
    def change(subject, acc, _g):
        if subject == "s1":
            acc[5, 0], acc[9, 1] = np.inf, -np.inf

    found = facts(make_store(change))
    assert ("warning", "wrist_acc_x", "infinite values") in found
    assert ("warning", "wrist_acc_y", "infinite values") in found


def test_a_sensor_that_some_lack_and_one_that_came_late():
    def store(absent, late=()):
        recordings = []
        for i in range(10):
            acc, gyr = noise(i) + np.float32([0, 0, 9.8]), 20 * noise(i + 50)
            gyr = None if i in absent else gyr[200:] if i in late else gyr
            recordings.append(make_recording(i, PEOPLE[i // 2], acc, gyr))
        return memory_store(SPEC, LABELS, recordings)

    assert facts(store(())) == []
    assert facts(store((1,))) == [("note", "wrist_gyr", "absent from 1 of 10")]
    assert facts(store((2, 3))) == [("warning", "wrist_gyr", "never on s2")]
    assert facts(store((), (4,))) == [("note", "wrist_gyr", "more than 10% shorter in r4")]


def test_balance_of_classes_and_of_people():
    def store(seconds):
        recordings = []
        for i, (sit_s, walk_s) in enumerate(seconds):
            size = 50 * (sit_s + walk_s)
            segments = (Segment(0, sit_s, "sit"), Segment(sit_s, sit_s + walk_s, "walk"))
            tracks = Track(ACC, noise(i, size) + np.float32([0, 0, 9.8])), Track(GYR, 20 * noise(i + 50, size))
            recordings.append(Recording(f"r{i}", f"s{i}", "1", tracks, segments))
        return memory_store(SPEC, LABELS, recordings)

    assert facts(store([(20, 20)] * 5)) == []
    found = facts(store([(120, 6)] * 5))
    assert ("note", "sit and walk", "400 windows and 15") in found
    assert ("note", "walk", "15 at least") in found
    assert ("warning", "s0", "57%") in facts(store([(100, 100)] + [(20, 20)] * 4))
    assert ("note", "s4", "3, against 65") in facts(store([(50, 50)] * 4 + [(3, 3)]))


def test_one_subject_who_wears_the_sensor_upside_down(make_store):
    def change(subject, acc, _g):
        if subject == "s4":
            acc *= np.float32([1, -1, -1])

    (odd,) = check_store(make_store(change))
    assert (odd.severity, odd.where) == ("note", "wrist_acc of s4")
    assert odd.value.startswith("180 degrees away")


def angles(store):
    return {frame.subject: frame.angle_deg for frame in measure_store(store).signals[0].frames}


def test_one_turned_sensor_does_not_turn_the_others(make_store):
    assert max(angles(make_store()).values()) < 5
    turned = angles(make_store(lambda who, acc, _g: np.copyto(acc, np.roll(acc, 1, axis=1)) if who == "s4" else None))
    assert turned.pop("s4") == pytest.approx(90, abs=3)
    assert max(turned.values()) < 5


def test_postures_are_compared_within_an_activity():
    def lying(i, n_upright):
        acc = noise(i) * np.float32(0.1)
        acc[:n_upright, 2] += 9.8
        acc[n_upright:, 0] += 9.8
        return acc

    store = memory_store(SPEC, LABELS, [
        make_recording(i, f"s{i}", lying(i, n), 20 * noise(i + 50), labels)
        for i, (n, labels) in enumerate([(500, ("sit", "walk"))] * 4 + [(0, ("walk", "walk"))])
    ])  # fmt: skip
    assert max(angles(store).values()) < 8  # s4 shows only what the others show for half of the time


def test_a_sensor_that_sits_loosely_on_everyone_is_no_finding(make_store):
    place = {name: i for i, name in enumerate(PEOPLE)}

    def change(subject, acc, _g):
        acc[:] = np.roll(acc, place[subject], axis=1) * (-1) ** place[subject]

    assert check_store(make_store(change)) == []


def test_notes_of_the_readers_are_put_together_and_judged(make_store):
    notes = (
        Note("rate_jitter", "wrist_acc", 0.012, "s", "acc: spread 12 ms"),
        Note("clock_offset", "wrist_gyr", -1.5, "s", "gyr was 1.5 s behind"),
        Note("unit", "wrist_acc", 9.80665, "", "g to m/s2"),
    )
    store = make_store(notes=notes)
    rows = note_table(measure_store(store))
    assert [(row.kind, row.signal, row.n_recordings, row.largest) for row in rows] == [
        ("clock_offset", "wrist_gyr", 5, 1.5),
        ("rate_jitter", "wrist_acc", 5, 0.012),
        ("unit", "wrist_acc", 5, 9.80665),
    ]  # fmt: skip
    assert facts(store) == [
        ("warning", "wrist_acc", "0.012 s, up to 0.012 s in 'r0'"),  # more than half of 20 ms
        ("note", "wrist_gyr", "1.5 s, up to 1.5 s in 'r0'"),
        ("note", "wrist_acc", "g to m/s2"),
    ]
    calm = make_store(notes=(Note("rate_jitter", "wrist_acc", 0.002, "s", ""),))
    assert [found[0] for found in facts(calm)] == ["note"]


def test_the_verdict_names_the_weightiest_remedies(make_store):
    store = make_store(lambda _s, _a, gyr: gyr[:, :2].fill(1), subjects=("s1",))
    found = verdict(check_store(store))
    assert found.word == "not fit"
    assert found.remedies[:2] == (
        "the whole set: Add the recordings of other people.",
        "wrist_gyr_x, wrist_gyr_y: The sensor is dead or its column is wrong: leave the signal out.",
    )
