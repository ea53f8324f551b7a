"""Write the report of a whole benchmark: one HTML page that needs nothing but itself, from result files alone."""

from __future__ import annotations

import datetime
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dcdp.evaluation import (
    Cell,
    Standing,
    check_comparable,
    overall,
    read_cells,
    standings,
    unique_cells,
)
from dcdp.files import write_text
from dcdp.reports.benchmark_curves import draw_robustness, draw_validation_by_method
from dcdp.reports.benchmark_plots import Look, by_mean, draw_activities, draw_means, draw_people, looks_of, title_of
from dcdp.reports.benchmark_ranks import COSTS, draw_costs, draw_ranks
from dcdp.reports.ink import COLOURS, Drawing
from dcdp.reports.page import flat_settings, render

__all__ = ["draw_benchmark", "write_benchmark_report"]

Results = Path | Iterable[Path] | Iterable[Cell]
Key = tuple[str, str, str]


def write_benchmark_report(
    results: Results,
    out: Path,
    *,
    baseline: str | None = None,
    title: str = "Benchmark",
    made: datetime.date | None = None,
) -> Path:
    """Write the page.

    Results that tested some folds of a split only are compared on their people alone, and have no rank. The same
    files, title and date give the same bytes.

    Parameters
    ----------
    results
        Folder of a benchmark, result files and run folders, or cells that were read already.
    out
        The page.
    baseline
        Method that the others are compared with; ``dcdp`` where it was run, else the first by name, if None.
    title
        Of the page.
    made
        Date to put on the page; today if None.

    Returns
    -------
    Path
        Of the page.

    Raises
    ------
    MissingError
        If there is no result.
    SplitError
        If the results of one data set and split were made under different conditions.
    ConfigError
        If the baseline was not run.
    StorageError
        If the disk is full or not writable.
    """
    cells = _cells(results)
    check_comparable(cells, partial=True)
    cells = unique_cells(cells)
    methods = sorted({cell.method for cell in cells})
    baseline = baseline or ("dcdp" if "dcdp" in methods or not methods else methods[0])
    tables = standings(cells, baseline)
    looks = looks_of(by_mean(tables), baseline)
    drawings = draw_benchmark(cells, tables, looks)
    context = _context(cells, tables, looks)
    day = (made or datetime.date.today()).isoformat()
    write_text(Path(out), render("benchmark.html", drawings, {"title": title, "made": day, **context}))
    return Path(out)


def _cells(results: Results) -> list[Cell]:
    if isinstance(results, str | Path):
        return read_cells(Path(results))
    found: list[Cell] = []
    for item in results:
        found += [item] if isinstance(item, Cell) else read_cells(Path(item))
    return found


def draw_benchmark(cells: Sequence[Cell], tables: Sequence[Standing], looks: Mapping[str, Look]) -> dict[str, Drawing]:
    """Draw every figure for which the results have the numbers."""
    ranks = overall(tables)
    drawings: dict[str, Drawing | None] = {"means": draw_means(tables, looks)}
    if len(tables) > 1 and ranks.by_set is not None and ranks.by_subject is not None:
        drawings["ranks-sets"] = draw_ranks("sets", ranks.by_set, looks)
        drawings["ranks-people"] = draw_ranks("people", ranks.by_subject, looks)
    for table in tables:
        here = [cell for cell in cells if (cell.data, cell.split) == (table.data, table.split)]
        drawings[f"people-{title_of(table)}"] = draw_people(table, looks)
        drawings[f"activities-{title_of(table)}"] = draw_activities(table, here[0].result["labels"], _f1(here))
    drawings["costs"] = draw_costs(tables, _costs(cells), looks)
    drawings["robustness"] = draw_robustness(cells, looks)
    drawings["validation"] = draw_validation_by_method(cells, looks)
    return {name: drawing for name, drawing in drawings.items() if drawing is not None}


def _f1(cells: Sequence[Cell]) -> dict[str, dict[str, float]]:
    """Return method -> activity -> F1, mean over seeds; an activity that nobody did or guessed is left out."""
    found: dict[str, dict[str, list[float]]] = {}
    for cell in cells:
        own = found.setdefault(cell.method, {})
        for label, value in cell.test.get("per_class_f1", {}).items():
            if value is not None:
                own.setdefault(label, []).append(value)
    return {method: {label: float(np.mean(values)) for label, values in own.items()} for method, own in found.items()}


