"""Figures of a benchmark over something that grows: corruption of the signals, and training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from dcdp.evaluation import Cell
from dcdp.reports.benchmark_plots import WIDTH, Look
from dcdp.reports.curves import Curve, mean_curve, read_history, series
from dcdp.reports.ink import Drawing, Sheet, draw, dress, legend, legend_height, new_sheet, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_robustness", "draw_validation_by_method"]

_NAME = 24
_PANEL = 200


def draw_robustness(cells: Sequence[Cell], looks: Mapping[str, Look]) -> Drawing | None:
    """Draw macro-F1 against the severity of each corruption; a method's clean score is the first point.

    Read from the ``robustness`` of the results: corruption -> severity -> ``macro_f1`` with its ``mean``. Data sets and
    seeds are averaged. A corruption of one severity (an absent sensor) is no curve, and left out.
    """
    found: dict[str, dict[str, dict[str, list[float]]]] = {}
    for cell in cells:
        for kind, levels in {} if cell.is_peer else cell.result.get("robustness", {}).items():
            if len(levels) < 2:
                continue
            own = found.setdefault(kind, {}).setdefault(cell.method, {"clean": []})
            own["clean"].append(float(np.mean(list(cell.by_subject.values()))))
            for level, score in levels.items():
                own.setdefault(level, []).append(score["macro_f1"]["mean"])
    panels = {
        kind: {method: [float(np.mean(values)) for values in own.values()] for method, own in methods.items()}
        for kind, methods in found.items()
    }
    ticks = {kind: list(next(iter(methods.values()))) for kind, methods in found.items()}
    if not panels:
        return None
    return _panels("robustness", panels, ticks, looks)


def _panels(
    name: str,
    panels: Mapping[str, Mapping[str, list[float]]],
    ticks: Mapping[str, list[str]],
    looks: Mapping[str, Look],
) -> Drawing:
    across, left, gap = min(3, len(panels)), 56, 52
    width = (WIDTH - left - 20 - gap * (across - 1)) / across
    names = [method for method in looks if any(method in own for own in panels.values())]
    shown = [shorten(method, _NAME) for method in names]
    top, deep = legend_height(shown, WIDTH - left) + 14, _PANEL + 84
    with new_sheet(WIDTH, top + deep * -(-len(panels) // across)) as sheet:
        for place, (kind, own) in enumerate(panels.items()):
            down, side = divmod(place, across)
            axes = sheet.axes(left + side * (width + gap), top + 32 + down * deep, width, _PANEL)
            for method in (method for method in reversed(names) if method in own):
                _line(sheet, axes, method, np.arange(len(own[method])), own[method], looks[method])
            dress(axes, kind.replace("_", " "), y="macro-F1" if side == 0 else "")
            axes.set_xticks(range(len(ticks[kind])), ticks[kind])
        handles = [axes.plot([], [], **looks[method].dot())[0] for method in names]
        legend(sheet, handles, shown, left, WIDTH - left)
        return draw(name, sheet)


def _line(sheet: Sheet, axes: Axes, method: str, x: np.ndarray, y: Sequence[float], look: Look) -> None:
    (line,) = axes.plot(x, y, **(look.dot(5) | {"linestyle": "-", "linewidth": 2.4 if look.is_baseline else 1.4}))
    sheet.tip(line, f"{method}: {', '.join(f'{value:.3f}' for value in y)}")


def draw_validation_by_method(cells: Sequence[Cell], looks: Mapping[str, Look]) -> Drawing | None:
    """Draw macro-F1 on the validation people by epoch, a panel a data set, mean over the folds and seeds of a method.

    Only of results beside which training histories lie: ``folds/*/history.jsonl`` of a run.
    """
    curves: dict[str, dict[str, list[Curve]]] = {}
    for cell in cells:
        if not cell.is_peer:
            own = [series(read_history(path).epochs, "epoch", "validation", "macro_f1") for path in _histories(cell)]
            kept = [curve for curve in own if len(curve)]
            if kept:
                curves.setdefault(f"{cell.data}, {cell.split}", {}).setdefault(cell.method, []).extend(kept)
    if not curves:
        return None
    across, left, gap = min(3, len(curves)), 56, 52
    width = (WIDTH - left - 20 - gap * (across - 1)) / across
    names = [method for method in looks if any(method in own for own in curves.values())]
    shown = [shorten(method, _NAME) for method in names]
    top, deep = legend_height(shown, WIDTH - left) + 14, _PANEL + 84
    with new_sheet(WIDTH, top + deep * -(-len(curves) // across)) as sheet:
        for place, (title, methods) in enumerate(curves.items()):
            down, side = divmod(place, across)
            axes = sheet.axes(left + side * (width + gap), top + 32 + down * deep, width, _PANEL)
            handles = {}
            for method, own in methods.items():
                curve = mean_curve(own)
                width_px = 2.4 if looks[method].is_baseline else 1.4
                (line,) = axes.plot(curve.x, curve.y, color=looks[method].colour, linewidth=width_px)
                sheet.tip(line, f"{method}: {len(own)} folds")
                handles[method] = line
            dress(axes, title, x="epoch", y="macro-F1, validation people" if side == 0 else "")
        lines = [axes.plot([], [], color=looks[method].colour, linewidth=2)[0] for method in names]
        legend(sheet, lines, shown, left, WIDTH - left)
        return draw("validation-by-method", sheet)


def _histories(cell: Cell) -> list:
    folders = [cell.path.parent / "folds"] if cell.path.name == "result.json" else [cell.path.with_suffix("") / "folds"]
    return [path for folder in folders for path in sorted(folder.glob("*/history.jsonl"))]
