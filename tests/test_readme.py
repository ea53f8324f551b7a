"""What README.md shows is true: its Python runs, its commands exist, its links lead somewhere."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from dcdp.cli import main
from dcdp.data import get_set, list_sets

REPOSITORY = Path(__file__).resolve().parents[1]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def commands() -> list[list[str]]:
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line.startswith("dcdp ")]


@pytest.mark.slow
def test_the_python_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (example,) = blocks("python")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(example, "README.md", "exec"), names)  # our own text, read from this repository
    assert len(example.strip().splitlines()) <= 10
    assert (tmp_path / "walker.safetensors").stat().st_size > 1000
    scores = names["scores"]
    assert isinstance(scores, dict)
    by_subject = scores["macro_f1"]["by_subject"]
    assert str(by_subject) in capsys.readouterr().out
    chance = 1 / 10
    assert min(by_subject.values()) > 2 * chance


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_is_understood(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    verb = words[1:3] if words[1] == "data" else words[1:2]
    assert main([*verb, "--help"]) == 0
    said = capsys.readouterr().out
    assert [word for word in words if word.startswith("--") and word not in said] == []


def test_make_targets_and_links_exist() -> None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^make (\w+)", "\n".join(blocks("sh")), flags=re.MULTILINE)
    assert {"demo", "test"} <= set(targets)
    assert [target for target in targets if not re.search(rf"^{target}:", makefile, flags=re.MULTILINE)] == []
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert [link for link in links if "://" not in link and not (REPOSITORY / link).exists()] == []


def test_every_data_set_with_figures_is_in_the_table() -> None:
    tried = {name for name in list_sets() if get_set(name).tested_on == "real files"}
    assert set(re.findall(r"^\| `(\w+)` \|", README, flags=re.MULTILINE)) == {*tried, "synthetic"}
