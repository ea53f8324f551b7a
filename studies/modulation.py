"""Does modulation mend modality competition? On a synthetic body with one strongly dominant modality, on against off.

    python studies/modulation.py [--seeds 11,12,13,14,15] [--variants "off;own: brake and lift"] [--set K=V ...]

For each seed a new body (other people) and one training per variant, of the same length for all: nothing is
stopped early or chosen. The last quarter of the people is held out. Finished cells (--out) are not run again with the
same settings. The weak branches are those other than the dominant one, by their own heads.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dcdp.batches import Batches
from dcdp.config import RunConfig, default_config
from dcdp.evaluation import compare, score_branches, subject_macro_f1
from dcdp.experiments.acting import settled
from dcdp.experiments.source import load
from dcdp.inference import infer, softmax
from dcdp.models.network import branches_by, build_network, lay_out, resolve_network
from dcdp.settings import override, to_toml
from dcdp.signals.windows import cut_windows
from dcdp.training import fit

VARIANTS = {
    "off": {"alpha": 0.0, "beta": 0.0},
    "update: brake": {"alpha": 1.0, "beta": 0.0, "acts_on": "update"},
    "update: brake and lift": {"alpha": 1.0, "beta": 1.0, "acts_on": "update"},
    "own: brake and lift": {"alpha": 3.0, "beta": 19.0, "acts_on": "own"},
    "own: brake": {"alpha": 1.0, "beta": 0.0, "acts_on": "own"},
    "own: brake, mild lift": {"alpha": 1.0, "beta": 1.0, "acts_on": "own"},
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
    test = np.isin(windows.subject, people[-max(2, len(people) // 4) :])
    torch.manual_seed(seed)
    shape = resolve_network(config.network)
    layouts = lay_out(source.spec, branches_by(source.spec, shape.branch_by, source.branches), config.windows.window_s)
    network = build_network(layouts, len(windows.label_set), config.network)
    train, held = (Batches(source.store, windows.take(part), layouts).usable() for part in (~test, test))
    fit(network, train, config.training, config.objective, config.modulation, config.augment,
        branch_dropout=shape.branch_dropout, seed=seed)  # fmt: skip
    out = infer(network, held)
    label, subject = held.windows.label, held.windows.subject
    heads = score_branches(label, softmax(out.branch), out.present, subject, network.branches)
    return {
        "seed": seed,
        "variant": variant,
        "joint_macro_f1": subject_macro_f1(label, out.probability(), subject),
        "head_accuracy": {name: figures["accuracy"] for name, figures in heads.items()},
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
    parser.add_argument("--variants", default=";".join(VARIANTS))
    parser.add_argument("--dominance", type=float, default=1.0)
    parser.add_argument("--out", type=Path, default=Path("results/modulation.jsonl"))
    parser.add_argument("--set", action="append", default=[], dest="settings")
    options = parser.parse_args()
    config = override(default_config("synthetic"), *options.settings)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    cells = [json.loads(line) for line in options.out.read_text().splitlines()] if options.out.exists() else []
    facts = f"{to_toml(settled(config))} {options.dominance}"
    digest = sha256(facts.encode()).hexdigest()[:12]  # other settings are other cells
    cells = [cell for cell in cells if cell.get("config") == digest]
    done = {(c["seed"], c["variant"]) for c in cells}
    for seed in map(int, options.seeds.split(",")):
        for variant in options.variants.split(";"):
            if (seed, variant) not in done:
                cell = run_cell(seed, variant, config, options.dominance) | {"config": digest}
                cells.append(cell)
                with options.out.open("a") as file:
                    file.write(json.dumps(cell) + "\n")
                print(json.dumps(cell), flush=True)
    summarise(cells, config.body.dominant)


if __name__ == "__main__":
    main()
