"""Stores: what is written is mapped, what is gathered is what a slow loop finds, nothing half-written is taken."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dcdp.data import Store, memory_store
from dcdp.data.declaration import inertial_signal
from dcdp.errors import ConfigError, DataError, FormatError, MissingError, StorageError
from dcdp.records import LabelSet, Recording, Segment, Signal, SignalSpec, Track, Windows
from dcdp.signals.windows import WindowConfig, cut_windows

ACC = inertial_signal("wrist", "acc", 10.0)
HR = Signal("chest_hr", "hr", "chest", 2.0, ("chest_hr",), "bpm")
SPEC = SignalSpec((ACC, HR))
LABELS = LabelSet(("sit", "walk"), "null")


def _recording(number, n_acc, n_hr, start_s=0.0, gaps=()):
    rng = np.random.default_rng(number)
    tracks = []
    if n_acc:
        values = rng.normal(size=(n_acc, 3)).astype(np.float32)
        for first, stop in gaps:
            values[first:stop] = np.nan
        tracks.append(Track(ACC, values, start_s))
    if n_hr:
        tracks.append(Track(HR, rng.normal(size=(n_hr, 1)).astype(np.float32)))
    return Recording(f"r{number}", f"s{number % 3}", "1", tuple(tracks), (Segment(0.0, 4.0, "walk"),))


def _assert_same(store, other):
    assert (store.spec, store.labels, store.recordings) == (other.spec, other.labels, other.recordings)
    for name in store.spec.names:
        np.testing.assert_array_equal(store.array(name), other.array(name))


@pytest.fixture
def recordings():
    return [_recording(1, 60, 12), _recording(2, 45, 0), _recording(3, 0, 11), _recording(4, 80, 16, start_s=0.5)]


@pytest.fixture
def written(tmp_path, recordings):
    Store.write(tmp_path / "store", SPEC, LABELS, iter(recordings))
    return tmp_path / "store"


def test_what_is_written_is_opened(written, recordings):
    store = Store.open(written)
    assert store.subjects == ("s0", "s1", "s2")
    assert isinstance(store.array("wrist_acc"), np.memmap)
    for entry, recording in zip(store.recordings, recordings, strict=True):
        assert (entry.name, entry.subject, entry.session) == (recording.name, recording.subject, recording.session)
        assert entry.segments == recording.segments
        assert set(entry.rows) == {track.signal.name for track in recording.tracks}
        for track in recording.tracks:
            first, n_rows = entry.rows[track.signal.name]
            np.testing.assert_array_equal(store.array(track.signal.name)[first : first + n_rows], track.values)
            assert entry.start_s[track.signal.name] == track.start_s
    _assert_same(store, memory_store(SPEC, LABELS, recordings))


def test_an_opened_store_is_read_only(written):
    with pytest.raises(ValueError, match="read-only"):
        Store.open(written).array("wrist_acc")[0] = 1


def test_arrays_are_plain_npy_files(written):
    values = np.load(written / "wrist_acc.npy")
    assert values.dtype == np.dtype("<f4")
    assert values.shape == (60 + 45 + 80, 3)


def test_an_unknown_signal_gets_the_nearest_name(written):
    with pytest.raises(ConfigError, match=r"signal must be one of .*'wrist_acc'"):
        Store.open(written).array("wrist_ac")


def test_a_signal_that_nobody_has(tmp_path):
    recordings = [_recording(1, 30, 0)]
    Store.write(tmp_path / "store", SPEC, LABELS, recordings)
    store = Store.open(tmp_path / "store")
    assert store.array("chest_hr").shape == (0, 1)
    batch = store.gather(cut_windows(store, WindowConfig(2.0, 1.0)), np.array([0]))
    assert batch["chest_hr"].shape == (1, 4, 1)
    assert not batch["chest_hr"].any()


def test_short_gaps_are_held_when_stored(tmp_path):
    recording = _recording(1, 30, 6, gaps=[(5, 7), (20, 25)])
    Store.write(tmp_path / "store", SPEC, LABELS, [recording], gap_s=0.2)
    stored = Store.open(tmp_path / "store").array("wrist_acc")
    raw = recording.tracks[0].values
    np.testing.assert_array_equal(stored[5:7], raw[[4, 4]])
    np.testing.assert_array_equal(np.isnan(stored).any(axis=1).nonzero()[0], [22, 23, 24])
    np.testing.assert_array_equal(memory_store(SPEC, LABELS, [recording], gap_s=0.2).array("wrist_acc"), stored)


def _slow_gather(store, windows, index):
    batch = {
        s.name: np.zeros((len(index), s.n_samples(windows.window_s), len(s.channels)), np.float32) for s in store.spec
    }
    for place, window in enumerate(index):
        for column, s in enumerate(store.spec):
            if windows.present[window, column]:
                for t in range(batch[s.name].shape[1]):
                    batch[s.name][place, t] = store.array(s.name)[windows.rows[s.name][window] + t]
    return batch


sizes = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 14)).filter(any), min_size=1, max_size=4)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sizes=sizes, window_s=st.sampled_from([0.5, 1.0, 2.0, 3.1]), gap=st.integers(0, 50), data=st.data())
def test_gathering_equals_a_slow_loop(sizes, window_s, gap, data):
    recordings = [_recording(i, n, m, gaps=[(gap, gap + 5)]) for i, (n, m) in enumerate(sizes)]
    store = memory_store(SPEC, LABELS, recordings)
    windows = cut_windows(store, WindowConfig(window_s, 0.5, null="keep", short="drop"), labelled=False)
    places = st.lists(st.integers(0, max(0, len(windows) - 1)), max_size=6 if len(windows) else 0)
    index = np.array(data.draw(places), int)
    found, expected = store.gather(windows, index), _slow_gather(store, windows, index)
    assert set(found) == {"wrist_acc", "chest_hr"}
    for name, values in found.items():
        assert values.dtype == np.float32
        assert np.isfinite(values).all()
        np.testing.assert_array_equal(values, expected[name])


def test_a_batch_is_a_copy_and_takes_masks(written):
    store = Store.open(written)
    windows = cut_windows(store, WindowConfig(2.0, 1.0, null="keep"))
    mask = windows.subject == "s1"
    batch = store.gather(windows, mask)
    assert len(batch["wrist_acc"]) == mask.sum() > 0
    batch["wrist_acc"][:] = 7
    assert not (store.array("wrist_acc") == 7).any()


@pytest.mark.parametrize("row", [-1, 186])
def test_windows_of_another_store_are_refused(written, row):
    store = Store.open(written)
    rows = {"wrist_acc": np.array([row]), "chest_hr": np.array([0])}
    alien = Windows(
        1.0, np.array([0]), np.array([0.0]), rows, np.ones((1, 2), bool), np.array([0]), np.array(["s1"]), LABELS
    )
    with pytest.raises(DataError, match=r"a window must lie inside 'wrist_acc': got rows -?\d+ to -?\d+ of 185"):
        store.gather(alien, np.array([0]))


@pytest.mark.parametrize(
    ("recording", "match"),
    [
        (Recording("r", "s", "1", (Track(inertial_signal("hip", "acc", 10.0), np.ones((3, 3), np.float32)),)),
         r"declared signals, once each: got \['hip_acc'\] in 'r'"),
        (Recording("r", "s", "1", (Track(inertial_signal("wrist", "acc", 20.0), np.ones((3, 3), np.float32)),)),
         r"declared signals"),
        (Recording("r", "s", "1", (Track(ACC, np.ones((3, 3), np.float32)), Track(ACC, np.ones((3, 3), np.float32)))),
         r"once each"),
        (Recording("r", "s", "1", (Track(ACC, np.ones((3, 3), np.float32)),), (Segment(0, 1, "swim"),)),
         r"declared label: got 'swim' in 'r'"),
    ],
)  # fmt: skip
def test_undeclared_recordings_are_refused(recording, match, tmp_path):
    with pytest.raises(DataError, match=match):
        Store.write(tmp_path / "store", SPEC, LABELS, [recording])
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(DataError, match=match):
        memory_store(SPEC, LABELS, [recording])


def test_an_empty_store_is_refused(tmp_path):
    with pytest.raises(DataError, match="a store must hold a recording"):
        Store.write(tmp_path / "store", SPEC, LABELS, [])


def test_an_error_while_writing_leaves_what_was_there(written, recordings):
    def broken():
        yield recordings[0]
        raise FormatError("rule", "value", "Remedy.")

    before = Store.open(written)
    with pytest.raises(FormatError, match="rule"):
        Store.write(written, SPEC, LABELS, broken())
    _assert_same(Store.open(written), before)
    assert [path.name for path in written.parent.iterdir()] == ["store"]


def test_a_store_can_be_replaced(written, recordings):
    Store.write(written, SPEC, LABELS, recordings[:1])
    assert len(Store.open(written).recordings) == 1
    assert [path.name for path in written.parent.iterdir()] == ["store"]


@pytest.mark.parametrize(
    ("damage", "match"),
    [
        (lambda p: p.write_bytes(p.read_bytes()[:-4]), r"whole: got \d+ of \d+ bytes in .*wrist_acc\.npy"),
        (lambda p: p.unlink(), r"a store must be whole: got 0 of \d+ bytes"),
        (lambda p: p.write_bytes(b"?" * p.stat().st_size), r"a store must be whole"),
        (lambda p: (p.parent / "index.json").write_text("{"), r"index must be of this format"),
        (lambda p: (p.parent / "index.json").write_text('{"format": 99}'), r"index must be of this format"),
        (lambda p: (p.parent / "index.json").write_text("[]"), r"index must be of this format"),
    ],
)
def test_a_damaged_store_is_refused(written, damage, match):
    damage(written / "wrist_acc.npy")
    with pytest.raises(FormatError, match=match + r".*Delete '.*store' and open"):
        Store.open(written)


def test_an_index_that_does_not_fit_its_arrays(written):
    plain = json.loads((written / "index.json").read_text())
    plain["recordings"][0]["rows"]["wrist_acc"][1] += 1
    (written / "index.json").write_text(json.dumps(plain))
    with pytest.raises(FormatError, match=r"wrist_acc of r2 at row 60, not 61"):
        Store.open(written)


def test_a_missing_store(tmp_path):
    with pytest.raises(MissingError, match=r"a store must have an index\.json: got none in"):
        Store.open(tmp_path / "absent")


def test_no_disk_space(tmp_path, monkeypatch):
    full = OSError(28, "No space left on device")

    def refuse(*_):
        raise full

    monkeypatch.setattr("dcdp.data.writer._write", refuse)
    with pytest.raises(StorageError, match=r"disk must have room: got no space left for '.*store'"):
        Store.write(tmp_path / "store", SPEC, LABELS, [_recording(1, 5, 0)])
    assert list(tmp_path.iterdir()) == []
