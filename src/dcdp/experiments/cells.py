"""The files of a cell: one result when it is finished, a folder of folds until then."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from dcdp.config import RunConfig
from dcdp.errors import ConfigError, FormatError, StorageError
from dcdp.evaluation import assemble_result, pool_folds, pool_robustness, read_result, write_result
from dcdp.evaluation.acting import reads_setting
from dcdp.experiments.acting import acting_settings, settled
from dcdp.experiments.claim import claimed_folder
from dcdp.experiments.fold_file import DONE, PREDICTIONS, devices_of, read_finished, split_differences
from dcdp.experiments.grid import Cell
from dcdp.files import atomic_path, write_text
from dcdp.models.network import EARLIER
from dcdp.settings import build, load_toml, to_dict, to_toml
from dcdp.splits import Split

__all__ = [
    "claimed_cell",
    "finish_cell",
    "finished_result",
    "finished_results",
    "fold_folder",
    "folds_done",
    "n_folds_done",
    "result_path",
]

_CONFIG = "config.toml"
_FOLDS = "folds"
_FOLD_KEYS = (
    "branches", "cost", "labels", "leak_audit", "null_label", "seconds", "training", "validation",
)  # fmt: skip
_MEANS = ("train_seconds", "train_windows_per_s", "windows_per_s", "latency_ms")


def result_path(out: Path, cell: Cell) -> Path:
    """Return where the cell's result lies; its predictions lie beside it, as ``.npz``."""
    return out / f"{cell.name}.json"


def fold_folder(out: Path, cell: Cell, fold: str) -> Path:
    """Return the folder of one fold of an unfinished cell (of a finished one where models are kept)."""
    return out / cell.name / _FOLDS / fold


def folds_done(out: Path, cell: Cell, folds: Sequence[Split]) -> dict[str, dict[str, Any]]:
    """Read what the finished folds of an unfinished cell gave, by fold; one with a damaged file is none of them.

    Raises
    ------
    ConfigError
        If a fold was finished with other people.
    """
    done = {}
    for split in folds:
        found = read_finished(fold_folder(out, cell, split.fold), _FOLD_KEYS)
        if found is not None and ("robustness" in found or not cell.robustness):
            _require_same(out / cell.name, _other_people(found.get("split"), split), "people")
            done[split.fold] = found
    return done


def n_folds_done(out: Path, cell: Cell) -> int:
    """Count the finished folds of an unfinished cell."""
    folders = (path.parent for path in (out / cell.name / _FOLDS).glob(f"*/{DONE}"))
    return sum(read_finished(folder, _FOLD_KEYS) is not None for folder in folders)


def finished_result(out: Path, cell: Cell, splits: Sequence[Split] | None = None) -> dict[str, Any] | None:
    """Read the result of a cell; None if it is not finished.

    Parameters
    ----------
    splits
        The folds of the cell today, whose people must be those of the result; None where the data are not at hand.

    Raises
    ------
    FormatError
        If the file is damaged.
    ConfigError
        If the result is that of another configuration, of other folds or of other people.
    """
    path = result_path(out, cell)
    if not path.is_file():
        return None
    try:
        result = read_result(path)
    except FormatError as err:
        raise FormatError(err.rule, err.got, f"Delete '{path}' to run the cell again.") from err
    wanted = {
        "data": cell.data_name, "method": cell.method.name, "base": cell.method.base, "seed": cell.seed,
        "folds": cell.folds,
    }  # fmt: skip
    found = {key: result.get(key) for key in wanted}
    different = [f"{key} {found[key]}, not {wanted[key]}" for key in wanted if found[key] != wanted[key]]
    if cell.robustness and "robustness" not in result:
        different.append("no robustness")
    _require_same(path, different or _differences(result["config"], cell))
    if splits is not None:
        _require_same(path, _other_folds(result["split"]["folds"], splits), "people")
    return result


