"""Fit a deep peer through the one loop, by the recipe of its paper or by ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from dcdp.augmentation import AugmentConfig
from dcdp.balance import ModulationConfig
from dcdp.batches import Batches
from dcdp.data.store import Store
from dcdp.evaluation import UNMEASURED_TEMPERATURE, fit_temperature, subject_macro_f1
from dcdp.evaluation.acting import HIDDEN_RECIPE
from dcdp.experiments.peer_task import (
    OUR_RECIPES,
    FittedPeer,
    PeerTask,
    plain_name,
    recipe_of,
    together,
)
from dcdp.inference import Inferred, infer
from dcdp.models.dual_path import DualPath
from dcdp.models.network import resolve_network
from dcdp.models.peers.registry import Recipe, build_peer, get_peer
from dcdp.objectives import ObjectiveConfig
from dcdp.records import Windows
from dcdp.training import FitResult, TrainingConfig, fit

__all__ = ["fit_deep"]

_AT_A_TIME = 64
"""Windows: their many maps of every channel fill a CPU's caches sooner than what ours makes of them."""

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]


def fit_deep(task: PeerTask) -> FittedPeer:
    """Train a network through the one loop: one head, no contrast, no modulation."""
    stops = task.config.training.early_stopping and task.validation is not None
    people = (task.train,) if stops or task.validation is None else (task.train, task.validation)
    network, trained = _trained(task, people, task.validation if stops else None, None, "")
    temperature = UNMEASURED_TEMPERATURE if recipe_of(task.name) in OUR_RECIPES else 1.0
    if stops and task.validation is not None:
        held_out = _batches(task, task.validation)
        temperature = fit_temperature(_infer(network, held_out).joint, held_out.windows.label)
        if task.config.training.refit:
            network, _ = _trained(task, (task.train, task.validation), None, trained.best_epoch + 1, "refit")

    def predict(store: Store, windows: Windows, used: Mask) -> Array:
        batches = Batches(store, windows, task.layouts, torch.device(task.device))
        batches.present &= used
        return _infer(network, batches).probability(temperature)

    facts: dict[str, Any] = {"epochs": trained.epochs, "best_epoch": trained.best_epoch, "steps": trained.steps}
    facts |= {"validation": trained.validation, "train_windows_per_s": trained.windows_per_s or None}
    n_bytes = sum(tensor.nbytes for tensor in network.state_dict().values())
    return FittedPeer(predict, sum(p.numel() for p in network.parameters()), n_bytes, facts)


def _trained(
    task: PeerTask, parts: Sequence[Windows], validation: Windows | None, stop_epoch: int | None, place: str
) -> tuple[DualPath, FitResult]:
    torch.manual_seed(task.seed)
    plain = build_peer(plain_name(task.name), task.layouts, len(task.train.label_set)).to(task.device)
    network = cast("DualPath", plain)  # of a network the loop asks for encoders and a forward pass
    validate = None
    if validation is not None:
        held_out = _batches(task, validation)
        validate = lambda net: _validate(net, held_out)  # noqa: E731
    trained = fit(
        network, _batches(task, together(parts)), *_method(task), branch_dropout=_branch_dropout(task), seed=task.seed,
        validate=validate, stop_epoch=stop_epoch, folder=task.folder / place if task.folder else None,
        resume=task.resume, progress=task.progress,
    )  # fmt: skip
    return network, trained


def _method(task: PeerTask) -> tuple[TrainingConfig, ObjectiveConfig, ModulationConfig, AugmentConfig]:
    """Return the settings of `fit`: our budget, and the recipe of the peer's paper or our own."""
    config, plain = task.config, ModulationConfig(alpha=0.0, momentum=0.0)
    if recipe_of(task.name) in OUR_RECIPES:
        objective = replace(config.objective, joint=1.0, branch=0.0, contrast=0.0)
        return config.training, objective, plain, config.augment
    recipe = get_peer(task.name).recipe or Recipe()
    training = replace(
        config.training, optimizer=recipe.optimizer, learning_rate=recipe.learning_rate,
        weight_decay=recipe.weight_decay, warmup=recipe.warmup, clip_norm=recipe.clip_norm, average=0.0,
    )  # fmt: skip
    objective = replace(config.objective, joint=1.0, branch=0.0, contrast=0.0, label_smoothing=0.0)
    return training, objective, plain, AugmentConfig(rotation_deg=0.0)


def _branch_dropout(task: PeerTask) -> float:
    """Return how often a whole branch is hidden: it costs a peer with all sensors, so that only one recipe has it."""
    return resolve_network(task.config.network).branch_dropout if recipe_of(task.name) == HIDDEN_RECIPE else 0.0


def _validate(network: DualPath, batches: Batches) -> dict[str, Any]:
    probability, windows = _infer(network, batches).probability(), batches.windows
    return {
        "macro_f1": subject_macro_f1(windows.label, probability, windows.subject),
        "accuracy": float((probability.argmax(1) == windows.label).mean()),
    }


def _infer(network: DualPath, batches: Batches) -> Inferred:
    return infer(network, batches, batch_size=_AT_A_TIME)


def _batches(task: PeerTask, windows: Windows) -> Batches:
    return Batches(task.store, windows, task.layouts, torch.device(task.device)).usable()
