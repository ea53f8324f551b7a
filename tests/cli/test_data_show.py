"""dcdp data show."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from dcdp.cli import main


@pytest.fixture(scope="module")
def made() -> ModuleType:
    path = Path(__file__).parents[1] / "data" / "readers" / "made_files.py"
    spec = importlib.util.spec_from_file_location("made_files", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_tells_streams_rates_gaps_marks_and_what_was_done(made, tmp_path: Path, capsys) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(made.zipped(made.sensor_logger("ios")))
    assert main(["data", "show", str(path), "--placement", "pocket"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{path}: Sensor Logger (iOS, Android) [sensor_logger]\n")
    rows = {line.split()[0]: line.split() for line in said.splitlines() if line and line[0] != " "}
    assert rows["pocket_acc"] == ["pocket_acc", "phone", "300", "100", "Hz", "m/s2", "2023-11-14", "22:13:20", "0:03.0"]
    assert rows["wrist_hr"][:6] == ["wrist_hr", "watch", "4", "1", "Hz", "bpm"]
    assert "2 marked segments:\n  2023-11-14 22:13:20    0:01.0  walk\n" in said
    assert "  axes            pocket_acc: all axes turned" in said


def test_gaps_are_measured_on_the_clock_of_the_signal(made, tmp_path: Path, capsys) -> None:
    made.put(tmp_path / "in", made.phyphox())
    assert main(["data", "show", str(tmp_path / "in")]) == 0
    said = capsys.readouterr().out
    assert "paused for 10 s" in said
    assert "phone_acc: 1 gap" in said
    assert "no marks" in said


def test_a_file_without_a_date_counts_from_its_start(made, tmp_path: Path, capsys) -> None:
    (tmp_path / "a.csv").write_bytes(made.phyphox()["Gyroscope.csv"])
    assert main(["data", "show", str(tmp_path / "a.csv")]) == 0
    assert "0.000 s" in capsys.readouterr().out


def test_a_rate_that_cannot_be_told_is_no_reason_to_stop(made, tmp_path: Path, capsys) -> None:
    (tmp_path / "export.xml").write_bytes(made.health(((0.0, 60.0), (0.0, 61.0))))
    assert main(["data", "show", str(tmp_path / "export.xml")]) == 0
    said = capsys.readouterr().out
    assert "wrist_hr  health        2  -" in said
    assert "  rate            wrist_hr: " in said


def test_many_marks_are_counted(made, tmp_path: Path, capsys) -> None:
    files = made.sensor_logger()
    files["Annotation.csv"] = made.logger_notes([(i / 10, f"label {i}") for i in range(29)])
    (tmp_path / "a.zip").write_bytes(made.zipped(files))
    assert main(["data", "show", str(tmp_path / "a.zip")]) == 0
    assert "label 19\n  and 9 more\n" in capsys.readouterr().out


def test_escape_sequences_of_a_file_never_reach_the_terminal(made, tmp_path: Path, capsys) -> None:
    files = made.sensor_logger()
    files["Annotation.csv"] = made.logger_notes([(0.1, "a\x1b[2Jb")])
    (tmp_path / "a.zip").write_bytes(made.zipped(files))
    assert main(["data", "show", str(tmp_path / "a.zip")]) == 0
    assert "\x1b" not in capsys.readouterr().out


def test_what_is_no_recording_is_refused_in_one_line(tmp_path: Path, capsys) -> None:
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    assert main(["data", "show", str(tmp_path / "a.csv")]) == 2
    assert capsys.readouterr().err.startswith("error: a recording must be of a known kind (androsensor,")


def test_readers_lists_every_recorder(capsys) -> None:
    from dcdp.data.readers import list_readers

    assert main(["data", "readers"]) == 0
    said = capsys.readouterr().out
    assert all(f"\n{reader.name} " in said and reader.title in said for reader in list_readers())
