"""Of two commands that would write into one folder the second is refused; one that was killed is in nobody's way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dcdp.cli import main
from dcdp.errors import StorageError
from dcdp.experiments.claim import claimed_folder, empty_claimed, is_vacant

SMALL = ("network.preset=tiny", "training.epochs=4", "training.batch_size=16", "body.n_subjects=4",
         "body.recordings_per_subject=1", "body.minutes_per_subject=2.5", 'body.placements=["wrist"]',
         'body.modalities=["acc", "gyr"]')  # fmt: skip
TAKEN = StorageError("one at a time", "another", "Wait.")


def test_a_claim_is_one_processs_and_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "run"
    with claimed_folder(folder, TAKEN):
        assert is_vacant(folder)
        (folder / "figures" / "deep").mkdir(parents=True)
        (folder / "config.toml").touch()
        empty_claimed(folder)
        with pytest.raises(StorageError, match="one at a time"), claimed_folder(folder, TAKEN):
            pytest.fail("claimed twice")
    assert not list(folder.iterdir())
    with claimed_folder(folder, TAKEN):
        pass


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals are those of POSIX")
@pytest.mark.parametrize("verb", ["train", "tune"])
def test_a_second_command_is_refused_and_after_a_kill_the_folder_is_free(
    verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], wait_for: Callable[..., None]
) -> None:
    if verb == "tune":
        pytest.importorskip("optuna")
    out = tmp_path / "out"
    words = [verb, "synthetic", "--folds", "1", "--out", str(out), *(w for one in SMALL for w in ("--set", one))]
    words += ["--trials", "2"] if verb == "tune" else []
    go_on = words if verb == "tune" else [*words, "--resume"]
    marker = "study.log" if verb == "tune" else "history.jsonl"
    first = subprocess.Popen(
        [sys.executable, "-m", "dcdp.cli", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    try:
        wait_for(lambda: any(path.stat().st_size for path in out.rglob(marker)), first)
        first.send_signal(signal.SIGSTOP)  # so that it cannot be done too early
        os.waitpid(first.pid, os.WUNTRACED)
        before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
        assert main(go_on) == 2
        if verb == "train":
            assert main([*words, "--force"]) == 2
        said = capsys.readouterr().err
        assert f"by one process at a time: got another one that {verb.replace('tune', 'searche')}s in '{out}'" in said
        assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    finally:
        first.kill()
        first.communicate()
    assert main(go_on) == 0
    assert not list(out.rglob(".*"))
