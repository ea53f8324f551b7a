"""Train and test every fold of a split into one run folder, with result, models, plots and report."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dcdp.bundle import Bundle, load_bundle
from dcdp.config import RunConfig
from dcdp.data.quality import require_trainable
from dcdp.errors import BundleError, ConfigError, require_seed
from dcdp.evaluation import assemble_result, pool_folds, read_result, write_result
from dcdp.experiments.fold import run_fold
from dcdp.experiments.fold_file import devices_of
from dcdp.experiments.fold_request import FoldRequest, Report, resolve_device
from dcdp.experiments.fold_scores import evaluate_bundle
from dcdp.experiments.peers import expand_peers, pool_peer
from dcdp.experiments.pool import run_all
from dcdp.experiments.source import DataSource, load
from dcdp.files import storage_errors, write_text
from dcdp.models.network import resolve_network
from dcdp.records import Windows
from dcdp.reports import write_report
from dcdp.settings import from_toml, to_dict, to_toml
from dcdp.signals.windows import cut_windows
from dcdp.splits import Split, make_folds, select_folds

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

__all__ = ["FinishedRun", "RunRequest", "evaluate_run", "open_run", "train_run"]


@dataclass(frozen=True)
class RunRequest:
    """What to train on, how to split it, and where the run goes.

    Attributes
    ----------
    data, data_dir, cache, verify
        Data set by name, its original files, the folder of parsed stores, and whether hashes must be the known ones.
    split, folds, test, validation
        Split by name; which of its folds; named subjects of ``holdout``.
    seed
        Of everything that is drawn.
    out
        Run folder.
    peers
        Rivals to score under the same folds.
    alone
        Whether each branch is also trained by itself.
    resume, force
        Go on with what is in the run folder, or replace it.
    device
        ``auto``, ``cpu`` or ``cuda``.
    workers
        Folds trained at a time, each in a process of its own.
    """

    data: str
    out: Path
    data_dir: Path | None = None
    cache: Path | None = None
    verify: bool = True
    split: str = "arena"
    folds: str | None = None
    test: tuple[str, ...] = ()
    validation: tuple[str, ...] = ()
    seed: int = 0
    peers: tuple[str, ...] = ()
    alone: bool = False
    resume: bool = False
    force: bool = False
    device: str = "auto"
    workers: int = 1

    def __post_init__(self) -> None:
        require_seed(self.seed)


@dataclass(frozen=True)
class _Prepared:
    source: DataSource
    windows: Windows
    folds: tuple[Split, ...]


@dataclass(frozen=True)
class FinishedRun:
    """A run that was opened again: its folder and result, and the data, windows and folds it was made of."""

    path: Path
    result: dict[str, Any]
    source: DataSource
    windows: Windows
    folds: tuple[Split, ...]

    def bundle(self, fold: Split) -> Bundle:
        """Return the stored model of a fold.

        Raises
        ------
        BundleError
            If it was trained on a subject (of a split by session: a session) that it is to be tested on.
        """
        bundle = load_bundle(self.path / "folds" / fold.fold / "bundle.safetensors")
        _require_unseen(bundle.provenance, fold)
        return bundle


def train_run(request: RunRequest, config: RunConfig, console: Console | None = None) -> dict[str, Any]:
    """Train and test every fold asked for; return what ``result.json`` holds.

    The folder gets ``config.toml`` first, each fold's files as it finishes, and ``result.json`` and ``report.html`` at
    the end. Interrupted, it goes on from there with ``resume``.

    Raises
    ------
    DcdpError
        If data, configuration or folder break a rule; the message names it.
    KeyboardInterrupt
        On Ctrl-C or SIGTERM, after a checkpoint.
    """
    started = time.perf_counter()
    request = replace(request, peers=expand_peers(request.peers))
    resolve_device(request.device)
    _require_usable_folder(request, config)
    with _progress(console) as bar:
        prepared = _prepare(request, config, bar)
        _take_folder(request, config)
        results = _run_folds(request, config, prepared, bar)
    result = _assemble(request, config, prepared, results, time.perf_counter() - started)
    write_result(request.out / "result.json", result)
    write_report(request.out)
    return result


def evaluate_run(
    run: Path, data_dir: Path | None = None, cache: Path | None = None, console: Console | None = None
) -> dict[str, Any]:
    """Compute the test figures of a run again from its stored bundles; nothing in the folder changes.

    Returns
    -------
    dict
        The run's result with ``test`` computed anew.

    Raises
    ------
    BundleError
        If a bundle was trained on a subject (of a split by session: a session) that it is to be tested on.
    """
    with _progress(console) as bar:
        opened = open_run(run, data_dir, cache, _reporter(bar, "reading"))
        scores = {}
        for fold in _track(opened.folds, bar, "testing"):
            part = opened.windows.take(fold.parts(opened.windows)["test"])
            scores[fold.fold], _ = evaluate_bundle(opened.bundle(fold), opened.source.store, part)
    result = opened.result
    test = pool_folds(scores, result["labels"])
    if "utilisation" in result["test"]:  # of networks that were not kept
        test["utilisation"] = result["test"]["utilisation"]
    return result | {"test": test}


def open_run(
    run: Path, data_dir: Path | None = None, cache: Path | None = None, progress: Report | None = None
) -> FinishedRun:
    """Read the result of a finished run, open its data again, and cut the same windows.

    Raises
    ------
    DcdpError
        If the folder is no finished run, or its data are nowhere to be found.
    """
    result = read_result(run / "result.json")
    config = from_toml(RunConfig, run / "config.toml")
    folds = tuple(Split.from_facts(result["split"]["name"], facts) for facts in result["split"]["folds"])
    verify = result["config"].get("verified", True)
    source = load(
        result["config"].get("described", result["data"]), data_dir, cache=cache, verify=verify,
        gap_s=config.windows.gap_s, body=config.body, progress=progress,
    )  # fmt: skip
    return FinishedRun(run, result, source, cut_windows(source.store, config.windows), folds)


def _require_unseen(provenance: Mapping[str, Any], fold: Split) -> None:
    """Refuse a bundle that has seen what it is to be tested on."""
    if fold.sessions is not None and "sessions" in provenance:
        seen = {" ".join(pair) for pairs in provenance["sessions"].values() for pair in pairs}
        shared, what = sorted(seen & {" ".join(pair) for pair in fold.sessions["test"]}), "sessions"
    else:  # a bundle that does not name its sessions may have seen all of its people's
        known = {*provenance["train_subjects"], *provenance["validation_subjects"]}
        shared, what = sorted(known & set(fold.test)), "people"
    if shared:
        raise BundleError(f"a model must be tested on new {what}", shared, "Train this fold again.")


def _require_usable_folder(request: RunRequest, config: RunConfig) -> None:
    """Refuse a folder that holds something else than what would go on or be replaced; nothing is written yet."""
    out = request.out
    if not out.is_dir() or not any(out.iterdir()):
        return
    if request.force:
        _require_run_folder(out)
    elif not request.resume:
        raise ConfigError(
            "the run folder must be empty", f"'{out}'", "Set resume to go on with it, force to replace it."
        )
    else:
        _require_same(out / "config.toml", to_toml(config), "configuration")
        _require_same(out / "run.txt", _identity(request, config), "data, split, seed, peers and network")


def _require_same(file: Path, text: str, what: str) -> None:
    if not file.is_file() and (file.parent / "folds").exists():  # its folds may be those of any run
        raise ConfigError(
            "a run that goes on must have said what it is", f"no '{file}'", "Set force to replace it, or choose --out."
        )
    if file.is_file() and file.read_text(encoding="utf-8") != text:
        raise ConfigError(
            f"a run goes on with the {what} it began with", f"others in '{file}'",
            "Give the same options again, or start a new run with --out.",
        )  # fmt: skip


def _take_folder(request: RunRequest, config: RunConfig) -> None:
    """Make the run folder ours, once everything else has been checked: emptied on ``force``, then marked."""
    with storage_errors(request.out):
        if request.force and request.out.is_dir():
            shutil.rmtree(request.out)
        request.out.mkdir(parents=True, exist_ok=True)
    write_text(request.out / "run.txt", _identity(request, config))
    write_text(request.out / "config.toml", to_toml(config))


def _identity(request: RunRequest, config: RunConfig) -> str:
    """Return what a run must share with the one it goes on with, beside the configuration.

    The network stands there with nothing left out: what a preset means may change between two versions of the program.
    """
    facts = {
        "data": request.data,
        "split": request.split,
        "test": " ".join(request.test),
        "validation": " ".join(request.validation),
        "seed": request.seed,
        "peers": " ".join(request.peers),
        "verified": request.verify,
        "network": json.dumps(asdict(resolve_network(config.network))),
    } | ({"alone": True} if request.alone else {})
    return "".join(f"{name} {value}".rstrip() + "\n" for name, value in facts.items())


def _require_run_folder(out: Path) -> None:
    """Refuse to empty a folder that is no run: --force must never delete somebody's photographs."""
    if any(out.iterdir()) and not (out / "run.txt").is_file():
        raise ConfigError("only a run folder is replaced", f"'{out}'", "Choose another folder with --out.")


