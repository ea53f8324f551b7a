"""A first description of a folder: what is found by looking, what is marked unsure, and that it can be read back."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dcdp.data.own import load_description, read_own
from dcdp.data.own.dialect import sniff
from dcdp.data.own.draft import Draft, describe
from dcdp.data.own.guess import guess_table
from dcdp.data.own.paths import guess_pattern
from dcdp.data.own.pattern import match_path
from dcdp.data.tables import Dialect
from dcdp.errors import DataError, MissingError

Make = Callable[..., Path]
G = 9.80665


def still(n: int, unit_mps2: float = 1.0, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=(n, 3)) * 0.1 + [0, 0, G]) / unit_mps2


def triad(names: str, values: np.ndarray) -> dict[str, np.ndarray]:
    return {name: values[:, i] for i, name in enumerate(names.split())}


def drafted(folder: Path) -> tuple[dict[str, Any], Draft]:
    draft = describe(folder)
    (folder / "dcdp.toml").write_text(draft.toml, encoding="utf-8")
    load_description(folder)
    return tomllib.loads(draft.toml), draft


# The folder of the other tests


def test_the_draft_of_a_phone_and_a_watch_reads_them(make_folder: Make, tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "mine", people=2, seconds=150, watch_late_s=1.25)
    (folder / "dcdp.toml").unlink()
    plain, draft = drafted(folder)
    phone, watch = plain["devices"]
    assert (phone["name"], phone["files"], phone["time"]) == (
        "phone", "{subject}/phone.csv", {"column": "time", "unit": "ms"},
    )  # fmt: skip
    assert [(s["modality"], s["columns"], s["unit"]) for s in phone["signals"]] == [
        ("acc", ["ax", "ay", "az"], "g"), ("gyr", ["gx", "gy", "gz"], "rad/s"),
    ]  # fmt: skip
    assert (watch["placement"], watch["rate_hz"], watch["align"], watch["time"]["unit"]) == ("wrist", 32, True, "s")
    assert plain["labels"] == {
        "file": "{subject}/labels.csv", "start": "start", "stop": "stop", "label": "activity", "unit": "s",
        "order": ["sit", "walk"],
    }  # fmt: skip
    assert [doubt.partition(":")[0] for doubt in draft.unsure] == ["phone", "phone", "watch", "watch"]
    assert draft.toml.count("# unsure: ") == 4
    one, two = read_own(load_description(folder))
    assert (one.subject, two.subject) == ("s01", "s02")
    assert [note.value for note in one.notes if note.kind == "clock_offset"] == [pytest.approx(-1.25, abs=0.02)]


# Columns


@pytest.mark.parametrize(
    ("column", "times", "unit", "rate_hz"),
    [
        ("time", np.arange(500) * 0.02, "s", 50),
        ("Time (s)", np.arange(500) * 0.01, "s", 100),
        ("t", np.arange(500) * 20, "ms", 50),
        ("timestamp", np.arange(500) * 20 + 1_700_000_000_000, "ms", 50),
        ("epoch", np.arange(500) * 0.04 + 1_700_000_000.5, "s", 25),
        ("Timestamp [ns]", np.arange(500) * 5_000_000 + 77, "ns", 200),
        ("uptime", np.arange(500) * 50_000_000 + 49_105_000_000_000, "ns", 20),
        ("time_us", np.arange(500) * 10_000, "us", 100),
        ("elapsed", np.arange(500) * 10_000, "us", 100),
    ],
)
def test_clocks_are_found(column: str, times: np.ndarray, unit: str, rate_hz: float, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pl.DataFrame({"index": np.arange(500), column: times, **triad("ax ay az", still(500))}).write_parquet(path)
    found = guess_table(path)
    assert found.time is not None
    assert (found.time.column, found.time.unit, found.time.unsure, found.rate_hz) == (column, unit, "", rate_hz)
    assert found.unread == ("index",)


def test_dates_and_unnamed_clocks_are_found_and_steps_of_one_are_unsure(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("when,date\n" + "".join(f"x,2024-05-01T12:00:{i:02d}.5Z\n" for i in range(20)), encoding="utf-8")
    found = guess_table(path)
    assert found.time is not None
    assert (found.time.column, found.time.unit, found.rate_hz) == ("date", "iso", 1)
    pl.DataFrame({"a": np.arange(99) * 0.02, **triad("x y z", still(99))}).write_csv(path)
    found = guess_table(path)
    assert found.time is not None
    assert (found.time.column, found.time.unsure) == ("a", "is 'a' the time? It increases")
    pl.DataFrame({"time": np.arange(99), **triad("x y z", still(99))}).write_csv(path)
    found = guess_table(path)
    assert found.time is not None
    assert "Its steps are 1" in found.time.unsure
    pl.DataFrame({"index": np.arange(99), **triad("x y z", still(99))}).write_csv(path)
    assert guess_table(path).time is None


@pytest.mark.parametrize(
    ("names", "modality", "place"),
    [
        ("ax ay az", "acc", ""),
        ("gx gy gz", "gyr", ""),
        ("accelerometerX accelerometerY accelerometerZ", "acc", ""),
        ("Acceleration_x_(m/s^2) Acceleration_y_(m/s^2) Acceleration_z_(m/s^2)", "acc", ""),
        ("x_gyro y_gyro z_gyro", "gyr", ""),
        ("LeftWrist_Acc_X LeftWrist_Acc_Y LeftWrist_Acc_Z", "acc", "left_wrist"),
        ("ankle.mag.x ankle.mag.y ankle.mag.z", "mag", "ankle"),
        ("acc_0 acc_1 acc_2", "acc", ""),
        ("gyr1 gyr2 gyr3", "gyr", ""),
        ("userAcceleration.x userAcceleration.y userAcceleration.z", "lin", ""),
        ("acc_x_wrist acc_y_wrist acc_z_wrist", "acc", "wrist"),
    ],
)
def test_triads_are_found_by_their_names(names: str, modality: str, place: str, tmp_path: Path) -> None:
    columns = {name.replace("_(", " ("): values for name, values in triad(names, still(300)).items()}
    pl.DataFrame({"time": np.arange(300) * 0.02, **columns}).write_csv(tmp_path / "a.csv")
    (found,) = guess_table(tmp_path / "a.csv").signals
    assert (found.modality, found.place, len(found.columns)) == (modality, place, 3)


@pytest.mark.parametrize(
    ("names", "size", "unit", "sure"),
    [
        ("ax ay az", 1.0, "m/s2", True),
        ("ax ay az", G, "g", True),
        ("ax ay az", G / 1000, "mg", True),
        ("ax ay az", 100.0, "m/s2", False),
        ("gx gy gz", 0.1, "deg/s", False),
        ("gx gy gz", 9.0, "rad/s", False),
        ("mx my mz", 0.2, "uT", False),
    ],
)
def test_units_are_found_by_size_and_gravity(names: str, size: float, unit: str, sure: bool, tmp_path: Path) -> None:
    pl.DataFrame({"time": np.arange(640) * 0.02, **triad(names, still(640, size))}).write_csv(tmp_path / "a.csv")
    (found,) = guess_table(tmp_path / "a.csv").signals
    assert (found.unit, found.unsure == ()) == (unit, sure)


def test_a_unit_that_gravity_contradicts_is_unsure(tmp_path: Path) -> None:
    names = ("ax [m/s2]", "ay [m/s2]", "az [m/s2]")
    columns = dict(zip(names, still(640, G).T, strict=True))
    pl.DataFrame({"time": np.arange(640) * 0.02, **columns}).write_csv(tmp_path / "a.csv")
    (found,) = guess_table(tmp_path / "a.csv").signals
    assert found.unit == "m/s2"
    assert "say m/s2, and gravity fits g" in found.unsure[0]


@pytest.mark.parametrize(
    ("text", "dialect"),
    [
        ("t,x\n0,1.5\n1,2.5\n", Dialect()),
        ("t;x\n0;1.5\n1;2.5\n", Dialect()),
        ("t;x\n0;1,5\n1;2,5\n", Dialect(decimal=",")),
        ("0,00;1,5;2,5\n1,00;2,5;2,5\n", Dialect(separator=";", decimal=",", header=False)),
        ("0,1.5\n1,2.5\n", Dialect(header=False)),
        ("# one\n# two\nt,x\n0,1.5\n", Dialect(skip_lines=2)),
        ("sep=;\nt;x\n0;1.5\n", Dialect(skip_lines=1)),
        ("0.1 1.5  2.5\n1.1 2.5  3.5\n", Dialect(separator=" ", header=False)),
    ],
)
def test_dialects_are_found(text: str, dialect: Dialect, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    assert sniff(tmp_path / "a.csv") == dialect


# Paths


@pytest.mark.parametrize(
    ("paths", "pattern", "n_unsure"),
    [
        (["s01/phone.csv", "s02/phone.csv"], "{subject}/phone.csv", 0),
        (["walking/p1.csv", "sitting/p1.csv", "sitting/p2.csv"], "{label}/{subject}.csv", 0),
        (["data/subject_1/run_1.csv", "data/subject_1/run_2.csv", "data/subject_2/run_1.csv"],
         "data/subject_{subject}/run_{session}.csv", 0),
        (["acc_exp01_user01.txt", "acc_exp02_user01.txt"], "acc_{session}_{subject}.txt", 0),
        (["s01/s01_acc.csv", "s02/s02_acc.csv"], "{subject}/{subject}_acc.csv", 0),
        (["anna.csv", "bert.csv"], "{subject}.csv", 1),
        (["s1_part_1.csv", "s1_part_2.csv"], "{subject}_part_{part}.csv", 0),
        (["s1_2024-05-01.csv", "s2_2024-05-02.csv"], "{subject}_2024-05-{session}.csv", 1),
        (["only.csv"], "only.csv", 0),
        (["a/b/c.csv", "d.csv"], "**/{subject}.csv", 1),
        (["s1/long name.csv", "s2/x.csv"], "{subject}/{session}.csv", 1),
        (["s1{x}.csv", "s2{x}.csv"], "{subject}.csv", 1),
    ],
)  # fmt: skip
def test_patterns_say_what_paths_mean(paths: list[str], pattern: str, n_unsure: int) -> None:
    found = guess_pattern(paths)
    assert (found.pattern, len(found.unsure)) == (pattern, n_unsure)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.from_regex(r"[a-z0-9_.\- ]{1,6}(/[a-z0-9_.\- ]{1,8}){0,2}\.csv", fullmatch=True), min_size=1,
                max_size=5, unique=True))  # fmt: skip
@example(["0/0/0_.csv", "0/0/_.csv"])
@example(["subject_.csv"])
@example(["a/x.csv", "a/.csv"])
def test_a_guessed_pattern_fits_the_paths_it_was_made_of(paths: list[str]) -> None:
    found = guess_pattern(paths)
    fits = [match_path(found.pattern, path) for path in paths]
    assert None not in fits


# Folders of other kinds


def test_one_table_with_people_and_labels(tmp_path: Path) -> None:
    n = 600
    parts = [
        pl.DataFrame({"user": [user] * n, "activity": [label] * n,
                      "timestamp": np.arange(n) * 50_000_000 + 10**12 * (k + 1), **triad("x y z", still(n))})
        for user in (33, 34) for k, label in enumerate(("Walking", "Jogging"))
    ]  # fmt: skip
    pl.concat(parts).write_csv(tmp_path / "wisdm_acc.csv")
    plain, _ = drafted(tmp_path)
    assert plain["devices"][0]["subject_column"] == "user"
    assert plain["labels"] == {"column": "activity", "order": ["Jogging", "Walking"]}
    one, two = read_own(load_description(tmp_path))
    assert (one.subject, two.subject, len(one.segments)) == ("33", "34", 2)


def test_numbers_as_labels_get_names_to_be_filled_in(tmp_path: Path) -> None:
    table = pl.DataFrame({"time": np.arange(600) * 0.02, **triad("x y z", still(600)),
                          "label": np.repeat([0, 1, 2], 200)})  # fmt: skip
    table.write_csv(tmp_path / "s01.csv")
    plain, draft = drafted(tmp_path)
    assert plain["labels"] == {
        "column": "label", "null": ["0"], "names": {"1": "activity_1", "2": "activity_2"},
    }  # fmt: skip
    assert "labels: what do the numbers mean?" in draft.unsure
    (recording,) = read_own(load_description(tmp_path))
    assert [segment.label for segment in recording.segments] == ["activity_1", "activity_2"]


def test_devices_whose_clocks_are_not_one_start_together(tmp_path: Path) -> None:
    for name, start in (("phone", 1_700_000_000), ("watch", 0)):
        columns = {"time": np.arange(600) * 0.02 + start, **triad("ax ay az", still(600, seed=start % 7))}
        pl.DataFrame(columns).write_csv(tmp_path / f"s01_{name}.csv")
    plain, draft = drafted(tmp_path)
    assert [device["clock"] for device in plain["devices"]] == ["start", "start"]
    assert any("not of one clock" in doubt for doubt in draft.unsure)


def test_what_is_no_recording_is_listed_with_its_reason(make_folder: Make, tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "mine", people=1)
    (folder / "dcdp.toml").unlink()
    (folder / "notes.csv").write_text("day,weather\n1,rain\n", encoding="utf-8")
    (folder / "other.csv").write_bytes("a,b\n1,ü\n".encode("latin-1"))
    (folder / "README.txt").write_text("hello", encoding="utf-8")
    draft = describe(folder)
    assert sorted(reason.partition(":")[0] for reason in draft.left_out) == ["'notes.csv'", "'other.csv'"]
    assert "#   'other.csv': not UTF-8" in draft.toml


def test_a_file_of_a_recorder_is_described_by_its_format(tmp_path: Path) -> None:
    rows = "".join(f"{i * 0.02},0.1,0.2,9.8,9.8\n" for i in range(200))
    header = '"Time (s)","Acceleration x (m/s^2)","Acceleration y (m/s^2)","Acceleration z (m/s^2)",' \
             '"Absolute acceleration (m/s^2)"\n'  # fmt: skip
    (tmp_path / "s01_hip.csv").write_text(header + rows, encoding="utf-8")
    plain, _ = drafted(tmp_path)
    assert (plain["devices"][0]["format"], plain["devices"][0]["placement"]) == ("phyphox", "hip")
    (recording,) = read_own(load_description(tmp_path))
    assert [track.signal.name for track in recording.tracks] == ["hip_acc"]


def test_a_folder_without_recordings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a folder must hold recordings: got none of 0 files"):
        describe(tmp_path)
    (tmp_path / "a.csv").write_text("day,weather\n1,rain\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"none of 1 files .*'a.csv': no sensor found in day, weather"):
        describe(tmp_path)
    with pytest.raises(MissingError, match="must exist"):
        describe(tmp_path / "nowhere")


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=300), st.sampled_from(["a.csv", "a.tsv", "a.parquet", "a.feather", "a.zip", "a.json"]))
def test_noise_is_described_or_refused_plainly(content: bytes, name: str) -> None:
    import tempfile

    from dcdp.errors import DcdpError

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / name).write_bytes(content)
        try:
            draft = describe(Path(folder))
        except DcdpError:
            return
        tomllib.loads(draft.toml)
