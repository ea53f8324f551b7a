"""Put finished trees beside a finished peer, to see whether trees help our network or any network.

    dcdp benchmark grids/arena.toml --data ../shared/data --only uschad-arena/cnn_har@ours/s0
    python studies/late_fusion.py runs/arena uschad cnn_har@ours lightgbm@ours --out results/late_fusion.jsonl

Both were tested on the same windows; their predictions lie beside their results. Probabilities are the weighted
geometric mean of the two, the trees weighing a quarter, as beside our own branches, or more. Nothing is trained and
nothing chosen: each weight has its line, held against ``dcdp`` of the same folder by person where that is there.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dcdp.evaluation import compare
from dcdp.evaluation.acting import OURS
from dcdp.evaluation.by_subject import macro_f1_by_subject
from dcdp.reports.run_folder import Predictions, read_predictions

WEIGHTS = (0.0, 0.25, 0.5, 1.0)
"""Of the trees."""
FLOOR = 1e-4
"""Least probability, as of the trees beside our branches."""


def fused(network: Predictions, trees: Predictions, weight: float) -> NDArray[np.float32]:
    """Return probabilities (N, K) of both together."""
    if not (np.array_equal(network.label, trees.label) and np.array_equal(network.subject, trees.subject)):
        raise SystemExit("error: both must have been tested on the same windows")
    logs = [np.log(one.probability + FLOOR) for one in (network, trees)]
    weighed: NDArray[np.float32] = np.exp((1 - weight) * logs[0] + weight * logs[1])
    return weighed / weighed.sum(1, keepdims=True)


def main() -> None:
    """Print and keep one line a weight."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of a benchmark, such as runs/arena")
    parser.add_argument("data", help="data set, tested on arena folds")
    parser.add_argument("network", help="method")
    parser.add_argument("trees", help="method")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="file of JSON lines that gets these")
    options = parser.parse_args()
    cells = options.folder / f"{options.data}-arena"
    one, other = (
        read_predictions(cells / name / f"s{options.seed}.npz") for name in (options.network, options.trees)
    )
    path = cells / OURS / f"s{options.seed}.json"
    ours = json.loads(path.read_text())["test"]["macro_f1"]["by_subject"] if path.is_file() else None
    for weight in WEIGHTS:
        scores = macro_f1_by_subject(one.label, fused(one, other, weight), one.subject)
        line = {"data": options.data, "network": options.network, "trees": options.trees, "seed": options.seed,
                "weight": weight, "macro_f1": float(np.mean(list(scores.values()))), "by_subject": scores}  # fmt: skip
        told = ""
        if ours is not None:
            found = compare(scores, ours)
            line["minus_dcdp"] = {"mean": found.mean_difference, "interval": found.interval, "p": found.p_value}
            told = "minus dcdp {:+.4f} [{:+.4f}, {:+.4f}], p {:.4f}".format(
                found.mean_difference, *found.interval, found.p_value
            )
        print(f"{options.network} and {options.trees}, weight {weight}: {line['macro_f1']:.4f}", told)
        if options.out is not None:
            with options.out.open("a") as file:
                file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
