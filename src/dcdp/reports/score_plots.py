"""Figures of the scores: by subject, by activity, calibration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dcdp.reports.ink import GROUND, INK, RULE, SERIES, SOFT, Drawing, Sheet, draw, dress, legend, new_sheet, shorten
from dcdp.reports.run_folder import Predictions
from dcdp.reports.subjects import FEWEST, Scores, interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_by_activity", "draw_by_subject", "draw_calibration"]

WIDTH = 1040
MARKERS = ("o", "D", "s", "^", "v", "P", "X")
N_BINS = 15


def draw_by_subject(methods: Sequence[Scores], *, new_people: bool = True) -> Drawing | None:
    """Draw a row per subject, best on top, a dot per method; below, each method's mean and its 95 % interval.

    Parameters
    ----------
    new_people
        False where other sessions of these people were trained on; the axis says which.
    """
    ours = methods[0].by_subject
    if not ours:
        return None
    order = sorted(ours, key=lambda subject: (-ours[subject], subject))
    row = 24 if len(order) <= 20 else 19
    top, footer = 34 if len(methods) > 1 else 10, 20 * len(methods) + 16
    names = [shorten(method.name, 14) for method in methods]
    left = 16 + 7 * max(min(16, max(map(len, order))), max(map(len, names)) + 5)
    with new_sheet(WIDTH, top + row * len(order) + footer + 48) as sheet:
        body = row * len(order)
        axes = sheet.axes(left, top, WIDTH - left - 30, body + footer)
        floor = body / row + 0.1
        _rows(axes, order, floor + footer / row)
        for place, method in enumerate(methods):
            _subject_dots(sheet, axes, order, method, place)
            _mean_row(sheet, axes, method, place, floor + (14 + 20 * place) / row)
        _join(axes, order, methods)
        axes.set_xlim(*_span(methods))
        seen = "none of them seen in training" if new_people else "in sessions not seen in training"
        dress(axes, x=f"macro-F1 on each person, {seen}", grid="x")
        axes.spines["left"].set_visible(False)
        handles, _ = axes.get_legend_handles_labels()
        if len(methods) > 1:
            legend(sheet, handles, names, left, WIDTH - left)
        return draw("by_subject", sheet)


def _rows(axes: Axes, order: Sequence[str], depth: float) -> None:
    axes.set_ylim(depth - 0.5, -0.5)
    axes.set_yticks(range(len(order)), [shorten(subject, 16) for subject in order])
    axes.tick_params(axis="y", labelcolor=INK)
    axes.axhline(len(order) - 0.5, color=RULE, linewidth=1)


def _subject_dots(sheet: Sheet, axes: Axes, order: Sequence[str], method: Scores, place: int) -> None:
    colour, ours = SERIES[place % len(SERIES)], place == 0
    look: dict[str, Any] = {
        "color": colour,
        "markersize": 9 if ours else 6.5,
        "marker": MARKERS[place % len(MARKERS)],
        "markerfacecolor": colour if ours else GROUND,
        "markeredgewidth": 1.5,
        "linestyle": "none",
        "zorder": 4 if ours else 3,
    }
    axes.plot([], [], label=shorten(method.name), **look)
    for row, subject in enumerate(order):
        score = method.by_subject.get(subject)
        if score is not None:
            (dot,) = axes.plot([score], [row], **look)
            sheet.tip(dot, f"{subject}: {method.name} {score:.3f}")


def _join(axes: Axes, order: Sequence[str], methods: Sequence[Scores]) -> None:
    """Join each subject's dots, so that the eye reads the gap."""
    for row, subject in enumerate(order):
        values = [method.by_subject[subject] for method in methods if subject in method.by_subject]
        if len(values) > 1:
            axes.plot([min(values), max(values)], [row, row], color=RULE, linewidth=3, zorder=2)


