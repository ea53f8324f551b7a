"""Every statistic of a window against a slow loop over NumPy and SciPy."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.spatial.transform import Rotation

from dcdp.models.statistics import STATISTICS, WindowStatistics

TINY = 1e-6
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
EDGES_HZ = (0.3, 0.7, 1.2, 1.8, 2.5, 3.5, 5.0, 8.0, 12.5)
AT = STATISTICS.index  # the band powers of a series follow

SHAPES = [  # channels, triads, samples, rate [Hz]
    (6, (0, 3), 150, 50.0),
    (9, (0, 3, 6), 375, 125.0),
    (4, (1,), 37, 25.0),
    (1, (), 3, 1.0),
    (3, (0,), 2, 50.0),
    (2, (), 1, 1.0),
]


def windows(n_channels: int, n_samples: int, seed: int = 0) -> np.ndarray:
    """Return (5, C, T) windows with an offset, a tone and noise in every channel."""
    rng = np.random.default_rng(seed)
    t = np.arange(n_samples) / max(n_samples, 2)
    tone = np.sin(2 * np.pi * (rng.uniform(1, 9, (5, n_channels, 1)) * t + rng.random((5, n_channels, 1))))
    return rng.normal(0, 4, (5, n_channels, 1)) + 3 * tone + rng.normal(0, 1, (5, n_channels, n_samples))


def describe_series(x: np.ndarray, rate_hz: float) -> dict[str, float]:
    """Return the statistics of one series (T,) by name, then its band powers."""
    n = len(x)
    ordered = sorted(x[:: max(1, round(rate_hz / 25))])
    std = math.sqrt(np.mean((x - x.mean()) ** 2) + TINY)
    jerk = np.diff(x) * rate_hz
    centred = x - x.mean()
    crossings = sum(centred[i] * centred[i + 1] < 0 for i in range(n - 1))
    frequency, power = spectrum(x, rate_hz)
    share = power / (power.sum() + TINY)
    names = ("quantile_05", "quantile_25", "median", "quantile_75", "quantile_95")
    return {
        "mean": sum(x) / n,
        **{name: ordered[round(q * (len(ordered) - 1))] for name, q in zip(names, QUANTILES, strict=True)},
        "minimum": min(x),
        "maximum": max(x),
        "std": std,
        "jerk_std": math.sqrt(np.mean(jerk**2) + TINY),
        "jerk_mean_abs": sum(abs(jerk)) / (n - 1),
        "mean_crossing_rate": crossings / (n - 1) * rate_hz,
        "skewness": np.mean((centred / std) ** 3),
        "dominant_hz": frequency[power.argmax()],
        "spectral_centroid_hz": (share * frequency).sum(),
        "spectral_entropy": -(share * np.log(share + 1e-9)).sum() / math.log(max(len(frequency), 2)),
        **{f"band_{k}": value for k, value in enumerate(band_powers(frequency, power))},
    }


def spectrum(x: np.ndarray, rate_hz: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the frequencies up to 15 Hz (or the lowest one) and the power of the Hann-windowed series at each."""
    n = len(x)
    frequency, power = np.fft.rfftfreq(n, 1 / rate_hz)[1:], np.abs(np.fft.rfft((x - x.mean()) * np.hanning(n)))[1:]
    heard = frequency <= 15 + 1e-9
    heard = heard if heard.any() else np.arange(len(frequency)) == 0
    return frequency[heard], (power[heard] * 2 / n) ** 2


def band_powers(frequency: np.ndarray, power: np.ndarray) -> list[float]:
    bands = [(frequency >= low) & (frequency < high) for low, high in pairwise(EDGES_HZ)]
    return [math.log(power[band].sum() + 1e-4) for band in bands if band.any()]


def describe_triad(v: np.ndarray) -> list[float]:
    """Return correlations xy, xz, yz, the direction of the mean, and the log share of power along it."""
    centred = v - v.mean(1, keepdims=True)
    covariance = centred @ centred.T / v.shape[1]
    power = covariance.diagonal() + TINY
    direction = v.mean(1) / math.sqrt((v.mean(1) ** 2).sum() + TINY)
    along = max(direction @ covariance @ direction, 0)
    pairs = [covariance[i, j] / math.sqrt(power[i] * power[j]) for i, j in ((0, 1), (0, 2), (1, 2))]
    return [*pairs, *direction, math.log((along + TINY) / power.sum())]


def describe(x: np.ndarray, triads: tuple[int, ...], rate_hz: float) -> list[float]:
    """Return all statistics of one window (C, T)."""
    x = np.repeat(x, 2, axis=1) if x.shape[1] == 1 else x
    magnitudes = [np.sqrt((x[i : i + 3] ** 2).sum(0) + TINY) for i in triads]
    described = [describe_series(row, rate_hz) for row in [*x, *magnitudes]]
    assert tuple(described[0])[: len(STATISTICS)] == STATISTICS
    series = [value for own in described for value in own.values()]
    return [*series, *(value for i in triads for value in describe_triad(x[i : i + 3]))]


