"""Figures of the quality of recordings: coverage, values, gravity, gaps, balance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dcdp.data.quality import Quality
from dcdp.data.quality.figures import RecordingFigures, SignalFigures
from dcdp.reports.ink import (
    GROUND,
    INK,
    RULE,
    SERIES,
    SOFT,
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

__all__ = ["draw_quality", "presence"]

WIDTH = 1040
N_TIMELINES = 40
_MARKERS = ("o", "D", "s", "^", "v", "P", "X")


def _draw_coverage(quality: Quality) -> Drawing | None:
    """Draw the minutes of each class on each subject, and the share of each subject's time that has a label."""
    coverage = quality.coverage
    if not coverage.classes:
        return None
    minutes = np.array(coverage.labelled_s, np.float64) / 60
    share = [sum(own) / total if total else 0.0 for own, total in
             zip(coverage.labelled_s, coverage.recorded_s, strict=True)]  # fmt: skip
    left, bar, gap = _label_room(coverage.subjects), 110, 30
    room = WIDTH - left - bar - gap - 60
    width = min(room, 64 * len(coverage.classes))
    row = _row(len(coverage.subjects))
    slanted = max(len(shorten(name, 22)) for name in coverage.classes)
    top, height = 24 + int(4.8 * slanted), row * len(coverage.subjects)
    with new_sheet(WIDTH, int(top + height + 12)) as sheet:
        axes = sheet.axes(left, top, width, height)
        tips = [[f"{who}, {label}: {minutes[i, j]:.2f} min, {coverage.windows[i][j]} windows"
                 for j, label in enumerate(coverage.classes)] for i, who in enumerate(coverage.subjects)]  # fmt: skip
        top_value = float(minutes.max()) or 1.0
        texts = [[_minutes(x) for x in own] for own in minutes]
        _cells(sheet, axes, np.sqrt(minutes / top_value), texts, tips, width / len(coverage.classes), row)
        _rows(axes, coverage.subjects)
        _slanted(axes, coverage.classes)
        side = sheet.axes(left + width + gap, top, bar, height)
        _share_bars(sheet, side, coverage.subjects, share, row)
        side.set_title("labelled", fontsize=11.5, color=SOFT, fontweight="normal", pad=8)
        return draw("quality-coverage", sheet)


def _minutes(value: float) -> str:
    if not value:
        return ""
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}" if value >= 0.1 else f"{value:.2f}".lstrip("0")


def _label_room(names: Sequence[str]) -> int:
    return int(18 + 7.2 * min(18, max(map(len, names))))


def _row(n: int) -> float:
    return 27 if n <= 20 else 21 if n <= 45 else 13


def _rows(axes: Axes, names: Sequence[str]) -> None:
    size = 11.5 if len(names) <= 45 else 9
    axes.set_yticks(range(len(names)), [shorten(name, 18) for name in names], fontsize=size)
    axes.tick_params(axis="y", length=0, labelcolor=INK, pad=6)


def _slanted(axes: Axes, names: Sequence[str]) -> None:
    texts = [shorten(name, 22) for name in names]
    axes.set_xticks(range(len(names)), texts, rotation=40, ha="left", rotation_mode="anchor")
    axes.tick_params(
        axis="x", length=0, labelcolor=INK, top=True, labeltop=True, bottom=False, labelbottom=False, pad=4
    )


def _cells(
    sheet: Sheet, axes: Axes, strength: np.ndarray, texts: Sequence[Sequence[str]], tips: Sequence[Sequence[str]],
    width: float, height: float, colour: str = SERIES[0],
) -> None:  # fmt: skip
    """Draw a table of cells whose depth of colour is ``strength`` in [0, 1]; nothing for an empty text."""
    from matplotlib.patches import Rectangle

    n_rows, n_columns = strength.shape
    axes.set(xlim=(-0.5, n_columns - 0.5), ylim=(n_rows - 0.5, -0.5))
    for edge in axes.spines.values():
        edge.set_visible(True)
    x_gap, y_gap = 1 / width, 1 / height
    for i in range(n_rows):
        for j in range(n_columns):
            deep = 0.08 + 0.92 * float(strength[i, j]) if texts[i][j] else 0.0
            cell = Rectangle((j - 0.5 + x_gap, i - 0.5 + y_gap), 1 - 2 * x_gap, 1 - 2 * y_gap, facecolor=colour,
                             alpha=round(min(deep, 1.0), 2), linewidth=0)  # fmt: skip
            axes.add_patch(cell)
            sheet.tip(cell, tips[i][j])
            if texts[i][j] and height >= 16 and width >= 7.5 * len(texts[i][j]):
                text = axes.text(j, i, texts[i][j], ha="center", va="center_baseline", fontsize=10.5,
                                 color=GROUND if deep > 0.58 else INK)  # fmt: skip
                sheet.tip(text, tips[i][j])


