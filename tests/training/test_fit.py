"""The training loop: it learns, it repeats itself, it stops in time, and without modulation it is plain training."""

from __future__ import annotations

import json
import math
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from dcdp.augmentation import AugmentConfig
from dcdp.balance import ModulationConfig
from dcdp.batches import Batches
from dcdp.errors import ConfigError
from dcdp.inference import infer
from dcdp.objectives import ObjectiveConfig, objective
from dcdp.training import TrainingConfig, fit

PLAIN = ModulationConfig(alpha=0.0, momentum=0.0)
N_BATCH = 24


def weights(network):
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def same(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


def trained(network, batches, settings, **options):
    fit(network, batches, *settings, **options)
    return weights(network)


class Referee:
    """Stands in for validation: gives out scores one by one and remembers the weights it saw."""

    def __init__(self, *scores):
        self.scores, self.seen = list(scores), []

    def __call__(self, network):
        self.seen.append(weights(network))
        return {"macro_f1": self.scores[len(self.seen) - 1]}


def test_one_batch_is_learned_by_heart(make_network, batches, method):
    few = Batches(batches.store, batches.windows.take(np.arange(0, len(batches), 4)), batches.layouts)
    network, settings = make_network(), method(epochs=40, batch_size=len(few), learning_rate=1e-2)
    assert (infer(network, few).joint.argmax(1) == few.windows.label).mean() < 0.7
    fit(network, few, *settings)
    found = infer(network, few)
    assert (found.joint.argmax(1) == few.windows.label).all()
    assert found.probability()[np.arange(len(few)), few.windows.label].mean() > 0.8


def test_the_seed_alone_decides(make_network, batches, method):
    settings = method(augment=AugmentConfig(10.0, 0.05))
    results = []
    for seed in (3, 3, 4):
        network = make_network(dropout=True)
        torch.manual_seed(len(results))  # where the global generator stands must not matter
        results.append(trained(network, batches, settings, seed=seed, branch_dropout=0.2))
    assert same(results[0], results[1])
    assert not same(results[0], results[2])


@pytest.mark.parametrize(("optimizer", "acts_on"), [("adamw", "auto"), ("sgd", "auto"), ("adamw", "own")])
def test_alpha_and_momentum_zero_are_plain_training_to_the_bit(optimizer, acts_on, make_network, batches, method):
    settings = method(modulation=replace(PLAIN, acts_on=acts_on), optimizer=optimizer, average=0.0)
    network = make_network(dropout=True)
    twin = deepcopy(network)
    train_plainly(twin, batches, settings[0], settings[1], seed=5)
    assert same(weights(twin), trained(network, batches, settings, seed=5))
    modulated = method(modulation=ModulationConfig(acts_on=acts_on), optimizer=optimizer, average=0.0)
    assert not same(weights(twin), trained(make_network(dropout=True), batches, modulated, seed=5))


def train_plainly(network, batches, config, objective_config, seed):
    """Train as any tutorial would: no modulator, one parameter group."""
    everything = batches.gather(np.arange(len(batches)))
    for m, (name, encoder) in enumerate(network.encoders.items()):
        encoder.fit(everything.inputs[name][everything.present[:, m]])
    make = {"adamw": torch.optim.AdamW, "sgd": lambda p, **options: torch.optim.SGD(p, momentum=0.9, **options)}
    optimizer = make[config.optimizer](network.parameters(), lr=1.0, weight_decay=config.weight_decay)
    n_steps, step = len(batches) // config.batch_size, 0
    network.train()
    for epoch in range(config.epochs):
        order = np.random.default_rng((seed, epoch)).permutation(len(batches))
        for index in order[: n_steps * config.batch_size].reshape(n_steps, -1):
            done = step / (config.epochs * n_steps)
            torch.manual_seed(int(np.random.SeedSequence((seed, step)).generate_state(1, np.uint64)[0] >> 1))
            batch = batches.gather(index)
            outputs = network(batch.inputs, batch.present, contrast=True)
            loss, _ = objective(outputs, batch.label, batch.present, objective_config, done)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), config.clip_norm)
            optimizer.param_groups[0]["lr"] = config.learning_rate * (
                max(done / config.warmup, 0.02)
                if done < config.warmup
                else max(0.5 * (1 + math.cos(math.pi * ((done - config.warmup) / (1 - config.warmup)))), 1e-3)
            )
            optimizer.step()
            step += 1


