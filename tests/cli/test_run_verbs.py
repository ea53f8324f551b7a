"""dcdp train, evaluate, report, info, predict: one small run of the built-in body, from end to end."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from dcdp.cli import main

SMALL = ("training.epochs=1", "network.preset=tiny", "body.n_subjects=4", "body.minutes_per_subject=4")
TINY = [word for assignment in SMALL for word in ("--set", assignment)]


def figures(said: str) -> dict[str, str]:
    """Return the second column of a printed table by its first."""
    cells = [re.split(r" {2,}", line.strip()) for line in said.splitlines()]
    return {line[0]: line[1] for line in cells if len(line) > 1}


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "a run"
    assert main(["train", "synthetic", "--folds", "1", "--seed", "3", "--out", str(folder), *TINY]) == 0
    return folder


@pytest.fixture(scope="module")
def result(run: Path) -> dict[str, Any]:
    return dict(json.loads((run / "result.json").read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def bundle(run: Path, result: dict[str, Any]) -> Path:
    return run / "folds" / result["split"]["folds"][0]["fold"] / "bundle.safetensors"


@pytest.mark.slow
def test_train_writes_the_whole_run_folder(run: Path, result: dict[str, Any], bundle: Path) -> None:
    assert {"config.toml", "result.json", "report.html"} <= {path.name for path in run.iterdir()}
    assert {"history.jsonl", "bundle.safetensors", "predictions.npz"} <= {path.name for path in bundle.parent.iterdir()}
    assert {"split", "leak_audit", "config", "versions", "seconds"} <= set(result)
    assert result["seed"] == 3
    assert result["config"]["training"]["epochs"] == 1
    assert result["leak_audit"]["passed"] is True
    score = result["test"]["macro_f1"]
    assert score["mean"] == pytest.approx(np.mean(list(score["by_subject"].values())))
    assert list(score["by_fold"]) == [result["split"]["folds"][0]["fold"]]


@pytest.mark.slow
def test_evaluate_finds_the_same_figures_again(
    run: Path, result: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(run)]) == 0
    found = figures(capsys.readouterr().out)
    for subject, score in result["test"]["macro_f1"]["by_subject"].items():
        assert float(found[subject]) == pytest.approx(score, abs=5e-5)


@pytest.mark.slow
def test_report_is_written_again(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "report.html").unlink()
    assert main(["report", str(run)]) == 0
    assert str(run / "report.html") in capsys.readouterr().out
    assert (run / "report.html").stat().st_size > 10_000


@pytest.mark.slow
def test_info_says_what_the_model_reads(
    bundle: Path, result: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["info", str(bundle)]) == 0
    said = capsys.readouterr().out
    assert "wrist_acc_x" in said
    assert all(label in said for label in result["labels"])
    assert ", ".join(result["split"]["folds"][0]["train"]) in said


@pytest.mark.slow
def test_predict_names_bouts_and_writes_windows(
    bundle: Path, result: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = tmp_path / "recording.csv", tmp_path / "predictions.csv"
    recording(60).write_csv(file)
    assert main(["predict", str(bundle), str(file), "--out", str(out)]) == 0
    windows = pl.read_csv(out)
    assert windows.columns == ["time_s", "label", "probability"]
    assert set(windows["label"]) <= set(result["labels"])
    assert windows["probability"].is_between(1 / len(result["labels"]) - 1e-6, 1).all()
    said = capsys.readouterr().out
    assert set(figures(said)) & set(result["labels"])
    assert "sensors used: acc\n" in said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda table: table.drop("time_s"), "rate"),
        (lambda table: table.select("time_s"), "wrist_acc"),
        (lambda table: table.head(5), "window"),
    ],
    ids=["no time", "no channel", "too short"],
)
def test_predict_refuses_a_file_that_does_not_fit(
    spoil: Any, message: str, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = tmp_path / "recording.csv", tmp_path / "predictions.csv"
    spoil(recording(10)).write_csv(file)
    assert main(["predict", str(bundle), str(file), "--out", str(out)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert message in said.err
    assert not out.exists()


@pytest.mark.slow
def test_a_corrupt_model_is_refused(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(bundle.read_bytes()[:-100])
    assert main(["info", str(broken)]) == 2
    assert "broken.safetensors" in capsys.readouterr().err


@pytest.mark.slow
def test_a_finished_run_is_neither_trained_over_nor_touched(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = files(run)
    assert main(["train", "synthetic", "--folds", "1", "--seed", "3", "--out", str(run), *TINY]) == 2
    assert "must be empty" in capsys.readouterr().err
    assert files(run) == before


@pytest.mark.parametrize("verb", ["train", "tune"])
def test_a_negative_seed_is_refused_before_anything_is_written(
    verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([verb, "synthetic", "--seed", "-1", "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == "error: a seed must not be negative: got -1. Give a whole number from 0.\n"
    assert not (tmp_path / "out").exists()


def recording(seconds: int) -> pl.DataFrame:
    """Return the accelerometers of the body at 50 Hz [m/s2], as a user would export them."""
    time = np.arange(seconds * 50) / 50
    waves = {
        f"{placement}_acc_{axis}": np.sin(2 * np.pi * time + phase) + 9.81 * (axis == "z")
        for placement in ("wrist", "chest", "ankle")
        for phase, axis in enumerate("xyz")
    }
    return pl.DataFrame({"time_s": time, **waves, "remark": "x"})
