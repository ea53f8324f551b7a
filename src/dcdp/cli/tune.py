"""``dcdp tune``: search settings on validation people, a search in every fold, and test what was chosen once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

__all__ = ["tune"]


def tune(
    name: str,
    /,
    *,
    data: Path | None = None,
    split: str = "arena",
    folds: str | None = None,
    test: str = "",
    validation: str = "",
    trials: int = 20,
    inner: int = 1,
    space: Path | None = None,
    settings: Annotated[list[str] | None, Parameter(name="--set", negative="")] = None,
    config: Path | None = None,
    seed: int = 0,
    out: Path | None = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    workers: int = 1,
    unverified: Annotated[bool, Parameter(negative="")] = False,
    cache: Path | None = None,
) -> None:
    """Search settings on validation people, a search in every fold, and test what was chosen once.

    Every outer fold has a search of its own, which never sees the fold's test people. At its end the best settings and
    the default are trained and tested. Interrupted or killed, the same command goes on. Needs Optuna.

    Parameters
    ----------
    name
        Data set, synthetic, or the description of your own recordings, as for dcdp train.
    data
        Folder with the archives, or with the unpacked data set.
    split
        arena, official, loso, kfold, kfold2 or holdout; see docs/conventions.md.
    folds
        Only these folds of the split, counted from 1, e.g. 1,4.
    test
        Test subjects of holdout, e.g. s01,s02.
    validation
        Validation subjects of holdout; chosen from the others if left out.
    trials
        Settings to try in every fold; the first trial is the default. May be raised later to go on.
    inner
        1: trials are judged by the fold's validation people. More: by so many inner folds of all but the test people.
    space
        TOML file of what may vary; a small space of six keys if left out. See docs/tuning.md.
    settings
        Change one key of the configuration that the search starts from, e.g. training.max_steps=400. May be repeated.
    config
        TOML file whose keys replace those of the data set's default configuration.
    seed
        Seed of every training and every draw.
    out
        Folder of the search; runs/tune-NAME-SPLIT-sSEED if left out.
    device
        Where to train; auto takes an accelerator if there is one.
    workers
        Folds to search in at a time, each in a process of its own.
    unverified
        Accept files whose hashes are not the known ones.
    cache
        Folder for parsed recordings.
    """
    from dcdp.cli.own import run_name
    from dcdp.cli.train import resolve_config, words

    called = run_name(name)
    folder = out or Path("runs") / f"tune-{called}-{split}-s{seed}"
    start = resolve_config(called, config, settings or [])

    from dcdp.cli.progress import bars
    from dcdp.experiments.search_space import DEFAULT_SPACE, make_space
    from dcdp.experiments.tuning import TuneRequest, tune
    from dcdp.settings import load_toml

    request = TuneRequest(
        data=name,
        out=folder,
        data_dir=data,
        cache=cache,
        verify=not unverified,
        split=split,
        folds=folds,
        test=words(test),
        validation=words(validation),
        trials=trials,
        inner=inner,
        seed=seed,
        device=device,
        workers=workers,
    )
    allowed = make_space(load_toml(space) if space else DEFAULT_SPACE, start)
    with bars() as progress:
        result = tune(request, start, allowed, progress)
    _print_tuning(result, folder)


def _print_tuning(result: Mapping[str, Any], folder: Path) -> None:
    from dcdp.cli.summary import print_lines, print_table

    rows = []
    for name, fold in result["folds"].items():
        default, tuned = (fold["scores"][key]["macro_f1"]["mean"] for key in ("default", "tuned"))
        n_pruned = sum(trial["state"] == "pruned" for trial in fold["trials"])
        validation = fold["best"]["validation"]
        rows.append([name, len(fold["trials"]), n_pruned, validation, default, tuned, _settings(fold["best"])])
    columns = ["fold", "trials", "pruned", "validation", "test, default", "test, tuned", "best settings"]
    print_table(columns, rows, "macro-F1 by fold: the best trial on validation people, then on people never seen")
    compared = result["test"]["comparison"]
    if compared:
        low, high = compared["interval"]
        print_lines(
            f"tuned minus default, {compared['n_pairs']} people: {compared['mean_difference']:+.4f} "
            f"[{low:+.4f}, {high:+.4f}], {compared['verdict']}",
            *([f"note    {compared['note']}"] if compared["note"] else []),
        )
    print_lines(f"report  {folder / 'tuning.html'}", f"result  {folder / 'tuning.json'}")


def _settings(best: Mapping[str, Any]) -> str:
    return " ".join(best["settings"]) if best["trial"] else "the default"
