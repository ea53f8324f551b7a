"""docs/tutorial.md is true: its commands run, one after another, and show what stands there."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from dcdp.cli import main
from dcdp.prediction import predict_file

TUTORIAL = (Path(__file__).resolve().parents[1] / "docs" / "tutorial.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", TUTORIAL, flags=re.MULTILINE | re.DOTALL)
ACTIVITIES = ("cycling_easy", "cycling_hard", "lying", "reading", "stairs_up", "standing", "turning_left",
              "turning_right", "walking", "watching")  # fmt: skip


def plain(text: str) -> list[str]:
    """Return lines without what differs between machines: the digits of numbers, widths, which activity was named."""
    lines = [re.sub(r"[-+]?\d+(\.\d+)?(e[-+]\d+)?", "#", line) for line in text.splitlines()]
    lines = [" ".join(line.split()) for line in lines]
    return [re.sub(rf"^({'|'.join(ACTIVITIES)}) # # #$", "ACTIVITY # # #", line) for line in lines if line]


def shown(text: str, expected: str) -> bool:
    wanted, found = plain(expected), plain(text)
    if wanted[-1] == "...":
        wanted, found = wanted[:-1], found[: len(wanted) - 1]
    return wanted == found


@pytest.mark.slow
def test_the_tutorial_leads_from_two_files_to_a_prediction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DCDP_CACHE", str(tmp_path / "cache"))
    said, n_compared = "", 0
    for language, text in BLOCKS:
        if language == "python":
            if "import dcdp\n" not in text:
                (tmp_path / "make_recordings.py").write_text(text, encoding="utf-8")
                continue
            exec(compile(text, "tutorial.md", "exec"), {})  # our own text, read from this repository
            assert "s01" in capsys.readouterr().out
        elif language == "sh":
            said = "".join(run(line, tmp_path, capsys) for line in text.splitlines())
        else:
            assert language == "text"
            assert shown(said, text), f"shown:\n{text}\nsaid:\n{said}"
            n_compared += 1
    assert n_compared == sum(language == "text" for language, _ in BLOCKS) >= 6
    result = json.loads((tmp_path / "runs" / "walks-holdout-s0" / "result.json").read_text(encoding="utf-8"))
    assert result["data"] == "walks"
    assert result["test"]["macro_f1"]["mean"] > 0.4
    assert_named_well(tmp_path)


def run(line: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command: ours in this process, the few others as they stand."""
    words = shlex.split(line)
    if words[0] == "dcdp":
        assert main(words[1:]) == 0
        return capsys.readouterr().out
    if words[0] == "python":
        exec(compile((folder / words[1]).read_text(encoding="utf-8"), words[1], "exec"), {"__name__": "__main__"})
        return ""
    assert words[0] in ("head", "sed")
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=True).stdout


def assert_named_well(folder: Path) -> None:
    """Most windows of the sixth person, whom no part of the training has seen, get the activity they were made of."""
    bundle = folder / "runs" / "walks-holdout-s0" / "folds" / "s05" / "bundle.safetensors"
    found = predict_file(bundle, folder / "new", like=folder / "walks")
    assert set(found.branches_used) == {"acc", "gyr", "acc_32hz", "gyr_32hz"}
    rows = [row.split(",") for row in (folder / "new" / "labels.csv").read_text(encoding="utf-8").splitlines()[1:]]
    hits = [
        label == activity
        for time_s, label in zip(found.times_s, found.label, strict=True)
        for start, stop, activity in rows
        if float(start) <= time_s and time_s + 3 <= float(stop)
    ]
    assert len(hits) > 80
    assert sum(hits) / len(hits) > 0.4
