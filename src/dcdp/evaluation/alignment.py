"""Measure whether branches speak one language: retrieval between them, and linear CKA."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, permutations

import numpy as np
from numpy.typing import NDArray

from dcdp.errors import DataError

__all__ = ["alignment_table", "linear_cka", "retrieval"]

Array = NDArray[np.floating]


def alignment_table(
    stages: Sequence[Array],
    present: NDArray[np.bool_],
    label: NDArray[np.integer],
    *,
    max_windows: int = 4096,
) -> dict[str, dict[str, float | None]]:
    """Measure alignment at every stage, as means over pairs of branches.

    Parameters
    ----------
    stages
        For each stage (N, M, D) embeddings, or (N, M, S, D) with S time segments: then two windows
        are as similar as their segments are on average.
    present
        (N, M): a pair of branches is compared on the windows that have both.
    label
        (N,) class indices.
    max_windows
        Take at most so many windows, evenly spaced: the recall falls as the gallery grows, so compare
        only figures of the same windows.

    Returns
    -------
    ``stage_1``, ``stage_2``, ... -> ``retrieval_window``, ``retrieval_activity`` and ``cka``, each in
    [0, 1]; None where no pair of branches can be compared.

    Raises
    ------
    DataError
        If the arrays do not fit each other.
    """
    chosen = np.linspace(0, len(label) - 1, min(len(label), max_windows)).round().astype(np.intp)
    table: dict[str, dict[str, float | None]] = {}
    for k, stage in enumerate(stages, start=1):
        recall_window, recall_activity = retrieval(stage[chosen], present[chosen], label[chosen])
        table[f"stage_{k}"] = {
            "retrieval_window": _known(recall_window),
            "retrieval_activity": _known(recall_activity),
            "cka": _known(_mean_cka(stage[chosen], present[chosen])),
        }
    return table


def retrieval(
    embedding: Array, present: NDArray[np.bool_], label: NDArray[np.integer], *, chunk: int = 1024
) -> tuple[float, float]:
    """Look each window of one branch up among the windows of another: recall at 1.

    Parameters
    ----------
    embedding
        (N, M, D) or (N, M, S, D).
    present
        (N, M).
    label
        (N,) class indices.
    chunk
        Queries compared at once: memory is ``chunk * N`` numbers.

    Returns
    -------
    How often the nearest window (cosine) is the same window, and is of the same activity: means over
    ordered pairs of branches. NaN where no window has two branches. By chance the first is 1 / N. The
    window itself is in the gallery, so the second is never below the first.
    """
    embedding = _checked(embedding, present, label)
    recalls = []
    for asked, gallery in permutations(range(embedding.shape[1]), 2):
        both = present[:, asked] & present[:, gallery]
        if both.any():
            nearest = _nearest(embedding[both, asked], embedding[both, gallery], chunk)
            activity = label[both]
            recalls.append(((nearest == np.arange(len(nearest))).mean(), (activity[nearest] == activity).mean()))
    if not recalls:
        return float("nan"), float("nan")
    window, same_activity = np.mean(recalls, axis=0)
    return float(window), float(same_activity)


def linear_cka(first: Array, second: Array) -> float:
    """Compare two representations (n, D1) and (n, D2) of the same n windows, up to rotation and scale.

    Returns
    -------
    Centred kernel alignment in [0, 1]; NaN where one of them does not vary.

    Notes
    -----
    Computed from D1 x D2 products, not from n x n kernels. It is biased upwards where n is not
    much larger than the widths.

    References
    ----------
    Kornblith, Norouzi, Lee, Hinton: "Similarity of Neural Network Representations Revisited",
    ICML 2019, section 3.
    """
    x = first.astype(np.float64) - first.mean(axis=0, dtype=np.float64)
    y = second.astype(np.float64) - second.mean(axis=0, dtype=np.float64)
    scale = np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y)
    # rounding leaves a trace of variance in a constant feature: compare with the size of the values
    size = np.square(first, dtype=np.float64).sum() * np.square(second, dtype=np.float64).sum()
    if scale <= 1e-12 * size:
        return float("nan")
    return float(np.square(x.T @ y).sum() / scale)


def _mean_cka(embedding: Array, present: NDArray[np.bool_]) -> float:
    flat = embedding.reshape(*embedding.shape[:2], -1)
    values = []
    for first, second in combinations(range(flat.shape[1]), 2):
        both = present[:, first] & present[:, second]
        if both.sum() > 1:
            values.append(linear_cka(flat[both, first], flat[both, second]))
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def _nearest(queries: Array, gallery: Array, chunk: int) -> NDArray[np.intp]:
    """Return for each query the row of the gallery with the highest cosine similarity."""
    asked, known = _normed(queries), _normed(gallery)
    parts = [(asked[start : start + chunk] @ known.T).argmax(axis=1) for start in range(0, len(asked), chunk)]
    return np.concatenate(parts)


def _normed(rows: Array) -> NDArray[np.float32]:
    """Bring segments (last axis) to length 1, then lay them side by side: (n, S * D)."""
    length = np.linalg.norm(rows, axis=-1, keepdims=True)
    unit: NDArray[np.float32] = (rows / np.maximum(length, 1e-12)).reshape(len(rows), -1).astype(np.float32)
    return unit


def _checked(embedding: Array, present: NDArray[np.bool_], label: NDArray[np.integer]) -> Array:
    if embedding.ndim not in (3, 4) or embedding.shape[:2] != present.shape or len(label) != len(embedding):
        raise DataError(
            "embedding (N, M, D), present (N, M) and label (N,) must fit each other",
            f"shapes {embedding.shape}, {present.shape}, {label.shape}",
            "Collect them from the same windows.",
        )
    if not np.isfinite(embedding[present]).all():
        raise DataError(
            "embeddings of present branches must be finite", "NaN or infinity", "Check the network's weights."
        )
    return embedding


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value
