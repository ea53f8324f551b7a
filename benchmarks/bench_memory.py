"""Draw random batches of windows from stores of growing size under a limit on memory: rate and peak memory.

    python benchmarks/bench_memory.py [--gb 3] [--limit-gb 1] [--seconds 10] [--train] [--folder FOLDER]

A made-up store (five devices of acc, gyr, mag at 50 Hz) grows by appending to 1/16, 1/4 and all of ``--gb``. For each
size a process of its own, whose address space is limited to ``--limit-gb``, opens it, cuts windows, looks for copies
between the parts of a split and draws random batches; ``--train`` also takes training steps, with the limit as that of
a control group, since PyTorch alone reserves more addresses than it uses (this needs the right to make groups; where
it is missing nothing is limited, but the peak is measured). Before each the store is evicted from the page cache; the
search for copies reads one signal of all of it back. The table shows the peak of resident memory in MB.

``read`` is the same without a limit and never mapped, whatever the size; ``mapped`` always mapped, at the last size:
pages that were touched count as resident.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from dcdp.data import Store
from dcdp.data.declaration import inertial_signal
from dcdp.records import Branch, LabelSet, Recording, Segment, SignalSpec, Track, Windows
from dcdp.signals.windows import WindowConfig, cut_windows
from dcdp.splits import Split
from dcdp.splits.copies import find_copies

PLACES = ("torso", "right_arm", "left_arm", "right_leg", "left_leg")
KINDS = ("acc", "gyr", "mag")
SPEC = SignalSpec(tuple(inertial_signal(place, kind, 50.0) for place in PLACES for kind in KINDS))
LABELS = LabelSet(("sit", "walk", "run"))
N_ROWS = 60_000
RECORDING_BYTES = N_ROWS * SPEC.n_channels * 4
BATCH = 128


def recordings(first: int, stop: int) -> Iterator[Recording]:
    """Yield recordings of 20 minutes, 11 MB each, of eight people."""
    noise = np.random.default_rng(0).normal(size=(N_ROWS, 3)).astype(np.float32)
    for number in range(first, stop):
        tracks = tuple(
            Track(signal, np.roll(noise, 7919 * place) + np.float32(number + place))
            for place, signal in enumerate(SPEC)
        )
        segments = tuple(Segment(300.0 * i, 300.0 * (i + 1), LABELS.names[i % 3]) for i in range(4))
        yield Recording(f"r{number}", f"s{number % 8}", "1", tracks, segments)


def be_reader(folder: Path, seconds: float, way: str, train: bool) -> None:
    """Be the process that is measured; print what it found."""
    at_start = peak_mb()
    started = time.perf_counter()
    store = Store.open(folder, {"mapped": True, "read": False}.get(way))
    opened_s = time.perf_counter() - started
    windows = cut_windows(store, WindowConfig())
    facts = {"open_s": round(opened_s, 4), "windows": len(windows), "at_start": at_start, "cut": peak_mb()}
    people = store.subjects
    find_copies(windows, Split("holdout", "7", people[:-2], people[-2:-1], people[-1:]), store)
    facts["copies"] = peak_mb()
    rng, n_batches, started = np.random.default_rng(0), 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        store.gather(windows, rng.integers(0, len(windows), BATCH))
        n_batches += 1
    facts["windows_per_s"] = round(n_batches * BATCH / (time.perf_counter() - started))
    facts["gather"] = peak_mb()
    if train:
        facts["train_windows_per_s"] = round(take_steps(store, windows))
        facts["train"] = peak_mb()
    facts["is_mapped"] = isinstance(store.array(SPEC.names[0]), np.memmap)
    print(json.dumps(facts))


def take_steps(store: Store, windows: Windows, n_steps: int = 30) -> float:
    """Train for a few steps as `dcdp train` does; return windows a second."""
    import torch

    from dcdp.batches import Batches
    from dcdp.config import RunConfig
    from dcdp.models.network import build_network, lay_out
    from dcdp.training import fit

    torch.set_num_threads(1)
    branches = [Branch(kind, tuple(f"{place}_{kind}" for place in PLACES)) for kind in KINDS]
    train = Batches(store, windows, lay_out(SPEC, branches, windows.window_s))
    config = RunConfig()
    network = build_network(train.layouts, len(LABELS), config.network)
    settings = replace(config.training, epochs=1, max_steps=n_steps, batch_size=64)
    few = Batches(store, windows.take(np.linspace(0, len(windows) - 1, n_steps * settings.batch_size).astype(int)),
                  train.layouts)  # fmt: skip
    started = time.perf_counter()
    fit(network, few, settings, config.objective, config.modulation, config.augment)
    return len(few) / (time.perf_counter() - started)


def peak_mb() -> int:
    """Return the peak of resident memory so far [MB]."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000)


