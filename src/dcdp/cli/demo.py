"""``dcdp demo``: train on the built-in synthetic body; no data set and no network needed."""

from __future__ import annotations

from pathlib import Path

__all__ = ["demo"]


def demo(*, out: Path = Path("runs/demo"), seed: int = 0, folds: str = "1,2,3") -> None:
    """Train on the built-in synthetic body and show what comes out; needs no data set and no network.

    Parameters
    ----------
    out
        Run folder; what an earlier demo left there is replaced.
    seed
        Seed of the body and of the training.
    folds
        Folds of the arena split to train and test, counted from 1.
    """
    from rich.console import Console

    from dcdp.cli.summary import print_result
    from dcdp.config import default_config
    from dcdp.experiments.run import train_run
    from dcdp.experiments.run_folder import RunRequest

    request = RunRequest(data="synthetic", split="arena", folds=folds, seed=seed, out=out, force=True)
    result = train_run(request, default_config("synthetic"), Console(stderr=True))
    print_result(result, out)
