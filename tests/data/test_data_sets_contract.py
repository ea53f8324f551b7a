"""What holds for every data set, on a tiny made-up tree in its original format."""

import zlib

import numpy as np
import pytest

from dcdp.data import get_set, list_sets, open_set
from dcdp.data.archive import open_source
from dcdp.errors import ConfigError

SETS = list_sets()


def _parse(name, path):
    data_set = get_set(name)
    return list(data_set.parse(open_source(path, data_set.layout)))


def test_the_sets_are_listed_and_an_unknown_one_gets_the_nearest_name():
    assert SETS == ("dsads", "hapt", "uschad")
    with pytest.raises(ConfigError, match=r"data set must be one of dsads, hapt, uschad: got 'usc_had'.*'uschad'"):
        get_set("usc_had")


@pytest.mark.parametrize("name", SETS)
def test_declaration_is_consistent(name):
    data_set = get_set(name)
    assert data_set.name == name
    assert data_set.subjects == tuple(sorted(data_set.subjects))
    assert set(data_set.digests) - {"labels"} == set(data_set.subjects)
    assert all(len(digest) == 64 for digest in data_set.digests.values())
    for part in (data_set.official or {}).values():
        assert set(part) < set(data_set.subjects)
    for branch in data_set.branches:
        assert len({data_set.spec[signal].rate_hz for signal in branch.signals}) == 1
    assert {signal for branch in data_set.branches for signal in branch.signals} == set(data_set.spec.names)
    assert {signal.unit for signal in data_set.spec} <= {"m/s2", "deg/s", "1"}


@pytest.mark.parametrize("form", ["folder", "tar", "zip"])
@pytest.mark.parametrize("name", SETS)
def test_every_form_gives_the_same_recordings(name, form, tiny_tree, write_tree, tmp_path):
    shuffled = dict(sorted(tiny_tree(name).items(), key=lambda item: zlib.crc32(item[1])))
    expected = _parse(name, write_tree("folder", tmp_path / "a", name, tiny_tree(name)))
    found = _parse(name, write_tree(form, tmp_path / "b", name, shuffled))
    assert [recording.name for recording in found] == [recording.name for recording in expected]
    for one, other in zip(found, expected, strict=True):
        assert one.segments == other.segments
        for a, b in zip(one.tracks, other.tracks, strict=True):
            np.testing.assert_array_equal(a.values, b.values)


@pytest.mark.parametrize("name", SETS)
def test_recordings_fit_the_declaration(name, tiny_tree, write_tree, tmp_path):
    data_set = get_set(name)
    recordings = _parse(name, write_tree("tar", tmp_path, name, tiny_tree(name)))
    assert len({recording.name for recording in recordings}) == len(recordings) >= 3
    for recording in recordings:
        assert recording.subject in data_set.subjects
        assert tuple(track.signal for track in recording.tracks) == data_set.spec.signals
        assert all(track.values.dtype == np.float32 for track in recording.tracks)
        assert {segment.label for segment in recording.segments} <= set(data_set.labels.names)
        assert max(segment.stop_s for segment in recording.segments) <= recording.tracks[0].stop_s + 1e-9


@pytest.mark.parametrize("form", ["folder", "tar", "zip"])
@pytest.mark.parametrize("name", SETS)
def test_a_folder_that_holds_the_set_in_any_form_is_enough(name, form, tiny_tree, write_tree, tmp_path):
    write_tree(form, tmp_path / "data", name, tiny_tree(name))
    store = open_set(name, tmp_path / "data", tmp_path / "cache", verify=False)
    assert store.spec == get_set(name).spec
    assert store.labels == get_set(name).labels
    files = {path for path in tmp_path.rglob("*") if path.is_file() and tmp_path / "cache" not in path.parents}
    n_given = len(tiny_tree(name)) if form == "folder" else 1
    assert len(files) == n_given, "reading must write nothing beside the data"


def test_hapt_labels_and_units(tiny_tree, write_tree, tmp_path):
    tree = tiny_tree("hapt")
    first, _, last = _parse("hapt", write_tree("folder", tmp_path, "hapt", tree))
    assert (first.name, first.subject, last.subject) == ("exp01_user01", "s01", "s02")
    # lines 11 to 30, 1-based and inclusive, at 50 Hz
    assert [(s.start_s, s.stop_s, s.label) for s in first.segments] == [
        (0.2, 0.6, "standing"), (0.6, 0.8, "stand_to_sit"),
    ]  # fmt: skip
    raw = np.loadtxt(tree["hapt/HAPT Data Set/RawData/acc_exp01_user01.txt"].decode().splitlines())
    np.testing.assert_allclose(first.tracks[0].values, raw * 9.80665, rtol=1e-6)
    raw = np.loadtxt(tree["hapt/HAPT Data Set/RawData/gyro_exp01_user01.txt"].decode().splitlines())
    np.testing.assert_allclose(first.tracks[1].values, np.rad2deg(raw), rtol=1e-6)


def test_dsads_columns_units_and_joined_segments(tiny_tree, write_tree, tmp_path):
    tree = tiny_tree("dsads")
    recording = _parse("dsads", write_tree("folder", tmp_path, "dsads", tree))[1]
    assert (recording.name, recording.subject) == ("a01_p2", "s02")
    assert recording.segments[0].label == "sitting"
    assert recording.segments[0].stop_s == 10.0
    raw = np.loadtxt((tree["data/a01/p2/s01.txt"] + tree["data/a01/p2/s02.txt"]).decode().splitlines(), delimiter=",")
    np.testing.assert_allclose(recording.track("torso_acc").values, raw[:, :3], rtol=1e-6)
    np.testing.assert_allclose(recording.track("right_arm_gyr").values, np.rad2deg(raw[:, 12:15]), rtol=1e-6)
    np.testing.assert_allclose(recording.track("left_leg_mag").values, raw[:, 42:], rtol=1e-6)


def test_uschad_trusts_file_names(tiny_tree, write_tree, tmp_path):
    recordings = _parse("uschad", write_tree("folder", tmp_path, "uschad", tiny_tree("uschad")))
    assert [recording.name for recording in recordings] == ["s01_a01_t1", "s01_a12_t2", "s02_a12_t1", "s10_a01_t1"]
    assert [recording.segments[0].label for recording in recordings[:2]] == ["walking_forward", "lift_down"]
    rng = np.random.default_rng(3)
    raw = rng.normal(size=(41, 6))
    np.testing.assert_allclose(recordings[0].track("hip_acc").values, raw[:, :3] * 9.80665, rtol=1e-6)
    np.testing.assert_allclose(recordings[0].track("hip_gyr").values, raw[:, 3:], rtol=1e-6)
