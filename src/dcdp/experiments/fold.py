"""Train and test one fold: the honest unit of every experiment."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dcdp.batches import Batches
from dcdp.bundle import Bundle, save_bundle
from dcdp.config import RunConfig
from dcdp.data.store import Store
from dcdp.errors import ConfigError, require_seed
from dcdp.evaluation import (
    UNMEASURED_TEMPERATURE,
    absent_table,
    alignment_table,
    fit_temperature,
    head_losses,
    score,
    score_branches,
    subject_macro_f1,
    utilisation_gap,
)
from dcdp.evaluation.results import environment
from dcdp.experiments.fold_file import DONE, PREDICTIONS, read_finished, read_scored, split_differences
from dcdp.experiments.peers import score_peer
from dcdp.experiments.source import DataSource
from dcdp.files import atomic_path, write_text
from dcdp.inference import Inferred, infer, softmax
from dcdp.models.dual_path import DualPath
from dcdp.models.network import BranchLayout, branches_by, build_network, lay_out, resolve_network
from dcdp.records import Branch, SignalSpec, Windows
from dcdp.splits import Split, drop_copies, leak_audit, require_classes, require_no_leak
from dcdp.training import FitResult, fit

__all__ = [
    "FoldRequest",
    "audit_fold",
    "branch_utilisation",
    "evaluate_bundle",
    "resolve_device",
    "run_fold",
    "train_fold",
]

Report = Callable[[int, int, str], None]
Watch = Callable[[Mapping[str, Any]], None]
"""Called after each epoch with its figures of the validation people; may stop training by raising."""


@dataclass(frozen=True)
class FoldRequest:
    """One fold to train and test.

    Attributes
    ----------
    source, windows, split
        Data, its windows, and who is held out.
    config, seed, device
        The method.
    folder
        Where the fold's files go; None writes nothing.
    peers
        Rivals to train on the same people.
    alone
        Whether each branch is also trained by itself, to see what joint training leaves of it.
    """

    source: DataSource
    windows: Windows
    split: Split
    config: RunConfig
    seed: int = 0
    device: str = "cpu"
    folder: Path | None = None
    peers: tuple[str, ...] = ()
    alone: bool = False

    def __post_init__(self) -> None:
        require_seed(self.seed)

    @property
    def branches(self) -> tuple[Branch, ...]:
        """The branches of the network that is asked for."""
        how = resolve_network(self.config.network).branch_by
        return branches_by(self.source.spec, how, self.source.branches)

    @property
    def layouts(self) -> tuple[BranchLayout, ...]:
        """Input shapes of the branches."""
        return lay_out(self.source.spec, self.branches, self.config.windows.window_s)

    def part(self, *names: str) -> Windows:
        """Return the windows of the people of one part (``train``, ``validation``, ``test``), or of several."""
        parts = self.split.parts(self.windows)
        return self.windows.take(np.sort(np.concatenate([parts[name] for name in names])))


def run_fold(request: FoldRequest, *, resume: bool = False, progress: Report | None = None) -> dict[str, Any]:
    """Audit, train, test, and write the fold's files; a finished fold is read back on resume.

    Returns
    -------
    dict
        ``split`` (as `dcdp.splits.Split.facts`), ``device``, ``scores`` (with ``by_branch``, ``absent``, ``shapley``,
        ``subsets``, ``alignment``, ``utilisation``), ``validation``, ``training``, ``leak_audit``, ``peers`` and
        ``seconds``.

    Raises
    ------
    ConfigError
        If the fold was finished with other people.
    SplitError, DataError
        If the parts share a subject or a sample, or training lacks a class.
    """
    if resume and request.folder and (finished := read_finished(request.folder)):
        _require_same_people(request.folder / DONE, finished, request.split)
        return finished
    request, audit = audit_fold(request)
    started = time.perf_counter()
    bundle, trained = train_fold(request, resume=resume, progress=progress)
    train_s = time.perf_counter() - started
    scores, inferred = evaluate_bundle(bundle, request.source.store, request.part("test"), request.device)
    if request.alone:
        scores["utilisation"] = branch_utilisation(request, scores["by_branch"], progress)
    result = {
        "split": request.split.facts(),
        "device": request.device,
        "scores": scores,
        "validation": trained.validation,
        "training": _training_facts(request, bundle, trained),
        "leak_audit": audit,
        "seconds": {"train": train_s, "evaluate": time.perf_counter() - started - train_s},
        "peers": {name: _peer(request, name, bundle.layouts, resume, progress) for name in request.peers},
    }
    if request.folder is not None:
        save_bundle(request.folder / "bundle.safetensors", bundle)
        _save_predictions(request.folder / PREDICTIONS, bundle, inferred, request.part("test"))
        write_text(request.folder / DONE, json.dumps(result))
    return result


def _require_same_people(path: Path, finished: Mapping[str, Any], split: Split) -> None:
    """Refuse what was trained or tested on others: the name of a fold does not tell all of its people."""
    if different := split_differences(finished.get("split"), split):
        raise ConfigError(
            "a run goes on with the people it began with", f"'{path}' with {'; '.join(different)}",
            "Give the same data again, or start a new run with --out.",
        )  # fmt: skip


def audit_fold(request: FoldRequest) -> tuple[FoldRequest, dict[str, Any]]:
    """Leave out copies of held-out recordings, then prove that nothing leaks.

    Returns
    -------
    request
        With the windows that may be used.
    audit
        As `dcdp.splits.leak_audit` gives it, and ``left_out``: recordings whose content is also in a later part.

    Raises
    ------
    SplitError, DataError
        If the parts share a subject or a sample, or training lacks a class.
    """
    store = request.source.store
    windows, left_out = drop_copies(request.windows, request.split, store)
    audit = leak_audit(windows, request.split, store)
    require_no_leak(audit)
    require_classes(audit)
    return replace(request, windows=windows), audit | {"left_out": list(left_out)}


def train_fold(
    request: FoldRequest, *, resume: bool = False, progress: Report | None = None, watch: Watch | None = None
) -> tuple[Bundle, FitResult]:
    """Train on the training subjects, stop early on the validation subjects, calibrate on them, and bundle.

    Without early stopping both are trained on, and the temperature is `UNMEASURED_TEMPERATURE`.
    """
    network, trained, temperature = _fit_in_full(request, resume, progress, watch)
    source, config = request.source, request.config
    joined = config.training.refit or not config.training.early_stopping
    train = (*request.split.train, *(request.split.validation if joined else ()))
    provenance = {
        "data": source.name,
        "split": request.split.name,
        "fold": request.split.fold,
        "train_subjects": list(train),
        "validation_subjects": list(request.split.validation),
        "seed": request.seed,
        "validation_macro_f1": trained.validation.get("macro_f1"),
        "versions": environment()["versions"],
    } | ({"sessions": _seen_sessions(request.split)} if request.split.sessions else {})
    bundle = Bundle(
        network.cpu(), source.spec, request.branches, request.windows.label_set, config.windows,
        config.network, temperature, provenance,
    )  # fmt: skip
    return bundle, trained


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


def resolve_device(name: str) -> str:
    """Resolve ``auto`` to the accelerator if there is one; refuse one that is not there.

    Raises
    ------
    ConfigError
        If there is none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("the device must be there", "cuda, and torch finds none", "Use --device cpu or auto.")
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return name


