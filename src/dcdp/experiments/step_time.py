"""Time a step of training of several variants in turn, so that a busy machine treats all alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from dcdp.experiments.fold_job import Place, open_source
from dcdp.experiments.fold_request import FoldRequest
from dcdp.experiments.fold_training import train_fold
from dcdp.experiments.grid import Cell
from dcdp.signals.windows import cut_windows
from dcdp.splits import make_folds

__all__ = ["step_seconds"]

_ROUNDS = 5
_STEPS = 8


def step_seconds(cells: Mapping[str, Cell], place: Place, rounds: int = _ROUNDS) -> dict[str, float]:
    """Return the seconds that a step of each cell's training takes [s], by name.

    Parameters
    ----------
    cells
        Of one data set and split.
    place
        Where the data lie and training runs.
    rounds
        How often the cells take turns, eight steps each on windows of the first fold. The fastest turn counts: whatever
        else the machine does can only slow one down. Nothing is scored, written or kept.
    """
    first = next(iter(cells.values()))
    source = open_source(first.data, place, first.config.body, first.config.windows.gap_s)
    windows = cut_windows(source.store, first.config.windows)
    split = make_folds(first.split, source.subjects, official=source.official)[0]
    request = FoldRequest(source, windows, split, first.config, device=place.device)
    request = replace(request, windows=request.part("train", "validation"))
    fastest = dict.fromkeys(cells, float("inf"))
    for _ in range(rounds):
        for name, cell in cells.items():
            fastest[name] = min(fastest[name], _step(request, cell))
    return fastest


def _step(request: FoldRequest, cell: Cell) -> float:
    training = cell.config.training
    n_windows = min(_STEPS * training.batch_size, len(request.windows))
    chosen = np.linspace(0, len(request.windows) - 1, n_windows).round().astype(np.int64)
    short = replace(training, epochs=1, refit=False, early_stopping=False, steps_per_subject=0)
    config = replace(cell.config, training=short)
    _, trained = train_fold(replace(request, windows=request.windows.take(chosen), config=config))
    return min(training.batch_size, n_windows) / trained.windows_per_s
