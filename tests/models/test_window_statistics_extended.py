"""The further statistics against a slow loop over NumPy and SciPy; names for all; the base untouched."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations, pairwise

import numpy as np
import pytest
import torch
from scipy import signal, stats

from dcdp.bundle import Bundle, load_bundle, save_bundle
from dcdp.errors import ConfigError
from dcdp.models.branch import BranchEncoder
from dcdp.models.network import NetworkConfig, build_network, resolve_network
from dcdp.models.statistics import FURTHER_STATISTICS, STATISTICS, WindowStatistics
from dcdp.records import LabelSet, Signal, SignalSpec
from dcdp.settings import build, to_dict
from dcdp.signals.windows import WindowConfig

TINY = 1e-6
SHAPES = [  # channels, triads, samples, rate [Hz]
    (6, (0, 3), 150, 50.0),
    (7, (0, 4), 60, 20.0),
    (4, (1,), 37, 25.0),
    (2, (), 40, 10.0),
    (1, (), 3, 1.0),
    (3, (0,), 2, 50.0),
    (2, (), 1, 1.0),
]
CHANNELS = [f"{place}_{axis}" for place in ("wrist_acc", "chest_mag", "ankle_gyr") for axis in "xyz"]


def windows(n_channels, n_samples, seed=0):
    rng = np.random.default_rng(seed)
    t = np.arange(n_samples) / max(n_samples, 2)
    tone = np.sin(2 * np.pi * (rng.uniform(1, 9, (5, n_channels, 1)) * t + rng.random((5, n_channels, 1))))
    common = rng.normal(0, 1, (5, 1, n_samples))  # so that channels go together
    noise = rng.normal(0, 1, (5, n_channels, n_samples))
    return rng.normal(0, 4, (5, n_channels, 1)) + 3 * tone + 2 * common + noise


def describe_series(x, rate_hz):
    """Return the further statistics of one series (T,) by name."""
    jerk = [(later - now) * rate_hz for now, later in pairwise(x)]
    turns = sum(a * b < 0 for a, b in pairwise(jerk))
    spread = x - x.mean()
    ordered = sorted(x[:: max(1, round(rate_hz / 25))])
    quartiles = [ordered[round(q * (len(ordered) - 1))] for q in (0.25, 0.75)]
    frequency, power = spectrum(x, rate_hz)
    share = power / (power.sum() + TINY)
    centroid = (share * frequency).sum()
    reached = np.flatnonzero(np.cumsum(power) >= 0.85 * power.sum())
    return {
        "kurtosis": np.mean((spread / math.sqrt(np.mean(spread**2) + TINY)) ** 4) - 3,
        "energy": sum(v * v for v in x) / len(x),
        "range": max(x) - min(x),
        "interquartile_range": quartiles[1] - quartiles[0],
        "mean_abs_deviation": sum(abs(spread)) / len(x),
        "jerk_max_abs": max(map(abs, jerk)),
        "turning_rate": turns * rate_hz / max(len(x) - 2, 1),
        "dominant_share": share.max(),
        "spectral_spread_hz": math.sqrt((share * (frequency - centroid) ** 2).sum()),
        "spectral_edge_hz": frequency[reached[0] if len(reached) else -1],
    }


def spectrum(x, rate_hz):
    """Return frequencies up to 15 Hz and the Hann-windowed power at each, by SciPy's periodogram."""
    n = len(x)
    hann = np.hanning(n)
    if not hann.any():  # two samples
        return np.array([rate_hz / 2]), np.zeros(1)
    frequency, power = signal.periodogram(x - x.mean(), rate_hz, window=hann, detrend=False, scaling="spectrum")
    # SciPy gives one-sided amplitudes of the window's mean; ours are |sum x w|^2 (2 / n)^2.
    doubled = np.where((frequency > 0) & (frequency < rate_hz / 2), 2.0, 1.0)
    power = power / doubled * hann.sum() ** 2 * (2 / n) ** 2
    frequency, power = frequency[1:], power[1:]
    heard = frequency <= 15 + 1e-9
    heard = heard if heard.any() else np.arange(len(frequency)) == 0
    return frequency[heard], power[heard]


