"""Train and score rivals on the same windows and people as the network."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dcdp.augmentation import AugmentConfig
from dcdp.balance import ModulationConfig
from dcdp.batches import Batches
from dcdp.config import RunConfig
from dcdp.data.store import Store
from dcdp.errors import ConfigError, unknown_name
from dcdp.evaluation import UNMEASURED_TEMPERATURE, fit_temperature, pool_folds, score, subject_macro_f1
from dcdp.inference import infer
from dcdp.models.dual_path import DualPath
from dcdp.models.network import BranchLayout
from dcdp.models.normalise import ChannelNormaliser
from dcdp.models.peers.forest import FOREST_INPUTS, fit_forest, forest_bytes, predict_proba
from dcdp.models.peers.gradient_boosting import fit_boosting, predict_boosting
from dcdp.models.peers.minirocket import fit_minirocket, predict_minirocket
from dcdp.models.peers.packages import require_package
from dcdp.models.peers.registry import Recipe, build_peer, get_peer, list_peers
from dcdp.models.peers.side_by_side import SingleHead
from dcdp.models.statistics import WindowStatistics
from dcdp.objectives import ObjectiveConfig
from dcdp.records import Windows
from dcdp.training import FitResult, TrainingConfig, fit

__all__ = ["FittedPeer", "expand_peers", "fit_peer", "pool_peer", "score_fitted", "score_peer", "window_features"]

_OURS = "ours"
_PER_GATHER = 1024

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]
Report = Callable[[int, int, str], None]
Predict = Callable[[Store, Windows, Mask], Array]
Describe = Callable[[Store, Windows, Sequence[BranchLayout], bool], Array]


@dataclass(frozen=True)
class _Task:
    """One peer to fit on one fold."""

    name: str
    store: Store
    layouts: Sequence[BranchLayout]
    train: Windows
    validation: Windows | None
    seed: int
    config: RunConfig
    device: str
    folder: Path | None
    resume: bool
    progress: Report | None
    describe: Describe


@dataclass(frozen=True)
class FittedPeer:
    """A fitted peer.

    Attributes
    ----------
    predict
        ``predict(store, windows, used)`` gives probabilities (N, K) of the windows of any store with the signals that
        the peer was fitted on, with the branches of ``used`` (M,) alone.
    parameters, n_bytes
        Numbers that were learned (of trees: nodes), and the memory that the model takes [bytes].
    facts
        Of a deep peer ``epochs``, ``best_epoch``, ``steps``, ``validation`` and ``train_windows_per_s``; of MiniRocket
        ``alpha``.
    """

    predict: Predict
    parameters: int
    n_bytes: int
    facts: dict[str, Any] = field(default_factory=dict)


def expand_peers(names: Sequence[str]) -> tuple[str, ...]:
    """Return the peers that are asked for, each once; ``all`` stands for every one there is.

    ``NAME@ours`` is a deep peer trained by our own recipe (optimiser, rates, weight averaging, augmentation).

    Raises
    ------
    ConfigError
        If there is no peer of a name, or a package that it needs is not installed.
    """
    wanted = [peer for name in names for peer in (list_peers() if name == "all" else (name,))]
    for name in wanted:
        peer = get_peer(_plain_name(name))
        if name != peer.name and peer.kind == "classical":
            raise ConfigError("only a deep peer has a recipe", f"'{name}'", f"Give '{peer.name}'.")
        for package in peer.packages:
            require_package(peer.name, package)
    return tuple(dict.fromkeys(wanted))


def fit_peer(
    name: str,
    store: Store,
    layouts: Sequence[BranchLayout],
    train: Windows,
    seed: int,
    *,
    validation: Windows | None = None,
    config: RunConfig | None = None,
    device: str = "cpu",
    folder: Path | None = None,
    resume: bool = False,
    progress: Report | None = None,
    describe: Describe | None = None,
) -> FittedPeer:
    """Fit a peer.

    Parameters
    ----------
    name
        See `expand_peers`.
    store, layouts
        Where the signals lie, and the branches in which they are read.
    train
        Windows of the training people.
    seed
        Of everything that is drawn.
    validation
        Windows of further people. A deep peer stops early on them, as our network does; a classical one is fitted on
        them as well. Without them a deep peer trains to the end.
    config
        Budget: epochs, steps, patience, batch size. The recipe is the peer's own.
    device
        Where deep peers are trained.
    folder, resume
        Where history and checkpoint of a deep peer go, and whether to go on from there.
    progress
        Called as ``progress(steps_done, steps, text)``.
    describe
        What gives trees their statistics, as `window_features` does.

    Raises
    ------
    ConfigError
        If there is no peer of that name, or a package that it needs is not installed.
    """
    (name,) = expand_peers((name,))
    task = _Task(
        name, store, layouts, train, validation, seed, config or RunConfig(), device, folder, resume, progress,
        describe or window_features,
    )  # fmt: skip
    return _CLASSICAL.get(_plain_name(name), _fit_deep)(task)


def score_peer(
    name: str, store: Store, layouts: Sequence[BranchLayout], train: Windows, test: Windows, seed: int, **options: Any
) -> dict[str, Any]:
    """Fit a peer on ``train``, with the options of `fit_peer`, and score it on ``test``: windows of other people.

    Returns
    -------
    dict
        ``scores``, see `score_fitted`; ``seconds`` of training and prediction, ``parameters``, ``windows_per_s`` of
        prediction, reading included; of a deep peer also ``epochs``, ``best_epoch``, ``steps`` and ``validation``.

    Raises
    ------
    ConfigError
        As `fit_peer`.
    """
    started = time.perf_counter()
    fitted = fit_peer(name, store, layouts, train, seed, **options)
    read = time.perf_counter()
    probability = fitted.predict(store, test, np.ones(len(layouts), dtype=np.bool_))
    done = time.perf_counter()
    return {
        "scores": score_fitted(fitted.predict, store, layouts, test, probability),
        "seconds": done - started,
        "parameters": fitted.parameters,
        "windows_per_s": round(len(test) / (done - read), 1),
    } | fitted.facts


def score_fitted(
    predict: Predict, store: Store, layouts: Sequence[BranchLayout], test: Windows, probability: Array
) -> dict[str, Any]:
    """Score what a peer predicts of test windows, probabilities (N, K).

    Returns
    -------
    dict
        As `dcdp.evaluation.score` gives it, with ``absent``: the figures without each branch, whose channels (of
        trees: whose statistics) are then the training mean.
    """
    scores = score(test.label, probability, test.subject, test.label_set.names)
    clean = subject_macro_f1(test.label, probability, test.subject)
    return scores | {"absent": _absent(predict, store, layouts, test, clean)}


def pool_peer(folds: Mapping[str, Mapping[str, Any]], labels: Sequence[str]) -> dict[str, Any]:
    """Join what `score_peer` gave for each fold into the peer's block of a result."""
    pooled = pool_folds({fold: found["scores"] for fold, found in folds.items()}, labels)
    pooled["seconds"] = sum(found["seconds"] for found in folds.values())
    if all("parameters" in found for found in folds.values()):
        pooled["parameters"] = round(float(np.mean([found["parameters"] for found in folds.values()])))
        pooled["windows_per_s"] = float(np.mean([found["windows_per_s"] for found in folds.values()]))
    return pooled


