"""The house has floors: a module imports its own package and lower floors only."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import dcdp

SOURCE = Path(dcdp.__file__).parent
MODULES = sorted(SOURCE.rglob("*.py"))
NAMES = [str(path.relative_to(SOURCE)) for path in MODULES]

FLOORS = {
    "cli": 8,
    "api": 7,
    "experiments": 6,
    "reports": 6,
    "config": 5,
    "evaluation": 5,
    "prediction": 5,
    "training": 5,
    "augmentation": 4,
    "batches": 4,
    "bundle": 4,
    "checkpoint": 4,
    "gradients": 4,
    "history": 4,
    "inference": 4,
    "balance": 3,
    "models": 3,
    "objectives": 3,
    "data": 2,
    "signals": 2,
    "splits": 2,
    "allocator": 1,
    "errors": 1,
    "files": 1,
    "interruption": 1,
    "records": 1,
    "settings": 1,
}
# Neighbours on one floor that may be read, each in this direction only.
NEIGHBOURS = {
    ("augmentation", "batches"),
    ("data", "signals"),
    ("config", "training"),
    ("evaluation", "config"),
    ("gradients", "batches"),
    ("history", "checkpoint"),
    ("inference", "batches"),
    ("experiments", "reports"),
    ("prediction", "config"),
    ("training", "evaluation"),
    ("records", "errors"),
    ("files", "errors"),
    ("settings", "errors"),
}
NO_NAMES = {"common", "helpers", "misc", "utils"}


def dotted(path: Path) -> str:
    parts = ["dcdp", *path.relative_to(SOURCE).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def package_of(name: str) -> str:
    """Part of a dotted name that has a floor: dcdp.data.store -> data."""
    return name.partition(".")[2].partition(".")[0]


def imported_names(tree: ast.AST, module: str, is_package: bool) -> Iterator[str]:
    """Every dcdp name that a module imports, at its top or inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("dcdp."))
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "dcdp":
            yield from [f"dcdp.{node.attr}"] if not node.attr.startswith("__") else []  # import dcdp; dcdp.x
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:  # relative: from . import x
                parents = module.split(".")
                kept = len(parents) - node.level + is_package
                base = ".".join([*parents[:kept], *([node.module] if node.module else [])])
            if base == "dcdp":
                yield from (f"dcdp.{alias.name}" for alias in node.names if not alias.name.startswith("__"))
            elif base.startswith("dcdp."):
                yield base


def breaches(source: str, module: str, is_package: bool = False) -> list[str]:
    """Return the imports of ``module`` that do not point down."""
    here = package_of(module)
    found = []
    for name in imported_names(ast.parse(source), module, is_package):
        there = package_of(name)
        if there == here or (here, there) in NEIGHBOURS:
            continue
        if there not in FLOORS or FLOORS[there] >= FLOORS[here]:
            found.append(f"{module} imports {name}")
    return found


def test_every_package_has_a_floor() -> None:
    packages = {package_of(dotted(path)) for path in MODULES} - {""}
    assert packages <= set(FLOORS)


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_imports_point_down(path: Path) -> None:
    if path == SOURCE / "__init__.py":
        pytest.skip("the namespace reads every floor, lazily (see test_the_namespace_loads_nothing)")
    assert breaches(path.read_text(encoding="utf-8"), dotted(path), path.name == "__init__.py") == []


@pytest.mark.parametrize(
    ("source", "module", "n_breaches"),
    [
        ("from dcdp.training import fit", "dcdp.data.store", 1),
        ("import dcdp.cli", "dcdp.records", 1),
        ("from dcdp import training", "dcdp.models.heads", 1),
        ("import dcdp\ndcdp.training.fit()", "dcdp.models.heads", 1),
        ("def f():\n    from dcdp.bundle import load_bundle", "dcdp.data.store", 1),
        ("from ..data import store", "dcdp.signals.windows", 1),
        ("from dcdp.nowhere import x", "dcdp.cli.train", 1),
        ("from dcdp.data import store", "dcdp.signals.windows", 1),
        ("from dcdp.signals import windows", "dcdp.data.store", 0),
        ("from . import store", "dcdp.data.store", 0),
        ("from dcdp import __version__", "dcdp.bundle", 0),
        ("import dcdp\nprint(dcdp.__version__)", "dcdp.bundle", 0),
        ("import numpy", "dcdp.records", 0),
    ],
)
def test_the_rule_sees_each_way_to_import(source: str, module: str, n_breaches: int) -> None:
    assert len(breaches(source, module)) == n_breaches


def test_neighbours_never_read_each_other_both_ways() -> None:
    assert all(FLOORS[one] == FLOORS[other] for one, other in NEIGHBOURS)
    assert not {(other, one) for one, other in NEIGHBOURS} & NEIGHBOURS


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_a_module_opens_with_its_job(path: Path) -> None:
    first = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n")[0]
    assert len(first) > 10
    assert first[-1] in ".:"


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_public_names_are_sorted_and_exist(path: Path) -> None:
    if path == SOURCE / "__init__.py":
        pytest.skip("see test_the_namespace_gives_every_public_name")
    module = importlib.import_module(dotted(path))
    assert list(module.__all__) == sorted(set(module.__all__), key=ruff_order)
    assert [name for name in module.__all__ if not hasattr(module, name)] == []


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_a_name_says_what_is_inside(path: Path) -> None:
    assert not {part.removesuffix(".py").strip("_") for part in path.relative_to(SOURCE).parts} & NO_NAMES


def ruff_order(name: str) -> tuple[int, str]:
    """Constants, then classes, then functions, as RUF022 sorts them."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)


def loaded_by(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_the_namespace_gives_every_public_name() -> None:
    assert list(dcdp.__all__) == sorted(set(dcdp.__all__), key=ruff_order)
    assert [name for name in dcdp.__all__ if not callable(getattr(dcdp, name))] == []
    with pytest.raises(AttributeError, match="no attribute 'lod'"):
        _ = dcdp.lod


def test_the_namespace_loads_nothing() -> None:
    assert not loaded_by("import dcdp") & {"torch", "numpy", "polars", "sklearn"}


def test_the_command_line_loads_nothing_heavy() -> None:
    assert not loaded_by("import dcdp.cli") & {"torch", "numpy", "polars", "sklearn", "matplotlib", "scipy"}


def test_data_and_signals_load_without_torch() -> None:
    assert "torch" not in loaded_by("import dcdp.data, dcdp.signals, dcdp.splits")
