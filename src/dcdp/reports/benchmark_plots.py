"""Figures of a benchmark's scores: means with intervals, each person, each activity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dcdp.evaluation import Standing
from dcdp.reports.ink import (
    GROUND,
    INK,
    RULE,
    SERIES,
    Drawing,
    Sheet,
    draw,
    dress,
    legend,
    legend_height,
    new_sheet,
    shorten,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["WIDTH", "Look", "by_mean", "draw_activities", "draw_means", "draw_people", "looks_of", "title_of"]

WIDTH = 1040
N_SIDE = 3  # data sets side by side
_MARKERS = ("o", "D", "s", "^", "v", "P", "X")
_NAME = 24
_NARROWEST = 30  # px that the number of a cell needs


@dataclass(frozen=True, slots=True)
class Look:
    """How a method is drawn, the same in every figure of the page."""

    colour: str
    marker: str
    is_baseline: bool

    def dot(self, size: float = 6.5) -> dict[str, Any]:
        """Return the options of a line that is one dot: filled for the baseline, hollow for the others."""
        return {
            "color": self.colour,
            "marker": self.marker,
            "markersize": size * (1.35 if self.is_baseline else 1.0),
            "markerfacecolor": self.colour if self.is_baseline else GROUND,
            "markeredgewidth": 1.5,
            "linestyle": "none",
            "zorder": 4 if self.is_baseline else 3,
        }


def looks_of(methods: Sequence[str], baseline: str) -> dict[str, Look]:
    """Return each method's look, the baseline's first; 42 others can be told apart by colour and marker.

    Examples
    --------
    >>> looks_of(["forest", "dcdp"], "dcdp")["dcdp"]
    Look(colour='#0068ab', marker='o', is_baseline=True)
    """
    colours, looks = SERIES[1:], {baseline: Look(SERIES[0], _MARKERS[0], True)}
    for place, method in enumerate(method for method in methods if method != baseline):
        turn, hue = divmod(place, len(colours))
        looks[method] = Look(colours[hue], _MARKERS[(hue + 3 * turn) % len(_MARKERS)], False)
    return looks


def title_of(table: Standing) -> str:
    """Return what a table is about.

    Examples
    --------
    >>> title_of(Standing("hapt", "arena", 10, "dcdp", (), None, ()))
    'hapt, arena'
    """
    return f"{table.data}, {table.split}"


def draw_means(tables: Sequence[Standing], looks: Mapping[str, Look]) -> Drawing:
    """Draw a panel a data set: a row a method, its mean over people with the interval, and the published best."""
    methods = by_mean(tables)
    across = min(N_SIDE, len(tables))
    left, gap, row = 18 + int(7.2 * min(_NAME, max(map(len, methods)))), 26, 24
    width = (WIDTH - left - 24 - gap * (across - 1)) / across
    height, title = row * len(methods), 36
    deep = title + height + 58
    with new_sheet(WIDTH, deep * -(-len(tables) // across)) as sheet:
        for place, table in enumerate(tables):
            down, side = divmod(place, across)
            axes = sheet.axes(left + side * (width + gap), down * deep + title, width, height)
            _means(sheet, axes, table, methods, looks)
            names = [shorten(name, _NAME) for name in methods] if side == 0 else []
            axes.set_yticks(range(len(names)), names)
            axes.tick_params(axis="y", labelcolor=INK, labelleft=side == 0)
        return draw("means", sheet)


def by_mean(tables: Sequence[Standing]) -> list[str]:
    """Return the methods, the highest mean over the data sets that have it first."""
    means: dict[str, list[float]] = {}
    for table in tables:
        for row in table.rows:
            means.setdefault(row.method, []).append(row.mean)
    return sorted(means, key=lambda name: (-float(np.mean(means[name])), name))


def _means(sheet: Sheet, axes: Axes, table: Standing, methods: Sequence[str], looks: Mapping[str, Look]) -> None:
    for row in table.rows:
        y, look = methods.index(row.method), looks[row.method]
        tip = f"{row.method}: {row.mean:.3f} by subject"
        if row.by_group is not None:
            tip += f", {row.by_group:.3f} by group"
        if row.interval is not None:
            axes.plot(row.interval, [y, y], color=look.colour, linewidth=5, alpha=0.35, solid_capstyle="butt")
            tip += f", 95 % interval {row.interval[0]:.3f} to {row.interval[1]:.3f}"
        (dot,) = axes.plot([row.mean], [y], **look.dot())
        sheet.tip(dot, tip)
    if table.published is not None:
        best = table.published
        line = axes.axvline(best.macro_f1, color=INK, linewidth=1.2, linestyle=(0, (4, 3)), zorder=1)
        sheet.tip(line, f"published best, by group: {best.macro_f1:.4f} ({best.method})")
    dress(axes, title_of(table), x="macro-F1 by subject", grid="x")
    axes.spines["left"].set_visible(False)
    axes.set_ylim(len(methods) - 0.5, -0.5)
    axes.locator_params(axis="x", nbins=5)


def draw_people(table: Standing, looks: Mapping[str, Look]) -> Drawing:
    """Draw a row a person, the easiest on top, and a dot a method: who is hard, and for whom."""
    scores = {row.method: row.by_subject for row in table.rows}
    people = sorted({person for own in scores.values() for person in own})
    mean = {person: np.mean([own[person] for own in scores.values() if person in own]) for person in people}
    order = sorted(people, key=lambda person: (-mean[person], person))
    row = 24 if len(order) <= 20 else 18
    left = 24 + int(7.2 * min(16, max(map(len, order))))
    names = [name for name in looks if name in scores]
    top = legend_height([shorten(name, _NAME) for name in names], WIDTH - left) + 14
    with new_sheet(WIDTH, top + row * len(order) + 48) as sheet:
        axes = sheet.axes(left, top, WIDTH - left - 30, row * len(order))
        for y, person in enumerate(order):
            found = [own[person] for own in scores.values() if person in own]
            axes.plot([min(found), max(found)], [y, y], color=RULE, linewidth=3, zorder=2)
        for name in reversed(names):  # the baseline comes last, on top
            own = scores[name]
            for y, person in enumerate(order):
                if person in own:
                    (dot,) = axes.plot([own[person]], [y], **looks[name].dot())
                    sheet.tip(dot, f"{person}: {name} {own[person]:.3f}")
        handles = [axes.plot([], [], **looks[name].dot())[0] for name in names]
        axes.set_yticks(range(len(order)), [shorten(person, 16) for person in order])
        axes.set_ylim(len(order) - 0.5, -0.5)
        dress(axes, x="macro-F1 on each person", grid="x")
        axes.tick_params(axis="y", labelcolor=INK)
        axes.spines["left"].set_visible(False)
        legend(sheet, handles, [shorten(name, _NAME) for name in names], left, WIDTH - left)
        return draw(f"people-{table.data}-{table.split}", sheet)


def draw_activities(table: Standing, labels: Sequence[str], f1: Mapping[str, Mapping[str, float]]) -> Drawing | None:
    """Draw the F1 of each activity (rows, the easiest on top) under each method (columns): the deeper, the lower.

    Parameters
    ----------
    labels
        Activities in class order.
    f1
        Method -> activity -> F1 of all test windows together.
    """
    methods = [row.method for row in table.rows if f1.get(row.method)]
    known = [label for label in labels if any(label in f1[method] for method in methods)]
    if not methods or not known:
        return None
    mean = {label: np.mean([f1[name][label] for name in methods if label in f1[name]]) for label in known}
    known = sorted(known, key=lambda label: -mean[label])
    left, row, slanted = 236, 24, max(len(shorten(name, _NAME)) for name in methods)
    width = min(WIDTH - left - 110, 84 * len(methods))
    overhang = int(4.8 * len(shorten(methods[-1], _NAME))) + 20  # of the last name, which is slanted
    top = 24 + int(4.8 * slanted)
    with new_sheet(min(WIDTH, left + width + overhang), top + row * len(known) + 12) as sheet:
        axes = sheet.axes(left, top, width, row * len(known))
        lowest = min(min(own.values()) for own in f1.values() if own)
        numbers = width / len(methods) >= _NARROWEST
        for i, label in enumerate(known):
            for j, name in enumerate(methods):
                if label in f1[name]:
                    tip = f"{name}, {label}: F1 {f1[name][label]:.3f}"
                    _cell(sheet, axes, (i, j), f1[name][label], lowest, tip)
                    if numbers:
                        _number(sheet, axes, (i, j), f1[name][label], tip)
        axes.set(xlim=(-0.5, len(methods) - 0.5), ylim=(len(known) - 0.5, -0.5))
        axes.set_yticks(range(len(known)), [shorten(label.replace("_", " "), 30) for label in known])
        shown = [shorten(name, _NAME) for name in methods]
        axes.set_xticks(range(len(methods)), shown, rotation=40, ha="left", rotation_mode="anchor")
        axes.tick_params(length=0, labelcolor=INK, top=True, labeltop=True, bottom=False, labelbottom=False, pad=5)
        axes.spines[:].set_visible(False)
        return draw(f"activities-{table.data}-{table.split}", sheet)


def _cell(sheet: Sheet, axes: Axes, place: tuple[int, int], value: float, lowest: float, tip: str) -> None:
    from matplotlib.patches import Rectangle

    row, column = place
    # errors are what one looks for: from nothing at 1 to the lowest value of the figure; deeper would hide the number
    deep = 0.02 + 0.53 * ((1 - value) / max(1 - lowest, 0.05)) ** 0.8
    options = {"facecolor": SERIES[1], "alpha": round(min(deep, 1.0), 2), "linewidth": 0}
    cell = Rectangle((column - 0.48, row - 0.46), 0.96, 0.92, **options)
    axes.add_patch(cell)
    sheet.tip(cell, tip)


def _number(sheet: Sheet, axes: Axes, place: tuple[int, int], value: float, tip: str) -> None:
    row, column = place
    shown = "1" if value >= 0.9995 else f"{value:.3f}".lstrip("0") or "0"
    text = axes.text(column, row, shown, ha="center", va="center_baseline", fontsize=11, color=INK)
    sheet.tip(text, tip)
