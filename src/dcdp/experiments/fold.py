"""Train and test one fold: the honest unit of every experiment."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dcdp.bundle import Bundle, save_bundle
from dcdp.errors import ConfigError
from dcdp.experiments.fold_file import DONE, PREDICTIONS, read_finished, read_scored, split_differences
from dcdp.experiments.fold_request import FoldRequest, Report, audit_fold
from dcdp.experiments.fold_scores import branch_utilisation, evaluate_bundle
from dcdp.experiments.fold_training import train_fold
from dcdp.experiments.peers import score_peer
from dcdp.files import atomic_path, write_text
from dcdp.inference import Inferred, softmax
from dcdp.models.network import BranchLayout
from dcdp.records import Windows
from dcdp.splits import Split
from dcdp.training import FitResult

__all__ = ["run_fold"]

_FOLD_KEYS = ("leak_audit", "peers", "seconds", "training", "validation")


def run_fold(request: FoldRequest, *, resume: bool = False, progress: Report | None = None) -> dict[str, Any]:
    """Audit, train, test, and write the fold's files; a finished fold is read back on resume.

    Returns
    -------
    dict
        ``split`` (as `dcdp.splits.Split.facts`), ``device``, ``scores`` (with ``by_branch``, ``absent``, ``shapley``,
        ``subsets``, ``alignment``, ``utilisation``), ``validation``, ``training``, ``leak_audit``, ``peers`` and
        ``seconds``.

    Raises
    ------
    ConfigError
        If the fold was finished with other people.
    SplitError, DataError
        If the parts share a subject or a sample, or training lacks a class.
    """
    if resume and request.folder and (finished := read_finished(request.folder, _FOLD_KEYS)):
        _require_same_people(request.folder / DONE, finished, request.split)
        return finished
    request, audit = audit_fold(request)
    started = time.perf_counter()
    bundle, trained = train_fold(request, resume=resume, progress=progress)
    train_s = time.perf_counter() - started
    scores, inferred = evaluate_bundle(bundle, request.source.store, request.part("test"), request.device)
    if request.alone:
        scores["utilisation"] = branch_utilisation(request, scores["by_branch"], progress)
    result = {
        "split": request.split.facts(),
        "device": request.device,
        "scores": scores,
        "validation": trained.validation,
        "training": _training_facts(request, bundle, trained),
        "leak_audit": audit,
        "seconds": {"train": train_s, "evaluate": time.perf_counter() - started - train_s},
        "peers": {name: _peer(request, name, bundle.layouts, resume, progress) for name in request.peers},
    }
    if request.folder is not None:
        save_bundle(request.folder / "bundle.safetensors", bundle)
        _save_predictions(request.folder / PREDICTIONS, bundle, inferred, request.part("test"))
        write_text(request.folder / DONE, json.dumps(result))
    return result


def _require_same_people(path: Path, finished: Mapping[str, Any], split: Split) -> None:
    """Refuse what was trained or tested on others: the name of a fold does not tell all of its people."""
    if different := split_differences(finished.get("split"), split):
        raise ConfigError(
            "a run goes on with the people it began with", f"'{path}' with {'; '.join(different)}",
            "Give the same data again, or start a new run with --out.",
        )  # fmt: skip


def _peer(
    request: FoldRequest, name: str, layouts: Sequence[BranchLayout], resume: bool, progress: Report | None
) -> dict[str, Any]:
    """Train and score a rival; a finished one is read back on resume."""
    folder = request.folder / "peers" / name if request.folder else None
    if resume and folder and (finished := read_scored(folder / "peer.json", ("seconds",))):
        _require_same_people(folder / "peer.json", finished, request.split)
        return finished

    def report(step: int, steps: int, text: str) -> None:
        if progress is not None:
            progress(step, steps, f"{name}, {text}")

    result = score_peer(
        name, request.source.store, layouts, request.part("train"), request.part("test"), request.seed,
        validation=request.part("validation"), config=request.config, device=request.device, folder=folder,
        resume=resume, progress=report,
    ) | {"split": request.split.facts()}  # fmt: skip
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / "peer.json", json.dumps(result))
        for checkpoint in folder.rglob("checkpoint.safetensors"):  # nothing is left to go on with
            checkpoint.unlink()
    return result


def _training_facts(request: FoldRequest, bundle: Bundle, trained: FitResult) -> dict[str, Any]:
    parts = request.split.parts(request.windows)
    return {
        "epochs": trained.epochs,
        "best_epoch": trained.best_epoch,
        "steps": trained.steps,
        "windows_per_s": round(trained.windows_per_s, 1),
        "loss_step_variance": trained.loss_step_variance,
        "parameters": bundle.network.n_parameters,
        "n_windows": {name: len(index) for name, index in parts.items()},
    }


def _save_predictions(path: Path, bundle: Bundle, inferred: Inferred, windows: Windows) -> None:
    keep = np.linspace(0, len(windows) - 1, min(len(windows), 1500)).round().astype(np.int64)
    with atomic_path(path) as temporary:
        np.savez_compressed(
            temporary,
            label=windows.label,
            probability=inferred.probability(bundle.temperature),
            branch_probability=softmax(inferred.branch),
            embedding=inferred.embedding[keep].reshape(len(keep), -1),
            embedding_index=keep,
            subject=windows.subject,
            recording=windows.recording,
            start_s=windows.start_s,
        )