def describe(x, triads, rate_hz):
    """Return all further statistics of one window (C, T)."""
    x = np.repeat(x, 2, axis=1) if x.shape[1] == 1 else x
    magnitudes = [np.sqrt((x[i : i + 3] ** 2).sum(0) + TINY) for i in triads]
    described = [describe_series(row, rate_hz) for row in [*x, *magnitudes]]
    assert tuple(described[0]) == FURTHER_STATISTICS
    lengths = [np.sqrt(((np.diff(x[i : i + 3]) * rate_hz) ** 2).sum(0) + TINY) for i in triads]
    inside = {i + k for i in triads for k in range(3)}
    sensors = [*magnitudes, *(row for c, row in enumerate(x) if c not in inside)]
    pairs = [
        np.mean((a - a.mean()) * (b - b.mean())) / math.sqrt((a.var() + TINY) * (b.var() + TINY))
        for a, b in combinations(sensors, 2)
    ]
    jerks = [value for length in lengths for value in (length.mean(), math.sqrt(length.var() + TINY))]
    return [*(value for own in described for value in own.values()), *jerks, *pairs]


def make(n_channels, triads, n_samples, rate_hz, extended=True):
    return WindowStatistics(n_channels, triads, n_samples, rate_hz, extended)


def named(statistics, x, channels):
    """Return the features of the first window by name."""
    return dict(zip(statistics.names(channels), statistics(x)[0].tolist(), strict=True))


@pytest.mark.parametrize(("n_channels", "triads", "n_samples", "rate_hz"), SHAPES)
def test_the_further_statistics_are_those_of_a_slow_loop_behind_the_base(n_channels, triads, n_samples, rate_hz):
    x = windows(n_channels, n_samples)
    base = make(n_channels, triads, n_samples, rate_hz, False)
    found = make(n_channels, triads, n_samples, rate_hz).double()(torch.from_numpy(x))[:, base.n_features :]
    expected = np.array([describe(window, triads, rate_hz) for window in x])
    assert found.shape == expected.shape
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("n_channels", "triads", "n_samples", "rate_hz"), SHAPES)
def test_the_base_comes_first_and_is_the_same_to_the_bit(n_channels, triads, n_samples, rate_hz):
    x = torch.from_numpy(windows(n_channels, n_samples)).float()
    base, extended = (make(n_channels, triads, n_samples, rate_hz, more) for more in (False, True))
    assert torch.equal(extended(x)[:, : base.n_features], base(x))
    assert extended.n_features > base.n_features
    assert torch.equal(base.source, base.second)
    assert set(base.state_dict()) == set(extended.state_dict()) == set()


@pytest.mark.parametrize(("n_channels", "triads", "n_samples", "rate_hz"), SHAPES[:5])
def test_single_precision_is_close(n_channels, triads, n_samples, rate_hz):
    x = torch.from_numpy(windows(n_channels, n_samples))
    statistics = make(n_channels, triads, n_samples, rate_hz)
    single, double = statistics(x.float()), statistics.double()(x)
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), double, rtol=5e-3, atol=5e-3)


def test_scipy_agrees_on_kurtosis_spread_and_correlation():
    x = windows(2, 300)[:1]
    found = named(make(2, (), 300, 50.0).double(), torch.from_numpy(x), "ab")
    a, b = x[0]
    assert found["a.kurtosis"] == pytest.approx(stats.kurtosis(a), rel=1e-4)
    assert found["a.range"] == pytest.approx(np.ptp(a))
    assert found["a.interquartile_range"] == pytest.approx(stats.iqr(a), rel=0.1)  # ours thins to 25 Hz
    assert found["a.correlation.b"] == pytest.approx(stats.pearsonr(a, b).statistic, rel=1e-4)
    assert found["b.energy"] == pytest.approx(np.square(b).mean())


