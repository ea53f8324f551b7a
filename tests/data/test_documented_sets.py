"""Columns, units, clocks, labels and decisions of the sets that were written from their documentation."""

import hashlib
import re
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from dcdp.data import get_set, list_sets, memory_store, open_set
from dcdp.data.archive import open_source
from dcdp.data.sets import hugadb
from dcdp.signals import WindowConfig, cut_windows
from dcdp.splits import leak_audit, make_folds, require_no_leak

G = 9.80665


def _parse(name, tree):
    data_set = get_set(name)
    files = ((data_set.layout.relative(path), data) for path, data in tree.items())
    return list(data_set.parse(file for file in files if file[0]))


@pytest.fixture(scope="module")
def trees(tree_modules):
    return tree_modules["trees_a"]


@pytest.fixture(scope="module")
def parsed(tiny_tree):
    """Return the recordings of a tiny set, by name; parsed once."""
    known = {}

    def recordings(name):
        if name not in known:
            known[name] = {recording.name: recording for recording in _parse(name, tiny_tree(name))}
        return known[name]

    return recordings


def _same(track, values):
    np.testing.assert_allclose(track.values, values, rtol=2e-4, atol=1e-6)


def test_pamap2_columns_and_units(parsed, trees):
    recording, raw = parsed("pamap2")["s103"], trees.pamap2_table(103)
    # of each unit's 17 columns: temperature, acc16, acc6, gyr, mag, orientation; the first unit begins at column 4
    for unit, placement in enumerate(("wrist", "chest", "ankle")):
        first = 3 + 17 * unit
        _same(recording.track(f"{placement}_acc"), raw[:, first + 1 : first + 4])
        _same(recording.track(f"{placement}_gyr"), np.rad2deg(raw[:, first + 7 : first + 10]))
        _same(recording.track(f"{placement}_mag"), raw[:, first + 10 : first + 13])
    assert np.isnan(recording.track("chest_acc").values[5]).all()
    assert recording.notes == ()


def test_pamap2_labels_and_the_person_who_only_jumped(parsed):
    first = parsed("pamap2")["s101"].segments[:2]
    assert [(s.start_s, s.stop_s, s.label) for s in first] == [(0.04, 0.14, "lying"), (0.16, 0.26, "sitting")]
    assert {segment.label for segment in parsed("pamap2")["s109"].segments} == {"rope_jumping"}


def test_pamap2_leaves_optional_files_out(parsed):
    assert list(parsed("pamap2")) == [f"s{number}" for number in range(101, 110)]


def test_pamap2_heart_rate_has_its_own_clock(parsed):
    recording = parsed("pamap2")["s101"]
    heart = recording.track("chest_hr")
    # 148 rows are 1.48 s, or 13 whole ticks; a value came with rows 3, 14, 25 ...: at 0.03, 0.14, 0.25 s
    assert (heart.signal.rate_hz, heart.values.shape) == (9.0, (13, 1))
    expected = [np.nan if tick < 0.03 else 100 + np.floor((tick - 0.03 + 1e-9) / 0.11) for tick in np.arange(13) / 9]
    np.testing.assert_array_equal(heart.values[:, 0], np.float32(expected))


def _pamap2_with(trees, **changes):
    table = np.repeat(trees.pamap2_table(101)[:4], 150, axis=0)
    table[:, 0], table[:, 1], table[:, 2] = np.arange(600) / 100, 1, np.nan
    for column, values in changes.items():
        table[:, {"time": 0, "heart": 2}[column]] = values(table)
    return _parse("pamap2", {"Protocol/subject101.dat": trees.text_of(table, " ", "%.6g")})[0]


def test_pamap2_heart_rate_is_not_held_for_ever(trees):
    recording = _pamap2_with(trees, heart=lambda table: np.where(table[:, 0] == 1.0, 70, np.nan))
    heart = recording.track("chest_hr").values[:, 0]
    np.testing.assert_array_equal(np.flatnonzero(np.isfinite(heart)), np.arange(9, 19))  # 1 s to 2 s
    without = _pamap2_with(trees)
    assert without.track("chest_hr") is None


