"""Modulation of the own loss: what acts is the coefficient, one step later, on the gradient of the own head alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from dcdp.balance import branch_coefficients


def encoder_gradients(kit, net, rule, batch, objective):
    net.zero_grad()
    kit.backward(net, rule, batch, objective)
    return {name: gradient for name, gradient in kit.gradients(net).items() if name.startswith("encoders.")}


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("n_branches", [2, 4])
def test_the_next_own_gradient_is_scaled_by_the_coefficient_and_the_joint_one_is_not(kit, n_branches, optimizer):
    net = kit.make_network(n_branches)
    options = {"acts_on": "own", "alpha": 3.0, "beta": 5.0}
    rule = kit.rule_of(net, "dcdp", kit.make_optimizer(net, optimizer), **options)
    plain = kit.rule_of(net, "none", kit.make_optimizer(net, optimizer))
    batch = kit.make_batch(n_branches)
    before = encoder_gradients(kit, net, rule, batch, kit.OBJECTIVE)
    rule.modulate(kit.LR)
    assert all(torch.equal(kit.gradients(net)[name], gradient) for name, gradient in before.items())

    kappa = rule.forward_options()["own_scale"]
    rho = torch.tensor(list(rule.last()["discrepancy"].values()))
    torch.testing.assert_close(kappa, branch_coefficients(rho, 3.0, 5.0))
    assert not torch.allclose(kappa, rho, rtol=0.05)
    assert kappa.tolist() == list(rule.last()["coefficient"].values())

    after = kit.make_batch(n_branches, seed=2)
    joint = encoder_gradients(kit, net, plain, after, replace(kit.OBJECTIVE, branch=0.0))
    own = encoder_gradients(kit, net, plain, after, replace(kit.OBJECTIVE, joint=0.0))
    found = encoder_gradients(kit, net, rule, after, kit.OBJECTIVE)
    factor = dict(zip(net.branches, kappa.tolist(), strict=True))
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, joint[name] + factor[name.split(".")[1]] * own[name])