def _mean_row(sheet: Sheet, axes: Axes, method: Scores, place: int, y: float) -> None:
    colour = SERIES[place % len(SERIES)]
    values = np.array(list(method.by_subject.values()))
    tip = f"{method.name}: mean {method.mean:.3f}"
    if len(values) >= FEWEST:
        low, high = np.clip(interval(values), 0, 1)  # of few people it may reach where no score can
        axes.plot([low, high], [y, y], color=colour, linewidth=4, alpha=0.35, solid_capstyle="butt")
        tip += f", 95 % interval {low:.3f} to {high:.3f}"
    (dot,) = axes.plot([method.mean], [y], marker="|", markersize=13, markeredgewidth=2.5, color=colour)
    sheet.tip(dot, tip)
    name = shorten(method.name, 14)
    axes.text(
        -0.008,
        y,
        f"{name} mean",
        transform=axes.get_yaxis_transform(),
        ha="right",
        va="center_baseline",
        color=colour,
        fontsize=11.5,
    )
    axes.axvline(method.mean, color=colour, linewidth=1, alpha=0.5, linestyle=(0, (2, 3)), zorder=1)


def _span(methods: Sequence[Scores]) -> tuple[float, float]:
    values = [value for method in methods for value in (*method.by_subject.values(), method.mean)]
    low, high = min(values), max(values)
    edge = max(0.04 * (high - low), 0.005)
    return max(low - edge, -0.01), min(high + edge, 1.005)


def draw_by_activity(labels: Sequence[str], confusion: NDArray[np.float64], f1: dict[str, float]) -> Drawing | None:
    """Draw the row-normalised confusion matrix, and beside each row that activity's F1."""
    n = len(labels)
    if n < 2 or confusion.shape != (n, n):
        return None
    size = float(np.clip(600 / n, 31, 64))
    side = size * n
    left, top = 236, 108
    with new_sheet(WIDTH, int(top + side + 26)) as sheet:
        axes = sheet.axes(left, top, side, side)
        _matrix(sheet, axes, labels, confusion)
        bars = sheet.axes(left + side + 34, top, max(WIDTH - left - side - 92, 90), side)
        _f1_bars(sheet, bars, labels, f1, size)
        return draw("by_activity", sheet)


def _matrix(sheet: Sheet, axes: Axes, labels: Sequence[str], confusion: NDArray[np.float64]) -> None:
    n = len(labels)
    total = confusion.sum(axis=1, keepdims=True)
    share = np.divide(confusion, total, out=np.zeros_like(confusion), where=total > 0)
    axes.set(xlim=(-0.5, n - 0.5), ylim=(n - 0.5, -0.5))
    for row, column in zip(*np.nonzero(confusion), strict=True):
        tip = (
            f"{labels[row]} taken for {labels[column]}: {confusion[row, column]:,.0f} of {total[row, 0]:,.0f} "
            f"windows ({share[row, column]:.1%})"
        )
        _cell(sheet, axes, int(row), int(column), float(share[row, column]), tip)
    axes.set_yticks(range(n), [shorten(label, 34) for label in labels])
    axes.set_xticks(range(n), [shorten(label, 19) for label in labels], rotation=40, ha="left", rotation_mode="anchor")
    axes.tick_params(length=0, labelcolor=INK, top=True, labeltop=True, bottom=False, labelbottom=False, pad=5)
    for edge in axes.spines.values():
        edge.set_visible(True)


def _cell(sheet: Sheet, axes: Axes, row: int, column: int, share: float, tip: str) -> None:
    from matplotlib.patches import Rectangle

    right = row == column
    # errors are small shares: a root makes a 5 % confusion visible without shouting
    strength = 0.12 + 0.88 * share if right else 0.06 + 0.94 * share**0.6
    cell = Rectangle(
        (column - 0.48, row - 0.48),
        0.96,
        0.96,
        facecolor=SERIES[0] if right else SERIES[1],
        alpha=round(min(strength, 1.0), 2),
        linewidth=0,
    )
    axes.add_patch(cell)
    sheet.tip(cell, tip)
    if share >= 0.005:
        text = axes.text(
            column,
            row,
            f"{100 * share:.0f}",
            ha="center",
            va="center_baseline",
            fontsize=11,
            color=GROUND if strength > 0.62 else INK,
        )
        sheet.tip(text, tip)


