"""The sum of the terms: every weight reaches the gradient, parts add up, batches that are hard."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from dcdp.errors import ConfigError
from dcdp.objectives import ContrastConfig, ObjectiveConfig, objective, read_parts, stage_weights

B, M, K = 6, 3, 4


@dataclass
class Made:
    joint: Tensor
    branch: Tensor
    stages: list[Tensor]

    @property
    def leaves(self) -> list[Tensor]:
        return [self.joint, self.branch, *self.stages]


def made(seed: int = 0, dtype: torch.dtype = torch.float64) -> tuple[Made, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    outputs = Made(
        torch.randn(B, K, generator=generator, dtype=dtype),
        torch.randn(B, M, K, generator=generator, dtype=dtype),
        [torch.nn.functional.normalize(torch.randn(B, M, s, 5, generator=generator, dtype=dtype), dim=-1)
         for s in (3, 1, 1)],
    )
    for leaf in outputs.leaves:
        leaf.requires_grad_()
    return outputs, torch.randint(K, (B,), generator=generator), torch.ones(B, M, dtype=torch.bool)


def gradients(config: ObjectiveConfig, progress: float = 0.5) -> list[Tensor]:
    outputs, label, present = made()
    total, _ = objective(outputs, label, present, config, progress)
    return list(torch.autograd.grad(total, outputs.leaves, allow_unused=True, materialize_grads=True))


@pytest.mark.parametrize(("term", "leaves"), [("joint", [0]), ("branch", [1]), ("contrast", [2, 3, 4])])
def test_weight_of_each_term_scales_its_gradient_and_no_other(term, leaves):
    single = gradients(ObjectiveConfig(joint=1.0, branch=1.0, contrast=1.0))
    triple = gradients(ObjectiveConfig(**({"joint": 1.0, "branch": 1.0, "contrast": 1.0} | {term: 3.0})))
    for place, (one, three) in enumerate(zip(single, triple, strict=True)):
        assert one.abs().sum() > 0
        torch.testing.assert_close(three, one * (3 if place in leaves else 1))


@pytest.mark.parametrize("stage", [0, 1, 2])
def test_weight_of_each_stage_scales_its_gradient_and_no_other(stage):
    weights = tuple(3.0 if place == stage else 1.0 for place in range(3))
    plain = gradients(ObjectiveConfig())
    heavy = gradients(ObjectiveConfig(contrast_config=ContrastConfig(weights=weights)))
    for place, (one, other) in enumerate(zip(plain, heavy, strict=True)):
        torch.testing.assert_close(other, one * (3 if place == stage + 2 else 1))


def test_progress_reaches_the_gradient():
    config = ContrastConfig()
    early, late = gradients(ObjectiveConfig(), 0.0), gradients(ObjectiveConfig(), 1.0)
    for stage in range(3):
        ratio = stage_weights(config, 1.0)[stage] / stage_weights(config, 0.0)[stage]
        torch.testing.assert_close(late[stage + 2], early[stage + 2] * ratio)


def test_label_smoothing_reaches_both_heads():
    plain, smooth = gradients(ObjectiveConfig(label_smoothing=0.0)), gradients(ObjectiveConfig(label_smoothing=0.3))
    assert not torch.allclose(plain[0], smooth[0])
    assert not torch.allclose(plain[1], smooth[1])


def test_class_weights_reach_both_heads():
    outputs, label, present = made()
    weights = torch.tensor([0.1, 1.0, 2.0, 5.0], dtype=torch.float64)
    _, plain = objective(outputs, label, present, ObjectiveConfig(), 0.5)
    _, weighted = objective(outputs, label, present, ObjectiveConfig(), 0.5, weights)
    assert plain["joint"] != weighted["joint"]
    assert plain["branch"] != weighted["branch"]
    assert plain["contrast"] == weighted["contrast"]


def test_parts_add_up_to_the_total():
    outputs, label, present = made()
    config = ObjectiveConfig(joint=0.5, branch=2.0, contrast=0.25)
    total, parts = objective(outputs, label, present, config, 0.3)
    values = read_parts(parts)
    assert list(values) == ["total", "joint", "branch", "contrast", "stage_1", "stage_2", "stage_3"]
    assert not any(part.requires_grad for part in parts.values())
    assert total.item() == pytest.approx(
        0.5 * values["joint"] + 2 * values["branch"] + 0.25 * values["contrast"], rel=1e-6)
    stages = [values[f"stage_{k}"] for k in (1, 2, 3)]
    weights = stage_weights(config.contrast_config, 0.3)
    assert values["contrast"] == pytest.approx(sum(w * s for w, s in zip(weights, stages, strict=True)), rel=1e-6)


def test_contrast_of_weight_zero_asks_nothing_of_the_stages():
    outputs, label, present = made()
    bare = Made(outputs.joint, outputs.branch, [])
    total, parts = objective(bare, label, present, ObjectiveConfig(contrast=0.0), 0.5)
    torch.testing.assert_close(total.detach(), parts["joint"] + parts["branch"])
    assert parts["contrast"] == 0


def test_batch_of_one_with_nothing_present_has_a_finite_gradient():
    outputs, label, present = made()
    one = Made(outputs.joint[:1], outputs.branch[:1], [stage[:1] for stage in outputs.stages])
    total, _ = objective(one, label[:1], present[:1] & False, ObjectiveConfig(), 0.5)
    total.backward()
    assert total.item() == 0
    assert all(leaf.grad is not None and (leaf.grad == 0).all() for leaf in outputs.leaves)


def test_autocast_does_not_lower_the_precision_of_the_losses():
    outputs, label, present = made(dtype=torch.float32)
    plain, _ = objective(outputs, label, present, ObjectiveConfig(), 0.5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed, _ = objective(outputs, label, present, ObjectiveConfig(), 0.5)
    assert torch.equal(plain, mixed)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"joint": -1.0}, "objective.joint must be finite"),
        ({"branch": float("inf")}, "objective.branch must be finite"),
        ({"contrast": float("nan")}, "objective.contrast must be finite"),
        ({"label_smoothing": 1.0}, "label_smoothing must lie in"),
    ],
)
def test_settings_that_make_no_sense_are_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        ObjectiveConfig(**change)
