"""fit(), the one loop: forward, objective, backward, modulate, clip, step; validated by subject, resumable."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dcdp.augmentation import AugmentConfig, augment
from dcdp.balance import ModulationConfig, make_rule, parameter_groups
from dcdp.batches import Batch, Batches
from dcdp.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from dcdp.errors import BundleError, ConfigError
from dcdp.gradients import backward
from dcdp.history import History
from dcdp.interruption import Interruption
from dcdp.models.branch import BranchEncoder
from dcdp.models.dual_path import DualPath, Outputs
from dcdp.models.normalise import ChannelNormaliser
from dcdp.objectives import ObjectiveConfig

__all__ = ["FitResult", "TrainingConfig", "fit"]

Score = Callable[[DualPath], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """How long and how fast to train.

    Attributes
    ----------
    epochs, max_steps, steps_per_subject
        Most passes over the training windows, most steps, and most steps for each person to learn from (0: any number).
        The learning rate's schedule spans what comes out.
    patience
        Epochs without a better validation score before training stops.
    batch_size
        Windows in a step.
    optimizer
        ``adamw`` (modulation then acts on the update) or ``sgd`` (on the gradient).
    learning_rate, warmup, weight_decay
        Peak learning rate, share of the steps in which it rises; then it falls along a cosine.
    clip_norm
        Largest norm of the whole gradient; 0 turns clipping off.
    average
        Decay of the running mean of the weights, which is what gets validated and kept; 0 keeps the last weights.
    accumulate
        Micro-batches a batch is split into, for batches beyond memory; the result is that of the whole batch, but for
        peers with batch normalisation (TinyHAR, TinierHAR, DynamicWHAR), whose statistics are those of a micro-batch.
    precision
        ``float32`` or ``bfloat16`` (autocast).
    compile
        Compile the network with torch.compile.
    normaliser_windows
        Training windows that the normalisers are fitted on, drawn at random.
    early_stopping
        Keep the epoch that is best on the validation subjects and stop ``patience`` after it. Otherwise the validation
        subjects are trained on as well, to the end of the schedule, and nothing is validated.
    refit
        After early stopping has found the number of epochs, train again on training and validation subjects together.

    Notes
    -----
    With few people a network soon goes on to learn who moves instead of what they do: on validation people the best
    length grows with the number of people, not of windows (docs/findings.md). Hence ``steps_per_subject``.
    """

    epochs: int = 20
    max_steps: int = 1500
    steps_per_subject: int = 45
    patience: int = 8
    batch_size: int = 128
    optimizer: Literal["adamw", "sgd"] = "adamw"
    learning_rate: float = 2e-3
    warmup: float = 0.1
    weight_decay: float = 0.01
    clip_norm: float = 5.0
    average: float = 0.98
    accumulate: int = 1
    precision: Literal["float32", "bfloat16"] = "float32"
    compile: bool = False
    normaliser_windows: int = 6000
    early_stopping: bool = False
    refit: bool = False

    def __post_init__(self) -> None:
        for name in ("epochs", "max_steps", "patience", "batch_size", "accumulate", "normaliser_windows"):
            if getattr(self, name) < 1:
                raise ConfigError(f"training.{name} must be at least 1", getattr(self, name), "Give a whole number.")
        for name in ("warmup", "average"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"training.{name} must be in [0, 1)", getattr(self, name), "Give a share.")
        if self.steps_per_subject < 0:
            raise ConfigError("training.steps_per_subject must not be negative", self.steps_per_subject,
                              "0 is no limit.")
        if self.refit and not self.early_stopping:
            raise ConfigError("training.refit needs training.early_stopping, whose length it repeats",
                              "training.early_stopping=false",
                              "Set it to true, or leave refit out: without it everybody is trained on at once.")
        if not self.learning_rate > 0:
            raise ConfigError("training.learning_rate must be positive", self.learning_rate, "Try 0.002.")


@dataclass(frozen=True, slots=True)
class FitResult:
    """How training went; the network that was passed in holds the kept weights.

    ``loss_step_variance`` is what `History.step_variance` gives.
    """

    epochs: int
    best_epoch: int
    steps: int
    seconds: float
    windows_per_s: float
    validation: dict[str, Any] = field(default_factory=dict)
    loss_step_variance: float | None = None


def fit(
    network: DualPath,
    train: Batches,
    config: TrainingConfig,
    objective_config: ObjectiveConfig,
    modulation: ModulationConfig,
    augmentation: AugmentConfig,
    *,
    branch_dropout: float = 0.0,
    seed: int = 0,
    validate: Score | None = None,
    stop_epoch: int | None = None,
    folder: Path | None = None,
    resume: bool = False,
    progress: Callable[[int, int, str], None] | None = None,
) -> FitResult:
    """Train a network in place.

    Parameters
    ----------
    network
        Untrained; its normalisers are fitted here.
    train
        Training windows; every label must be known.
    config, objective_config, modulation, augmentation
        The method.
    branch_dropout
        Probability that a whole branch is hidden from a window.
    seed
        Fixes order, dropout and augmentation: each step is seeded by (seed, step), so that no state of
        a random generator has to be carried over an interruption.
    validate
        Scores the network on validation subjects after every epoch: a dict with ``macro_f1``. None trains
        to the end.
    stop_epoch
        Stop after this many epochs of the schedule.
    folder
        Where history and checkpoints go; None writes nothing.
    resume
        Go on from the checkpoint in ``folder``, if there is one.
    progress
        Called as ``progress(steps_done, steps, text)``.

    Returns
    -------
    FitResult
        The network holds the weights of the best epoch.

    Raises
    ------
    BundleError
        If the checkpoint is damaged or belongs to another configuration.
    KeyboardInterrupt
        On Ctrl-C or SIGTERM, after a checkpoint was written.
    """
    run = _digest(config, objective_config, modulation, augmentation, branch_dropout, seed, len(train))
    loop = _Loop(network, train, config, modulation, seed, folder)
    state = loop.begin(resume, run)
    steps_per_epoch = max(1, len(train) // config.batch_size)
    epochs = max(1, min(config.epochs, round(_most_steps(config, train) / steps_per_epoch)))
    total_steps = epochs * steps_per_epoch
    last_epoch = min(epochs, stop_epoch or epochs)
    called = torch.compile(network) if config.compile else network
    started, done_before = time.perf_counter(), state.step

    with Interruption() as interruption, History(folder, state.history_bytes) as history:
        while state.epoch < last_epoch and not state.stopped:
            network.train()
            epoch_started = time.perf_counter()
            done_of_epoch = state.step - state.epoch * steps_per_epoch
            for index in _order(len(train), config.batch_size, seed, state.epoch, done_of_epoch):
                _seed_step(seed, state.step)
                batch = _hide_branches(train.gather(index), branch_dropout)
                batch = augment(batch, train.layouts, augmentation, train.windows.subject[index])
                done = state.step / total_steps
                options = {"contrast": objective_config.contrast > 0, **loop.rule.forward_options()}
                forward = partial(_forward, called, config, options)
                outputs, parts = backward(forward, batch, objective_config, done, loop.rule, config.accumulate)
                loop.rule.observe(outputs, batch.label, batch.present)
                loop.rule.modulate(_learning_rate(config, done))
                if config.clip_norm:
                    nn.utils.clip_grad_norm_(network.parameters(), config.clip_norm)
                loop.optimizer.step()
                loop.optimizer.zero_grad(set_to_none=True)
                loop.average_weights(state.step)
                history.step(state, parts, loop.rule.last(), _learning_rate(config, done))
                state.step += 1
                if progress:
                    progress(state.step, last_epoch * steps_per_epoch, f"epoch {state.epoch + 1}/{last_epoch}")
                if interruption.asked:
                    state.history_bytes = history.flush()
                    loop.save(state)
                    raise KeyboardInterrupt
            loop.end_epoch(state, validate)
            loop.rule.end_epoch(state.validation)
            history.epoch(state, time.perf_counter() - epoch_started, steps_per_epoch)
            state.epoch += 1
            state.stopped = validate is not None and state.epoch - 1 - state.best_epoch >= config.patience
            state.history_bytes = history.flush()
            loop.save(state)
            if interruption.asked:
                raise KeyboardInterrupt
    loop.keep_best()
    seconds = time.perf_counter() - started
    rate = (state.step - done_before) * min(config.batch_size, len(train)) / seconds if seconds else 0.0
    return FitResult(state.epoch, state.best_epoch, state.step, seconds, rate, state.best, history.step_variance())


class _Loop:
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


def _forward(
    network: Callable[..., Outputs], config: TrainingConfig, options: Mapping[str, Any], batch: Batch
) -> Outputs:
    """Run the network in the precision asked for."""
    with torch.autocast(batch.present.device.type, torch.bfloat16, enabled=config.precision == "bfloat16"):
        return network(batch.inputs, batch.present, **options)


def _most_steps(config: TrainingConfig, train: Batches) -> int:
    if not config.steps_per_subject:
        return config.max_steps
    return min(config.max_steps, config.steps_per_subject * len(np.unique(train.windows.subject)))


def _order(n: int, size: int, seed: int, epoch: int, skip: int) -> Iterator[NDArray[np.int64]]:
    """Yield the batches of an epoch from ``skip`` on; a short last one is left out, unless it is the only one."""
    order = np.random.default_rng((seed, epoch)).permutation(n)
    for k in range(skip, max(1, n // size)):
        yield order[k * size : (k + 1) * size]


def _hide_branches(batch: Batch, probability: float) -> Batch:
    """Hide whole branches at random, but never all that a window has."""
    if probability <= 0:
        return batch
    kept = batch.present & (torch.rand(batch.present.shape, device=batch.present.device) >= probability)
    none_left = ~kept.any(1, keepdim=True)
    return Batch(batch.inputs, torch.where(none_left, batch.present, kept), batch.label)


def _learning_rate(config: TrainingConfig, done: float) -> float:
    """Learning rate after the share ``done`` of all steps: linear rise, then half a cosine."""
    if done < config.warmup:
        return config.learning_rate * max(done / config.warmup, 0.02)
    fall = (done - config.warmup) / (1 - config.warmup)
    return config.learning_rate * max(0.5 * (1 + math.cos(math.pi * fall)), 1e-3)


def _seed_step(seed: int, step: int) -> None:
    torch.manual_seed(int(np.random.SeedSequence((seed, step)).generate_state(1, np.uint64)[0] >> 1))


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


def _digest(*settings: object) -> str:
    """Return a fingerprint of frozen records and numbers, by which a checkpoint knows its run."""
    return hashlib.sha256(repr(settings).encode()).hexdigest()[:16]


