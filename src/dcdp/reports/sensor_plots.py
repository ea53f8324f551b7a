"""Figures of the sensors: what each branch knows alone, and its share of the joint decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from dcdp.reports.ink import INK, SERIES, SOFT, Drawing, Sheet, draw, dress, new_sheet, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_sensors"]

WIDTH = 1040
ROW = 30


def draw_sensors(
    branches: Sequence[str],
    heads: Mapping[str, float],
    joint: float | None,
    shapley: Mapping[str, float],
    trained_alone: Mapping[str, float] | None = None,
) -> Drawing | None:
    """Draw the accuracy of each branch's own head (a line shows the joint head) and the Shapley shares.

    Parameters
    ----------
    branches
        Names in order.
    heads
        Accuracy of each branch's head, in [0, 1].
    joint
        Accuracy of the joint head.
    shapley
        Share of each branch; they sum to 1, and one may be negative.
    trained_alone
        Accuracy of each branch where it was trained by itself; marked on its bar.
    """
    dashed = f" (dashed: joint {joint:.3f})" if joint else ""
    panels = [
        (title, values, line, ticks)
        for title, values, line, ticks in (
            (f"Accuracy of its own head{dashed}", heads, joint, trained_alone or {}),
            ("Shapley share of each branch", shapley, None, {}),
        )
        if values
    ]
    if not panels:
        return None
    rows = [branch for branch in branches if branch in heads or branch in shapley]
    rows += sorted((set(heads) | set(shapley)) - set(rows))
    label = 12 + 7 * min(18, max(map(len, rows)))
    with new_sheet(WIDTH, 36 + ROW * len(rows) + 28) as sheet:
        pitch = (WIDTH - label) / len(panels)
        for place, (title, values, line, ticks) in enumerate(panels):
            axes = sheet.axes(label + place * pitch + 4, 36, pitch - 90, ROW * len(rows))
            _bars(sheet, axes, rows, values, line)
            for row, name in enumerate(rows):
                if name in ticks:
                    axes.plot([ticks[name]] * 2, [row - 0.4, row + 0.4], color=INK, linewidth=2)
            dress(axes, title, grid="x")
            axes.set_yticks(range(len(rows)), [shorten(row, 18) for row in rows] if place == 0 else [""] * len(rows))
            axes.tick_params(axis="y", labelcolor=INK)
        return draw("sensors", sheet)


def _bars(sheet: Sheet, axes: Axes, rows: Sequence[str], values: Mapping[str, float], line: float | None) -> None:
    axes.set_ylim(len(rows) - 0.5, -0.5)
    for place, name in enumerate(rows):
        if name in values:
            (bar,) = axes.barh([place], [values[name]], height=0.56, color=SERIES[place % len(SERIES)], linewidth=0)
            sheet.tip(bar, f"{name}: {values[name]:.3f}")
            axes.text(1.02, place, f"{values[name]:.3f}", transform=axes.get_yaxis_transform(), va="center_baseline")
    if line is not None:
        axes.axvline(line, color=SOFT, linewidth=1.5, linestyle=(0, (3, 2)))
    axes.set_xlim(min(0.0, *values.values()), max(1.0 if line is not None else 0.0, *values.values()))
