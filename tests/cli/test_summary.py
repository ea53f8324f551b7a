"""What is printed when a run is done."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from dcdp.cli.summary import print_result, print_table

RESULT: dict[str, Any] = {
    "data": "hapt",
    "method": "dcdp",
    "split": {"name": "arena", "folds": [{"fold": "s01+s11"}, {"fold": "s02+s12"}]},
    "test": {
        "macro_f1": {"mean": 0.8125, "std": 0.0625, "by_subject": {"s01": 0.75, "s[02]": 0.875}},
        "absent": {"gyr": {"macro_f1": 0.5, "loss": 0.3125}},
    },
    "peers": {"forest": {"macro_f1": {"mean": 0.7, "std": 0.1, "by_subject": {"s01": 0.6}}}},
}


def test_a_result_shows_subjects_peers_absent_sensors_files_and_commands(capsys: pytest.CaptureFixture[str]) -> None:
    print_result(RESULT, Path("runs/a run"))
    said = capsys.readouterr().out
    rows = [re.split(r" {2,}", line.strip()) for line in said.splitlines()]
    assert ["subject", "dcdp", "forest"] in rows
    assert ["s01", "0.7500", "0.6000"] in rows
    assert ["s[02]", "0.8750", "-"] in rows  # brackets are text, not markup; a peer may lack a subject
    assert ["mean", "0.8125", "0.7000"] in rows
    assert ["std", "0.0625", "0.1000"] in rows
    assert ["gyr", "0.5000", "0.3125"] in rows
    assert "model   runs/a run/folds/s01+s11/bundle.safetensors  (and 1 more fold)" in said
    assert "report  runs/a run/report.html" in said
    assert "result  runs/a run/result.json" in said


def test_three_commands_come_last_and_can_be_pasted(capsys: pytest.CaptureFixture[str]) -> None:
    print_result(RESULT, Path("runs/a run"))
    commands = capsys.readouterr().out.partition("Next:\n")[2].splitlines()
    assert len(commands) == 3
    assert commands[0].strip() == "dcdp evaluate 'runs/a run'"


def test_a_result_without_peers_or_absent_figures_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    bare = RESULT | {"peers": {}, "data": "synthetic", "test": {"macro_f1": RESULT["test"]["macro_f1"]}}
    print_result(bare, Path("runs/demo"))
    said = capsys.readouterr().out
    assert "forest" not in said
    assert "absent" not in said
    assert "dcdp data list" in said


def test_a_table_keeps_every_cell(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["name", "n"], [["a" * 200, 3]], "long")
    said = capsys.readouterr().out
    assert said.count("a") >= 200
    assert "…" not in said
