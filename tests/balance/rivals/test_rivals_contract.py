"""What every rival keeps: order of branches, absent branches, whose parameters it touches, how far, resume."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from dcdp.balance import ModulationConfig, make_rule
from dcdp.balance.rivals import GBlendingConfig, OgmGeConfig
from dcdp.errors import BundleError, ConfigError

OFTEN = {"g_blending": GBlendingConfig(super_epoch=1)}
QUIET = {"ogm_ge": OgmGeConfig(noise=0.0), **OFTEN}
PACES = {"a": 2.0, "b": 1.0, "c": 3.0, "d": 1.5, "e": 2.5}


def figures(branches, epoch, lacking=()):
    """Validation losses that fall, each at its own pace; None of a branch that no validation person has."""
    losses = {name: None if name in lacking else PACES[name] / (1 + epoch) for name in branches}
    return {"macro_f1": 0.5, "loss": 1.5 / (1 + epoch), "branch_loss": losses}


def steps(kit, net, optimizer, rule, numbers):
    for step in numbers:
        optimizer.zero_grad()
        torch.manual_seed(step)
        kit.backward(net, rule, kit.make_batch(len(net.branches), seed=step))
        rule.modulate(kit.LR)
        optimizer.step()
        if step % 3 == 2:
            rule.end_epoch(figures(net.branches, step, lacking="c" if step > 5 else ""))


def weights(net):
    return {name: tensor.clone() for name, tensor in net.state_dict().items()}


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("n_branches", [2, 3, 5])
def test_order_of_branches_does_not_matter(kit, rival, n_branches, optimizer):
    order = [*range(1, n_branches), 0]
    found = []
    for way in (None, order):
        net = kit.make_network(n_branches, way)
        opt = kit.make_optimizer(net, optimizer)
        rule = kit.rule_of(net, rival, opt, **QUIET)
        for step in range(4):
            batch = kit.make_batch(n_branches, seed=step)
            batch.present[:5, n_branches - 1] = False
            if way:
                batch.present = batch.present[:, way]
            opt.zero_grad()
            kit.backward(net, rule, batch)
            rule.modulate(kit.LR)
            opt.step()
            rule.end_epoch(figures(net.branches, step, lacking="c" if step > 2 else ""))
        found.append((net.encoders, rule.last()))
    (one, first), (other, second) = found
    if rival == "g_blending":
        assert len(set(first["coefficient"].values())) == n_branches
    for measure, values in first.items():
        assert second[measure] == pytest.approx(values, rel=1e-5, abs=1e-6)
    for name in one:
        for p, q in zip(one[name].parameters(), other[name].parameters(), strict=True):
            torch.testing.assert_close(p, q, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_after_the_gradient_is_there_only_encoders_are_touched(kit, rival, optimizer):
    net = kit.make_network(3)
    opt = kit.make_optimizer(net, optimizer)
    rule = kit.rule_of(net, rival, opt)
    steps(kit, net, opt, rule, range(4))
    opt.zero_grad()
    kit.backward(net, rule, kit.make_batch(3, seed=9))
    before = kit.gradients(net)
    rule.modulate(kit.LR)
    after = kit.gradients(net)
    rates = {group["name"]: group["lr"] for group in opt.param_groups}
    assert rates["shared"] == kit.LR
    shared = [name for name in before if not name.startswith("encoders.")]
    assert all(torch.equal(before[name], after[name]) for name in shared)
    if optimizer == "sgd":
        assert rates == dict.fromkeys(rates, kit.LR)


@pytest.mark.parametrize("name", ["ogm_ge", "agm", "cggm"])
def test_under_sgd_every_parameter_of_an_encoder_is_scaled_by_its_coefficient(kit, name):
    net = kit.make_network(4)
    opt = kit.make_optimizer(net, "sgd")
    rule = kit.rule_of(net, name, opt, **QUIET)
    steps(kit, net, opt, rule, range(3))
    opt.zero_grad()
    kit.backward(net, rule, kit.make_batch(4, seed=9))
    before = kit.gradients(net)
    rule.modulate()
    coefficient = rule.last()["coefficient"]
    assert len(set(coefficient.values())) > 1
    for parameter, gradient in kit.gradients(net).items():
        factor = coefficient[parameter.split(".")[1]] if parameter.startswith("encoders.") else 1.0
        torch.testing.assert_close(gradient, factor * before[parameter], rtol=1e-6, atol=0)


@pytest.mark.parametrize("name", ["ogm_ge", "agm", "cggm"])
def test_under_adamw_a_branch_moves_by_its_coefficient(kit, name):
    moved = {}
    for acts in (False, True):
        net = kit.make_network(3)
        opt = kit.make_optimizer(net, "adamw")
        rule = kit.rule_of(net, name, opt, **QUIET)
        for step in range(2):  # AGM needs a reference; nothing moves yet
            kit.backward(net, rule, kit.make_batch(3, seed=step))
            rule.modulate(kit.LR)
            opt.zero_grad()
        start = weights(net)
        kit.backward(net, rule, kit.make_batch(3, seed=7))
        rule.modulate(kit.LR)
        if not acts:
            rule.scaler.scale([1.0] * 3)
        opt.step()
        moved[acts] = {key: value - start[key] for key, value in weights(net).items()}
    coefficient = rule.last()["coefficient"]
    assert len(set(coefficient.values())) > 1
    for key, plain in moved[False].items():
        factor = coefficient[key.split(".")[1]] if key.startswith("encoders.") else 1.0
        torch.testing.assert_close(moved[True][key], factor * plain, rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize("n_branches", [2, 3, 4, 5])
def test_a_branch_absent_everywhere_counts_nothing(kit, rival, n_branches):
    found = []
    for noise in (0.0, 50.0):  # what stands where nothing was recorded must not matter
        net = kit.make_network(n_branches)
        opt = kit.make_optimizer(net, "sgd")
        rule = kit.rule_of(net, rival, opt, **QUIET)
        for step in range(3):
            batch = kit.make_batch(n_branches, seed=step)
            batch.present[:, 0] = False
            batch.inputs["a"] = batch.inputs["a"] + noise
            opt.zero_grad()
            kit.backward(net, rule, batch)
            assert all(p.grad is None or (p.grad == 0).all() for p in net.encoders["a"].parameters())
            rule.modulate(kit.LR)
            opt.step()
            rule.end_epoch(figures(net.branches, step, lacking="a"))
        assert all(p.isfinite().all() for p in net.parameters())
        found.append((rule.last(), weights(net)))
    assert found[0][0] == found[1][0]
    assert all(torch.equal(found[0][1][key], found[1][1][key]) for key in found[0][1])
    coefficient = found[0][0]["coefficient"]
    if rival in ("ogm_ge", "agm", "cggm", "g_blending"):
        assert coefficient["a"] == 1.0
    if rival == "g_blending":
        assert all(value != 1 for name, value in coefficient.items() if name != "a")


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_resumed_run_equals_the_run_that_was_not_stopped(kit, rival, optimizer):
    whole = kit.make_network(3)
    opt = kit.make_optimizer(whole, optimizer)
    steps(kit, whole, opt, kit.rule_of(whole, rival, opt, **OFTEN), range(9))
    first, second = kit.make_network(3), kit.make_network(3)
    opt = kit.make_optimizer(first, optimizer)
    rule = kit.rule_of(first, rival, opt, **OFTEN)
    steps(kit, first, opt, rule, range(4))
    second.load_state_dict(first.state_dict())
    resumed = kit.make_optimizer(second, optimizer)
    resumed.load_state_dict(opt.state_dict())
    again = kit.rule_of(second, rival, resumed, **OFTEN)
    again.load_state_dict(rule.state_dict())
    assert again.last() == rule.last()
    steps(kit, second, resumed, again, range(4, 9))
    end = weights(whole)
    assert all(torch.equal(value, end[key]) for key, value in weights(second).items())
    assert not all(torch.equal(value, end[key]) for key, value in weights(first).items())


def test_state_of_another_rule_is_refused(kit, rival):
    net = kit.make_network(3)
    opt = kit.make_optimizer(net, "adamw")
    state = make_rule(net, opt, ModulationConfig()).state_dict()
    with pytest.raises(BundleError, match="modulation must resume with the rule"):
        kit.rule_of(net, rival, opt).load_state_dict(state)


def test_coefficients_are_logged_by_branch(kit, rival):
    net = kit.make_network(3)
    rule = kit.rule_of(net, rival, kit.make_optimizer(net, "adamw"))
    assert all(list(row) == ["a", "b", "c"] for row in rule.last().values())
    assert "coefficient" in rule.last()


def test_rule_none_is_plain_training(kit):
    net, twin = kit.make_network(3), kit.make_network(3)
    opt, plain = kit.make_optimizer(net, "adamw"), torch.optim.AdamW(twin.parameters(), lr=kit.LR, weight_decay=0.0)
    steps(kit, net, opt, kit.rule_of(net, "none", opt), range(4))
    for step in range(4):
        batch = kit.make_batch(3, seed=step)
        outputs = twin(batch.inputs, batch.present)
        each = outputs.branch.flatten(0, 1), batch.label.repeat_interleave(3)
        loss = torch.nn.functional.cross_entropy(outputs.joint, batch.label) + torch.nn.functional.cross_entropy(*each)
        plain.zero_grad()
        loss.backward()
        plain.step()
    for one, other in zip(net.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("rule", "message"), [("ogm", "Did you mean 'ogm_ge'"), ("agm", "acts_on='own' needs")])
def test_settings_that_make_no_sense_are_refused(rule, message):
    with pytest.raises(ConfigError, match=message):
        ModulationConfig(rule=rule, acts_on="own")


def test_an_adaptive_optimiser_with_gradient_is_refused(kit, rival):
    net = kit.make_network(2)
    with pytest.raises(ConfigError, match="acts_on='gradient' needs SGD"):
        kit.rule_of(net, rival, kit.make_optimizer(net, "adamw"), acts_on="gradient")


def test_configurations_are_frozen_and_read_by_name():
    config = ModulationConfig(rule="agm")
    assert replace(config, agm=replace(config.agm, alpha=0.5)).agm.alpha == 0.5
