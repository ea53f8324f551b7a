"""Read a signal of a store block by block, so that memory does not grow with the store."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dcdp.data.store import Store
from dcdp.records import Signal

__all__ = ["Block", "read_blocks", "release"]

BLOCK_VALUES = 1 << 20
"""Values of a block of several recordings, at most; a longer recording is cut into blocks of about this size."""


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of one signal: several whole recordings, or a part of one.

    Attributes
    ----------
    values
        (C, n) float32, contiguous.
    n_before
        Rows at the front that the block before has shown already; only in a part of a recording.
    recordings
        (P,) number of the recording of each piece.
    starts
        (P,) where each piece begins in ``values``, ascending from 0.
    first_row
        Row of the first piece's recording that ``values[:, 0]`` is; 0 if the recordings are whole.
    array_row
        Row of the signal's array that ``values[:, 0]`` is.
    """

    values: NDArray[np.float32]
    n_before: int
    recordings: NDArray[np.int64]
    starts: NDArray[np.int64]
    first_row: int
    array_row: int

    @property
    def fresh(self) -> NDArray[np.float32]:
        """Values that no block before has shown, (C, n - n_before)."""
        return self.values[:, self.n_before :]

    def piece_of(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the piece in which each place of ``values`` lies."""
        return np.searchsorted(self.starts, places, side="right") - 1


def read_blocks(store: Store, signal: Signal, n_overlap: int = 0) -> Iterator[Block]:
    """Yield a signal's rows in the order of its array, each once but for the overlap.

    Parameters
    ----------
    n_overlap
        Rows that a part of a recording repeats from the part before it, >= 0.
    """
    array = store.array(signal.name)
    limit = max(BLOCK_VALUES // len(signal.channels), 4 * n_overlap, 1)
    for group in _groups(store, signal.name, limit):
        first, n_rows = group[0][0], sum(n for _, n, _ in group)
        numbers = np.array([number for _, _, number in group])
        lengths = np.array([n for _, n, _ in group])
        starts = np.cumsum(lengths) - lengths
        for low in range(0, n_rows, limit):
            n_before = min(low, n_overlap)
            part = array[first + low - n_before : first + min(low + limit, n_rows)]
            values = np.ascontiguousarray(part.T, np.float32)
            yield Block(values, n_before, numbers, starts, low - n_before, first + low - n_before)
            release(array)


def _groups(store: Store, signal: str, limit: int) -> Iterator[list[tuple[int, int, int]]]:
    """Group recordings that lie behind one another: (first row, rows, number); ``limit`` rows or one recording."""
    spans = sorted((*entry.rows[signal], number) for number, entry in enumerate(store.recordings)
                   if entry.rows.get(signal, (0, 0))[1])  # fmt: skip
    group: list[tuple[int, int, int]] = []
    n_group = 0
    for first, n_rows, number in spans:
        if group and (n_group + n_rows > limit or first != group[-1][0] + group[-1][1]):
            yield group
            group, n_group = [], 0
        group.append((first, n_rows, number))
        n_group += n_rows
    if group:
        yield group


def release(array: NDArray[np.float32]) -> None:
    """Let the system take back the pages of a mapped array: they are read once, and would count as ours."""
    owner = array
    while isinstance(owner, np.ndarray) and owner.base is not None:
        owner = owner.base
    if isinstance(owner, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        owner.madvise(mmap.MADV_DONTNEED)