def _share_bars(sheet: Sheet, axes: Axes, names: Sequence[str], share: Sequence[float], row: float) -> None:
    axes.set(xlim=(0, 1), ylim=(len(names) - 0.5, -0.5), xticks=[], yticks=[])
    axes.spines[["left", "bottom"]].set_visible(False)
    for place, (name, value) in enumerate(zip(names, share, strict=True)):
        axes.barh([place], [1], height=min(0.5, 12 / row), color=RULE, alpha=0.6, linewidth=0)
        (bar,) = axes.barh([place], [min(value, 1)], height=min(0.5, 12 / row), color=SERIES[0], linewidth=0)
        sheet.tip(bar, f"{name}: {value:.1%} of the time has a label")
        axes.text(1.08, place, f"{value:.0%}", va="center_baseline", fontsize=10.5 if row > 16 else 9, color=SOFT)


def presence(quality: Quality) -> np.ndarray:
    """Return the share of each subject's time in which each signal was measured: subject x signal, in [0, 1]."""
    where = {name: place for place, name in enumerate(quality.coverage.subjects)}
    measured = np.zeros((len(where), len(quality.signals)))
    recorded = np.zeros((len(where), 1))
    for one in quality.recordings:
        recorded[where[one.subject]] += one.duration_s
        for column, signal in enumerate(quality.signals):
            if signal.name in one.spans_s:
                start, stop = one.spans_s[signal.name]
                lost = one.gaps[signal.name].total_s if signal.name in one.gaps else 0.0
                measured[where[one.subject], column] += stop - start - lost
    return np.clip(measured / np.maximum(recorded, 1e-9), 0, 1)


def _draw_presence(quality: Quality) -> Drawing | None:
    """Draw how much of each signal each subject has; nothing where everyone has all."""
    share = presence(quality)
    if share.min() > 0.9995:
        return None
    subjects, names = quality.coverage.subjects, [signal.name for signal in quality.signals]
    left, row = _label_room(subjects), _row(len(subjects))
    width = min(WIDTH - left - 90, 74 * len(names))
    top, height = 24 + int(4.8 * max(len(shorten(name, 22)) for name in names)), row * len(subjects)
    with new_sheet(WIDTH, int(top + height + 12)) as sheet:
        axes = sheet.axes(left, top, width, height)
        texts = [["" if x > 0.9995 else f"{100 * (1 - x):.1f}" if x > 0.9 else f"{100 * (1 - x):.0f}" for x in own]
                 for own in share]  # fmt: skip
        tips = [[f"{who}, {name}: {share[i, j]:.2%} measured" for j, name in enumerate(names)]
                for i, who in enumerate(subjects)]  # fmt: skip
        _cells(sheet, axes, (1 - share) ** 0.5, texts, tips, width / len(names), row, SERIES[1])
        _rows(axes, subjects)
        _slanted(axes, names)
        return draw("quality-presence", sheet)


def _draw_values(quality: Quality) -> Drawing | None:
    """Draw the spread of every channel: a panel a signal, a ridge a channel, on an axis of the signal's unit."""
    signals = [signal for signal in quality.signals if any(one.counts for one in signal.channels)]
    if not signals:
        return None
    n_columns = min(3, len(signals))
    order = _by_columns(signals, n_columns)
    pitch = WIDTH / n_columns
    heights = [22 + 30 * min(12, max(len(one.channels) for one in line)) + 50 for line in order]
    with new_sheet(WIDTH, sum(heights)) as sheet:
        top = 0
        for line, height in zip(order, heights, strict=True):
            for column, signal in enumerate(line):
                shown = min(12, len(signal.channels))
                axes = sheet.axes(column * pitch + 34, top + 24, pitch - 62, 30 * shown)
                _ridges(sheet, axes, signal, _modalities(quality).index(signal.modality))
            top += height
        return draw("quality-values", sheet)


