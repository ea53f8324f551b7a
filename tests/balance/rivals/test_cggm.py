"""CGGM, mended: shares by hand, bounded whatever the accuracies do; the direction term turns the joint head alone."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dcdp.balance.rivals import CggmConfig
from dcdp.balance.rivals.cggm import PRIOR, cggm_shares, direction_loss
from dcdp.errors import ConfigError

EVERY = torch.ones(5, dtype=torch.bool)


def test_shares_by_hand():
    found = cggm_shares(torch.tensor([0.049, 0.019, 0.029]), EVERY[:3])  # with the prior .05, .02, .03
    torch.testing.assert_close(found, torch.tensor([0.5, 0.8, 0.7]))


def test_nobody_improving_is_everybody_alike():
    torch.testing.assert_close(cggm_shares(torch.tensor([0.0, -0.3, -0.1]), EVERY[:3]), torch.full((3,), 2 / 3))


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=5), st.lists(st.booleans(), min_size=5, max_size=5))
def test_shares_are_bounded(improvement, seen):
    mask = torch.tensor(seen[: len(improvement)])
    share = cggm_shares(torch.tensor(improvement), mask)
    assert ((share >= 0) & (share <= 1)).all()
    assert (share[~mask] == 0).all()
    if mask.sum() > 1:
        assert share.sum().item() == pytest.approx(mask.sum().item() - 1, rel=1e-4)


def logits(*probability):
    return torch.tensor(probability, dtype=torch.float64).log()


def test_direction_by_hand():
    joint, label, present = logits([0.2, 0.8]), torch.tensor([0]), torch.ones(1, 2, dtype=torch.bool)
    branch = torch.stack([logits([0.5, 0.5]), logits([0.9, 0.1])], 1)
    share = torch.tensor([0.5, 1.0])
    assert direction_loss(joint, branch, label, present, share).item() == pytest.approx(0.0, abs=1e-6)  # all alike
    three = logits([0.2, 0.8, 0.0001]), logits([0.5, 0.0001, 0.5])[:, None]
    found = direction_loss(*three, torch.tensor([0]), torch.ones(1, 1, dtype=torch.bool), torch.ones(1)).item()
    assert found == pytest.approx(0.5, abs=1e-3)  # (-1, 1, 0) and (-1, 0, 1)
    twice = three[1].expand(-1, 2, -1), torch.tensor([0]), torch.ones(1, 2, dtype=torch.bool)
    found = direction_loss(three[0], *twice, torch.tensor([1.0, 0.5])).item()
    assert found == pytest.approx((1.0 + 0.5) * 0.5 / 2, abs=1e-3)  # the mean over branches


def test_the_accuracy_is_smoothed_over_steps(kit):
    net, present = kit.make_network(2), torch.ones(10, 2, dtype=torch.bool)
    rule = kit.rule_of(net, "cggm", kit.make_optimizer(net, "sgd"), cggm=CggmConfig(smoothing=0.5, direction=0.0))
    accuracy = {"a": [], "b": []}
    for right in ((2, 5), (6, 6), (6, 8)):
        step(kit, rule, right, present)
        for n, past in zip(right, accuracy.values(), strict=True):
            past.append(n / 10)
    means = {name: [moving_mean(past[:k], 0.5) for k in (2, 3)] for name, past in accuracy.items()}
    gain = {name: now - before + PRIOR for name, (before, now) in means.items()}
    found = rule.last()["coefficient"]
    assert found == pytest.approx({"a": 2 * gain["b"] / sum(gain.values()), "b": 2 * gain["a"] / sum(gain.values())})


def test_direction_moves_the_joint_head_and_not_the_branch_heads():
    generator = torch.Generator().manual_seed(0)
    joint = torch.randn(6, 4, generator=generator, requires_grad=True)
    branch = torch.randn(6, 3, 4, generator=generator, requires_grad=True)
    present = torch.ones(6, 3, dtype=torch.bool)
    present[:, 2] = False
    label = torch.randint(4, (6,), generator=generator)
    direction_loss(joint, branch, label, present, torch.ones(3)).backward()
    assert (joint.grad != 0).any()
    assert branch.grad is None
    with torch.no_grad():
        before = direction_loss(joint, branch, label, present, torch.ones(3))
        assert direction_loss(joint - joint.grad, branch, label, present, torch.ones(3)) < before


def moving_mean(values, smoothing):
    """Mean of the values, each so much lighter the older it is."""
    weights = [smoothing**age for age in reversed(range(len(values)))]
    return sum(w * x for w, x in zip(weights, values, strict=True)) / sum(weights)


def step(kit, rule, right, present):
    """Let the rule see ten windows of which each branch head gets so many right."""
    outputs = kit.make_network(2)(kit.make_batch(2, n_windows=10).inputs, present)
    branch = torch.zeros(10, 2, kit.K, dtype=torch.float64)
    branch[..., 1] = 1.0
    for m, n in enumerate(right):
        branch[:n, m, 0] = 2.0
    rule.observe(type(outputs)(outputs.joint, branch, (), outputs.embedding, outputs.encoded),
                 torch.zeros(10, dtype=torch.int64), present)  # fmt: skip
    rule.modulate()


def test_the_branch_that_improves_is_slowed(kit):
    net, present = kit.make_network(2), torch.ones(10, 2, dtype=torch.bool)
    config = CggmConfig(rho=1.2, smoothing=0.0, direction=0.0)
    rule = kit.rule_of(net, "cggm", kit.make_optimizer(net, "sgd"), cggm=config)
    for right in ((2, 5), (6, 6), (1, 1)):
        step(kit, rule, right, present)
        found = rule.last()["coefficient"]
        if right == (6, 6):  # improved by .4 and .1
            gain = (0.4 + PRIOR, 0.1 + PRIOR)
            assert found == pytest.approx({"a": 2.4 * gain[1] / sum(gain), "b": 2.4 * gain[0] / sum(gain)}, rel=1e-4)
        else:  # nothing to compare with; both worse
            assert found == pytest.approx({"a": 1.2, "b": 1.2})


@pytest.mark.parametrize("direction", [0.0, 0.3])
def test_the_direction_term_is_added_with_its_weight_and_the_shares_of_the_last_step(kit, direction):
    net, present = kit.make_network(2), torch.ones(10, 2, dtype=torch.bool)
    config = CggmConfig(smoothing=0.0, direction=direction)
    rule = kit.rule_of(net, "cggm", kit.make_optimizer(net, "sgd"), cggm=config)
    for right in ((2, 5), (6, 6)):  # then a has improved by .4 and b by .1
        step(kit, rule, right, present)
    batch = kit.make_batch(2, n_windows=10)
    outputs = net(batch.inputs, present)
    terms = {"joint": 1.0, "branch": [2.0, 4.0], "contrast": 0.5}
    terms = {name: torch.tensor(value, dtype=torch.float64) for name, value in terms.items()}
    (total,) = rule.losses(terms, outputs, batch.label, present)
    gain = (0.4 + PRIOR, 0.1 + PRIOR)
    share = torch.tensor([gain[1], gain[0]]) / sum(gain)
    term = direction_loss(outputs.joint, outputs.branch, batch.label, present, share).item()
    even = direction_loss(outputs.joint, outputs.branch, batch.label, present, torch.full((2,), 0.5)).item()
    assert term > 0
    assert abs(term / even - 1) > 0.01  # so that other shares would be found out
    assert total.item() - 4.5 == pytest.approx(direction * term, rel=1e-4)


def test_a_branch_that_a_batch_lacks_keeps_its_share(kit):
    net, present = kit.make_network(2), torch.ones(10, 2, dtype=torch.bool)
    rule = kit.rule_of(net, "cggm", kit.make_optimizer(net, "sgd"), cggm=CggmConfig(smoothing=0.0))
    for right in ((2, 5), (6, 6)):
        step(kit, rule, right, present)
    before = rule.state_dict()["share"]
    assert (before > 0).all()
    lacks = present.clone()
    lacks[:, 1] = False
    step(kit, rule, (9, 0), lacks)
    assert torch.equal(rule.state_dict()["share"], before)
    assert rule.last()["coefficient"] == {"a": 1, "b": 1}
    three = kit.make_network(3)
    rule = kit.rule_of(three, "cggm", kit.make_optimizer(three, "sgd"))
    kit.backward(three, rule, kit.make_batch(3, seed=1))
    rule.modulate()
    before = rule.state_dict()["share"]
    batch = kit.make_batch(3, seed=2)
    batch.present[:, 0] = False
    kit.backward(three, rule, batch)
    rule.modulate()
    share = rule.state_dict()["share"]
    assert share[0] == before[0] > 0
    assert share[1:].sum().item() == pytest.approx(1.0, rel=1e-4)


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(ConfigError, match=r"modulation\.cggm\.smoothing must lie in \[0, 1\)"):
        CggmConfig(smoothing=1.0)
