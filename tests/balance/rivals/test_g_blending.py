"""G-Blending: weights by hand, bounded, used in the loss, estimated when a super-epoch has passed."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

from dcdp.balance.rivals import GBlendingConfig
from dcdp.balance.rivals.g_blending import blend_weights
from dcdp.errors import ConfigError

losses = st.lists(st.floats(0, 20), min_size=4, max_size=4)


def test_weights_by_hand():
    before = torch.tensor([[2.0, 2.0, 2.0], [2.0, 2.0, 2.0]])
    now = torch.tensor([[1.0, 1.5, 1.0], [1.5, 1.75, 2.5]])
    # gain .5, .25, -.5; overfitting .5, .25, 1.5; quotients 2, 4, 0
    torch.testing.assert_close(blend_weights(before, now, 0.05), torch.tensor([1 / 3, 2 / 3, 0.0]))


def test_without_gain_nothing_is_said():
    worse = torch.tensor([[1.0, 1.0], [3.0, float("nan")]])
    assert blend_weights(torch.ones(2, 2), worse, 0.05) is None


@given(losses, losses, losses, losses)
def test_weights_are_bounded_and_sum_to_one(a, b, c, d):
    weights = blend_weights(torch.tensor([a, b]), torch.tensor([c, d]), 0.05)
    if weights is not None:
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
    coefficient = rule.last()["coefficient"]
    assert coefficient == pytest.approx({"a": 3 * 2 / 7, "b": 0.0})
    terms = {"joint": torch.tensor(1.0), "branch": torch.tensor([10.0, 100.0]), "contrast": torch.tensor(7.0)}
    (total,) = rule.losses(terms, outputs, batch.label, batch.present)
    assert total.item() == pytest.approx(3 * 5 / 7 + (3 * 2 / 7 * 10) / 2 + 7.0)


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
    with pytest.raises(ConfigError, match="the rule 'g_blending' needs validation subjects: got none"):
        rule.end_epoch({})


@pytest.mark.parametrize("change", [{"super_epoch": 0}, {"floor": 0.0}])
def test_settings_that_make_no_sense_are_refused(change):
    with pytest.raises(ConfigError, match=r"modulation\.g_blending\."):
        GBlendingConfig(**change)
