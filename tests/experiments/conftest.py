"""One small finished run of the built-in body, for all tests that only read it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dcdp.config import RunConfig
from dcdp.data.synthetic import BodyConfig
from dcdp.experiments.run import train_run
from dcdp.experiments.run_folder import RunRequest
from dcdp.models.network import NetworkConfig
from dcdp.training import TrainingConfig


@pytest.fixture(scope="session")
def make_config() -> Callable[..., RunConfig]:
    """Return ``make(**training)``: four people with two sensors at the wrist, a tiny network, two epochs."""

    def make(**training: Any) -> RunConfig:
        body = BodyConfig(
            n_subjects=4, minutes_per_subject=2.5, recordings_per_subject=1, placements=("wrist",),
            modalities=("acc", "gyr"),
        )  # fmt: skip
        length = TrainingConfig(**{"epochs": 2, "batch_size": 24, "early_stopping": True} | training)
        return RunConfig(network=NetworkConfig("tiny"), body=body, training=length)

    return make


@pytest.fixture(scope="session")
def finished(
    tmp_path_factory: pytest.TempPathFactory, make_config: Callable[..., RunConfig]
) -> tuple[Path, dict[str, Any]]:
    """Return the folder and the result of two folds with a forest beside them. Read only."""
    out = tmp_path_factory.mktemp("runs") / "finished"
    result = train_run(RunRequest("synthetic", out, folds="1,3", seed=5, peers=("forest",)), make_config())
    return out, result


@pytest.fixture(scope="session")
def wait_for() -> Callable[[Callable[[], object], subprocess.Popen[str]], None]:
    """Return ``wait_for(condition, process)``: until it holds, while the process runs."""

    def wait(condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
        until = time.monotonic() + 900
        while not condition():
            assert time.monotonic() < until
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)

    return wait
