"""What every network keeps to, for every preset, kind of encoder and number of branches."""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import product

import pytest
import torch

from dcdp.models.network import NetworkConfig, NetworkShape, build_network, lay_out
from dcdp.objectives import ObjectiveConfig, objective
from dcdp.records import Branch, Signal, SignalSpec

N_CLASSES = 4
N_WINDOWS = 6
R, D = "residual", "dense"
CHOICES = [
    ("tiny", (R, D)),
    ("tiny", (D, D)),
    ("tiny", (R, R, D)),
    ("tiny", (D, R, D, R)),
    ("tiny", (R, D, D, D, R)),
    ("base", (R, D)),
    ("paper", (R, D)),
]
DROPOUTS = [field.name for field in fields(NetworkShape) if field.name.endswith("dropout")]
NO_DROPOUT = dict.fromkeys(DROPOUTS, 0.0)
SHAPES = {  # beside the presets: one path alone, other depths
    "waveforms alone": {"statistics_width": 0},
    "statistics alone": {"widths": ()},
    "fixed convolutions too": {"rocket_width": 16},
    "fixed convolutions alone": {"widths": (), "statistics_width": 0, "rocket_width": 16},
    "one stage": {"widths": (8,)},
    "four stages": {"widths": (8, 8, 16, 16), "segments": (4, 2, 1, 1)},
}


@pytest.fixture(params=CHOICES, ids=lambda choice: f"{choice[0]}-{''.join(kind[0] for kind in choice[1])}")
def choice(request, make_layouts):
    """Return a preset and branches."""
    preset, kinds = request.param
    return preset, make_layouts(kinds)


@pytest.fixture
def built(choice, make_inputs):
    """Return a fitted network in evaluation mode, windows for it, and their presence."""
    preset, layouts = choice
    return make(layouts, make_inputs, preset=preset)


def make(layouts, make_inputs, seed=0, fit=True, **config):
    """Return a network in evaluation mode, fitted on other windows than those returned beside it."""
    torch.manual_seed(seed)
    network = build_network(layouts, N_CLASSES, NetworkConfig(**config))
    if fit:
        for name, x in make_inputs(layouts, 40, seed=9).items():
            network.encoders[name].fit(x)
    inputs = make_inputs(layouts, N_WINDOWS)
    return network.eval(), inputs, torch.ones(N_WINDOWS, len(layouts), dtype=torch.bool)


def total(outputs, present, n_stages=3):
    label = torch.arange(len(present)) % 2
    config = ObjectiveConfig(contrast=1.0)
    if n_stages != 3:
        stages = {"positives": ("window",), "negatives": ("all",), "temperatures": (0.1,), "weights": (1.0,)}
        config = replace(
            config, contrast_config=replace(config.contrast_config, **{k: v * n_stages for k, v in stages.items()})
        )
    return objective(outputs, label, present, config, 0.5)[0]


def test_outputs_have_the_promised_shapes(built):
    network, inputs, present = built
    outputs = network(inputs, present, contrast=True)
    n_branches, width = len(inputs), network.fuse.weight.shape[-1]
    assert network.branches == tuple(inputs)
    assert outputs.joint.shape == (N_WINDOWS, N_CLASSES)
    assert outputs.branch.shape == (N_WINDOWS, n_branches, N_CLASSES)
    assert outputs.embedding.shape == (N_WINDOWS, n_branches, width)
    assert [stage.shape[:3] for stage in outputs.stages] == [(N_WINDOWS, n_branches, s) for s in (2, 1, 1)]
    for stage in outputs.stages:
        torch.testing.assert_close(stage.norm(dim=-1), torch.ones(stage.shape[:3]))
    assert network(inputs, present).stages == ()


def idle(network):
    """Name the parameters without a gradient; of those with one layer a branch, also where one branch has none."""
    names = []
    for name, p in network.named_parameters():
        shared = name.startswith(("encoders", "joint"))
        size = torch.zeros(1) if p.grad is None else p.grad.abs().flatten(0 if shared else 1).sum(-1)
        names += [name] if not (size > 0).all() else []
    return names


def test_every_parameter_gets_a_gradient(built):
    network, inputs, present = built
    total(network(inputs, present, contrast=True), present).backward()
    assert idle(network) == []


