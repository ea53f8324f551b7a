"""Time the first opening of each data set (parse, verify, store) and the second (map the store).

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
            seconds = []
            for data in (options.data_dir, None):
                started = time.perf_counter()
                store = open_set(name, data, Path(cache))
                seconds.append(time.perf_counter() - started)
            n_bytes = sum(store.array(signal.name).nbytes for signal in store.spec)
            facts = {"data": name, "bytes": n_bytes, "first_s": round(seconds[0], 2), "second_s": round(seconds[1], 4),
                     "ratio": round(seconds[0] / seconds[1])}  # fmt: skip
            print(json.dumps(facts))


if __name__ == "__main__":
    main()