@pytest.mark.parametrize(("n_channels", "triads", "n_samples", "rate_hz"), SHAPES)
def test_all_statistics_are_those_of_a_slow_loop(n_channels, triads, n_samples, rate_hz):
    x = windows(n_channels, n_samples)
    statistics = WindowStatistics(n_channels, triads, n_samples, rate_hz).double()
    found = statistics(torch.from_numpy(x)).numpy()
    expected = np.array([describe(window, triads, rate_hz) for window in x])
    assert found.shape == (5, statistics.n_features) == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("n_channels", "triads", "n_samples", "rate_hz"), SHAPES)
def test_single_precision_is_close(n_channels, triads, n_samples, rate_hz):
    x = torch.from_numpy(windows(n_channels, n_samples))
    statistics = WindowStatistics(n_channels, triads, n_samples, rate_hz)
    single, double = statistics(x.float()), statistics.double()(x)
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), double, rtol=5e-3, atol=5e-3)


def test_scipy_agrees_on_skewness_and_entropy():
    x = windows(1, 200)[:1]
    found = WindowStatistics(1, (), 200, 50.0).double()(torch.from_numpy(x))[0]
    frequency, power = spectrum(x[0, 0], 50.0)
    assert found[AT("skewness")].item() == pytest.approx(stats.skew(x[0, 0]), rel=1e-4)
    entropy = stats.entropy(power) / math.log(len(frequency))
    assert found[AT("spectral_entropy")].item() == pytest.approx(entropy, rel=1e-4)


def test_a_pure_tone_has_its_frequency_its_band_and_little_entropy():
    tone = torch.sin(2 * math.pi * 3.0 * torch.arange(200) / 50).view(1, 1, -1)
    found = WindowStatistics(1, (), 200, 50.0)(tone)[0]
    assert found[AT("dominant_hz")].item() == pytest.approx(3.0)
    assert found[AT("spectral_centroid_hz")].item() == pytest.approx(3.0, abs=0.05)
    assert found[AT("spectral_entropy")] < 0.3
    assert found[len(STATISTICS) :].argmax() == EDGES_HZ.index(2.5)
    assert found[AT("mean_crossing_rate")].item() == pytest.approx(6.0, abs=0.6)  # twice a period


def test_source_names_the_channel_or_triad_of_every_statistic():
    n_channels, triads = 5, (0, 2)
    statistics = WindowStatistics(n_channels, triads, 100, 50.0)
    assert len(statistics.source) == statistics.n_features
    assert set(statistics.source.tolist()) == set(range(n_channels + len(triads)))
    x = torch.from_numpy(windows(n_channels, 100)[:1]).float()
    before = statistics(x)
    for channel in range(n_channels):
        changed = x.clone()
        changed[:, channel] *= -1.7
        moved = (statistics(changed) != before)[0]
        touched = {channel, *(n_channels + i for i, first in enumerate(triads) if first <= channel < first + 3)}
        assert set(statistics.source[moved].tolist()) == touched


def test_turning_a_triad_leaves_its_magnitude_and_verticality():
    n_channels, n_samples, rng = 3, 120, np.random.default_rng(3)
    statistics = WindowStatistics(n_channels, (0,), n_samples, 50.0).double()
    x = windows(n_channels, n_samples, seed=1)
    turned = np.stack([Rotation.random(rng=rng).as_matrix() @ window for window in x])
    before, after = (statistics(torch.from_numpy(v)) for v in (x, turned))
    per_series = int((statistics.source == 0).sum())
    magnitude = slice(3 * per_series, 4 * per_series)
    torch.testing.assert_close(after[:, magnitude], before[:, magnitude], rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(after[:, -1], before[:, -1], rtol=1e-5, atol=1e-5)
    assert not torch.allclose(after[:, :per_series], before[:, :per_series], rtol=0.05)


def test_turning_a_triad_turns_its_mean_direction():
    turn = Rotation.from_euler("xyz", [20, -70, 130], degrees=True).as_matrix()
    x = windows(3, 60)
    statistics = WindowStatistics(3, (0,), 60, 50.0).double()
    before, after = statistics(torch.from_numpy(x)), statistics(torch.from_numpy(turn @ x))
    np.testing.assert_allclose(after[:, -4:-1], before[:, -4:-1].numpy() @ turn.T, atol=1e-6)


@pytest.mark.parametrize("n_samples", [1, 2, 3, 50])
@pytest.mark.parametrize("value", [0.0, 9.81, -1e4])
def test_constant_windows_are_finite_and_still(n_samples, value):
    statistics = WindowStatistics(4, (0,), n_samples, 50.0)
    found = statistics(torch.full((2, 4, n_samples), value))
    assert found.isfinite().all()
    first = dict(zip(STATISTICS, found[0].tolist(), strict=False))
    assert [first[name] for name in STATISTICS[:8]] == pytest.approx([value] * 8)
    assert 0 < first["std"] < 1e-2
    assert 0 < first["jerk_std"] < 2e-3
    assert first["jerk_mean_abs"] == first["mean_crossing_rate"] == 0


def test_windows_do_not_touch_each_other():
    x = torch.from_numpy(windows(3, 40)).float()
    statistics = WindowStatistics(3, (0,), 40, 50.0)
    torch.testing.assert_close(statistics(x)[2:3], statistics(x[2:3]), rtol=1e-4, atol=1e-5)