def finished_results(out: Path, cells: Sequence[Cell]) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Read the results of the finished cells, by name, and say of each damaged one which file to delete.

    Raises
    ------
    ConfigError
        As `finished_result`.
    """
    finished: dict[str, dict[str, Any]] = {}
    damaged: dict[str, str] = {}
    for cell in cells:
        try:
            if (result := finished_result(out, cell)) is not None:
                finished[cell.name] = result
        except FormatError as err:
            damaged[cell.name] = str(err)
    return finished, damaged


@contextmanager
def claimed_cell(out: Path, cell: Cell) -> Iterator[None]:
    """Make the folder of a cell, or make sure that the folds in it are of this configuration, and be alone in it.

    Raises
    ------
    ConfigError
        If the folds are of another configuration.
    StorageError
        If another process runs the cell, or the disk is full or not writable.
    """
    folder = out / cell.name
    taken = StorageError(
        "a cell must be run by one benchmark at a time", f"another process that runs '{folder}'",
        "Wait until it is done and start again, or leave the cell out with --only.",
    )  # fmt: skip
    if (folder / _CONFIG).is_file():
        _require_same(folder, _differences(load_toml(folder / _CONFIG), cell))
    with claimed_folder(folder, taken):
        if result_path(out, cell).is_file():
            raise taken  # another process has finished it since this one looked
        if not (folder / _CONFIG).is_file():
            if (folder / _FOLDS).exists():  # left by a removal that was cut off: of whichever configuration
                shutil.rmtree(folder / _FOLDS)
            write_text(folder / _CONFIG, to_toml(settled(cell.config)))
        yield


def finish_cell(
    out: Path, cell: Cell, splits: Sequence[Split], folds: Mapping[str, Mapping[str, Any]], device: str, keep: bool
) -> dict[str, Any]:
    """Join the folds of a cell into its result and its predictions, and remove what only they needed.

    Parameters
    ----------
    splits, folds
        All folds of the cell, and for each what `dcdp.experiments.fold_job.run_job` returned.
    keep
        Whether models and histories stay.
    device
        What folds ran on that do not say.
    """
    path = result_path(out, cell)
    result = assemble_result(_joined(cell, splits, folds), devices_of(folds.values(), device))
    _join_predictions(path.with_suffix(".npz"), [fold_folder(out, cell, split.fold) for split in splits])
    write_result(path, result)
    if not keep:
        shutil.rmtree(out / cell.name)
    return result


def _joined(cell: Cell, splits: Sequence[Split], folds: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    folds = {split.fold: folds[split.fold] for split in splits}
    first = next(iter(folds.values()))
    seconds = {key: sum(fold["seconds"][key] for fold in folds.values()) for key in ("train", "evaluate")}
    test = pool_folds({name: fold["scores"] for name, fold in folds.items()}, first["labels"])
    return {
        "data": cell.data_name,
        "method": cell.method.name,
        "base": cell.method.base,
        "seed": cell.seed,
        "folds": cell.folds,
        "split": {"name": cell.split, "folds": [split.facts() for split in splits]},
        "leak_audit": {
            "passed": all(fold["leak_audit"]["passed"] for fold in folds.values()),
            "folds": {name: fold["leak_audit"] for name, fold in folds.items()},
        },
        "config": to_dict(settled(cell.config)),
        "seconds": {"total": sum(seconds.values()), **seconds},
        "labels": first["labels"],
        "null_label": first["null_label"],
        "branches": first["branches"],
        "test": test,
        "validation": {name: fold["validation"] for name, fold in folds.items() if fold["validation"]},
        "training": {name: fold["training"] for name, fold in folds.items()},
        "cost": _cost([fold["cost"] for fold in folds.values()]),
    } | _robustness(folds)


def _robustness(folds: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the block of sensors absent and failing, where every fold was scored so."""
    scored = {name: fold["robustness"] for name, fold in folds.items() if "robustness" in fold}
    return {"robustness": pool_robustness(scored)} if len(scored) == len(folds) else {}


def _cost(folds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the mean over folds of every cost; of a rate, over the folds that know it, None if none does."""
    whole = {key: round(float(np.mean([fold[key] for fold in folds]))) for key in ("parameters", "bytes")}
    rates: dict[str, float | None] = {}
    for key in _MEANS:
        values = [fold[key] for fold in folds if fold[key] is not None]
        rates[key] = round(float(np.mean(values)), 3) if values else None
    return whole | rates


def _join_predictions(path: Path, folders: Sequence[Path]) -> None:
    parts = []
    for folder in folders:
        with np.load(folder / PREDICTIONS, allow_pickle=False) as part:
            parts.append({name: part[name] for name in part.files})
    whole: dict[str, Any] = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    with atomic_path(path) as temporary:
        np.savez_compressed(temporary, **whole)


def _differences(stored: Mapping[str, Any], cell: Cell) -> list[str]:
    """Name the settings that the method reads and that differ; a newer one counts as what it was before it was one."""
    network = stored.get("network", {})
    try:
        network = {**EARLIER, **network} if isinstance(network, Mapping) else network
        known = build(RunConfig, {**stored, "network": network})
    except ConfigError as err:
        return [f"a setting that there no longer is ({err.got})"]
    found, now = acting_settings(cell.data_name, known), acting_settings(cell.data_name, cell.config)
    return [
        f"{key} {found.get(key, 'left out')}, not {now.get(key, 'left out')}"
        for key in sorted(found.keys() | now.keys())
        if found.get(key) != now.get(key) and reads_setting(cell.method.base, key)
    ]


def _other_folds(told: Sequence[Mapping[str, Any]], splits: Sequence[Split]) -> list[str]:
    """Name the folds of a result that are none of today's, or else those that had other people."""
    then = {facts["fold"]: facts for facts in told}
    if then.keys() != {split.fold for split in splits}:
        return [f"folds {', '.join(then)}, not {', '.join(split.fold for split in splits)}"]
    return [found for split in splits for found in _other_people(then[split.fold], split)]


def _other_people(facts: Mapping[str, Any] | None, split: Split) -> list[str]:
    return [f"fold {split.fold}: {found}" for found in split_differences(facts, split)]


def _require_same(path: Path, differences: Sequence[str], what: str = "configuration") -> None:
    if differences:
        raise ConfigError(
            f"a cell goes on with the {what} it began with", f"'{path}' with {'; '.join(differences[:3])}",
            "Choose another folder with --out, or delete it to run the cell again.",
        )  # fmt: skip