@pytest.mark.parametrize("shape", SHAPES)
def test_other_shapes_have_no_idle_parameter_either(shape, make_layouts, make_inputs):
    network, inputs, present = make(make_layouts((R, D, D)), make_inputs, preset="tiny", **SHAPES[shape])
    outputs = network(inputs, present, contrast=True)
    assert len(outputs.stages) == len(network.segments) == max(len(network.encoders["acc"].stage_widths), 1)
    total(outputs, present, len(outputs.stages)).backward()
    assert idle(network) == []


def test_without_contrast_only_its_projections_rest(built):
    network, inputs, present = built
    outputs = network(inputs, present)
    (outputs.joint.sum() + outputs.branch.square().sum()).backward()
    resting = {name for name, p in network.named_parameters() if p.grad is None}
    assert resting == {name for name, _ in network.named_parameters() if name.startswith("project.")}
    assert set(idle(network)) == resting


def test_one_seed_one_network(make_layouts, make_inputs):
    layouts = make_layouts((R, D, D))
    first, again, other = (make(layouts, make_inputs, seed, fit=False)[0].state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["joint.1.weight"], other["joint.1.weight"])


def test_weights_carry_the_whole_network(built, choice, make_inputs):
    network, inputs, present = built
    preset, layouts = choice
    twin, *_ = make(layouts, make_inputs, seed=5, fit=False, preset=preset)
    assert not torch.equal(twin(inputs, present).joint, network(inputs, present).joint)
    twin.load_state_dict(network.state_dict())
    for found, expected in zip(flat(twin(inputs, present, True)), flat(network(inputs, present, True)), strict=True):
        assert torch.equal(found, expected)


def flat(outputs):
    return [outputs.joint, outputs.branch, outputs.embedding, *outputs.stages]


