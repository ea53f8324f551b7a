"""The library in six calls: load, cut, split, fit, evaluate, predict; and the features of windows as a table."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dcdp.bundle import Bundle, load_bundle
from dcdp.config import RunConfig, default_config
from dcdp.experiments.finished_run import evaluate_run
from dcdp.experiments.fold_request import FoldRequest, audit_fold
from dcdp.experiments.fold_scores import evaluate_bundle
from dcdp.experiments.fold_training import train_fold
from dcdp.experiments.run import train_run
from dcdp.experiments.run_folder import RunRequest
from dcdp.experiments.source import DataSource, load
from dcdp.models import features
from dcdp.prediction import predict_file
from dcdp.records import Windows
from dcdp.settings import override
from dcdp.signals.windows import WindowConfig
from dcdp.signals.windows import cut_windows as _cut_windows
from dcdp.splits import Split, make_folds

__all__ = [
    "RunConfig",
    "RunRequest",
    "cut_windows",
    "default_config",
    "evaluate",
    "evaluate_run",
    "extract_features",
    "fit",
    "load",
    "load_bundle",
    "make_folds",
    "override",
    "predict_file",
    "train_run",
]


def cut_windows(
    source: DataSource, window_s: float = 3.0, stride_s: float = 1.5, null: Literal["drop", "keep"] = "drop"
) -> Windows:
    """Cut every recording into windows; see `dcdp.signals.windows.cut_windows`.

    Parameters
    ----------
    source
        As `load` returns it.
    window_s, stride_s
        Length and hop [s].
    null
        Whether windows of no activity are dropped, or kept as a class of their own.
    """
    return _cut_windows(source.store, WindowConfig(window_s=window_s, stride_s=stride_s, null=null))


def fit(
    source: DataSource, windows: Windows, fold: Split, *, seed: int = 0, config: RunConfig | None = None,
    device: str = "cpu",
) -> Bundle:  # fmt: skip
    """Train on everybody but the fold's test subjects.

    With ``training.early_stopping`` its validation subjects are kept apart, and decide how long.

    Parameters
    ----------
    source, windows, fold
        From `load`, `cut_windows` and `make_folds`.
    seed
        Fixes everything that is drawn.
    config
        Of the method; the data set's default if left out. Window and stride are those of ``windows``.
    device
        ``cpu`` or ``cuda``.

    Raises
    ------
    SplitError, DataError
        If parts share a subject or a sample, or training lacks a class.
    """
    config = config or default_config(source.name)
    config = replace(config, windows=replace(config.windows, window_s=windows.window_s, stride_s=_stride_s(windows)))
    request = FoldRequest(source, windows, fold, config, seed, device)
    audited, _ = audit_fold(request)
    bundle, _ = train_fold(audited)
    return bundle


def evaluate(bundle: Bundle, source: DataSource, windows: Windows, fold: Split) -> dict[str, Any]:
    """Score a bundle on the fold's test subjects: by subject first; see ``test`` in docs/conventions.md."""
    scores, _ = evaluate_bundle(bundle, source.store, windows.take(fold.parts(windows)["test"]))
    return scores


def extract_features(
    source: DataSource, windows: Windows, statistics: Literal["base", "extended"] = "extended"
) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Return a table of named statistics, (N, F) and F names; see `dcdp.models.features.extract_features`.

    Parameters
    ----------
    source, windows
        From `load` and `cut_windows`.
    statistics
        ``base``: what the network reads; ``extended``: with the further ones of docs/features.md.
    """
    return features.extract_features(source.store, windows, statistics)


def _stride_s(windows: Windows) -> float:
    """Return the hop that windows were cut with [s]: the least distance between two of one recording."""
    hop = np.diff(windows.start_s)[np.diff(windows.recording) == 0]
    return float(hop[hop > 0].min()) if (hop > 0).any() else windows.window_s
