"""Cross-entropy under a presence mask: against a slow loop, absent branches, NaN, gradients."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from dcdp.objectives import branch_loss, joint_loss

B, M, K = 6, 3, 4


def batch(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(B, M, K, generator=generator, dtype=torch.float64)
    label = torch.randint(K, (B,), generator=generator)
    present = torch.rand(B, M, generator=generator) > 0.3
    present[0] = True
    return logits, label, present


def slow_row(logits: Tensor, label: int, smoothing: float, weights: list[float]) -> float:
    log_probability = (logits - logits.exp().sum().log()).tolist()
    target = [smoothing / K + (1 - smoothing) * (k == label) for k in range(K)]
    return -sum(t * w * p for t, w, p in zip(target, weights, log_probability, strict=True))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weights", [None, [0.5, 1.0, 2.0, 3.0]])
def test_branch_loss_equals_a_slow_loop(smoothing, weights):
    logits, label, present = batch()
    each = weights or [1.0] * K
    means = []
    for m in range(M):
        rows = [b for b in range(B) if present[b, m]]
        total = sum(slow_row(logits[b, m], int(label[b]), smoothing, each) for b in rows)
        means.append(total / sum(each[int(label[b])] for b in rows))
    given = None if weights is None else torch.tensor(weights, dtype=torch.float64)
    assert branch_loss(logits, label, present, smoothing, given).item() == pytest.approx(sum(means) / M, rel=1e-12)


def test_joint_loss_equals_torch_where_every_window_has_a_branch():
    logits, label, present = batch()
    present[:, 0] = True
    weights = torch.tensor([0.5, 1.0, 2.0, 3.0], dtype=torch.float64)
    expected = torch.nn.functional.cross_entropy(logits[:, 0], label, weights, label_smoothing=0.1)
    torch.testing.assert_close(joint_loss(logits[:, 0], label, present, 0.1, weights), expected)


def test_windows_without_any_branch_do_not_count():
    logits, label, present = batch()
    present[:, 0] = True
    present[3] = False
    logits[3] = math.nan
    keep = torch.arange(B) != 3
    expected = joint_loss(logits[keep, 0], label[keep], present[keep])
    torch.testing.assert_close(joint_loss(logits[:, 0], label, present), expected)


def test_absent_branch_gives_zero_and_leaves_the_others_alone():
    logits, label, present = batch()
    alone = branch_loss(logits[:, :1], label, present[:, :1])
    present[:, 1:] = False
    torch.testing.assert_close(branch_loss(logits, label, present), alone / M)


@pytest.mark.parametrize("junk", [math.nan, math.inf, 1e38])
def test_junk_of_an_absent_branch_reaches_neither_value_nor_gradient(junk):
    logits, label, present = batch()
    clean = branch_loss(logits, label, present, 0.1)
    dirty = logits.masked_fill(~present[..., None], junk).requires_grad_()
    loss = branch_loss(dirty, label, present, 0.1)
    loss.backward()
    assert torch.equal(loss.detach(), clean)
    assert dirty.grad is not None
    assert dirty.grad.isfinite().all()
    assert (dirty.grad[~present] == 0).all()
    assert (dirty.grad[present].abs().sum(-1) > 0).all()


def test_nothing_present_gives_zero_with_a_gradient_of_zeros():
    logits, label, present = batch()
    logits.requires_grad_()
    loss = branch_loss(logits, label, present & False) + joint_loss(logits[:, 0], label, present & False)
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert torch.equal(logits.grad, torch.zeros_like(logits))


def test_branch_loss_gradient_is_right():
    logits, label, present = batch()
    assert torch.autograd.gradcheck(lambda x: branch_loss(x, label, present, 0.1), logits.requires_grad_())
