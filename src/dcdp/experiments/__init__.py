"""Runs over folds: load, split, audit, train, test, report."""

from __future__ import annotations

from dcdp.experiments.fold import FoldRequest, audit_fold, evaluate_bundle, run_fold, train_fold
from dcdp.experiments.run import RunRequest, evaluate_run, train_run
from dcdp.experiments.source import DataSource, load

__all__ = [
    "DataSource",
    "FoldRequest",
    "RunRequest",
    "audit_fold",
    "evaluate_bundle",
    "evaluate_run",
    "load",
    "run_fold",
    "train_fold",
    "train_run",
]
