"""fit(), the one loop: forward, objective, backward, modulate, clip, step; validated by subject, resumable."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from dcdp.augmentation import AugmentConfig, augment
from dcdp.balance import ModulationConfig
from dcdp.batches import Batch, Batches
from dcdp.gradients import backward
from dcdp.history import History
from dcdp.interruption import Interruption
from dcdp.models.dual_path import DualPath, Outputs
from dcdp.objectives import ObjectiveConfig
from dcdp.training.config import TrainingConfig
from dcdp.training.state import Score, TrainingState

__all__ = ["FitResult", "fit"]


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
    kept = TrainingState(network, train, config, modulation, seed, folder)
    state = kept.begin(resume, run)
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
                options = {"contrast": objective_config.contrast > 0, **kept.rule.forward_options()}
                forward = partial(_forward, called, config, options)
                outputs, parts = backward(forward, batch, objective_config, done, kept.rule, config.accumulate)
                kept.rule.observe(outputs, batch.label, batch.present)
                kept.rule.modulate(_learning_rate(config, done))
                if config.clip_norm:
                    nn.utils.clip_grad_norm_(network.parameters(), config.clip_norm)
                kept.optimizer.step()
                kept.optimizer.zero_grad(set_to_none=True)
                kept.average_weights(state.step)
                history.step(state, parts, kept.rule.last(), _learning_rate(config, done))
                state.step += 1
                if progress:
                    progress(state.step, last_epoch * steps_per_epoch, f"epoch {state.epoch + 1}/{last_epoch}")
                if interruption.asked:
                    state.history_bytes = history.flush()
                    kept.save(state)
                    raise KeyboardInterrupt
            kept.end_epoch(state, validate)
            kept.rule.end_epoch(state.validation)
            history.epoch(state, time.perf_counter() - epoch_started, steps_per_epoch)
            state.epoch += 1
            state.stopped = validate is not None and state.epoch - 1 - state.best_epoch >= config.patience
            state.history_bytes = history.flush()
            kept.save(state)
            if interruption.asked:
                raise KeyboardInterrupt
    kept.keep_best()
    seconds = time.perf_counter() - started
    rate = (state.step - done_before) * min(config.batch_size, len(train)) / seconds if seconds else 0.0
    return FitResult(state.epoch, state.best_epoch, state.step, seconds, rate, state.best, history.step_variance())


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


def _digest(*settings: object) -> str:
    """Return a fingerprint of frozen records and numbers, by which a checkpoint knows its run."""
    return hashlib.sha256(repr(settings).encode()).hexdigest()[:16]
