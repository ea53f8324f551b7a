"""MMPareto: the mixture is the shortest, as long as the plain sum, and only where the gradients conflict."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dcdp.balance import parameter_groups
from dcdp.balance.rivals import Mmpareto, MmparetoConfig
from dcdp.balance.rivals.mmpareto import _mix, pareto_weight
from dcdp.errors import ConfigError

numbers = st.lists(st.floats(-10, 10), min_size=3, max_size=3)


def mixed(a, b):
    parameter = torch.nn.Parameter(torch.zeros(len(a), dtype=torch.float64))
    measures = _mix([(parameter, torch.tensor(a, dtype=torch.float64), torch.tensor(b, dtype=torch.float64))])
    return parameter.grad, *measures.tolist()


def test_gradients_that_agree_are_added():
    gradient, cosine, coefficient = mixed([3.0, 0.0], [3.0, 4.0])
    assert gradient.tolist() == [6.0, 4.0]
    assert (cosine, coefficient) == pytest.approx((0.6, 1.0))


def test_gradients_in_conflict_by_hand():
    # a = (2, 0), b = (-1, 1): w = b . (b - a) / |a - b|^2 = 4 / 10; h = 2 (.4 a + .6 b) = (.4, 1.2)
    # |h|^2 = 1.6, |a + b|^2 = 2: drawn out by sqrt(1.25)
    gradient, cosine, coefficient = mixed([2.0, 0.0], [-1.0, 1.0])
    assert gradient.tolist() == pytest.approx([0.4 * 1.25**0.5, 1.2 * 1.25**0.5])
    assert cosine == pytest.approx(-(0.5**0.5))
    assert coefficient == pytest.approx(1.2)


@given(numbers, numbers)
def test_the_step_harms_neither_loss_and_is_as_long_as_the_sum(a, b):
    gradient, cosine, coefficient = mixed(a, b)
    first, second = torch.tensor(a, dtype=torch.float64), torch.tensor(b, dtype=torch.float64)
    slack = 1e-9 * (1 + first.norm() * second.norm() + first.norm() ** 2 + second.norm() ** 2)
    if first @ second < 0:
        assert gradient @ first >= -slack
        assert gradient @ second >= -slack
    assert gradient.isfinite().all()
    assert 0 <= coefficient <= 2
    assert gradient.norm() <= (first + second).norm() * (1 + 1e-6) + 1e-12
    short, long = sorted((first.norm(), second.norm()))
    if cosine > -0.9 and short > 0.2 * long:  # nearly opposite or very unlike ones leave little to draw out
        assert gradient.norm() >= (first + second).norm() * (1 - 1e-6)


def test_contrast_stays_with_the_joint_loss(kit):
    net = kit.make_network(2)
    rule = kit.rule_of(net, "mmpareto", kit.make_optimizer(net, "sgd"))
    terms = {"joint": torch.tensor(1.0), "branch": torch.tensor([10.0, 30.0]), "contrast": torch.tensor(7.0)}
    batch = kit.make_batch(2)
    outputs = net(batch.inputs, batch.present)
    assert [loss.item() for loss in rule.losses(terms, outputs, batch.label, batch.present)] == [8.0, 20.0]


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.floats(-1, 1))
def test_weights_are_bounded(joint, own, cosine):
    w = pareto_weight(torch.tensor(joint), torch.tensor(own), torch.tensor(cosine * (joint * own) ** 0.5))
    assert 0 <= w <= 1


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_heads_and_fusion_get_the_sum_and_encoders_the_mixture(kit, optimizer):
    sums, apart = {}, []
    for name in ("none", "mmpareto"):
        net = kit.make_network(3)
        opt = kit.make_optimizer(net, optimizer)
        rule = kit.rule_of(net, name, opt, mmpareto=MmparetoConfig(gamma=1.5))
        kit.backward(net, rule, kit.make_batch(3, seed=4))
        apart = getattr(rule, "_apart", [])
        apart = [list(part) for part in apart]
        rule.modulate(kit.LR)
        sums[name] = kit.gradients(net)
    rates = {group["name"]: group["lr"] for group in opt.param_groups}
    gamma = 1.5 if optimizer == "sgd" else 1.0
    assert rates["a"] == pytest.approx(kit.LR if optimizer == "sgd" else 1.5 * kit.LR)
    assert rates["shared"] == kit.LR
    names = [name for name in sums["none"] if name.startswith("encoders.")]
    for place, name in enumerate(names):
        joint, own = apart[0][place], apart[1][place]
        torch.testing.assert_close(joint + own, sums["none"][name])  # what was taken apart is all there was
    for m, branch in enumerate("abc"):
        own_names = [name for name in names if name.startswith(f"encoders.{branch}.")]
        a, b = (torch.cat([part[names.index(name)].flatten() for name in own_names]) for part in apart)
        expected = gamma * mixed(a.tolist(), b.tolist())[0]
        found = torch.cat([sums["mmpareto"][name].flatten() for name in own_names])
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-12, msg=f"branch {m}")
    for name in sums["none"].keys() - set(names):
        torch.testing.assert_close(sums["mmpareto"][name], sums["none"][name])


@pytest.mark.parametrize("scale", [1e-3, 1e-8, 1e-15])
def test_the_cosine_of_tiny_gradients_is_that_of_large_ones(scale):
    parameter = torch.nn.Parameter(torch.zeros(2))
    cosine, _ = _mix([(parameter, scale * torch.tensor([3.0, 4.0]), scale * torch.tensor([4.0, 3.0]))])
    assert cosine.item() == pytest.approx(0.96, rel=1e-4)


def test_of_no_gradient_there_is_no_cosine():
    gradient, cosine, coefficient = mixed([0.0, 0.0], [1.0, 2.0])
    assert gradient.tolist() == [1.0, 2.0]
    assert (cosine, coefficient) == (0.0, 1.0)


@pytest.mark.parametrize("n_parts", [1, 2])
def test_a_parameter_that_gets_no_gradient_keeps_none(kit, n_parts):
    net = kit.make_network(3)
    rule = kit.rule_of(net, "mmpareto", kit.make_optimizer(net, "adamw"))
    frozen, whole = net.encoders["a"].layers[0].bias, list(net.encoders["b"].parameters())
    for parameter in (frozen, *whole):
        parameter.requires_grad_(False)
    for part in range(n_parts):
        kit.backward(net, rule, kit.make_batch(3, seed=part))
    rule.modulate(kit.LR)
    without = {id(parameter) for parameter in (frozen, *whole)}
    for parameter in net.encoders.parameters():
        assert (parameter.grad is None) == (id(parameter) in without)
    assert rule.last()["coefficient"]["b"] == 1


def test_a_parameter_that_one_loss_alone_reaches_gets_that_gradient(kit):
    net = kit.make_network(2)
    rule = kit.rule_of(net, "mmpareto", kit.make_optimizer(net, "sgd"), mmpareto=MmparetoConfig(gamma=1.0))
    for place in range(2):
        for parameter in net.encoders.parameters():
            parameter.grad = torch.ones_like(parameter) if place == 0 else None
        rule.after_backward(place)
    rule.modulate()
    assert all((parameter.grad == 1).all() for parameter in net.encoders.parameters())


def test_an_encoder_without_parameters_is_measured_where_the_others_are():
    encoders = {"a": torch.nn.Linear(2, 2, device="meta"), "b": torch.nn.Identity()}
    optimizer = torch.optim.SGD(parameter_groups(torch.nn.ModuleDict(encoders), encoders, 0.1))
    rule = Mmpareto(SimpleNamespace(encoders=encoders), optimizer, "auto", MmparetoConfig())
    for place in range(2):
        for parameter in encoders["a"].parameters():
            parameter.grad = torch.ones_like(parameter)
        rule.after_backward(place)
    rule.modulate()
    assert rule.state_dict()["table"].device.type == "meta"
    assert rule.state_dict()["table"].shape == (2, 2)


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(ConfigError, match=r"modulation\.mmpareto\.gamma must be finite"):
        MmparetoConfig(gamma=float("inf"))
