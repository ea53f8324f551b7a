"""Take the method apart: run every variant as cells of a grid, judge each part, read the paper's claims."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dcdp.errors import ConfigError, unknown_name
from dcdp.evaluation import environment
from dcdp.evaluation.acting import OURS
from dcdp.experiments.acting import acting_settings
from dcdp.experiments.benchmark import run_grid
from dcdp.experiments.components import COMPONENTS, list_variants
from dcdp.experiments.fold_job import Place
from dcdp.experiments.fold_request import resolve_device
from dcdp.experiments.grid import Block, Cell, Grid, cross, grid_file, require_same_folds
from dcdp.experiments.methods import Method, method_config
from dcdp.experiments.readings import read_alignment, read_balance, read_stability
from dcdp.experiments.step_time import step_seconds
from dcdp.experiments.verdicts import Results, by_person, judge_all
from dcdp.files import write_text
from dcdp.reports.ablation import write_ablation
from dcdp.settings import to_dict

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["ALONE", "FORMAT", "Ablation", "ablate", "make_ablation"]

FORMAT = 1
ALONE = "alone"
"""The full method once more, with each branch also trained by itself."""

# reading -> variants with and without what the paper says brings it
_CLAIMS = {
    "alignment": (OURS, "no_contrast"),
    "balance": (OURS, "no_modulation"),
    "stability": ("momentum", "modulation"),
}


@dataclass(frozen=True)
class Ablation:
    """What is run, and which cells are the same training.

    Attributes
    ----------
    grid
        Every training once.
    cells
        Every variant of every data set, split and seed, with the cell of the grid that it is.
    variants
        Name -> assignments.
    """

    grid: Grid
    cells: tuple[tuple[Cell, Cell], ...]
    variants: Mapping[str, tuple[str, ...]]


def make_ablation(
    mapping: Mapping[str, Any], name: str, *, settings: Sequence[str] = (), alone: bool = False
) -> Ablation:
    """Return the cells that take the method apart.

    Parameters
    ----------
    mapping
        As of a grid (see `dcdp.experiments.grid.make_grid`): ``cells`` with ``data``, ``split``, ``seeds``, ``folds``,
        ``set``, and ``settings``. ``methods`` of a cell may pick some of the variants; all if left out.
    name
        Results go to ``runs/NAME`` where no ``out`` is given.
    settings
        Further assignments for every variant, which take the place of the mapping's own.
    alone
        Whether each branch is also trained by itself, for the utilisation gap.

    Raises
    ------
    ConfigError
        As `make_grid`; if the mapping declares methods of its own, names one that is no variant, sets in some cells
        what a variant changes, or wants different folds of one split.
    """
    if own := mapping.get("methods"):
        named = ", ".join(own) if isinstance(own, Mapping) else repr(own)
        raise ConfigError(
            "the variants of an ablation are its own", f"[methods] {named}",
            "Compare other methods with dcdp benchmark.",
        )  # fmt: skip
    file = grid_file(mapping)
    shared = (*file.settings.set, *settings)
    variants = list_variants(method_config(Method(OURS), "synthetic", shared))
    blocks = tuple(_checked(_overruled(block, settings), variants) for block in file.cells)
    methods = {variant: Method(variant, OURS, assignments) for variant, assignments in variants.items()}
    whole = cross(replace(file, cells=blocks, settings=replace(file.settings, set=shared)), methods, name)
    require_same_folds(whole)
    cells = [*whole.cells, *(_alone(cell) for cell in whole.cells if alone and cell.method.name == OURS)]
    first: dict[object, Cell] = {}
    pairs = tuple((cell, first.setdefault(_training(cell), cell)) for cell in cells)
    return Ablation(Grid(tuple(first.values()), whole.out), pairs, variants)


def _overruled(block: Block, settings: Sequence[str]) -> Block:
    """Return the block without the assignments that others take the place of."""
    keys = {_key(assignment) for assignment in settings}
    return replace(block, set=tuple(assignment for assignment in block.set if _key(assignment) not in keys))


def _checked(block: Block, variants: Mapping[str, Sequence[str]]) -> Block:
    """Return the block with its variants named, or refuse it."""
    for method in block.methods:
        if method not in variants:
            raise unknown_name("variant", method, variants)
    changed = {_key(assignment) for assignments in variants.values() for assignment in assignments}
    for assignment in block.set:
        if _key(assignment) in changed:
            raise ConfigError(
                "some cells must not set what a variant changes", f"'{assignment}'",
                "Set it for all of them, under [settings], or run another ablation.",
            )  # fmt: skip
    return replace(block, methods=block.methods or tuple(variants))


def _key(assignment: str) -> str:
    return assignment.partition("=")[0].strip()


def ablate(
    ablation: Ablation,
    out: Path | None = None,
    *,
    workers: int = 1,
    device: str = "auto",
    data: Path | None = None,
    cache: Path | None = None,
    console: Console | None = None,
) -> dict[str, Any]:
    """Run what is not finished, judge the components; write ``ablation.json`` and ``ablation.html`` into the folder.

    Parameters
    ----------
    out
        Folder of the cells; that of the grid if None.
    workers, device, data, cache, console
        As in `dcdp.experiments.benchmark.run_grid`.

    Returns
    -------
    dict
        ``sets``: for each data set and split the ``variants`` (macro-F1 by person and seed, parameters, step),
        the ``components`` (see `dcdp.experiments.verdicts.judge`) and the ``readings`` of the paper's claims;
        ``settings``: the assignments of each variant; ``failures``, ``config``, ``versions``, ``machine``.

    Raises
    ------
    ConfigError
        If a cell in the folder is of another configuration, or every cell failed.
    KeyboardInterrupt
        On Ctrl-C or SIGTERM. Called again, it goes on.
    """
    folder = out or ablation.grid.out
    outcome = run_grid(
        ablation.grid, folder, workers=workers, device=device, data=data, cache=cache, console=console
    )
    if not outcome.results:
        raise ConfigError("an ablation must have a result", "; ".join(outcome.failures.values()), "Mend that first.")
    result: dict[str, Any] = {
        "format": FORMAT,
        "settings": {name: list(settings) for name, settings in ablation.variants.items()},
        "config": to_dict(ablation.grid.cells[0].config),
        **environment(resolve_device(device)),
        "failures": outcome.failures,
        "sets": {},
    }
    place = Place(data, cache, resolve_device(device))
    for name, results in _by_set(ablation, outcome.results).items():
        if console is not None:
            console.print(f"timing steps on {name}", highlight=False)
        result["sets"][name] = _judge(results, _time(ablation, name, results, place))
    write_text(folder / "ablation.json", json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    write_ablation(folder)
    return result


def _time(ablation: Ablation, name: str, variants: Mapping[str, Results], place: Place) -> dict[str, float]:
    """Time a step of every variant of one set; one training is timed once."""
    own = [(cell, first) for cell, first in ablation.cells
           if f"{cell.data_name}-{cell.split}" == name and cell.method.name in variants]  # fmt: skip
    seconds = step_seconds({first.method.name: first for _, first in own}, place)
    return {cell.method.name: seconds[first.method.name] for cell, first in own}


def _alone(cell: Cell) -> Cell:
    return replace(cell, method=replace(cell.method, name=ALONE, alone=True))


def _training(cell: Cell) -> object:
    """Return what two cells share that are the same training: variants may differ in nothing that acts on the set."""
    settings = json.dumps(acting_settings(cell.data_name, cell.config), sort_keys=True)
    return cell.data, cell.split, cell.seed, cell.folds, settings, cell.method.alone


def _by_set(ablation: Ablation, results: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Results]]:
    """Return results by data set and split, variant and seed; variants of one training have the very same ones."""
    found = {f"{r['data']}-{r['split']['name']}/{r['method']}/s{r['seed']}": r for r in results}
    sets: dict[str, dict[str, dict[int, Mapping[str, Any]]]] = {}
    for cell, first in ablation.cells:
        if first.name in found:
            variants = sets.setdefault(f"{cell.data_name}-{cell.split}", {})
            variants.setdefault(cell.method.name, {})[cell.seed] = found[first.name]
    return {place: dict(variants) for place, variants in sets.items()}


def _judge(variants: Mapping[str, Results], step_s: Mapping[str, float]) -> dict[str, Any]:
    first = next(iter(next(iter(variants.values())).values()))
    return {
        "data": first["data"],
        "split": first["split"]["name"],
        "folds": [fold["fold"] for fold in first["split"]["folds"]],
        "variants": {name: _figures(results) | {"step_s": step_s[name]} for name, results in variants.items()},
        "components": judge_all(COMPONENTS, variants, step_s),
        "readings": _readings(variants),
    }


def _figures(results: Results) -> dict[str, Any]:
    people = by_person(results, list(results))
    first = next(iter(results.values()))
    return {
        "runs_as": first["method"],
        "macro_f1": float(np.mean(list(people.values()))),
        "std": float(np.std(list(people.values()))),
        "by_subject": people,
        "by_seed": {str(seed): result["test"]["macro_f1"]["mean"] for seed, result in results.items()},
        "parameters": first["cost"]["parameters"],
        "audit_passed": all(result["leak_audit"]["passed"] for result in results.values()),
    }


def _readings(variants: Mapping[str, Results]) -> dict[str, Any]:
    sides = {
        name: [variants[variant] for variant in pair]
        for name, pair in _CLAIMS.items()
        if all(variant in variants for variant in pair)
    }
    told: dict[str, Any] = {}
    if "alignment" in sides:
        told["alignment"] = read_alignment(*sides["alignment"])
    if "balance" in sides:
        modulated, without = sides["balance"]
        told["balance"] = read_balance(modulated, without, variants.get(ALONE))
    if "stability" in sides:
        told["stability"] = read_stability(*sides["stability"])
    return told
