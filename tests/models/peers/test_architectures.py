"""What is special to each network of the papers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from dcdp.models.network import lay_out
from dcdp.models.peers.attend_discriminate import AttendDiscriminate
from dcdp.models.peers.attention import ChannelAttention, TimeAttention
from dcdp.models.peers.cnn_har import CnnHar, _AcrossMaps
from dcdp.models.peers.deepconv_lstm import DeepConvLstm
from dcdp.models.peers.dynamic_whar import SensorGraph, sensor_nodes
from dcdp.models.peers.mlp_mixer import MlpMixer
from dcdp.models.peers.side_by_side import Resampler
from dcdp.models.peers.tinierhar import TinierHar
from dcdp.models.peers.tinyhar import TinyHar
from dcdp.records import Branch, Signal, SignalSpec


def n_parameters(network):
    return sum(parameter.numel() for parameter in network.parameters())


def convolutions(*layers):
    """Weights and constants of layers given as (inputs, maps, kernel)."""
    return sum(n_in * n_out * kernel + n_out for n_in, n_out, kernel in layers)


def recurrent(gates, n_in, units):
    """Weights and both constants of a recurrent layer."""
    return gates * units * (n_in + units + 2)


def random_windows(n_channels=6, n_samples=60, n_windows=3, seed=0):
    return torch.randn(n_windows, n_channels, n_samples, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.mark.parametrize(("n_channels", "n_classes"), [(6, 12), (45, 19), (113, 18)])
def test_numbers_of_parameters_are_those_of_the_papers_layers(n_channels, n_classes):
    of = n_channels, 60, n_classes
    head = n_classes * 129
    four = convolutions((1, 64, 5), *[(64, 64, 5)] * 3)
    assert four == 384 + 3 * 20544
    lstm = recurrent(4, 64 * n_channels, 128), recurrent(4, 128, 128)
    assert n_parameters(DeepConvLstm(*of)) == four + sum(lstm) + head
    gru = recurrent(3, 64 * n_channels, 128) + recurrent(3, 128, 128)
    assert n_parameters(AttendDiscriminate(*of)) == four + 3 * 64**2 + 1 + gru + 128 + head
    assert n_parameters(CnnHar(*of)) == (
        convolutions((1, 50, 5), (50, 40, 5), (40, 20, 3), (20, 400, n_channels)) + n_classes * 401
    )
    small = convolutions((1, 20, 5), *[(20, 20, 5)] * 3) + 4 * 40
    end = 40 * 40 + 40 + 40 + 1 + n_classes * 41
    assert n_parameters(TinyHar(*of)) == (
        small + 3 * 20**2 + 1 + (20 * n_channels + 1) * 40 + recurrent(4, 40, 40) + end
    )


@pytest.mark.parametrize(
    ("n_channels", "n_classes", "tinier", "tiny", "convolutions_and_lstm"),
    [(6, 12, 7_483, 27_674, 326_732), (45, 19, 37_666, 59_161, 1_605_587)],
)
def test_numbers_of_parameters_are_those_that_tinierhars_authors_list(
    n_channels, n_classes, tinier, tiny, convolutions_and_lstm
):
    """`Run_logs/macs_params.txt` of the programme TinierHAR, for HAPT and DSADS."""
    of = n_channels, 60, n_classes
    assert n_parameters(TinierHar(*of)) == tinier - 1  # a constant, which the softmax over time divides out
    assert n_parameters(TinyHar(*of)) == tiny
    second = recurrent(4, 128, 128)  # theirs has one LSTM layer
    assert n_parameters(DeepConvLstm(*of)) - second == convolutions_and_lstm


def test_cnn_har_leaves_one_moment_of_the_papers_window():
    assert CnnHar(113, 32, 18).convolutions(torch.zeros(1, 1, 32, 113)).shape == (1, 400, 1, 1)
    assert CnnHar(113, 60, 18).convolutions(torch.zeros(1, 1, 60, 113)).shape[2] > 1


@pytest.mark.parametrize("n_maps", [1, 2, 7, 50])
def test_cnn_har_normalises_across_maps_as_torch_does(n_maps):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, n_maps, 5, 2, generator=generator, dtype=torch.float64) * 30
    upstream = torch.randn(x.shape, generator=generator, dtype=torch.float64)
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    y, expected = _AcrossMaps()(ours), nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0)(theirs)
    y.backward(upstream)
    expected.backward(upstream)
    torch.testing.assert_close(y, expected)
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_cnn_har_takes_the_strongest_moment_wherever_it_is():
    network = CnnHar(3, 200, 4).eval()
    x = torch.zeros(2, 3, 200)
    x[0, :, 60:90] = x[1, :, 100:130] = random_windows(3, 30, 1)[0]
    torch.testing.assert_close(*network(x))
    assert not torch.allclose(network(x)[0], network(torch.zeros(1, 3, 200))[0], atol=1e-3)


@pytest.mark.parametrize("make", [DeepConvLstm, AttendDiscriminate, TinyHar, TinierHar])
def test_recurrent_networks_see_time_in_order(make):
    network, x = make(6, 60, 4).eval(), random_windows()
    assert not torch.allclose(network(x), network(x.flip(-1)), atol=1e-5)


def test_the_lstm_ends_with_the_last_moment():
    network, x = DeepConvLstm(2, 60, 4).eval(), random_windows(2)
    late, early = x.clone(), x.clone()
    late[..., -1] += 3
    early[..., 0] += 3
    clean = network(x)
    assert (network(late) - clean).abs().max() > 10 * (network(early) - clean).abs().max()


def test_channels_share_their_convolutions():
    network, x = DeepConvLstm(4, 60, 4), random_windows(4)
    order = [2, 0, 3, 1]
    maps = network.convolutions(x.transpose(1, 2).unsqueeze(1))
    again = network.convolutions(x[:, order].transpose(1, 2).unsqueeze(1))
    torch.testing.assert_close(again, maps[..., order])


def test_attention_between_channels_gives_each_channel_shares_that_sum_to_one():
    attention, x = ChannelAttention(5), random_windows(4, 5)
    weights = attention.weights(x)
    assert weights.shape == (3, 4, 4)
    torch.testing.assert_close(weights.sum(-1), torch.ones(3, 4))
    expected = torch.stack([
        torch.softmax(torch.stack([attention.query(x[0, i]) @ attention.key(x[0, j]) for j in range(4)]), 0)
        for i in range(4)
    ])
    torch.testing.assert_close(weights[0], expected)


def test_attention_between_channels_starts_shut_and_mixes_once_open():
    attention, x = ChannelAttention(5), random_windows(4, 5)
    assert torch.equal(attention(x), x)
    with torch.no_grad():
        attention.gamma.fill_(2.0)
    torch.testing.assert_close(attention(x), x + 2 * attention.weights(x) @ attention.value(x))


@pytest.mark.parametrize("hidden", [False, True])
def test_attention_over_time_is_a_weighted_mean(hidden):
    attention, x = TimeAttention(5, hidden), random_windows(7, 5)
    weights = attention.weights(x)
    torch.testing.assert_close(weights.sum(1), torch.ones(3))
    torch.testing.assert_close(attention(x)[1], sum(weights[1, t] * x[1, t] for t in range(7)))
    assert weights.std() > 0


def test_tinyhar_adds_the_weighted_mean_once_gamma_opens():
    network, x = TinyHar(3, 60, 4).eval(), random_windows(3)
    shut = network(x)
    with torch.no_grad():
        network.gamma.fill_(1.0)
    assert not torch.allclose(network(x), shut, atol=1e-4)


def test_blocks_of_tinierhar_halve_the_rate_twice():
    assert TinierHar(6, 64, 4).blocks(torch.zeros(1, 1, 64, 6)).shape == (1, 8, 16, 6)


def test_the_mixer_cuts_whole_patches_and_fills_up_with_nothing():
    network = MlpMixer(6, 50, 4)
    assert network.fill_up(torch.zeros(1, 3, 6, 50)).shape == (1, 3, 8, 52)
    assert network.blocks[0].across_patches[0].in_features == 2 * 13
    assert n_parameters(network) == (
        convolutions((1, 3, 225), (3, 128, 16))
        + 8 * (2 * 256 + convolutions((26, 64, 1), (64, 26, 1), (128, 256, 1), (256, 128, 1)))
        + 256 + 4 * 129
    )  # fmt: skip


def test_a_mixer_block_adds_to_what_it_was_given():
    block, x = MlpMixer(6, 50, 4).blocks[0], random_windows(26, 128)
    for perceptron in (block.across_patches, block.across_features):
        torch.nn.init.zeros_(perceptron[2].weight)
        torch.nn.init.zeros_(perceptron[2].bias)
    assert torch.equal(block(x), x)


def test_a_mixer_block_is_one_perceptron_down_the_columns_and_one_along_the_rows():
    block, x = MlpMixer(6, 50, 4).blocks[0], random_windows(26, 128)
    turned = x + block.across_patches(block.before_patches(x).mT).mT
    torch.testing.assert_close(block(x), turned + block.across_features(block.before_features(turned)))


@pytest.fixture
def graph():
    return SensorGraph([[0, 1, 2], [3, 4], [5, 6, 7]], 40, 4).eval()


def test_the_graph_joins_every_pair_of_sensors_once(graph):
    assert sorted(zip(graph.left.tolist(), graph.right.tolist(), strict=True)) == [(0, 1), (0, 2), (1, 2)]


def test_the_graph_weighs_each_pair_anew_in_every_window(graph):
    own = graph.describe(random_windows(8, 40))
    message, strength = graph.pair(own)
    assert message.shape == (3, 3, 512)
    assert strength.shape == (3, 3, 1)
    assert ((strength > 0) & (strength < 1)).all()
    assert strength.std(0).max() > 0


def test_a_sensor_hears_the_pairs_that_it_is_part_of(graph):
    own = graph.describe(random_windows(8, 40))
    message, strength = graph.pair(own)
    scaled = message * (1 + strength)
    pairs = [(0, 1), (0, 2), (1, 2)]
    expected = torch.stack([sum(scaled[:, p] for p, ends in enumerate(pairs) if v in ends) / 3 for v in range(3)], 1)
    torch.testing.assert_close(graph.exchange(own), graph.receive(expected.flatten(0, 1)).view(3, 3, -1))


def test_a_sensor_of_fewer_channels_is_filled_up_with_zeros(graph):
    x = random_windows(8, 40)
    other = x.clone()
    other[:, 0] += 1  # what fills the place up must not be read
    torch.testing.assert_close(graph.describe(x)[:, 1], graph.describe(other)[:, 1])
    assert not torch.allclose(graph.describe(x)[:, 0], graph.describe(other)[:, 0])


@pytest.mark.parametrize(
    ("placements", "nodes"),
    [(("wrist", "ankle"), [[0, 1, 2, 6, 7, 8], [3, 4, 5, 9, 10, 11]]), (("wrist",), [[0, 1, 2], [3, 4, 5]])],
)
def test_nodes_are_placements_or_signals_where_there_is_one_placement(placements, nodes):
    def signal(placement, modality):
        name = f"{placement}_{modality}"
        return Signal(name, modality, placement, 20.0, tuple(f"{name}_{axis}" for axis in "xyz"), "1")

    kinds = "acc", "gyr"
    spec = SignalSpec(tuple(signal(placement, kind) for kind in kinds for placement in placements))
    branches = [Branch(kind, tuple(f"{p}_{kind}" for p in placements), "residual") for kind in kinds]
    assert sensor_nodes(lay_out(spec, branches, 2.0)) == nodes


def test_a_slow_signal_is_joined_by_straight_lines_and_held_at_the_end():
    x = torch.tensor([[[0.0, 2.0, 1.0]]])
    expected = [0.0, 0.5, 1.0, 1.5, 2.0, 1.75, 1.5, 1.25, 1.0, 1.0, 1.0, 1.0]
    torch.testing.assert_close(Resampler(3, 12)(x).flatten(), torch.tensor(expected))
    assert torch.equal(Resampler(1, 4)(x[..., :1]).flatten(), torch.zeros(4))
    assert Resampler(3, 3)(x) is x
