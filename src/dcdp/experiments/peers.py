"""Train and score rivals on the same windows and people as the network."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dcdp.batches import Batches
from dcdp.config import RunConfig
from dcdp.data.store import Store
from dcdp.errors import ConfigError
from dcdp.evaluation import macro_f1_by_subject, pool_folds, score, subject_macro_f1
from dcdp.evaluation.acting import HIDDEN_RECIPE
from dcdp.experiments.classical_peers import fit_rocket, fit_trees, window_features
from dcdp.experiments.deep_peers import fit_deep
from dcdp.experiments.peer_task import (
    Describe,
    FittedPeer,
    PeerTask,
    Predict,
    Report,
    plain_name,
    recipe_of,
)
from dcdp.models.network import BranchLayout
from dcdp.models.peers.packages import require_package
from dcdp.models.peers.registry import get_peer, list_peers
from dcdp.records import Windows

__all__ = ["expand_peers", "fit_peer", "pool_peer", "score_fitted", "score_peer"]

Array = NDArray[np.float32]


def expand_peers(names: Sequence[str]) -> tuple[str, ...]:
    """Return the peers that are asked for, each once; ``all`` stands for every one there is.

    ``NAME@ours`` is a deep peer trained by our own recipe (optimiser, rates, weight averaging, augmentation), or a
    classical one fitted on varied copies of the windows too; from ``NAME@hidden``, a deep one, whole branches are
    hidden as well, as often as `network.branch_dropout` says.

    Raises
    ------
    ConfigError
        If there is no peer of a name, or a package that it needs is not installed.
    """
    wanted = [peer for name in names for peer in (list_peers() if name == "all" else (name,))]
    for name in wanted:
        peer = get_peer(plain_name(name))
        if recipe_of(name) == HIDDEN_RECIPE and peer.kind == "classical":
            raise ConfigError(
                "only from a deep peer are branches hidden", f"'{name}'", f"Give '{peer.name}' or '{peer.name}@ours'."
            )
        for package in peer.packages:
            require_package(f"peer '{peer.name}'", package)
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
    task = PeerTask(
        name, store, layouts, train, validation, seed, config or RunConfig(), device, folder, resume, progress,
        describe or window_features,
    )  # fmt: skip
    return _CLASSICAL.get(plain_name(name), fit_deep)(task)


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


def _absent(
    predict: Predict, store: Store, layouts: Sequence[BranchLayout], test: Windows, clean: float
) -> dict[str, dict[str, Any]]:
    """Score with each branch taken away, in the layout of `dcdp.evaluation.absent_table`."""
    if len(layouts) == 1:  # nothing would be left
        return {}
    present = Batches(store, test, layouts).present
    table = {}
    for m, layout in enumerate(layouts):
        used = np.arange(len(layouts)) != m
        probability = predict(store, test, used)
        probability[~(present & used).any(1)] = 1 / probability.shape[1]
        by_subject = macro_f1_by_subject(test.label, probability, test.subject)
        left = float(np.mean(list(by_subject.values())))
        table[layout.branch.name] = {"macro_f1": left, "by_subject": by_subject, "loss": clean - left}
    return table


_CLASSICAL: Mapping[str, Callable[[PeerTask], FittedPeer]] = {
    "forest": fit_trees,
    "forest_extended": fit_trees,
    "lightgbm": fit_trees,
    "minirocket": fit_rocket,
}
