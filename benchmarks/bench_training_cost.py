"""Time a training step with and without contrast, modulation and momentum, side by side in one process.

    python benchmarks/bench_training_cost.py [--data hapt|dsads|uschad|synthetic] [--rounds 30] [--profile] [--set K=V]

The variants take turns, step by step, so that a busy machine disturbs all of them alike; a ratio is the
median over rounds of processor time against the plain step of the same round.
Real sets are read from the cache or from $DCDP_DATA.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace

import numpy as np
import torch

from dcdp.augmentation import augment
from dcdp.balance import ModulationConfig, Modulator, parameter_groups
from dcdp.batches import Batches
from dcdp.config import RunConfig, default_config
from dcdp.experiments.source import load
from dcdp.models.network import branches_by, build_network, lay_out, resolve_network
from dcdp.objectives import objective
from dcdp.settings import override
from dcdp.signals.windows import cut_windows

OFF = ModulationConfig(alpha=0.0, momentum=0.0)
ON = ModulationConfig(alpha=1.0, beta=1.0, momentum=0.5)


class Variant:
    """A network with its own optimiser, objective and modulation."""

    def __init__(self, name: str, config: RunConfig, train: Batches, n_classes: int) -> None:
        self.name, self.config, self.train, self.seconds = name, config, train, []
        torch.manual_seed(0)
        self.network = build_network(train.layouts, n_classes, config.network)
        some = train.gather(np.arange(min(1000, len(train))))
        for branch in self.network.branches:
            self.network.encoders[branch].fit(some.inputs[branch])
        groups = parameter_groups(self.network, self.network.encoders, 1e-3, 0.01)
        self.optimizer = torch.optim.AdamW(groups, foreach=True)
        self.modulator = Modulator(self.network.encoders, self.optimizer, config.modulation)
        self.modulated = config.modulation != OFF

    def step(self, index: np.ndarray) -> None:
        """One step as in `dcdp.training.fit`, timed in processor seconds."""
        started = time.process_time()
        batch, subject = self.train.gather(index), self.train.windows.subject[index]
        batch = augment(batch, self.train.layouts, self.config.augment, subject)
        outputs = self.network(batch.inputs, batch.present, contrast=self.config.objective.contrast > 0)
        total, _ = objective(outputs, batch.label, batch.present, self.config.objective, 0.5)
        total.backward()
        if self.modulated:
            self.modulator.observe(outputs.branch, batch.label, batch.present)
            self.modulator.modulate(1e-3)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.seconds.append(time.process_time() - started)


def main() -> None:
    """Print windows per second and ratios to the plain network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="synthetic")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--set", action="append", default=[], dest="settings")
    options = parser.parse_args()
    config = override(default_config(options.data), *options.settings)
    source = load(options.data)
    windows = cut_windows(source.store, config.windows)
    how = resolve_network(config.network).branch_by
    layouts = lay_out(source.spec, branches_by(source.spec, how, source.branches), config.windows.window_s)
    train = Batches(source.store, windows, layouts).usable()
    plain = replace(config, objective=replace(config.objective, contrast=0.0), modulation=OFF)
    contrast = replace(plain, objective=replace(config.objective, contrast=0.1))
    everything = replace(contrast, modulation=ON)
    named = {"plain": plain, "+ contrast": contrast, "+ contrast, modulation, momentum": everything}
    variants = [Variant(name, settings, train, len(windows.label_set)) for name, settings in named.items()]
    rng = np.random.default_rng(0)
    size = config.training.batch_size
    for _ in range(options.rounds + 3):
        index = rng.permutation(len(train))[:size]
        for variant in variants:
            variant.step(index)
    plain_s = np.array(variants[0].seconds[3:])
    for variant in variants:
        own_s = np.array(variant.seconds[3:])
        facts = {
            "variant": variant.name,
            "data": options.data,
            "windows_per_cpu_s": round(size / float(np.median(own_s))),
            "ratio_to_plain": round(float(np.median(own_s / plain_s)), 3),
        }
        print(json.dumps(facts))
    if options.profile:
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
            for _ in range(5):
                variants[-1].step(rng.permutation(len(train))[:size])
        print(profile.key_averages().table(sort_by="self_cpu_time_total", row_limit=20, max_name_column_width=40))


if __name__ == "__main__":
    main()
