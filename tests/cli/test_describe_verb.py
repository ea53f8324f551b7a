"""dcdp data describe and the verbs on what it describes: files, screen, refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from dcdp.cli import main
from dcdp.cli.own import run_name


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two people, one phone each, labels in a column."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DCDP_CACHE", str(tmp_path / "cache"))
    (tmp_path / "my walks").mkdir()
    for person in (1, 2):
        rng = np.random.default_rng(person)
        acc = rng.normal(size=(600, 3)) * 0.1 + [0, 0, 9.81]
        columns = {"time": np.arange(600) * 20} | {f"acc_{axis}": acc[:, i] for i, axis in enumerate("xyz")}
        columns |= {f"gyr_{axis}": rng.normal(size=600) for axis in "xyz"}
        labels = np.repeat(["walk", "sit"], 300)
        pl.DataFrame(columns | {"activity": labels}).write_csv(tmp_path / "my walks" / f"s0{person}_chest.csv")
    return tmp_path / "my walks"


def said(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    assert main(words) == code
    captured = capsys.readouterr()
    return captured.err if code else captured.out


def test_describe_writes_a_draft_and_says_what_is_unsure(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "data", "describe", "my walks")
    assert "chest   2 of {subject}_chest.csv  50 Hz  chest_acc [m/s2], chest_gyr [rad/s]" in text
    assert "  chest: unit of the gyr columns 'gyr_x', ...: rad/s by their size\n" in text
    assert "  dcdp train 'my walks/dcdp.toml'\n" in text
    toml = (folder / "dcdp.toml").read_text(encoding="utf-8")
    assert toml.count("# unsure") == 1
    again = said(capsys, "data", "describe", "my walks", code=2)
    assert again == (
        "error: a description must not be overwritten: got 'my walks/dcdp.toml'. Replace it with --force.\n"
    )
    (folder / "dcdp.toml").write_text("mine", encoding="utf-8")
    said(capsys, "data", "describe", "my walks", "--force")
    assert (folder / "dcdp.toml").read_text(encoding="utf-8") == toml


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "the folder of recordings must exist: got 'nowhere'"),
        (["my walks", "--out", "other.toml"], "a description lies in the folder that it describes: got 'other.toml'"),
        (["my walks", "--out", "my walks/a.txt"], "a description must be a TOML file"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_describe_refuses(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert message in said(capsys, "data", "describe", *words, code=2)


@pytest.mark.usefixtures("folder")
def test_info_and_check_take_the_folder_and_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "data", "describe", "my walks")
    text = said(capsys, "data", "info", "my walks")
    assert text == said(capsys, "data", "info", "my walks/dcdp.toml")
    assert "recordings  2 recordings of 2 people, 0.4 minutes\n" in text
    assert "branch      acc: chest_acc\nbranch      gyr: chest_gyr\n" in text
    assert " ".join(next(line for line in text.splitlines() if line.startswith("0 ")).split()) == "0 sit 0.2 2"
    assert "converted from rad/s to deg/s" in text
    assert "my-walks" in said(capsys, "data", "info", "my walks").splitlines()[0]
    assert said(capsys, "data", "check", "my walks").startswith("my walks: ")


@pytest.mark.parametrize("verb", [["data", "info"], ["data", "check"], ["train"]])
@pytest.mark.usefixtures("folder")
def test_a_folder_without_description_is_told_how_to_get_one(
    verb: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert "dcdp data describe" in said(capsys, *verb, "my walks", code=2)


def test_what_is_wrong_with_a_file_is_told_before_a_run_folder_is_made(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said(capsys, "data", "describe", "my walks")
    path = folder / "s02_chest.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("\n20,", "\n20,x", 1), encoding="utf-8")
    message = said(capsys, "train", "my walks", code=2)
    assert "column 'acc_x' must hold numbers: got 'x" in message
    assert "line 3 of 'my walks/s02_chest.csv'" in message
    assert not Path("runs").exists()


@pytest.mark.usefixtures("folder")
def test_runs_are_named_by_what_a_description_calls_itself(capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "data", "describe", "my walks")
    assert run_name("my walks") == run_name("my walks/dcdp.toml") == "my-walks"
    assert (run_name("hapt"), run_name("synthetic")) == ("hapt", "synthetic")
