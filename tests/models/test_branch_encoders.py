"""The two waveform paths, and what is hidden from a branch in training."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from dcdp.models.branch import BranchEncoder
from dcdp.models.encoders import DenseEncoder, ResidualEncoder, make_encoder

KINDS = {"residual": ResidualEncoder, "dense": DenseEncoder}
WIDTHS = (8, 12, 16)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n_samples", "stride"), [(150, 2), (150, 1), (375, 5), (37, 1), (3, 1), (1, 1)])
def test_stages_halve_the_time_and_take_their_widths(kind, n_samples, stride):
    encoder = make_encoder(kind, 3, WIDTHS, 5, stride)
    assert type(encoder) is KINDS[kind]
    stages = encoder(torch.randn(2, 3, n_samples))
    assert [stage.shape[1] for stage in stages] == list(WIDTHS)
    lengths = [stage.shape[2] for stage in stages]
    assert lengths[0] == pytest.approx(n_samples / stride, abs=1)
    assert lengths[1:] == [max(length // 2, 1) for length in lengths[:-1]]
    assert all(stage.isfinite().all() for stage in stages)


def test_a_residual_stage_passes_on_what_it_was_given():
    stage = ResidualEncoder(3, (8, 8), 5, 1).stages[1]
    with torch.no_grad():
        for parameter in stage.close.parameters():
            parameter.zero_()
    h = torch.randn(2, 8, 20)
    torch.testing.assert_close(stage(h), nn.functional.gelu(h))


def test_a_dense_stage_reads_all_that_came_before():
    stage = DenseEncoder(3, (8, 8), 5, 1).stages[1]
    ins = [unit[0].in_channels for unit in stage.units]
    growth = stage.units[0][0].out_channels
    assert ins == [8, 8 + growth]
    assert stage.transition[0].in_channels == 8 + len(ins) * growth
    with torch.no_grad():
        for parameter in stage.units.parameters():
            parameter.zero_()
    first, second = stage(torch.randn(1, 8, 20)), stage(torch.randn(1, 8, 20))
    assert not torch.allclose(first, second)  # the input itself reaches the transition, past all units


def make_branch(**dropouts):
    torch.manual_seed(0)
    none = dict.fromkeys(("dropout", "channel_dropout", "feature_dropout", "path_dropout"), 0.0)
    encoder = BranchEncoder("residual", 3, 40, 20.0, (0,), (8, 8), 6, 5, **(none | dropouts))
    encoder.fit(torch.randn(50, 3, 40))
    return encoder.train()


@pytest.mark.parametrize("n_samples", [375, 40, 9, 1])
def test_the_waveform_hands_on_the_means_of_its_parts_in_order(n_samples):
    one, four = (
        BranchEncoder("residual", 3, n_samples, 50.0, (), WIDTHS, 0, 5, 0, 0, 0, 0, pool_segments=n) for n in (1, 4)
    )
    four.load_state_dict(one.state_dict())
    x = torch.randn(2, 3, n_samples)
    (stages, whole), (_, parts) = one.eval()(x), four.eval()(x)
    last = stages[-1]
    torch.testing.assert_close(whole, last.mean(-1))
    assert parts.shape == (2, four.embedding_width) == (2, 4 * WIDTHS[-1])
    if last.shape[-1] >= 4:
        first, end = -(-last.shape[-1] // 4), last.shape[-1] // 4
        torch.testing.assert_close(parts[:, : WIDTHS[-1]], last[..., :first].mean(-1))
        torch.testing.assert_close(parts[:, -WIDTHS[-1] :], last[..., -end:].mean(-1))
    else:
        torch.testing.assert_close(parts.view(2, 4, -1).mean(1), whole)


def test_a_movement_on_the_windows_own_scale_is_seen_however_small_it_is_and_not_its_size():
    encoder = make_branch(instance_norm=True).eval()
    t = torch.linspace(0, 6.28, 40)
    posture = torch.tensor([0.0, 9.8, 0.0])[:, None]
    still, sway = posture.expand(3, 40), torch.stack([t.sin(), t.cos(), (2 * t).sin()])
    shapes = [encoder._views(x[None], torch.ones(1, 3, 1))[:, 3:] for x in (still, posture + sway, posture + 2 * sway)]
    assert shapes[0].abs().max() < 1e-3  # three axes and the vector's length
    assert shapes[0].shape == (1, 4, 40)
    torch.testing.assert_close(shapes[1][:, :3], shapes[2][:, :3], atol=0.02, rtol=0)
    assert shapes[1].abs().amax((0, 2)).min() > 1
    turned = posture + sway[[1, 0, 2]]
    (_, a), (_, b) = encoder((posture + 0.1 * sway)[None]), encoder(turned[None])
    assert not torch.allclose(a, b)


def test_a_vectors_length_is_hidden_with_any_of_its_axes():
    encoder = make_branch(instance_norm=True)
    views = encoder._views(torch.randn(2, 3, 40), torch.tensor([1.0, 0.0, 1.0]).view(1, 3, 1))
    assert views[:, [1, 4, 6]].eq(0).all()
    assert views[:, [0, 2, 3, 5]].ne(0).any(-1).all()


def test_a_hidden_path_is_hidden_alone():
    encoder, x = make_branch(path_dropout=0.8), torch.randn(300, 3, 40)
    _, embedding = encoder(x)
    waveform, statistics = (half.eq(0).all(1) for half in embedding.split([8, 6], 1))
    assert not (waveform & statistics).any()
    assert waveform.float().mean() == pytest.approx(0.4, abs=0.1)
    assert statistics.float().mean() == pytest.approx(0.4, abs=0.1)


def test_a_hidden_waveform_leaves_the_statistics():
    encoder, x = make_branch(path_dropout=0.8, waveform_dropout=0.5), torch.randn(400, 3, 40)
    waveform, statistics = (half.eq(0).all(1) for half in encoder(x)[1].split([8, 6], 1))
    assert not (waveform & statistics).any()
    assert waveform.float().mean() == pytest.approx(0.5 + 0.5 * 0.4, abs=0.1)
    assert statistics.float().mean() == pytest.approx(0.5 * 0.4, abs=0.1)
    assert not encoder.eval()(x)[1][:, :8].eq(0).all(1).any()


def test_a_waveform_that_is_the_only_path_is_not_hidden():
    encoder = BranchEncoder("dense", 3, 40, 20.0, (0,), (8, 8), 0, 5, 0, 0, 0, 0, waveform_dropout=0.9)
    encoder.fit(torch.randn(50, 3, 40))
    assert not encoder.train()(torch.randn(50, 3, 40))[1].eq(0).all(1).any()


def test_hidden_channels_are_hidden_from_both_paths():
    encoder = make_branch(channel_dropout=0.999999)
    _, first = encoder(torch.randn(4, 3, 40))
    _, second = encoder(5 * torch.randn(4, 3, 40))
    torch.testing.assert_close(first, second)
    _, seen = encoder.eval()(torch.randn(4, 3, 40))
    assert not torch.allclose(seen, first)


def test_a_hidden_channel_takes_its_triad_along():
    encoder, x = make_branch(channel_dropout=0.5), torch.randn(400, 3, 40)
    source = encoder.statistics.source
    read = []
    encoder.read[0].register_forward_pre_hook(lambda _, args: read.append(args[0]))
    encoder(x)
    score = read[0][:, : len(source)]
    hidden = torch.stack([(score[:, source == i] == 0).all(1) for i in range(4)], 1)
    assert 0.4 < hidden[:, :3].float().mean() < 0.6
    assert torch.equal(hidden[:, 3], hidden[:, :3].any(1))


@pytest.mark.parametrize(
    "dropout", ["dropout", "channel_dropout", "path_dropout", "feature_dropout", "waveform_dropout"]
)
def test_nothing_is_hidden_in_evaluation(dropout):
    encoder, x = make_branch(**{dropout: 0.5}), torch.randn(8, 3, 40)
    assert not torch.equal(encoder(x)[1], encoder(x)[1])
    encoder.eval()
    assert torch.equal(encoder(x)[1], encoder(x)[1])
