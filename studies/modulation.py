"""Does modulation mend modality competition? On a synthetic body with one strongly dominant modality, on against off.

    python studies/modulation.py [--seeds 11,12,13,14,15] [--dominance 1.0] [--out FILE.jsonl] [--set key=value ...]

For each seed a new body (other people) and one training per variant; the last quarter of the people is
held out for the test, two more for validation. Finished cells are not run again. The weak branches are those
other than the dominant one, by their own heads.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dcdp.config import RunConfig, default_config
from dcdp.evaluation import compare
from dcdp.experiments.fold import FoldRequest, run_fold
from dcdp.experiments.source import load
from dcdp.settings import override
from dcdp.signals.windows import cut_windows
from dcdp.splits import make_folds

VARIANTS = {
    "off": {"alpha": 0.0, "beta": 0.0, "momentum": 0.0},
    "brake": {"alpha": 1.0, "beta": 0.0, "momentum": 0.0},
    "brake and lift": {"alpha": 1.0, "beta": 1.0, "momentum": 0.0},
    "brake, lift, momentum": {"alpha": 1.0, "beta": 1.0, "momentum": 0.5},
}


def run_cell(seed: int, variant: str, config: RunConfig, dominance: float) -> dict[str, Any]:
    """Train one variant on the body of one seed; return its test figures."""
    config = replace(
        config,
        body=replace(config.body, seed=seed, dominance=dominance),
        modulation=replace(config.modulation, **VARIANTS[variant]),
    )
    source = load("synthetic", body=config.body)
    windows = cut_windows(source.store, config.windows)
    people = source.subjects
    n_test = max(2, len(people) // 4)
    (fold,) = make_folds("holdout", people, test=people[-n_test:], validation=people[-n_test - 2 : -n_test])
    result = run_fold(FoldRequest(source, windows, fold, config, seed))
    scores = result["scores"]
    return {
        "seed": seed,
        "variant": variant,
        "joint_macro_f1": scores["macro_f1"]["mean"],
        "head_accuracy": {name: figures["accuracy"] for name, figures in scores["by_branch"].items()},
        "epochs": result["training"]["epochs"],
        "best_epoch": result["training"]["best_epoch"],
    }


def summarise(cells: list[dict[str, Any]], dominant: str) -> None:
    """Print the mean of each variant, and its paired difference to ``off``."""
    for variant in VARIANTS:
        own = {c["seed"]: c for c in cells if c["variant"] == variant}
        if not own:
            continue
        weak = {s: float(np.mean([a for n, a in c["head_accuracy"].items() if n != dominant])) for s, c in own.items()}
        joint = {s: c["joint_macro_f1"] for s, c in own.items()}
        print(f"{variant:24s} joint macro-F1 {np.mean(list(joint.values())):.3f}   "
              f"weak heads' accuracy {np.mean(list(weak.values())):.3f}")  # fmt: skip
        off = {c["seed"]: c for c in cells if c["variant"] == "off"}
        if variant != "off" and len(off) > 1:
            for name, ours, value in (("joint", joint, lambda c: c["joint_macro_f1"]),
                                      ("weak", weak, lambda c: float(np.mean(
                                          [a for n, a in c["head_accuracy"].items() if n != dominant])))):  # fmt: skip
                shared = {s: ours[s] for s in ours if s in off}
                found = compare(shared, {s: value(off[s]) for s in shared})
                print(f"    {name:6s} minus off: {found.mean_difference:+.3f} {found.interval} {found.verdict}")


def main() -> None:
    """Run what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="11,12,13,14,15")
    parser.add_argument("--variants", default=",".join(VARIANTS))
    parser.add_argument("--dominance", type=float, default=1.0)
    parser.add_argument("--out", type=Path, default=Path("results/modulation.jsonl"))
    parser.add_argument("--set", action="append", default=[], dest="settings")
    options = parser.parse_args()
    config = default_config("synthetic")
    for assignment in options.settings:
        config = override(config, assignment)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    cells = [json.loads(line) for line in options.out.read_text().splitlines()] if options.out.exists() else []
    done = {(c["seed"], c["variant"]) for c in cells}
    for seed in map(int, options.seeds.split(",")):
        for variant in options.variants.split(","):
            if (seed, variant) not in done:
                cell = run_cell(seed, variant, config, options.dominance)
                cells.append(cell)
                with options.out.open("a") as file:
                    file.write(json.dumps(cell) + "\n")
                print(json.dumps(cell), flush=True)
    summarise(cells, config.body.dominant)


if __name__ == "__main__":
    main()
