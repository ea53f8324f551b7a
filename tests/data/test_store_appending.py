"""Appending: all or nothing, one writer, leftovers removed, open readers undisturbed."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dcdp.data import Store, memory_store
from dcdp.data.declaration import inertial_signal
from dcdp.data.writer import write_lock
from dcdp.errors import DataError, FormatError, MissingError, StorageError
from dcdp.records import LabelSet, Recording, Segment, Signal, SignalSpec, Track

ACC = inertial_signal("wrist", "acc", 10.0)
GYR = inertial_signal("wrist", "gyr", 10.0)
HR = Signal("chest_hr", "hr", "chest", 2.0, ("chest_hr",), "bpm")
SPEC = SignalSpec((ACC, HR, GYR))
LABELS = LabelSet(("sit", "walk"), "null")


def _recording(number, lengths=(60, 12, 60), label="walk"):
    rng = np.random.default_rng(number)
    tracks = tuple(
        Track(signal, rng.normal(size=(n, len(signal.channels))).astype(np.float32))
        for signal, n in zip(SPEC, lengths, strict=True)
        if n
    )
    return Recording(f"r{number}", f"s{number}", "1", tracks, (Segment(0.0, 4.0, label),))


def _values(store, entry):
    return {name: np.array(store.array(name)[first : first + n]) for name, (first, n) in entry.rows.items()}


def _assert_holds(store, recordings):
    assert [entry.name for entry in store.recordings] == [recording.name for recording in recordings]
    for entry, recording in zip(store.recordings, recordings, strict=True):
        found = _values(store, entry)
        assert set(found) == {track.signal.name for track in recording.tracks}
        for track in recording.tracks:
            np.testing.assert_array_equal(found[track.signal.name], track.values)


@pytest.fixture
def stored(tmp_path):
    Store.write(tmp_path / "store", SPEC, LABELS, [_recording(1), _recording(2)])
    return tmp_path / "store"


ODD = [_recording(3, (40, 0, 0)), _recording(4, (0, 9, 50)), _recording(5, (30, 6, 44))]
"""Recordings in which signals that lie side by side are absent or of unequal length."""


def test_signals_of_a_device_share_an_array(stored):
    assert sorted(path.name for path in stored.glob("*.npy")) == ["chest_hr.npy", "wrist_acc+1.npy"]
    assert np.load(stored / "wrist_acc+1.npy").shape == (120, 6)


@pytest.mark.parametrize("mapped", [True, False])
def test_what_is_appended_lies_behind(stored, mapped):
    Store.append(stored, iter(ODD[:1]))
    Store.append(stored, ODD[1:])
    store = Store.open(stored, mapped)
    _assert_holds(store, [_recording(1), _recording(2), *ODD])
    assert store.recordings == memory_store(SPEC, LABELS, [_recording(1), _recording(2), *ODD]).recordings
    assert np.load(stored / "wrist_acc+1.npy").shape == (120 + 40 + 50 + 44, 6), "the header follows"


def test_what_lies_beside_an_absent_signal_is_nan(stored):
    Store.append(stored, ODD[:1])
    assert np.isnan(Store.open(stored).array("wrist_gyr")[120:]).all()


def test_an_open_reader_keeps_what_it_saw(stored):
    for mapped in (True, False):
        before = Store.open(stored, mapped)
        Store.append(stored, [_recording(6 + mapped)])
        Store.write(stored, SPEC, LABELS, [_recording(1), _recording(2)])
        _assert_holds(before, [_recording(1), _recording(2)])


def test_a_failing_append_changes_nothing_and_the_next_one_cleans(stored):
    def broken():
        yield _recording(3)
        raise RuntimeError("the reader broke")

    with pytest.raises(RuntimeError, match="the reader broke"):
        Store.append(stored, broken())
    _assert_holds(Store.open(stored), [_recording(1), _recording(2)])
    (stored / "chest_hr.12ab34cd.npy").write_bytes(b"left by a killed writer")
    (stored / ".index.json.0123.json").write_text("left too")
    Store.append(stored, [_recording(4)])
    _assert_holds(Store.open(stored), [_recording(1), _recording(2), _recording(4)])
    assert sorted(path.name for path in stored.iterdir()) == [
        ".lock", "chest_hr.npy", "index.json", "wrist_acc+1.npy",
    ]  # fmt: skip


def test_the_tail_of_a_killed_writer_is_ignored_then_cut(stored):
    file = stored / "wrist_acc+1.npy"
    size = file.stat().st_size
    with file.open("ab") as opened:
        opened.write(b"\1" * 1001)
    _assert_holds(Store.open(stored), [_recording(1), _recording(2)])
    Store.append(stored, ODD[:1])
    _assert_holds(Store.open(stored), [_recording(1), _recording(2), ODD[0]])
    assert file.stat().st_size == size + 40 * 6 * 4


def test_new_labels_come_last_and_only_if_asked(stored):
    running = _recording(3, label="run")
    with pytest.raises(DataError, match="declared label: got 'run' in 'r3'"):
        Store.append(stored, [running])
    with pytest.raises(DataError, match=r"new labels must follow the stored ones.*Begin with sit, walk"):
        Store.append(stored, [running], labels=LabelSet(("run", "sit", "walk"), "null"))
    with pytest.raises(DataError, match="new labels must follow"):
        Store.append(stored, [running], labels=LabelSet(("sit", "walk", "run")))
    Store.append(stored, [running], labels=LabelSet(("sit", "walk", "run"), "null"))
    assert Store.open(stored).labels.names == ("sit", "walk", "run")


def test_a_recording_is_stored_once(stored):
    with pytest.raises(DataError, match="a recording must be stored once: got 'r2' of 's2' again"):
        Store.append(stored, [_recording(3), _recording(2)])
    assert len(Store.open(stored).recordings) == 2


def test_fingerprints_tell_what_is_in(stored):
    prints = {}

    def reading():
        prints["r3"] = "of file 3"
        yield _recording(3)

    Store.append(stored, reading(), fingerprints=prints)
    assert [entry.fingerprint for entry in Store.open(stored).recordings] == ["", "", "of file 3"]


def test_appending_to_nothing(tmp_path):
    with pytest.raises(MissingError, match=r"index\.json"):
        Store.append(tmp_path / "absent", [_recording(1)])
    assert not (tmp_path / "absent").exists()


def test_complete_signals_are_told(tmp_path):
    recording = _recording(1)
    recording.tracks[0].values[20:40] = np.nan
    Store.write(tmp_path / "store", SPEC, LABELS, [recording])
    assert set(Store.open(tmp_path / "store").recordings[0].complete) == {"chest_hr", "wrist_gyr"}


def test_rows_that_no_recording_names_are_damage(stored):
    plain = json.loads((stored / "index.json").read_text())
    del plain["recordings"][1]
    (stored / "index.json").write_text(json.dumps(plain))
    with pytest.raises(FormatError, match=r"index must be of this format.*60 of 120 rows in wrist_acc\+1\.npy.*Delete"):
        Store.open(stored)


_HOLDER = """
import sys, time
from pathlib import Path
from dcdp.data.writer import write_lock
with write_lock(Path(sys.argv[1])):
    print("ready", flush=True)
    time.sleep(60)
