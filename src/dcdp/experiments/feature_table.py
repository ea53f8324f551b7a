"""Keep the window statistics of a data set, so that folds, seeds and methods share one computation."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dcdp.data.store import Store
from dcdp.experiments.classical_peers import window_features
from dcdp.models.network import BranchLayout
from dcdp.records import Windows

__all__ = ["FeatureTable"]

Array = NDArray[np.float32]


class FeatureTable:
    """`dcdp.experiments.classical_peers.window_features`, with the rows of known windows looked up.

    Parameters
    ----------
    store, windows, layouts
        The windows of a data set. Those of another store, and those with other signals present, are described anew.

    Attributes
    ----------
    owed_s
        What the rows that were looked up would have taken to compute, less what was spent on the table [s]: added to
        a stopwatch around a fit, it gives what the fit would have taken by itself.
    """

    def __init__(self, store: Store, windows: Windows, layouts: Sequence[BranchLayout]) -> None:
        self.store, self.windows, self.layouts = store, windows, tuple(layouts)
        self.owed_s = 0.0
        self._row = {place: row for row, place in enumerate(_places(windows))}
        self._tables: dict[bool, Array] = {}
        self._seconds: dict[bool, float] = {}

    def __call__(
        self, store: Store, windows: Windows, layouts: Sequence[BranchLayout], extended: bool = False
    ) -> Array:
        """Return (N, F) statistics, as `window_features` does."""
        rows = self._rows(windows) if store is self.store and tuple(layouts) == self.layouts else None
        if rows is None:
            return window_features(store, windows, layouts, extended)
        if extended not in self._tables:
            self._fill(extended)
        self.owed_s += self._seconds[extended] * len(rows) / len(self.windows)
        return self._tables[extended][rows]

    def _fill(self, extended: bool) -> None:
        started = time.perf_counter()
        self._tables[extended] = window_features(self.store, self.windows, self.layouts, extended)
        self._seconds[extended] = time.perf_counter() - started
        self.owed_s -= self._seconds[extended]

    def _rows(self, windows: Windows) -> NDArray[np.intp] | None:
        """Return the row of each window, or None if one is not in the table, or not as it is there."""
        found = [self._row.get(place, -1) for place in _places(windows)]
        rows = np.array(found, dtype=np.intp)
        if (rows < 0).any() or windows.window_s != self.windows.window_s:
            return None
        return rows if np.array_equal(self.windows.present[rows], windows.present) else None


def _places(windows: Windows) -> list[tuple[int, float]]:
    return list(zip(windows.recording.tolist(), windows.start_s.tolist(), strict=True))
