"""Fit a classical peer: trees on window statistics, MiniRocket on standardised channels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dcdp.augmentation import augment
from dcdp.batches import Batch, Batches
from dcdp.data.store import Store
from dcdp.experiments.peer_task import FittedPeer, PeerTask, plain_name, recipe_of, together
from dcdp.models.network import BranchLayout
from dcdp.models.normalise import ChannelNormaliser
from dcdp.models.peers.forest import FOREST_INPUTS, fit_forest, forest_bytes, predict_proba
from dcdp.models.peers.gradient_boosting import fit_boosting, predict_boosting
from dcdp.models.peers.minirocket import fit_minirocket, predict_minirocket
from dcdp.models.peers.side_by_side import SingleHead
from dcdp.models.statistics import WindowStatistics, recorded
from dcdp.records import Windows
from dcdp.training.experts import VARIED_COPIES, known_mean

__all__ = ["VARIED_COPIES", "fit_rocket", "fit_trees", "window_features"]

_PER_GATHER = 1024

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]


def window_features(
    store: Store, windows: Windows, layouts: Sequence[BranchLayout], extended: bool = False
) -> NDArray[np.float32]:
    """Return (N, F) statistics of all branches; NaN where a channel that they are taken of is absent."""
    describe = _statistics(layouts, extended)
    return np.concatenate([_described(describe, batch) for batch in _in_order(Batches(store, windows, layouts))])


def fit_trees(task: PeerTask) -> FittedPeer:
    """Fit a forest or boosted trees on the statistics that the network reads too."""
    extended = FOREST_INPUTS.get(plain_name(task.name)) == "extended"
    windows, n_threads = _all_known(task), torch.get_num_threads()
    features, label = task.describe(task.store, windows, task.layouts, extended), windows.label
    if recipe_of(task.name):
        describe, rows = _statistics(task.layouts, extended), _varied_rows(task, windows)
        features = np.concatenate([features, *(_described(describe, batch) for batch in _varied(task, windows, rows))])
        label = np.concatenate([label, label[rows]])
    mean = known_mean(features)
    features = np.where(np.isnan(features), mean, features)
    n_classes = len(windows.label_set)
    if plain_name(task.name) in FOREST_INPUTS:
        forest = fit_forest(features, label, task.seed, n_jobs=n_threads)
        parameters = sum(tree.tree_.node_count for tree in forest.estimators_)
        n_bytes = forest_bytes(forest)

        def classify(rows: Array) -> Array:
            return predict_proba(forest, rows, n_classes)
    else:
        model, classes = fit_boosting(features, label, task.seed, n_threads=n_threads)
        parameters = int(sum(2 * tree["num_leaves"] - 1 for tree in model.dump_model()["tree_info"]))
        n_bytes = len(model.model_to_string())

        def classify(rows: Array) -> Array:
            return predict_boosting(model, classes, rows, n_classes)

    branch = _branch_of_features(task.layouts, extended)

    def predict(store: Store, asked: Windows, used: Mask) -> Array:
        rows = task.describe(store, asked, task.layouts, extended)
        return classify(np.where(used[branch] & ~np.isnan(rows), rows, mean))

    return FittedPeer(predict, parameters, n_bytes)


def fit_rocket(task: PeerTask) -> FittedPeer:
    """Fit MiniRocket on standardised channels side by side."""
    windows = _all_known(task)
    held_out = None
    if task.validation is not None:
        held_out = np.isin(windows.recording, np.unique(task.validation.recording))
    head = SingleHead(task.layouts, nn.Identity())
    _fit_normalisers(head, Batches(task.store, windows, task.layouts), task)
    everything = np.ones(len(task.layouts), dtype=np.bool_)
    stacked, label = _stacked(task.store, task.layouts, head, windows, everything), windows.label
    if recipe_of(task.name):
        rows = _varied_rows(task, windows)
        stacked = np.concatenate([stacked, *(_side_by_side(head, batch) for batch in _varied(task, windows, rows))])
        label = np.concatenate([label, label[rows]])
        held_out = None if held_out is None else np.concatenate([held_out, held_out[rows]])
    model = fit_minirocket(stacked, label, task.seed, held_out)

    def predict(store: Store, asked: Windows, used: Mask) -> Array:
        stacked = _stacked(store, task.layouts, head, asked, used)
        return predict_minirocket(model, stacked, len(windows.label_set))

    return FittedPeer(predict, model.n_parameters, model.n_bytes, {"alpha": model.alpha})


def _in_order(batches: Batches) -> Iterator[Batch]:
    """Yield all windows, so many at a time."""
    for start in range(0, len(batches), _PER_GATHER):
        yield batches.gather(np.arange(start, min(start + _PER_GATHER, len(batches))))


def _varied(task: PeerTask, windows: Windows, rows: NDArray[np.intp]) -> Iterator[Batch]:
    """Yield these windows, varied, so many at a time."""
    batches = Batches(task.store, windows, task.layouts)
    torch.manual_seed(task.seed)
    for start in range(0, len(rows), _PER_GATHER):
        index = rows[start : start + _PER_GATHER]
        yield augment(batches.gather(index), task.layouts, task.config.augment, windows.subject[index])


def _varied_rows(task: PeerTask, windows: Windows) -> NDArray[np.intp]:
    """Return which window each varied copy is of: people mixed, as in the batches that a network is trained on."""
    draw = np.random.default_rng(task.seed)
    return np.concatenate([draw.permutation(len(windows)) for _ in range(VARIED_COPIES)])


@torch.inference_mode()
def _described(describe: Sequence[WindowStatistics], batch: Batch) -> Array:
    """Return statistics (B, F) of all branches, NaN where one of their channels is NaN somewhere."""
    parts = []
    for statistics, x in zip(describe, batch.inputs.values(), strict=True):
        features: Tensor = statistics(x.nan_to_num(0.0))
        parts.append(features.where(statistics.seen(recorded(x)) > 0, torch.nan))
    described: Array = torch.cat(parts, 1).numpy()
    return described


def _branch_of_features(layouts: Sequence[BranchLayout], extended: bool) -> NDArray[np.intp]:
    """Return (F,) the branch of each statistic."""
    return np.repeat(np.arange(len(layouts)), [each.n_features for each in _statistics(layouts, extended)])


@torch.no_grad()
def _fit_normalisers(head: SingleHead, batches: Batches, task: PeerTask) -> None:
    order = np.random.default_rng(task.seed).permutation(len(batches))[: task.config.training.normaliser_windows]
    batch = batches.gather(np.sort(order))
    for m, name in enumerate(head.branches):
        here = batch.inputs[name][batch.present[:, m]]
        if len(here):
            cast("ChannelNormaliser", head.encoders[name]).fit(here)


def _stacked(
    store: Store, layouts: Sequence[BranchLayout], head: SingleHead, windows: Windows, used: Mask
) -> Array:
    """Return (N, C, T): standardised windows, 0 where a branch is absent or not to be used."""
    batches = Batches(store, windows, layouts)
    batches.present &= used
    return np.concatenate([_side_by_side(head, batch) for batch in _in_order(batches)])


@torch.inference_mode()
def _side_by_side(head: SingleHead, batch: Batch) -> Array:
    stacked: Array = head.side_by_side(batch.inputs, batch.present).numpy()
    return stacked


def _statistics(layouts: Sequence[BranchLayout], extended: bool) -> list[WindowStatistics]:
    return [
        WindowStatistics(len(lay.channels), tuple(i for i, _ in lay.vectors), lay.n_samples, lay.rate_hz, extended)
        for lay in layouts
    ]


def _all_known(task: PeerTask) -> Windows:
    return together([part for part in (task.train, task.validation) if part is not None])