def test_rows_that_are_not_there_become_a_gap(trees):
    recording = _pamap2_with(trees, time=lambda table: table[:, 0] + 0.5 * (table[:, 0] >= 2))
    values = recording.track("wrist_acc").values
    assert len(values) == 650
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(values[:, 0])), np.arange(200, 250))
    assert [(s.start_s, s.stop_s) for s in recording.segments] == [(0.0, 2.0), (2.5, 6.5)]
    assert [(note.kind, note.value, note.unit) for note in recording.notes] == [("gap", 0.5, "s")]


@pytest.mark.parametrize(
    ("signal", "first", "factor"),
    [
        ("right_knee_upper_acc", 2, G / 1000),
        ("back_acc", 17, G / 1000),
        ("right_hand_acc", 35, G / 1000),
        ("jacket_back_acc", 38, 9.8 / 1000),
        ("jacket_back_gyr", 41, 180 / np.pi / 1000),
        ("jacket_back_mag", 44, 1 / 1000),
        ("jacket_right_upper_arm_acc", 51, 9.8 / 1000),
        ("jacket_left_lower_arm_mag", 96, 1 / 1000),
        ("left_shoe_euler", 103, 1),
        ("left_shoe_nav_acc", 106, 9.8 / 1000),
        ("left_shoe_acc", 109, 9.8 / 1000),
        ("left_shoe_gyr", 112, 180 / np.pi / 1000),
        ("left_shoe_nav_gyr", 115, 180 / np.pi / 1000),
        ("left_shoe_compass", 118, 1),
        ("right_shoe_euler", 119, 1),
        ("right_shoe_compass", 134, 1),
    ],
)
def test_opportunity_columns_and_units(signal, first, factor, parsed, trees):
    raw = trees.opportunity_table(3, "Drill")
    for task in ("gestures", "locomotion"):
        track = parsed(f"opportunity_{task}")["s03_drill"].track(signal)
        _same(track, raw[:, first - 1 : first - 1 + len(track.signal.channels)] * factor)


def test_opportunity_reads_the_113_channels_of_the_challenge():
    assert get_set("opportunity_gestures").spec.n_channels == 113
    assert get_set("opportunity_gestures").spec == get_set("opportunity_locomotion").spec
    assert len(get_set("opportunity_gestures").labels) == 17
    assert get_set("opportunity_locomotion").labels.names == ("stand", "walk", "sit", "lie")


def test_opportunity_labels_are_those_of_the_task(parsed):
    segments = {task: parsed(f"opportunity_{task}")["s01_adl1"].segments for task in ("gestures", "locomotion")}
    assert [(round(s.start_s * 30), s.label) for s in segments["locomotion"]] == [
        (9, "stand"), (18, "walk"), (27, "sit"), (36, "lie"),
    ]  # fmt: skip
    gestures = [(round(s.start_s * 30), s.label) for s in segments["gestures"]]
    assert gestures[:2] == [(2, "open_door_1"), (4, "open_door_2")]
    assert gestures[16] == (34, "toggle_switch")


def test_opportunity_without_a_sensor_has_no_track_of_it(parsed):
    recordings = parsed("opportunity_gestures")
    assert recordings["s02_adl4"].track("right_hand_acc") is None
    lost = recordings["s02_adl5"].track("right_knee_upper_acc").values
    assert np.flatnonzero(np.isnan(lost).all(axis=1)).tolist() == [10, 11, 12, 13]


