"""Map the embeddings of test windows onto the plane: t-SNE from a PCA start, fold by fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dcdp.reports.ink import INK, RULE, SERIES, Drawing, Sheet, draw, legend, legend_height, new_sheet, shorten
from dcdp.reports.run_folder import Fold

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_embedding", "plane"]

WIDTH = 1040
N_WINDOWS = 1500
N_PANELS = 6
FEWEST = 12  # below this a map shows nothing
MARKERS = ("o", "^", "s", "D", "v", "P")


@dataclass(frozen=True, slots=True)
class _Map:
    title: str
    points: NDArray[np.float64]
    group: NDArray[np.int64]
    names: tuple[str, ...]


def plane(embedding: NDArray[np.float32]) -> NDArray[np.float64]:
    """Place embeddings (E, D) on a plane (E, 2); the same embeddings give the same places.

    Notes
    -----
    One thread: a sum that is shared between threads changes in its last bit from run to run.
    """
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # comes with scikit-learn, without types

    values = embedding.astype(np.float64) - embedding.mean(axis=0)
    left, scale, _ = np.linalg.svd(values, full_matrices=False)
    values = np.pad(left * scale, ((0, 0), (0, max(0, 2 - left.shape[1]))))[:, :30]
    values *= np.where(values[np.abs(values).argmax(axis=0), np.arange(values.shape[1])] < 0, -1.0, 1.0)
    spread = values[:, 0].std()
    if not spread > 0:
        return values[:, :2]
    with threadpool_limits(1):
        start = np.ascontiguousarray(values[:, :2] / spread * 1e-4, dtype=np.float32)
        perplexity = min(30.0, (len(values) - 1) / 3)
        model = TSNE(2, init=start, perplexity=perplexity, learning_rate="auto", max_iter=500, random_state=0)
        return np.asarray(model.fit_transform(values.astype(np.float32)), dtype=np.float64)


def draw_embedding(folds: Sequence[Fold], labels: Sequence[str], scores: dict[str, float]) -> Drawing | None:
    """Draw maps of several folds by activity, or of a single fold by activity and by subject.

    Each fold has its own network, so that two folds never share a map.
    """
    usable = [fold for fold in folds if _windows(fold)[0].size >= FEWEST]
    if not usable:
        return None
    chosen = _spread_choice(sorted(usable, key=lambda fold: -scores.get(fold.name, 0.0)))
    maps = [item for fold in chosen for item in _maps(fold, labels, N_WINDOWS // len(chosen), len(usable) == 1)]
    columns = min(3, len(maps)) if len(maps) != 4 else 2
    side = (WIDTH - 16 * (columns - 1)) / columns
    height = min(side, 430)
    used = sorted({int(group) for item in maps if item.names == tuple(labels) for group in item.group})
    top = 12 + legend_height([shorten(labels[index], 30) for index in used], WIDTH)
    rows = -(-len(maps) // columns)
    with new_sheet(WIDTH, int(top + rows * (height + 34))) as sheet:
        for place, item in enumerate(maps):
            axes = sheet.axes(
                (place % columns) * (side + 16) + 1, top + 26 + (place // columns) * (height + 34), side - 2, height
            )
            _scatter(sheet, axes, item)
        _legend(sheet, labels, used)
        return draw("embedding", sheet)


def _spread_choice(folds: list[Fold]) -> list[Fold]:
    """Choose at most `N_PANELS` folds from the best to the worst, evenly."""
    places = np.unique(np.linspace(0, len(folds) - 1, min(N_PANELS, len(folds))).round().astype(int))
    return [folds[place] for place in places]


def _windows(fold: Fold) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return rows of the embedding with a known label, and their windows."""
    found = fold.predictions
    if found is None or found.embedding is None or found.embedding_index is None:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    usable = (found.label[found.embedding_index] >= 0) & np.isfinite(found.embedding).all(axis=1)
    rows = np.flatnonzero(usable)
    return rows, found.embedding_index[rows]


def _maps(fold: Fold, labels: Sequence[str], n_windows: int, by_subject: bool) -> list[_Map]:
    found = fold.predictions
    if found is None or found.embedding is None:
        return []
    rows, windows = _windows(fold)
    keep = np.sort(np.random.default_rng(0).permutation(len(rows))[:n_windows])
    rows, windows = rows[keep], windows[keep]
    points = plane(found.embedding[rows])
    by_label = _Map("by activity" if by_subject else f"fold {fold.name}", points, found.label[windows], tuple(labels))
    names, group = np.unique(found.subject[windows], return_inverse=True)
    if not by_subject or len(names) < 2:
        return [by_label]
    return [by_label, _Map("by person", points, group.astype(np.int64), tuple(map(str, names)))]


def _look(group: int) -> dict[str, Any]:
    """Return colour and marker: together they tell 42 groups apart without relying on hue alone."""
    return {
        "color": SERIES[group % len(SERIES)],
        "marker": MARKERS[group // len(SERIES) % len(MARKERS)],
        "linestyle": "none",
        "markeredgewidth": 0,
        "markersize": 4.5,
    }


def _scatter(sheet: Sheet, axes: Axes, item: _Map) -> None:
    for group in np.unique(item.group):
        inside = item.group == group
        (dots,) = axes.plot(*item.points[inside].T, alpha=0.75, **_look(int(group)))
        sheet.tip(dots, item.names[group])
    axes.set(xticks=[], yticks=[])
    for edge in axes.spines.values():
        edge.set(visible=True, color=RULE)
    axes.set_title(shorten(item.title, 40), fontsize=12, color=INK)


def _legend(sheet: Sheet, labels: Sequence[str], used: Sequence[int]) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], **{**_look(index), "markersize": 7.0}) for index in used]
    legend(sheet, handles, [shorten(labels[index], 30) for index in used], 0, WIDTH)
