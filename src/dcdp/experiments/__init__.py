"""Runs over folds: load, split, audit, train, test, report; and grids of them."""

from __future__ import annotations

from dcdp.experiments.benchmark import GridOutcome, run_grid
from dcdp.experiments.finished_run import evaluate_run
from dcdp.experiments.fold import run_fold
from dcdp.experiments.fold_request import FoldRequest, audit_fold
from dcdp.experiments.fold_scores import evaluate_bundle
from dcdp.experiments.fold_training import train_fold
from dcdp.experiments.grid import Cell, Grid, make_grid, read_grid
from dcdp.experiments.methods import FittedMethod, Method, fit_method, method_config, named_method, score_method
from dcdp.experiments.run import train_run
from dcdp.experiments.run_folder import RunRequest
from dcdp.experiments.source import DataSource, load

__all__ = [
    "Cell",
    "DataSource",
    "FittedMethod",
    "FoldRequest",
    "Grid",
    "GridOutcome",
    "Method",
    "RunRequest",
    "audit_fold",
    "evaluate_bundle",
    "evaluate_run",
    "fit_method",
    "load",
    "make_grid",
    "method_config",
    "named_method",
    "read_grid",
    "run_fold",
    "run_grid",
    "score_method",
    "train_fold",
    "train_run",
]