def _costs(cells: Sequence[Cell]) -> dict[Key, dict[str, float]]:
    """Return the cost of each method on each data set and split, median over seeds."""
    found: dict[Key, dict[str, list[float]]] = {}
    for cell in cells:
        own = found.setdefault((cell.data, cell.split, cell.method), {})
        for name, value in cell.cost.items():
            own.setdefault(name, []).append(value)
    return {key: {name: float(np.median(values)) for name, values in own.items()} for key, own in found.items()}


def _context(cells: Sequence[Cell], tables: Sequence[Standing], looks: Mapping[str, Look]) -> dict[str, Any]:
    baseline = next(iter(looks))
    ranks, costs = overall(tables), _costs(cells)
    return {
        "baseline": baseline,
        "methods": list(looks),
        "colours": {method: _variable(look.colour) for method, look in looks.items()},
        "tables": [(title_of(table), table, _summary(table)) for table in tables],
        "n_people": sum(max(len(row.by_subject) for row in table.rows) for table in tables),
        "n_results": len(cells),
        "seeds": sorted({cell.seed for cell in cells}),
        "verdicts": _verdicts(tables),
        "ranks": ranks,
        "costs": [(title_of(table), [(row.method, costs[table.data, table.split, row.method]) for row in table.rows])
                  for table in tables],
        "cost_names": [name for name in ("bytes", *COSTS) if any(name in own for own in costs.values())],
        "cost_titles": {"bytes": "bytes", **COSTS},
        "made_by": [(title_of(table), _made_by(_here(cells, table), baseline)) for table in tables],
        "versions": _told(cells, "versions"),
        "machines": _told(cells, "machine"),
    }  # fmt: skip


def _here(cells: Sequence[Cell], table: Standing) -> list[Cell]:
    return [cell for cell in cells if (cell.data, cell.split) == (table.data, table.split)]


def _variable(colour: str) -> str:
    return next(name for name, (light, _) in COLOURS.items() if light == colour)


def _summary(table: Standing) -> dict[str, Any]:
    """Return the baseline's row, the best other, and how far the baseline is above the published best by group."""
    own = next((row for row in table.rows if row.method == table.baseline), None)
    other = next((row for row in table.rows if row.method != table.baseline), None)
    above = own.by_group - table.published.macro_f1 if own is not None and table.published is not None else None
    return {"own": own, "other": other, "above": above}


def _verdicts(tables: Sequence[Standing]) -> dict[str, int]:
    """Count the comparisons as the baseline sees them: it is ahead where the other is behind."""
    seen = {"behind": "ahead", "tie": "tie", "ahead": "behind"}
    told = Counter(seen[row.difference.verdict] for table in tables for row in table.rows if row.difference is not None)
    return {word: told[word] for word in seen.values()}


def _made_by(cells: Sequence[Cell], baseline: str) -> dict[str, Any]:
    """Return how the methods of a table were run: the baseline's settings, and where another's differ."""
    root = Path(os.path.commonpath([cell.path.parent for cell in cells]))
    own = {cell.method: cell for cell in reversed(cells) if not cell.is_peer}
    first = own.get(baseline) or next(iter(own.values()), cells[0])
    settings = dict(flat_settings(first.result["config"]))
    rows = []
    for method in sorted({cell.method for cell in cells}, key=lambda name: (name != first.method, name)):
        mine = [cell for cell in cells if cell.method == method]
        changed = _changed(settings, own[method]) if method in own else None
        rows.append({
            "method": method,
            "seeds": sorted(cell.seed for cell in mine),
            "files": sorted({cell.path.relative_to(root).as_posix() for cell in mine}),
            "changed": changed,
        })  # fmt: skip
    folds = [fold["fold"] for fold in first.result["split"]["folds"]]
    return {"first": first.method, "settings": list(settings.items()), "rows": rows, "folds": folds}


def _changed(settings: Mapping[str, str], cell: Cell) -> list[tuple[str, str]]:
    other = dict(flat_settings(cell.result["config"]))
    names = dict.fromkeys([*settings, *other])
    return [(name, other.get(name, "none")) for name in names if settings.get(name) != other.get(name)]


def _told(cells: Sequence[Cell], key: str) -> list[tuple[str, str]]:
    """Return each fact with every value that the results give it: "2.13.0 (12), 2.12.1 (3)" where they differ."""
    facts: dict[str, Counter[str]] = {}
    for result in {id(cell.result): cell.result for cell in cells}.values():
        for name, value in flat_settings(result[key]):
            facts.setdefault(name, Counter())[value] += 1
    return [
        (name, next(iter(values)) if len(values) == 1 else ", ".join(f"{v} ({n})" for v, n in values.most_common()))
        for name, values in facts.items()
    ]