def _f1_bars(sheet: Sheet, axes: Axes, labels: Sequence[str], f1: dict[str, float], size: float) -> None:
    axes.set(xlim=(0, 1), ylim=(len(labels) - 0.5, -0.5), yticks=[])
    for row, label in enumerate(labels):
        if label in f1:
            (bar,) = axes.barh([row], [f1[label]], height=min(0.62, 18 / size), color=SERIES[0], linewidth=0)
            sheet.tip(bar, f"{label}: F1 {f1[label]:.3f}")
            axes.text(1.03, row, f"{f1[label]:.3f}", va="center_baseline", fontsize=11.5)
    dress(axes, "F1", grid="x")
    axes.set_xticks([0, 0.5, 1], ["0", ".5", "1"])


def draw_calibration(predictions: Sequence[Predictions]) -> Drawing | None:
    """Draw how often the model is right at each confidence, and how its confidence spreads."""
    known = [item.label >= 0 for item in predictions]
    if not sum(int(keep.sum()) for keep in known):
        return None
    sure = np.concatenate([item.probability.max(axis=1)[keep] for item, keep in zip(predictions, known, strict=True)])
    right = np.concatenate(
        [(item.probability.argmax(axis=1) == item.label)[keep] for item, keep in zip(predictions, known, strict=True)]
    )
    with new_sheet(WIDTH, 330) as sheet:
        _reliability(sheet, sheet.axes(54, 30, 440, 250), sure.astype(np.float64), right)
        _spread(sheet, sheet.axes(WIDTH - 460, 30, 440, 250), sure.astype(np.float64), right)
        return draw("calibration", sheet)


def _bins(sure: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.minimum((sure * N_BINS).astype(np.int64), N_BINS - 1)


def _reliability(sheet: Sheet, axes: Axes, sure: NDArray[np.float64], right: NDArray[np.bool_]) -> None:
    axes.plot([0, 1], [0, 1], color=SOFT, linewidth=1, linestyle=(0, (3, 3)))
    place = _bins(sure)
    points = []
    for index in np.unique(place):
        inside = place == index
        x, y, n = float(sure[inside].mean()), float(right[inside].mean()), int(inside.sum())
        points.append((x, y))
        axes.plot([x, x], [x, y], color=SERIES[1], linewidth=2.5, alpha=0.5, solid_capstyle="butt")
        size = 4 + 8 * np.sqrt(n / len(sure))
        (dot,) = axes.plot([x], [y], "o", color=SERIES[0], markersize=size, zorder=4)
        sheet.tip(dot, f"confidence {x:.2f}: right in {y:.1%} of {n:,} windows")
    axes.plot(*np.array(points).T, color=SERIES[0], linewidth=1.5, zorder=3)
    dress(axes, "Right, at each confidence", x="confidence (largest probability)", y="share right", grid="both")
    axes.set(xlim=(0, 1.01), ylim=(0, 1.02))
    axes.spines[["left", "bottom"]].set_visible(False)


def _spread(sheet: Sheet, axes: Axes, sure: NDArray[np.float64], right: NDArray[np.bool_]) -> None:
    """Draw how often each confidence occurs, among right and among wrong windows (each sums to 1)."""
    edges = np.linspace(0, 1, N_BINS + 1)[:-1]
    for place, (mask, name) in enumerate(((right, "right"), (~right, "wrong"))):
        count = np.bincount(_bins(sure[mask]), minlength=N_BINS)
        share = count / max(int(mask.sum()), 1)
        width = 0.44 / N_BINS
        bars = axes.bar(
            edges + (0.04 + 0.46 * place) / N_BINS,
            share,
            width,
            align="edge",
            color=SERIES[place],
            linewidth=0,
            label=f"{name} ({mask.sum():,})",
        )
        for bar, one in zip(bars, count, strict=True):
            sheet.tip(bar, f"{one:,} windows {name}")
    dress(axes, "How sure it is, when right and when wrong", x="confidence (largest probability)", y="share of windows")
    axes.legend(loc="upper left")
    axes.set(xlim=(0, 1.01))
