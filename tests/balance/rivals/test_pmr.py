"""PMR: prototypes are class means, the slow branch alone is pulled, the fast one kept unsure at first."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dcdp.balance.rivals import PmrConfig
from dcdp.balance.rivals.pmr import prototype_logits
from dcdp.errors import ConfigError

ZERO = {"joint": torch.tensor(0.0), "branch": torch.zeros(2), "contrast": torch.tensor(0.0)}


def made(kit, config):
    net = kit.make_network(2)
    return kit.rule_of(net, "pmr", kit.make_optimizer(net, "sgd"), pmr=config)


def points(*values):
    """Embeddings (B, 2, 4) on the first axis alone."""
    encoded = torch.zeros(len(values), 2, 4)
    encoded[..., 0] = torch.tensor(values)
    return SimpleNamespace(encoded=encoded.requires_grad_())


def test_prototypes_are_moving_class_means(kit):
    rule = made(kit, PmrConfig(momentum=0.5))
    present = torch.ones(3, 2, dtype=torch.bool)
    present[2, 1] = False
    rule.observe(points([1.0, 4.0], [3.0, 2.0], [8.0, 9.0]), torch.tensor([0, 0, 2]), present)
    state = rule.state_dict()
    assert state["prototypes"][..., 0].tolist() == [[2.0, 0.0, 8.0], [3.0, 0.0, 0.0]]
    assert state["known"].tolist() == [[True, False, True], [True, False, False]]
    rule.observe(points([4.0, 5.0]), torch.tensor([0]), present[:1])
    assert rule.state_dict()["prototypes"][..., 0].tolist() == [[3.0, 0.0, 8.0], [4.0, 0.0, 0.0]]


def test_loss_by_hand(kit):
    rule = made(kit, PmrConfig(alpha=2.0, mu=0.3, entropy_epochs=1))
    label, present = torch.tensor([0, 1]), torch.ones(2, 2, dtype=torch.bool)
    rule.observe(points([0.0, 0.0], [4.0, 1.0]), label, present)  # classes 0 and 1 lie 4 apart in a, 1 apart in b
    outputs = points([0.0, 0.0], [4.0, 1.0])
    (early,) = rule.losses(ZERO, outputs, label, present)
    sure, unsure = 1 / (1 + math.exp(-4.0)), 1 / (1 + math.exp(-1.0))
    rho = sure / unsure
    slow = rho - 1
    entropy = -(sure * math.log(sure) + (1 - sure) * math.log(1 - sure))
    assert rule.last()["coefficient"] == pytest.approx({"a": 0.0, "b": slow}, rel=1e-4)
    assert early.item() == pytest.approx(2.0 * slow * -math.log(unsure) - 0.3 * slow * entropy, rel=1e-4)
    rule.end_epoch({})
    (late,) = rule.losses(ZERO, outputs, label, present)
    assert late.item() == pytest.approx(2.0 * slow * -math.log(unsure), rel=1e-4)
    (gradient,) = torch.autograd.grad(late, outputs.encoded)
    assert (gradient[:, 0] == 0).all()


def test_the_pull_is_towards_the_own_class(kit):
    rule = made(kit, PmrConfig(entropy_epochs=0))
    label, present = torch.tensor([0, 1]), torch.ones(2, 2, dtype=torch.bool)
    rule.observe(points([0.0, 0.0], [4.0, 1.0]), label, present)
    outputs = points([0.0, 0.4], [4.0, 0.6])
    (total,) = rule.losses(ZERO, outputs, label, present)
    (gradient,) = torch.autograd.grad(total, outputs.encoded)
    assert gradient[0, 1, 0] > 0
    assert gradient[1, 1, 0] < 0


def test_only_encoders_are_pulled(kit):
    found = []
    for alpha in (0.0, 50.0):
        net = kit.make_network(3)
        config = PmrConfig(alpha=alpha, mu=0.0)
        rule = kit.rule_of(net, "pmr", kit.make_optimizer(net, "sgd"), pmr=config)
        kit.backward(net, rule, kit.make_batch(3, seed=0))
        net.zero_grad()
        kit.backward(net, rule, kit.make_batch(3, seed=1))
        weight = rule.last()["coefficient"]
        found.append(kit.gradients(net))
    assert max(weight.values()) > 0
    for name, plain in found[0].items():
        pulled = name.startswith("encoders.") and weight[name.split(".")[1]] > 0
        assert torch.equal(found[1][name], plain) != pulled


def test_a_class_not_met_yet_takes_no_part(kit):
    rule = made(kit, PmrConfig())
    outputs = points([1.0, 2.0], [3.0, 4.0])
    label, present = torch.tensor([0, 1]), torch.ones(2, 2, dtype=torch.bool)
    (total,) = rule.losses(ZERO, outputs, label, present)
    assert total.item() == 0
    (gradient,) = torch.autograd.grad(total, outputs.encoded)
    assert (gradient == 0).all()


def test_a_window_of_a_class_not_met_yet_takes_no_part_among_those_that_are(kit):
    rule = made(kit, PmrConfig(alpha=2.0, entropy_epochs=0))
    label, present = torch.tensor([0, 1]), torch.ones(3, 2, dtype=torch.bool)
    rule.observe(points([0.0, 0.0], [4.0, 1.0]), label, present[:2])
    (alone,) = rule.losses(ZERO, points([0.0, 0.0], [4.0, 1.0]), label, present[:2])
    (beside,) = rule.losses(ZERO, points([0.0, 0.0], [4.0, 1.0], [9.0, 9.0]), torch.tensor([0, 1, 2]), present)
    assert alone > 0
    torch.testing.assert_close(beside, alone)


def test_no_branch_is_pulled_harder_than_once(kit):
    rule = made(kit, PmrConfig(alpha=2.0, mu=0.3))
    label, present = torch.tensor([0, 1]), torch.ones(2, 2, dtype=torch.bool)
    rule.observe(points([0.0, 0.0], [3.0, 1.0]), label, present)
    (total,) = rule.losses(ZERO, points([0.0, 9.0], [3.0, -8.0]), label, present)  # b lies where the other class is
    ratio = rule.last()["discrepancy"]
    assert ratio["a"] > 2
    assert ratio["b"] < 0.5
    assert rule.last()["coefficient"] == {"a": 0.0, "b": 1.0}
    wrong, sure = math.log(1 + math.exp(1.0)), 1 / (1 + math.exp(-3.0))  # of b: one unit nearer to the other class
    entropy = -(sure * math.log(sure) + (1 - sure) * math.log(1 - sure))
    assert total.item() == pytest.approx(2.0 * wrong - 0.3 * entropy, rel=1e-3)


@given(st.lists(st.floats(-1e3, 1e3), min_size=4, max_size=4))
def test_probabilities_are_finite_wherever_the_embedding_is(values):
    encoded = torch.tensor(values).view(1, 2, 2)
    prototypes = torch.arange(12.0).view(2, 3, 2)
    known = torch.tensor([[True, False, True], [False, False, False]])
    found = prototype_logits(encoded, prototypes, known).log_softmax(-1).exp()
    assert found.isfinite().all()
    assert found[0, 0, 1] == 0


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(ConfigError, match=r"modulation\.pmr\.entropy_epochs must not be negative"):
        PmrConfig(entropy_epochs=-1)
