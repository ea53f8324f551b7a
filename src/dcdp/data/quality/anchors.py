"""Fingerprints of a signal at places that its content chooses, so that a copy has them at the same places.

References
----------
Schleimer, Wilkerson, Aiken: Winnowing: local algorithms for document fingerprinting (SIGMOD 2003), where the least
fingerprint of every few neighbours is kept: two equal stretches keep the same ones, wherever they stand.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dcdp.data.quality.blocks import Block

__all__ = ["Anchors"]

# A stretch that changes less often than this is too plain to be told from another: a heart rate that stays at 80.
_MIN_CHANGES = 16
_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # odd, so that it has an inverse modulo 2**64
_INVERSE = np.uint64(pow(int(_FACTOR), -1, 2**64))
_NONE = np.uint64(2**64 - 1)
_MOST = 1 << 21  # 32 MB of them


class Anchors:
    """Fingerprints of one signal, collected block by block.

    Parameters
    ----------
    rate_hz
        Rate of the signal.

    Attributes
    ----------
    n_rows
        Rows of a fingerprinted stretch: a second, and 32 at least.
    n_overlap
        Rows that two blocks of one recording must share.
    """

    def __init__(self, rate_hz: float) -> None:
        self.n_rows = max(round(rate_hz), 32)
        self._reach = 1 << (self.n_rows.bit_length() - 1)  # a power of two, at most n_rows
        self.n_overlap = self.n_rows + self._reach
        self._mask = np.uint64(0)
        self._prints: list[NDArray[np.uint64]] = []
        self._rows: list[NDArray[np.int64]] = []
        self._n = 0

    @property
    def found_from_rows(self) -> int:
        """Length from which a copied stretch is found: surely, or all but surely where anchors were thinned [rows]."""
        thinned = int(self._mask) + 1
        return self.n_rows + self._reach - 1 + (0 if thinned == 1 else 4 * self._reach * thinned)

    def add(self, block: Block) -> None:
        """Take the anchors of a block."""
        prints = _fingerprints(block.values, self.n_rows)
        if not len(prints):
            return
        for start in block.starts[1:]:  # a stretch must not reach from one recording into the next
            prints[max(start - self.n_rows + 1, 0) : start] = _NONE
        places = _least_of_neighbours(prints, self._reach)
        found = prints[places]
        keep = (found & self._mask) == 0
        self._prints.append(found[keep])
        self._rows.append(places[keep] + block.array_row)
        self._n += int(keep.sum())
        while self._n > _MOST:
            self._thin()

    def collected(self) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        """Return the fingerprints (A,) and their rows in the signal's array (A,), ascending and once each."""
        rows = np.concatenate([np.empty(0, np.int64), *self._rows])
        prints = np.concatenate([np.empty(0, np.uint64), *self._prints])
        rows, first = np.unique(rows, return_index=True)  # blocks overlap
        return prints[first], rows

    def _thin(self) -> None:
        """Keep every second anchor, chosen by its content again."""
        self._mask = (self._mask << np.uint64(1)) | np.uint64(1)
        keeps = [(prints & self._mask) == 0 for prints in self._prints]
        self._prints = [np.concatenate([one[keep] for one, keep in zip(self._prints, keeps, strict=True)])]
        self._rows = [np.concatenate([one[keep] for one, keep in zip(self._rows, keeps, strict=True)])]
        self._n = len(self._rows[0])


def _fingerprints(values: NDArray[np.float32], n_rows: int) -> NDArray[np.uint64]:
    """Return a fingerprint of each stretch of ``n_rows`` columns of (C, n): (n - n_rows + 1,).

    A polynomial of the hashed rows modulo 2**64, as the difference of two running sums: linear in n for any length.
    """
    n = values.shape[1]
    if n < n_rows:
        return np.empty(0, np.uint64)
    hashed = np.zeros(n, np.uint64)
    for bits in values.view(np.uint32):
        hashed += bits
        hashed *= _FACTOR
        hashed ^= hashed >> np.uint64(32)
    powers = np.cumprod(np.full(n, _FACTOR))
    total = np.concatenate([[np.uint64(0)], np.cumsum(hashed * powers)])
    prints: NDArray[np.uint64] = total[n_rows:] - total[:-n_rows]
    prints *= np.cumprod(np.full(len(prints), _INVERSE))
    prints ^= prints >> np.uint64(29)  # the low bits of a sum of products mix least, and choose the anchors
    prints *= _FACTOR
    prints ^= prints >> np.uint64(32)
    changes = np.concatenate([[0], np.cumsum(hashed[1:] != hashed[:-1])])
    prints[changes[n_rows - 1 :] - changes[: len(prints)] < _MIN_CHANGES] = _NONE
    return prints


def _least_of_neighbours(prints: NDArray[np.uint64], reach: int) -> NDArray[np.int64]:
    """Return the places of the prints that are the least of some ``reach`` neighbours (a power of two), but `_NONE`."""
    edge = np.full(reach - 1, _NONE)
    least = np.concatenate([edge, prints, edge])
    step = 1
    while step < reach:
        least = np.minimum(least[:-step], least[step:])
        step *= 2
    step = 1
    while step < reach:  # a place is kept if its own print is the greatest least of the neighbourhoods that hold it
        least = np.maximum(least[:-step], least[step:])
        step *= 2
    return np.flatnonzero((least == prints) & (prints != _NONE))
