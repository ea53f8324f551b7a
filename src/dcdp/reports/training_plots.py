"""Figures of the training: balance of the branches, loss parts, validation. Thin lines are folds, thick ones means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dcdp.reports.curves import Curve, History, mean_curve, names_of, series, smooth, thin
from dcdp.reports.ink import INK, SERIES, SOFT, Drawing, Sheet, draw, dress, legend, legend_height, new_sheet, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_balance", "draw_losses", "draw_validation"]

WIDTH = 1040
PANEL = 240
N_POINTS = 300
THIN_BUDGET = 9000  # points of all thin lines of a figure together: keeps ten folds of five branches light
LOSS_PARTS = ("total", "joint", "branch", "contrast")

Histories = Mapping[str, History]


@dataclass(frozen=True, slots=True)
class _Panel:
    """Curves by name and fold, and what the panel is called."""

    title: str
    curves: dict[str, dict[str, Curve]]
    reference: float | None = None


def draw_balance(histories: Histories) -> Drawing | None:
    """Draw confidence, discrepancy and coefficient of each branch over the steps."""
    told = (
        ("Confidence", "confidence", None),
        ("Discrepancy", "discrepancy", 1.0),
        ("Coefficient", "coefficient", 1.0),
    )
    panels = [_Panel(title, _by_branch(histories, key), reference) for title, key, reference in told]
    return _panels("balance", panels, "step")


def draw_losses(histories: Histories) -> Drawing | None:
    """Draw the parts of the loss, and the contrast of each stage, over the steps (running means)."""
    parts = _collect(histories, LOSS_PARTS, "steps", "loss")
    stages = sorted({name for item in histories.values() for name in names_of(item.steps, "loss")} - set(LOSS_PARTS))
    by_stage = _collect(histories, stages, "steps", "loss")
    panels = [_Panel("Loss and its parts", _switched_on(parts)), _Panel("Contrast by stage", _switched_on(by_stage))]
    return _panels("losses", panels, "step", own_legends=True, blur=True)


def draw_validation(histories: Histories) -> Drawing | None:
    """Draw macro-F1 on the validation subjects by epoch, each fold's best epoch marked; beside it each branch's."""
    joint = {"joint": _each(histories, "epochs", "validation", "macro_f1")}
    branches = list(
        dict.fromkeys(name for item in histories.values() for name in names_of(item.epochs, "validation", "branches"))
    )
    by_branch = _collect(histories, branches, "epochs", "validation", "branches")
    panels = [_Panel("Joint head", _switched_on(joint)), _Panel("Head of each branch", _switched_on(by_branch))]
    return _panels("validation", panels, "epoch", own_legends=True, best=_best(histories))


def _each(histories: Histories, kind: str, *keys: str) -> dict[str, Curve]:
    x = kind.removesuffix("s")
    return {fold: series(getattr(item, kind), x, *keys) for fold, item in histories.items()}


def _collect(histories: Histories, names: Sequence[str], kind: str, *keys: str) -> dict[str, dict[str, Curve]]:
    return {name: _each(histories, kind, *keys, name) for name in names}


def _by_branch(histories: Histories, key: str) -> dict[str, dict[str, Curve]]:
    branches = dict.fromkeys(name for item in histories.values() for name in names_of(item.steps, key))
    return _collect(histories, list(branches), "steps", key)


def _switched_on(curves: dict[str, dict[str, Curve]]) -> dict[str, dict[str, Curve]]:
    """Leave out what was never anything but zero: a part of the objective that was off."""
    return {name: folds for name, folds in curves.items() if any(np.any(curve.y != 0) for curve in folds.values())}


def _best(histories: Histories) -> dict[str, tuple[float, float]]:
    best = {}
    for fold, item in histories.items():
        marked = [epoch for epoch in item.epochs if epoch.get("best") is True]
        curve = series(marked, "epoch", "validation", "macro_f1")
        if len(curve):
            best[fold] = (float(curve.x[-1]), float(curve.y[-1]))
    return best


def _panels(
    name: str,
    panels: Sequence[_Panel],
    x: str,
    *,
    own_legends: bool = False,
    blur: bool = False,
    best: Mapping[str, tuple[float, float]] | None = None,
) -> Drawing | None:
    panels = [panel for panel in panels if any(len(c) for folds in panel.curves.values() for c in folds.values())]
    if not panels:
        return None
    pitch = WIDTH / len(panels)
    rooms = [pitch - 66 if own_legends else WIDTH - 66 for _ in panels]
    top = 34 + max(legend_height(_legend_names(panel), room) for panel, room in zip(panels, rooms, strict=True))
    with new_sheet(WIDTH, top + PANEL + 46) as sheet:
        n_thin = sum(len(folds) for panel in panels for folds in panel.curves.values())
        for place, (panel, room) in enumerate(zip(panels, rooms, strict=True)):
            axes = sheet.axes(place * pitch + 46, top, pitch - 66, PANEL)
            _draw_curves(sheet, axes, panel, max(THIN_BUDGET // max(n_thin, 1), 24), blur)
            dress(axes, panel.title, x)
            _fit(axes, panel)
            if _legend_names(panel) and (own_legends or place == 0):
                legend(sheet, axes.get_legend_handles_labels()[0], _legend_names(panel), place * pitch + 46, room)
        if best:
            _mark_best(sheet, best)
        return draw(name, sheet)


def _legend_names(panel: _Panel) -> list[str]:
    return [shorten(name.replace("_", " "), 18) for name in panel.curves] if len(panel.curves) > 1 else []


def _draw_curves(sheet: Sheet, axes: Axes, panel: _Panel, n_thin: int, blur: bool) -> None:
    if panel.reference is not None:
        axes.axhline(panel.reference, color=SOFT, linewidth=1, linestyle=(0, (2, 3)))
    for place, (name, folds) in enumerate(panel.curves.items()):
        look: dict[str, Any] = {
            "color": SERIES[place % len(SERIES)],
            "linestyle": ("-", (0, (4, 1.5)))[place >= len(SERIES)],
        }
        curves = {fold: curve for fold, curve in folds.items() if len(curve)}
        if len(curves) > 1:
            for fold, curve in curves.items():
                fine = thin(_blurred(curve, blur), min(n_thin, N_POINTS))
                (line,) = axes.plot(fine.x, fine.y, linewidth=1, alpha=0.22, **look)
                sheet.tip(line, f"{name}, fold {fold}")
        mean = mean_curve([_blurred(curve, blur) for curve in curves.values()], N_POINTS)
        axes.plot(mean.x, mean.y, linewidth=2.2, label=name, zorder=5, **look)
    axes.margins(x=0.01)


def _blurred(curve: Curve, blur: bool) -> Curve:
    return smooth(curve, max(1, len(curve) // 40)) if blur else curve


def _fit(axes: Axes, panel: _Panel) -> None:
    """Whole numbers below; a ratio's first steps, when all confidences are near 0, must not flatten the rest."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    if panel.reference is not None:
        values = np.concatenate([curve.y for folds in panel.curves.values() for curve in folds.values()])
        low, high = np.quantile(values, (0.005, 0.995))
        low, high = min(low, panel.reference), max(high, panel.reference)
        edge = 0.06 * (high - low) or 0.1
        axes.set_ylim(low - edge, high + edge)


def _mark_best(sheet: Sheet, best: Mapping[str, tuple[float, float]]) -> None:
    axes = sheet.figure.axes[0]
    for fold, (epoch, score) in best.items():
        (dot,) = axes.plot([epoch], [score], "o", color=INK, markersize=5.5, markerfacecolor=SERIES[4], zorder=6)
        sheet.tip(dot, f"fold {fold}: best epoch {epoch:.0f}, macro-F1 {score:.3f}")
