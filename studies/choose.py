"""Compare settings on validation subjects alone: what the defaults were chosen by. Test subjects are never looked at.

    python studies/choose.py hapt --set augment.rotation_deg=20 --set "objective.contrast=0 network.path_dropout=0"

Each --set is one variant (assignments separated by blanks); the default configuration always runs beside them. The HAPT
folds are thirds of the official training users; of the other sets the validation groups of the arena folds.
Finished cells are kept in --out and not run again.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from dcdp.batches import Batches
from dcdp.config import RunConfig, default_config
from dcdp.evaluation import subject_macro_f1
from dcdp.experiments.source import DataSource, load
from dcdp.inference import infer, softmax
from dcdp.models.network import branches_by, build_network, lay_out, resolve_network
from dcdp.records import Windows
from dcdp.settings import override
from dcdp.signals.windows import cut_windows
from dcdp.splits import Split, drop_copies, make_folds
from dcdp.training import fit


def folds_of(source: DataSource, which: str) -> tuple[Split, ...]:
    """Return splits whose validation people are looked at and whose test people are not."""
    if source.official:
        train = source.official["train"]
        return tuple(
            make_folds("holdout", source.subjects, test=source.official["test"], validation=train[i::3])[0]
            for i in range(3)
        )
    folds = make_folds("arena", source.subjects)
    return tuple(folds[int(i) - 1] for i in which.split(","))


def validation_score(
    source: DataSource, windows: Windows, split: Split, config: RunConfig, seed: int
) -> dict[str, float]:
    """Train to the last epoch; return macro-F1 of the validation subjects, joint and by branch head."""
    torch.manual_seed(seed)
    branches = branches_by(source.spec, resolve_network(config.network).branch_by, source.branches)
    layouts = lay_out(source.spec, branches, config.windows.window_s)
    network = build_network(layouts, len(windows.label_set), config.network)
    windows, _ = drop_copies(windows, split, source.store)
    parts = split.parts(windows)
    train = Batches(source.store, windows.take(parts["train"]), layouts).usable()
    held = Batches(source.store, windows.take(parts["validation"]), layouts).usable()
    result = fit(network, train, config.training, config.objective, config.modulation, config.augment,
                 branch_dropout=resolve_network(config.network).branch_dropout, seed=seed)  # fmt: skip
    out = infer(network, held)
    label, subject = held.windows.label, held.windows.subject
    scores = {"joint": subject_macro_f1(label, out.probability(), subject)}
    heads = softmax(out.branch)
    for m, name in enumerate(network.branches):
        scores[name] = subject_macro_f1(label, heads[:, m], subject)
        alone = np.zeros(len(network.branches), bool)
        alone[m] = True
        scores[f"without {name}"] = subject_macro_f1(label, out.without(network, ~alone), subject)
    return scores | {"seconds": result.seconds}


def main() -> None:
    """Run what is missing, then print one line a variant."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--set", action="append", default=[], dest="variants")
    parser.add_argument("--folds", default="1,4,7", help="arena folds, where there is no official split")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("results/choices.jsonl"))
    options = parser.parse_args()
    source = load(options.data)
    folds = folds_of(source, options.folds)
    windows = cut_windows(source.store, default_config(options.data).windows)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    lines = options.out.read_text().splitlines() if options.out.exists() else []
    cells = {(c["data"], c["variant"], c["fold"], c["seed"]): c for c in map(json.loads, lines)}
    for variant in ["", *options.variants]:
        config = default_config(options.data)
        for assignment in variant.split():
            config = override(config, assignment)
        config = replace(config, training=replace(config.training, patience=config.training.epochs))
        for split in folds:
            key = (options.data, variant, "+".join(split.validation), options.seed)
            if key not in cells:
                scores = validation_score(source, windows, split, config, options.seed)
                cells[key] = dict(zip(("data", "variant", "fold", "seed"), key, strict=True)) | {"scores": scores}
                with options.out.open("a") as file:
                    file.write(json.dumps(cells[key]) + "\n")
        own = [c["scores"] for k, c in cells.items() if k[0] == options.data and k[1] == variant]
        names = own[0]
        print(variant or "default", {n: round(float(np.mean([s[n] for s in own])), 4) for n in names}, flush=True)


if __name__ == "__main__":
    main()