def test_a_pure_tone_has_its_edge_at_its_frequency_and_turns_twice_a_period():
    tone = torch.sin(2 * math.pi * 3.0 * torch.arange(200) / 50).view(1, 1, -1)
    found = named(make(1, (), 200, 50.0), tone, "a")
    assert found["a.spectral_edge_hz"] == pytest.approx(3.0, abs=0.3)
    assert found["a.spectral_spread_hz"] < 0.5
    assert found["a.dominant_share"] > 0.6
    assert found["a.turning_rate"] == pytest.approx(6.0, abs=0.4)
    assert found["a.kurtosis"] == pytest.approx(-1.5, abs=0.01)


@pytest.mark.parametrize("n_samples", [1, 2, 3, 50])
@pytest.mark.parametrize("value", [0.0, 9.81, -1e4])
def test_constant_windows_are_finite_and_still(n_samples, value):
    statistics = make(4, (0,), n_samples, 50.0)
    found = statistics(torch.full((2, 4, n_samples), value))
    assert found.isfinite().all()
    values = named(statistics, torch.full((2, 4, n_samples), value), "abcd")
    for what in ("range", "interquartile_range", "jerk_max_abs", "turning_rate"):
        assert values[f"a.{what}"] == 0
    assert values["a.energy"] == pytest.approx(value**2)


@pytest.mark.parametrize("extended", [False, True])
@pytest.mark.parametrize(("n_channels", "triads", "n_samples", "rate_hz"), SHAPES)
def test_every_feature_has_a_name_of_its_own(n_channels, triads, n_samples, rate_hz, extended):
    statistics = make(n_channels, triads, n_samples, rate_hz, extended)
    names = statistics.names([f"c{i}" for i in range(n_channels)])
    assert len(names) == len(set(names)) == statistics.n_features == len(statistics.source)


@pytest.mark.parametrize(
    ("channels", "called"),
    [
        (CHANNELS, ("wrist_acc", "chest_mag", "ankle_gyr")),
        ("abcdefghi", ("a", "d", "g")),
        ([f"c{i}" for i in range(9)], ("c0", "c3", "c6")),
    ],
)
def test_triads_are_called_by_what_they_share_else_by_their_first_channel(channels, called):
    names = make(9, (0, 3, 6), 60, 20.0).names(channels)
    assert len(set(names)) == len(names)
    for name in called:
        assert f"{name}.correlation_xy" in names
        assert f"{name}_norm.kurtosis" in names
    assert f"{called[0]}_norm.correlation.{called[2]}_norm" in names


def test_a_name_belongs_to_its_feature():
    """Change one channel: what moves is named after it, its triad, or a pair with that."""
    statistics = make(9, (0, 3, 6), 90, 30.0)
    names = np.array(statistics.names(CHANNELS))
    x = torch.from_numpy(windows(9, 90)).float()
    changed = x.clone()
    changed[:, 4] = 3 + 2 * torch.randn(5, 90, generator=torch.Generator().manual_seed(0)).cumsum(1)
    moved = (statistics(changed) != statistics(x)).any(0).numpy()
    assert all("chest_mag" in name for name in names[moved])
    still = [name for name in names[~moved] if name.startswith("chest_mag_y.")]
    assert still == []
    values = named(statistics, x, CHANNELS)
    mean = x[0].mean(-1)
    for i, channel in enumerate(CHANNELS):
        assert values[f"{channel}.mean"] == pytest.approx(mean[i].item(), rel=1e-4)
    assert values["chest_mag.correlation_xz"] == pytest.approx(np.corrcoef(x[0, 3], x[0, 5])[0, 1], rel=1e-3)
    norm = x[0].view(3, 3, 90).norm(dim=1)
    pair = np.corrcoef(norm[0], norm[2])[0, 1]
    assert values["wrist_acc_norm.correlation.ankle_gyr_norm"] == pytest.approx(pair, rel=1e-3)