def window_features(
    store: Store, windows: Windows, layouts: Sequence[BranchLayout], extended: bool = False
) -> NDArray[np.float32]:
    """Return (N, F) statistics of all branches; NaN where a channel that they are taken of is absent."""
    describe = _statistics(layouts, extended)
    batches, rows = Batches(store, windows, layouts), []
    with torch.inference_mode():
        for start in range(0, len(windows), _PER_GATHER):
            batch = batches.gather(np.arange(start, min(start + _PER_GATHER, len(windows))))
            parts = [
                _described(statistics, batch.inputs[lay.branch.name])
                for lay, statistics in zip(layouts, describe, strict=True)
            ]
            rows.append(torch.cat(parts, 1).numpy())
    return np.concatenate(rows)


def _described(statistics: WindowStatistics, x: Tensor) -> Tensor:
    """Return statistics (B, F) of windows (B, C, T), NaN where one of their channels is NaN somewhere."""
    keep = ~x.isnan().any(-1)
    triads = [keep[:, first : first + 3].all(1, keepdim=True) for first in statistics.triads]
    seen = torch.cat([keep, *triads], 1)
    known = seen[:, statistics.source]
    if statistics.extended:
        known = known & seen[:, statistics.second]
    features: Tensor = statistics(x.nan_to_num(0.0))
    return features.where(known, torch.nan)


def _plain_name(name: str) -> str:
    plain, at, recipe = name.partition("@")
    if at and recipe != _OURS:
        raise unknown_name("recipe of a peer", recipe, (_OURS,))
    return plain


