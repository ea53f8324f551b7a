"""Print the figures of run folders or result files as one Markdown table.

    python studies/summary.py results/*.json

By subject: macro-F1 of each test person, then the mean. By group: macro-F1 of all windows of a fold taken together,
then the mean over folds, which is how the arena benchmark reports it. The interval and verdict pair people (see
`dcdp.evaluation.compare`).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from dcdp.evaluation import compare, read_result

PUBLISHED = {("dsads", "arena"): 0.8933, ("uschad", "arena"): 0.7883, ("hapt", "arena"): 0.848}


def row(path: Path) -> str:
    """Return one line of the table."""
    result = read_result(path / "result.json" if path.is_dir() else path)
    ours = result["test"]["macro_f1"]
    cells = [f"{result['data']} {result['split']['name']}", str(result["seed"]), figure(ours)]
    forest = result.get("peers", {}).get("forest", {}).get("macro_f1")
    if forest:
        found = compare(ours["by_subject"], forest["by_subject"])
        low, high = found.interval
        cells += [figure(forest), f"{found.mean_difference:+.3f} [{low:+.3f}, {high:+.3f}] {found.verdict}"]
    else:
        cells += ["", ""]
    published = PUBLISHED.get((result["data"], result["split"]["name"]))
    return "| " + " | ".join([*cells, f"{published:.4f}" if published else ""]) + " |"


def figure(block: dict[str, Any]) -> str:
    """Return mean and spread over people, and the mean over groups."""
    return f"{block['mean']:.3f} ± {block['std']:.3f} ({np.mean(list(block['by_fold'].values())):.3f})"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="+", type=Path)
    options = parser.parse_args()
    print("| set, split | seed | dcdp by subject (by group) | forest | dcdp - forest | published best (by group) |")
    print("|---|---|---|---|---|---|")
    for path in options.results:
        print(row(path))


if __name__ == "__main__":
    main()
