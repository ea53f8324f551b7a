"""The parts of the method, and the variants that have or lack them: what an ablation compares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dcdp.config import RunConfig
from dcdp.models.network import resolve_network

__all__ = ["COMPONENTS", "Component", "list_variants"]

Group = Literal["added", "left out"]


@dataclass(frozen=True, slots=True)
class Component:
    """A part of the method, judged by the difference between two variants.

    Attributes
    ----------
    name, sentence
        What it is, and what it is there for.
    group
        ``added``: put on top of less; ``left out``: taken from the full method.
    with_part, without_part
        Variants that differ in it alone.
    """

    name: str
    sentence: str
    group: Group
    with_part: str
    without_part: str


COMPONENTS = (
    Component("branch losses", "Every branch has a head and a loss of its own.",
              "added", "branch_losses", "plain"),
    Component("contrast, local stage", "The same moment, seen by two branches, looks alike.",
              "added", "local_stage", "branch_losses"),
    Component("contrast, middle stages", "The same window, seen by two branches, looks alike.",
              "added", "middle_stage", "branch_losses"),
    Component("contrast, semantic stage", "Windows of one activity look alike across branches.",
              "added", "semantic_stage", "branch_losses"),
    Component("contrast, all stages", "From local to semantic over training.",
              "added", "contrast", "branch_losses"),
    Component("modulation", "The branch that is ahead learns more slowly.",
              "added", "modulation", "contrast"),
    Component("momentum of gradients", "A running mean replaces each encoder's gradient.",
              "added", "momentum", "modulation"),
    Component("momentum of coefficients", "The other reading: the running mean is over the coefficients.",
              "added", "momentum_coefficient", "modulation"),
    Component("everything", "The full method against the joint loss alone.",
              "added", "dcdp", "plain"),
    Component("contrast", "Alignment between branches at every stage.",
              "left out", "dcdp", "no_contrast"),
    Component("local stage", "Contrast of moments, the other stages left.",
              "left out", "dcdp", "no_local_stage"),
    Component("middle stages", "Contrast of windows, the other stages left.",
              "left out", "dcdp", "no_middle_stage"),
    Component("semantic stage", "Contrast of activities, the other stages left.",
              "left out", "dcdp", "no_semantic_stage"),
    Component("modulation", "The brake on the branch that is ahead.",
              "left out", "dcdp", "no_modulation"),
    Component("statistics path", "Posture and amplitude as window statistics.",
              "left out", "dcdp", "no_statistics"),
    Component("waveform path", "The convolutions; judged without contrast, two of whose stages they carry.",
              "left out", "no_contrast", "no_waveform"),
    Component("order in time", "The waveform path tells the parts of a window apart.",
              "left out", "dcdp", "no_order"),
    Component("instance normalisation", "The waveform path also sees each window on its own scale.",
              "left out", "dcdp", "no_instance_norm"),
    Component("waveform dropout", "With sensors at several places waveforms are hidden in training.",
              "left out", "dcdp", "no_waveform_dropout"),
    Component("rotation", "Training windows are turned as if the sensor sat askew.",
              "left out", "dcdp", "no_rotation"),
    Component("vigour", "The movement about the posture grows or shrinks in training.",
              "left out", "dcdp", "no_vigour"),
    Component("placement dropout", "Whole placements are hidden in training.",
              "left out", "dcdp", "no_placement_dropout"),
    Component("weight averaging", "A running mean of the weights is kept.",
              "left out", "dcdp", "no_averaging"),
    Component("branch dropout", "Whole branches are hidden in training.",
              "left out", "dcdp", "no_branch_dropout"),
    Component("label smoothing", "A share of the target is spread over all classes.",
              "left out", "dcdp", "no_label_smoothing"),
    Component("trees", "Boosted trees beside every branch, fused with the network.",
              "added", "trees", "no_trees"),
)  # fmt: skip


def list_variants(config: RunConfig) -> dict[str, tuple[str, ...]]:
    """Return every variant of a configuration by name, as the assignments that make it; ``dcdp`` is the full method.

    Parameters
    ----------
    config
        The full method. What it leaves at 0 is switched on by the variants that add it, with the value named here.
    """
    objective, modulation = config.objective, config.modulation
    weights = objective.contrast_config.weights
    stages = _stages(len(weights))

    def weighted(stage: str, *, kept: bool) -> dict[str, object]:
        """Return the assignment that keeps this kind of stage alone, or all but it."""
        chosen = [weight if (k in stages[stage]) == kept else 0.0 for k, weight in enumerate(weights)]
        return {"objective.contrast_config.weights": chosen}

    plain = {"objective.branch": 0, "objective.contrast": 0, "modulation.alpha": 0, "modulation.momentum": 0}
    branch = plain | {"objective.branch": objective.branch or 1.0}
    contrast = branch | {"objective.contrast": objective.contrast or 0.1}
    modulated = contrast | {"modulation.alpha": modulation.alpha or 1.0}
    momentum = modulated | {"modulation.momentum": modulation.momentum or 0.5}
    variants: dict[str, dict[str, object]] = {
        "dcdp": {},
        "plain": {**plain},
        "branch_losses": {**branch},
        "local_stage": contrast | weighted("local", kept=True),
        "middle_stage": contrast | weighted("middle", kept=True),
        "semantic_stage": contrast | weighted("semantic", kept=True),
        "contrast": {**contrast},
        "modulation": {**modulated},
        "momentum": {**momentum, "modulation.momentum_on": "gradient"},
        "momentum_coefficient": {**momentum, "modulation.momentum_on": "coefficient"},
        "no_contrast": {"objective.contrast": 0},
        "no_local_stage": weighted("local", kept=False),
        "no_middle_stage": weighted("middle", kept=False),
        "no_semantic_stage": weighted("semantic", kept=False),
        "no_modulation": {"modulation.alpha": 0},
        "no_statistics": {"network.statistics_width": 0},
        "no_waveform": {"objective.contrast": 0, "network.widths": []},
        "no_order": {"network.pool_segments": 1},
        "no_instance_norm": {"network.instance_norm": "false"},
        "no_waveform_dropout": {"network.waveform_dropout": 0},
        "no_rotation": {"augment.rotation_deg": 0},
        "no_vigour": {"augment.vigour": 0},
        "no_placement_dropout": {"augment.placement_dropout": 0},
        "no_averaging": {"training.average": 0},
        "no_branch_dropout": {"network.branch_dropout": 0},
        "no_label_smoothing": {"objective.label_smoothing": 0},
        "trees": {"network.tree_rounds": resolve_network(config.network).tree_rounds or 100},
        "no_trees": {"network.tree_rounds": 0},
    }
    return {name: tuple(f"{key}={value}" for key, value in table.items()) for name, table in variants.items()}


def _stages(n: int) -> dict[str, set[int]]:
    """Return which of n contrast stages are local, in the middle and semantic; of one stage all is semantic."""
    return {"local": set(range(min(1, n - 1))), "middle": set(range(1, n - 1)), "semantic": {n - 1}}