def _absent(
    predict: Predict, store: Store, layouts: Sequence[BranchLayout], test: Windows, clean: float
) -> dict[str, dict[str, float]]:
    """Score with each branch taken away, in the layout of `dcdp.evaluation.absent_table`."""
    if len(layouts) == 1:  # nothing would be left
        return {}
    present = Batches(store, test, layouts).present
    table = {}
    for m, layout in enumerate(layouts):
        used = np.arange(len(layouts)) != m
        probability = predict(store, test, used)
        probability[~(present & used).any(1)] = 1 / probability.shape[1]
        left = subject_macro_f1(test.label, probability, test.subject)
        table[layout.branch.name] = {"macro_f1": left, "loss": clean - left}
    return table


def _fit_deep(task: _Task) -> FittedPeer:
    """Train a network through the one loop: one head, no contrast, no modulation."""
    stops = task.config.training.early_stopping and task.validation is not None
    people = (task.train,) if stops or task.validation is None else (task.train, task.validation)
    network, trained = _trained(task, people, task.validation if stops else None, None, "")
    temperature = UNMEASURED_TEMPERATURE if task.name.endswith(f"@{_OURS}") else 1.0
    if stops and task.validation is not None:
        held_out = _batches(task, task.validation)
        temperature = fit_temperature(infer(network, held_out).joint, held_out.windows.label)
        if task.config.training.refit:
            network, _ = _trained(task, (task.train, task.validation), None, trained.best_epoch + 1, "refit")

    def predict(store: Store, windows: Windows, used: Mask) -> Array:
        batches = Batches(store, windows, task.layouts, torch.device(task.device))
        batches.present &= used
        return infer(network, batches).probability(temperature)

    facts: dict[str, Any] = {"epochs": trained.epochs, "best_epoch": trained.best_epoch, "steps": trained.steps}
    facts |= {"validation": trained.validation, "train_windows_per_s": trained.windows_per_s or None}
    n_bytes = sum(tensor.nbytes for tensor in network.state_dict().values())
    return FittedPeer(predict, sum(p.numel() for p in network.parameters()), n_bytes, facts)


def _trained(
    task: _Task, parts: Sequence[Windows], validation: Windows | None, stop_epoch: int | None, place: str
) -> tuple[DualPath, FitResult]:
    torch.manual_seed(task.seed)
    plain = build_peer(_plain_name(task.name), task.layouts, len(task.train.label_set)).to(task.device)
    network = cast("DualPath", plain)  # of a network the loop asks for encoders and a forward pass
    validate = None
    if validation is not None:
        held_out = _batches(task, validation)
        validate = lambda net: _validate(net, held_out)  # noqa: E731
    trained = fit(
        network, _batches(task, _together(parts)), *_method(task), seed=task.seed, validate=validate,
        stop_epoch=stop_epoch, folder=task.folder / place if task.folder else None, resume=task.resume,
        progress=task.progress,
    )  # fmt: skip
    return network, trained


def _method(task: _Task) -> tuple[TrainingConfig, ObjectiveConfig, ModulationConfig, AugmentConfig]:
    """Return the settings of `fit`: our budget, and the recipe of the peer's paper or our own."""
    config, plain = task.config, ModulationConfig(alpha=0.0, momentum=0.0)
    if task.name.endswith(f"@{_OURS}"):
        objective = replace(config.objective, joint=1.0, branch=0.0, contrast=0.0)
        return config.training, objective, plain, config.augment
    recipe = get_peer(task.name).recipe or Recipe()
    training = replace(
        config.training, optimizer=recipe.optimizer, learning_rate=recipe.learning_rate,
        weight_decay=recipe.weight_decay, warmup=0.0, clip_norm=0.0, average=0.0,
    )  # fmt: skip
    objective = replace(config.objective, joint=1.0, branch=0.0, contrast=0.0, label_smoothing=0.0)
    return training, objective, plain, AugmentConfig(rotation_deg=0.0)


def _validate(network: DualPath, batches: Batches) -> dict[str, Any]:
    probability, windows = infer(network, batches).probability(), batches.windows
    return {
        "macro_f1": subject_macro_f1(windows.label, probability, windows.subject),
        "accuracy": float((probability.argmax(1) == windows.label).mean()),
    }


def _batches(task: _Task, windows: Windows) -> Batches:
    return Batches(task.store, windows, task.layouts, torch.device(task.device)).usable()


