"""How much the loss varies from step to step: drift does not count, and a resumed history knows its first part."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from dcdp.checkpoint import Checkpoint
from dcdp.history import History


def write(history: History, losses: list[float]) -> None:
    state = Checkpoint(run="")
    for loss in losses:
        history.step(state, {"total": torch.tensor(loss)}, {}, 0.001)


def test_step_variance_is_that_of_the_noise_not_of_the_drift() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 4000)
    with History(None, 0) as history:
        write(history, (noise + np.linspace(5, 1, 4000)).tolist())
    assert history.step_variance() == pytest.approx(0.01, rel=0.1)


def test_step_variance_by_hand_takes_the_last_half() -> None:
    with History(None, 0) as history:
        write(history, [9.0, 0.0, 1.0, 3.0])
    assert history.step_variance() == 2.0  # (3 - 1)^2 / 2


def test_few_steps_have_no_variance() -> None:
    with History(None, 0) as history:
        write(history, [1.0, 2.0, 3.0])
    assert history.step_variance() is None


def test_a_resumed_history_knows_what_it_wrote_before(tmp_path: Path) -> None:
    losses = [2.123456, 1.9, 2.2, 1.7, 1.65, 1.8]
    with History(tmp_path / "whole", 0) as whole:
        write(whole, losses)
    with History(tmp_path / "parts", 0) as first:
        write(first, losses[:3])
        n_bytes = first.flush()
        write(first, [7.0])  # behind the checkpoint: will be written again
    with History(tmp_path / "parts", n_bytes) as second:
        write(second, losses[3:])
    assert second.step_variance() == whole.step_variance()


def test_a_damaged_history_does_not_stop_a_training(tmp_path: Path) -> None:
    (tmp_path / "history.jsonl").write_bytes(b"\0" * 40)
    with History(tmp_path, 40) as history:
        write(history, [1.0])
    assert history.step_variance() is None
