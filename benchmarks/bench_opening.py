"""Time the first opening of each data set (parse, verify, store) and the second (open the store).

    python benchmarks/bench_opening.py [--data-dir FOLDER] [--sets hapt,uschad,dsads]
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

from dcdp.data import open_set


def bytes_read() -> int:
    """Return the bytes that this process has read so far by system calls (mapped pages that were touched: none)."""
    try:
        lines = Path("/proc/self/io").read_text().splitlines()
    except OSError:
        return 0
    return int(lines[0].split()[1])


def main() -> None:
    """Print the seconds of both openings and their ratio, in a cache made for the purpose."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, default=Path(os.environ.get("DCDP_DATA", "../shared/data")))
    parser.add_argument("--sets", default="hapt,uschad,dsads")
    options = parser.parse_args()
    if not options.data_dir.is_dir():
        print(f"skipped: no data sets in {options.data_dir}; give --data-dir or set DCDP_DATA")
        return
    with tempfile.TemporaryDirectory() as cache:
        for name in options.sets.split(","):
            seconds, read = [], []
            for data in (options.data_dir, None):
                started, before = time.perf_counter(), bytes_read()
                store = open_set(name, data, Path(cache))
                seconds.append(time.perf_counter() - started)
                read.append(bytes_read() - before)
            n_bytes = sum(store.array(signal.name).nbytes for signal in store.spec)
            facts = {"data": name, "bytes": n_bytes, "first_s": round(seconds[0], 2), "second_s": round(seconds[1], 4),
                     "ratio": round(seconds[0] / seconds[1]), "second_read_bytes": read[1]}  # fmt: skip
            print(json.dumps(facts))


if __name__ == "__main__":
    main()
