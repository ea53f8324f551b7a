"""Find stretches in a block: values that sit at a limit, values that do not change, rows with NaN."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dcdp.data.quality.blocks import Block

__all__ = ["count_at_limits", "merge_spans", "missing_spans", "stuck_spans"]


def count_at_limits(
    block: Block, channel: int, low: NDArray[np.float32], high: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count the fresh values of each piece that are one of three or more at its lowest, and highest, level in a row.

    Parameters
    ----------
    low, high
        (P,) levels of each piece.

    Returns
    -------
    tuple
        (P,) at the lowest, (P,) at the highest.
    """
    values = block.values[channel]
    same = values[1:] == values[:-1]
    places = np.flatnonzero(same[1:] & same[:-1])
    piece = block.piece_of(places)
    inside = block.piece_of(places + 2) == piece
    places, piece = places[inside], piece[inside]
    counts = []
    for level in (low, high):
        at = values[places] == level[piece]
        counts.append(_count(places[at], piece[at], block.n_before, len(low)))
    return counts[0], counts[1]


def _count(
    places: NDArray[np.int64], piece: NDArray[np.int64], n_before: int, n_pieces: int
) -> NDArray[np.int64]:
    """Count values in runs of three or more from the places of their triples: a run of k has k - 2."""
    opens = np.ones(len(places), np.bool_)
    opens[1:] = (np.diff(places) > 1) | (np.diff(piece) > 0)
    fresh = places + 2 >= n_before
    weight = 1.0 + 2.0 * opens[fresh]
    return np.bincount(piece[fresh], weight, n_pieces).astype(np.int64)


def stuck_spans(block: Block, channel: int, n_rows: int) -> NDArray[np.int64]:
    """Find the stretches of ``n_rows`` >= 2 equal values or more, inside one recording each.

    Returns
    -------
    NDArray
        (n, 3): recording, and [start, stop) in its rows.
    """
    values = block.values[channel]
    step = n_rows // 2
    if not (values[step::step] == values[:-step:step]).any():  # a long stretch holds two of these neighbours
        return np.empty((0, 3), np.int64)
    change = values[1:] != values[:-1]
    change[block.starts[1:] - 1] = True
    edges = np.concatenate([[0], np.flatnonzero(change) + 1, [len(values)]])
    long = np.flatnonzero(np.diff(edges) >= n_rows)
    return _in_recordings(block, edges[long], edges[long + 1])


def missing_spans(block: Block) -> NDArray[np.int64]:
    """Find the stretches of rows with NaN in some channel: (n, 3) recording, and [start, stop) in its rows."""
    missing = np.asarray(np.isnan(block.values).any(axis=0))
    begin = np.flatnonzero(missing & ~np.append(False, missing[:-1]))
    end = np.flatnonzero(missing & ~np.append(missing[1:], False)) + 1
    borders = block.starts[1:]
    cut = borders[missing[borders - 1] & missing[borders]]  # a gap does not run into the next recording
    begin, end = np.sort(np.concatenate([begin, cut])), np.sort(np.concatenate([end, cut]))
    return _in_recordings(block, begin, end)


def _in_recordings(block: Block, begin: NDArray[np.int64], end: NDArray[np.int64]) -> NDArray[np.int64]:
    piece = block.piece_of(begin)
    offset = block.first_row - block.starts[piece]
    return np.column_stack([block.recordings[piece], begin + offset, end + offset])


def merge_spans(spans: NDArray[np.int64]) -> NDArray[np.int64]:
    """Join spans (n, 3) of one recording that overlap, as seen from two blocks: sorted by recording and start.

    Examples
    --------
    >>> merge_spans(np.array([[0, 8, 12], [0, 2, 5], [0, 4, 6], [1, 6, 8]])).tolist()
    [[0, 2, 6], [0, 8, 12], [1, 6, 8]]
    """
    if not len(spans):
        return spans
    spans = spans[np.lexsort((spans[:, 2], spans[:, 1], spans[:, 0]))]
    shift = spans[:, 0] * (int(spans[:, 2].max()) + 2)  # keeps recordings apart in one running maximum
    reach = np.maximum.accumulate(spans[:, 2] + shift)
    opens = np.flatnonzero(np.concatenate([[True], spans[1:, 1] + shift[1:] >= reach[:-1]]))
    last = np.concatenate([opens[1:], [len(spans)]]) - 1
    return np.column_stack([spans[opens, 0], spans[opens, 1], reach[last] - shift[last]])
