"""Fit the trees that stand beside a trained network, branch by branch."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dcdp.augmentation import AugmentConfig, augment
from dcdp.batches import Batch, Batches
from dcdp.models.dual_path import DualPath
from dcdp.models.network import NetworkConfig, build_experts, resolve_network
from dcdp.models.peers.gradient_boosting import fit_boosting
from dcdp.models.trees import MAX_DEPTH, TreeExpert

__all__ = ["VARIED_COPIES", "add_experts", "known_mean"]

VARIED_COPIES = 3
"""How often each training window is there once more, varied as those are that the network learns from."""
MOST_ROWS = 60_000
"""Windows and copies that the trees of a branch learn from; where there are more, so many drawn at random."""
_MOST_FEATURES = 45
"""Statistics that a tree may look at, where 30 % of them, what LightGBM as a peer has, are more (docs/findings.md)."""
_PER_GATHER = 1024


def add_experts(
    network: DualPath,
    config: NetworkConfig,
    train: Batches,
    augmentation: AugmentConfig,
    seed: int,
    progress: Callable[[int, int, str], None] | None = None,
) -> None:
    """Give a trained network the trees that its configuration asks for, if any.

    Parameters
    ----------
    network
        Trained.
    config
        ``tree_rounds`` is read.
    train
        Windows to learn from. A branch learns from those that have it.
    augmentation
        How copies are varied.
    seed
        Of the copies, of the windows drawn, and of the features that a tree may look at.
    progress
        Called as ``progress(done, total, text)``: windows described, then rounds of all branches.

    Raises
    ------
    ConfigError
        If LightGBM finds no OpenMP runtime.
    """
    experts = build_experts(train.layouts, len(train.windows.label_set), config)
    if experts is None:
        return
    told = progress or (lambda _done, _total, _text: None)
    rows, is_copy = _drawn(len(train), seed)
    torch.manual_seed(seed)
    parts: list[list[NDArray[np.float32]]] = [[] for _ in experts]
    for batch in _batches(train, rows, is_copy, augmentation):
        for expert, x, own in zip(experts, batch.inputs.values(), parts, strict=True):
            assert isinstance(expert, TreeExpert)
            own.append(_described(expert, x.cpu()))
        told(sum(map(len, parts[0])), len(rows), "windows for trees")
    label, present = train.windows.label[rows], train.present[rows]
    n_rounds = resolve_network(config).tree_rounds
    told(0, len(parts) * n_rounds, "trees")
    for m, (expert, own) in enumerate(zip(experts, parts, strict=True)):
        assert isinstance(expert, TreeExpert)

        def on_round(done: int, before: int = m * n_rounds) -> None:
            told(before + done, len(parts) * n_rounds, "trees")

        if present[:, m].any():
            _fit_one(expert, np.concatenate(own)[present[:, m]], label[present[:, m]], seed, n_rounds, on_round)
        else:
            on_round(n_rounds)
        own.clear()
    network.experts = experts.to(train.device)


def known_mean(statistics: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (F,) mean statistics over the windows in which they are known; 0 for one that never is."""
    known = ~np.isnan(statistics)
    total = np.where(known, statistics, 0).sum(0, dtype=np.float64)
    mean: NDArray[np.float32] = (total / np.maximum(known.sum(0), 1)).astype(np.float32)
    return mean


def _drawn(n: int, seed: int) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Return rows of the training windows, and which of them are to be varied: the originals first."""
    draw = np.random.default_rng(seed)
    rows = np.concatenate([np.arange(n), *(draw.permutation(n) for _ in range(VARIED_COPIES))])
    is_copy = np.arange(len(rows)) >= n
    if len(rows) > MOST_ROWS:
        kept = np.sort(draw.choice(len(rows), MOST_ROWS, replace=False))
        rows, is_copy = rows[kept], is_copy[kept]
    return rows, is_copy


def _batches(
    train: Batches, rows: NDArray[np.intp], is_copy: NDArray[np.bool_], augmentation: AugmentConfig
) -> Iterator[Batch]:
    for varied in (False, True):
        chosen = rows[is_copy == varied]
        for start in range(0, len(chosen), _PER_GATHER):
            index = chosen[start : start + _PER_GATHER]
            batch = train.gather(index)
            yield augment(batch, train.layouts, augmentation, train.windows.subject[index]) if varied else batch


@torch.inference_mode()
def _described(expert: TreeExpert, x: Tensor) -> NDArray[np.float32]:
    statistics: NDArray[np.float32] = expert.describe(x).numpy()
    return statistics


def _fit_one(
    expert: TreeExpert,
    statistics: NDArray[np.float32],
    label: NDArray[np.int64],
    seed: int,
    n_rounds: int,
    on_round: Callable[[int], None],
) -> None:
    mean = known_mean(statistics)
    model, classes = fit_boosting(
        np.where(np.isnan(statistics), mean, statistics), label, seed, n_rounds=n_rounds, max_depth=MAX_DEPTH,
        share=min(0.3, _MOST_FEATURES / statistics.shape[1]), n_threads=torch.get_num_threads(), on_round=on_round,
    )  # fmt: skip
    expert.trees.load_trees(model.dump_model(), classes.tolist(), torch.from_numpy(mean))