def _fit_in_full(
    request: FoldRequest, resume: bool, progress: Report | None, watch: Watch | None = None
) -> tuple[DualPath, FitResult, float]:
    """Train, calibrate, and train again on the validation people too if that is asked for."""
    training = request.config.training
    network, trained = _fit(request, _learned_from(request), request.folder, None, resume, progress, watch)
    temperature = UNMEASURED_TEMPERATURE
    if training.early_stopping:
        temperature = _temperature(network, _batches(request, "validation", network))
    if training.refit:
        folder = request.folder / "refit" if request.folder else None
        network, _ = _fit(request, ("train", "validation"), folder, trained.best_epoch + 1, resume, progress)
    return network, trained, temperature


def _fit(
    request: FoldRequest,
    parts: tuple[str, ...],
    folder: Path | None,
    stop_epoch: int | None,
    resume: bool,
    progress: Report | None,
    watch: Watch | None = None,
) -> tuple[DualPath, FitResult]:
    """Build and train a network; it stops early on the validation subjects unless they are trained on."""
    config = request.config
    torch.manual_seed(request.seed)
    layouts = request.layouts
    network = build_network(layouts, len(request.windows.label_set), config.network).to(request.device)
    train = _batches(request, parts, network)
    validation = _batches(request, "validation", network)
    trained = fit(
        network, train, config.training, config.objective, config.modulation, config.augment,
        branch_dropout=resolve_network(config.network).branch_dropout,
        seed=request.seed,
        validate=None if "validation" in parts else (lambda net: _validate(net, validation, watch)),
        stop_epoch=stop_epoch, folder=folder, resume=resume, progress=progress,
    )  # fmt: skip
    return network, trained


