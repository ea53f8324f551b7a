"""Compare every number that the loaders' parser reads from real files with Python's ``float``, to the bit.

    python studies/parsed_digits.py FOLDER [--every 7]

FOLDER holds the unpacked files of HAPT or DSADS; ``--every 7`` reads each seventh file.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from dcdp.data.text import parse_table


def main() -> None:
    """Print how many files and numbers were compared, and how many differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--every", type=int, default=1)
    options = parser.parse_args()
    hapt = sorted(options.folder.rglob("RawData/*_exp*.txt"))
    files = (hapt or sorted(options.folder.rglob("p[0-9]/s*.txt")))[:: options.every]
    separator, n_columns = (" ", 3) if hapt else (",", 45)
    n_numbers = n_different = 0
    for path in files:
        data = path.read_bytes()
        table, _ = parse_table([(path.name, data)], separator, [f"c{i}" for i in range(n_columns)])
        wanted = np.array([float(word) for word in data.replace(b",", b" ").split()])
        n_numbers += wanted.size
        n_different += int((table.ravel().view(np.uint64) != wanted.view(np.uint64)).sum())
    print(f"{len(files)} files, {n_numbers} numbers, {n_different} different")


if __name__ == "__main__":
    main()
