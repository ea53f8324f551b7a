"""Figures of a benchmark over data sets: the critical-difference diagram, and accuracy against cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dcdp.evaluation import Ranking, Standing
from dcdp.reports.benchmark_costs import Cost, Key
from dcdp.reports.benchmark_plots import WIDTH, Look, title_of
from dcdp.reports.ink import (
    GROUND,
    INK,
    SOFT,
    Drawing,
    Sheet,
    clean,
    draw,
    dress,
    legend,
    legend_height,
    new_sheet,
    shorten,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["COSTS", "draw_costs", "draw_ranks"]

COSTS = {
    "train_seconds": "training of a fold [s]",
    "parameters": "parameters",
    "latency_ms": "one window [ms]",
    "windows_per_s": "windows predicted a second",
}
_NAME = 24


def draw_ranks(name: str, found: Ranking, looks: Mapping[str, Look]) -> Drawing:
    """Draw mean ranks on an axis, the best at the left, and a bar over methods that cannot be told apart."""
    half = -(-len(found.methods) // 2)
    side, row, bars = 30 + int(7.2 * min(_NAME, max(map(len, found.methods)))), 22, 9 * len(found.groups)
    height = 74 + bars + row * half
    with new_sheet(WIDTH, height + 14) as sheet:
        axes = sheet.axes(side, 0, WIDTH - 2 * side, height + 14)
        n = len(found.methods)
        axes.set(xlim=(1 - 0.02 * n, n + 0.02 * n), ylim=(height + 14, 0))
        axes.set_axis_off()
        _scale(axes, n, found.critical_difference)
        for place, (method, rank) in enumerate(zip(found.methods, found.mean_ranks, strict=True)):
            left = place < half
            y = 74 + bars + row * (place if left else n - 1 - place) + 4
            edge = axes.get_xlim()[0 if left else 1]
            colour = looks[method].colour
            axes.plot([rank, rank, edge], [52, y, y], color=colour, linewidth=1.2, solid_joinstyle="round")
            (dot,) = axes.plot([rank], [52], **looks[method].dot(6))
            sheet.tip(dot, f"{method}: mean rank {rank:.2f}")
            _name(sheet, axes, method, rank, edge, y, left)
        for place, group in enumerate(found.groups):
            ends = [found.mean_ranks[found.methods.index(group[i])] for i in (0, -1)]
            y = 66 + 9 * place
            (bar,) = axes.plot([ends[0] - 0.015 * n, ends[1] + 0.015 * n], [y, y], color=INK, linewidth=4)
            sheet.tip(bar, f"cannot be told apart: {', '.join(group)}")
        return draw(f"ranks-{name}", sheet)


def _scale(axes: Axes, n: int, difference: float) -> None:
    axes.plot([1, n], [52, 52], color=SOFT, linewidth=1)
    for rank in range(1, n + 1):
        axes.plot([rank, rank], [46, 52], color=SOFT, linewidth=1)
        axes.text(rank, 42, str(rank), ha="center", va="baseline", color=SOFT, fontsize=11.5)
    end = min(1 + difference, n)
    cut = "" if 1 + difference <= n else ", longer than the axis"
    axes.plot([1, end], [20, 20], color=INK, linewidth=1.5)
    for x in (1, end) if not cut else (1,):
        axes.plot([x, x], [16, 24], color=INK, linewidth=1.5)
    axes.text(
        (1 + end) / 2, 13, f"critical difference {difference:.2f}{cut}", ha="center", va="baseline", fontsize=11.5
    )


def _name(sheet: Sheet, axes: Axes, method: str, rank: float, edge: float, y: float, left: bool) -> None:
    shift = (axes.get_xlim()[1] - axes.get_xlim()[0]) * 0.006 * (-1 if left else 1)
    text = axes.text(
        edge + shift,
        y,
        f"{shorten(method, _NAME)}  {rank:.2f}" if left else f"{rank:.2f}  {shorten(method, _NAME)}",
        ha="right" if left else "left",
        va="center_baseline",
        color=INK,
        fontsize=11.5,
        clip_on=False,
    )
    sheet.tip(text, f"{method}: mean rank {rank:.2f}")


def draw_costs(tables: Sequence[Standing], costs: Mapping[Key, Cost], looks: Mapping[str, Look]) -> Drawing | None:
    """Draw macro-F1 against each known cost: a row of panels a data set, a dot a method, costs on a log axis.

    Parameters
    ----------
    costs
        As `dcdp.reports.benchmark_costs.costs_of` returns them. Where there are several machines, the dots of those
        measured on the baseline's are filled, and the others hollow.
    """
    spent = [[costs[table.data, table.split, row.method].spent for row in table.rows] for table in tables]
    shown = [key for key in COSTS if any(sum(key in cost for cost in own) >= 2 for own in spent)]
    known = [any(key in cost for cost in own for key in shown) for own in spent]
    tables = [table for table, here in zip(tables, known, strict=True) if here]
    if not shown or not tables:
        return None
    names = [name for name in looks if any(key[2] == name and cost.spent for key, cost in costs.items())]
    dots = _dots(costs, looks)
    left, gap, height = 64, 22, 190
    width = min((WIDTH - left - 20 - gap * (len(shown) - 1)) / len(shown), 380)
    top = legend_height([shorten(name, _NAME) for name in names], WIDTH - left) + 12
    deep = height + 84
    with new_sheet(WIDTH, top + deep * len(tables)) as sheet:
        for down, table in enumerate(tables):
            for side, key in enumerate(shown):
                axes = sheet.axes(left + side * (width + gap), top + 32 + down * deep, width, height)
                _cost_panel(sheet, axes, table, costs, key, dots)
                if side == 0:
                    axes.set_title(clean(title_of(table)), fontweight="bold")
                    axes.set_ylabel("macro-F1 by subject")
                else:
                    axes.tick_params(axis="y", labelleft=False)
        handles = [axes.plot([], [], **_in_legend(name, dots))[0] for name in names]
        legend(sheet, handles, [shorten(name, _NAME) for name in names], left, WIDTH - left)
        return draw("costs", sheet)


def _dots(costs: Mapping[Key, Cost], looks: Mapping[str, Look]) -> dict[Key, dict[str, Any]]:
    dots = {key: looks[key[2]].dot(7.5) for key in costs}
    if all(cost.is_at_home for cost in costs.values()):
        return dots
    faces = {key: looks[key[2]].colour if cost.is_at_home else GROUND for key, cost in costs.items()}
    return {key: dot | {"markerfacecolor": faces[key]} for key, dot in dots.items()}


def _in_legend(name: str, dots: Mapping[Key, Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the dot that stands for a method: a filled one, if it has one."""
    own = [dot for key, dot in dots.items() if key[2] == name]
    return max(own, key=lambda dot: dot["markerfacecolor"] != GROUND)


