"""Write the history of a training: one JSON line a step and an epoch, cut back to the checkpoint on resume."""

from __future__ import annotations

import json
import math
import os
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

from torch import Tensor

from dcdp.checkpoint import Checkpoint
from dcdp.errors import ConfigError
from dcdp.objectives import read_parts

__all__ = ["History"]


class History:
    """The open history of a run: ``history.jsonl`` in its folder, or nothing where there is no folder.

    Parameters
    ----------
    folder
        Where the file lies; made if need be.
    n_bytes
        Length that the checkpoint knows of: what was written after it is cut off and will be written again.
    """

    def __init__(self, folder: Path | None, n_bytes: int) -> None:
        self._file: BinaryIO | None = None
        self._totals: list[float] = []
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / "history.jsonl"
            path.touch()
            self._file = path.open("r+b")
            self._file.truncate(n_bytes)
            self._totals = _totals(self._file.read())

    def __enter__(self) -> History:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def step(self, state: Checkpoint, parts: dict[str, Tensor], measures: dict[str, Any], rate: float) -> None:
        """Write the losses, the measures of modulation and the learning rate of a step.

        Raises
        ------
        ConfigError
            If the loss is no longer a finite number.
        """
        loss = read_parts(parts)
        _require_finite(loss["total"], state.step)
        state.loss_sum += loss["total"]
        rounded = _rounded(loss)
        self._totals.append(rounded["total"])  # as a resumed training will read it
        line = {"kind": "step", "epoch": state.epoch, "step": state.step, "loss": rounded}
        line |= {name: _rounded(values) for name, values in measures.items()}
        self._write(line | {"learning_rate": float(f"{rate:.4g}")})

    def epoch(self, state: Checkpoint, seconds: float, n_steps: int) -> None:
        """Write how an epoch ended: mean loss, figures of the validation subjects, whether it is the best so far."""
        line = {"kind": "epoch", "epoch": state.epoch, "step": state.step, "seconds": round(seconds, 3)}
        line |= _rounded({"train_loss": state.loss_sum / n_steps})
        state.loss_sum = 0.0
        self._write(line | {"validation": state.validation, "best": state.is_best})

    def step_variance(self) -> float | None:
        """Return how much the total loss varies from step to step over the last half of the steps.

        Half the mean square of its successive differences: the variance about a level that may drift, so that learning
        itself does not count. None for fewer than four steps.

        References
        ----------
        von Neumann, Kent, Bellinson, Hart (1941). The Mean Square Successive Difference. Annals of Mathematical
        Statistics 12.
        """
        if len(self._totals) < 4:
            return None
        late = self._totals[len(self._totals) // 2 :]
        return sum((after - before) ** 2 for before, after in pairwise(late)) / (2 * (len(late) - 1))

    def _write(self, line: dict[str, Any]) -> None:
        if self._file is not None:
            self._file.write(json.dumps(line).encode() + b"\n")

    def flush(self) -> int:
        """Bring all lines to the disk; return the length of the file [bytes]."""
        if self._file is None:
            return 0
        self._file.flush()
        os.fsync(self._file.fileno())  # on the disk before the checkpoint that counts on it
        return self._file.tell()


def _totals(text: bytes) -> list[float]:
    """Return the total loss of every step; nothing of a history that somebody damaged."""
    try:
        lines = [json.loads(line) for line in text.splitlines()]
        return [line["loss"]["total"] for line in lines if line["kind"] == "step"]
    except (ValueError, KeyError, TypeError):
        return []


def _require_finite(loss: float, step: int) -> None:
    if not math.isfinite(loss):
        raise ConfigError(
            "the loss must stay finite", f"{loss} at step {step}",
            "Lower training.learning_rate, or set training.clip_norm and training.precision='float32'.",
        )  # fmt: skip


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: float(f"{value:.5g}") for name, value in values.items()}
