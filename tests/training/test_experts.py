"""Trees beside a trained network: what they learn from, when they speak, and that they add to it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from dcdp.augmentation import AugmentConfig
from dcdp.batches import Batches
from dcdp.inference import infer
from dcdp.models.network import NetworkConfig
from dcdp.training import add_experts, experts

CONFIG = NetworkConfig(tree_rounds=5)


def test_trees_learn_branch_by_branch_and_add_to_a_network_that_knows_nothing(make_network, every_window):
    network = make_network()
    network.encoders["wrist"].fit(every_window.gather(np.arange(4)).inputs["wrist"])
    before = infer(network, every_window)
    told = []
    add_experts(network, CONFIG, every_window, AugmentConfig(), seed=0, progress=lambda *facts: told.append(facts))
    n = 4 * len(every_window)  # each window and three copies
    assert told[0][1:] == (n, "windows for trees")
    assert (n, n, "windows for trees") in told
    assert [facts for facts in told if facts[2] == "trees"] == [(done, 15, "trees") for done in range(16)]
    after, label = infer(network, every_window), every_window.windows.label
    wrist = after.present[:, 0]
    assert np.mean(after.expert[wrist, 0].argmax(1) == label[wrist]) > 0.9
    right = [np.mean(each.joint[wrist].argmax(1) == label[wrist]) for each in (before, after)]
    assert right[1] > right[0]


def test_the_same_seed_makes_the_same_trees_and_another_does_not(make_network, batches):
    varied = AugmentConfig(vigour=0.3)
    made = []
    for seed in (0, 0, 1):
        network = make_network()
        add_experts(network, CONFIG, batches, varied, seed=seed)
        made.append(torch.cat([expert.trees.value for expert in network.experts]))
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])


def test_trees_are_silent_in_training_and_absent_unless_asked_for(make_network, batches):
    network = make_network()
    add_experts(network, NetworkConfig(tree_rounds=0), batches, AugmentConfig(), seed=0)
    assert network.experts is None
    add_experts(network, CONFIG, batches, AugmentConfig(), seed=0)
    batch = batches.gather(np.arange(4))
    assert network.train()(batch.inputs, batch.present).expert is None
    assert network.eval()(batch.inputs, batch.present).expert.shape == (4, 3, 3)


def test_a_branch_that_nobody_has_learns_nothing_and_harms_nothing(make_network, batches):
    windows = batches.windows
    order = [signal.name for signal in batches.store.spec].index("chest_hr")
    present = windows.present.copy()
    present[:, order] = False
    without = Batches(batches.store, replace(windows, present=present), batches.layouts)
    network = make_network()
    add_experts(network, CONFIG, without, AugmentConfig(), seed=0)
    assert infer(network, without).joint.shape == (len(windows), 3)
    assert np.isfinite(infer(network, without).joint).all()


def test_of_many_windows_so_many_are_drawn_and_copies_follow_originals(monkeypatch):
    rows, is_copy = experts._drawn(10, 0)
    assert rows.tolist()[:10] == list(range(10))
    assert np.bincount(rows).tolist() == [4] * 10
    monkeypatch.setattr(experts, "MOST_ROWS", 25)
    fewer, copies = experts._drawn(10, 0)
    assert len(fewer) == 25
    assert not copies[: (~copies).sum()].any()
    assert set(zip(fewer, copies, strict=True)) <= set(zip(rows, is_copy, strict=True))
