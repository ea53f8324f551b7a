"""Robustness of what a user has: the stored models of a run, or every cell of a grid."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dcdp.batches import Batches
from dcdp.bundle import Bundle
from dcdp.data.store import Store
from dcdp.evaluation import (
    CLEAN,
    FORMAT,
    Endurance,
    absence_verdicts,
    endurance_of,
    pool_robustness,
)
from dcdp.experiments.benchmark import GridOutcome, run_grid
from dcdp.experiments.finished_run import open_run
from dcdp.experiments.fold_request import Report
from dcdp.experiments.grid import Grid, require_same_folds
from dcdp.experiments.robustness import Predict, score_robustness, training_spread
from dcdp.files import write_text
from dcdp.inference import infer
from dcdp.records import Windows
from dcdp.reports.robustness import write_robustness
from dcdp.signals.corruptions import CORRUPTIONS, get_corruption

__all__ = ["JSON_NAME", "PAGE_NAME", "robustness_of_grid", "robustness_of_run"]

JSON_NAME = "robustness.json"
PAGE_NAME = "robustness.html"


def robustness_of_grid(grid: Grid, **options: Any) -> GridOutcome:
    """Run a grid with every fold also scored under absent and failing sensors.

    The folder of the results also gets ``robustness.html``, and ``robustness.json`` with the verdicts on absent sensors
    by data set and split.

    Parameters
    ----------
    grid
        See `dcdp.experiments.grid.read_grid`; its cells need not ask for robustness themselves.
    options
        As of `dcdp.experiments.benchmark.run_grid`, but for ``out``, which is the grid's.

    Raises
    ------
    DcdpError
        As `run_grid`.
    """
    require_same_folds(grid)
    asked = Grid(tuple(replace(cell, robustness=True) for cell in grid.cells), grid.out)
    outcome = run_grid(asked, **options)
    if outcome.results:
        methods = endurance_of(outcome.results)
        _write_json(grid.out / JSON_NAME, {"format": FORMAT, "verdicts": _verdicts(methods)})
        write_robustness(grid.out / PAGE_NAME, methods)
    return outcome


def _verdicts(methods: Sequence[Endurance]) -> dict[str, list[dict[str, Any]]]:
    """Return, for each data set and split, what stands in an `AbsenceVerdict` for every sensor."""
    found: dict[str, list[dict[str, Any]]] = {}
    for data, split in dict.fromkeys((one.data, one.split) for one in methods):
        here = [one for one in methods if (one.data, one.split) == (data, split)]
        found[f"{data}-{split}"] = [asdict(one) | {"met": one.met} for one in absence_verdicts(here)]
    return found


def robustness_of_run(
    run: Path,
    data_dir: Path | None = None,
    cache: Path | None = None,
    *,
    corruptions: Sequence[str] = tuple(CORRUPTIONS),
    device: str = "cpu",
    progress: Report | None = None,
) -> dict[str, Any]:
    """Score the stored models of a run under absent and failing sensors; nothing is trained.

    The run folder gets ``robustness.json`` and ``robustness.html``.

    Parameters
    ----------
    run, data_dir, cache
        Run folder, the original files, and the folder of parsed recordings.
    corruptions, progress
        As of `score_robustness`.
    device
        ``cpu`` or ``cuda``.

    Returns
    -------
    dict
        What ``robustness.json`` holds; see docs/robustness.md.

    Raises
    ------
    DcdpError
        If the run, its data or a corruption do not exist or do not fit.
    """
    for name in corruptions:
        get_corruption(name)
    opened = open_run(run, data_dir, cache, progress)
    folds = {}
    for number, fold in enumerate(opened.folds, 1):
        bundle, parts, store = opened.bundle(fold), fold.parts(opened.windows), opened.source.store
        test, predict = opened.windows.take(parts["test"]), _predictor(bundle, device)
        folds[fold.fold] = score_robustness(
            predict, store, test, training_spread(store, opened.windows.take(parts["train"])),
            corruptions=corruptions, gap_s=bundle.windows.gap_s,
            progress=_numbered(progress, f"fold {number} of {len(opened.folds)}"),
        )  # fmt: skip
    pooled = pool_robustness(folds)
    told = ("data", "method", "seed", "split", "leak_audit", "versions", "machine")
    found = {
        "format": FORMAT,
        **{key: opened.result[key] for key in told},
        "test": {"macro_f1": pooled[CLEAN]["0"]["macro_f1"]},
        "robustness": pooled,
    }
    _write_json(run / JSON_NAME, found)
    write_robustness(run / PAGE_NAME, endurance_of([found]), found["method"])
    return found


def _write_json(path: Path, document: dict[str, Any]) -> None:
    write_text(path, json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def _numbered(progress: Report | None, fold: str) -> Report | None:
    if progress is None:
        return None
    return lambda done, total, text: progress(done, total, f"{fold}, {text}")


def _predictor(bundle: Bundle, device: str) -> Predict:
    network = bundle.network.to(device)

    def predict(store: Store, windows: Windows) -> NDArray[np.float32]:
        batches = Batches(store, windows, bundle.layouts, torch.device(device))
        probability = infer(network, batches).probability(bundle.temperature)
        probability[~batches.present.any(1)] = 1 / probability.shape[1]
        return probability

    return predict
