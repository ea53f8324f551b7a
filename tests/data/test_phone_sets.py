"""Columns, units, clocks, joins and decisions of UCI-HAR, MotionSense, Shoaib, WISDM and RealWorld."""

import dataclasses
import hashlib
import re
from pathlib import Path

import numpy as np
import pytest

from dcdp.data import get_set, open_set, registry
from dcdp.data.archive import open_source
from dcdp.data.digests import TreeDigest
from dcdp.errors import FormatError

G = 9.80665


def _parse(name, tree):
    data_set = get_set(name)
    files = ((data_set.layout.relative(path), data) for path, data in tree.items())
    return {recording.name: recording for recording in data_set.parse(file for file in files if file[0])}


@pytest.fixture(scope="module")
def trees(tree_modules):
    return tree_modules["trees_b"]


@pytest.fixture
def parse_packed(write_tree, tmp_path):
    """Return a function that parses a tree from disk, where archives inside are opened."""

    def parse(name, tree, form="folder"):
        data_set = get_set(name)
        source = open_source(write_tree(form, tmp_path / form, name, tree), data_set.layout)
        return {recording.name: recording for recording in data_set.parse(source)}

    return parse


def test_ucihar_windows_are_joined_exactly(tiny_tree, trees):
    recordings = _parse("ucihar", tiny_tree("ucihar"))
    assert list(recordings) == ["s01_001", "s01_002", "s02_001", "s03_001"]
    signals = trees.ucihar_signals()
    originals = [*signals["train"][:2], *signals["test"], signals["train"][2]]
    for recording, original in zip(recordings.values(), originals, strict=True):
        np.testing.assert_array_equal(recording.track("waist_acc").values, (original[:, :3] * G).astype(np.float32))
        np.testing.assert_allclose(recording.track("waist_gyr").values, np.rad2deg(original[:, 3:]), rtol=1e-6)


def test_ucihar_labels_change_in_the_middle_of_what_windows_share(tiny_tree):
    recordings = _parse("ucihar", tiny_tree("ucihar"))
    first = recordings["s01_001"]  # windows begin at 0, 64, 128; the last one is of another activity
    assert [(s.start_s, s.stop_s, s.label) for s in first.segments] == [
        (0.0, 160 / 50, "standing"), (160 / 50, 256 / 50, "sitting"),
    ]  # fmt: skip
    assert [(note.kind, note.value) for note in first.notes] == [("label_boundary", 1.0)]
    assert [(s.stop_s, s.label) for s in recordings["s02_001"].segments] == [(192 / 50, "lying")]
    assert recordings["s02_001"].notes == ()


@pytest.mark.parametrize("kind", ["total_acc_x", "body_gyro_z"])
def test_ucihar_one_number_that_differs_breaks_the_join(kind, tiny_tree):
    tree = tiny_tree("ucihar")
    path = f"UCI HAR Dataset/train/Inertial Signals/{kind}_train.txt"
    lines = tree[path].splitlines()
    fields = lines[1].split()
    fields[5] = b"%.7e" % (float(fields[5]) + 1e-6)
    tree[path] = b"\n".join([lines[0], b" ".join(fields), *lines[2:]])
    recordings = _parse("ucihar", tree)
    assert [name for name in recordings if name.startswith("s01")] == ["s01_001", "s01_002", "s01_003"]
    assert [len(recordings[f"s01_{i:03d}"].tracks[0].values) for i in (1, 2, 3)] == [128, 192, 128]


def test_ucihar_windows_of_two_people_are_never_joined(tiny_tree):
    tree = tiny_tree("ucihar")
    tree["UCI HAR Dataset/train/subject_train.txt"] = b"1\n1\n3\n5\n5\n5\n5\n"
    recordings = _parse("ucihar", tree)
    assert {name: len(recording.tracks[0].values) for name, recording in recordings.items()} == {
        "s01_001": 192, "s02_001": 192, "s03_001": 128, "s05_001": 128, "s05_002": 256,
    }  # fmt: skip