def _fit_trees(task: _Task) -> FittedPeer:
    """Fit a forest or boosted trees on the statistics that the network reads too."""
    extended = FOREST_INPUTS.get(task.name) == "extended"
    windows, n_threads = _all_known(task), torch.get_num_threads()
    features = task.describe(task.store, windows, task.layouts, extended)
    mean = _known_mean(features)
    features = np.where(np.isnan(features), mean, features)
    n_classes = len(windows.label_set)
    if task.name in FOREST_INPUTS:
        forest = fit_forest(features, windows.label, task.seed, n_jobs=n_threads)
        parameters = sum(tree.tree_.node_count for tree in forest.estimators_)
        n_bytes = forest_bytes(forest)

        def classify(rows: Array) -> Array:
            return predict_proba(forest, rows, n_classes)
    else:
        model, classes = fit_boosting(features, windows.label, task.seed, n_threads=n_threads)
        parameters = int(sum(2 * tree["num_leaves"] - 1 for tree in model.dump_model()["tree_info"]))
        n_bytes = len(model.model_to_string())

        def classify(rows: Array) -> Array:
            return predict_boosting(model, classes, rows, n_classes)

    branch = _branch_of_features(task.layouts, extended)

    def predict(store: Store, asked: Windows, used: Mask) -> Array:
        rows = task.describe(store, asked, task.layouts, extended)
        return classify(np.where(used[branch] & ~np.isnan(rows), rows, mean))

    return FittedPeer(predict, parameters, n_bytes)


def _branch_of_features(layouts: Sequence[BranchLayout], extended: bool) -> NDArray[np.intp]:
    """Return (F,) the branch of each statistic."""
    return np.repeat(np.arange(len(layouts)), [each.n_features for each in _statistics(layouts, extended)])


def _known_mean(features: Array) -> Array:
    """Return (F,) mean statistics over the windows in which they are known; 0 for one that never is."""
    known = ~np.isnan(features)
    total = np.where(known, features, 0).sum(0, dtype=np.float64)
    mean: Array = (total / np.maximum(known.sum(0), 1)).astype(np.float32)
    return mean


def _fit_rocket(task: _Task) -> FittedPeer:
    """Fit MiniRocket on standardised channels side by side."""
    windows = _all_known(task)
    held_out = None
    if task.validation is not None:
        held_out = np.isin(windows.recording, np.unique(task.validation.recording))
    head = SingleHead(task.layouts, nn.Identity())
    _fit_normalisers(head, Batches(task.store, windows, task.layouts), task)
    everything = np.ones(len(task.layouts), dtype=np.bool_)
    model = fit_minirocket(
        _stacked(task.store, task.layouts, head, windows, everything), windows.label, task.seed, held_out
    )

    def predict(store: Store, asked: Windows, used: Mask) -> Array:
        stacked = _stacked(store, task.layouts, head, asked, used)
        return predict_minirocket(model, stacked, len(windows.label_set))

    return FittedPeer(predict, model.n_parameters, model.n_bytes, {"alpha": model.alpha})


@torch.no_grad()
def _fit_normalisers(head: SingleHead, batches: Batches, task: _Task) -> None:
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
    batches, rows = Batches(store, windows, layouts), []
    batches.present &= used
    with torch.inference_mode():
        for start in range(0, len(windows), _PER_GATHER):
            batch = batches.gather(np.arange(start, min(start + _PER_GATHER, len(windows))))
            rows.append(head.side_by_side(batch.inputs, batch.present).numpy())
    return np.concatenate(rows)


def _statistics(layouts: Sequence[BranchLayout], extended: bool) -> list[WindowStatistics]:
    return [
        WindowStatistics(len(lay.channels), tuple(i for i, _ in lay.vectors), lay.n_samples, lay.rate_hz, extended)
        for lay in layouts
    ]


def _all_known(task: _Task) -> Windows:
    return _together([part for part in (task.train, task.validation) if part is not None])


def _together(parts: Sequence[Windows]) -> Windows:
    """Return the windows of all parts in the order in which windows are cut: by recording, then by start."""
    if len(parts) == 1:
        return parts[0]
    first = parts[0]
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("recording", "start_s", "present", "label", "subject", "session")
        if getattr(first, name) is not None
    }
    rows = {name: np.concatenate([part.rows[name] for part in parts]) for name in first.rows}
    joined = replace(first, rows=rows, **columns)
    return joined.take(np.lexsort((joined.start_s, joined.recording)))


_CLASSICAL: Mapping[str, Callable[[_Task], FittedPeer]] = {
    "forest": _fit_trees,
    "forest_extended": _fit_trees,
    "lightgbm": _fit_trees,
    "minirocket": _fit_rocket,
}