def test_the_best_epoch_is_kept_and_patience_ends_it(make_network, batches, method):
    network, referee = make_network(), Referee(0.1, 0.5, 0.3, 0.5, 0.9)
    result = fit(network, batches, *method(epochs=9, patience=2), validate=referee)
    assert (result.epochs, result.best_epoch) == (4, 1)
    assert result.steps == 4 * (len(batches) // N_BATCH)
    assert result.validation == {"macro_f1": 0.5}
    assert same(weights(network), referee.seen[1])
    assert not same(referee.seen[1], referee.seen[3])
    assert not network.training


def test_without_validation_it_trains_to_the_end(make_network, batches, method):
    result = fit(make_network(), batches, *method(epochs=3, patience=1))
    assert (result.epochs, result.best_epoch) == (3, 2)
    assert result.windows_per_s > 0


def test_stopping_at_an_epoch_is_the_beginning_of_the_whole(make_network, batches, method):
    referee = Referee(0.1, 0.2, 0.3)
    fit(make_network(), batches, *method(epochs=3), validate=referee)
    network = make_network()
    result = fit(network, batches, *method(epochs=3), stop_epoch=2)
    assert (result.epochs, result.best_epoch) == (2, 1)
    assert same(weights(network), referee.seen[1])


def test_mean_weights_are_what_is_kept(make_network, batches, method):
    live = trained(make_network(), batches, method(average=0.0))
    mean = trained(make_network(), batches, method(average=0.9))
    again = trained(make_network(), batches, method(average=0.9, epochs=4), stop_epoch=2)
    assert not same(live, mean)
    assert not same(again, mean)  # another schedule
    start = weights(make_network())
    distance = {
        name: sum((found[n] - start[n]).square().sum() for n, _ in make_network().named_parameters())
        for name, found in (("live", live), ("mean", mean))
    }
    assert distance["mean"] < distance["live"]


def test_bfloat16_trains(make_network, batches, method):
    network = make_network()
    found = trained(network, batches, method(precision="bfloat16"))
    assert all(tensor.dtype == torch.float32 and tensor.isfinite().all() for tensor in found.values())
    assert not same(found, trained(make_network(), batches, method()))


def test_clipping_bounds_a_step(make_network, batches, method):
    options = {"optimizer": "sgd", "weight_decay": 0.0, "average": 0.0, "epochs": 1, "batch_size": 90}
    start = make_network()
    moved = {}
    for clip in (0.0, 1e-3):
        network = make_network()
        fit(network, batches, *method(clip_norm=clip, learning_rate=1.0, warmup=0.0, **options))
        steps = [(p - q).norm() for p, q in zip(network.parameters(), start.parameters(), strict=True)]
        moved[clip] = torch.stack(steps).norm().item()
    assert moved[1e-3] == pytest.approx(1e-3, rel=1e-3)
    assert moved[0.0] > 1e-2


def test_branches_are_hidden_but_never_all(make_network, batches, method):
    network, seen = make_network(), []
    network.register_forward_pre_hook(lambda _, args: seen.append(args[1].clone()) if network.training else None)
    fit(network, batches, *method(epochs=4), branch_dropout=0.6, seed=1)
    present = torch.cat(seen)
    assert present.any(1).all()
    index = np.concatenate([order_of(batches, epoch, seed=1) for epoch in range(4)])
    recorded = torch.from_numpy(batches.present[index])
    assert not (present & ~recorded).any()
    hidden = (recorded & ~present).sum() / recorded.sum()
    assert 0.3 < hidden < 0.6  # less than 0.6: where none was left, all came back


def order_of(batches, epoch, seed):
    n_kept = len(batches) // N_BATCH * N_BATCH
    return np.random.default_rng((seed, epoch)).permutation(len(batches))[:n_kept]


def test_normalisers_are_fitted_on_what_was_recorded(make_network, batches, method):
    network = make_network()
    fit(network, batches, *method(epochs=1))
    batch = batches.gather(np.arange(len(batches)))
    wrist = batch.inputs["wrist"][batch.present[:, 0]]
    found = network.encoders["wrist"].channel_normaliser
    assert wrist.isnan().any()  # somebody wore no gyroscope
    for channel, values in enumerate(wrist.transpose(0, 1).flatten(1).double()):
        expected = values[~values.isnan()]
        torch.testing.assert_close(found.mean[channel, 0].double(), expected.mean(), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(found.std[channel, 0].double(), expected.std(), rtol=1e-2, atol=1e-2)


def test_progress_counts_every_step(make_network, batches, method):
    told = []
    fit(make_network(), batches, *method(epochs=2), progress=lambda *facts: told.append(facts))
    n_steps = 2 * (len(batches) // N_BATCH)
    assert [done for done, _, _ in told] == list(range(1, n_steps + 1))
    assert {total for _, total, _ in told} == {n_steps}
    assert told[-1][2] == "epoch 2/2"


def test_the_history_has_a_line_for_every_step_and_epoch(make_network, batches, method, tmp_path):
    settings = method(epochs=4)
    referee = Referee(0.2, 0.4, 0.3, 0.1)
    fit(make_network(), batches, *settings, validate=referee, folder=tmp_path / "deep" / "folder")
    lines = [json.loads(line) for line in (tmp_path / "deep/folder/history.jsonl").read_text().splitlines()]
    steps, epochs = ([line for line in lines if line["kind"] == kind] for kind in ("step", "epoch"))
    per_epoch = len(batches) // N_BATCH
    assert [line["step"] for line in steps] == list(range(4 * per_epoch))
    assert [line["epoch"] for line in steps] == [e for e in range(4) for _ in range(per_epoch)]
    names = {"wrist", "ankle", "hr"}
    for line in steps:
        assert set(line) == {
            "kind", "epoch", "step", "loss", "confidence", "discrepancy", "coefficient", "learning_rate",
        }  # fmt: skip
        assert set(line["loss"]) == {"total", "joint", "branch", "contrast", "stage_1", "stage_2", "stage_3"}
        assert set(line["confidence"]) == set(line["discrepancy"]) == set(line["coefficient"]) == names
        assert all(0 < value <= 1 for value in (*line["confidence"].values(), *line["coefficient"].values()))
        loss = line["loss"]
        expected = loss["joint"] + loss["branch"] + settings[1].contrast * loss["contrast"]
        assert loss["total"] == pytest.approx(expected, rel=1e-3)
    for number, line in enumerate(epochs):
        assert set(line) == {"kind", "epoch", "step", "seconds", "train_loss", "validation", "best"}
        assert (line["epoch"], line["step"]) == (number, (number + 1) * per_epoch)
        own = [step["loss"]["total"] for step in steps if step["epoch"] == number]
        assert line["train_loss"] == pytest.approx(np.mean(own), rel=1e-3)
    assert [line["best"] for line in epochs] == [True, True, False, False]
    assert [line["validation"]["macro_f1"] for line in epochs] == [0.2, 0.4, 0.3, 0.1]


def test_the_learning_rate_rises_and_falls(make_network, batches, method, tmp_path):
    fit(make_network(), batches, *method(epochs=10, warmup=0.25, learning_rate=0.004), folder=tmp_path)
    lines = map(json.loads, (tmp_path / "history.jsonl").read_text().splitlines())
    rates = [line["learning_rate"] for line in lines if line["kind"] == "step"]
    peak = int(np.argmax(rates))
    assert peak / len(rates) == pytest.approx(0.25, abs=0.05)
    assert rates[peak] == pytest.approx(0.004, rel=0.02)
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert 0 < rates[-1] < 0.0002


def test_contrast_that_is_off_is_not_computed(make_network, batches, method):
    network = make_network()
    start = weights(network)
    found = trained(network, batches, method(objective=ObjectiveConfig(contrast=0.0), average=0.0))
    moved = {name for name in start if not torch.equal(start[name], found[name])}
    assert not any(name.startswith("project.") for name in moved)
    assert any(name.startswith("joint.") for name in moved)


def test_fewer_windows_than_a_batch_are_one_batch(make_network, batches, method):
    few = Batches(batches.store, batches.windows.take(np.arange(5)), batches.layouts)
    assert fit(make_network(), few, *method(epochs=2, batch_size=500)).steps == 2


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epochs": 0}, "training.epochs must be at least 1: got 0"),
        ({"batch_size": 0}, "training.batch_size"),
        ({"accumulate": -1}, "training.accumulate"),
        ({"average": 1.0}, r"training.average must be in \[0, 1\)"),
        ({"warmup": -0.1}, "training.warmup"),
        ({"learning_rate": 0.0}, "training.learning_rate must be positive"),
        ({"learning_rate": math.nan}, "training.learning_rate must be positive"),
    ],
)
def test_settings_that_cannot_train_are_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        TrainingConfig(**values)


def test_a_loss_that_leaves_the_numbers_ends_training(make_network, batches, method):
    settings = method(optimizer="sgd", learning_rate=1e30, clip_norm=0.0, epochs=2)
    with pytest.raises(ConfigError, match=r"the loss must stay finite: got \S+ at step \d+. Lower training"):
        fit(make_network(), batches, *settings)


def test_training_is_shorter_with_fewer_people_to_learn_from(make_network, batches, method):
    per_epoch = max(1, len(batches) // 8)
    people = len(np.unique(batches.windows.subject))
    settings = method(epochs=50, batch_size=8, steps_per_subject=2 * per_epoch)
    result = fit(make_network(), batches, *settings)
    assert result.steps == 2 * per_epoch * people
