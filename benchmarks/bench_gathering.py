"""Time the gathering of random batches of windows against plain copies of as many bytes, in one process.

    python benchmarks/bench_gathering.py [--data hapt] [--rounds 200] [--batch 128]

The references, from the most to the least flattering: ``take``, `numpy.take` of equally long rows from random places
of one plain array as large as the store; ``cold_copy``, one contiguous piece somewhere in that array; ``hot_copy``, the
same small arrays again and again out of the processor's cache, which no reading of a store can reach. ``signals_apart``
is the store with an array of its own for each signal; ``read`` the store that is not mapped but read.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from dcdp.data import Store
from dcdp.experiments.source import load
from dcdp.records import Recording, Track
from dcdp.signals.windows import WindowConfig, cut_windows


def stored(source: Store, folder: Path) -> tuple[Store, Store]:
    """Write the recordings again, and return the store mapped and read."""

    def recordings():
        for entry in source.recordings:
            parts = {name: source.array(name)[first : first + n] for name, (first, n) in entry.rows.items()}
            tracks = (Track(source.spec[name], np.array(part), entry.start_s[name]) for name, part in parts.items())
            yield Recording(entry.name, entry.subject, entry.session, tuple(tracks), entry.segments)

    Store.write(folder, source.spec, source.labels, recordings())
    return Store.open(folder, mapped=True), Store.open(folder, mapped=False)


def main() -> None:
    """Print the rates and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="synthetic")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--batch", type=int, default=128)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        compare(load(options.data).store, Path(folder), options)


def compare(source: Store, folder: Path, options: argparse.Namespace) -> None:
    """Let all take turns, batch by batch."""
    mapped, read = stored(source, folder / "store")
    apart = Store(source.spec, source.labels, mapped.recordings,
                  {(name,): np.ascontiguousarray(mapped.array(name)) for name in source.spec.names})  # fmt: skip
    windows = cut_windows(mapped, WindowConfig())
    rng = np.random.default_rng(0)
    first = mapped.gather(windows, np.arange(options.batch))
    n_bytes = sum(x.nbytes for x in first.values())
    for store in (read, apart):
        assert all((x == first[name]).all() for name, x in store.gather(windows, np.arange(options.batch)).items())
    hot = [np.ones(x.shape, np.float32) for x in first.values()]
    width = n_bytes // 4 // options.batch
    plain = np.ones((max(2, sum(source.array(s.name).nbytes for s in source.spec) // 4 // width), width), np.float32)
    contenders: dict[str, Callable[[np.ndarray, np.ndarray], object]] = {
        "store": lambda index, _: mapped.gather(windows, index),
        "read": lambda index, _: read.gather(windows, index),
        "signals_apart": lambda index, _: apart.gather(windows, index),
        "take": lambda _, rows: plain.take(rows, axis=0),
        "cold_copy": lambda _, rows: plain.ravel()[(start := rows[0] // 2 * width) : start + n_bytes // 4].copy(),
        "hot_copy": lambda *_: [x.copy() for x in hot],
    }
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(options.rounds):
        index, rows = rng.integers(0, len(windows), options.batch), rng.integers(0, len(plain), options.batch)
        for name, function in contenders.items():
            started = time.perf_counter()
            function(index, rows)
            seconds[name].append(time.perf_counter() - started)
    median = {name: float(np.median(values)) for name, values in seconds.items()}
    facts = {"data": options.data, "batch": options.batch, "bytes": n_bytes,
             "windows_per_s": {name: round(options.batch / median[name]) for name in ("store", "read")},
             "microseconds": {name: round(value * 1e6) for name, value in median.items()},
             "store_to": {name: round(median["store"] / median[name], 2) for name in contenders if name != "store"},
             }  # fmt: skip
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
