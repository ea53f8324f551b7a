"""What outlives a step of training, and how it is written down and taken up again."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dcdp.balance import ModulationConfig, make_rule, parameter_groups
from dcdp.batches import Batches
from dcdp.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from dcdp.errors import BundleError
from dcdp.models.branch import BranchEncoder
from dcdp.models.dual_path import DualPath
from dcdp.models.normalise import ChannelNormaliser
from dcdp.training.config import TrainingConfig

__all__ = ["Score", "TrainingState"]

Score = Callable[[DualPath], dict[str, Any]]
"""Scores a network on validation subjects: a dict with ``macro_f1``."""


class TrainingState:
    """What outlives a step: optimiser, balancing rule, mean weights, best weights."""

    def __init__(
        self,
        network: DualPath,
        train: Batches,
        config: TrainingConfig,
        modulation: ModulationConfig,
        seed: int,
        folder: Path | None,
    ) -> None:
        self.network, self.train, self.config, self.seed = network, train, config, seed
        self.path = folder / "checkpoint.safetensors" if folder else None
        self.modulation = modulation
        encoders = dict(network.encoders.items())
        groups = parameter_groups(network, encoders, config.learning_rate, config.weight_decay)
        if config.optimizer == "adamw":
            self.optimizer: torch.optim.Optimizer = torch.optim.AdamW(groups, foreach=True)
        else:
            self.optimizer = torch.optim.SGD(groups, momentum=0.9, foreach=True)
        self.rule = make_rule(network, self.optimizer, modulation)
        self.mean: dict[str, Tensor] = {}
        self.best: dict[str, Tensor] = {}

    def begin(self, resume: bool, run: str) -> Checkpoint:
        """Fit the normalisers and start afresh, or go on from the checkpoint."""
        if resume and self.path is not None and self.path.is_file():
            return self._go_on(self.path, run)
        if self.path is not None:
            self.path.unlink(missing_ok=True)  # an old run's must not be found if this one stops before its first
        _fit_normalisers(self.network, self.train, self.config.normaliser_windows, self.seed)
        return Checkpoint(run=run)

    def _go_on(self, path: Path, run: str) -> Checkpoint:
        state, tensors = load_checkpoint(path)
        network = {name: (tensor.shape, tensor.dtype) for name, tensor in self.network.state_dict().items()}
        if state.run != run or network != {name: (t.shape, t.dtype) for name, t in tensors["network"].items()}:
            raise BundleError(
                "training must go on with the configuration it began with", f"the checkpoint of another one, '{path}'",
                "Give the same options again, or start a new run.",
            )  # fmt: skip
        self.network.load_state_dict(tensors["network"])
        device = self.train.device
        self.mean, self.best = ({n: t.to(device) for n, t in tensors[group].items()} for group in ("mean", "best"))
        _load_optimizer(self.optimizer, tensors["optimizer"])
        # Loading gave the optimiser new groups; a rule that held the old ones would scale nothing.
        self.rule = make_rule(self.network, self.optimizer, self.modulation)
        self.rule.load_state_dict(tensors["modulator"])
        return state

    @torch.no_grad()
    def average_weights(self, step: int) -> None:
        """Move the mean weights towards the present ones; the first steps count more (no bias to the start)."""
        if not self.config.average:
            return
        live = self.network.state_dict()
        if not self.mean:
            self.mean = {name: tensor.clone() for name, tensor in live.items()}
            return
        decay = min(self.config.average, (1 + step) / (10 + step))
        names = [name for name, tensor in live.items() if tensor.is_floating_point()]
        torch._foreach_lerp_([self.mean[n] for n in names], [live[n] for n in names], 1 - decay)

    def end_epoch(self, state: Checkpoint, validate: Score | None) -> None:
        """Validate the mean weights; remember them if they are the best so far."""
        live = {name: tensor.clone() for name, tensor in self.network.state_dict().items()}
        if self.mean:
            self.network.load_state_dict(self.mean)
        state.validation = validate(self.network) if validate else {}
        score = state.validation.get("macro_f1", math.inf)
        state.is_best = validate is None or score > state.best.get("macro_f1", -math.inf)
        if state.is_best:
            state.best_epoch, state.best = state.epoch, state.validation
            self.best = {name: tensor.clone() for name, tensor in self.network.state_dict().items()}
        self.network.load_state_dict(live)

    def keep_best(self) -> None:
        """Put the best weights into the network."""
        if self.best:
            self.network.load_state_dict(self.best)
        self.network.eval()

    def save(self, state: Checkpoint) -> None:
        """Write a checkpoint, atomically."""
        if self.path is not None:
            tensors = {
                "network": self.network.state_dict(),
                "mean": self.mean,
                "best": self.best,
                "modulator": self.rule.state_dict(),
                "optimizer": _optimizer_tensors(self.optimizer),
            }
            save_checkpoint(self.path, state, tensors)


def _fit_normalisers(network: DualPath, train: Batches, n_windows: int, seed: int) -> None:
    order = np.random.default_rng((seed, 2**32)).permutation(len(train))
    batch = train.gather(np.sort(order[:n_windows]))
    for m, (name, encoder) in enumerate(network.encoders.items()):
        here = batch.inputs[name][batch.present[:, m]]
        if len(here):
            assert isinstance(encoder, BranchEncoder | ChannelNormaliser)  # the latter of a peer
            encoder.fit(here)


def _optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    state = optimizer.state_dict()["state"]
    return {f"{i}.{name}": torch.as_tensor(value) for i, own in state.items() for name, value in own.items()
            if value is not None}  # fmt: skip


def _load_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        i, name = key.split(".", 1)
        state.setdefault(int(i), {})[name] = value
    optimizer.load_state_dict(optimizer.state_dict() | {"state": state})