def test_a_batch_of_one_can_be_trained_on(built):
    network, inputs, present = built
    network.train()
    outputs = network({name: x[:1] for name, x in inputs.items()}, present[:1], contrast=True)
    total(outputs, present[:1]).backward()
    assert all(tensor.isfinite().all() for tensor in flat(outputs))
    assert all(p.grad.isfinite().all() for p in network.parameters())


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("preset", ["tiny", "base", "paper"])
def test_windows_of_a_batch_do_not_touch_each_other(preset, mode, make_layouts, make_inputs):
    network, inputs, present = make(make_layouts((R, D, D, R)), make_inputs, preset=preset, **NO_DROPOUT)
    network.train(mode == "train")
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    outputs = flat(network(inputs, present, contrast=True))
    moved = flat(network({name: x[order] for name, x in inputs.items()}, present[order], contrast=True))
    alone = flat(network({name: x[:1] for name, x in inputs.items()}, present[:1], contrast=True))
    for whole, shuffled, single in zip(outputs, moved, alone, strict=True):
        torch.testing.assert_close(shuffled, whole[order], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(single, whole[:1], rtol=1e-4, atol=1e-4)


def test_evaluation_draws_nothing(built):
    network, inputs, present = built
    assert torch.equal(network(inputs, present).joint, network(inputs, present).joint)
    network.train()
    assert not torch.equal(network(inputs, present).joint, network(inputs, present).joint)


def test_what_stands_in_an_absent_branch_does_not_matter(built):
    network, inputs, present = built
    absent = torch.arange(N_WINDOWS) % len(inputs)
    present[torch.arange(N_WINDOWS), absent] = False
    other = {name: x.clone() for name, x in inputs.items()}
    for window, m in enumerate(absent.tolist()):
        other[network.branches[m]][window] = 1e4 * torch.randn_like(other[network.branches[m]][window])
    first, second = network(inputs, present, contrast=True), network(other, present, contrast=True)
    assert torch.equal(first.joint, second.joint)
    assert torch.equal(first.embedding, second.embedding)
    assert torch.equal(first.branch[present], second.branch[present])
    assert torch.equal(total(first, present), total(second, present))
    assert not torch.equal(first.branch[~present], second.branch[~present])


def test_an_absent_branch_gets_no_gradient(built):
    network, inputs, present = built
    present[:, 0] = False
    total(network(inputs, present, contrast=True), present).backward()
    absent, busy = network.branches[0], network.branches[1]
    assert all(p.grad is None or (p.grad == 0).all() for p in network.encoders[absent].parameters())
    assert all((p.grad != 0).any() for p in network.encoders[busy].parameters())
    assert all((layer.weight.grad[0] == 0).all() for layer in (network.heads, network.fuse, *network.project))
    assert all((layer.weight.grad[1] != 0).any() for layer in (network.heads, network.fuse))


def test_any_branches_that_are_left_predict(built):
    network, inputs, present = built
    embedding, answers = network(inputs, present).embedding, []
    for used in product((False, True), repeat=len(inputs)):
        if any(used):
            answers.append(network(inputs, present & torch.tensor(used)).joint)
            assert answers[-1].isfinite().all()
            assert torch.equal(answers[-1], network.classify(embedding, torch.tensor([used])))
    assert len({tuple(answer.flatten().tolist()) for answer in answers}) == len(answers)


def test_stages_are_means_of_time_segments_projected(built):
    network, inputs, present = built
    found = network(inputs, present, contrast=True).stages
    for m, name in enumerate(network.branches):
        features, embedding = network.encoders[name](inputs[name])
        for k, n_segments in enumerate((2, 1, 1)):
            level = [*features[:-1], embedding.unsqueeze(-1)][k]
            size = level.shape[-1] // n_segments
            for s in range(n_segments):
                # a level shorter than the segments (a slow sensor) repeats its samples
                part = level[..., s * size : (s + 1) * size] if size else level
                z = part.mean(-1) @ network.project[k].weight[m]
                torch.testing.assert_close(found[k][:, m, s], z / z.norm(dim=-1, keepdim=True), rtol=1e-3, atol=1e-5)


def test_heads_read_their_own_branch(built):
    network, inputs, present = built
    outputs = network(inputs, present)
    for m, name in enumerate(network.branches):
        _, embedding = network.encoders[name](inputs[name])
        for layer, found in ((network.heads, outputs.branch), (network.fuse, outputs.embedding)):
            expected = embedding @ layer.weight[m] + layer.bias[m]
            torch.testing.assert_close(found[:, m], expected, rtol=1e-4, atol=1e-5)


def test_own_scale_reaches_the_encoders_from_their_own_heads_alone(built):
    network, inputs, present = built
    scale = torch.linspace(0.25, 2.0, len(inputs))
    gradients = {}
    for head, factors in product(("branch", "joint"), (None, scale)):
        network.zero_grad()
        outputs = network(inputs, present, own_scale=factors)
        assert torch.equal(outputs.branch, network(inputs, present).branch)
        getattr(outputs, head).square().sum().backward()
        named = network.named_parameters()
        gradients[head, factors is scale] = {n: p.grad.clone() for n, p in named if p.grad is not None}
    for name, plain in gradients["branch", False].items():
        m = network.branches.index(name.split(".")[1]) if name.startswith("encoders.") else None
        expected = plain if m is None else plain * scale[m]
        small = 1e-5 * plain.abs().max().item()
        torch.testing.assert_close(gradients["branch", True][name], expected, rtol=1e-3, atol=small)
    assert all(torch.equal(g, gradients["joint", True][name]) for name, g in gradients["joint", False].items())


def test_the_joint_head_sees_a_missing_branch_as_dropout_would():
    """Embeddings that remain are scaled by M over their number: a joint head of equal parts gives the same logits."""
    names = ("wrist_acc", "wrist_gyr")
    spec = SignalSpec(tuple(Signal(n, n[-3:], "wrist", 20.0, (f"{n}_x",), "1") for n in names))
    layouts = lay_out(spec, [Branch(name, (name,)) for name in names], 2.0)
    network = build_network(layouts, 3, NetworkConfig("tiny", **NO_DROPOUT))
    width = network.fuse.weight.shape[-1]
    with torch.no_grad():
        network.joint[1].weight[:, width:] = network.joint[1].weight[:, :width]
    embedding = torch.randn(4, 1, width).expand(4, 2, width)
    both, one = torch.tensor([[True, True]]), torch.tensor([[False, True]])
    torch.testing.assert_close(network.classify(embedding, one), network.classify(embedding, both))
