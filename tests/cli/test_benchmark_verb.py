"""dcdp benchmark: runs, lists and exports a grid, and says what is wrong in one line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from dcdp.cli import main
from dcdp.evaluation import read_result
from dcdp.experiments import fold_job

GRID = """
[[cells]]
data = ["synthetic"]
methods = ["forest", "many"]
folds = "1"
[methods.many]
base = "forest"
[settings]
set = ["body.n_subjects=4", "body.recordings_per_subject=1", "body.minutes_per_subject=2"]
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a grid file and of its results in ``out``."""
    folder = tmp_path_factory.mktemp("bench")
    (folder / "small.toml").write_text(GRID)
    assert main(["benchmark", str(folder / "small.toml"), "--out", str(folder / "out")]) == 0
    return folder


def test_it_prints_the_table_and_where_things_lie(ran: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["benchmark", str(ran / "small.toml"), "--out", str(ran / "out")]) == 0
    shown = capsys.readouterr()
    assert "synthetic: macro-F1 of people never seen" in shown.out
    score = read_result(ran / "out/synthetic-arena/forest/s0.json")["test"]["macro_f1"]["mean"]
    assert f"{score:.4f}" in shown.out
    assert f"results  {ran / 'out'}" in shown.out
    assert shown.err.strip() == "2 of 2 cells are finished, 0 folds to run"


def test_a_dry_run_lists_the_cells_and_runs_nothing(
    ran: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["benchmark", str(ran / "small.toml"), "--out", str(tmp_path / "new"), "--dry-run"]) == 0
    assert "2 cells, 0 finished" in capsys.readouterr().out
    assert not (tmp_path / "new").exists()
    assert main(["benchmark", str(ran / "small.toml"), "--out", str(ran / "out"), "--dry-run", "--only", "*/many"]) == 0
    shown = capsys.readouterr().out
    assert "1 cells, 1 finished" in shown
    assert "synthetic-arena/many/s0" in shown
    assert "synthetic-arena/forest/s0" not in shown


def test_the_finished_cells_are_exported(ran: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "results" / "small.json"
    assert main(["benchmark", str(ran / "small.toml"), "--out", str(ran / "out"), "--export", str(table)]) == 0
    assert f"table    {table}  (1 sets, 2 rows)" in capsys.readouterr().out
    result = read_result(tmp_path / "results/small/synthetic-arena/forest/s0.json")
    row = json.loads(table.read_text())["synthetic"]["forest"]
    figure = result["test"]["macro_f1"]
    assert row["macro_f1"] == pytest.approx(figure["mean"], abs=1e-6)
    assert row["macro_f1_by_group"] == pytest.approx(next(iter(figure["by_fold"].values())), abs=1e-6)
    assert row["by_subject"] == {name: pytest.approx(value, abs=1e-6) for name, value in figure["by_subject"].items()}
    assert (row["seeds"], row["folds"], row["parameters"]) == ([0], 1, result["cost"]["parameters"])
    assert not list((tmp_path / "results").rglob("*.npz"))


def test_a_cell_that_fails_is_told_at_the_end(
    ran: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no leaves")

    monkeypatch.setattr(fold_job, "fit_method", fail)
    assert main(["benchmark", str(ran / "small.toml"), "--out", str(tmp_path), "--only", "*/many"]) == 2
    said = capsys.readouterr().err
    assert "error: every cell must finish: got 1 of 1 that did not: synthetic-arena/many/s0 (fold s01: Runtime" in said
    assert "log.jsonl" in said
    assert "Traceback" not in said


def test_a_damaged_result_is_told_and_the_others_are_shown(
    ran: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, table = shutil.copytree(ran / "out", tmp_path / "out"), tmp_path / "table.json"
    (out / "report.html").unlink()
    damaged = out / "synthetic-arena/forest/s0.json"
    damaged.write_text(damaged.read_text()[:500])
    words, remedy = ["benchmark", str(ran / "small.toml"), "--out", str(out)], f"Delete '{damaged}' to run the cell"
    assert main(words) == 2
    shown = capsys.readouterr()
    assert f"report   {out / 'report.html'}" in shown.out
    assert "got 1 of 2 that did not: synthetic-arena/forest/s0 (a result must be JSON" in shown.err
    assert remedy in shown.err
    assert "many" in (out / "report.html").read_text()
    assert main([*words, "--dry-run"]) == 0
    shown = capsys.readouterr()
    assert "2 cells, 1 finished" in shown.out
    assert remedy.replace(" ", "") in "".join(shown.out.split())  # broken over lines
    assert main([*words, "--export", str(table)]) == 2
    shown = capsys.readouterr()
    assert "(1 sets, 1 rows)" in shown.out
    assert "error: every finished cell must be readable: got 1 of 2 left out" in shown.err
    assert remedy in shown.err
    assert list(json.loads(table.read_text())["synthetic"]) == ["many"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--workers", "0"], "workers must be 1 or more: got 0"),
        (["--dry-run", "--export", "x.json"], "a benchmark is either listed or exported"),
        (["--only", "hapt"], "cell must be one of"),
        (["--export", "x.json", "--out", "nowhere"], "a cell must be finished: got none in 'nowhere'"),
        (["--device", "tpu"], "tpu"),
    ],
)
def test_what_does_not_fit_is_refused(
    words: list[str], message: str, ran: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["benchmark", str(ran / "small.toml"), *words]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert message in shown.err
