"""Fit whatever has a name on the people of one fold: our network, a peer, or a variant of either."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dcdp.batches import Batches
from dcdp.bundle import Bundle
from dcdp.config import RunConfig, default_config
from dcdp.data.store import Store
from dcdp.errors import ConfigError, unknown_name
from dcdp.evaluation.acting import OURS
from dcdp.experiments.fold_request import FoldRequest, Report
from dcdp.experiments.fold_scores import branch_utilisation, evaluate_bundle
from dcdp.experiments.fold_training import train_fold
from dcdp.experiments.peer_task import Describe, Predict
from dcdp.experiments.peers import expand_peers, fit_peer, score_fitted
from dcdp.inference import infer
from dcdp.models.network import BranchLayout
from dcdp.models.peers.registry import list_peers
from dcdp.records import Windows
from dcdp.settings import override

__all__ = [
    "FittedMethod",
    "Method",
    "fit_method",
    "method_config",
    "named_method",
    "score_method",
]

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Method:
    """What is compared: a name, what it is a variant of, and the settings that make it one.

    Attributes
    ----------
    name
        As it stands in results.
    base
        ``dcdp`` or a peer (see `dcdp.experiments.peers.expand_peers`).
    settings
        Assignments such as ``objective.contrast=0``, applied in order.
    alone
        Whether each branch of our network is also trained by itself (``test.utilisation``).
    """

    name: str
    base: str = OURS
    settings: tuple[str, ...] = ()
    alone: bool = False


@dataclass(frozen=True)
class FittedMethod:
    """A method that has learned from the training people of a fold, early-stopped and calibrated on validation people.

    Attributes
    ----------
    method, layouts
        What was fitted, and the branches that it reads.
    parameters, n_bytes
        Numbers that were learned (of trees: nodes), and the memory that the model takes [bytes].
    seconds, windows_per_s
        How long fitting took [s], and the windows that training reads in a second (None where it has no steps).
    training, validation
        ``epochs``, ``best_epoch`` and ``steps``, and the best epoch's figures; of a classical peer both are empty.
    bundle
        Our network with its contract; None of a peer.
    """

    method: Method
    layouts: tuple[BranchLayout, ...]
    parameters: int
    n_bytes: int
    seconds: float
    windows_per_s: float | None
    training: dict[str, Any]
    validation: dict[str, Any]
    classify: Predict = field(repr=False)
    bundle: Bundle | None = None

    def predict(self, store: Store, windows: Windows, used: Mask | None = None) -> Array:
        """Return probabilities (N, K) of the windows of any store with the same signals.

        Parameters
        ----------
        store, windows
            What to predict. Signals are absent from a window where ``windows.present`` is False.
        used
            (M,) mask of the branches that may be used; None uses all. A window that has none of them gets equal
            probabilities.
        """
        allowed = np.ones(len(self.layouts), dtype=np.bool_) if used is None else used
        probability = self.classify(store, windows, allowed)
        left = (Batches(store, windows, self.layouts).present & allowed).any(1)
        probability[~left] = 1 / probability.shape[1]
        return probability


def named_method(name: str, variants: Mapping[str, Method] | None = None) -> Method:
    """Return a method by its name: ``dcdp``, a variant, a peer, one ``@ours``, or a deep one ``@hidden``.

    Raises
    ------
    ConfigError
        If there is none of that name, a variant is one of another variant, or a package that it needs is not installed.
    """
    known = variants or {}
    method = known.get(name, Method(name, name))
    if method.base == OURS:
        return method
    if name in known and method.base in known:
        other = "itself" if method.base == name else f"'{method.base}', which is a variant too"
        raise ConfigError(
            "a variant must be one of dcdp or of a peer", f"'{name}', a variant of {other}",
            "Name dcdp or a peer as its base, and repeat in set what it shares with another variant.",
        )  # fmt: skip
    plain, at, _ = method.base.partition("@")
    if not at and plain not in list_peers():
        if name in known:
            raise unknown_name(f"base of methods.{name}", method.base, {OURS, *list_peers()})
        raise unknown_name("method", name, {OURS, *known, *list_peers()})
    expand_peers((method.base,))
    return method


def method_config(method: Method, data: str, settings: tuple[str, ...] = ()) -> RunConfig:
    """Return the data set's default configuration, then the common settings, then the method's own.

    Raises
    ------
    ConfigError
        If a setting has no such key or value.
    """
    return override(default_config(data), *settings, *method.settings)


def fit_method(
    method: Method,
    request: FoldRequest,
    *,
    resume: bool = False,
    progress: Report | None = None,
    describe: Describe | None = None,
) -> FittedMethod:
    """Fit a method on a fold's training people and stop it early on its validation people; test people are not read.

    Parameters
    ----------
    method
        See `named_method`.
    request
        The fold, audited (`dcdp.experiments.audit_fold`), with the configuration that `method_config` gives.
        ``request.folder`` gets history and checkpoints.
    resume
        Go on from the checkpoints in that folder; a finished training is loaded from them without another step.
    progress
        Called as ``progress(steps_done, steps, text)``.
    describe
        What gives trees their statistics (see `dcdp.experiments.peers.fit_peer`).
    """
    if method.base == OURS:
        return _fit_ours(method, request, resume, progress)
    return _fit_peer(method, request, resume, progress, describe)


def score_method(fitted: FittedMethod, request: FoldRequest) -> tuple[dict[str, Any], Array]:
    """Score a fitted method on the test people of its fold.

    Returns
    -------
    scores
        In the layout of the ``test`` block of ``result.json``, with ``absent``; of our network also ``by_branch``,
        ``shapley``, ``subsets`` and ``alignment``.
    probability
        (N, K) of the test windows, in order.
    """
    store, test = request.source.store, request.part("test")
    if fitted.bundle is not None:
        scores, inferred = evaluate_bundle(fitted.bundle, store, test, request.device)
        if fitted.method.alone:
            scores["utilisation"] = branch_utilisation(request, scores["by_branch"], None)
        return scores, inferred.probability(fitted.bundle.temperature)
    probability = fitted.predict(store, test)
    return score_fitted(fitted.classify, store, fitted.layouts, test, probability), probability


def _fit_ours(method: Method, request: FoldRequest, resume: bool, progress: Report | None) -> FittedMethod:
    started = time.perf_counter()
    bundle, trained = train_fold(request, resume=resume, progress=progress)
    seconds, device = time.perf_counter() - started, torch.device(request.device)

    def classify(store: Store, windows: Windows, used: Mask) -> Array:
        network = bundle.network.to(device)
        batches = Batches(store, windows, bundle.layouts, device)
        batches.present &= used
        return infer(network, batches).probability(bundle.temperature)

    state = bundle.network.state_dict().values()
    facts = {
        "epochs": trained.epochs, "best_epoch": trained.best_epoch, "steps": trained.steps,
        "loss_step_variance": trained.loss_step_variance,
    }  # fmt: skip
    return FittedMethod(
        method, bundle.layouts, bundle.network.n_parameters, sum(t.nbytes for t in state),
        seconds, trained.windows_per_s or None, facts, trained.validation, classify, bundle,
    )  # fmt: skip


def _fit_peer(
    method: Method, request: FoldRequest, resume: bool, progress: Report | None, describe: Describe | None
) -> FittedMethod:
    started = time.perf_counter()
    fitted = fit_peer(
        method.base, request.source.store, request.layouts, request.part("train"), request.seed,
        validation=request.part("validation"), config=request.config, device=request.device, folder=request.folder,
        resume=resume, progress=progress, describe=describe,
    )  # fmt: skip
    facts = dict(fitted.facts)
    validation, rate = facts.pop("validation", {}), facts.pop("train_windows_per_s", None)
    return FittedMethod(
        method, request.layouts, fitted.parameters, fitted.n_bytes, time.perf_counter() - started, rate, facts,
        validation, fitted.predict,
    )  # fmt: skip
