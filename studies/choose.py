"""Compare settings on validation subjects alone: what the defaults were chosen by. Test subjects are never looked at.

    python studies/choose.py hapt --set augment.rotation_deg=20 --set "objective.contrast=0 network.path_dropout=0"

Each --set is one variant (assignments separated by blanks); the default configuration always runs beside them. The HAPT
folds are thirds of the official training users; of the other sets, or where --folds names some, the validation groups
of the arena folds. Finished cells are kept in --out and not run again while their configuration is the same.
--method trains a peer in place of our network, e.g. cnn_har or cnn_har@ours.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dcdp.batches import Batches
from dcdp.config import RunConfig, default_config
from dcdp.evaluation import subject_macro_f1
from dcdp.evaluation.acting import OURS
from dcdp.experiments.acting import settled
from dcdp.experiments.fold_request import resolve_device
from dcdp.experiments.methods import named_method
from dcdp.experiments.peers import score_peer
from dcdp.experiments.pool import Failure, run_jobs
from dcdp.experiments.source import DataSource, load
from dcdp.inference import infer, softmax
from dcdp.models.network import branches_by, build_network, lay_out, resolve_network
from dcdp.records import Windows
from dcdp.settings import override, to_toml
from dcdp.signals.windows import cut_windows
from dcdp.splits import Split, drop_copies, make_folds, select_folds
from dcdp.training import add_experts, fit

KEY = ("data", "variant", "fold", "seed", "config", "method")
"""What names a cell; ``config`` is a digest, so that a default of another day is another cell. No method is ours."""


@lru_cache(1)
def opened(data: str) -> tuple[DataSource, Windows]:
    """Return a data set and its windows, once in a process."""
    source = load(data)
    return source, cut_windows(source.store, default_config(data).windows)


def folds_of(source: DataSource, which: str | None) -> tuple[Split, ...]:
    """Return splits whose validation people are looked at and whose test people are not."""
    if source.official and which is None:
        train = source.official["train"]
        return tuple(
            make_folds("holdout", source.subjects, test=source.official["test"], validation=train[i::3])[0]
            for i in range(3)
        )
    return select_folds(make_folds("arena", source.subjects), None if which == "all" else which or "1,4,7")


def validation_score(
    data: str, split: Split, config: RunConfig, method: str | None, seed: int, device: str, report: Any
) -> dict[str, float]:
    """Train to the last epoch; return macro-F1 of the validation subjects, of our network also by branch head."""
    source, windows = opened(data)
    branches = branches_by(source.spec, resolve_network(config.network).branch_by, source.branches)
    layouts = lay_out(source.spec, branches, config.windows.window_s)
    windows, _ = drop_copies(windows, split, source.store)
    parts = split.parts(windows)
    known, asked = windows.take(parts["train"]), windows.take(parts["validation"])
    if method is not None:
        peer = score_peer(method, source.store, layouts, known, asked, seed, config=config, device=device,
                          progress=report)  # fmt: skip
        return {"joint": peer["scores"]["macro_f1"]["mean"], "seconds": peer["seconds"]}
    torch.manual_seed(seed)
    network = build_network(layouts, len(windows.label_set), config.network).to(device)
    train = Batches(source.store, known, layouts, torch.device(device)).usable()
    held = Batches(source.store, asked, layouts, torch.device(device)).usable()
    result = fit(network, train, config.training, config.objective, config.modulation, config.augment,
                 branch_dropout=resolve_network(config.network).branch_dropout, seed=seed, progress=report)  # fmt: skip
    add_experts(network, config.network, train, config.augment, seed)
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
    parser.add_argument("--method", default=OURS, help="dcdp, or a peer with or without a recipe")
    parser.add_argument("--folds", help="arena folds such as 1,4,7, or all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--workers", type=int, default=1, help="trainings that run at a time")
    parser.add_argument("--out", type=Path, default=Path("results/choices.jsonl"))
    options = parser.parse_args()
    folds, device = folds_of(opened(options.data)[0], options.folds), resolve_device(options.device)
    method = None if named_method(options.method).base == OURS else options.method
    options.out.parent.mkdir(parents=True, exist_ok=True)
    lines = options.out.read_text().splitlines() if options.out.exists() else []
    cells = {tuple(c.get(name) for name in KEY): c for c in map(json.loads, lines)}
    jobs, keys, digests = {}, {}, {}
    for variant in ["", *options.variants]:
        config = override(default_config(options.data), *variant.split())
        config = replace(config, training=replace(config.training, patience=config.training.epochs))
        digest = digests[variant] = sha256(to_toml(settled(config)).encode()).hexdigest()[:12]
        for split in folds:
            key = (options.data, variant, "+".join(split.validation), options.seed, digest, method)
            if key not in cells:
                jobs[" ".join(map(str, key))] = (options.data, split, config, method, options.seed, device)
                keys[" ".join(map(str, key))] = key

    def done(name: str, outcome: Any) -> None:
        if isinstance(outcome, Failure):
            raise SystemExit(f"{name}: {outcome.message}\n{outcome.trace}")
        cells[keys[name]] = dict(zip(KEY, keys[name], strict=True)) | {"scores": outcome}
        with options.out.open("a") as file:
            file.write(json.dumps(cells[keys[name]]) + "\n")

    run_jobs(validation_score, jobs, options.workers, lambda *_: None, done)
    wanted = {"+".join(split.validation) for split in folds}
    for variant in ["", *options.variants]:
        own = [
            c["scores"] for (data, name, fold, *rest), c in cells.items()
            if (data, name, *rest) == (options.data, variant, options.seed, digests[variant], method) and fold in wanted
        ]  # fmt: skip
        means = {name: round(float(np.mean([scores[name] for scores in own])), 4) for name in own[0]}
        print(options.method, variant or "default", f"{len(own)} groups", means, flush=True)


if __name__ == "__main__":
    main()
