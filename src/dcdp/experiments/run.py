"""Train and test every fold of a split into one run folder, with result, models, plots and report."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dcdp.config import RunConfig
from dcdp.data.quality import require_trainable
from dcdp.evaluation import assemble_result, pool_folds, write_result
from dcdp.experiments.bars import progress_bars, reporter, track
from dcdp.experiments.fold import run_fold
from dcdp.experiments.fold_file import devices_of
from dcdp.experiments.fold_request import FoldRequest, Report, resolve_device
from dcdp.experiments.peers import expand_peers, pool_peer
from dcdp.experiments.pool import run_all
from dcdp.experiments.run_folder import RunRequest, claimed_run, require_usable_folder
from dcdp.experiments.source import DataSource, load
from dcdp.records import Windows
from dcdp.reports import write_report
from dcdp.settings import to_dict
from dcdp.signals.windows import cut_windows
from dcdp.splits import Split, make_folds, select_folds

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

__all__ = ["train_run"]


@dataclass(frozen=True)
class _Prepared:
    source: DataSource
    windows: Windows
    folds: tuple[Split, ...]


def train_run(request: RunRequest, config: RunConfig, console: Console | None = None) -> dict[str, Any]:
    """Train and test every fold asked for; return what ``result.json`` holds.

    The folder gets ``config.toml`` first, each fold's files as it finishes, and ``result.json`` and ``report.html`` at
    the end. Interrupted, it goes on from there with ``resume``.

    Raises
    ------
    DcdpError
        If data, configuration or folder break a rule, or another process trains in the folder; the message names it.
    KeyboardInterrupt
        On Ctrl-C or SIGTERM, after a checkpoint.
    """
    started = time.perf_counter()
    request = replace(request, peers=expand_peers(request.peers))
    resolve_device(request.device)
    require_usable_folder(request, config)
    with progress_bars(console) as bar:
        prepared = _prepare(request, config, bar)
        with claimed_run(request, config):
            results = _run_folds(request, config, prepared, bar)
            result = _assemble(request, config, prepared, results, time.perf_counter() - started)
            write_result(request.out / "result.json", result)
            write_report(request.out)
    return result


def _prepare(request: RunRequest, config: RunConfig, bar: Progress | None) -> _Prepared:
    source = load(
        request.data, request.data_dir, cache=request.cache, verify=request.verify, gap_s=config.windows.gap_s,
        body=config.body, progress=reporter(bar, "reading"),
    )  # fmt: skip
    require_trainable(source.store)
    windows = cut_windows(source.store, config.windows)
    folds = make_folds(
        request.split, source.subjects, official=source.official, test=request.test, validation=request.validation
    )
    return _Prepared(source, windows, select_folds(folds, request.folds))


def _run_folds(
    request: RunRequest, config: RunConfig, prepared: _Prepared, bar: Progress | None
) -> dict[str, dict[str, Any]]:
    if request.workers > 1:  # one fold too: it must have the threads that it has among others
        return _run_in_processes(request, config, prepared, bar)
    results = {}
    for fold in track(prepared.folds, bar, "folds"):
        job = _fold_request(request, config, prepared, fold)
        results[fold.fold] = run_fold(job, resume=request.resume, progress=reporter(bar, f"fold {fold.fold}"))
    return results


def _run_in_processes(
    request: RunRequest, config: RunConfig, prepared: _Prepared, bar: Progress | None
) -> dict[str, dict[str, Any]]:
    """Train folds side by side. Each process opens the data itself: only names travel, and steps done come back."""
    asked = replace(request, force=False)
    jobs = {fold.fold: (asked, config, fold.fold) for fold in prepared.folds}
    reporters = {fold: reporter(bar, f"fold {fold}") for fold in jobs}
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
