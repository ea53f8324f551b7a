"""Time the table of features against a loop over windows and channels in NumPy, in one process.

    python benchmarks/bench_features.py [--data hapt|dsads|uschad|synthetic] [--windows 512] [--rounds 5]

The loop computes the statistics of the series (moments, quantiles, jerk, spectrum, band powers) one window and one
series at a time, as scripts for feature extraction do; it leaves out the geometry of vectors and correlations between
sensors, so the ratio is on the safe side. One thread for both.
"""

from __future__ import annotations

import argparse
import json
import time
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from dcdp.experiments.source import load
from dcdp.models.features import extract_features
from dcdp.signals.windows import WindowConfig, cut_windows

EDGES_HZ = (0.3, 0.7, 1.2, 1.8, 2.5, 3.5, 5.0, 8.0, 12.5)


def describe(x: NDArray[np.float32], rate_hz: float) -> list[float]:
    """Return the statistics of one series (T,)."""
    centred = x - x.mean()
    std = np.sqrt(np.mean(centred**2) + 1e-6)
    jerk = np.diff(x) * rate_hz
    quantiles = np.quantile(x, (0.05, 0.25, 0.5, 0.75, 0.95))
    power = np.abs(np.fft.rfft(centred * np.hanning(len(x))))[1:] ** 2
    frequency = np.fft.rfftfreq(len(x), 1 / rate_hz)[1:]
    share = power / (power.sum() + 1e-6)
    centroid = (share * frequency).sum()
    bands = [np.log(power[(frequency >= low) & (frequency < high)].sum() + 1e-4) for low, high in pairwise(EDGES_HZ)]
    return [
        x.mean(), *quantiles, x.min(), x.max(), std, np.sqrt(np.mean(jerk**2)), np.abs(jerk).mean(),
        (centred[1:] * centred[:-1] < 0).mean() * rate_hz, np.mean((centred / std) ** 3),
        frequency[power.argmax()], centroid, -(share * np.log(share + 1e-9)).sum(), *bands,
        np.mean((centred / std) ** 4) - 3, np.mean(x**2), np.ptp(x), quantiles[3] - quantiles[1],
        np.abs(centred).mean(), np.abs(jerk).max(), (jerk[1:] * jerk[:-1] < 0).sum() / len(x) * rate_hz,
        share.max(), np.sqrt((share * (frequency - centroid) ** 2).sum()),
        frequency[min(np.searchsorted(np.cumsum(share), 0.85), len(share) - 1)],
    ]  # fmt: skip


def describe_window(signals: dict[str, NDArray[np.float32]], rates: dict[str, float]) -> list[float]:
    """Return the statistics of all channels and magnitudes of one window."""
    values = []
    for name, x in signals.items():
        series = list(x.T) + ([np.sqrt((x**2).sum(1))] if x.shape[1] == 3 else [])
        for one in series:
            values += describe(one, rates[name])
    return values


def main() -> None:
    """Print windows per second of both, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="synthetic")
    parser.add_argument("--windows", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    source = load(options.data)
    windows = cut_windows(source.store, WindowConfig())
    rates = {signal.name: signal.rate_hz for signal in source.spec}
    ours, loop = [], []
    for k in range(options.rounds + 1):  # the first one warms up
        some = windows.take(np.random.default_rng(k).permutation(len(windows))[: options.windows])
        started = time.process_time()
        _, names = extract_features(source.store, some)
        ours.append((time.process_time() - started) / len(some))
        few = some.take(np.arange(min(32, len(some))))
        started = time.process_time()
        for n in range(len(few)):
            signals = source.store.gather(few, np.array([n]))
            values = describe_window({name: x[0] for name, x in signals.items()}, rates)
        loop.append((time.process_time() - started) / len(few))
    facts = {
        "data": options.data,
        "features": len(names),
        "features_of_the_loop": len(values),
        "windows_per_cpu_s": round(1 / float(np.median(ours[1:]))),
        "loop_windows_per_cpu_s": round(1 / float(np.median(loop[1:]))),
        "ratio": round(float(np.median(np.array(loop[1:]) / np.array(ours[1:]))), 1),
    }
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
