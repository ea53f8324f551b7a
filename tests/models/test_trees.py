"""Boosted trees as tensors: LightGBM as the oracle, what they read, and when they have a say."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dcdp.errors import BundleError, ConfigError
from dcdp.models.dual_path import EXPERT_WEIGHT
from dcdp.models.network import NetworkConfig, build_experts, build_network, resolve_network
from dcdp.models.peers.gradient_boosting import fit_boosting, predict_boosting
from dcdp.models.trees import MAX_DEPTH, BoostedTrees, TreeExpert

FLOOR = 1e-4


@pytest.fixture(scope="module")
def boosted():
    """Return a LightGBM model of classes 0, 1 and 3 of 4, the trees made of it, and its features."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(600, 6)).round(1).astype(np.float32)  # many fall on a threshold
    label = np.array([0, 1, 3])[(features[:, 0] * features[:, 1] > 0).astype(int) + (features[:, 2] > 0.5)]
    model, classes = fit_boosting(features, label, 0, n_rounds=7, max_depth=MAX_DEPTH)
    trees = BoostedTrees(6, 4, 7)
    trees.load_trees(model.dump_model(), classes.tolist(), torch.full((6,), 0.3))
    return model, classes, trees, features


def test_trees_say_what_lightgbm_says(boosted):
    model, classes, trees, features = boosted
    said = trees(torch.from_numpy(features)).numpy()
    expected = np.log(predict_boosting(model, classes, features, 4) + FLOOR)
    np.testing.assert_allclose(said, expected, atol=2e-5)


def test_a_value_just_above_or_on_a_threshold_goes_the_way_it_does_there(boosted):
    model, classes, trees, _ = boosted
    thresholds = trees.value[trees.feature < 6].double().numpy()
    thresholds = thresholds[np.abs(thresholds) > 1e-30]  # LightGBM takes what is smaller than 1e-35 for 0
    on = np.repeat(thresholds[:, None], 6, 1).astype(np.float32)
    rows = np.concatenate([on, np.nextafter(on, np.float32(np.inf)), np.nextafter(on, np.float32(-np.inf))])
    expected = np.log(predict_boosting(model, classes, rows, 4) + FLOOR)
    np.testing.assert_allclose(trees(torch.from_numpy(rows)).numpy(), expected, atol=2e-5)


def test_windows_walk_alone_as_they_do_together(boosted):
    _, _, trees, features = boosted
    x = torch.from_numpy(features[:130])
    torch.testing.assert_close(trees(x), torch.cat([trees(row[None]) for row in x]))
    assert trees(x[:0]).shape == (0, 4)


def test_what_is_not_known_is_the_mean(boosted):
    _, _, trees, features = boosted
    gap, filled = torch.from_numpy(features[:5].copy()), torch.from_numpy(features[:5].copy())
    gap[:, 2], filled[:, 2] = torch.nan, 0.3
    assert torch.equal(trees(gap), trees(filled))


def test_nodes_in_use_are_counted(boosted):
    model, _, trees, _ = boosted
    leaves = [tree["num_leaves"] for tree in model.dump_model()["tree_info"]]
    assert trees.n_nodes == sum(2 * n - 1 for n in leaves) + 7  # and a root for each round of the class nobody had


@pytest.mark.parametrize(("name", "bad"), [("feature", 7), ("feature", -1), ("left", 61), ("left", -2), ("left", 60)])
def test_trees_that_lead_elsewhere_are_refused(boosted, name, bad):
    copy = BoostedTrees(6, 4, 7)
    copy.load_state_dict(boosted[2].state_dict())
    copy.require_whole()
    getattr(copy, name)[3, 0] = bad
    what = {"left": "child"}.get(name, name)
    with pytest.raises(BundleError, match=f"every '{what}' of a tree must be from 0 to"):
        copy.require_whole()