def _cost_panel(
    sheet: Sheet,
    axes: Axes,
    table: Standing,
    costs: Mapping[Key, Cost],
    key: str,
    dots: Mapping[Key, Mapping[str, Any]],
) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter, NullLocator

    spent = [costs[table.data, table.split, row.method].spent.get(key) for row in table.rows]
    for row, cost in zip(table.rows, spent, strict=True):
        if cost is not None:
            (dot,) = axes.plot([cost], [row.mean], **dots[table.data, table.split, row.method])
            sheet.tip(dot, f"{row.method}: {row.mean:.3f}, {COSTS[key]} {cost:.4g}")
    dress(axes, x=COSTS[key], grid="both")
    axes.spines[["left", "bottom"]].set_visible(False)
    known = [cost for cost in spent if cost is not None]
    means = [row.mean for row in table.rows]
    edge = max(0.08 * (max(means) - min(means)), 0.005)
    axes.set_ylim(min(means) - edge, max(means) + edge)
    axes.set_xscale("log")
    if known:
        low, high = np.log10(min(known)), np.log10(max(known))
        room = max(0.08 * (high - low), 0.15)
        axes.set_xlim(10 ** (low - room), 10 ** (high + room))
        steps = _steps(low - room, high + room, axes.get_window_extent().width)
        axes.xaxis.set_major_locator(LogLocator(subs=steps, numticks=8))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_formatter(lambda value, _: _short(value))


def _steps(low: float, high: float, width: float) -> tuple[int, ...]:
    """Return where in a decade ticks stand: at 1, 2 and 5 where their labels have room, else at 1 and 3 or at 1.

    Parameters
    ----------
    low, high
        Ends of the axis, decimal logarithms.
    width
        Of the axis [px].

    Examples
    --------
    >>> _steps(0, 1.5, 210), _steps(4, 5.9, 210), _steps(0, 4, 210)
    ((1, 2, 5), (1, 3), (1,))
    """
    longest = max(len(_short(5 * 10.0**decade)) for decade in range(math.floor(low), math.ceil(high)))
    decade = width / (high - low)
    if decade * math.log10(2) >= 6.6 * longest + 6:
        return (1, 2, 5)
    return (1, 3) if decade * math.log10(3) >= 6.6 * longest + 6 else (1,)


def _short(value: float) -> str:
    """Return a number in few characters.

    Examples
    --------
    >>> _short(2e6), _short(50_000), _short(0.05)
    ('2 M', '50 k', '0.05')
    """
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"
