"""Open a finished run again: its data, windows, folds and models, and its test figures anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dcdp.bundle import Bundle, load_bundle
from dcdp.config import RunConfig
from dcdp.errors import BundleError
from dcdp.evaluation import pool_folds, read_result
from dcdp.experiments.bars import progress_bars, reporter, track
from dcdp.experiments.fold_request import Report
from dcdp.experiments.fold_scores import evaluate_bundle
from dcdp.experiments.source import DataSource, load
from dcdp.records import Windows
from dcdp.settings import from_toml
from dcdp.signals.windows import cut_windows
from dcdp.splits import Split

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["FinishedRun", "evaluate_run", "open_run"]


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
    with progress_bars(console) as bar:
        opened = open_run(run, data_dir, cache, reporter(bar, "reading"))
        scores = {}
        for fold in track(opened.folds, bar, "testing"):
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