"""


def test_one_writer_whose_lock_falls_when_it_is_killed(stored):
    said = []
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(stored)], stdout=subprocess.PIPE, text=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    ) as run:  # fmt: skip
        assert run.stdout.readline() == "ready\n"
        for write in (lambda **how: Store.append(stored, [_recording(3)], **how),
                      lambda **how: Store.write(stored, SPEC, LABELS, [_recording(3)], **how)):  # fmt: skip
            with pytest.raises(StorageError, match=r"one writer at a time: got another process.*Wait"):
                write()
        with pytest.raises(StorageError, match="one writer"):
            Store.append(stored, [_recording(3)], wait_s=0.05, waiting=lambda: said.append("waiting"))
        assert len(Store.open(stored).recordings) == 2, "reading needs no lock"
        run.kill()
        run.wait()
    Store.append(stored, [_recording(3)])
    assert said == ["waiting"]
    assert len(Store.open(stored).recordings) == 3


def test_the_lock_may_be_held_around_a_write(tmp_path):
    with write_lock(tmp_path / "store"):
        Store.write(tmp_path / "store", SPEC, LABELS, [_recording(1)])
    assert len(Store.open(tmp_path / "store").recordings) == 1


def test_the_first_format_is_read_and_grown(tmp_path):
    folder = tmp_path / "old"
    recordings = [_recording(1), _recording(2)]
    Store.write(folder, SPEC, LABELS, recordings)
    plain = json.loads((folder / "index.json").read_text())
    first = dict.fromkeys(SPEC.names, 0)
    for own, recording in zip(plain["recordings"], recordings, strict=True):
        own["rows"] = {t.signal.name: [first[t.signal.name], len(t.values)] for t in recording.tracks}
        for name, (_, n) in own["rows"].items():
            first[name] += n
        del own["complete"], own["fingerprint"]
    for path in folder.glob("*.npy"):
        path.unlink()
    for column, signal in enumerate(SPEC):
        np.save(folder / f"{signal.name}.npy", np.concatenate([r.tracks[column].values for r in recordings]))
    plain |= {"format": 1, "n_bytes": {name: (folder / f"{name}.npy").stat().st_size for name in SPEC.names}}
    del plain["files"]
    (folder / "index.json").write_text(json.dumps(plain))
    _assert_holds(Store.open(folder), recordings)
    Store.append(folder, ODD)
    _assert_holds(Store.open(folder), [*recordings, *ODD])
    (folder / "chest_hr.npy").write_bytes(b"")
    with pytest.raises(FormatError, match="a store must be whole"):
        Store.open(folder)


def test_kill_9_leaves_the_old_or_the_new_state(tmp_path):
    """A quick version of ``studies/kill_import.py``: eight kills of appends and of replacements each."""
    study = Path(__file__).parents[2] / "studies" / "kill_import.py"
    done = subprocess.run(
        [sys.executable, str(study), "--kills", "4", "--rounds", "append,replace"], capture_output=True, text=True,
        env={"PYTHONPATH": ":".join(sys.path), "TMPDIR": str(tmp_path)}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    for line in done.stdout.splitlines():
        found = json.loads(line)
        assert found["kills"] == 4
        assert set(found["states"]) <= {"old", "new"}
        assert found["left_over"] == []
        assert found["open_reader_kept_its_state"]