def _learned_from(request: FoldRequest) -> tuple[str, ...]:
    """Return the parts whose people are trained on at first."""
    return ("train",) if request.config.training.early_stopping else ("train", "validation")


def _validate(network: DualPath, batches: Batches, watch: Watch | None) -> dict[str, Any]:
    """Figures of the validation subjects, by which training is stopped: never those of test subjects."""
    windows, inferred = batches.windows, infer(network, batches)
    probability, heads = inferred.probability(), softmax(inferred.branch)
    by_branch = score_branches(windows.label, heads, inferred.present, windows.subject, network.branches)
    figures = {
        "macro_f1": subject_macro_f1(windows.label, probability, windows.subject),
        "accuracy": float((probability.argmax(1) == windows.label).mean()),
        "loss": float(-np.log(probability[np.arange(len(probability)), windows.label] + 1e-12).mean()),
        "branches": {name: head["macro_f1"] for name, head in by_branch.items()},
        "branch_loss": head_losses(windows.label, heads, inferred.present, network.branches),
    }
    if watch is not None:
        watch(figures)
    return figures


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
        network, *_ = _fit_in_full(lone, False, report)
        test = _batches(lone, "test", network)
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


def _seen_sessions(split: Split) -> dict[str, list[list[str]]]:
    """Return the sessions that training and validation look at, where the split is by session."""
    return {part: pairs for part, pairs in split.facts().get("sessions", {}).items() if part != "test"}


def _temperature(network: DualPath, validation: Batches) -> float:
    return float(fit_temperature(infer(network, validation).joint, validation.windows.label))


def _batches(request: FoldRequest, parts: str | tuple[str, ...], network: DualPath) -> Batches:
    windows = request.part(*((parts,) if isinstance(parts, str) else parts))
    device = next(network.parameters()).device
    return Batches(request.source.store, windows, request.layouts, device).usable()


def _peer(
    request: FoldRequest, name: str, layouts: Sequence[BranchLayout], resume: bool, progress: Report | None
) -> dict[str, Any]:
    """Train and score a rival; a finished one is read back on resume."""
    folder = request.folder / "peers" / name if request.folder else None
    if resume and folder and (finished := read_scored(folder / "peer.json")):
        _require_same_people(folder / "peer.json", finished, request.split)
        return finished

    def report(step: int, steps: int, text: str) -> None:
        if progress is not None:
            progress(step, steps, f"{name}, {text}")

    result = score_peer(
        name, request.source.store, layouts, request.part("train"), request.part("test"), request.seed,
        validation=request.part("validation"), config=request.config, device=request.device, folder=folder,
        resume=resume, progress=report,
    ) | {"split": request.split.facts()}  # fmt: skip
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / "peer.json", json.dumps(result))
        for checkpoint in folder.rglob("checkpoint.safetensors"):  # nothing is left to go on with
            checkpoint.unlink()
    return result


def _training_facts(request: FoldRequest, bundle: Bundle, trained: FitResult) -> dict[str, Any]:
    parts = request.split.parts(request.windows)
    return {
        "epochs": trained.epochs,
        "best_epoch": trained.best_epoch,
        "steps": trained.steps,
        "windows_per_s": round(trained.windows_per_s, 1),
        "loss_step_variance": trained.loss_step_variance,
        "parameters": sum(p.numel() for p in bundle.network.parameters()),
        "n_windows": {name: len(index) for name, index in parts.items()},
    }


def _save_predictions(path: Path, bundle: Bundle, inferred: Inferred, windows: Windows) -> None:
    keep = np.linspace(0, len(windows) - 1, min(len(windows), 1500)).round().astype(np.int64)
    with atomic_path(path) as temporary:
        np.savez_compressed(
            temporary,
            label=windows.label,
            probability=inferred.probability(bundle.temperature),
            branch_probability=softmax(inferred.branch),
            embedding=inferred.embedding[keep].reshape(len(keep), -1),
            embedding_index=keep,
            subject=windows.subject,
            recording=windows.recording,
            start_s=windows.start_s,
        )
