"""``dcdp ablate``: take the method apart, run every variant, and say of each part whether it earns its place."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from dcdp.errors import ConfigError

if TYPE_CHECKING:
    from dcdp.experiments.ablation import Ablation

__all__ = ["ablate"]


def ablate(
    name: str,
    /,
    *,
    split: str = "arena",
    seeds: str = "0,1,2",
    folds: str | None = None,
    settings: Annotated[list[str] | None, Parameter(name="--set", negative="")] = None,
    alone: Annotated[bool, Parameter(negative="")] = False,
    out: Path | None = None,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    workers: int = 1,
    data: Path | None = None,
    cache: Path | None = None,
) -> None:
    """Take the method apart, run every variant, and say of each part whether it earns its place.

    Parts are added one by one to the joint loss alone, and left out one by one of the full method. Differences are
    paired by person, seeds averaged. Every variant is a cell as of dcdp benchmark: interrupted or killed, the same
    command goes on, and finished cells are never run again.

    Parameters
    ----------
    name
        Data set, or a TOML file with the cells of a grid, such as grids/ablation.toml; see docs/ablation.md.
    split
        arena, official, loso, kfold or kfold2 and so on. Of a file: as it says.
    seeds
        Seeds to train with, e.g. 0,1,2. Of a file: as it says.
    folds
        Only these folds of the split, counted from 1, e.g. 1,4. Of a file: as it says.
    settings
        Change one key of the configuration of every variant, e.g. training.max_steps=800, whatever a file says of it.
        May be repeated.
    alone
        Train each branch by itself as well, for the utilisation gap.
    out
        Folder of the cells and of ablation.json; runs/ablation-NAME if left out.
    dry_run
        List the variants and what each is, and run nothing.
    device
        Where to train; auto takes an accelerator if there is one.
    workers
        Folds to train at a time, each in a process of its own.
    data
        Folder with the archives, or with the unpacked data set.
    cache
        Folder for parsed recordings.
    """
    if workers < 1:
        raise ConfigError("workers must be 1 or more", workers, "Give the number of folds to train at a time.")
    mapping, stem = _grid(name, split, seeds, folds)

    from rich.console import Console

    from dcdp.experiments.ablation import ablate, make_ablation

    ablation = make_ablation(mapping, stem, settings=settings or (), alone=alone)
    folder = out or ablation.grid.out
    if dry_run:
        _print_variants(ablation)
        return
    result = ablate(
        ablation, folder, workers=workers, device=device, data=data, cache=cache, console=Console(stderr=True)
    )
    _print_ablation(result, folder)


def _grid(name: str, split: str, seeds: str, folds: str | None) -> tuple[dict[str, Any], str]:
    """Return the cells to run, as of a grid file, and the word by which they are called."""
    from dcdp.cli.own import run_name
    from dcdp.cli.train import words
    from dcdp.settings import load_toml

    if name.lower().endswith(".toml"):
        found = load_toml(Path(name))
        if "cells" in found:
            return found, Path(name).stem
    numbers = words(seeds)
    if not numbers or not all(number.isdecimal() for number in numbers):
        raise ConfigError("seeds must be whole numbers", f"'{seeds}'", "Separate them by commas, e.g. 0,1,2.")
    cell = {"data": [name], "split": split, "seeds": [int(number) for number in numbers]}
    return {"cells": [cell | ({"folds": folds} if folds else {})]}, f"ablation-{run_name(name)}"


def _print_variants(ablation: Ablation) -> None:
    from dcdp.cli.summary import print_lines, print_table

    same: dict[str, set[str]] = {name: set() for name in ablation.variants}
    for cell, first in ablation.cells:
        if cell != first:
            same[cell.method.name].add(f"{first.method.name} on {cell.data_name}")
    rows = [
        [name, " ".join(settings) or "the default", ", ".join(sorted(same[name]))]
        for name, settings in ablation.variants.items()
    ]
    print_table(["variant", "settings", "same training as"], rows)
    print_lines(f"{len(ablation.grid.cells)} cells to train")


def _print_ablation(result: Mapping[str, Any], folder: Path) -> None:
    from dcdp.cli.summary import print_lines, print_table

    for name, one in result["sets"].items():
        rows = [
            [
                row["component"], row["group"], row["n_people"], len(row["seeds"]),
                "-" if row["difference"] is None else f"{row['difference']:+.4f}",
                "-" if row["interval"] is None else "[{:+.4f}, {:+.4f}]".format(*row["interval"]),
                row["sentence"],
                "-" if row["absent"] is None
                else "{:+.4f} [{:+.4f}, {:+.4f}]".format(row["absent"]["difference"], *row["absent"]["interval"]),
            ]
            for row in one["components"]
        ]  # fmt: skip
        columns = ["part", "how", "people", "seeds", "difference", "95 % interval", "verdict", "a branch absent"]
        print_table(columns, rows, f"{name}: macro-F1 with the part minus without it")
    for cell, why in result["failures"].items():
        print_lines(f"failed  {cell}: {why}")
    print_lines(f"report  {folder / 'ablation.html'}", f"result  {folder / 'ablation.json'}")
