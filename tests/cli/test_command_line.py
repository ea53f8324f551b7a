"""The command line as a process: quick help, exit codes, plain messages."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import dcdp
from dcdp.cli import app, main

VERBS = ("compare", "data", "demo", "evaluate", "info", "predict", "report", "train")


def dcdp_process(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "dcdp.cli", *words], capture_output=True, text=True, cwd=cwd)


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Run in this process, expect exit code 2, return the single line on stderr."""
    assert main(words) == 2
    said = capsys.readouterr()
    assert said.out == ""
    message = said.err.lstrip("\n")  # a progress bar that had begun ends its line
    assert message.startswith("error: ")
    assert "Traceback" not in message
    assert message.count("\n") == 1
    return message


def test_help_lists_every_verb_and_needs_no_torch() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "dcdp.cli", "--help"], capture_output=True, text=True
    )
    assert done.returncode == 0
    assert all(verb in done.stdout for verb in VERBS)
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "cyclopts" in loaded
    assert not loaded & {"torch", "numpy", "polars", "sklearn", "scipy", "matplotlib"}


def test_help_and_version_answer_at_once() -> None:
    start = time.perf_counter()
    done = dcdp_process("--version")
    assert done.stdout == f"{dcdp.__version__}\n"
    assert done.returncode == 0
    assert time.perf_counter() - start < 5  # .1 s on a quiet machine; torch alone takes longer on a busy one


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "--help"]) == 0
    said = capsys.readouterr().out
    assert f"Usage: dcdp {verb}" in said


def test_refusals_leave_the_process_with_code_2_and_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "result.json").write_text("{}", encoding="utf-8")
    done = dcdp_process("train", "synthetic", "--out", "run", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == (
        "error: the run folder must be empty: got 'run'. "
        "Go on with it (--resume), replace it (--force) or choose another (--out).\n"
    )
    assert (tmp_path / "run" / "result.json").read_text(encoding="utf-8") == "{}"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trian"], 'Unknown command "trian". Did you mean "train"?'),
        (["train"], "NAME requires an argument"),
        (["train", "synthetic", "--sed", "3"], "Did you mean --se"),
        (["train", "synthetic", "--seed", "three"], 'unable to convert "three" into int'),
        (["train", "synthetic", "--device", "tpu"], "Choose from"),
        (["train", "synthetic", "--resume", "--force"], "either continued or replaced: got --resume and --force"),
        (["train", "synthetic", "--workers", "0"], "workers must be 1 or more: got 0"),
        (["predict", "only-one"], "FILE requires an argument"),
        (["data", "info", "hatp"], "got 'hatp'. Did you mean 'hapt'?"),
        (["data", "check", "hatp"], "got 'hatp'. Did you mean 'hapt'?"),
        (["train", "hatp"], "got 'hatp'. Did you mean 'hapt'?"),
        (["train", "synthetic", "--split", "arna"], "Did you mean 'arena'?"),
        (["train", "synthetic", "--set", "training.sede=3"], "got 'training.sede'"),
        (["train", "synthetic", "--set", "trainig.seed=3"], "got 'trainig'. Did you mean 'training'?"),
        (["train", "synthetic", "--set", "training"], "must be key=value"),
        (["train", "synthetic", "--config", "nothing.toml"], "the configuration file must exist"),
        (["train", "hapt", "--data", "nothing", "--cache", "cache"], "nothing"),
        (["evaluate", "nothing"], "nothing"),
        (["report", "nothing"], "nothing"),
        (["info", "nothing.safetensors"], "nothing.safetensors"),
        (["predict", "nothing.safetensors", "nothing.csv"], "nothing.safetensors"),
    ],
)
def test_bad_input_is_answered_in_one_line(
    words: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in refused(capsys, *words)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []  # nothing half-written


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (["train", "synthetic", "--out", "my run", "--force"], "dcdp train synthetic --out 'my run' --resume"),
        (["demo"], "dcdp demo"),
    ],
)
def test_an_interrupt_says_how_to_go_on(
    words: list[str], advice: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(app, "_app", interrupted)
    assert main(words) == 130
    assert capsys.readouterr().err == f"\ninterrupted. Go on with: {advice}\n"


def test_the_system_refusing_a_file_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", "/root/x")

    monkeypatch.setattr(app, "_app", refuse)
    assert refused(capsys, "report", "x") == (
        "error: the system must allow it: got Permission denied for '/root/x'. Check the path.\n"
    )


def test_a_fault_of_our_own_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fault(*_: object, **__: object) -> None:
        raise ZeroDivisionError("ours")

    monkeypatch.setattr(app, "_app", fault)
    with pytest.raises(ZeroDivisionError, match="ours"):
        main(["report", "x"])


def test_a_reader_that_has_gone_is_no_error() -> None:
    command = f"{sys.executable} -m dcdp.cli data list | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stderr == ""


@pytest.mark.skipif(sys.platform != "linux", reason="GNU OpenMP, whose waiting threads spin, is that of Linux")
@pytest.mark.parametrize(
    ("own", "spins"), [({}, "1000"), ({"OMP_WAIT_POLICY": "passive"}, "0"), ({"GOMP_SPINCOUNT": "7"}, "7")]
)
def test_waiting_threads_leave_their_core_to_others(own: dict[str, str], spins: str) -> None:
    unset = {name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    load = "from dcdp.cli import main; main(['data', 'list']); import torch"
    done = subprocess.run(
        [sys.executable, "-c", load], capture_output=True, text=True,
        env=unset | own | {"OMP_DISPLAY_ENV": "verbose"},
    )  # fmt: skip
    assert f"GOMP_SPINCOUNT = '{spins}'" in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="the allocator that is told to keep its memory is glibc's")
@pytest.mark.parametrize(("own", "keeps"), [({}, True), ({"MALLOC_TOP_PAD_": "131072"}, False)])
def test_freed_memory_is_used_again_without_asking_the_system(own: dict[str, str], keeps: bool) -> None:
    unset = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_TUNABLES"))}
    load = """
import resource, torch
from dcdp.cli import main
main(["data", "list"])
network = torch.nn.Sequential(torch.nn.Conv1d(8, 64, 3), torch.nn.ReLU(), torch.nn.Conv1d(64, 8, 3))
signals = torch.ones(64, 8, 3000)
faults = []
for _ in range(8):
    network(signals).sum().backward()
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
print(faults[-1] - faults[1])
"""
    done = subprocess.run([sys.executable, "-c", load], capture_output=True, text=True, env=unset | own)
    faults, pages_of_an_array = int(done.stdout.split()[-1]), 64 * 64 * 3000 * 4 // os.sysconf("SC_PAGE_SIZE")
    assert (faults < 6 * pages_of_an_array) == keeps
