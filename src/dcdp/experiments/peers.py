"""Train and score rivals on the same windows and people as the network."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dcdp.batches import Batches
from dcdp.data.store import Store
from dcdp.errors import unknown_name
from dcdp.evaluation import score
from dcdp.models.network import BranchLayout
from dcdp.models.peers.forest import FOREST_INPUTS, fit_forest, predict_proba
from dcdp.models.statistics import WindowStatistics
from dcdp.records import Windows

__all__ = ["PEERS", "score_peer", "window_features"]

PEERS = tuple(FOREST_INPUTS)


def score_peer(
    name: str, store: Store, layouts: Sequence[BranchLayout], train: Windows, test: Windows, seed: int
) -> dict[str, Any]:
    """Train a peer on ``train`` and return ``scores`` on ``test`` and the ``seconds`` it took.

    ``forest`` is a random forest of 200 trees with balanced classes on the statistics that the network reads too
    (0 where a branch is absent); ``forest_extended`` reads the further ones of docs/features.md as well.
    """
    if name not in PEERS:
        raise unknown_name("peer", name, PEERS)
    started = time.perf_counter()
    extended = FOREST_INPUTS[name] == "extended"
    features = window_features(store, train, layouts, extended)
    forest = fit_forest(features, train.label, seed, n_jobs=torch.get_num_threads())
    probability = predict_proba(forest, window_features(store, test, layouts, extended), len(test.label_set))
    scores = score(test.label, probability, test.subject, test.label_set.names)
    return {"scores": scores, "seconds": time.perf_counter() - started}


def window_features(
    store: Store, windows: Windows, layouts: Sequence[BranchLayout], extended: bool = False
) -> NDArray[np.float32]:
    """Return (N, F) statistics of all branches."""
    describe = [
        WindowStatistics(len(lay.channels), tuple(i for i, _ in lay.vectors), lay.n_samples, lay.rate_hz, extended)
        for lay in layouts
    ]
    batches, rows = Batches(store, windows, layouts), []
    with torch.inference_mode():
        for start in range(0, len(windows), 1024):
            batch = batches.gather(np.arange(start, min(start + 1024, len(windows))))
            parts = [
                statistics(batch.inputs[lay.branch.name]) * batch.present[:, m : m + 1]
                for m, (lay, statistics) in enumerate(zip(layouts, describe, strict=True))
            ]
            rows.append(torch.cat(parts, 1).numpy())
    return np.concatenate(rows)
