"""How long and how fast to train."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from dcdp.errors import ConfigError

__all__ = ["TrainingConfig"]


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """How long and how fast to train.

    Attributes
    ----------
    epochs, max_steps, steps_per_subject
        Most passes over the training windows, most steps, and steps for each person to learn from (0: any number).
        Whole passes are made, as many as come nearest to the fewest steps of the three and at least one: 315 steps of
        206 a pass are two passes, 412 steps. The learning rate's schedule spans them.
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
        if not 0 < self.learning_rate < math.inf:
            raise ConfigError("training.learning_rate must be positive and finite", self.learning_rate, "Try 0.002.")
