import numpy as np
import pytest

from dcdp.data import check_store, memory_store, require_trainable
from dcdp.data.declaration import inertial_signal
from dcdp.errors import DataError
from dcdp.records import LabelSet, Recording, Segment, SignalSpec, Track

ACC, GYR = inertial_signal("wrist", "acc", 50.0), inertial_signal("wrist", "gyr", 50.0)
SPEC = SignalSpec((ACC, GYR))
LABELS = LabelSet(("sit", "walk"), "null")


def _values(seed, offset=0.0):
    values = np.random.default_rng(seed).normal(size=(1000, 3)).astype(np.float32)
    values[:, 2] += offset
    return values


def _store(change=lambda _subject, _acc, _gyr: None, subjects=("s1", "s2", "s3"), labels=("sit", "walk")):
    recordings = []
    for i, subject in enumerate(subjects):
        acc, gyr = _values(i, 0.0) * np.float32(0.1) + np.float32([0, 0, 9.8]), _values(i + 100)
        change(subject, acc, gyr)
        segments = tuple(Segment(10.0 * k, 10.0 * k + 9, label) for k, label in enumerate(labels))
        recordings.append(Recording(f"r{i}", subject, "1", (Track(ACC, acc), Track(GYR, gyr)), segments))
    return memory_store(SPEC, LABELS, recordings)


def _facts(store):
    return [(finding.severity, finding.where, finding.value) for finding in check_store(store)]


def test_sound_recordings_have_no_findings():
    store = _store()
    assert check_store(store) == []
    require_trainable(store)


def test_a_channel_that_is_constant_throughout():
    store = _store(lambda _s, _a, gyr: gyr[:, 1].fill(2.5))
    assert _facts(store) == [("error", "wrist_gyr_y", "2.5 throughout")]
    with pytest.raises(DataError, match=r"a channel must vary: got 2\.5 throughout in wrist_gyr_y\."):
        require_trainable(store)


def test_a_channel_that_is_constant_on_one_subject():
    store = _store(lambda subject, _a, gyr: gyr[:, 1].fill(2.5) if subject == "s2" else None)
    assert ("warning", "wrist_gyr_y of s2", "2.5 throughout") in _facts(store)
    require_trainable(store)


def test_a_channel_with_gaps_and_otherwise_constant_is_constant():
    def change(_s, _a, gyr):
        gyr[:, 0] = 1
        gyr[500:700, 0] = np.nan

    assert ("error", "wrist_gyr_x", "1 throughout") in _facts(_store(change))


def test_missing_values_are_counted():
    def change(subject, _a, gyr):
        if subject == "s1":
            gyr[100:400, 2] = np.nan  # the first 10 of them (0.2 s) are held

    assert _facts(_store(change)) == [("warning", "wrist_gyr_z", "9.67% missing")]


def test_a_channel_and_a_signal_that_were_never_measured():
    store = _store(lambda _s, _a, gyr: gyr[:, 2].fill(np.nan))
    assert _facts(store) == [("error", "wrist_gyr_z", "no value in the whole set")]
    store = _store(lambda _s, _a, gyr: gyr.fill(np.nan))
    assert _facts(store) == [("error", "wrist_gyr", "no value in the whole set")]


def test_clipping_is_found_at_both_ends():
    store = _store(lambda _s, _a, gyr: np.clip(gyr, [-9, -9, -1.5], [1, 9, 9], out=gyr))
    found = _facts(store)
    assert [(severity, where) for severity, where, _ in found] == [
        ("warning", "wrist_gyr_z"),
        ("warning", "wrist_gyr_x"),
    ]
    assert found[1][2].endswith("at the highest, 1")
    assert found[0][2].endswith("at the lowest, -1.5")


def test_labels():
    assert _facts(_store(labels=("null", "null"))) == [
        ("error", "the whole set", "the null class only"),
        ("warning", "the whole set", "none of sit, walk"),
    ]
    with pytest.raises(DataError, match="recordings must have labels: got the null class only in the whole set"):
        require_trainable(_store(labels=()))
    assert _facts(_store(labels=("sit",))) == [
        ("warning", "the whole set", "none of walk"),
        ("note", "the whole set", "45.0%"),
    ]


def test_a_class_that_one_subject_lacks():
    full, short = _store(subjects=("s1", "s2")), _store(subjects=("s3",), labels=("walk", "walk"))
    recordings = []
    for store in (full, short):
        for entry in store.recordings:
            tracks = tuple(
                Track(s, np.array(store.array(s.name)[entry.rows[s.name][0] :][: entry.rows[s.name][1]])) for s in SPEC
            )
            recordings.append(Recording(entry.name + entry.subject, entry.subject, "1", tracks, entry.segments))
    assert _facts(memory_store(SPEC, LABELS, recordings)) == [("note", "s3", "none of sit")]


def test_one_subject_only():
    store = _store(subjects=("s1", "s1"))
    assert _facts(store) == [("error", "the whole set", "only s1")]
    with pytest.raises(DataError, match="training must have two subjects or more: got only s1"):
        require_trainable(store)


def test_the_first_of_several_errors_counts_the_others():
    with pytest.raises(DataError, match=r"two subjects or more.*\(1 more: see 'dcdp data check'\)"):
        require_trainable(_store(lambda _s, _a, gyr: gyr[:, 1].fill(1), subjects=("s1",)))


def test_acceleration_in_g_is_noticed():
    store = _store(lambda _s, acc, _g: np.divide(acc, 9.8, out=acc))
    ((severity, where, value),) = _facts(store)
    assert (severity, where) == ("warning", "wrist_acc")
    assert value.endswith("m/s2, which looks like g")