def test_statistics_keep_the_order_of_the_parts_and_only_turn_with_it():
    expert = TreeExpert(3, (0,), 40, 20.0, 2, 1)
    x = torch.randn(5, 3, 40)
    n, n_series = expert.statistics.n_features, 4
    forward, backward = (expert.describe(each)[:, n:].view(5, 2, n_series, 4) for each in (x, x.flip(-1)))
    torch.testing.assert_close(backward, forward.flip(-1))
    assert not torch.allclose(forward, forward.flip(-1), atol=0.05)
    assert torch.equal(expert.describe(x)[:, :n], expert.statistics(x))


def test_an_absent_channel_hides_what_is_read_from_it_and_no_more():
    expert = TreeExpert(4, (0,), 40, 20.0, 2, 1)  # a vector and a scalar
    x = torch.randn(2, 4, 40)
    gap = x.clone()
    gap[1, 1] = torch.nan
    whole, holed = expert.describe(x), expert.describe(gap)
    assert torch.equal(whole[0], holed[0])
    missing = holed[1].isnan()
    assert torch.equal(whole[1][~missing], holed[1][~missing])
    assert not whole.isnan().any()
    parts = missing[expert.statistics.n_features :].view(2, 5, 4)[:, :, 0]
    assert parts.tolist() == [[False, True, False, False, True]] * 2  # its own series and the vector's length


@pytest.mark.parametrize("n_samples", [1, 2, 3, 5, 9])
def test_windows_of_few_samples_have_statistics(n_samples):
    expert = TreeExpert(1, (), n_samples, 1.0, 2, 1)
    statistics = expert.describe(torch.ones(2, 1, n_samples))
    assert statistics.shape == (2, len(expert.trees.mean))
    assert statistics.isfinite().all()


def test_an_absent_branch_has_no_say(make_layouts):
    network = build_network(make_layouts(["residual", "dense"]), 4, NetworkConfig(preset="tiny")).eval()
    embedding, opinion = torch.randn(3, 2, network.fuse.bias.shape[1]), torch.randn(3, 2, 4)
    present = torch.tensor([[True, True], [True, False], [False, True]])
    plain = network.classify(embedding * present[..., None], present)
    said = network.classify(embedding * present[..., None], present, opinion)
    share = present / present.sum(1, keepdim=True)
    torch.testing.assert_close(said, plain + EXPERT_WEIGHT * (opinion * share[..., None]).sum(1))


@pytest.mark.parametrize("settings", [{}, {"statistics": "extended"}, {"statistics_width": 0}])
def test_statistics_that_are_shared_with_the_network_change_nothing(make_layouts, make_inputs, settings):
    config, layouts = NetworkConfig(preset="tiny", tree_rounds=2, **settings), make_layouts(["residual", "dense"])
    network, experts = build_network(layouts, 3, config).eval(), build_experts(layouts, 3, config)
    for expert in experts:
        expert.trees.left.copy_(torch.arange(expert.trees.left.shape[1]))
        expert.trees.left[:, 0] = 1
        expert.trees.value.normal_()
        expert.trees.feature[:, 0] = torch.arange(6)  # mean and quantiles
    network.experts = experts
    inputs = make_inputs(layouts, 20)
    next(iter(inputs.values()))[:10, 1, 3:] = torch.nan
    out = network(inputs, torch.ones(20, 2, dtype=torch.bool))
    alone = torch.stack([expert(x) for expert, x in zip(experts, inputs.values(), strict=True)], 1)
    encoded = torch.stack([network.encoders[name](x)[1] for name, x in inputs.items()], 1)
    assert torch.equal(out.expert, alone)
    assert torch.equal(out.encoded, encoded)
    assert len(alone.unique(dim=0)) > 1


def test_a_configuration_without_rounds_has_no_trees_and_negative_ones_are_refused(make_layouts):
    layouts = make_layouts(["residual", "dense"])
    assert build_experts(layouts, 3, NetworkConfig(tree_rounds=0)) is None
    experts = build_experts(layouts, 3, NetworkConfig(tree_rounds=5))
    assert [len(expert.trees.left) for expert in experts] == [15] * len(layouts)
    with pytest.raises(ConfigError, match=r"network\.tree_rounds must not be negative: got -1"):
        resolve_network(NetworkConfig(tree_rounds=-1))
