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
    Endurance,
    MethodResult,
    Standing,
    check_comparable,
    endurance_of,
    overall,
    read_method_results,
    standings,
    unique_results,
)
from dcdp.files import write_text
from dcdp.reports.benchmark_costs import costs_of
from dcdp.reports.benchmark_curves import draw_validation_by_method
from dcdp.reports.benchmark_plots import Look, by_mean, draw_activities, draw_means, draw_people, looks_of, title_of
from dcdp.reports.benchmark_ranks import COSTS, draw_costs, draw_ranks
from dcdp.reports.ink import COLOURS, Drawing
from dcdp.reports.page import flat_settings, render
from dcdp.reports.robustness import draw_curves
from dcdp.reports.run_folder import shared_people
from dcdp.reports.trained_with import trained_with

__all__ = ["draw_benchmark", "write_benchmark_report"]

Results = Path | Iterable[Path] | Iterable[MethodResult]


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
        Folder of a benchmark, result files and run folders, or results that were read already.
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
    read = _read(results)
    check_comparable(read, partial=True)
    read = unique_results(read)
    methods = sorted({one.method for one in read})
    baseline = baseline or ("dcdp" if "dcdp" in methods or not methods else methods[0])
    tables = standings(read, baseline)
    looks = looks_of(by_mean(tables), baseline)
    drawings = draw_benchmark(read, tables, looks)
    context = _context(read, tables, looks)
    day = (made or datetime.date.today()).isoformat()
    write_text(Path(out), render("benchmark.html", drawings, {"title": title, "made": day, **context}))
    return Path(out)


def _read(results: Results) -> list[MethodResult]:
    if isinstance(results, str | Path):
        return read_method_results(Path(results))
    found: list[MethodResult] = []
    for item in results:
        found += [item] if isinstance(item, MethodResult) else read_method_results(Path(item))
    return found


def draw_benchmark(
    results: Sequence[MethodResult], tables: Sequence[Standing], looks: Mapping[str, Look]
) -> dict[str, Drawing]:
    """Draw every figure for which the results have the numbers."""
    ranks = overall(tables)
    drawings: dict[str, Drawing | None] = {"means": draw_means(tables, looks)}
    if len(tables) > 1 and ranks.by_set is not None and ranks.by_subject is not None:
        drawings["ranks-sets"] = draw_ranks("sets", ranks.by_set, looks)
        drawings["ranks-people"] = draw_ranks("people", ranks.by_subject, looks)
    for table in tables:
        here = _here(results, table)
        drawings[f"people-{title_of(table)}"] = draw_people(table, looks)
        drawings[f"activities-{title_of(table)}"] = draw_activities(table, here[0].result["labels"], _f1(here))
        drawings[f"robustness-{title_of(table)}"] = draw_curves(
            f"{table.data}-{table.split}", _endured(here, looks), looks
        )
    drawings["costs"] = draw_costs(tables, costs_of(results, next(iter(looks))), looks)
    drawings["validation"] = draw_validation_by_method(results, looks)
    return {name: drawing for name, drawing in drawings.items() if drawing is not None}


def _f1(results: Sequence[MethodResult]) -> dict[str, dict[str, float]]:
    """Return method -> activity -> F1, mean over seeds; an activity that nobody did or guessed is left out."""
    found: dict[str, dict[str, list[float]]] = {}
    for one in results:
        own = found.setdefault(one.method, {})
        for label, value in one.test.get("per_class_f1", {}).items():
            if value is not None:
                own.setdefault(label, []).append(value)
    return {method: {label: float(np.mean(values)) for label, values in own.items()} for method, own in found.items()}


def _context(results: Sequence[MethodResult], tables: Sequence[Standing], looks: Mapping[str, Look]) -> dict[str, Any]:
    baseline = next(iter(looks))
    ranks, costs = overall(tables), costs_of(results, baseline)
    return {
        "baseline": baseline,
        "methods": list(looks),
        "colours": {method: _variable(look.colour) for method, look in looks.items()},
        "tables": [(title_of(table), table, _summary(table)) for table in tables],
        "n_people": sum(max(len(row.by_subject) for row in table.rows) for table in tables),
        "n_results": len(results),
        "seeds": sorted({one.seed for one in results}),
        "verdicts": _verdicts(tables),
        "proven": _verdicts(tables, 0.05),
        "ranks": ranks,
        "costs": [
            (title_of(table), [(row.method, costs[table.data, table.split, row.method]) for row in table.rows])
            for table in tables
        ],
        "several_machines": len({cost.machine for cost in costs.values()}) > 1,
        "cost_names": [name for name in ("bytes", *COSTS) if any(name in cost.spent for cost in costs.values())],
        "cost_titles": {"bytes": "bytes", **COSTS},
        "endured": [
            (title_of(table), endured, _absent(endured), trained_with(_disturbed(_here(results, table))))
            for table in tables if (endured := _endured(_here(results, table), looks))
        ],
        "made_by": [(title_of(table), _made_by(_here(results, table), baseline)) for table in tables],
        "known_people": sorted({one.data for one in results if shared_people(one.result)}),
        "versions": _told(results, "versions"),
        "machines": _told(results, "machine"),
    }  # fmt: skip


