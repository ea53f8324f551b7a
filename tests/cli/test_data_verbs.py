"""dcdp data list | info."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dcdp.cli import main
from dcdp.data import get_set, list_sets


def rows(said: str) -> dict[str, list[str]]:
    cells = [re.split(r" {2,}", line.strip()) for line in said.splitlines() if line.strip()]
    return {line[0]: line[1:] for line in cells}


def test_list_shows_every_set_and_the_built_in_body(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "list", "--cache", str(tmp_path), "--data", str(tmp_path)]) == 0
    found = rows(capsys.readouterr().out)
    for name in list_sets():
        declared = get_set(name)
        assert found[name][:2] == [str(len(declared.subjects)), str(len(declared.labels))]
        assert found[name][-1] == "-"
    assert found["synthetic"][-1] == "built in"


def test_list_tells_a_set_that_is_here_from_one_that_is_cached(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, cache = tmp_path / "data", tmp_path / "cache"
    data.mkdir()
    (data / get_set("hapt").layout.archives[0]).touch()
    (cache / f"uschad-v{get_set('uschad').version}-verified-0").mkdir(parents=True)
    (cache / f"dsads-v{get_set('dsads').version}-unverified-0").mkdir()
    assert main(["data", "list", "--cache", str(cache), "--data", str(data)]) == 0
    found = rows(capsys.readouterr().out)
    states = dict.fromkeys(list_sets(), "-") | {"hapt": "here", "uschad": "cached"}
    assert {name: found[name][-1] for name in list_sets()} == states


def test_list_and_info_say_which_sets_were_not_run_on_real_files(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "list"]) == 0
    (told,) = re.findall(r"Not run on their real files: (.*) \(see", capsys.readouterr().out)
    assert set(told.split(", ")) == {name for name in list_sets() if get_set(name).tested_on != "real files"}
    for name in ("pamap2", "hapt"):
        assert main(["data", "info", name]) == 0
        assert ("not run on the real ones" in capsys.readouterr().out) == (name in told)


def test_info_says_what_an_official_split_divides(capsys: pytest.CaptureFixture[str]) -> None:
    for name, text in (
        ("hapt", "21 train, 9 test people"),
        ("opportunity_locomotion", "19 train, 1 validation, 4 test sessions: some people are in several parts"),
    ):
        assert main(["data", "info", name]) == 0
        assert f"official    {text}\n" in capsys.readouterr().out


def test_info_says_what_is_not_documented(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "info", "hugadb"]) == 0
    said = capsys.readouterr().out
    assert "recordings  not documented" in said
    assert "files are not verified" in said


@pytest.mark.parametrize("name", [*list_sets(), "synthetic"])
def test_info_names_every_signal_and_activity(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "info", name]) == 0
    found = rows(capsys.readouterr().out)
    assert "signal" in found
    if name != "synthetic":
        declared = get_set(name)
        assert {signal.name for signal in declared.spec} <= set(found)
        assert [found[str(index)] for index in range(len(declared.labels))] == [[x] for x in declared.labels.names]
        assert found["licence"] == [declared.licence]
