"""What every deep peer keeps to, whatever the sensors: shapes, gradients, seeds, absent branches, and it learns."""

from __future__ import annotations

import pytest
import torch

from dcdp.errors import ConfigError
from dcdp.models.network import BranchLayout, lay_out
from dcdp.models.peers import Recipe, SingleHead, build_peer, get_peer, list_peers
from dcdp.models.peers.side_by_side import MIN_SAMPLES, common_samples
from dcdp.records import Branch, Signal, SignalSpec

N_CLASSES = 4
DEEP = list_peers("deep")
BODIES = {  # window [s], then branch -> its signals as (name, rate [Hz], channels)
    "one wrist": (2.0, {"acc": [("wrist_acc", 25.0, 3)], "gyr": [("wrist_gyr", 25.0, 3)]}),
    "one sensor": (2.0, {"acc": [("waist_acc", 20.0, 3)]}),
    "mixed rates": (2.0, {"acc": [("wrist_acc", 25.0, 3), ("ankle_acc", 25.0, 3)], "emg": [("arm_emg", 32.0, 2)]}),
    "one sample": (1.0, {"acc": [("chest_acc", 40.0, 3)], "hr": [("chest_hr", 1.0, 1)]}),
    "slow alone": (1.0, {"hr": [("chest_hr", 1.0, 1)], "temp": [("wrist_temp", 2.0, 1)]}),
}


def layouts_of(body: str) -> tuple[BranchLayout, ...]:
    window_s, branches = BODIES[body]
    signals, named = [], []
    for branch, sensors in branches.items():
        for name, rate_hz, n in sensors:
            placement, modality = name.split("_")
            signals.append(Signal(name, modality, placement, rate_hz, tuple(f"{name}_{i}" for i in range(n)), "1"))
        named.append(Branch(branch, tuple(name for name, _, _ in sensors), "residual"))
    return lay_out(SignalSpec(tuple(signals)), named, window_s)


def windows_of(layouts, n_windows=6, seed=0):
    draw = torch.Generator().manual_seed(seed)
    inputs = {
        lay.branch.name: 5 + 3 * torch.randn(n_windows, len(lay.channels), lay.n_samples, generator=draw)
        for lay in layouts
    }
    return inputs, torch.ones(n_windows, len(layouts), dtype=torch.bool)


def make(name, layouts, seed=0) -> SingleHead:
    torch.manual_seed(seed)
    network = build_peer(name, layouts, N_CLASSES)
    for branch, x in windows_of(layouts, 40, seed=9)[0].items():
        network.encoders[branch].fit(x)
    return network.eval()


@pytest.fixture(params=DEEP)
def name(request):
    return request.param


@pytest.fixture
def wrist():
    return layouts_of("one wrist")


@pytest.mark.parametrize("body", BODIES)
def test_outputs_have_the_shapes_of_our_network(name, body):
    layouts = layouts_of(body)
    inputs, present = windows_of(layouts)
    outputs = make(name, layouts)(inputs, present, contrast=True)
    assert outputs.joint.shape == (6, N_CLASSES)
    assert outputs.branch.shape == (6, len(layouts), N_CLASSES)
    assert outputs.embedding.shape[:2] == (6, len(layouts))
    assert outputs.stages == ()
    assert torch.isfinite(outputs.joint).all()


def test_a_gradient_reaches_every_weight(name, wrist):
    network = make(name, wrist).train()
    with torch.no_grad():
        for parameter in network.parameters():  # a path that starts shut is opened
            if parameter.ndim == 0:
                parameter.fill_(0.5)
    inputs, present = windows_of(wrist, 16)
    torch.nn.functional.cross_entropy(network(inputs, present).joint, torch.arange(16) % 4).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())
    # a constant before a normalisation is taken out again
    still = [n for n, p in network.named_parameters() if not p.grad.any() and not n.endswith("bias")]
    assert still == []


