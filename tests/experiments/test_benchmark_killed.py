"""A benchmark over processes that is stopped or killed goes on to the same figures."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="signals are those of POSIX"),
]

GRID = """
[[cells]]
data = ["synthetic"]
methods = ["dcdp"]
folds = "1,2,3"
[settings]
set = ["network.preset=tiny", "training.epochs=6", "training.batch_size=16", "body.n_subjects=4",
       "body.recordings_per_subject=1", "body.minutes_per_subject=2.5", 'body.placements=["wrist"]',
       'body.modalities=["acc", "gyr"]']
"""


def start(folder: Path, name: str, workers: int = 2) -> subprocess.Popen[str]:
    """Start a benchmark in a process group of its own."""
    file = folder / "grid.toml"
    file.write_text(GRID)
    command = [sys.executable, "-m", "dcdp.cli", "benchmark", str(file), "--out", str(folder / name)]
    return subprocess.Popen(
        [*command, "--workers", str(workers)], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        start_new_session=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def checkpoints(folder: Path) -> list[Path]:
    return sorted(folder.rglob("checkpoint.safetensors"))


def alive_in_group(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def figures(folder: Path) -> dict[str, object]:
    """Return what must not depend on interruptions."""
    results = {str(path.relative_to(folder)): json.loads(path.read_text()) for path in folder.rglob("s0.json")}
    return {name: (result["test"]["macro_f1"], result["validation"]) for name, result in results.items()}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Return the figures of a benchmark that nobody disturbs."""
    folder = tmp_path_factory.mktemp("undisturbed")
    process = start(folder, "out")
    _, said = process.communicate(timeout=1800)
    assert process.returncode == 0, said
    return figures(folder / "out")


def test_killed_in_the_middle_of_training_it_goes_on_from_the_checkpoints(undisturbed, tmp_path, wait_for):
    out = tmp_path / "out"
    process = start(tmp_path, "out")
    wait_for(lambda: len(checkpoints(out)) == 2, process)
    os.kill(process.pid, signal.SIGKILL)  # the parent alone: its processes must notice
    process.communicate(timeout=300)
    until = time.monotonic() + 300
    while alive_in_group(process.pid):
        assert time.monotonic() < until, "processes work on though nobody listens"
        time.sleep(0.1)
    assert len(checkpoints(out)) == 2
    again = start(tmp_path, "out")
    _, said = again.communicate(timeout=1800)
    assert again.returncode == 0, said
    assert figures(out) == undisturbed
    assert not checkpoints(out)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_stop_it_says_how_to_go_on_and_does(number, undisturbed, tmp_path, wait_for):
    out = tmp_path / "out"
    process = start(tmp_path, "out")
    wait_for(lambda: (out / "log.jsonl").is_file() and checkpoints(out), process)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # Ctrl-C reaches every process of a terminal
    else:
        os.kill(process.pid, number)
    _, said = process.communicate(timeout=600)
    assert process.returncode == 130
    assert f"interrupted. Go on with: dcdp benchmark {tmp_path / 'grid.toml'} --out {out} --workers 2" in said
    assert "Traceback" not in said
    finished = [json.loads(line)["fold"] for line in (out / "log.jsonl").read_text().splitlines()]
    again = start(tmp_path, "out")
    _, said = again.communicate(timeout=1800)
    assert again.returncode == 0, said
    assert figures(out) == undisturbed
    log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert len(log) == 3  # no fold twice
    assert [line["fold"] for line in log[: len(finished)]] == finished
