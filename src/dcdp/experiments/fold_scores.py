"""Score a network on the people of a fold that it has never seen, and its branches by themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dcdp.batches import Batches
from dcdp.bundle import Bundle
from dcdp.data.store import Store
from dcdp.evaluation import absent_table, alignment_table, score, score_branches, utilisation_gap
from dcdp.experiments.fold_request import FoldRequest, Report
from dcdp.experiments.fold_training import batches_of, fit_in_full
from dcdp.inference import Inferred, infer, softmax
from dcdp.records import Branch, SignalSpec, Windows

__all__ = ["branch_utilisation", "evaluate_bundle"]


def evaluate_bundle(
    bundle: Bundle, store: Store, windows: Windows, device: str = "cpu"
) -> tuple[dict[str, Any], Inferred]:
    """Score a bundle on subjects it has never seen: by subject first, with branches taken away, and by stage.

    Returns
    -------
    scores
        In the layout of the ``test`` block of ``result.json``.
    inferred
        The logits and embeddings behind them.
    """
    network = bundle.network.to(device)
    inferred = infer(network, Batches(store, windows, bundle.layouts, torch.device(device)), contrast=True)
    branches, subject = network.branches, windows.subject
    probability = inferred.probability(bundle.temperature)
    scores = score(windows.label, probability, subject, windows.label_set.names)
    scores["by_branch"] = score_branches(windows.label, softmax(inferred.branch), inferred.present, subject, branches)

    def predict(used: NDArray[np.bool_]) -> NDArray[np.float32]:
        return inferred.without(network, used, bundle.temperature)

    scores |= absent_table(predict, windows.label, subject, branches)
    scores["alignment"] = alignment_table(inferred.stages, inferred.present, windows.label, max_windows=1024)
    network.cpu()
    return scores, inferred


def branch_utilisation(
    request: FoldRequest, joint: Mapping[str, Mapping[str, float | None]], progress: Report | None
) -> dict[str, dict[str, float | None]]:
    """Train each branch with all others absent, within the same budget, and compare its head with the joint one's."""
    table: dict[str, dict[str, float | None]] = {}
    for m, branch in enumerate(request.branches):

        def report(done: int, total: int, text: str, name: str = branch.name) -> None:
            if progress is not None:
                progress(done, total, f"{name} alone, {text}")

        windows = _with_only(request.windows, request.source.spec, branch)
        lone = replace(request, windows=windows, folder=None)
        if not all(len(index) for index in request.split.parts(windows).values()):  # nobody of some part wore it
            table[branch.name] = {"alone": None, "gap": None}
            continue
        network, *_ = fit_in_full(lone, False, report)
        test = batches_of(lone, network, "test")
        label, subject = test.windows.label, test.windows.subject
        head = softmax(infer(network, test).branch)
        own = score_branches(label, head, test.present, subject, network.branches)[network.branches[m]]["accuracy"]
        together = joint[branch.name]["accuracy"]
        gap = None if own is None or together is None else utilisation_gap({"": together}, {"": own})[""]
        table[branch.name] = {"alone": own, "gap": gap}
    return table


def _with_only(windows: Windows, spec: SignalSpec, branch: Branch) -> Windows:
    """Return the windows that have all of a branch's signals, with every other signal marked absent."""
    own = np.isin(spec.names, branch.signals)
    whole: NDArray[np.bool_] = np.all(windows.present[:, own], axis=1)
    windows = windows.take(whole)
    return replace(windows, present=windows.present & own)
