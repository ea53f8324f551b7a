"""Lay out what methods keep when sensors are absent or fail: tables of losses, verdicts and curves, as one page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dcdp.evaluation import AbsenceVerdict, Endurance, absence_verdicts
from dcdp.files import write_text
from dcdp.reports.benchmark_plots import WIDTH, Look, looks_of
from dcdp.reports.ink import Drawing, Sheet, draw, dress, legend, legend_height, new_sheet, shorten
from dcdp.reports.number_text import signed_range
from dcdp.reports.sections import Figure, Page, Section, Table, render_sections
from dcdp.reports.trained_with import UNTOLD
from dcdp.signals.corruptions import CORRUPTIONS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["absence_table", "draw_curves", "loss_table", "verdict_words", "write_robustness"]

_N_ACROSS = 3
_PANEL = 190
_NAME = 24
_ABSENT = "absent_"
_FOOT = f"Made by dcdp from result files alone. {UNTOLD}"
_ABSENCE_NOTE = (
    "Taken away at test. Ours leaves the sensor out; of the others its channels (of trees: its statistics) are the "
    "mean over the training windows. Loss: macro-F1 with all sensors minus that, mean over test people."
)
_VERDICT_NOTE = (
    "The best peer is the one with the highest macro-F1 with all sensors. The interval is a bootstrap 95 % interval "
    "over test people; below 0 the bar is met beyond chance."
)
_CURVES_CAPTION = (
    "Macro-F1, mean over test people, against severity; dashed: undisturbed. "
    + " ".join(f"{one.name.capitalize()}: {one.text[0].lower()}{one.text[1:]}" for one in CORRUPTIONS.values())
    + " Rest the pointer on a line for its figures."
)


def write_robustness(path: Path, methods: Sequence[Endurance], own: str = "dcdp") -> Path:
    """Write the page; the same figures give the same bytes.

    Parameters
    ----------
    path
        Of the page.
    methods
        Of any number of data sets and splits; see `dcdp.evaluation.endurance_of`.
    own
        The method that the others are held against.

    Raises
    ------
    StorageError
        If the disk is full or not writable.
    """
    groups: dict[tuple[str, str], list[Endurance]] = {}
    for one in methods:
        groups.setdefault((one.data, one.split), []).append(one)
    sections = [section for key, group in groups.items() for section in _sections(key, _best_first(group, own), own)]
    names = dict.fromkeys(one.method for one in methods)
    facts = [
        ("methods", ", ".join(names)),
        ("data", ", ".join(f"{data} ({split})" for data, split in groups)),
        ("seeds", ", ".join(map(str, sorted({seed for one in methods for seed in one.seeds})))),
    ]
    page = Page("Robustness", "When sensors are absent or fail", facts, sections, _FOOT)
    write_text(Path(path), render_sections(page, {"yes": "ahead", "no": "behind"}))
    return Path(path)


def absence_table(methods: Sequence[Endurance], kind: str) -> tuple[list[str], list[list[float | str | None]]]:
    """Return the columns, and a row for each method: macro-F1 with all sensors, then without each and what is lost.

    Parameters
    ----------
    methods
        On one data set and split.
    kind
        ``absent_modality`` or ``absent_placement``; without rows if nobody was scored so.
    """
    names = list(dict.fromkeys(name for one in methods for name in one.points.get(kind, {})))
    columns = ["method", "all", *(word for name in names for word in (f"no {name}", "loss"))]
    rows: list[list[float | str | None]] = [
        [one.method, one.clean_mean, *(figure for name in names for figure in _left_and_lost(one, kind, name))]
        for one in methods
        if kind in one.points
    ]
    return columns, rows


def loss_table(methods: Sequence[Endurance]) -> tuple[list[str], list[list[float | str | None]]]:
    """Return the columns, and a row for each corruption: what each method loses, mean over the severities.

    Parameters
    ----------
    methods
        On one data set and split.
    """
    kinds = [kind for kind in CORRUPTIONS if any(kind in one.points for one in methods)]
    rows: list[list[float | str | None]] = [[kind, *(_mean_loss(one, kind) for one in methods)] for kind in kinds]
    return ["corruption", *(one.method for one in methods)], rows


def verdict_words(verdict: AbsenceVerdict, own: str = "dcdp") -> str:
    """Say in a sentence what a sensor's absence costs both.

    Examples
    --------
    >>> print(verdict_words(AbsenceVerdict("absent_modality", "gyr", 0.02, "forest", 0.1, 0.2, None, "forest", 0.1)))
    without gyr dcdp loses 0.020, forest 0.100: 0.20 times as much, less than half
    >>> print(verdict_words(AbsenceVerdict("absent_modality", "mag", -0.01, "forest", 0.1, -0.1, None, "forest", 0.1)))
    without mag dcdp loses nothing, forest 0.100
    """
    if verdict.loss <= 0:
        return f"without {verdict.absent} {own} loses nothing, {verdict.peer} {verdict.peer_loss:.3f}"
    times = "" if verdict.ratio is None else f": {verdict.ratio:.2f} times as much"
    bar = "less than half" if verdict.met else "not less than half"
    return (f"without {verdict.absent} {own} loses {verdict.loss:.3f}, {verdict.peer} {verdict.peer_loss:.3f}"
            f"{times}, {bar}")  # fmt: skip


def draw_curves(name: str, methods: Sequence[Endurance], looks: Mapping[str, Look]) -> Drawing | None:
    """Draw macro-F1 against severity, a panel a corruption and a line a method; dashed is its score undisturbed.

    Parameters
    ----------
    name
        Of the drawing: one page may hold several.
    methods, looks
        On one data set and split, and how each is drawn.
    """
    kinds = [kind for kind in CORRUPTIONS if any(kind in one.points for one in methods)]
    if not kinds:
        return None
    across, left, gap = min(_N_ACROSS, len(kinds)), 56, 28
    width = (WIDTH - left - 20 - gap * (_N_ACROSS - 1)) / _N_ACROSS
    shown = [shorten(one.method, _NAME) for one in methods]
    top, deep = legend_height(shown, WIDTH - left) + 14, _PANEL + 100
    low, high = _span(methods, kinds)
    with new_sheet(WIDTH, top + deep * -(-len(kinds) // across)) as sheet:
        for place, kind in enumerate(kinds):
            down, side = divmod(place, across)
            axes = sheet.axes(left + side * (width + gap), top + 32 + down * deep, width, _PANEL)
            here = [one for one in methods if kind in one.points]
            for one in reversed(here):  # ours on top
                _line(sheet, axes, one, kind, looks[one.method])
            dress(axes, kind, x=_severity_label(kind, here[0]), y="macro-F1" if side == 0 else "")
            axes.xaxis.label.set_fontsize(10)
            axes.set_xticks(range(len(here[0].points[kind]) + 1), ["0", *here[0].points[kind]])
            axes.set_ylim(low, high)
            axes.tick_params(axis="y", labelleft=side == 0)
        handles = [axes.plot([], [], **looks[one.method].dot())[0] for one in methods]
        legend(sheet, handles, shown, left, WIDTH - left)
        return draw(f"curves-{name}", sheet)


def _span(methods: Sequence[Endurance], kinds: Sequence[str]) -> tuple[float, float]:
    """Return one range for all panels, so that a mild corruption does not look like a strong one."""
    values = [one.clean_mean for one in methods]
    values += [one.mean(kind, level) for one in methods for kind in kinds for level in one.points.get(kind, {})]
    edge = max(0.05 * (max(values) - min(values)), 0.005)
    return min(values) - edge, max(values) + edge


def _line(sheet: Sheet, axes: Axes, one: Endurance, kind: str, look: Look) -> None:
    levels = list(one.points[kind])
    y = [one.clean_mean, *(one.mean(kind, level) for level in levels)]
    width = 2.4 if look.is_baseline else 1.4
    axes.axhline(one.clean_mean, color=look.colour, linewidth=0.8, linestyle=(0, (3, 3)))
    style = look.dot(5) | {"linestyle": "-", "linewidth": width}
    (line,) = axes.plot(np.arange(len(y)), y, **style)
    lost = ", ".join(f"{level}: {value:.3f}" for level, value in zip(["0", *levels], y, strict=True))
    sheet.tip(line, f"{one.method}, {lost}")


def _severity_label(kind: str, one: Endurance) -> str:
    """Return the unit of the severities; of a share, what 1 is in the units of the sensors."""
    corruption = CORRUPTIONS[kind]
    level, sizes = next(((level, sizes) for level, sizes in one.sizes.get(kind, {}).items() if sizes), ("", {}))
    if not sizes:
        return corruption.unit
    whole = ", ".join(
        f"{size / float(level):.2g} {unit.replace('m/s2', 'm/s²')}" for unit, size in sizes.items() if unit != "1"
    )
    return f"share of training spread (1: {whole})" if whole else "share of training spread"


def _sections(key: tuple[str, str], methods: Sequence[Endurance], own: str) -> list[Section]:
    data, split = key
    names = [one.method for one in methods]
    looks = looks_of(names, own if own in names else names[0])
    items: list[Table | Figure] = []
    for kind in (f"{_ABSENT}modality", f"{_ABSENT}placement"):
        columns, rows = absence_table(methods, kind)
        if rows:
            items.append(Table(f"Macro-F1 with one {kind.removeprefix(_ABSENT)} absent", columns, rows, _ABSENCE_NOTE))
    verdicts = absence_verdicts(methods, own)
    if verdicts:
        items.append(_verdict_table(verdicts, own))
    curves = draw_curves(f"{data}-{split}", methods, looks)
    if curves is not None:
        losses = Table("Loss of macro-F1, mean over the severities", *loss_table(methods))
        items += [Figure(curves, _CURVES_CAPTION), losses]
    return [Section(f"{data}, {split}", "What is left when a sensor is absent, noisy, turned, slow or late?", items)]


def _verdict_table(verdicts: Sequence[AbsenceVerdict], own: str) -> Table:
    rows: list[list[float | str | None]] = [
        [
            one.absent, one.loss, one.peer, one.peer_loss, one.ratio, "yes" if one.met else "no",
            signed_range(one.interval),
            f"{one.steadiest} {one.steadiest_loss:.3f}",
        ]
        for one in verdicts
    ]  # fmt: skip
    columns = ["absent", f"{own} loses", "best peer", "it loses", "ratio", "less than half", "loss minus half of its",
               "peer that loses least"]  # fmt: skip
    title = f"Does {own} lose less than half of what the best peer loses?"
    return Table(title, columns, rows, _VERDICT_NOTE, numeric=("loss minus half of its",))


def _mean_loss(one: Endurance, kind: str) -> float | None:
    losses = [one.loss(kind, level) for level in one.points.get(kind, {})]
    return float(np.mean(losses)) if losses else None


def _left_and_lost(one: Endurance, kind: str, name: str) -> tuple[float | None, float | None]:
    if name not in one.points.get(kind, {}):
        return None, None
    return one.mean(kind, name), one.loss(kind, name)


def _best_first(methods: Sequence[Endurance], own: str) -> list[Endurance]:
    """Return our method first, then the others, the best undisturbed one first."""
    return sorted(methods, key=lambda one: (one.method != own, -one.clean_mean, one.method))
