"""Time each augmentation against the training step that it is added to, in one process.

    python benchmarks/bench_augmentation.py [--data hapt|dsads|uschad|synthetic] [--rounds 30]

Each round takes one batch, one plain training step (no augmentation), and every augmentation once; a cost is the
median over rounds of processor time against the plain step of the same round, so that a busy machine disturbs both
alike. Real sets are read from the cache or from $DCDP_DATA.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace

import numpy as np
import torch

from dcdp.augmentation import AugmentConfig, augment
from dcdp.batches import Batch, Batches
from dcdp.config import RunConfig, default_config
from dcdp.experiments.source import load
from dcdp.models.network import branches_by, build_network, lay_out, resolve_network
from dcdp.objectives import objective
from dcdp.signals.windows import cut_windows

OFF = AugmentConfig(rotation_deg=0.0)
OPTIONS = {
    "rotation_deg": 10.0, "gain": 0.1, "flip": 0.1, "jitter": 0.05, "jitter_mps2": 0.1, "jitter_dps": 1.0,
    "drift_mps2": 0.5, "drift_dps": 5.0,
    "time_warp": 0.2, "magnitude_warp": 0.1, "channel_dropout": 0.1, "signal_dropout": 0.1, "modality_dropout": 0.1,
    "mixing": 0.5,
}  # fmt: skip
WARM_UP = 3


class PlainStep:
    """A network and its optimiser, without augmentation or modulation."""

    def __init__(self, config: RunConfig, train: Batches, n_classes: int) -> None:
        torch.manual_seed(0)
        self.config = config
        self.network = build_network(train.layouts, n_classes, config.network)
        some = train.gather(np.arange(min(1000, len(train))))
        for branch in self.network.branches:
            self.network.encoders[branch].fit(some.inputs[branch])
        self.optimizer = torch.optim.AdamW(self.network.parameters(), 1e-3, foreach=True)

    def __call__(self, batch: Batch) -> None:
        """Train on one batch."""
        outputs = self.network(batch.inputs, batch.present, contrast=self.config.objective.contrast > 0)
        total, _ = objective(outputs, batch.label, batch.present, self.config.objective, 0.5)
        total.backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)


def main() -> None:
    """Print the milliseconds of a plain step, and the cost of each option as a share of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="synthetic")
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args()
    torch.set_num_threads(1)
    config = default_config(options.data)
    source = load(options.data)
    windows = cut_windows(source.store, config.windows)
    how = resolve_network(config.network).branch_by
    layouts = lay_out(source.spec, branches_by(source.spec, how, source.branches), config.windows.window_s)
    train = Batches(source.store, windows, layouts).usable()
    step = PlainStep(config, train, len(windows.label_set))
    named = {name: replace(OFF, **{name: value}) for name, value in OPTIONS.items()}
    named = {"off": OFF, "default": AugmentConfig(), **named, "all of them": replace(OFF, **OPTIONS)}
    rng, size = np.random.default_rng(0), config.training.batch_size
    step_s, own_s = [], {name: [] for name in named}
    for _ in range(options.rounds + WARM_UP):
        index = rng.permutation(len(train))[:size]
        subject = train.windows.subject[index]
        started = time.process_time()
        batch = train.gather(index)
        step(batch)
        step_s.append(time.process_time() - started)
        for name in rng.permutation(list(named)):  # the first one finds the caches cold
            started = time.process_time()
            augment(batch, layouts, named[name], subject)
            own_s[name].append(time.process_time() - started)
    plain = np.array(step_s[WARM_UP:])
    print(json.dumps({"data": options.data, "batch": size, "plain_step_ms": round(1e3 * float(np.median(plain)), 2)}))
    for name, seconds in own_s.items():
        ratio = float(np.median(np.array(seconds[WARM_UP:]) / plain))
        print(json.dumps({"option": name, "ratio_to_plain_step": round(ratio, 4)}))


if __name__ == "__main__":
    main()
