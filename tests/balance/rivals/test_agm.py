"""AGM: the response is the Shapley value of the joint head, the reference a running mean, the coefficient bounded."""

from __future__ import annotations

import math
from itertools import combinations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dcdp.balance.rivals import AgmConfig
from dcdp.balance.rivals.agm import agm_coefficients, competitiveness
from dcdp.errors import ConfigError

EVERY = torch.ones(5, dtype=torch.bool)


@pytest.mark.parametrize("n_branches", [2, 3, 4])
def test_the_part_of_a_branch_is_its_shapley_value(kit, n_branches):
    net = kit.make_network(n_branches)
    batch = kit.make_batch(n_branches)
    embedding = net(batch.inputs, batch.present).embedding

    def logits(subset):
        kept = torch.zeros(1, n_branches, 1, dtype=torch.float64)
        kept[:, list(subset)] = 1.0
        return net.joint((embedding * kept).flatten(1))

    for m in range(n_branches):
        others = [j for j in range(n_branches) if j != m]
        value = 0
        for size in range(n_branches):
            share = math.factorial(size) * math.factorial(n_branches - size - 1) / math.factorial(n_branches)
            value = value + sum(share * (logits((*s, m)) - logits(s)) for s in combinations(others, size))
        torch.testing.assert_close(net.joint_parts(embedding)[:, m] - net.joint[1].bias / n_branches, value)


def test_ratio_by_hand():
    score = torch.tensor([-0.5, -1.0, -1.5])
    expected = torch.tensor([math.exp(0.75), 1.0, math.exp(-0.75)])
    torch.testing.assert_close(competitiveness(score, EVERY[:3]), expected)
    without = competitiveness(score, torch.tensor([True, False, True]))
    torch.testing.assert_close(without, torch.tensor([math.e, 1.0, 1 / math.e]))


def test_the_reference_is_the_mean_of_the_steps_before(kit):
    net = kit.make_network(2)
    rule = kit.rule_of(net, "agm", kit.make_optimizer(net, "sgd"))
    scores = []
    for step in range(3):
        batch = kit.make_batch(2, seed=step)
        net.zero_grad()
        parts = net.joint_parts(kit.backward(net, rule, batch).embedding).log_softmax(-1)
        now = parts[torch.arange(12), :, batch.label].mean(0)
        ratio = competitiveness(now, EVERY[:2])
        usual = competitiveness(torch.stack(scores).mean(0), EVERY[:2]) if scores else ratio
        rule.modulate()
        found = torch.tensor(list(rule.last()["coefficient"].values()))
        torch.testing.assert_close(found.double(), torch.exp(usual - ratio), rtol=1e-4, atol=1e-6)
        scores.append(now)
    assert found.unique().numel() == 2


@given(st.lists(st.floats(-1e3, 0), min_size=2, max_size=5), st.floats(0, 100), st.floats(1, 50))
def test_coefficients_are_bounded(score, alpha, limit):
    ratio = competitiveness(torch.tensor(score), EVERY[: len(score)])
    found = agm_coefficients(ratio, ratio.flip(0), alpha, limit)
    assert ((found >= 1 / limit * 0.999) & (found <= limit * 1.001)).all()
    assert (agm_coefficients(ratio, ratio, alpha, limit) == 1).all()


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(ConfigError, match=r"modulation\.agm\.limit must be at least 1"):
        AgmConfig(limit=0.5)