def _by_columns(signals: Sequence[SignalFigures], n_columns: int) -> list[Sequence[SignalFigures]]:
    return [signals[i : i + n_columns] for i in range(0, len(signals), n_columns)]


def _modalities(quality: Quality) -> list[str]:
    return list(dict.fromkeys(signal.modality for signal in quality.signals))


def _ridges(sheet: Sheet, axes: Axes, signal: SignalFigures, hue: int) -> None:
    channels = [one for one in signal.channels if one.counts][:12]
    colour = SERIES[hue % len(SERIES)]
    low = min(one.quantiles[0] for one in channels)
    high = max(one.quantiles[-1] for one in channels)
    edge = 0.03 * (high - low) or 1.0
    axes.set(xlim=(low - edge, high + edge), ylim=(len(channels) - 0.1, -0.95))
    for place, channel in enumerate(channels):
        counts = np.array(channel.counts, np.float64)
        size = 0.82 * np.sqrt(counts / counts.max())  # a root: the flanks matter as much as the peak
        x = np.linspace(channel.quantiles[0], channel.quantiles[-1], len(counts))
        ridge = axes.fill_between(x, place - size, place, color=colour, alpha=0.42, linewidth=0)
        sheet.tip(ridge, _extent(channel.name, channel.low, channel.high, channel.quantiles, signal.unit))
        axes.plot([channel.quantiles[0], channel.quantiles[-1]], [place, place], color=colour, linewidth=1, alpha=0.7)
        axes.plot([channel.quantiles[3], channel.quantiles[5]], [place, place], color=colour, linewidth=3.5)
        axes.plot([channel.quantiles[4]], [place], "|", color=INK, markersize=8, markeredgewidth=1.6)
        for count, bound in ((channel.at_low, channel.low), (channel.at_high, channel.high)):
            if bound is not None and count > 1e-4 * channel.n_measured:
                (mark,) = axes.plot([np.clip(bound, low, high)], [place - 0.12], "D", color=SERIES[1], markersize=6)
                sheet.tip(mark, f"{channel.name}: {count:,} values sit at {bound:g}")
        name = channel.name.removeprefix(signal.name).strip("_")
        axes.text(-0.02, place - 0.16, shorten(name, 6), transform=axes.get_yaxis_transform(), ha="right", fontsize=11,
                  va="center_baseline", color=SOFT)  # fmt: skip
    dress(axes, shorten(f"{signal.name} [{signal.unit}]", 40), grid="x")
    axes.spines["left"].set_visible(False)
    axes.set_yticks([])
    axes.locator_params(axis="x", nbins=6)


def _extent(name: str, low: float | None, high: float | None, quantiles: Sequence[float], unit: str) -> str:
    inner = f"98 % of the values {quantiles[1]:.4g} to {quantiles[7]:.4g}, median {quantiles[4]:.4g}"
    return f"{name} [{unit}]: {inner}" + (f", all {low:.4g} to {high:.4g}" if low is not None else "")