def test_ucihar_known_hashes_cover_the_signals_alone(tiny_tree, write_tree, tmp_path, monkeypatch):
    data_set = get_set("ucihar")
    assert set(data_set.digests) == {"train", "test"}
    path = write_tree("tar", tmp_path / "known", "ucihar", tiny_tree("ucihar"))
    tree = TreeDigest(data_set.layout, data_set.file_hash)
    list(tree.watch(open_source(path, data_set.layout)))
    monkeypatch.setattr(registry, "SETS", (dataclasses.replace(data_set, digests=tree.digests()),))
    assert len(open_set("ucihar", path, tmp_path / "cache").recordings) == 4

    relabelled = tiny_tree("ucihar") | {"UCI HAR Dataset/train/y_train.txt": b"1\n" * 7}
    open_set("ucihar", write_tree("tar", tmp_path / "other", "ucihar", relabelled), tmp_path / "cache_2")

    signal = "UCI HAR Dataset/test/Inertial Signals/total_acc_y_test.txt"
    altered = tiny_tree("ucihar") | {signal: tiny_tree("ucihar")[signal].replace(b"1", b"2", 1)}
    with pytest.raises(FormatError, match=r"altered, missing or surplus files of test\. Fetch"):
        open_set("ucihar", write_tree("tar", tmp_path / "altered", "ucihar", altered), tmp_path / "cache_3")


def test_digests_of_known_hashes(tiny_tree):
    """The digests of git names are made as documented: sorted lines of path, NUL, hash."""
    data_set, tree = get_set("ucihar"), TreeDigest(get_set("ucihar").layout, "git_blob_sha1")
    files = [(data_set.layout.relative(path), data) for path, data in tiny_tree("ucihar").items()]
    list(tree.watch([file for file in files if file[0]]))
    lines = sorted(
        f"{path}\0{hashlib.sha1(b'blob %d' % len(data) + bytes(1) + data).hexdigest()}\n"
        for path, data in files
        if path and path.startswith("test/Inertial")
    )
    assert len(lines) == 6
    assert tree.digests()["test"] == hashlib.sha256("".join(lines).encode()).hexdigest()


@pytest.mark.parametrize("name", ["ucihar", "wisdm"])
def test_the_downloads_of_uci_hold_an_archive(name, tiny_tree, parse_packed, trees):
    data_set = get_set(name)
    inner = next(path for path in data_set.layout.archives if path.endswith(".zip") and path != f"{name}.zip"
                 and path != data_set.download.filename)
    tree = {inner: trees.zipped(tiny_tree(name))}
    packed = parse_packed(name, tree, "zip")
    expected = _parse(name, tiny_tree(name))
    assert list(packed) == list(expected)
    first = next(iter(packed))
    np.testing.assert_array_equal(packed[first].tracks[0].values, expected[first].tracks[0].values)


def test_motionsense_total_acceleration_and_rotation(tiny_tree):
    recording = _parse("motionsense", tiny_tree("motionsense"))["s07_ups_12"]
    assert (recording.subject, recording.session) == ("s07", "12")
    lines = tiny_tree("motionsense")["A_DeviceMotion_data/ups_12/sub_7.csv"].decode().splitlines()
    raw = np.loadtxt(lines[1:], delimiter=",")
    assert lines[0].split(",")[4] == "gravity.x"
    assert lines[0].split(",")[10] == "userAcceleration.x"
    np.testing.assert_allclose(recording.track("pocket_acc").values, (raw[:, 4:7] + raw[:, 10:13]) * G, rtol=1e-6)
    np.testing.assert_allclose(recording.track("pocket_gyr").values, np.rad2deg(raw[:, 7:10]), rtol=1e-6)
    assert [(s.start_s, s.stop_s, s.label) for s in recording.segments] == [(0.0, 0.06, "walking_upstairs")]


def test_motionsense_the_copied_trial_is_kept_once(tiny_tree):
    tree = tiny_tree("motionsense")
    for files in (tree, dict(reversed(tree.items()))):
        recordings = _parse("motionsense", files)
        assert len(recordings) == 359
        assert "s01_sit_13" not in recordings
        assert [(note.kind, note.value) for note in recordings["s01_sit_05"].notes] == [("duplicate_file", 13.0)]
        assert sum(bool(recording.notes) for recording in recordings.values()) == 1
    tree["A_DeviceMotion_data/sit_13/sub_1.csv"] = tree["A_DeviceMotion_data/sit_13/sub_2.csv"]
    with pytest.raises(FormatError, match=r"one person and activity: got equal bytes in '.*sit_13/sub_1.*sit_13/sub_2"):
        _parse("motionsense", tree)


