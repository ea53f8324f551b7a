"""Lay an ablation out as a page: a forest of paired differences, verdicts, and the paper's claims as readings."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dcdp.errors import FormatError, MissingError
from dcdp.files import write_text
from dcdp.reports.ink import GROUND, INK, RULE, SERIES, SOFT, Drawing, Sheet, draw, dress, new_sheet, shorten
from dcdp.reports.number_text import percent, plain_p, signed, signed_range
from dcdp.reports.sections import Figure, Named, Page, Section, Table, render_sections

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_forest", "write_ablation"]

WIDTH = 1040
_PILLS = {"earns its place": "ahead", "harms": "behind", "tie": "", "off": ""}
_COLOURS = {"earns its place": SERIES[2], "harms": SERIES[1], "tie": SERIES[0]}
_GROUPS = {"added": "Added, one by one", "left out": "Left out of the full method"}
_MAY_BE_BY_SESSION = "official"  # the one split whose test people may have trained, see `dcdp.splits.Split`
_OF_ABSENCE = ("a branch absent", "its 95 % interval")


def write_ablation(folder: Path) -> Path:
    """Write ``ablation.html`` beside ``ablation.json``, from the latter alone.

    Raises
    ------
    MissingError
        If there is no ``ablation.json``.
    FormatError
        If it is damaged.
    """
    path = Path(folder) / "ablation.json"
    if not path.is_file():
        raise MissingError("an ablation must have an ablation.json", f"no file '{path}'", "Let dcdp ablate finish.")
    try:
        text = render_sections(_page(json.loads(path.read_text(encoding="utf-8"))), _PILLS)
    except (ValueError, KeyError, TypeError, AttributeError) as err:
        raise FormatError("ablation.json must hold an ablation", f"{err!r} in '{path}'", "Run it again.") from err
    page = Path(folder) / "ablation.html"
    write_text(page, text)
    return page


def _page(result: Mapping[str, Any]) -> Page:
    sections = [section for name, one in result["sets"].items() for section in _sections(name, one)]
    settings = [[name, " ".join(assigned) or "the default"] for name, assigned in result["settings"].items()]
    items = [Table("Assignments that make each variant", ["variant", "settings"], settings)]
    if result["failures"]:
        failed = [[name, why] for name, why in result["failures"].items()]
        items.append(Table("Cells that failed", ["cell", "why"], failed))
    sections.append(Section("Variants", "What was trained, exactly?", items))
    facts = [("machine", result["machine"]["processor"]), ("dcdp", result["versions"]["dcdp"])]
    return Page("Ablation", "Does each part earn its place?", facts, sections)


def _sections(name: str, one: Mapping[str, Any]) -> list[Section]:
    components = one["components"]
    seeds = sorted({seed for row in components for seed in row["seeds"]})
    people = max((row["n_people"] for row in components), default=0)
    several = len(seeds) > 1
    tested = "test people" if one["split"] == _MAY_BE_BY_SESSION else "people never seen"
    caption = (
        f"Difference of macro-F1 with the part minus without it, on {people} {tested}"
        f"{f', up to {len(seeds)} seeds averaged by person' if several else ''}. The line is the bootstrap 95 % "
        f"interval of the mean over people{'; small dots are seeds' if several else ''}."
    )
    judged: list[Table | Figure] = []
    if any(row["interval"] for row in components):
        judged.append(Figure(draw_forest(name, components), caption))
    judged += [_verdicts(group, components) for group in _GROUPS if any(row["group"] == group for row in components)]
    sections = [
        Section(f"{name}: verdicts", f"Which parts change the score on {tested}?", judged),
        Section(f"{name}: claims", "What the paper says its parts bring, measured.", _readings(one["readings"])),
        Section(f"{name}: scores", "How good was every variant?", [_variants(one["variants"])]),
    ]
    return [section for section in sections if section.items]


def _verdicts(group: str, components: Sequence[Mapping[str, Any]]) -> Table:
    rows = [
        [
            Named(row["component"], row["about"]), ", ".join(map(str, row["seeds"])),
            signed(row["difference"]), signed_range(row["interval"]), plain_p(row["p_holm"]), percent(row["cost"]),
            row["verdict"], *_absent(row.get("absent") or {}),
        ]
        for row in components
        if row["group"] == group
    ]  # fmt: skip
    figures = ["difference", "95 % interval", "p (Holm)", "step"]
    columns = ["part", "seeds", *figures, "verdict", *_OF_ABSENCE]
    notes = {row["note"] for row in components if row["note"] and row["group"] == group}
    told = (
        "A part earns its place where the whole interval lies above 0, harms where it lies below, else it is a tie. "
        "Off: the full method does not have it, or it cannot act on this set. "
        "Step: by how much the part makes a step of training longer. "
        "A branch absent: the difference again, of the macro-F1 with one branch absent at test, mean over branches. "
    )
    told += " ".join(f"{note.capitalize()}." for note in sorted(notes))
    return Table(_GROUPS[group], columns, rows, told, numeric=("seeds", *figures, *_OF_ABSENCE))


def _absent(told: Mapping[str, Any]) -> tuple[str, str]:
    return signed(told.get("difference")), signed_range(told.get("interval"))


def _readings(readings: Mapping[str, Any]) -> list[Table]:
    tables = []
    if readings.get("alignment"):
        rows = [[row["stage"], row["measure"].replace("_", " "), row["with"], row["without"]]
                for row in readings["alignment"]]  # fmt: skip
        note = "Retrieval is recall at 1 between branches, on test people. Without contrast no projection is trained."
        tables.append(Table("Alignment", ["stage", "measure", "with contrast", "without"], rows, note))
    if readings.get("balance"):
        rows = [[row["branch"], row["measure"], row["with"], row["without"]] for row in readings["balance"]]
        note = (
            "The utilisation gap is the accuracy of a branch trained alone minus that of its head in the joint one, "
            "there if the ablation was run with --alone."
        )
        tables.append(Table("Balance", ["branch", "measure", "with modulation", "without"], rows, note))
    if readings.get("stability"):
        tables.append(_stability(readings["stability"]))
    return tables


def _stability(told: Mapping[str, Any]) -> Table:
    rows = [
        ["spread of macro-F1 over seeds", _small(told["seed_spread"]["with"]), _small(told["seed_spread"]["without"])],
        ["variance of the loss between steps",
         _small(told["step_variance"]["with"]), _small(told["step_variance"]["without"])],
    ]  # fmt: skip
    columns = ["with momentum", "without"]
    return Table("Stability", ["measure", *columns], rows, " ".join(_steadiness(told)), numeric=columns)


def _steadiness(told: Mapping[str, Any]) -> list[str]:
    """Return sentences: by how much the loss varies more or less with momentum, and what to keep in mind."""
    sentences = []
    if told["steadier"] is not None:
        steadier, (low, high) = told["steadier"], told["interval"]
        change = f"{100 * abs(steadier):.0f} % {'less' if steadier > 0 else 'more'}"
        sentences.append(
            f"With momentum the loss varies {change} from step to step (95 % interval of the change "
            f"{percent(-high)} to {percent(-low)}, over folds)."
        )
    if told["note"]:
        one = len(told["seeds"]) == 1
        sentences.append(f"{told['note'].replace('1 seeds', '1 seed') if one else told['note']}.")
    return sentences


def _variants(variants: Mapping[str, Mapping[str, Any]]) -> Table:
    rows = [
        [
            name, one["macro_f1"], one["std"], len(one["by_seed"]), one["parameters"],
            1000 * one["step_s"], "" if one["runs_as"] == name else one["runs_as"],
        ]
        for name, one in variants.items()
    ]  # fmt: skip
    columns = ["variant", "macro-F1", "spread over people", "seeds", "parameters", "step [ms]", "same training as"]
    return Table("Macro-F1 of each variant", columns, rows)


def draw_forest(name: str, components: Sequence[Mapping[str, Any]]) -> Drawing:
    """Draw a row a component: difference and interval, and its verdict in words at the right."""
    rows = _rows(components)
    edges = [edge for row in components if row["interval"] for edge in (*row["interval"], *row["by_seed"].values())]
    low, high = min(0.0, *edges), max(0.0, *edges)
    edge = max(0.06 * (high - low), 0.002)
    height = 26 * len(rows)
    with new_sheet(WIDTH, height + 66) as sheet:
        axes = sheet.axes(230, 10, WIDTH - 610, height)
        axes.set(xlim=(low - edge, high + edge), ylim=(len(rows) - 0.5, -0.5), yticks=[])
        axes.axvline(0, color=SOFT, linewidth=1.2)
        for place, row in enumerate(rows):
            if isinstance(row, str):
                axes.text(-0.02, place, row, transform=axes.get_yaxis_transform(), ha="right", va="center_baseline",
                          color=INK, fontweight="bold")  # fmt: skip
            else:
                _draw_row(sheet, axes, place, row)
        dress(axes, x="macro-F1 with the part minus without it", grid="x")
        axes.spines["left"].set_visible(False)
        return draw(f"forest_{name}", sheet)


def _rows(components: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any] | str]:
    rows: list[Mapping[str, Any] | str] = []
    for group, title in _GROUPS.items():
        own = [row for row in components if row["group"] == group]
        rows += [title, *own] if own else []
    return rows


def _draw_row(sheet: Sheet, axes: Axes, place: int, row: Mapping[str, Any]) -> None:
    beside: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "va": "center_baseline", "fontsize": 11.5}
    axes.text(-0.02, place, shorten(row["component"], 30), ha="right", color=SOFT, **beside)
    colour = _COLOURS.get(row["verdict"], SOFT)
    axes.text(1.02, place, row["sentence"], ha="left", color=colour, **beside)
    axes.axhline(place, color=RULE, linewidth=0.6, zorder=0)
    if row["interval"] is None:
        return
    axes.plot(row["interval"], [place, place], color=colour, linewidth=3, alpha=0.5, solid_capstyle="butt")
    for seed, difference in row["by_seed"].items():
        (dot,) = axes.plot([difference], [place], "o", color=colour, markersize=3.5, alpha=0.6, markerfacecolor=GROUND)
        sheet.tip(dot, f"{row['component']}, seed {seed}: {signed(difference, 4)}")
    (dot,) = axes.plot([row["difference"]], [place], "D", color=colour, markersize=6.5)
    low, high = (signed(end, 4) for end in row["interval"])
    sheet.tip(dot, f"{row['with']} minus {row['without']}: {signed(row['difference'], 4)} [{low}, {high}]")


def _small(value: float | None) -> str | None:
    return None if value is None else f"{value:.2g}"