def test_bands_are_named_by_their_edges_where_something_is_heard():
    names = make(1, (), 40, 10.0).names("a")  # up to 5 Hz, by 0.25 Hz
    bands = [name for name in names if "log_power" in name]
    assert bands[0] == "a.log_power_0.3_0.7hz"
    assert bands[-1] == "a.log_power_5_8hz"  # 5.0 Hz itself
    assert make(1, (), 3, 1.0).names("a")[: len(STATISTICS)] == tuple(f"a.{what}" for what in STATISTICS)


def test_sensors_are_paired_up_to_a_limit():
    statistics = make(40, (), 20, 20.0)
    pairs = [name for name in statistics.names([f"c{i}" for i in range(40)]) if ".correlation." in name]
    assert len(pairs) == 24 * 23 // 2


def encoder(extended, channel_dropout):
    return BranchEncoder("residual", 6, 60, 20.0, (0, 3), (), 16, 3, 0.0, channel_dropout, 0.0, 0.0, extended)


def test_a_hidden_channel_hides_the_pairs_that_it_is_in():
    network = encoder(True, 0.5)
    x = torch.from_numpy(windows(6, 60)).float()
    network.fit(x)
    statistics = network.statistics
    keep = torch.ones(5, 6)
    keep[:, 4] = 0
    network.feature_dropout = 0.0
    score = network._statistics(x, keep)[:, : statistics.n_features]
    names = np.array(statistics.names(CHANNELS[:6]))
    hidden = (score == 0).all(0).numpy()
    assert set(names[hidden]) >= {name for name in names if "chest_mag_y" in name or "chest_mag." in name}
    assert "wrist_acc_norm.correlation.chest_mag_norm" in names[hidden]
    assert not any(name.startswith("wrist_acc") and "chest" not in name for name in names[hidden])


def test_a_network_reads_the_extended_statistics_if_asked(make_layouts, make_inputs):
    layouts = make_layouts(("residual", "dense"))
    inputs, present = make_inputs(layouts, 4), torch.ones(4, 2, dtype=torch.bool)
    sizes = {}
    for choice in (None, "base", "extended"):
        network = build_network(layouts, 3, NetworkConfig("tiny", statistics=choice)).eval()
        assert network(inputs, present).joint.isfinite().all()
        sizes[choice] = sum(encoder.statistics.n_features for encoder in network.encoders.values())
    assert sizes[None] == sizes["base"] < sizes["extended"]


def test_the_default_statistics_are_the_base():
    assert resolve_network(NetworkConfig()).statistics == "base"
    with pytest.raises(ConfigError, match=r"network\.statistics must be one of base, extended: got 'bass'"):
        resolve_network(replace(NetworkConfig(), statistics="bass"))


def test_a_model_file_keeps_the_choice_and_one_without_it_means_the_base(make_layouts, make_inputs, tmp_path):
    layouts = make_layouts(("residual", "dense"))
    config = NetworkConfig("tiny", statistics="extended")
    network = build_network(layouts, 3, config).eval()
    spec = SignalSpec(
        tuple(
            Signal(name, modality, place, layout.rate_hz, tuple(f"{name}_{i}" for i in range(size)), "1")
            for layout in layouts
            for name, modality, place, size in zip(
                layout.branch.signals, layout.modalities, layout.placements, layout.sizes, strict=True
            )
        )
    )
    branches = tuple(layout.branch for layout in layouts)
    save_bundle(
        tmp_path / "m.safetensors", Bundle(network, spec, branches, LabelSet(tuple("abc")), WindowConfig(), config)
    )
    loaded = load_bundle(tmp_path / "m.safetensors")
    inputs, present = make_inputs(layouts, 4), torch.ones(4, 2, dtype=torch.bool)
    assert torch.equal(loaded.network(inputs, present).joint, network(inputs, present).joint)
    before = to_dict(resolve_network(NetworkConfig("tiny")))
    del before["statistics"]  # as files had it before there was a choice
    assert resolve_network(build(NetworkConfig, before)).statistics == "base"