def test_shoaib_columns_units_and_runs(tiny_tree, trees):
    recordings = _parse("shoaib", tiny_tree("shoaib"))
    own = [recording for name, recording in recordings.items() if name.startswith("s10")]
    assert [recording.segments[0].label for recording in own] == [
        "walking", "standing", "jogging", "sitting", "biking", "upstairs", "downstairs",
    ]  # fmt: skip
    raw = trees.shoaib_table(10)[3:6]  # acc, linear acc, gyr, mag
    standing = recordings["s10_02_standing"]
    for place, placement in enumerate(("left_pocket", "right_pocket", "wrist", "upper_arm", "belt")):
        np.testing.assert_allclose(standing.track(f"{placement}_acc").values, raw[:, place, :3], rtol=1e-6)
        np.testing.assert_allclose(standing.track(f"{placement}_gyr").values, np.rad2deg(raw[:, place, 6:9]), rtol=1e-6)
        np.testing.assert_allclose(standing.track(f"{placement}_mag").values, raw[:, place, 9:], rtol=1e-6)
    assert standing.segments[0].stop_s == 0.06


def test_shoaib_empty_cells_are_gaps(tiny_tree):
    tree = tiny_tree("shoaib")
    lines = tree["DataSet/Participant_3.csv"].split(b"\n")
    fields = lines[3].split(b",")
    fields[15] = b""  # acceleration along x in the right pocket, second sample
    lines[3] = b",".join(fields)
    tree["DataSet/Participant_3.csv"] = b"\n".join(lines)
    first = _parse("shoaib", tree)["s03_01_walking"]
    assert np.isnan(first.track("right_pocket_acc").values).tolist() == [[False] * 3, [True, False, False], [False] * 3]
    assert [(note.kind, note.signal, note.value) for note in first.notes] == [("gap", "right_pocket_acc", 0.02)]


def test_wisdm_streams_get_a_regular_clock(tiny_tree):
    recordings = _parse("wisdm", tiny_tree("wisdm"))
    assert list(recordings) == ["s1600_A_1", "s1600_S_1", "s1650_A_1", "s1650_S_1"]
    recording = recordings["s1600_A_1"]
    assert (recording.subject, recording.segments[0].label) == ("s1600", "walking")
    for placement in ("pocket", "wrist"):
        acc, gyr = recording.track(f"{placement}_acc"), recording.track(f"{placement}_gyr")
        times_s = np.arange(60) * 0.05
        waves = 10 * np.cos(times_s[:, None] + np.arange(3))
        np.testing.assert_allclose(acc.values, waves, atol=1e-4)
        assert acc.start_s == 0
        assert gyr.start_s == pytest.approx(0.02)
        later = 10 * np.cos(0.02 + times_s[:, None] + np.arange(3))
        np.testing.assert_allclose(gyr.values, np.rad2deg(later), atol=0.01)
    offset = [note for note in recording.notes if note.kind == "clock_offset"]
    assert [note.value for note in offset] == [pytest.approx((90_426_708_196_641 - 252_207_666_810_782) * 1e-9)]
    assert {note.kind for note in recording.notes} == {"clock_offset"}, "even time stamps leave nothing else to say"


def _wisdm_times(tree, trees, times_ns, device="phone", sensor="accel"):
    """Give the first activity of person 1600 other times."""
    values = np.tile([0.5, 9.5, 1.5], (len(times_ns), 1))
    path = f"wisdm-dataset/raw/{device}/{sensor}/data_1600_{sensor}_{device}.txt"
    return tree | {path: trees.wisdm_rows(1600, "A", times_ns, values)}


