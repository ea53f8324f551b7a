"""Train the network of one fold: stopped and calibrated on validation people, or on everybody but the test people."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dcdp.batches import Batches
from dcdp.bundle import Bundle
from dcdp.evaluation import UNMEASURED_TEMPERATURE, fit_temperature, head_losses, score_branches, subject_macro_f1
from dcdp.evaluation.results import environment
from dcdp.experiments.fold_request import FoldRequest, Report
from dcdp.inference import infer, softmax
from dcdp.models.dual_path import EXPERT_WEIGHT, DualPath
from dcdp.models.network import build_network, resolve_network
from dcdp.models.peers.gradient_boosting import load_lightgbm
from dcdp.splits import Split
from dcdp.training import FitResult, add_experts, fit

__all__ = ["Watch", "batches_of", "fit_in_full", "train_fold"]

Watch = Callable[[Mapping[str, Any]], None]
"""Called after each epoch with its figures of the validation people; may stop training by raising."""


def train_fold(
    request: FoldRequest, *, resume: bool = False, progress: Report | None = None, watch: Watch | None = None
) -> tuple[Bundle, FitResult]:
    """Train on the training subjects, stop early on the validation subjects, calibrate on them, and bundle.

    Without early stopping both are trained on, and the temperature is `UNMEASURED_TEMPERATURE`, with trees more by
    their weight: probabilities are then the weighted geometric mean of the network's and the trees'.
    """
    network, trained, temperature = fit_in_full(request, resume, progress, watch)
    source, config = request.source, request.config
    joined = config.training.refit or not config.training.early_stopping
    train = (*request.split.train, *(request.split.validation if joined else ()))
    provenance = {
        "data": source.name,
        "split": request.split.name,
        "fold": request.split.fold,
        "train_subjects": list(train),
        "validation_subjects": list(request.split.validation),
        "seed": request.seed,
        "validation_macro_f1": trained.validation.get("macro_f1"),
        "versions": environment()["versions"],
    } | ({"sessions": _seen_sessions(request.split)} if request.split.sessions else {})
    bundle = Bundle(
        network.cpu(), source.spec, request.branches, request.windows.label_set, config.windows,
        config.network, temperature, provenance,
    )  # fmt: skip
    return bundle, trained


def fit_in_full(
    request: FoldRequest, resume: bool, progress: Report | None, watch: Watch | None = None
) -> tuple[DualPath, FitResult, float]:
    """Train, calibrate, and train again on the validation people too if that is asked for."""
    training = request.config.training
    if resolve_network(request.config.network).tree_rounds:  # not only when all else is trained
        load_lightgbm()
    network, trained = _fit(request, _learned_from(request), request.folder, None, resume, progress, watch)
    temperature = UNMEASURED_TEMPERATURE + (0.0 if network.experts is None else EXPERT_WEIGHT)
    if training.early_stopping:
        temperature = _temperature(network, batches_of(request, network, "validation"))
    if training.refit:
        folder = request.folder / "refit" if request.folder else None
        network, _ = _fit(request, ("train", "validation"), folder, trained.best_epoch + 1, resume, progress)
    return network, trained, temperature


def batches_of(request: FoldRequest, network: DualPath, *parts: str) -> Batches:
    """Return what the network can use of the windows of these parts, on its device."""
    device = next(network.parameters()).device
    return Batches(request.source.store, request.part(*parts), request.layouts, device).usable()


def _fit(
    request: FoldRequest,
    parts: tuple[str, ...],
    folder: Path | None,
    stop_epoch: int | None,
    resume: bool,
    progress: Report | None,
    watch: Watch | None = None,
) -> tuple[DualPath, FitResult]:
    """Build and train a network; it stops early on the validation subjects unless they are trained on."""
    config = request.config
    torch.manual_seed(request.seed)
    layouts = request.layouts
    network = build_network(layouts, len(request.windows.label_set), config.network).to(request.device)
    train = batches_of(request, network, *parts)
    validation = batches_of(request, network, "validation")
    trained = fit(
        network, train, config.training, config.objective, config.modulation, config.augment,
        branch_dropout=resolve_network(config.network).branch_dropout,
        seed=request.seed,
        validate=None if "validation" in parts else (lambda net: _validate(net, validation, watch)),
        stop_epoch=stop_epoch, folder=folder, resume=resume, progress=progress,
    )  # fmt: skip
    add_experts(network, config.network, train, config.augment, request.seed, progress)
    return network, trained


def _learned_from(request: FoldRequest) -> tuple[str, ...]:
    """Return the parts whose people are trained on at first."""
    return ("train",) if request.config.training.early_stopping else ("train", "validation")


def _validate(network: DualPath, batches: Batches, watch: Watch | None) -> dict[str, Any]:
    """Figures of the validation subjects, by which training is stopped: never those of test subjects."""
    windows, inferred = batches.windows, infer(network, batches)
    probability, heads = inferred.probability(), softmax(inferred.branch)
    by_branch = score_branches(windows.label, heads, inferred.present, windows.subject, network.branches)
    figures = {
        "macro_f1": subject_macro_f1(windows.label, probability, windows.subject),
        "accuracy": float((probability.argmax(1) == windows.label).mean()),
        "loss": float(-np.log(probability[np.arange(len(probability)), windows.label] + 1e-12).mean()),
        "branches": {name: head["macro_f1"] for name, head in by_branch.items()},
        "branch_loss": head_losses(windows.label, heads, inferred.present, network.branches),
    }
    if watch is not None:
        watch(figures)
    return figures


def _temperature(network: DualPath, validation: Batches) -> float:
    return float(fit_temperature(infer(network, validation).joint, validation.windows.label))


def _seen_sessions(split: Split) -> dict[str, list[list[str]]]:
    """Return the sessions that training and validation look at, where the split is by session."""
    return {part: pairs for part, pairs in split.facts().get("sessions", {}).items() if part != "test"}
