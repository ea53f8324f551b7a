"""Variants differ in what they say they differ in, and in nothing else."""

from __future__ import annotations

import pytest

from dcdp.config import RunConfig
from dcdp.experiments.components import COMPONENTS, Component, list_variants
from dcdp.objectives import ObjectiveConfig
from dcdp.objectives.contrast import ContrastConfig
from dcdp.settings import override, to_dict

KINDS = ("local", "middle", "semantic")

# what separates the two variants of each component
KEYS = {
    ("added", "branch losses"): {"objective.branch"},
    ("added", "contrast, all stages"): {"objective.contrast"},
    ("added", "modulation"): {"modulation.alpha"},
    ("added", "momentum of gradients"): {"modulation.momentum"},
    ("added", "momentum of coefficients"): {"modulation.momentum", "modulation.momentum_on"},
    ("added", "everything"): {"objective.branch", "objective.contrast", "modulation.alpha"},
    ("left out", "contrast"): {"objective.contrast"},
    ("left out", "local stage"): {"objective.contrast_config.weights"},
    ("left out", "middle stages"): {"objective.contrast_config.weights"},
    ("left out", "semantic stage"): {"objective.contrast_config.weights"},
    ("left out", "modulation"): {"modulation.alpha"},
    ("left out", "statistics path"): {"network.statistics_width"},
    ("left out", "waveform path"): {"network.widths"},
    ("left out", "order in time"): {"network.pool_segments"},
    ("left out", "instance normalisation"): {"network.instance_norm"},
    ("left out", "waveform dropout"): {"network.waveform_dropout"},
    ("left out", "rotation"): {"augment.rotation_deg"},
    ("left out", "vigour"): {"augment.vigour"},
    ("left out", "placement dropout"): {"augment.placement_dropout"},
    ("left out", "weight averaging"): {"training.average"},
    ("left out", "branch dropout"): {"network.branch_dropout"},
    ("left out", "label smoothing"): {"objective.label_smoothing"},
    ("added", "trees"): {"network.tree_rounds"},
} | {
    ("added", f"contrast, {stage}"): {"objective.contrast", "objective.contrast_config.weights"}
    for stage in ("local stage", "middle stages", "semantic stage")
}


def made(config: RunConfig, variant: str) -> RunConfig:
    return override(config, *list_variants(config)[variant])


def flat(tree: dict[str, object], where: str = "") -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in tree.items():
        found |= flat(value, f"{where}{key}.") if isinstance(value, dict) else {f"{where}{key}": value}
    return found


def changed(config: RunConfig, component: Component) -> set[str]:
    one, other = (flat(to_dict(made(config, name))) for name in (component.with_part, component.without_part))
    return {key for key in one.keys() | other.keys() if one.get(key) != other.get(key)}


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda one: f"{one.group}: {one.name}")
def test_two_variants_differ_in_their_part_alone(component: Component) -> None:
    assert changed(RunConfig(), component) == KEYS[component.group, component.name]


def test_everything_is_at_work_in_the_full_chain_whatever_the_default_leaves_out() -> None:
    bare = override(RunConfig(), "objective.branch=0", "objective.contrast=0", "modulation.alpha=0")
    last = made(bare, "momentum")
    assert all((last.objective.branch, last.objective.contrast, last.modulation.alpha, last.modulation.momentum))
    assert made(bare, "no_contrast") == bare  # so the verdict on it is: off


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_stages_are_told_apart_by_depth(n: int) -> None:
    stages = ContrastConfig(("window",) * n, ("all",) * n, (0.1,) * n, tuple(float(k + 1) for k in range(n)))
    config = RunConfig(objective=ObjectiveConfig(contrast_config=stages))
    kinds = {name: made(config, f"{name}_stage").objective.contrast_config.weights for name in KINDS}
    assert kinds["semantic"] == (0.0,) * (n - 1) + (float(n),)
    assert kinds["local"] == ((1.0,) + (0.0,) * (n - 1) if n > 1 else (0.0,))
    assert [sum(own) for own in zip(*kinds.values(), strict=True)] == list(stages.weights)  # each stage is of one kind
    for name in KINDS:
        left = made(config, f"no_{name}_stage").objective.contrast_config.weights
        assert [own + other for own, other in zip(kinds[name], left, strict=True)] == list(stages.weights)
