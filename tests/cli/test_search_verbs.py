"""dcdp tune and dcdp ablate: options, errors on one line, and what is printed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dcdp.cli import main
from dcdp.config import RunConfig
from dcdp.experiments.components import list_variants

SMALL = ("network.preset=tiny", "training.epochs=1", "training.batch_size=24", "body.n_subjects=4",
         "body.minutes_per_subject=4")  # fmt: skip
N_TRAININGS = len(list_variants(RunConfig())) - 3  # three variants are others: see test_ablation.py
TINY = [word for assignment in SMALL for word in ("--set", assignment)]


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(words) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    return said


def test_tune_prints_what_was_chosen_and_where_it_lies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("optuna")
    space = tmp_path / "space.toml"
    space.write_text('"objective.contrast" = [0.0, 0.1]\n', encoding="utf-8")
    out = tmp_path / "out"
    words = ["tune", "synthetic", "--folds", "1", "--trials", "2", "--space", str(space), "--out", str(out), *TINY]
    assert main(words) == 0
    said = capsys.readouterr().out
    result = json.loads((out / "tuning.json").read_text(encoding="utf-8"))
    assert f"{result['test']['tuned']['mean']:.4f}" in said
    assert str(out / "tuning.html") in said
    assert "got another config in" in refused(capsys, *words, "--set", "body.minutes_per_subject=5")


def test_tune_refuses_what_does_not_fit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("optuna")
    space = tmp_path / "space.toml"
    space.write_text('"training.epoch" = [1]\n', encoding="utf-8")
    assert "Did you mean 'training.epochs'" in refused(capsys, "tune", "synthetic", "--space", str(space))
    assert "trials must be 1 or more: got 0" in refused(capsys, "tune", "synthetic", "--trials", "0")
    assert "the configuration file must exist" in refused(capsys, "tune", "synthetic", "--space", "nowhere.toml")


def test_ablate_lists_its_variants_and_trains_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["ablate", "synthetic", "--seeds", "0,1", "--dry-run", "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "no_label_smoothing" in said
    assert f"{2 * N_TRAININGS} cells to train" in said
    assert not (tmp_path / "out").exists()


def test_ablate_reads_the_cells_of_a_grid(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    grid = tmp_path / "grid.toml"
    grid.write_text('[[cells]]\ndata = ["hapt", "dsads"]\nmethods = ["dcdp", "plain"]\n', encoding="utf-8")
    assert main(["ablate", str(grid), "--dry-run"]) == 0
    assert "4 cells to train" in capsys.readouterr().out


def test_the_grid_of_the_repository_is_whole(capsys: pytest.CaptureFixture[str]) -> None:
    grid = Path(__file__).parents[2] / "grids" / "ablation.toml"
    assert main(["ablate", str(grid), "--dry-run"]) == 0
    first_seed = 2 * N_TRAININGS - 2  # of DSADS and of HAPT, where two parts act on nothing
    second_seed = 12 + 11  # of fourteen and thirteen variants two pairs are one training each
    n_cells = first_seed + second_seed
    assert f"{n_cells} cells to train" in capsys.readouterr().out


def test_ablate_refuses_what_does_not_fit(capsys: pytest.CaptureFixture[str]) -> None:
    assert "seeds must be whole numbers: got '0,x'" in refused(capsys, "ablate", "synthetic", "--seeds", "0,x")
    assert "Did you mean 'hapt'" in refused(capsys, "ablate", "hatp")
    assert "configuration key must be one of" in refused(capsys, "ablate", "hapt", "--set", "training.epoch=3")
    assert "must exist: got 'nowhere.toml'" in refused(capsys, "ablate", "nowhere.toml")
