"""G-Blending: weights by hand, bounded, used in the loss, estimated when a super-epoch has passed."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

from dcdp.balance.rivals import GBlendingConfig
from dcdp.balance.rivals.g_blending import NOISE, blend_weights
from dcdp.errors import ConfigError

NONE = float("nan")
EVEN = torch.full((3,), 1 / 3)
losses = st.lists(st.floats(0, 20) | st.just(NONE) | st.just(float("inf")), min_size=4, max_size=4)
shares = st.lists(st.floats(0.01, 1), min_size=4, max_size=4)


def test_weights_by_hand():
    before = torch.tensor([[2.0, 2.0, 2.0], [2.0, 2.0, 2.0]])
    now = torch.tensor([[1.0, 1.5, 1.0], [1.5, 1.75, 2.5]])
    # gain .5, .25, -.5; overfitting .5, .25, 1.5; quotients 2, 4, 0; a tenth of all is dealt out evenly
    torch.testing.assert_close(blend_weights(before, now, EVEN, 0.05), torch.tensor([1 / 3, 0.6 + 0.1 / 3, 0.1 / 3]))


def test_without_gain_the_weights_stay():
    weights = torch.tensor([0.2, 0.3, 0.5])
    worse = torch.tensor([[1.0, 1.0, 1.0], [3.0, NONE, 1.0]])
    assert torch.equal(blend_weights(torch.ones(2, 3), worse, weights, 0.05), weights)


def test_on_a_plateau_the_weights_stay():
    weights = torch.tensor([0.2, 0.3, 0.5])
    before = torch.full((2, 3), 2.0)
    flat = before - NOISE * torch.tensor([[0.0, 0.0, 0.0], [0.9, 0.001, -3.0]])
    assert torch.equal(blend_weights(before, flat, weights, 0.05), weights)
    falling = before - NOISE * torch.tensor([[0.0, 0.0, 0.0], [1.1, 0.55, -3.0]])
    torch.testing.assert_close(
        blend_weights(before, falling, weights, 0.05), torch.tensor([0.6 + 0.1 / 3, 1 / 3, 0.1 / 3]), rtol=1e-3, atol=0
    )


@pytest.mark.parametrize("figure", [NONE, float("inf")])
@pytest.mark.parametrize("row", [0, 1])
@pytest.mark.parametrize("late", [False, True])
def test_a_head_without_a_figure_keeps_its_weight_and_the_others_share_the_rest(figure, row, late):
    before = torch.full((2, 3), 2.0)
    now = torch.tensor([[1.0, 1.5, 1.0], [1.5, 1.75, 1.5]])
    (now if late else before)[row, 2] = figure
    found = blend_weights(before, now, torch.tensor([0.1, 0.3, 0.6]), 0.05)
    torch.testing.assert_close(found, torch.tensor([0.9 * 0.4 / 3 + 0.02, 0.9 * 0.8 / 3 + 0.02, 0.6]))


@given(losses, losses, losses, losses, shares)
def test_weights_are_bounded_and_sum_to_one(a, b, c, d, given_weights):
    weights = torch.tensor(given_weights) / sum(given_weights)
    weights = blend_weights(torch.tensor([a, b]), torch.tensor([c, d]), weights, 0.05)
    assert ((weights >= 0) & (weights <= 1)).all()
    assert weights.sum().item() == pytest.approx(1.0, rel=1e-5)


def test_every_head_is_weighed_from_the_second_estimate_on(kit):
    net = kit.make_network(2)
    rule = kit.rule_of(net, "g_blending", kit.make_optimizer(net, "sgd"), g_blending=GBlendingConfig(super_epoch=2))
    batch = kit.make_batch(2)
    for epoch, held_out in enumerate(([2.0, 2.0, 2.0], [1.0, 1.0, 1.0], [1.5, 1.8, 2.5])):
        outputs = kit.backward(net, rule, batch)
        rule.end_epoch({"loss": held_out[0], "branch_loss": dict(zip("ab", held_out[1:], strict=True))})
        if epoch < 2:
            assert rule.last()["coefficient"] == {"a": 1, "b": 1}
    # training losses stayed, so overfitting fell with the two gains of .5 and .2: quotients .5 / .05^2, .2 / .05^2, 0
    joint, a, b = (3 * (0.9 * share + 0.1 / 3) for share in (5 / 7, 2 / 7, 0))
    assert rule.last()["coefficient"] == pytest.approx({"a": a, "b": b})
    terms = {"joint": torch.tensor(1.0), "branch": torch.tensor([10.0, 100.0]), "contrast": torch.tensor(7.0)}
    (total,) = rule.losses(terms, outputs, batch.label, batch.present)
    assert total.item() == pytest.approx(joint + (a * 10 + b * 100) / 2 + 7.0)


def test_a_branch_without_a_figure_is_weighed_again_once_it_has_one(kit):
    net = kit.make_network(2)
    rule = kit.rule_of(net, "g_blending", kit.make_optimizer(net, "sgd"), g_blending=GBlendingConfig(super_epoch=1))
    batch, found = kit.make_batch(2), []
    for joint, a, b in ((2.0, 2.0, None), (1.9, 1.8, 2.0), (1.8, 1.6, 1.7)):
        kit.backward(net, rule, batch)
        rule.end_epoch({"loss": joint, "branch_loss": {"a": a, "b": b}})
        found.append(rule.last()["coefficient"])
    assert found[0] == {"a": 1, "b": 1}
    share_a, rest = 0.9 * 2 / 3 + 0.1 / 2, 2 / 3  # joint and a share the two thirds that b leaves
    assert found[1] == pytest.approx({"a": 3 * share_a * rest, "b": 1})
    assert found[2] == pytest.approx({"a": 0.9 * 3 * 2 / 6 + 0.1, "b": 0.9 * 3 * 3 / 6 + 0.1})


def test_every_head_goes_on_learning_whatever_it_gained(kit):
    net = kit.make_network(2)
    rule = kit.rule_of(net, "g_blending", kit.make_optimizer(net, "sgd"), g_blending=GBlendingConfig(super_epoch=1))
    batch = kit.make_batch(2)
    for joint, a, b in ((2.0, 2.0, 2.0), (2.1, 1.0, 2.1)):
        kit.backward(net, rule, batch)
        rule.end_epoch({"loss": joint, "branch_loss": {"a": a, "b": b}})
    net.zero_grad()
    kit.backward(net, rule, batch)
    assert all((gradient != 0).any() for gradient in kit.gradients(net).values())


def test_the_training_loss_is_that_of_the_epoch_alone(kit):
    net = kit.make_network(2)
    rule = kit.rule_of(net, "g_blending", kit.make_optimizer(net, "sgd"))
    batch = kit.make_batch(2)
    kit.backward(net, rule, batch)
    rule.end_epoch({"loss": 1.0, "branch_loss": {"a": 1.0, "b": 1.0}})
    kit.backward(net, rule, batch)
    assert rule.state_dict()["sums"][1].tolist() == [len(batch.label)] * 3


def test_the_loss_on_training_windows_is_plain_cross_entropy_where_present(kit):
    net = kit.make_network(2)
    rule = kit.rule_of(net, "g_blending", kit.make_optimizer(net, "sgd"))
    batch = kit.make_batch(2)
    batch.present[:4, 1] = False
    outputs = kit.backward(net, rule, batch)
    found = rule.state_dict()["sums"]
    expected = [cross_entropy(outputs.joint, batch.label), cross_entropy(outputs.branch[:, 0], batch.label),
                cross_entropy(outputs.branch[4:, 1], batch.label[4:])]  # fmt: skip
    torch.testing.assert_close(found[0] / found[1], torch.stack(expected), rtol=1e-5, atol=1e-6)
    assert found[1].tolist() == [12, 12, 8]


def test_without_validation_subjects_it_says_so(kit):
    net = kit.make_network(2)
    rule = kit.rule_of(net, "g_blending", kit.make_optimizer(net, "sgd"))
    message = r"the rule 'g_blending' needs validation subjects: got none\. Set training\.early_stopping=true"
    with pytest.raises(ConfigError, match=message):
        rule.end_epoch({})


@pytest.mark.parametrize("change", [{"super_epoch": 0}, {"floor": 0.0}])
def test_settings_that_make_no_sense_are_refused(change):
    with pytest.raises(ConfigError, match=r"modulation\.g_blending\."):
        GBlendingConfig(**change)
