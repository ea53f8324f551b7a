"""Every balancing rule in the one loop: it trains, it resumes to the bit, and a batch in parts gives the same."""

from __future__ import annotations

import json
import math
from typing import get_args

import numpy as np
import pytest
import torch

from dcdp.balance import ModulationConfig
from dcdp.balance.config import RuleName
from dcdp.balance.rivals import GBlendingConfig, OgmGeConfig
from dcdp.batches import Batch
from dcdp.config import RunConfig
from dcdp.errors import ConfigError
from dcdp.evaluation import head_losses
from dcdp.inference import infer, softmax
from dcdp.objectives import ObjectiveConfig
from dcdp.training import TrainingConfig, fit

RULES = get_args(RuleName)


@pytest.fixture
def score(batches):
    """Return a validation with all the figures that a rule may read."""

    def validate(network):
        found, label = infer(network, batches), batches.windows.label
        probability = found.probability()
        return {
            "macro_f1": float((probability.argmax(1) == label).mean()),
            "loss": float(-np.log(probability[np.arange(len(label)), label] + 1e-12).mean()),
            "branch_loss": head_losses(label, softmax(found.branch), found.present, network.branches),
        }

    return validate


def modulation(rule):
    return ModulationConfig(rule=rule, g_blending=GBlendingConfig(super_epoch=1))


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("rule", RULES)
def test_every_rule_trains(rule, optimizer, make_network, batches, method, score, tmp_path):
    network = make_network(dropout=True)
    start = {name: p.detach().clone() for name, p in network.named_parameters()}
    n_epochs = 3 if rule == "g_blending" else 1  # it weighs from the second estimate on
    settings = method(
        modulation=modulation(rule), optimizer=optimizer, average=0.0, learning_rate=5e-3, epochs=n_epochs
    )
    fit(network, batches, *settings, branch_dropout=0.2, validate=score, folder=tmp_path)
    assert all(p.isfinite().all() for p in network.parameters())
    moved = {name for name, p in network.named_parameters() if not torch.equal(p, start[name])}
    assert {name.split(".")[0] for name in moved} == {"encoders", "heads", "fuse", "joint", "project"}
    lines = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    steps = [line for line in lines if line["kind"] == "step"]
    assert all(list(line["coefficient"]) == ["wrist", "ankle", "hr"] for line in steps)
    assert all(math.isfinite(value) for line in steps for value in line["coefficient"].values())
    if rule not in ("none", "dgl"):
        assert any(len(set(line["coefficient"].values())) > 1 for line in steps)


@pytest.mark.slow
def test_no_two_rules_are_the_same(make_network, batches, method, score):
    found = {}
    for rule in RULES:
        network = make_network()
        fit(network, batches, *method(modulation=modulation(rule), epochs=3), validate=score)
        found[rule] = torch.cat([p.detach().flatten() for p in network.parameters()])
    for one, weights in found.items():
        assert not any(torch.equal(weights, other) for name, other in found.items() if name != one)


@pytest.mark.parametrize("rule", RULES)
def test_interrupted_training_ends_where_undisturbed_training_ends(
    rule, make_network, batches, method, score, tmp_path
):
    settings = method(modulation=modulation(rule), epochs=3)
    options = {"validate": score, "branch_dropout": 0.2, "seed": 3}
    whole = make_network(dropout=True)
    fit(whole, batches, *settings, **options)

    def interrupt(done, *_):
        if done == 5:
            import signal

            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        fit(make_network(dropout=True), batches, *settings, **options, folder=tmp_path, progress=interrupt)
    again = make_network(seed=9, dropout=True)
    fit(again, batches, *settings, **options, folder=tmp_path, resume=True)
    assert all(torch.equal(a, b) for a, b in zip(whole.state_dict().values(), again.state_dict().values(), strict=True))


class DoubleBatches:
    """The same windows in double precision, so that what differs is the mathematics and not the rounding."""

    def __init__(self, batches):
        self.batches, self.layouts, self.device = batches, batches.layouts, batches.device
        self.windows = batches.windows

    def __len__(self):
        return len(self.batches)

    def gather(self, index):
        batch = self.batches.gather(index)
        return Batch({name: x.double() for name, x in batch.inputs.items()}, batch.present, batch.label)


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule != "dcdp"])
def test_parts_train_like_the_whole(rule, make_network, batches, method):
    found = {}

    def even(network):
        return {"macro_f1": 0.5, "loss": 1.0, "branch_loss": dict.fromkeys(network.branches, 1.0)}

    for parts in (1, 4):
        quiet = ModulationConfig(rule=rule, ogm_ge=OgmGeConfig(noise=0.0), g_blending=GBlendingConfig(super_epoch=1))
        network = make_network().double()
        settings = method(modulation=quiet, accumulate=parts, batch_size=18, epochs=1)
        fit(network, DoubleBatches(batches), *settings, validate=even)
        found[parts] = network.state_dict()
    for name, expected in found[1].items():
        torch.testing.assert_close(found[4][name], expected, rtol=1e-5, atol=1e-6, msg=name)


@pytest.mark.parametrize(
    ("rule", "settings", "message"),
    [
        ("dgl", {"objective": ObjectiveConfig(branch=0.0)}, "modulation.rule='dgl' needs objective.branch above 0"),
        ("g_blending", {"training": TrainingConfig()}, "modulation.rule='g_blending' needs validation"),
        ("mmpareto", {"training": TrainingConfig(compile=True)}, "modulation.rule='mmpareto' takes two backward"),
    ],
)
def test_settings_that_cannot_go_together_are_refused(rule, settings, message):
    with pytest.raises(ConfigError, match=message):
        RunConfig(modulation=ModulationConfig(rule=rule), **settings)