@pytest.mark.parametrize("name", ["opportunity_gestures", "opportunity_locomotion"])
def test_the_official_split_of_opportunity_is_by_session(name, parsed):
    data_set = get_set(name)
    (fold,) = make_folds("official", data_set.subjects, official=data_set.official)
    every = {(recording.subject, recording.session) for recording in parsed(name).values()}
    parts = {part: set(pairs) for part, pairs in fold.sessions.items()}
    assert parts["test"] == {("s02", "adl4"), ("s02", "adl5"), ("s03", "adl4"), ("s03", "adl5")}
    assert parts["validation"] == {("s01", "adl2")}
    assert parts["train"] == every - parts["test"] - parts["validation"]
    store = memory_store(data_set.spec, data_set.labels, parsed(name).values())
    audit = leak_audit(cut_windows(store, WindowConfig(0.5, 0.25)), fold, store)
    assert (audit["by"], audit["shared_people"], audit["missing_sessions"]) == ("session", ["s01", "s02", "s03"], [])
    require_no_leak(audit)


def test_the_official_split_of_pamap2():
    data_set = get_set("pamap2")
    (fold,) = make_folds("official", data_set.subjects, official=data_set.official)
    assert (fold.validation, fold.test, len(fold.train), fold.sessions) == (("s105",), ("s106",), 7, None)


def test_mhealth_columns(parsed, trees):
    recording, raw = parsed("mhealth")["s10"], trees.mhealth_table(10)
    firsts = {
        "chest_acc": 1, "chest_ecg": 4, "left_ankle_acc": 6, "left_ankle_gyr": 9, "left_ankle_mag": 12,
        "right_arm_acc": 15, "right_arm_gyr": 18, "right_arm_mag": 21,
    }  # fmt: skip
    for name, first in firsts.items():
        track = recording.track(name)
        _same(track, raw[:, first - 1 : first - 1 + len(track.signal.channels)])
    assert recording.track("chest_ecg").signal.unit == "mV"
    assert [(s.start_s, s.stop_s, s.label) for s in recording.segments[:2]] == [
        (0.1, 0.26, "standing_still"), (0.28, 0.44, "sitting_and_relaxing"),
    ]  # fmt: skip


def test_hugadb_columns_and_units(parsed, trees):
    recording, raw = parsed("hugadb")["s01_walking_00"], trees.hugadb_table(1, 1)
    placements = ("right_foot", "right_shin", "right_thigh", "left_foot", "left_shin", "left_thigh")
    for number, placement in enumerate(placements):
        _same(recording.track(f"{placement}_acc"), raw[:, 6 * number : 6 * number + 3] * 2 * G / 32768)
        _same(recording.track(f"{placement}_gyr"), raw[:, 6 * number + 3 : 6 * number + 6] * 2000 / 32768)
    _same(recording.track("right_thigh_emg"), raw[:, 36:37])
    _same(recording.track("left_thigh_emg"), raw[:, 37:38])
    assert recording.track("left_foot_acc").signal.rate_hz == pytest.approx(2_111_962 / 35_903, rel=1e-3)


def test_hugadb_labels(parsed):
    segments = parsed("hugadb")["s02_various_03"].segments
    assert [s.label for s in segments] == ["sitting", "standing_up", "walking", "going_up", "walking", "sitting_down"]
    assert segments[1].start_s == segments[0].stop_s == pytest.approx(30 * 0.017)


def test_hugadb_leaves_corrupted_gyroscopes_out(parsed):
    recording = parsed("hugadb")["s09_running_01"]
    left = ["left_foot_gyr", "left_shin_gyr", "left_thigh_gyr"]
    absent = [signal.name for signal in get_set("hugadb").spec if recording.track(signal.name) is None]
    assert absent == left
    assert [(note.kind, note.signal) for note in recording.notes] == [("left_out", name) for name in left]


def test_the_list_of_corrupted_gyroscopes():
    table = hugadb._corrupted()
    assert Counter(activity for _, activity, _ in table) == {
        "various": 255, "walking": 70, "sitting": 61, "standing": 57, "sitting_in_car": 14, "running": 8,
    }  # fmt: skip
    assert hugadb.corrupted(17, "various", 3) == frozenset()  # not in the list, though its neighbours are
    assert hugadb.corrupted(18, "walking", 0) == set(hugadb.PLACEMENTS) - {"right_thigh"}
    assert hugadb.corrupted(1, "sitting_in_car", 14) == set(hugadb.PLACEMENTS)
    assert {subject for subject, _, _ in table} == set(range(1, 19)) - {2}
    lines = [line for line in hugadb.CORRUPTED.split("\n") if line]
    assert all(re.fullmatch(r"[a-z_]+ \d\d \d\d(-\d\d)?( all|( [RL][FST])+)", line) for line in lines)