def test_wisdm_jitter_repeats_and_gaps_are_mended_and_told(tiny_tree, trees):
    rng = np.random.default_rng(1)
    times_ns = trees.WISDM_START_NS["phone"] + np.arange(200) * 50_000_000 + rng.integers(-5_000_000, 5_000_000, 200)
    times_ns = np.concatenate([times_ns[:100], times_ns[100:101], times_ns[100:160] + 0, times_ns[160:] + 2 * 10**9])
    recording = _parse("wisdm", _wisdm_times(tiny_tree("wisdm"), trees, times_ns))["s1600_A_1"]
    values = recording.track("pocket_acc").values
    assert len(values) == pytest.approx(240, abs=1)
    assert np.isnan(values[:, 0]).sum() == pytest.approx(40, abs=1)
    np.testing.assert_allclose(values[~np.isnan(values[:, 0])], np.tile([0.5, 9.5, 1.5], (200, 1))[:len(values)
                               - int(np.isnan(values[:, 0]).sum())], rtol=1e-5)
    kinds = {note.kind for note in recording.notes if note.signal == "pocket_acc"}
    assert {"rate_jitter", "duplicate_times", "gap"} <= kinds


def test_wisdm_interrupted_activities_are_paired_or_kept_apart(tiny_tree, trees):
    tree = tiny_tree("wisdm")
    times_ns = np.concatenate([np.arange(60), 400 + np.arange(40)]) * 50_000_000
    for device in ("phone", "watch"):
        for sensor in ("accel", "gyro"):
            tree = _wisdm_times(tree, trees, trees.WISDM_START_NS[device] + times_ns, device, sensor)
    paired = _parse("wisdm", tree)
    assert [name for name in paired if "1600_A" in name] == ["s1600_A_1", "s1600_A_2"]
    assert [len(paired[f"s1600_A_{i}"].tracks) for i in (1, 2)] == [4, 4]
    assert [len(track.values) for track in paired["s1600_A_2"].tracks] == [40] * 4

    for sensor in ("accel", "gyro"):  # the watch was not interrupted
        tree = _wisdm_times(tree, trees, trees.WISDM_START_NS["watch"] + times_ns[:60], "watch", sensor)
    apart = _parse("wisdm", tree)
    names = [[track.signal.name for track in apart[f"s1600_A_{i}"].tracks] for i in (1, 2, 3)]
    assert names == [["pocket_acc", "pocket_gyr"]] * 2 + [["wrist_acc", "wrist_gyr"]]
    assert all(note.kind != "clock_offset" for i in (1, 2, 3) for note in apart[f"s1600_A_{i}"].notes)


def test_wisdm_a_sensor_that_is_missing_or_hardly_there_is_absent(tiny_tree, trees):
    tree = tiny_tree("wisdm")
    del tree["wisdm-dataset/raw/watch/gyro/data_1600_gyro_watch.txt"]
    times_ns = trees.WISDM_START_NS["phone"] + np.arange(19) * 50_000_000
    recording = _parse("wisdm", _wisdm_times(tree, trees, times_ns))["s1600_A_1"]
    assert [track.signal.name for track in recording.tracks] == ["pocket_gyr", "wrist_acc"]
    assert recording.track("pocket_gyr").start_s == 0


def test_realworld_archives_goes_and_absent_sensors(tiny_tree, parse_packed):
    recordings = parse_packed("realworld", tiny_tree("realworld"))
    assert {name: len(recording.tracks) for name, recording in recordings.items()} == {
        "s01_walking_1": 21, "s02_climbingup_1": 18,
        "s04_climbingup_1": 21, "s04_climbingup_2": 21, "s04_climbingup_3": 21, "s04_walking_2": 21,
    }  # fmt: skip
    assert recordings["s02_climbingup_1"].track("forearm_acc") is None
    assert recordings["s04_climbingup_3"].session == "3"
    assert recordings["s04_climbingup_3"].segments[0].label == "climbing_up"
    first = recordings["s01_walking_1"]
    raw = np.random.default_rng(2).normal(size=(40, 3))  # of the head, the third placement
    np.testing.assert_allclose(first.track("head_acc").values, raw, atol=1e-6)
    np.testing.assert_allclose(first.track("head_gyr").values, np.rad2deg(raw), atol=1e-4)
    np.testing.assert_allclose(first.track("head_mag").values, raw, atol=1e-6)
    assert first.segments[0].stop_s == pytest.approx(0.8)
    assert first.notes == ()


