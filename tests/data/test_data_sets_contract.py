"""What holds for every data set, on a tiny made-up tree in its original format."""

import zlib

import numpy as np
import pytest

from dcdp.data import get_set, list_sets, open_set
from dcdp.data.archive import open_source
from dcdp.errors import ConfigError
from dcdp.signals.units import list_units
from dcdp.splits import official

SETS = list_sets()
WHOLE = {"mhealth", "motionsense", "opportunity_gestures", "opportunity_locomotion", "pamap2", "shoaib"}
"""Sets whose tiny tree has every file of the genuine one, so that declared numbers can be counted."""


def _parse(name, path):
    data_set = get_set(name)
    return list(data_set.parse(open_source(path, data_set.layout)))


def test_the_sets_are_listed_and_an_unknown_one_gets_the_nearest_name():
    assert tuple(sorted(SETS)) == SETS
    assert {"dsads", "hapt", "uschad"} | WHOLE <= set(SETS)
    with pytest.raises(ConfigError, match=r"data set must be one of dsads, hapt, .*: got 'usc_had'.*'uschad'"):
        get_set("usc_had")


@pytest.mark.parametrize("name", SETS)
def test_declaration_is_consistent(name):
    data_set = get_set(name)
    assert data_set.name == name
    assert data_set.subjects == tuple(sorted(data_set.subjects))
    assert data_set.tested_on in ("real files", "made-up files in the documented format")
    if data_set.digests or data_set.tested_on == "real files":
        assert set(data_set.digests) - {"labels"} in (set(data_set.subjects), set(data_set.official or ()))
    assert all(len(digest) == 64 for digest in data_set.digests.values())
    assert len(set(data_set.digests.values())) == len(data_set.digests)
    assert len(data_set.branches) >= 2
    for branch in data_set.branches:
        assert len({data_set.spec[signal].rate_hz for signal in branch.signals}) == 1
    used = [signal for branch in data_set.branches for signal in branch.signals]
    assert sorted(used) == sorted(data_set.spec.names)
    channels = [channel for signal in data_set.spec for channel in signal.channels]
    assert len(set(channels)) == len(channels)
    for signal in data_set.spec:
        assert signal.name == f"{signal.placement}_{signal.modality}"
        assert signal.unit in (*list_units(), "deg")
        if signal.modality in ("acc", "gyr", "hr"):
            assert signal.unit == {"acc": "m/s2", "gyr": "deg/s", "hr": "bpm"}[signal.modality]


@pytest.mark.parametrize("name", [name for name in SETS if get_set(name).official])
def test_the_official_split_can_be_made(name):
    data_set = get_set(name)
    (fold,) = official(data_set.subjects, data_set.official)
    assert {who for part in fold.subjects.values() for who in part} <= set(data_set.subjects)
    assert fold.fold == "official"


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
        there = {track.signal for track in recording.tracks}  # a sensor may have been left at home
        assert tuple(track.signal for track in recording.tracks) == tuple(s for s in data_set.spec if s in there)
        assert all(track.values.dtype == np.float32 for track in recording.tracks)
        assert {segment.label for segment in recording.segments} <= set(data_set.labels.names)
        stop_s = max(track.stop_s for track in recording.tracks)
        assert max(segment.stop_s for segment in recording.segments) <= stop_s + 1e-9
        assert all(abs(track.stop_s - stop_s) < 1.5 / track.signal.rate_hz for track in recording.tracks)
    assert {track.signal for recording in recordings for track in recording.tracks} == set(data_set.spec)


@pytest.mark.parametrize("name", sorted(WHOLE))
def test_declared_numbers_are_those_of_whole_files(name, tiny_tree, write_tree, tmp_path):
    data_set = get_set(name)
    recordings = _parse(name, write_tree("folder", tmp_path, name, tiny_tree(name)))
    assert len(recordings) == data_set.n_recordings
    assert tuple(dict.fromkeys(recording.subject for recording in recordings)) == data_set.subjects
    assert {segment.label for r in recordings for segment in r.segments} == set(data_set.labels.names)
    assert sum(data_set.layout.relative(path) is not None for path in tiny_tree(name)) == data_set.layout.n_files


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
