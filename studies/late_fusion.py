"""Put finished trees beside a finished peer, to see whether trees help our network or any network.

    dcdp benchmark grids/arena.toml --data ../shared/data --out runs/control --only uschad-arena/cnn_har@ours/s0
    dcdp benchmark grids/arena.toml --data ../shared/data --only uschad-arena/lightgbm@ours/s0
    python studies/late_fusion.py runs/control/uschad-arena/cnn_har@ours/s0.json \
        runs/arena/uschad-arena/lightgbm@ours/s0.json --beside results/arena/uschad-arena/dcdp/s0.json \
        --out results/late_fusion.jsonl

Both were tested on the same windows; their predictions lie beside their results. Probabilities are the weighted
geometric mean of the two, the trees weighing a quarter, as beside our own branches, or more. Nothing is trained and
nothing chosen: each weight has its line, held by person against the result ``--beside``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dcdp.evaluation import compare
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
    parser.add_argument("network", type=Path, help="result of a peer")
    parser.add_argument("trees", type=Path, help="result of trees, tested on the same folds")
    parser.add_argument("--beside", type=Path, help="result that both together are held against")
    parser.add_argument("--out", type=Path, help="file of JSON lines that gets these")
    options = parser.parse_args()
    results = [json.loads(path.read_text()) for path in (options.network, options.trees)]
    network, trees = (read_predictions(path.with_suffix(".npz")) for path in (options.network, options.trees))
    rival = None if options.beside is None else json.loads(options.beside.read_text())
    for weight in WEIGHTS:
        scores = macro_f1_by_subject(network.label, fused(network, trees, weight), network.subject)
        line = {"data": results[0]["data"], "network": results[0]["method"], "trees": results[1]["method"],
                "seed": results[0]["seed"], "weight": weight, "macro_f1": float(np.mean(list(scores.values()))),
                "by_subject": scores}  # fmt: skip
        told = ""
        if rival is not None:
            found = compare(scores, rival["test"]["macro_f1"]["by_subject"])
            line[f"minus_{rival['method']}"] = {
                "mean": found.mean_difference, "interval": found.interval, "p": found.p_value
            }  # fmt: skip
            told = "minus {} {:+.4f} [{:+.4f}, {:+.4f}], p {:.4f}".format(
                rival["method"], found.mean_difference, *found.interval, found.p_value
            )
        print("{data}: {network} and {trees}, weight {weight}: {macro_f1:.4f}".format(**line), told)
        if options.out is not None:
            with options.out.open("a") as file:
                file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