def _draw_gravity(quality: Quality) -> Drawing | None:
    """Draw each accelerometer's magnitude at rest, and how far its axes are turned against the others', by subject."""
    signals = [signal for signal in quality.signals if signal.frames]
    subjects = quality.coverage.subjects
    if not signals:
        return None
    names = [shorten(signal.name, 24) for signal in signals]
    left, row = _label_room(subjects), _row(len(subjects))
    top = 40 + legend_height(names, WIDTH - left)
    height = row * len(subjects)
    with new_sheet(WIDTH, int(top + height + 50)) as sheet:
        width = (WIDTH - left - 80) / 2
        rest = sheet.axes(left, top, width, height)
        angle = sheet.axes(left + width + 50, top, width, height)
        rest.axvline(9.80665 if signals[0].unit == "m/s2" else 1.0, color=SOFT, linewidth=1, linestyle=(0, (3, 3)))
        handles = []
        for place, signal in enumerate(signals):
            look: dict[str, Any] = {
                "color": SERIES[place % len(SERIES)],
                "marker": _MARKERS[place % len(_MARKERS)],
                "linestyle": "none",
                "markersize": 6.5,
                "markeredgewidth": 0,
                "alpha": 0.85,
            }
            handles += rest.plot([], [], **look)
            for frame in signal.frames:
                y = subjects.index(frame.subject)
                if frame.rest is not None:
                    (dot,) = rest.plot([frame.rest], [y], **look)
                    sheet.tip(dot, f"{frame.subject}, {signal.name}: {frame.rest:.3f} {signal.unit} at rest")
                if frame.angle_deg is not None:
                    (dot,) = angle.plot([frame.angle_deg], [y], **look)
                    sheet.tip(dot, f"{frame.subject}, {signal.name}: turned by {frame.angle_deg:.0f} degrees")
        _gravity_axes(rest, angle, subjects, signals[0].unit)
        if len(signals) > 1:
            legend(sheet, handles, names, left, WIDTH - left)
        return draw("quality-gravity", sheet)


def _gravity_axes(rest: Axes, angle: Axes, subjects: Sequence[str], unit: str) -> None:
    for axes, title, x in ((rest, "Magnitude at rest", unit), (angle, "Turned against the others", "degrees")):
        axes.set_ylim(len(subjects) - 0.5, -0.5)
        dress(axes, title, x, grid="both")
        axes.spines[["left", "bottom"]].set_visible(False)
        _rows(axes, subjects)
    angle.set_yticks(range(len(subjects)), [""] * len(subjects))
    low, high = rest.get_xlim()
    if unit == "m/s2":
        rest.set_xlim(min(low, 9.3), max(high, 10.3))
    angle.set_xlim(0, max(40.0, angle.get_xlim()[1]))


def _draw_timeline(quality: Quality) -> Drawing | None:
    """Draw the recordings that lost most, a lane a signal: what was recorded, the gaps, the stuck stretches."""
    worst = sorted((one for one in quality.recordings if _lost_s(one, quality)), key=lambda one: -_lost_s(one, quality))
    shown = sorted(worst[:N_TIMELINES], key=lambda one: (one.subject, one.name))
    if not shown:
        return None
    lane = float(np.clip(44 / len(quality.signals), 3.2, 9))
    row = lane * len(quality.signals) + 9
    left = int(24 + 6.6 * min(26, max(len(_title(one)) for one in shown)))
    longest = max(one.duration_s for one in shown)
    unit, size = ("min", 60) if longest > 300 else ("s", 1)
    with new_sheet(WIDTH, int(34 + row * len(shown) + 46)) as sheet:
        axes = sheet.axes(left, 34, WIDTH - left - 24, row * len(shown))
        axes.set(xlim=(-0.005 * longest / size, longest * 1.005 / size), ylim=(row * len(shown), 0))
        for place, one in enumerate(shown):
            _lanes(sheet, axes, one, quality, place * row + 5, lane, size)
        dress(axes, x=f"time in the recording [{unit}]", grid="x")
        axes.spines["left"].set_visible(False)
        axes.set_yticks([row * (place + 0.5) for place in range(len(shown))],
                        [shorten(_title(one), 26) for one in shown])  # fmt: skip
        axes.tick_params(axis="y", labelcolor=INK)
        _timeline_legend(sheet, left)
        return draw("quality-timeline", sheet)


def _title(one: RecordingFigures) -> str:
    return one.name if one.subject in one.name else f"{one.subject} {one.name}"


def _lost_s(one: RecordingFigures, quality: Quality) -> float:
    """Add up what a recording lost of its signals: gaps, stuck stretches, sensors that are absent [s]."""
    lost = sum(gaps.total_s for gaps in one.gaps.values()) + sum(one.flat_s.values())
    return lost + sum(one.duration_s for signal in quality.signals if signal.name not in one.spans_s)