def _prepare(request: RunRequest, config: RunConfig, bar: Progress | None) -> _Prepared:
    source = _load(request.data, request.data_dir, request.cache, request.verify, config, bar)
    require_trainable(source.store)
    windows = cut_windows(source.store, config.windows)
    folds = make_folds(
        request.split, source.subjects, official=source.official, test=request.test, validation=request.validation
    )
    return _Prepared(source, windows, select_folds(folds, request.folds))


def _load(
    name: str, data: Path | None, cache: Path | None, verify: bool, config: RunConfig, bar: Progress | None
) -> DataSource:
    return load(
        name, data, cache=cache, verify=verify, gap_s=config.windows.gap_s, body=config.body,
        progress=_reporter(bar, "reading"),
    )  # fmt: skip


def _run_folds(
    request: RunRequest, config: RunConfig, prepared: _Prepared, bar: Progress | None
) -> dict[str, dict[str, Any]]:
    if request.workers > 1:  # one fold too: it must have the threads that it has among others
        return _run_in_processes(request, config, prepared, bar)
    results = {}
    for fold in _track(prepared.folds, bar, "folds"):
        job = _fold_request(request, config, prepared, fold)
        results[fold.fold] = run_fold(job, resume=request.resume, progress=_reporter(bar, f"fold {fold.fold}"))
    return results