def test_hugadb_values_that_no_sensor_gives_become_gaps(trees):
    table = trees.hugadb_table(1, 1)
    table[4, 7], table[5, 37] = 99_999, 256
    (recording,) = _parse("hugadb", {"HuGaDB_v1_walking_01_00.txt": trees.hugadb_text(table)})
    assert np.isnan(recording.track("right_shin_acc").values[4]).tolist() == [False, True, False]
    assert np.isnan(recording.track("left_thigh_emg").values[5]).all()
    assert [(note.kind, note.signal, note.value) for note in recording.notes] == [
        ("out_of_range", "right_shin_acc", 1.0), ("out_of_range", "left_thigh_emg", 1.0),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["hugadb", "mhealth", "opportunity_gestures"])
def test_files_that_lie_in_the_folder_itself_are_found(name, tiny_tree, tmp_path):
    data_set = get_set(name)
    for path, data in tiny_tree(name).items():
        if data_set.layout.relative(path):
            (tmp_path / Path(path).name).write_bytes(data)
    store = open_set(name, tmp_path, tmp_path / "cache", verify=False)
    assert len(store.recordings) == data_set.n_recordings or name == "hugadb"


@pytest.mark.parametrize(
    ("name", "inner"), [("pamap2", "PAMAP2_Dataset.zip"), ("opportunity_gestures", "OpportunityUCIDataset.zip")]
)
def test_an_archive_that_holds_the_archive_is_read(name, inner, tiny_tree, write_tree, tmp_path):
    data_set = get_set(name)
    archive = write_tree("zip", tmp_path / "inner", name, tiny_tree(name))
    outer = tmp_path / data_set.download.filename
    with zipfile.ZipFile(outer, "w") as file:
        file.write(archive, inner)
    recordings = list(data_set.parse(open_source(outer, data_set.layout)))
    assert len(recordings) == data_set.n_recordings


@pytest.mark.parametrize("name", ["mhealth", "opportunity_locomotion", "pamap2"])
def test_digests_are_those_of_the_published_hashes(name):
    """The digest of a group, computed from the hashes of genuine files, without having these."""
    folder = Path(__file__).parents[3] / "shared" / "reference" / "hashes"
    file = folder / f"{name.partition('_')[0]}.sha256.txt"
    if not file.is_file():
        pytest.skip(f"no published hashes in '{folder}'")
    data_set, groups = get_set(name), {}
    for line in file.read_text().splitlines():
        digest, path = line.split()[0], line.split()[-1]
        if relative := data_set.layout.relative(path):
            subject = data_set.layout.pattern.search(path)["subject"]
            groups.setdefault(f"s{int(subject):02d}", []).append(f"{relative}\0{digest}\n")
    found = {group: hashlib.sha256("".join(sorted(lines)).encode()).hexdigest() for group, lines in groups.items()}
    assert found == data_set.digests


@pytest.mark.parametrize("name", list_sets())
def test_the_page_of_data_sets_tells_which_were_run_on_real_files(name):
    page = (Path(__file__).parents[2] / "docs" / "datasets.md").read_text(encoding="utf-8")
    (row,) = re.findall(rf"^\| `{name}` .*$", page, flags=re.MULTILINE)
    told = row.rstrip("| ").rpartition("|")[2].strip()
    data_set = get_set(name)
    assert told == "yes" if data_set.tested_on == "real files" else told.startswith("**no**")
    if data_set.tested_on != "real files":
        assert ("no hashes" in told) == (not data_set.digests)
