"""Measure what every method costs, one after the other in one run: training, prediction, size, latency of one window.

    python benchmarks/bench_methods.py [--data hapt|synthetic|...] [--methods dcdp,forest,...] [--steps 60]
        [--out results/methods_cost.json]

Each method is fitted on the first fold of the ``arena`` split, the deep ones for ``--steps`` steps, and predicts a
thousand test windows and single ones; scores do not matter here. Each has a process of its own: in one that ran large
networks before, small ones take up to three times as long. One thread, and processor time: that is what a busy
machine changes least. Peers that take no steps count each training window once; the trees beside our network's branches
are not in its rate of training but in its ``train_seconds``, which those of ``no_trees`` leave out.
Real sets are read from the cache or from $DCDP_DATA; ``synthetic`` needs no files. Ratios are times that of ``dcdp``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import torch

from dcdp.allocator import keep_freed_memory
from dcdp.errors import ConfigError, MissingError
from dcdp.evaluation.acting import OURS
from dcdp.evaluation.results import environment
from dcdp.experiments.cost import measure_cost
from dcdp.experiments.fold_request import FoldRequest, audit_fold
from dcdp.experiments.methods import Method, fit_method, method_config, named_method
from dcdp.experiments.source import load
from dcdp.models.peers.registry import list_peers
from dcdp.signals.windows import cut_windows
from dcdp.splits import make_folds

COLUMNS = ("train_windows_per_s", "windows_per_s", "latency_ms", "parameters", "bytes")
VARIANTS = {"no_trees": Method("no_trees", settings=("network.tree_rounds=0",))}
SHORT = ("body.minutes_per_subject=3.0",)


def measure(name: str, data: str, steps: int) -> dict[str, Any]:
    """Fit one method on the first fold and measure it."""
    method = named_method(name, VARIANTS)
    body = SHORT if data == "synthetic" else ()
    config = method_config(method, data, (f"training.max_steps={steps}", *body))
    source = load(data, body=config.body)
    windows = cut_windows(source.store, config.windows)
    fold = make_folds("arena", source.store.subjects)[0]
    request, _ = audit_fold(FoldRequest(source, windows, fold, config))
    fitted = fit_method(method, request)
    cost = measure_cost(fitted, source.store, request.part("test"))
    if cost["train_windows_per_s"] is None:  # no steps: each training window is read once
        cost["train_windows_per_s"] = round(len(request.part("train")) / fitted.seconds, 1)
    return cost


def table(costs: dict[str, dict[str, Any]]) -> str:
    """Return one line a method, in brackets the ratio to our own network."""
    lines = [f"{'method':<22}" + "".join(f"{name:>28}" for name in COLUMNS)]
    for name, cost in costs.items():
        cells = []
        for column in COLUMNS:
            own, ours = cost.get(column), costs.get(OURS, {}).get(column)
            ratio = f" ({own / ours:.2f})" if own and ours else ""
            cells.append(f"{'-' if own is None else f'{own:,g}'}{ratio:>9}".rjust(28))
        lines.append(f"{name:<22}" + "".join(cells))
    return "\n".join(lines)


def be_one(name: str, data: str, steps: int) -> None:
    """Be the process that measures one method; print its costs, or why there are none."""
    torch.set_num_threads(1)
    keep_freed_memory()  # as the command line does
    time.perf_counter = time.process_time  # everything here happens in this one thread
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            print(json.dumps(measure(name, data, steps)))
        except (ConfigError, MissingError) as err:  # no files of this set, or a package that is not installed
            print(json.dumps(str(err)))


def main() -> None:
    """Measure, save after every method, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="hapt")
    parser.add_argument("--methods", default=",".join((OURS, *VARIANTS, *list_peers())))
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--out", type=Path, help="also write the figures to this JSON file")
    parser.add_argument("--be", metavar="METHOD", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.be:
        be_one(options.be, options.data, options.steps)
        return
    costs: dict[str, dict[str, Any]] = {}
    for name in options.methods.split(","):
        print(f"measuring {name} ...", flush=True)
        command = [sys.executable, __file__, "--be", name, "--data", options.data, "--steps", str(options.steps)]
        told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1])
        if isinstance(told, str):
            print(f"skipped {name}: {told}")
            continue
        costs[name] = told
        print(json.dumps({name: told}), flush=True)
        found = {"data": options.data, "steps": options.steps, **environment(), "methods": costs}
        if options.out is not None:
            options.out.write_text(json.dumps(found, indent=1) + "\n")
    print(table(costs))


if __name__ == "__main__":
    main()