def _lanes(
    sheet: Sheet, axes: Axes, one: RecordingFigures, quality: Quality, top: float, lane: float, size: float
) -> None:
    for number, signal in enumerate(quality.signals):
        y = top + number * lane
        if signal.name not in one.spans_s:
            continue
        start, stop = one.spans_s[signal.name]
        whole = [((start - one.start_s) / size, (stop - start) / size)]
        base = axes.broken_barh(whole, (y, lane * 0.72), color=SERIES[0], alpha=0.3, linewidth=0)
        sheet.tip(base, f"{one.name}, {signal.name}: {stop - start:.1f} s")
        for spans, colour, what in ((one.gap_spans_s, SERIES[1], "gaps"), (one.flat_spans_s, SERIES[3], "stuck")):
            found = spans.get(signal.name, ())
            if found:
                least = 0.0012 * axes.get_xlim()[1]  # a pixel: a short gap must not vanish
                places = [((low - one.start_s) / size, max((high - low) / size, least)) for low, high in found]
                bars = axes.broken_barh(places, (y, lane * 0.72), color=colour, linewidth=0)
                total = sum(high - low for low, high in found)
                sheet.tip(bars, f"{one.name}, {signal.name}: {what}, {len(found)} stretches, {total:.1f} s")


def _timeline_legend(sheet: Sheet, left: float) -> None:
    from matplotlib.patches import Patch

    looks = (("recorded", SERIES[0], 0.3), ("gap", SERIES[1], 1), ("stuck at one value", SERIES[3], 1))
    handles = [Patch(facecolor=colour, alpha=alpha, linewidth=0) for _, colour, alpha in looks]
    legend(sheet, handles, [name for name, _, _ in looks], left, WIDTH - left)


def _draw_balance(quality: Quality) -> Drawing | None:
    """Draw the windows of each class, and of each subject."""
    coverage = quality.coverage
    counts = np.array(coverage.windows, np.int64).reshape(len(coverage.subjects), len(coverage.classes))
    if not counts.sum():
        return None
    panels = (
        ("Windows of each activity", dict(zip(coverage.classes, counts.sum(axis=0).tolist(), strict=True))),
        ("Windows of each person", dict(zip(coverage.subjects, counts.sum(axis=1).tolist(), strict=True))),
    )
    row = _row(max(len(values) for _, values in panels))
    height = row * max(len(values) for _, values in panels)
    with new_sheet(WIDTH, int(36 + height + 12)) as sheet:
        pitch = WIDTH / 2
        for place, (title, values) in enumerate(panels):
            left = _label_room(list(values))
            axes = sheet.axes(place * pitch + left, 36, pitch - left - 84, row * len(values))
            _bars(sheet, axes, values, row, SERIES[0])
            dress(axes, title, grid="x")
            axes.spines["bottom"].set_visible(False)
            axes.set_xticks([])
        return draw("quality-balance", sheet)


def _bars(sheet: Sheet, axes: Axes, values: Mapping[str, int], row: float, colour: str) -> None:
    axes.set(xlim=(0, max(values.values())), ylim=(len(values) - 0.5, -0.5))
    for place, (name, count) in enumerate(values.items()):
        (bar,) = axes.barh([place], [count], height=min(0.62, 15 / row), color=colour, linewidth=0)
        sheet.tip(bar, f"{name}: {count:,} windows")
        axes.text(1.02, place, f"{count:,}".replace(",", "\u202f"), transform=axes.get_yaxis_transform(),
                  va="center_baseline", fontsize=10.5 if row > 16 else 9, color=SOFT)  # fmt: skip
    _rows(axes, list(values))


def draw_quality(quality: Quality) -> dict[str, Drawing]:
    """Draw every figure for which there is something to draw, by name."""
    makers = {
        "coverage": _draw_coverage, "balance": _draw_balance, "presence": _draw_presence, "timeline": _draw_timeline,
        "values": _draw_values, "gravity": _draw_gravity,
    }  # fmt: skip
    drawings = {name: make(quality) for name, make in makers.items()}
    return {name: drawing for name, drawing in drawings.items() if drawing is not None}
