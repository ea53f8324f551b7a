"""dcdp data check: what it prints, what it writes, when it refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from dcdp.cli import main
from dcdp.data import Finding


def test_it_prints_the_verdict_first_and_a_row_for_each_signal(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", "synthetic"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "synthetic: fit for training"
    assert re.fullmatch(r"16 recordings of 8 people, 1\.1 hours, 10 activities, \d+ windows of 3 s", lines[1])
    assert lines[3] == "note     a channel should have no long gaps"
    assert re.fullmatch(r"           wrist_acc: 0\.\d\d% missing", lines[4])
    assert "           and 4 more" in lines
    table = lines[next(i for i, line in enumerate(lines) if line.startswith("signal")) + 1 :]
    assert [line.split()[0] for line in table if line.strip()][-1] == "chest_hr"
    assert next(line for line in table if line.startswith("chest_acc")).split()[1:3] == ["50", "m/s2"]


def test_it_writes_a_page_and_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page, figures = tmp_path / "report.html", tmp_path / "deep" / "quality.json"
    assert main(["data", "check", "synthetic", "--out", str(page), "--json", str(figures)]) == 0
    said = capsys.readouterr().out
    assert f"report  {page}\n" in said
    assert f"figures {figures}\n" in said
    assert "<title>synthetic: fit for training</title>" in page.read_text(encoding="utf-8")
    document = json.loads(figures.read_text(encoding="utf-8"))
    assert document["verdict"] == {"word": "fit for training", "remedies": []}
    assert {odd["rule"] for odd in document["findings"]} == {"a channel should have no long gaps"}
    assert document["quality"]["signals"][0]["name"] == "wrist_acc"
    assert len(document["quality"]["recordings"]) == 16


def test_errors_are_named_written_and_then_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = Finding("error", "a channel must vary", "wrist_acc_x", "9.81 throughout", "Leave the sensor out.")
    monkeypatch.setattr("dcdp.experiments.quality.judge", lambda _: (odd,))
    page = tmp_path / "report.html"
    assert main(["data", "check", "synthetic", "--out", str(page)]) == 2
    said = capsys.readouterr()
    assert said.out.startswith("synthetic: not fit\n")
    assert "error    a channel must vary\n           wrist_acc_x: 9.81 throughout\n" in said.out
    assert said.err == "error: recordings must have no errors: got 1 in 'synthetic'. They stand first in the list.\n"
    assert "not fit" in page.read_text(encoding="utf-8")


def test_a_folder_without_a_description_is_told_how_to_get_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "walk.csv").write_text("t,x\n0,1\n")
    assert main(["data", "check", str(tmp_path)]) == 2
    assert f"Write a draft with: dcdp data describe {tmp_path}." in capsys.readouterr().err


def test_an_unknown_name_is_told_with_its_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", "synthetik"]) == 2
    assert "synthetic" in capsys.readouterr().err


@pytest.mark.data
@pytest.mark.slow
def test_a_real_set(data_dir: Path, real_cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", "hapt", "--data", str(data_dir), "--cache", str(real_cache)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("hapt: fit for training\n61 recordings of 30 people, 6.2 hours, 12 activities, ")
    assert "           s28: none of lie_to_sit, stand_to_lie\n" in said
