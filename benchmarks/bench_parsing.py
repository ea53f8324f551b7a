"""Read the files of the real sets with dcdp, polars, pandas, NumPy and SciPy in one run: MB of files a second.

    python benchmarks/bench_parsing.py [--data FOLDER] [--unpacked FOLDER] [--sets hapt,uschad,dsads]
        [--rounds 2] [--turns N]

Every reader makes the same float64 tables from the same unpacked files, which one plain reading has put into the
page cache. Each runs in a process of its own, by turns, and its best round counts. ``threads`` is what the reader may
use: with 1 the process is pinned to one core and its processor time counts, which a busy machine changes least; with
more it is the time on the clock. NumPy reads a share of the files (``share``).

``--turns N`` instead lets the readers take turns file by file in one process, over every N-th table: ratios that hold
on a machine that is busy with other things.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

SEPARATORS = {"hapt": " ", "dsads": ","}
COLUMNS = {"hapt": 3, "dsads": 45}
SHARES = {"loadtxt": 0.05, "fromstring": 0.25}
READERS = {
    "hapt": ("dcdp", "polars", "pandas", "loadtxt", "fromstring"),
    "dsads": ("dcdp", "polars", "polars_joined", "pandas", "loadtxt", "fromstring"),
    "uschad": ("dcdp", "scipy"),
}
Groups = list[list[Path]]
"""Files that make one table together: the segments of a recording in DSADS, else one file."""


def groups_of(name: str, folder: Path) -> Groups:
    """Find the tables of a set below a folder."""
    if name == "hapt":
        return [[path] for path in sorted(folder.rglob("RawData/*_exp*.txt"))]
    if name == "uschad":
        return [[path] for path in sorted(folder.rglob("a*t*.mat"))]
    return [sorted(person.glob("s*.txt")) for person in sorted(folder.rglob("a[0-9][0-9]/p[0-9]"))]


def read_dcdp(name: str, groups: Groups) -> Iterator[np.ndarray]:
    """Read with the functions that the loaders use."""
    from dcdp.data.sets.uschad import _readings
    from dcdp.data.text import parse_table

    for paths in groups:
        files = [(path.name, path.read_bytes()) for path in paths]
        if name == "uschad":
            yield _readings(*files[0])
        else:
            yield parse_table(files, SEPARATORS[name], [f"c{i}" for i in range(COLUMNS[name])])[0]


def read_polars(name: str, groups: Groups) -> Iterator[np.ndarray]:
    """One `read_csv` a file."""
    import polars as pl

    schema = {f"c{i}": pl.Float64 for i in range(COLUMNS[name])}
    for paths in groups:
        frames = [pl.read_csv(path, has_header=False, separator=SEPARATORS[name], schema=schema) for path in paths]
        yield pl.concat(frames).to_numpy()


def read_polars_joined(name: str, groups: Groups) -> Iterator[np.ndarray]:
    """One `scan_csv` for all files of a table, the quickest that polars offers for many small files."""
    import polars as pl

    schema = {f"c{i}": pl.Float64 for i in range(COLUMNS[name])}
    for paths in groups:
        yield pl.scan_csv(paths, has_header=False, separator=SEPARATORS[name], schema=schema).collect().to_numpy()


def read_pandas(name: str, groups: Groups) -> Iterator[np.ndarray]:
    """One `read_csv` a file, C engine."""
    import pandas as pd

    for paths in groups:
        parts = [pd.read_csv(path, header=None, sep=SEPARATORS[name], dtype=np.float64) for path in paths]
        yield np.concatenate([part.to_numpy() for part in parts])


def read_loadtxt(name: str, groups: Groups) -> Iterator[np.ndarray]:
    """One `loadtxt` a file."""
    for paths in groups:
        yield np.concatenate([np.loadtxt(path, delimiter=SEPARATORS[name].strip() or None) for path in paths])


def read_fromstring(name: str, groups: Groups) -> Iterator[np.ndarray]:
    """`fromstring`, the quickest of NumPy; it counts no columns and finds no errors."""
    for paths in groups:
        text = b"".join(path.read_bytes() for path in paths)
        text = text.replace(b"\n", b",").rstrip(b",") if name == "dsads" else text
        yield np.fromstring(text.decode(), sep=SEPARATORS[name]).reshape(-1, COLUMNS[name])


def read_scipy(_: str, groups: Groups) -> Iterator[np.ndarray]:
    """`loadmat` of the whole file."""
    from scipy.io import loadmat

    for (path,) in groups:
        yield loadmat(path)["sensor_readings"]


def be_reader(name: str, reader: str, folder: Path) -> None:
    """Be the process that reads once; print seconds and a checksum."""
    groups = groups_of(name, folder)
    groups = groups[:: round(1 / SHARES.get(reader, 1))]
    function: Callable[[str, Groups], Iterator[np.ndarray]] = globals()[f"read_{reader}"]
    for _ in function(name, groups[:1]):  # imports and first-call costs are not parsing
        pass
    started, cpu_started = time.perf_counter(), time.process_time()
    sums = [(table.sum(), table.size) for table in function(name, groups)]
    seconds, cpu_s = time.perf_counter() - started, time.process_time() - cpu_started
    n_bytes = sum(path.stat().st_size for paths in groups for path in paths)
    facts = {"seconds": seconds, "cpu_s": cpu_s, "bytes": n_bytes, "numbers": sum(n for _, n in sums),
             "sum": math.fsum(value for value, _ in sums)}  # fmt: skip
    print(json.dumps(facts))


def measure(name: str, reader: str, folder: Path, threads: int) -> dict[str, float]:
    """Run a reader in a process of its own."""
    command = [sys.executable, __file__, "--be", name, reader, str(folder)]
    more = {"POLARS_MAX_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
    pin = (lambda: os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[0]})) if threads == 1 else None
    done = subprocess.run(
        command, env=os.environ | more, capture_output=True, text=True, check=True, preexec_fn=pin
    )  # fmt: skip
    return json.loads(done.stdout)


def compare(name: str, folder: Path, rounds: int) -> None:
    """Print one line a reader of a set."""
    for paths in groups_of(name, folder):
        for path in paths:
            path.read_bytes()
    cores = len(os.sched_getaffinity(0))
    contenders = [(reader, 1) for reader in READERS[name]]
    contenders += [(reader, cores) for reader in READERS[name] if reader.startswith(("polars", "dcdp")) and cores > 1]
    best: dict[tuple[str, int], dict[str, float]] = {}
    for _ in range(rounds):
        for key in contenders:
            found = measure(name, key[0], folder, key[1])
            cost = "cpu_s" if key[1] == 1 else "seconds"
            if key not in best or found[cost] < best[key][cost]:
                best[key] = found
    rate = {key: found["bytes"] / found["cpu_s" if key[1] == 1 else "seconds"] / 1e6 for key, found in best.items()}
    for (reader, threads), found in best.items():
        facts = {"data": name, "reader": reader, "threads": threads, "MB_per_s": round(rate[reader, threads], 1),
                 "dcdp_is_faster": round(rate["dcdp", threads] / rate[reader, threads], 2),
                 "share": SHARES.get(reader, 1), "seconds": round(found["seconds"], 2)}  # fmt: skip
        if reader not in SHARES:  # pandas rounds the last digit otherwise
            facts["same_sum"] = math.isclose(found["sum"], best["dcdp", 1]["sum"], rel_tol=1e-9)
        print(json.dumps(facts), flush=True)


def take_turns(name: str, folder: Path, every: int) -> None:
    """Print one line a reader: its processor time over that of dcdp for the same files."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    groups = groups_of(name, folder)[::every]
    readers = [reader for reader in READERS[name] if reader not in SHARES]
    functions = [globals()[f"read_{reader}"] for reader in readers]
    cpu_s = np.zeros((len(groups), len(readers)))
    for function in functions:  # imports and first-call costs are not parsing
        list(function(name, groups[:1]))
    for row, group in enumerate(groups):
        for column, function in enumerate(functions):
            started = time.process_time()
            list(function(name, [group]))
            cpu_s[row, column] = time.process_time() - started
    n_bytes = sum(path.stat().st_size for paths in groups for path in paths)
    for reader, own_s in zip(readers, cpu_s.T, strict=True):
        facts = {"data": name, "reader": reader, "way": "turns", "threads": 1, "tables": len(groups),
                 "MB_per_s": round(n_bytes / own_s.sum() / 1e6, 1),
                 "dcdp_is_faster": round(own_s.sum() / cpu_s[:, 0].sum(), 2),
                 "median": round(float(np.median(own_s / cpu_s[:, 0])), 2)}  # fmt: skip
        print(json.dumps(facts), flush=True)


def main() -> None:
    """Unpack the archives and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("DCDP_DATA", "../shared/data")))
    parser.add_argument("--unpacked", type=Path)
    parser.add_argument("--sets", default="hapt,uschad,dsads")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--turns", type=int, metavar="N")
    options = parser.parse_args()
    if options.turns:
        os.environ["POLARS_MAX_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as temporary:
        for name in options.sets.split(","):
            folder = (options.unpacked or Path(temporary)) / name
            if not folder.is_dir():
                archive = options.data / f"{name}.tar.xz"
                if not archive.is_file():
                    print(f"skipped {name}: no {archive}; give --data or set DCDP_DATA")
                    continue
                folder.mkdir(parents=True)
                subprocess.run(["tar", "-xJf", str(archive), "-C", str(folder)], check=True)
            if options.turns:
                take_turns(name, folder, options.turns)
            else:
                compare(name, folder, options.rounds)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--be"]:
        be_reader(sys.argv[2], sys.argv[3], Path(sys.argv[4]))
    else:
        main()
