"""Time the gathering of random batches against a plain copy of as many bytes, in one process.

    python benchmarks/bench_gathering.py [--data hapt] [--rounds 200] [--batch 128]
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np

from dcdp.experiments.source import load
from dcdp.signals.windows import WindowConfig, cut_windows


def main() -> None:
    """Print the rates and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="synthetic")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--batch", type=int, default=128)
    options = parser.parse_args()
    source = load(options.data)
    windows = cut_windows(source.store, WindowConfig())
    rng = np.random.default_rng(0)
    shapes = {name: x.shape for name, x in source.store.gather(windows, np.arange(options.batch)).items()}
    plain = {name: np.ones(shape, np.float32) for name, shape in shapes.items()}
    n_bytes = sum(x.nbytes for x in plain.values())
    gathered, copied = [], []
    for _ in range(options.rounds):
        index = rng.integers(0, len(windows), options.batch)
        started = time.perf_counter()
        source.store.gather(windows, index)
        gathered.append(time.perf_counter() - started)
        started = time.perf_counter()
        for x in plain.values():
            x.copy()
        copied.append(time.perf_counter() - started)
    gather_s, copy_s = float(np.median(gathered)), float(np.median(copied))
    facts = {
        "data": options.data,
        "batch": options.batch,
        "bytes": n_bytes,
        "windows_per_s": round(options.batch / gather_s),
        "ratio_to_copy": round(gather_s / copy_s, 2),
    }
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
