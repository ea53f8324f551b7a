"""``dcdp train``: train and test every fold of a split, into one run folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from dcdp.errors import ConfigError

if TYPE_CHECKING:
    from dcdp.config import RunConfig

__all__ = ["refuse_existing", "resolve_config", "train", "words"]


def train(
    name: str,
    /,
    *,
    data: Path | None = None,
    split: str = "arena",
    folds: str | None = None,
    test: str = "",
    validation: str = "",
    seed: int = 0,
    out: Path | None = None,
    settings: Annotated[list[str] | None, Parameter(name="--set", negative="")] = None,
    config: Path | None = None,
    peers: str = "",
    alone: Annotated[bool, Parameter(negative="")] = False,
    resume: Annotated[bool, Parameter(negative="")] = False,
    force: Annotated[bool, Parameter(negative="")] = False,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    workers: int = 1,
    unverified: Annotated[bool, Parameter(negative="")] = False,
    cache: Path | None = None,
) -> None:
    """Train and test every fold of a split, into one run folder.

    Parameters
    ----------
    name
        Data set (see dcdp data list), synthetic for the built-in body, or the TOML description of your own recordings
        (see dcdp data describe) or the folder that holds it.
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
    seed
        Seed of everything that is drawn.
    out
        Run folder; runs/NAME-SPLIT-sSEED if left out.
    settings
        Change one key of the configuration, e.g. training.epochs=30. May be repeated.
    config
        TOML file whose keys replace those of the data set's default configuration.
    peers
        Rivals to train beside, under the same folds, e.g. forest,tinyhar; NAME@ours trains one by our own recipe, and
        all takes every one. See docs/peers.md.
    alone
        Train each branch by itself as well: shows what the joint training leaves unused (test.utilisation).
    resume
        Go on with an interrupted run in the same folder.
    force
        Replace what is in the run folder.
    device
        Where to train; auto takes an accelerator if there is one.
    workers
        Folds to train at a time, each in a process of its own.
    unverified
        Accept files whose hashes are not the known ones.
    cache
        Folder for parsed recordings.
    """
    from dcdp.cli.own import import_own, is_own, print_import, run_name

    called = run_name(name)
    run = out or Path("runs") / f"{called}-{split}-s{seed}"
    if workers < 1:
        raise ConfigError("workers must be 1 or more", workers, "Give the number of folds to train at a time.")
    refuse_existing(run, resume=resume, force=force)
    settled = resolve_config(called, config, settings or [])
    if is_own(name):  # read before torch is: what is wrong with a file is told at once
        print_import(import_own(name, cache, settled.windows.gap_s))

    from rich.console import Console

    from dcdp.cli.summary import print_result
    from dcdp.experiments.run import train_run
    from dcdp.experiments.run_folder import RunRequest

    request = RunRequest(
        data=name,
        data_dir=data,
        split=split,
        folds=folds,
        test=words(test),
        validation=words(validation),
        seed=seed,
        out=run,
        peers=words(peers),
        alone=alone,
        resume=resume,
        force=force,
        device=device,
        workers=workers,
        verify=not unverified,
        cache=cache,
    )
    result = train_run(request, settled, Console(stderr=True))
    print_result(result, run)


def refuse_existing(run: Path, *, resume: bool, force: bool) -> None:
    """Refuse a run folder that already holds something, before anything slow starts.

    Raises
    ------
    ConfigError
        If it holds something and neither ``resume`` nor ``force`` is given, or both are.
    """
    if resume and force:
        raise ConfigError("a run is either continued or replaced", "--resume and --force", "Give one of them.")
    if run.exists() and not run.is_dir():
        raise ConfigError("the run folder must be a folder", f"the file '{run}'", "Choose another with --out.")
    if run.is_dir() and any(run.iterdir()) and not (resume or force):
        raise ConfigError(
            "the run folder must be empty",
            f"'{run}'",
            "Go on with it (--resume), replace it (--force) or choose another (--out).",
        )


def resolve_config(name: str, file: Path | None, assignments: list[str]) -> RunConfig:
    """Return the data set's default configuration, then the file's keys, then the assignments."""
    from dcdp.config import default_config
    from dcdp.settings import load_toml, merge, override

    config = default_config(name)
    if file is not None:
        config = merge(config, load_toml(file))
    return override(config, *assignments)


def words(text: str) -> tuple[str, ...]:
    """Split "a, b" into ("a", "b")."""
    return tuple(word.strip() for word in text.split(",") if word.strip())
