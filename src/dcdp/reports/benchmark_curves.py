"""Figure of a benchmark over training: macro-F1 on the validation people, by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dcdp.evaluation import MethodResult
from dcdp.reports.benchmark_plots import WIDTH, Look
from dcdp.reports.curves import Curve, mean_curve, read_history, series
from dcdp.reports.ink import Drawing, draw, dress, legend, legend_height, new_sheet, shorten

__all__ = ["draw_validation_by_method"]

_NAME = 24
_PANEL = 200


def draw_validation_by_method(results: Sequence[MethodResult], looks: Mapping[str, Look]) -> Drawing | None:
    """Draw a panel a data set and a line a method, the mean over its folds and seeds.

    Only of results beside which training histories lie: ``folds/*/history.jsonl`` of a run, or of a cell that was kept.
    """
    curves = _curves(results)
    if not curves:
        return None
    across, left, gap = min(3, len(curves)), 56, 52
    width = (WIDTH - left - 20 - gap * (across - 1)) / across
    names = [method for method in looks if any(method in own for own in curves.values())]
    shown = [shorten(method, _NAME) for method in names]
    top, deep = legend_height(shown, WIDTH - left) + 14, _PANEL + 84
    with new_sheet(WIDTH, top + deep * -(-len(curves) // across)) as sheet:
        for place, (title, own) in enumerate(curves.items()):
            down, side = divmod(place, across)
            axes = sheet.axes(left + side * (width + gap), top + 32 + down * deep, width, _PANEL)
            for method in (method for method in reversed(names) if method in own):
                curve = mean_curve(own[method])
                (line,) = axes.plot(curve.x, curve.y, **_line(looks[method]))
                sheet.tip(line, f"{method}: mean of {len(own[method])} trainings")
            dress(axes, title, x="epoch", y="macro-F1, validation people" if side == 0 else "")
        handles = [axes.plot([], [], **_line(looks[method]))[0] for method in names]
        legend(sheet, handles, shown, left, WIDTH - left)
        return draw("validation-by-method", sheet)


def _curves(results: Sequence[MethodResult]) -> dict[str, dict[str, list[Curve]]]:
    """Return data set -> method -> a curve for each training that left its history."""
    curves: dict[str, dict[str, list[Curve]]] = {}
    for one in results:
        own = [series(read_history(path).epochs, "epoch", "validation", "macro_f1") for path in _histories(one)]
        known = [curve for curve in own if len(curve)]
        if known:
            curves.setdefault(f"{one.data}, {one.split}", {}).setdefault(one.method, []).extend(known)
    return curves


def _histories(one: MethodResult) -> list[Path]:
    if one.is_peer:  # the run's history is that of its own method
        return []
    run = one.path.parent if one.path.name == "result.json" else one.path.with_suffix("")
    return sorted(run.glob("folds/*/history.jsonl"))


def _line(look: Look) -> dict[str, Any]:
    return {"color": look.colour, "linewidth": 2.4 if look.is_baseline else 1.4}