def _run_in_processes(
    request: RunRequest, config: RunConfig, prepared: _Prepared, bar: Progress | None
) -> dict[str, dict[str, Any]]:
    """Train folds side by side. Each process opens the data itself: only names travel, and steps done come back."""
    asked = replace(request, force=False)
    jobs = {fold.fold: (asked, config, fold.fold) for fold in prepared.folds}
    reporters = {fold: _reporter(bar, f"fold {fold}") for fold in jobs}
    return run_all(_run_one, jobs, request.workers, reporters)


def _run_one(request: RunRequest, config: RunConfig, fold: str, report: Report) -> dict[str, Any]:
    prepared = _prepare(request, config, None)
    (split,) = (s for s in prepared.folds if s.fold == fold)
    return run_fold(_fold_request(request, config, prepared, split), resume=request.resume, progress=report)


def _fold_request(request: RunRequest, config: RunConfig, prepared: _Prepared, fold: Split) -> FoldRequest:
    folder = request.out / "folds" / fold.fold
    device = resolve_device(request.device)
    return FoldRequest(
        prepared.source, prepared.windows, fold, config, request.seed, device, folder, request.peers, request.alone
    )


def _assemble(
    request: RunRequest, config: RunConfig, prepared: _Prepared, results: dict[str, dict[str, Any]], total_s: float
) -> dict[str, Any]:
    labels = prepared.windows.label_set
    seconds = {key: sum(r["seconds"][key] for r in results.values()) for key in ("train", "evaluate")}
    parts = {
        "data": prepared.source.name,
        "method": "dcdp",
        "seed": request.seed,
        "split": {"name": request.split, "folds": [fold.facts() for fold in prepared.folds]},
        "leak_audit": {
            "passed": all(r["leak_audit"]["passed"] for r in results.values()),
            "folds": {name: r["leak_audit"] for name, r in results.items()},
        },
        "config": to_dict(config) | {"verified": request.verify} | _described(prepared.source),
        "seconds": {"total": total_s, **seconds},
        "labels": list(labels.names),
        "null_label": labels.null_label,
        "branches": list(next(iter(results.values()))["scores"]["by_branch"]),
        "test": pool_folds({name: r["scores"] for name, r in results.items()}, labels.names),
        "validation": {name: r["validation"] for name, r in results.items() if r["validation"]},
        "training": {name: r["training"] for name, r in results.items()},
    }
    if request.peers:
        parts["peers"] = {
            peer: pool_peer({fold: r["peers"][peer] for fold, r in results.items()}, labels.names)
            for peer in request.peers
        }
    return assemble_result(parts, devices_of(results.values(), resolve_device(request.device)))


def _described(source: DataSource) -> dict[str, str]:
    """Return where the description of one's own recordings lies, to find them again."""
    return {} if source.described is None else {"described": str(source.described)}


def _progress(console: Console | None) -> Any:
    if console is None:
        return nullcontext()
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description:<24}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        TimeRemainingColumn(), console=console, transient=False,
    )  # fmt: skip


def _reporter(bar: Progress | None, what: str) -> Any:
    """Return a ``progress(done, total, text)`` that keeps one line of the bar, or None without a bar."""
    if bar is None:
        return None
    task = None

    def report(done: int, total: int, text: str) -> None:
        nonlocal task
        if task is None:
            task = bar.add_task(what, total=total)
        bar.update(task, completed=done, total=total, description=f"{what} {text}" if text != what else what)

    return report


def _track(items: Sequence[Any], bar: Progress | None, what: str) -> Any:
    return items if bar is None else bar.track(items, description=what)
