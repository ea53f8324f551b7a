"""OGM-GE: the score is the branch's part of the joint logits, the leader alone is braked, noise has its size."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dcdp.balance.rivals import OgmGeConfig
from dcdp.balance.rivals.ogm_ge import ogm_coefficients
from dcdp.errors import ConfigError


def test_two_branches_by_hand(kit):
    net = kit.make_network(2)
    opt = kit.make_optimizer(net, "sgd")
    rule = kit.rule_of(net, "ogm_ge", opt, ogm_ge=OgmGeConfig(alpha=0.5, noise=0.0))
    batch = kit.make_batch(2)
    outputs = kit.backward(net, rule, batch)
    linear = net.joint[1]
    score = []
    for m in range(2):
        logits = outputs.embedding[:, m] @ linear.weight[:, 5 * m : 5 * m + 5].T + linear.bias / 2
        score.append(logits.softmax(-1)[range(12), batch.label].sum().item())
    rule.modulate()
    rho = score[0] / score[1]
    leads = rho > 1
    expected = {"a": 1 - math.tanh(0.5 * rho) if leads else 1.0, "b": 1.0 if leads else 1 - math.tanh(0.5 / rho)}
    assert rule.last()["discrepancy"] == pytest.approx({"a": rho, "b": 1 / rho}, rel=1e-5)
    assert rule.last()["coefficient"] == pytest.approx(expected, rel=1e-5)


def test_parts_of_the_joint_logits_add_up(kit):
    net = kit.make_network(3)
    batch = kit.make_batch(3)
    outputs = net(batch.inputs, batch.present)
    torch.testing.assert_close(net.joint_parts(outputs.embedding).sum(1), outputs.joint)


def test_noise_has_the_spread_of_the_gradient_before_it_was_scaled(kit):
    net = kit.make_network(2)
    rule = kit.rule_of(net, "ogm_ge", kit.make_optimizer(net, "sgd"), ogm_ge=OgmGeConfig(alpha=50.0))
    torch.manual_seed(0)
    ratio = []
    for _ in range(120):
        net.zero_grad()
        kit.backward(net, rule, kit.make_batch(2))
        before = kit.gradients(net)
        rule.modulate()
        leader = min(rule.last()["coefficient"], key=rule.last()["coefficient"].get)
        name = f"encoders.{leader}.layers.0.weight"  # scaled to nearly nothing: what is left is noise
        ratio.append(kit.gradients(net)[name] / before[name].std())
    values = torch.stack(ratio).flatten()
    assert values.mean().item() == pytest.approx(0.0, abs=0.08)
    assert values.std().item() == pytest.approx(1.0, rel=0.08)


@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=5), st.floats(0, 100))
def test_coefficients_are_bounded(rho, alpha):
    found = ogm_coefficients(torch.tensor(rho), alpha)
    assert ((found > 0) & (found <= 1)).all()
    assert (found[torch.tensor(rho) <= 1] == 1).all()


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(ConfigError, match=r"modulation\.ogm_ge\.noise must be finite and not negative: got -1"):
        OgmGeConfig(noise=-1)
