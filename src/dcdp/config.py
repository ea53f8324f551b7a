"""All settings of a run in one frozen record, and the defaults of each data set."""

from __future__ import annotations

from dataclasses import dataclass, field

from dcdp.augmentation import AugmentConfig
from dcdp.balance import ModulationConfig
from dcdp.data.synthetic import BodyConfig
from dcdp.errors import ConfigError
from dcdp.models.network import NetworkConfig
from dcdp.objectives import ObjectiveConfig
from dcdp.signals.windows import WindowConfig
from dcdp.training import TrainingConfig

__all__ = ["AUGMENTATION", "RunConfig", "default_config"]

_NEED_BRANCH_LOSS = ("mmpareto", "g_blending", "dgl")


AUGMENTATION = AugmentConfig(rotation_deg=10.0, vigour=0.3, placement_dropout=0.3)
"""What helped on validation people (docs/findings.md): other mountings, other vigour, fewer places."""


@dataclass(frozen=True, slots=True)
class RunConfig:
    """The sections of a configuration file, each declared beside the code that reads it.

    ``body`` is read where the data are the synthetic body, and nowhere else.
    """

    windows: WindowConfig = field(default_factory=WindowConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    modulation: ModulationConfig = field(default_factory=ModulationConfig)
    augment: AugmentConfig = AUGMENTATION
    training: TrainingConfig = field(default_factory=TrainingConfig)
    body: BodyConfig = field(default_factory=BodyConfig)

    def __post_init__(self) -> None:
        rule = self.modulation.rule
        if rule in _NEED_BRANCH_LOSS and not self.objective.branch:
            raise ConfigError(f"modulation.rule='{rule}' needs objective.branch above 0", 0, "Set objective.branch=1.")
        if rule == "g_blending" and (self.training.refit or not self.training.early_stopping):
            raise ConfigError("modulation.rule='g_blending' needs validation subjects",
                              "training that leaves none (training.refit or no early_stopping)",
                              "Set training.refit=false and training.early_stopping=true.")
        if rule == "mmpareto" and self.training.compile:
            raise ConfigError("modulation.rule='mmpareto' takes two backward passes", "training.compile=true",
                              "Set training.compile=false: a compiled network allows one.")


def default_config(name: str) -> RunConfig:  # noqa: ARG001 - one default for all sets, so far
    """Return the default configuration of a data set.

    The same for all: a default that had to be tuned set by set would promise little for the next one.
    """
    return RunConfig()