def test_the_seed_makes_the_weights(name, wrist):
    one, same, other = (make(name, wrist, seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(tensor, same[key]) for key, tensor in one.items())
    assert any(not torch.equal(tensor, other[key]) for key, tensor in one.items())


def test_a_window_does_not_see_its_neighbours_at_test(name, wrist):
    network = make(name, wrist)
    inputs, present = windows_of(wrist)
    whole = network(inputs, present).joint
    alone = network({branch: x[2:3] for branch, x in inputs.items()}, present[2:3]).joint
    torch.testing.assert_close(alone[0], whole[2], rtol=1e-4, atol=1e-5)


def test_what_an_absent_branch_holds_does_not_matter_and_stands_for_its_mean(name, wrist):
    network = make(name, wrist)
    inputs, present = windows_of(wrist)
    present[:, 1] = False
    mean = network.encoders["gyr"].mean.expand(3, 50)
    held = {"acc": inputs["acc"], "gyr": torch.stack([mean] * 6)}
    one = network(inputs, present).joint
    other = network(inputs | {"gyr": torch.full((6, 3, 50), float("nan"))}, present).joint
    filled = network(held, torch.ones_like(present)).joint
    assert torch.equal(one, other)
    torch.testing.assert_close(one, filled)
    assert not torch.allclose(one, network(inputs, torch.ones_like(present)).joint)


def test_training_and_test_differ_by_dropout_alone_where_there_is_any(name, wrist):
    network = make(name, wrist)
    inputs, present = windows_of(wrist)
    assert torch.equal(network(inputs, present).joint, network(inputs, present).joint)
    drops = any(isinstance(m, torch.nn.Dropout) and m.p > 0 for m in network.modules())
    network.train()
    assert torch.equal(network(inputs, present).joint, network(inputs, present).joint) is not drops


def test_one_batch_is_learned_by_heart(name, wrist):
    network = make(name, wrist)
    inputs, present = windows_of(wrist, 16)
    label = torch.arange(16) % N_CLASSES
    network.train()
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if isinstance(module, torch.nn.RNNBase):
            module.dropout = 0.0
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    for _ in range(70):
        loss = torch.nn.functional.cross_entropy(network(inputs, present).joint, label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (network(inputs, present).joint.argmax(1) == label).float().mean() > 0.9


RECIPES = {
    "cnn_har": Recipe("sgd", 0.01, 5e-4),
    "mlp_mixer": Recipe("adamw", 0.01, warmup=0.05, clip_norm=1.0),
    "tinierhar": Recipe("adamw", 0.001, 0.01),
}
DROPOUTS = {
    "attend_discriminate": [0.25, 0.5],
    "cnn_har": [],
    "deepconv_lstm": [0.5, 0.5],
    "dynamic_whar": [0.6, 0.6],
    "mlp_mixer": [],
    "tinierhar": [0.3],
    "tinyhar": [0.1],
}


def test_every_deep_peer_has_the_recipe_of_its_programme_and_a_paper(name):
    peer = get_peer(name)
    assert peer.recipe == RECIPES.get(name, Recipe("adamw", 0.001))
    assert peer.paper[-4:].isdigit()


def test_dropout_is_as_strong_as_in_the_paper(name, wrist):
    network = make(name, wrist)
    found = [m.p for m in network.modules() if isinstance(m, torch.nn.Dropout)]
    found += [m.dropout for m in network.modules() if isinstance(m, torch.nn.RNNBase) and m.dropout > 0]
    assert sorted(found) == DROPOUTS[name]


def test_the_registry_names_the_nearest_and_refuses_what_is_no_network(wrist):
    assert list_peers() == tuple(sorted(list_peers()))
    assert set(list_peers("classical")) | set(DEEP) == set(list_peers())
    with pytest.raises(ConfigError, match=r"peer must be one of .*: got 'tinyhat'. Did you mean 'tinyhar'"):
        get_peer("tinyhat")
    with pytest.raises(ConfigError, match="only a deep peer is a network: got 'forest'"):
        build_peer("forest", wrist, 3)


def test_windows_have_the_samples_of_the_fastest_branch_but_never_too_few():
    assert common_samples(layouts_of("mixed rates")) == 64
    assert common_samples(layouts_of("slow alone")) == MIN_SAMPLES
