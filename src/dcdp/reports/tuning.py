"""Draw what a search found: scores by trial, what the settings explain, tuned against default on people never seen."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dcdp.errors import FormatError, MissingError
from dcdp.files import write_text
from dcdp.reports.ink import SERIES, SOFT, Drawing, draw, dress, legend, new_sheet, shorten
from dcdp.reports.number_text import signed, signed_range
from dcdp.reports.sections import Figure, Page, Section, Table, render_sections

__all__ = ["draw_importance", "draw_trials", "write_tuning"]

WIDTH = 1040


def write_tuning(folder: Path) -> Path:
    """Write ``tuning.html`` beside ``tuning.json``, from the latter alone.

    Raises
    ------
    MissingError
        If there is no ``tuning.json``.
    FormatError
        If it is damaged.
    """
    result = _read(Path(folder) / "tuning.json")
    try:
        text = render_sections(_page(result))
    except (KeyError, TypeError, AttributeError) as err:
        raise FormatError("tuning.json must hold a search", f"{err!r} in '{folder}'", "Run the search again.") from err
    page = Path(folder) / "tuning.html"
    write_text(page, text)
    return page


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise MissingError("a search must have a tuning.json", f"no file '{path}'", "Let the search finish first.")
    try:
        result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as err:
        raise FormatError("tuning.json must be JSON", f"'{path}' ({err})", "Run the search again.") from err
    return result


def _page(result: Mapping[str, Any]) -> Page:
    folds, test = result["folds"], result["test"]
    facts = [
        *((name, result[name]) for name in ("split", "trials", "inner", "seed")),
        ("folds", len(folds)),
        *((f"macro-F1, {name}", f"{test[name]['mean']:.3f}") for name in ("default", "tuned")),
    ]
    sections = [
        Section("What it brought", "Do settings chosen on validation people help people never seen?", _found(result)),
        Section("The search", "How did the score on validation people grow, and what decides it?", _search(result)),
        Section("Who was seen", "Whom did the trials learn from, and by whom were they judged?", [_seen(folds)]),
    ]
    return Page("Search of settings", str(result["data"]), facts, sections)


def _found(result: Mapping[str, Any]) -> list[Table]:
    folds, test = result["folds"], result["test"]
    rows = []
    for name, fold in folds.items():
        scores, validation = fold["scores"], fold["trials"][0]["validation"]
        default, tuned = (scores[key]["macro_f1"]["mean"] for key in ("default", "tuned"))
        settings = ", ".join(fold["best"]["settings"]) if fold["best"]["trial"] else "the default"
        rows.append([name, validation, fold["best"]["validation"], default, tuned, tuned - default, settings])
    columns = ["fold", "validation: default", "best", "test: default", "tuned", "gain", "best settings"]
    compared = test["comparison"]
    note = "One person was tested: nothing to compare."
    if compared:
        note = (
            f"Over {compared['n_pairs']} people the tuned settings gain {signed(compared['mean_difference'])} (95 % "
            f"interval {signed_range(compared['interval'])}): {compared['verdict']}. {compared['note'].capitalize()}"
        )
    people = [[who, value, test["tuned"]["by_subject"][who]] for who, value in test["default"]["by_subject"].items()]
    return [
        Table("Macro-F1 by fold", columns, rows, note),
        Table("Macro-F1 by person", ["person", "default", "tuned"], people),
    ]


def _search(result: Mapping[str, Any]) -> list[Table | Figure]:
    folds = result["folds"]
    items: list[Table | Figure] = [
        Figure(
            draw_trials({name: fold["trials"] for name, fold in folds.items()}),
            "A dot a trial: macro-F1 of the fold's validation people. The line is the best so far; the first trial is "
            "the default. Trials that were stopped early or failed are crosses on the axis.",
        )
    ]
    known = [fold["importance"] for fold in folds.values() if fold["importance"]]
    if known:
        mean = {key: float(np.mean([shares.get(key, 0.0) for shares in known])) for key in known[0]}
        caption = "Share of the variance between trials that each setting explains alone (fANOVA), mean over folds."
        items.append(Figure(draw_importance(mean), caption))
    return items


def _seen(folds: Mapping[str, Any]) -> Table:
    rows = [
        [
            name,
            ", ".join(fold["people"]["test"]),
            "; ".join(", ".join(one["validation"]) for one in fold["inner"]),
            ", ".join(sorted({who for trial in fold["trials"] for who in trial["saw"]})),
            "yes" if all(one["leak_audit"]["passed"] for one in (fold, *fold["inner"])) else "no",
        ]
        for name, fold in folds.items()
    ]
    columns = ["fold", "tested at the end", "judged by", "given to trials", "audit passed"]
    return Table("People of each fold", columns, rows, "Nobody who is tested was given to a trial.")


def draw_trials(folds: Mapping[str, Sequence[Mapping[str, Any]]]) -> Drawing:
    """Draw the validation score of every trial, and the best so far, a colour a fold."""
    from matplotlib.ticker import MaxNLocator

    scores = [trial["validation"] for trials in folds.values() for trial in trials if trial["validation"] is not None]
    low, high = min(scores), max(scores)
    floor = low - max(0.08 * (high - low), 0.004)
    with new_sheet(WIDTH, 380) as sheet:
        axes = sheet.axes(64, 46, WIDTH - 90, 276)
        lines = []
        for place, (name, trials) in enumerate(folds.items()):
            colour = SERIES[place % len(SERIES)]
            known = [(t["trial"] + 1, t["validation"]) for t in trials if t["validation"] is not None]
            x, y = np.array(known, dtype=np.float64).T
            lines += axes.step(x, np.maximum.accumulate(y), where="post", color=colour, linewidth=1.8)
            for trial in trials:
                value, at = trial["validation"], trial["trial"] + 1
                height, marker = (floor, "x") if value is None else (value, "o")
                (dot,) = axes.plot([at], [height], marker=marker, markersize=6, color=colour, alpha=0.75)
                told = trial["state"] if value is None else f"{value:.3f}"
                sheet.tip(dot, f"{name}, trial {at}: {told}; {', '.join(trial['settings'])}")
        axes.set_ylim(floor, high + 0.08 * max(high - low, 0.02))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        dress(axes, x="trial", y="macro-F1 of validation people")
        legend(sheet, lines, [shorten(name) for name in folds], 64, WIDTH - 90)
        return draw("trials", sheet)


def draw_importance(shares: Mapping[str, float]) -> Drawing:
    """Draw a bar a setting, the most important on top."""
    order = sorted(shares, key=lambda key: -shares[key])
    with new_sheet(WIDTH, 74 + 28 * len(order)) as sheet:
        axes = sheet.axes(250, 12, WIDTH - 330, 28 * len(order))
        bars = axes.barh(range(len(order)), [shares[key] for key in order], height=0.6, color=SERIES[0])
        for bar, key in zip(bars, order, strict=True):
            sheet.tip(bar, f"{key}: {shares[key]:.2f}")
            axes.text(shares[key] + 0.01, bar.get_y() + 0.3, f"{shares[key]:.2f}", va="center_baseline", color=SOFT)
        axes.set(xlim=(0, 1), ylim=(len(order) - 0.5, -0.5))
        axes.set_yticks(range(len(order)), [shorten(key, 32) for key in order])
        dress(axes, x="share of the variance between trials", grid="x")
        return draw("importance", sheet)
