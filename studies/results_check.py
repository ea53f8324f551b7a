"""Run a small part of the published figures again and compare: what ``make results-check`` does.

    python studies/results_check.py --data ../shared/data

Each cell of grids/check.toml is run in a temporary folder. Its macro-F1 by test person is compared with that of the
committed cell of the same name, in results/arena if it is there, else in results/check. Exit code 1 if a mean is off by
more than the tolerance.

The tolerance is for what may differ between machines: a forest of the same seed depends on the last bits of its
statistics, a network on the order of every sum in 1500 steps. A seed moves a network by about 0.01.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console

from dcdp.cli.summary import print_lines, print_table
from dcdp.evaluation import read_result
from dcdp.experiments.benchmark import run_grid
from dcdp.experiments.grid import Cell, read_grid
from dcdp.models.peers import list_peers

ROOT = Path(__file__).resolve().parents[1]
COMMITTED = ("results/arena", "results/check")
TOLERANCE = {"classical": 0.01, "network": 0.03}


def committed(cell: Cell) -> dict[str, Any]:
    """Return the committed result of a cell."""
    for folder in COMMITTED:
        path = ROOT / folder / f"{cell.name}.json"
        if path.is_file():
            return read_result(path)
    sys.exit(f"error: no committed result of '{cell.name}' in {' or '.join(COMMITTED)}")


def compare(cell: Cell, result: dict[str, Any]) -> list[Any]:
    """Return a row: means over the people that both have, their difference, and whether it is within the tolerance."""
    before, now = (r["test"]["macro_f1"]["by_subject"] for r in (committed(cell), result))
    people = sorted(before.keys() & now.keys())
    means = [sum(by[name] for name in people) / len(people) for by in (before, now)]
    tolerance = TOLERANCE["classical" if cell.method.base in list_peers("classical") else "network"]
    apart = max(abs(before[name] - now[name]) for name in people)
    verdict = "same" if abs(means[1] - means[0]) <= tolerance else "OFF"
    return [cell.name, len(people), *means, means[1] - means[0], apart, tolerance, verdict]


def main() -> int:
    """Run the cells and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with the archives")
    parser.add_argument("--cache", type=Path, help="folder for parsed recordings")
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    grid = read_grid(ROOT / "grids" / "check.toml")
    for cell in grid.cells:
        committed(cell)  # before an hour is spent on the others
    with tempfile.TemporaryDirectory() as folder:
        outcome = run_grid(
            grid, Path(folder), workers=options.workers, data=options.data, cache=options.cache,
            device="cpu", console=Console(stderr=True),
        )  # fmt: skip
    found = {(result["data"], result["method"], result["seed"]): result for result in outcome.results}
    keys = {(cell.data_name, cell.method.name, cell.seed): cell for cell in grid.cells}
    rows = [compare(cell, found[key]) for key, cell in keys.items() if key in found]
    columns = ["cell", "people", "committed", "now", "difference", "largest of a person", "tolerance", "verdict"]
    print_table(columns, rows, "macro-F1 run again")
    for name, why in outcome.failures.items():
        print_lines(f"failed  {name}: {why}")
    return int(bool(outcome.failures) or any(row[-1] == "OFF" for row in rows))


if __name__ == "__main__":
    sys.exit(main())
