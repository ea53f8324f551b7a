"""Multi-stage contrast: against a slow loop over pairs and anchors, absence, permutation, gradients, schedule."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dcdp.errors import ConfigError
from dcdp.objectives import ContrastConfig, contrast_loss, stage_loss, stage_weights

unhurried = settings(deadline=None)
KINDS = list(itertools.product(("segment", "window", "activity"), ("all", "other_activity")))


def batch(b: int = 5, m: int = 3, s: int = 2, seed: int = 0, absent: float = 0.3) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(b, m, s, 4, generator=generator, dtype=torch.float64)
    present = torch.rand(b, m, generator=generator) >= absent
    return torch.nn.functional.normalize(z, dim=-1), present, torch.randint(3, (b,), generator=generator)


def is_positive(kind: str, anchor, other, label) -> bool:
    if kind == "segment":
        return anchor == other
    return anchor[0] == other[0] if kind == "window" else label[anchor[0]] == label[other[0]]


def slow_one_way(z, present, label, m, n, tau, positives, negatives) -> float | None:
    places = list(itertools.product(range(z.shape[0]), range(z.shape[2])))
    losses = []
    for anchor in places:
        if not present[anchor[0], m]:
            continue
        pull, scale = [], 0.0
        for other in places:
            if not present[other[0], n]:
                continue
            similarity = float(z[anchor[0], m, anchor[1]] @ z[other[0], n, other[1]]) / tau
            positive = is_positive(positives, anchor, other, label)
            same_activity_elsewhere = anchor[0] != other[0] and label[anchor[0]] == label[other[0]]
            if positive:
                pull.append(similarity)
            if positive or negatives == "all" or not same_activity_elsewhere:
                scale += math.exp(similarity)
        if pull:
            losses.append(sum(math.log(scale) - p for p in pull) / len(pull))
    return sum(losses) / len(losses) if losses else None


def slow_stage(z, present, label, tau, positives, negatives) -> float:
    pairs = []
    for m, n in itertools.combinations(range(z.shape[1]), 2):
        there = slow_one_way(z, present, label, m, n, tau, positives, negatives)
        back = slow_one_way(z, present, label, n, m, tau, positives, negatives)
        if there is not None and back is not None:
            pairs.append((there + back) / 2)
    return sum(pairs) / len(pairs) if pairs else 0.0


@pytest.mark.parametrize(("positives", "negatives"), KINDS)
@pytest.mark.parametrize("n_branches", [2, 3, 4, 5])
@pytest.mark.parametrize("absent", [0.0, 0.3, 0.7])
def test_stage_loss_equals_a_slow_loop(positives, negatives, n_branches, absent):
    z, present, label = batch(m=n_branches, seed=n_branches, absent=absent)
    expected = slow_stage(z, present, label.tolist(), 0.2, positives, negatives)
    got = stage_loss(z, present, label, 0.2, positives, negatives).item()
    assert got == pytest.approx(expected, rel=1e-10, abs=1e-12)


def test_pair_that_never_meets_is_left_out_of_the_mean():
    z, present, label = batch(absent=0.0)
    present[:, 2] = False
    torch.testing.assert_close(stage_loss(z, present, label), stage_loss(z[:, :2], present[:, :2], label))


@pytest.mark.parametrize(("positives", "negatives"), KINDS)
def test_order_of_branches_does_not_matter(positives, negatives):
    z, present, label = batch(m=4)
    order = torch.tensor([2, 0, 3, 1])
    before = stage_loss(z, present, label, 0.1, positives, negatives)
    torch.testing.assert_close(stage_loss(z[:, order], present[:, order], label, 0.1, positives, negatives), before)


@pytest.mark.parametrize(("positives", "negatives"), KINDS)
def test_gradient_is_right(positives, negatives):
    z, present, label = batch(b=4)
    assert torch.autograd.gradcheck(
        lambda x: stage_loss(x, present, label, 0.3, positives, negatives), z.requires_grad_()
    )


@pytest.mark.parametrize("positives", ["segment", "window", "activity"])
def test_gradient_pulls_positives_together_in_every_branch(positives):
    z, present, label = batch(absent=0.0)
    z.requires_grad_()
    before = stage_loss(z, present, label, 0.5, positives)
    (gradient,) = torch.autograd.grad(before, z)
    assert (gradient.abs().sum(-1) > 0).all()
    moved = torch.nn.functional.normalize(z - 0.1 * gradient, dim=-1)
    assert stage_loss(moved, present, label, 0.5, positives) < before


@pytest.mark.parametrize(("positives", "negatives"), KINDS)
def test_nan_of_an_absent_branch_reaches_neither_value_nor_gradient(positives, negatives):
    z, present, label = batch()
    clean = stage_loss(z, present, label, 0.1, positives, negatives)
    dirty = z.masked_fill(~present[..., None, None], math.nan).requires_grad_()
    loss = stage_loss(dirty, present, label, 0.1, positives, negatives)
    loss.backward()
    assert torch.equal(loss.detach(), clean)
    assert dirty.grad is not None
    assert (dirty.grad[~present] == 0).all()
    assert dirty.grad.isfinite().all()


def lonely() -> dict[str, tuple[Tensor, Tensor, Tensor]]:
    z, present, label = batch(absent=0.0)
    only_one_each = torch.nn.functional.one_hot(torch.arange(5) % 3, 3).bool()
    return {
        "batch of one": (z[:1, :, :1], present[:1], label[:1]),
        "nothing present": (z, present & False, label),
        "one branch only": (z[:, :1], present[:, :1], label),
        "one branch present": (z, present & torch.tensor([True, False, False]), label),
        "no two branches share a window or an activity": (z, only_one_each, torch.arange(5)),
    }


@pytest.mark.parametrize("case", lonely())
@pytest.mark.parametrize(("positives", "negatives"), KINDS)
def test_batch_without_a_valid_pair_gives_zero_with_a_gradient_of_zeros(case, positives, negatives):
    z, present, label = lonely()[case]
    z = z.clone().requires_grad_()
    loss = stage_loss(z, present, label, 0.1, positives, negatives)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-12)
    assert z.grad is not None
    torch.testing.assert_close(z.grad, torch.zeros_like(z), atol=1e-12, rtol=0)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_lowest_temperature_stays_finite_in_float32(sign):
    row = torch.nn.functional.normalize(torch.ones(1, 1, 1, 8), dim=-1)
    z = (row * torch.tensor([1.0, sign]).view(1, 2, 1, 1)).repeat(512, 1, 1, 1).requires_grad_()
    loss = stage_loss(z, torch.ones(512, 2, dtype=torch.bool), torch.arange(512), 0.02)
    loss.backward()
    assert loss.item() == pytest.approx(math.log(512), rel=1e-4)
    assert z.grad is not None
    assert z.grad.isfinite().all()


def test_half_precision_embeddings_are_contrasted_in_float32():
    z, present, label = batch(b=16)
    loss = stage_loss(z.bfloat16(), present, label)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(stage_loss(z, present, label).item(), rel=0.02)


@unhurried
@given(progress=st.floats(0, 1), n_stages=st.integers(1, 5), focus=st.floats(0, 1))
def test_weights_sum_to_one_at_every_moment(progress, n_stages, focus):
    config = ContrastConfig(("window",) * n_stages, ("all",) * n_stages, (0.1,) * n_stages, (1.0,) * n_stages,
                            focus=focus)
    weights = stage_weights(config, progress)
    assert sum(weights) == pytest.approx(1)
    assert min(weights) >= 0


def test_weight_moves_from_local_to_semantic():
    early, late = (stage_weights(ContrastConfig(focus=1.0), progress) for progress in (0.0, 1.0))
    assert early == (1, 0, 0)
    assert late == (0, 0, 1)
    constant = ContrastConfig(schedule="constant", focus=1.0)
    assert stage_weights(constant, 0.0) == stage_weights(constant, 1.0) == pytest.approx((1 / 3,) * 3)


def test_sum_over_stages_uses_each_stage_its_own_settings():
    _, present, label = batch()
    stages = [batch(s=s, seed=s)[0] for s in (4, 1, 1)]
    config = ContrastConfig(negatives=("other_activity", "all", "all"), temperatures=(0.1, 0.2, 0.3),
                            weights=(1.0, 2.0, 3.0))
    total, losses = contrast_loss(stages, present, label, config, 0.25)
    expected = [
        slow_stage(z, present, label.tolist(), *settings)
        for z, settings in zip(stages, [(0.1, "segment", "other_activity"), (0.2, "window", "all"),
                                        (0.3, "activity", "all")], strict=True)
    ]
    assert [loss.item() for loss in losses] == pytest.approx(expected)
    weighted = sum(w * loss for w, loss in zip(stage_weights(config, 0.25), expected, strict=True))
    assert total.item() == pytest.approx(weighted)


def test_stage_of_weight_zero_is_not_computed_but_has_a_gradient():
    z, present, label = batch()
    off = torch.full_like(z, math.nan).requires_grad_()
    config = ContrastConfig(weights=(0.0, 1.0, 1.0))
    total, losses = contrast_loss([off, z, z], present, label, config, 0.5)
    total.backward()
    assert losses[0].item() == 0
    assert total.isfinite()
    assert off.grad is not None
    assert (off.grad == 0).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"positives": ("segment",)}, "one entry per stage in positives"),
        ({"positives": ("segment", "windows", "activity")}, "Did you mean 'window'"),
        ({"negatives": ("all", "all", "other")}, "negatives must be one of"),
        ({"schedule": "linear"}, "schedule must be one of"),
        ({"temperatures": (0.1, 0.0, 0.1)}, "temperatures must be at least"),
        ({"weights": (1.0, -1.0, 1.0)}, "stage weights must be finite"),
        ({"focus": 1.5}, "focus must lie in"),
    ],
)
def test_settings_that_make_no_sense_are_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        ContrastConfig(**change)


def test_wrong_number_of_stages_and_wrong_progress_are_refused():
    z, present, label = batch()
    with pytest.raises(ConfigError, match="3 entries for 1 stages"):
        contrast_loss([z], present, label, ContrastConfig(), 0.0)
    with pytest.raises(ConfigError, match="progress must lie in"):
        stage_weights(ContrastConfig(), 1.1)
