"""``dcdp evaluate``: compute the test figures of a run again, from its stored models."""

from __future__ import annotations

from pathlib import Path

__all__ = ["evaluate"]


def evaluate(run: Path, /, *, data: Path | None = None, cache: Path | None = None) -> None:
    """Compute the test figures of a run again, from its stored models.

    Parameters
    ----------
    run
        Folder that dcdp train wrote.
    data
        Folder with the archives, or with the unpacked data set.
    cache
        Folder for parsed recordings.
    """
    from rich.console import Console

    from dcdp.cli.summary import print_result
    from dcdp.experiments.finished_run import evaluate_run

    print_result(evaluate_run(run, data, cache, Console(stderr=True)), run)
