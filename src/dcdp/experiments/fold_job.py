"""One fold of one cell, start to finish: what a process of a benchmark does."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dcdp.bundle import save_bundle
from dcdp.config import RunConfig
from dcdp.data.quality import require_trainable
from dcdp.data.store import Store
from dcdp.data.synthetic import BodyConfig
from dcdp.experiments.cost import measure_cost
from dcdp.experiments.feature_table import FeatureTable
from dcdp.experiments.fold_file import DONE, PREDICTIONS
from dcdp.experiments.fold_request import FoldRequest, Report, audit_fold
from dcdp.experiments.grid import Cell
from dcdp.experiments.methods import FittedMethod, fit_method, score_method
from dcdp.experiments.robustness import score_robustness, training_spread
from dcdp.experiments.source import DataSource, load
from dcdp.files import atomic_path, write_text
from dcdp.models.network import BranchLayout
from dcdp.records import Windows
from dcdp.signals.windows import WindowConfig, cut_windows
from dcdp.splits import Split

__all__ = ["FoldJob", "Place", "open_source", "run_job"]

_FOLDS_KEPT = 32


@dataclass(frozen=True)
class Place:
    """Where data lie and where training runs, the same for all cells.

    Attributes
    ----------
    data, cache
        Original files, and the folder of parsed recordings.
    device
        ``cpu`` or ``cuda``.
    """

    data: Path | None = None
    cache: Path | None = None
    device: str = "cpu"


@dataclass(frozen=True)
class FoldJob:
    """One fold to train and test.

    Attributes
    ----------
    cell, split
        What is trained, and on whom.
    folder
        Where the fold's files go.
    place
        Where the data lie.
    keep
        Whether the model stays.
    """

    cell: Cell
    split: Split
    folder: Path
    place: Place = Place()
    keep: bool = False


def run_job(job: FoldJob, report: Report | None = None) -> dict[str, Any]:
    """Audit, fit, score and time a method on one fold; go on from its checkpoints if there are any.

    Returns
    -------
    dict
        ``split`` (as `dcdp.splits.Split.facts`), ``device``, ``scores``, ``validation``, ``training``, ``leak_audit``,
        ``cost``, ``seconds``, ``branches``, ``labels`` and ``null_label``; also written, beside the predictions of the
        test windows, into the folder of the job.

    Raises
    ------
    DcdpError
        If the data, the split or a setting break a rule.
    KeyboardInterrupt
        On Ctrl-C or SIGTERM, after a checkpoint where the method has them.
    """
    request, audit = _audited(job.cell.data, job.place, job.cell.config.body, job.cell.config.windows, job.split)
    request = replace(request, config=job.cell.config, seed=job.cell.seed, folder=job.folder)
    started = time.perf_counter()
    fitted = _fit(job, request, report)
    fitted_at = time.perf_counter()
    scores, probability = score_method(fitted, request)
    robustness = _robustness(job, fitted, request, report)
    labels = request.windows.label_set
    result = {
        "split": job.split.facts(),
        "device": job.place.device,
        "scores": scores,
        "validation": fitted.validation,
        "training": fitted.training | {"n_windows": {p: len(i) for p, i in job.split.parts(request.windows).items()}},
        "leak_audit": audit,
        "cost": measure_cost(fitted, request.source.store, request.part("test")),
        "seconds": {"train": fitted.seconds, "evaluate": time.perf_counter() - fitted_at},
        "elapsed_s": time.perf_counter() - started,
        "branches": [layout.branch.name for layout in fitted.layouts],
        "labels": list(labels.names),
        "null_label": labels.null_label,
    } | robustness
    _save(job, fitted, request.part("test"), probability)
    write_text(job.folder / DONE, json.dumps(result))
    for checkpoint in job.folder.rglob("checkpoint.safetensors"):  # nothing is left to go on with
        checkpoint.unlink()
    return result


def _robustness(
    job: FoldJob, fitted: FittedMethod, request: FoldRequest, report: Report | None
) -> dict[str, Any]:
    """Score the fitted method with sensors absent and failing, if the cell asks for it."""
    if not job.cell.robustness:
        return {}
    store, spread = request.source.store, training_spread(request.source.store, request.part("train"))
    gap_s = job.cell.config.windows.gap_s
    found = score_robustness(fitted.predict, store, request.part("test"), spread, gap_s=gap_s, progress=report)
    return {"robustness": found}


def _fit(job: FoldJob, request: FoldRequest, report: Report | None) -> FittedMethod:
    """Fit the method; statistics of windows that other methods read too are computed once in a process."""
    config = job.cell.config
    table = _features(job.cell.data, job.place, config.body, config.windows, request.layouts)
    owed_before = table.owed_s
    fitted = fit_method(job.cell.method, request, resume=True, progress=report, describe=table)
    return replace(fitted, seconds=fitted.seconds + table.owed_s - owed_before)


def open_source(
    data: str, place: Place, body: BodyConfig, gap_s: float, progress: Report | None = None
) -> DataSource:
    """Open a data set and make sure that it can be trained on."""
    source = load(data, place.data, cache=place.cache, gap_s=gap_s, body=body, progress=progress)
    require_trainable(source.store)
    return source


# A process keeps the last few data sets open, with their windows and audits: folds of many cells share them.
_opened = lru_cache(4)(open_source)


@lru_cache(4)
def _windows(data: str, place: Place, body: BodyConfig, config: WindowConfig) -> Windows:
    return cut_windows(_opened(data, place, body, config.gap_s).store, config)


@lru_cache(_FOLDS_KEPT)
def _audited(
    data: str, place: Place, body: BodyConfig, config: WindowConfig, split: Split
) -> tuple[FoldRequest, dict[str, Any]]:
    source, windows = _opened(data, place, body, config.gap_s), _windows(data, place, body, config)
    return audit_fold(FoldRequest(source, windows, split, RunConfig(windows=config), device=place.device))


@lru_cache(1)
def _features(
    data: str, place: Place, body: BodyConfig, config: WindowConfig, layouts: tuple[BranchLayout, ...]
) -> FeatureTable:
    store: Store = _opened(data, place, body, config.gap_s).store
    return FeatureTable(store, _windows(data, place, body, config), layouts)


def _save(job: FoldJob, fitted: FittedMethod, test: Windows, probability: NDArray[np.float32]) -> None:
    if job.keep and fitted.bundle is not None:
        save_bundle(job.folder / "bundle.safetensors", fitted.bundle)
    with atomic_path(job.folder / PREDICTIONS) as temporary:
        np.savez_compressed(
            temporary, label=test.label, probability=probability.astype(np.float16), subject=test.subject,
            recording=test.recording, start_s=test.start_s,
        )  # fmt: skip
