"""Rules that read the branch heads refuse heads that do not learn: where a training begins, not where a run is read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dcdp.balance import ModulationConfig
from dcdp.balance.rivals import CggmConfig
from dcdp.config import RunConfig
from dcdp.errors import ConfigError
from dcdp.objectives import ObjectiveConfig
from dcdp.settings import from_toml, override, to_toml

REFUSED = [
    ("dcdp", {}, r"modulation\.alpha above 0 needs objective\.branch above 0: got 0\. Set objective\.branch=1"),
    ("dcdp", {"acts_on": "own"}, r"modulation\.alpha above 0 needs objective\.branch above 0"),
    ("cggm", {}, r"modulation\.rule='cggm' needs objective\.branch above 0: got 0\."),
    ("cggm", {"cggm": CggmConfig(direction=0.0)}, r"modulation\.rule='cggm' needs objective\.branch above 0"),
]


@pytest.mark.parametrize(("name", "options", "message"), REFUSED)
def test_a_rule_that_reads_heads_refuses_heads_that_do_not_learn(kit, name, options, message):
    net = kit.make_network(2)
    rule = kit.rule_of(net, name, kit.make_optimizer(net, "adamw"), **options)
    with pytest.raises(ConfigError, match=message):
        kit.backward(net, rule, kit.make_batch(2), replace(kit.OBJECTIVE, branch=0.0))


@pytest.mark.parametrize(
    ("name", "options"), [("none", {}), ("dcdp", {"alpha": 0.0}), ("ogm_ge", {}), ("agm", {}), ("pmr", {})]
)
def test_the_others_train_without_branch_losses(kit, name, options):
    net = kit.make_network(2)
    rule = kit.rule_of(net, name, kit.make_optimizer(net, "adamw"), **options)
    kit.backward(net, rule, kit.make_batch(2), replace(kit.OBJECTIVE, branch=0.0))
    assert (net.heads.weight.grad == 0).all()


@pytest.mark.parametrize("name", ["dcdp", "cggm"])
def test_losses_that_fall_to_nothing_later_are_no_weight_of_0(kit, name):
    net = kit.make_network(2)
    optimizer = kit.make_optimizer(net, "adamw")
    rule = kit.rule_of(net, name, optimizer)
    kit.backward(net, rule, kit.make_batch(2))
    rule.modulate(kit.LR)
    again = kit.rule_of(net, name, optimizer)
    again.load_state_dict(rule.state_dict())
    for one in (rule, again):
        kit.backward(net, one, kit.make_batch(2), replace(kit.OBJECTIVE, branch=0.0))
        assert one.last() == rule.last()


@pytest.mark.parametrize("rule", ["dcdp", "cggm"])
def test_the_configuration_of_a_run_that_is_over_can_be_read(rule: str, tmp_path: Path) -> None:
    config = RunConfig(modulation=ModulationConfig(rule=rule), objective=ObjectiveConfig(branch=0.0))
    (tmp_path / "config.toml").write_text(to_toml(config))
    assert from_toml(RunConfig, tmp_path / "config.toml") == config


def test_settings_may_come_in_any_order() -> None:
    for pair in (
        ("objective.branch=0", "modulation.rule=none"),
        ("modulation.rule=g_blending", "training.early_stopping=true"),
    ):
        assert override(RunConfig(), *pair) == override(RunConfig(), *pair[::-1])