def test_realworld_unpacked_archives_read_the_same(tiny_tree, trees, parse_packed):
    tree = {
        f"proband1/data/{sensor}_walking_csv/{name}": data
        for sensor in trees.REALWORLD_SENSORS
        for name, data in trees.realworld_files(sensor, "walking").items()
    }
    found = parse_packed("realworld", tree)["s01_walking_1"]
    packed = parse_packed("realworld", tiny_tree("realworld"), "zip")["s01_walking_1"]
    for one, other in zip(found.tracks, packed.tracks, strict=True):
        assert one.signal == other.signal
        np.testing.assert_array_equal(one.values, other.values)


def test_realworld_clocks_are_trusted_unless_they_have_nothing_in_common(trees):
    files = {f"proband1/data/{name}": data for name, data in trees.realworld_files("acc", "walking").items()}
    later, hours = trees.REALWORLD_START_MS + 100, trees.REALWORLD_START_MS + 7_200_000
    files["proband1/data/acc_walking_head.csv"] = trees.realworld_csv(start_ms=later)
    files["proband1/data/acc_walking_shin.csv"] = trees.realworld_csv(start_ms=hours)
    recording = _parse("realworld", files)["s01_walking_1"]
    starts_s = {track.signal.placement: track.start_s for track in recording.tracks}
    assert starts_s["head"] == pytest.approx(0.1, abs=1e-6)
    assert starts_s["shin"] == pytest.approx(0.0, abs=1e-6)
    assert [(note.kind, note.value) for note in recording.notes] == [("clock_offset", pytest.approx(7200))]
    assert "shin" in recording.notes[0].text
    assert recording.segments[0].stop_s == pytest.approx(0.9)


def test_realworld_gaps_are_told(trees):
    rows = trees.realworld_csv(n_rows=100).splitlines(keepends=True)
    data = b"".join(rows[:41] + rows[61:])
    recording = _parse("realworld", {"proband3/data/acc_lying_chest.csv": data})["s03_lying_1"]
    values = recording.track("chest_acc").values
    assert len(values) == 100
    assert np.flatnonzero(np.isnan(values[:, 0])).tolist() == list(range(40, 60))
    assert [(note.kind, note.signal) for note in recording.notes] == [("gap", "chest_acc")]


@pytest.mark.parametrize("name", ["motionsense", "realworld", "shoaib", "ucihar", "wisdm"])
def test_the_documentation_says_how_they_were_tested(name):
    data_set = get_set(name)
    assert data_set.tested_on == "made-up files in the documented format"
    module = __import__(f"dcdp.data.sets.{name}", fromlist=[name])
    assert re.search(r"Written from .*\n(.*\n)+\nDecisions\n---------\n- ", module.__doc__)


@pytest.mark.parametrize(("name", "file"), [
    ("motionsense", "motionsense.sha256.txt"), ("ucihar", "uci_har_inertial.git-blob-sha1.txt"),
])
def test_digests_are_those_of_the_published_hashes(name, file):
    """The digest of a group, computed from the hashes of genuine files, without having these."""
    published = Path(__file__).parents[3] / "shared" / "reference" / "hashes" / file
    if not published.is_file():
        pytest.skip(f"no published hashes at '{published}'")
    data_set, groups = get_set(name), {}
    for digest, path in map(str.split, published.read_text().splitlines()):
        part = path.removesuffix(".txt").rpartition("_")[2]
        path = path.replace("Signals/", f"{part}/Inertial Signals/")
        if match := data_set.layout.pattern.search(path):
            group = f"s{int(match['subject']):02d}" if name == "motionsense" else match["part"]
            groups.setdefault(group, []).append(f"{match.group()}\0{digest}\n")
    assert sum(map(len, groups.values())) == {"motionsense": 360, "ucihar": 12}[name]
    found = {group: hashlib.sha256("".join(sorted(lines)).encode()).hexdigest() for group, lines in groups.items()}
    assert found == data_set.digests