def _here(results: Sequence[MethodResult], table: Standing) -> list[MethodResult]:
    return [one for one in results if (one.data, one.split) == (table.data, table.split)]


def _variable(colour: str) -> str:
    return next(name for name, (light, _) in COLOURS.items() if light == colour)


def _summary(table: Standing) -> dict[str, Any]:
    """Return the baseline's row, the best other, and how far the baseline is above the published best by group."""
    own = next((row for row in table.rows if row.method == table.baseline), None)
    other = next((row for row in table.rows if row.method != table.baseline), None)
    above = None
    if own is not None and own.by_group is not None and table.published is not None:
        above = own.by_group - table.published.macro_f1
    return {"own": own, "other": other, "above": above}


def _verdicts(tables: Sequence[Standing], most: float = 1.0) -> dict[str, int]:
    """Count the comparisons as the baseline sees them, ahead where the other is behind, with a corrected p so small."""
    seen = {"behind": "ahead", "tie": "tie", "ahead": "behind"}
    rows = [row for table in tables for row in table.rows if row.p_holm is not None and row.p_holm <= most]
    told = Counter(seen[row.difference.verdict] for row in rows if row.difference is not None)
    return {word: told[word] for word in seen.values()}


def _endured(results: Sequence[MethodResult], looks: Mapping[str, Look]) -> list[Endurance]:
    """Return what each method keeps when its sensors are disturbed, in the order of the looks."""
    found = {one.method: one for one in endurance_of(_disturbed(results))}
    return [found[method] for method in looks if method in found]


def _disturbed(results: Sequence[MethodResult]) -> list[dict[str, Any]]:
    """Return the results that were scored under disturbances too; of a peer the block beside it is another's."""
    own = [one for one in results if not one.is_peer and one.result.get("robustness")]
    return [{"base": one.result["method"], **one.result, "method": one.method} for one in own]


def _absent(methods: Sequence[Endurance]) -> list[tuple[str, list[tuple[float, float] | None]]]:
    """Return a row for each absent modality and placement: its name, and what each method keeps and loses."""
    kinds = ("absent_modality", "absent_placement")
    names = dict.fromkeys((kind, name) for kind in kinds for one in methods for name in one.points.get(kind, {}))
    return [
        (name, [(one.mean(kind, name), one.loss(kind, name)) if name in one.points.get(kind, {}) else None
                for one in methods])
        for kind, name in names
    ]  # fmt: skip


def _made_by(results: Sequence[MethodResult], baseline: str) -> dict[str, Any]:
    """Return how the methods of a table were run: the baseline's settings, and where another's differ."""
    # one may have been given from the root, another from here
    paths = {one.path: one.path.parent.resolve() / one.path.name for one in results}
    root = Path(os.path.commonpath([path.parent for path in paths.values()]))
    own = {one.method: one for one in reversed(results) if not one.is_peer}
    first = own.get(baseline) or next(iter(own.values()), results[0])
    settings = dict(flat_settings(first.result["config"]))
    rows = []
    for method in sorted({one.method for one in results}, key=lambda name: (name != first.method, name)):
        mine = [one for one in results if one.method == method]
        other = dict(flat_settings(own[method].result["config"])) if method in own else None
        rows.append({
            "method": method,
            "seeds": sorted(one.seed for one in mine),
            "files": sorted({paths[one.path].relative_to(root).as_posix() for one in mine}),
            "changed": None if other is None else _changed(settings, other),
            "rest": "" if other is None else _told_by_one(settings, other),
        })  # fmt: skip
    folds = [fold["fold"] for fold in first.result["split"]["folds"]]
    return {"first": first.method, "settings": list(settings.items()), "rows": rows, "folds": folds}


def _changed(settings: Mapping[str, str], other: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return what both have, and differently."""
    return [(name, other[name]) for name, value in settings.items() if name in other and other[name] != value]


def _told_by_one(settings: Mapping[str, str], other: Mapping[str, str]) -> str:
    """Say in a phrase in which sections one of the two has settings that the other has not: seldom worth a list."""
    pairs = (("none of the further {} settings", settings, other), ("{} settings of its own", other, settings))
    sections = [(words, dict.fromkeys(name.partition(".")[0] for name in has if name not in lacks))
                for words, has, lacks in pairs]  # fmt: skip
    return "; ".join(words.format(" and ".join(names)) for words, names in sections if names)


def _told(results: Sequence[MethodResult], key: str) -> list[tuple[str, str]]:
    """Return each fact with every value that the results give it: "2.13.0 (12), 2.12.1 (3)" where they differ."""
    facts: dict[str, Counter[str]] = {}
    for result in {id(one.result): one.result for one in results}.values():
        for name, value in flat_settings(result[key]):
            facts.setdefault(name, Counter())[value] += 1
    return [
        (name, next(iter(values)) if len(values) == 1 else ", ".join(f"{v} ({n})" for v, n in values.most_common()))
        for name, values in facts.items()
    ]
