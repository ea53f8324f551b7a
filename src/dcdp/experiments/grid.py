"""Read what is to be compared: a grid of (data set, split, method, seed), checked before anything runs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from dcdp.config import RunConfig
from dcdp.data import get_set, list_sets
from dcdp.data.own import is_description, load_description
from dcdp.errors import ConfigError, require_seed, unknown_name
from dcdp.evaluation.acting import OURS, reads_setting
from dcdp.experiments.methods import Method, method_config, named_method
from dcdp.models.peers import list_peers
from dcdp.settings import build, load_toml
from dcdp.splits import split_name

__all__ = [
    "Block",
    "Cell",
    "Grid",
    "GridFile",
    "cross",
    "grid_file",
    "make_grid",
    "read_grid",
    "require_same_folds",
    "select_cells",
]

_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+@-]*")
_NAMED_PEOPLE = "hold_out"


@dataclass(frozen=True)
class Cell:
    """One (data set, split, method, seed), which ends in one result.

    Attributes
    ----------
    data
        Name of a data set, ``synthetic``, or the description of one's own recordings.
    data_name
        The word by which it is called in results.
    split, folds
        Rule by its full name, and which of its folds (see `dcdp.splits.select_folds`); None for all.
    method, seed
        What is trained, and the seed of everything that is drawn.
    config
        The resolved configuration.
    robustness
        Whether every fold is also scored with sensors absent and failing.
    """

    data: str
    data_name: str
    split: str
    method: Method
    seed: int
    config: RunConfig
    folds: str | None = None
    robustness: bool = False

    @property
    def name(self) -> str:
        """Where the cell lies in the output folder: ``hapt-arena/forest/s0``."""
        return f"{self.data_name}-{self.split}/{self.method.name}/s{self.seed}"


@dataclass(frozen=True)
class Grid:
    """The cells of one benchmark, each once, in the order in which they are run.

    Attributes
    ----------
    cells
        What is run.
    out
        Folder of the results.
    """

    cells: tuple[Cell, ...]
    out: Path


@dataclass(frozen=True)
class Block:
    """One ``[[cells]]`` table: the product of its lists."""

    data: tuple[str, ...]
    methods: tuple[str, ...] = ()
    split: str = "arena"
    seeds: tuple[int, ...] = (0,)
    folds: str | None = None
    robustness: bool = False
    set: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Variant:
    """One ``[methods.NAME]`` table."""

    base: str = OURS
    set: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Settings:
    """The ``[settings]`` table: assignments for every method."""

    set: tuple[str, ...] = ()


@dataclass(frozen=True)
class GridFile:
    """A grid file without its methods, whose names are free."""

    cells: tuple[Block, ...]
    out: Path | None = None
    settings: _Settings = _Settings()


def read_grid(path: Path) -> Grid:
    """Read a grid from a TOML file; see docs/benchmark.md for its keys.

    Raises
    ------
    MissingError, FormatError
        If there is no such file, or it is not TOML.
    ConfigError
        As `make_grid`.
    """
    return make_grid(load_toml(path), Path(path).stem)


def make_grid(mapping: Mapping[str, Any], name: str) -> Grid:
    """Return the grid that a mapping describes, as TOML gives it.

    Parameters
    ----------
    mapping
        ``cells``: tables with ``data``, ``methods``, and perhaps ``split``, ``seeds``, ``folds``, ``robustness``,
        ``set``; ``methods``: name -> ``base`` and ``set``; ``settings``: ``set``; ``out``.
    name
        Results go to ``runs/NAME`` where no ``out`` is given.

    Raises
    ------
    ConfigError
        If a key, data set, split, method, package or setting does not exist, a variant sets what its base does not
        read, a list is empty, there is no cell, a cell is asked for with different folds, or methods of one data set
        and split would see different windows.
    """
    tables = mapping.get("methods", {})
    if not isinstance(tables, Mapping):
        raise ConfigError("methods must be tables", repr(tables), "Write [methods.NAME] with base and set.")
    file, variants = grid_file(mapping), {key: _variant(key, table) for key, table in tables.items()}
    in_cells = {method for block in file.cells for method in block.methods}
    for variant in variants.values():
        if variant.name not in in_cells:  # the others are checked there
            _require_read(named_method(variant.name, variants))
            method_config(variant, "synthetic", file.settings.set)
    return cross(file, variants, name)


def grid_file(mapping: Mapping[str, Any]) -> GridFile:
    """Return what a mapping says but for its ``methods``.

    Raises
    ------
    ConfigError
        If a key does not exist, or a value is of another kind.
    """
    if mapping.get("out") == "":
        raise ConfigError("out must name a folder", "''", "Leave it out for runs/FILE, or write '.' for this folder.")
    return build(GridFile, {key: value for key, value in mapping.items() if key != "methods"})


def cross(file: GridFile, variants: Mapping[str, Method], name: str) -> Grid:
    """Return the grid of a file, whose methods may be among the variants; see `make_grid`."""
    cells: dict[str, Cell] = {}
    for block in file.cells:
        for cell in _cells(block, variants, (*file.settings.set, *block.set)):
            if cells.setdefault(cell.name, cell) != cell:
                raise ConfigError(
                    "a cell must be asked for with the same folds, settings and robustness everywhere",
                    f"'{cell.name}' with others", "Give one list of folds, or another out folder.",
                )  # fmt: skip
    if not cells:
        raise ConfigError("a grid must have a cell", "none", "Add a [[cells]] table with data and methods.")
    _require_same_windows(cells.values())
    return Grid(tuple(cells.values()), file.out or Path("runs") / name)


def select_cells(grid: Grid, patterns: Sequence[str]) -> tuple[Cell, ...]:
    """Pick the cells that a pattern fits, such as ``hapt``, ``hapt/forest``, ``*/dcdp`` or ``hapt-arena/dcdp/s1``.

    Parameters
    ----------
    patterns
        With ``*`` and ``?``; none picks every cell.

    Raises
    ------
    ConfigError
        If a pattern fits no cell.
    """
    if not patterns:
        return grid.cells
    picked: set[str] = set()
    for pattern in patterns:
        found = {cell.name for cell in grid.cells if any(fnmatchcase(word, pattern) for word in _called(cell))}
        if not found:
            words = (word for cell in grid.cells for word in _called(cell)[:2])
            raise unknown_name("cell", pattern, set(words))
        picked |= found
    return tuple(cell for cell in grid.cells if cell.name in picked)


def require_same_folds(grid: Grid) -> None:
    """Refuse a grid whose cells of one data set and split test different folds: their people could not be paired.

    Raises
    ------
    ConfigError
        Naming the first cell that differs.
    """
    folds: dict[tuple[str, str], str | None] = {}
    for cell in grid.cells:
        if folds.setdefault((cell.data_name, cell.split), cell.folds) != cell.folds:
            raise ConfigError(
                "all cells of a split must have the same folds", f"others for '{cell.name}'", "Give one list of folds."
            )


def _require_same_windows(cells: Iterable[Cell]) -> None:
    """Refuse methods of one data set and split that would not see the same: their scores would not compare."""
    first: dict[tuple[str, str], Cell] = {}
    for cell in cells:
        other = first.setdefault((cell.data_name, cell.split), cell)
        there, here = _seen(other), _seen(cell)
        for key in (key for key in here if here[key] != there[key]):
            raise ConfigError(
                "all methods of a data set and split must have the same windows and body",
                f"{key} {there[key]} of '{other.name}', {here[key]} of '{cell.name}'",
                "Set it for all of them, under [settings], or give each a grid of its own.",
            )


def _seen(cell: Cell) -> dict[str, Any]:
    """Return the settings that say what a method is trained and scored on."""
    parts = {"windows": asdict(cell.config.windows), "body": asdict(cell.config.body)}
    return {f"{part}.{key}": value for part, settings in parts.items() for key, value in settings.items()}


def _called(cell: Cell) -> tuple[str, str, str]:
    return cell.data_name, f"{cell.data_name}/{cell.method.name}", cell.name


def _cells(block: Block, variants: Mapping[str, Method], settings: tuple[str, ...]) -> list[Cell]:
    split = split_name(block.split)
    if split == _NAMED_PEOPLE:
        raise ConfigError("the split of a grid must name nobody", f"'{block.split}'", "Choose arena, loso or official.")
    _require_full(block)
    for seed in block.seeds:
        require_seed(seed)
    names = {data: _data_name(data, split) for data in block.data}
    methods = [named_method(name, variants) for name in block.methods]
    cells = [
        Cell(
            data, names[data], split, method, seed, method_config(method, names[data], settings), block.folds,
            block.robustness,
        )
        for data in block.data
        for method in methods
        for seed in block.seeds
    ]
    for method in methods:
        _require_read(method)
    return cells


def _require_full(block: Block) -> None:
    """Refuse a table whose product is empty: it would be left out without a word."""
    if not block.data:
        raise ConfigError("cells must name a data set", f"none for {', '.join(block.methods)}", 'Add data = ["hapt"].')
    if not block.methods:
        raise ConfigError("cells must name a method", f"none for {', '.join(block.data)}", 'Add methods = ["dcdp"].')
    if not block.seeds:
        raise ConfigError("cells must have a seed", f"none for {', '.join(block.data)}", "Leave seeds out for seed 0.")


def _require_read(method: Method) -> None:
    """Refuse a variant that is no other than its base: what it sets is not read there."""
    for assignment in method.settings:
        if not reads_setting(method.base, assignment.partition("=")[0].strip()):
            raise ConfigError(
                "a variant must set what its base reads", f"'{assignment}' of methods.{method.name}, a '{method.base}'",
                "Leave it out; what only some methods read may stand under [settings] or in the set of a table.",
            )  # fmt: skip


def _data_name(data: str, split: str) -> str:
    """Return the word for a data set, which must exist and have the split, as far as that can be told without files."""
    if data == "synthetic" or data in list_sets():
        if split == "official" and (data == "synthetic" or get_set(data).official is None):
            raise ConfigError("the data set must have an official split", f"'{data}'", "Choose split 'arena'.")
        return data
    if is_description(data):
        return load_description(data).name
    raise unknown_name("data set", data, ("synthetic", *list_sets()))


def _variant(name: str, table: Any) -> Method:
    if not _SAFE_NAME.fullmatch(name):
        raise ConfigError(
            "the name of a method must be a word", f"'{name}'", "Use letters, digits and any of _ . + @ - only."
        )
    if name == OURS or name.partition("@")[0] in list_peers():
        raise ConfigError("a variant must have a name of its own", f"'{name}'", f"Call it '{name}_2', for example.")
    if not isinstance(table, Mapping):
        raise ConfigError(f"methods.{name} must be a table", repr(table), f"Write [methods.{name}] with base and set.")
    variant = build(_Variant, table, f"methods.{name}")
    return Method(name, variant.base, variant.set)