def measure(
    folder: Path, seconds: float, *, limit: int | None, group: Path | None = None, way: str = "as it comes"
) -> dict[str, object]:
    """Run a reader under a limit on its address space, or in a control group."""
    command = [sys.executable, __file__, "--be", str(folder), str(seconds), way]
    command.append(str(int(group is not None)))

    def prepare() -> None:
        if group is not None and group.is_dir():
            (group / "cgroup.procs").write_text(str(os.getpid()))
        elif limit is not None and group is None:
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    evict(folder)
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, preexec_fn=prepare)
    if done.returncode:
        return {"failed": done.stderr.strip().splitlines()[-1] if done.stderr else f"signal {-done.returncode}"}
    return json.loads(done.stdout)


def evict(folder: Path) -> None:
    """Ask the system to forget the cached pages of a store, so that it is read from the disk again."""
    for path in folder.glob("*.npy"):
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def make_group(limit: int) -> Path:
    """Make a control group with a limit on memory, if this machine permits; the path need not exist then."""
    root = Path("/sys/fs/cgroup/memory")
    file = "memory.limit_in_bytes" if root.is_dir() else "memory.max"
    group = (root if root.is_dir() else root.parent) / f"dcdp-bench-{os.getpid()}"
    try:
        group.mkdir()
        (group / file).write_text(str(limit))
    except OSError as err:
        print(f"no control group: {err}", file=sys.stderr)
    return group


def main() -> None:
    """Grow the store and print a line for each size and way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gb", type=float, default=3.0)
    parser.add_argument("--limit-gb", type=float, default=1.0)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--train", action="store_true")
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    room = shutil.disk_usage(options.folder or tempfile.gettempdir()).free
    if room < 1.5e9 * options.gb:
        print(f"skipped: {room / 1e9:.1f} GB free, {1.5 * options.gb:.1f} needed; give --folder or a smaller --gb")
        return
    limit = round(options.limit_gb * 1e9)
    with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
        folder, done = Path(temporary) / "store", 0
        for share in (16, 4, 1):
            n = max(8 + done, round(options.gb * 1e9 / share / RECORDING_BYTES))
            started = time.perf_counter()
            if done:
                Store.append(folder, recordings(done, n))
            else:
                Store.write(folder, SPEC, LABELS, recordings(0, n))
            facts = {"store_mb": round(n * RECORDING_BYTES / 1e6), "limit_mb": round(limit / 1e6),
                     "written_mb_per_s": round((n - done) * RECORDING_BYTES / 1e6 / (time.perf_counter() - started)),
                     }  # fmt: skip
            done = n
            print(json.dumps({**facts, "way": "limited", **measure(folder, options.seconds, limit=limit)}), flush=True)
            for way in ("read", "mapped") if share == 1 else ("read",):
                found = measure(folder, options.seconds, limit=None, way=way)
                print(json.dumps({**facts, "way": f"{way}, no limit", **found}), flush=True)
            if options.train:
                group = make_group(limit)
                found = measure(folder, options.seconds, limit=limit, group=group)
                if group.is_dir():
                    most = group / "memory.max_usage_in_bytes"
                    found["group_peak_with_cache"] = round(int(most.read_text()) / 1e6) if most.exists() else None
                    group.rmdir()
                print(json.dumps({**facts, "way": "training in a group", **found}), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--be"]:
        be_reader(Path(sys.argv[2]), float(sys.argv[3]), sys.argv[4], sys.argv[5] == "1")
    else:
        main()
