"""Keep recordings behind one another in a few arrays on disk, and gather windows from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from dcdp.data.arrays import DiskArray, Values, columns_of, gather_rows, open_array
from dcdp.data.index import RecordingEntry, StoreIndex, load_index
from dcdp.data.memory import memory_limit
from dcdp.data.writer import append_recordings, lay_recordings, peek, replace_recordings, side_by_side, write_lock
from dcdp.errors import FormatError
from dcdp.records import LabelSet, Recording, SignalSpec, Windows

__all__ = ["GAP_S", "Store", "memory_store"]

GAP_S = 0.2
"""Longest gap over which the last value is held when recordings are stored [s]."""

MAPPED_SHARE = 0.25
"""A store is mapped up to this share of the memory that the process may have."""

Waiting = Callable[[], None]


class Store:
    """Recordings behind one another: for each signal an array (N_total, C), and an index.

    Signals of one device lie side by side in one array, so that a window of them is one piece.

    Attributes
    ----------
    spec, labels
        As declared by the data set.
    recordings
        Where each recording lies.

    See Also
    --------
    memory_store : The same over plain arrays.
    """

    def __init__(
        self,
        spec: SignalSpec,
        labels: LabelSet,
        recordings: tuple[RecordingEntry, ...],
        arrays: Mapping[tuple[str, ...], Values | DiskArray],
    ) -> None:
        self.spec, self.labels, self.recordings = spec, labels, recordings
        self._groups = [_Group(spec, names, array) for names, array in arrays.items()]
        self._plan: tuple[Windows, list[_Places]] | None = None

    @staticmethod
    def write(
        path: Path,
        spec: SignalSpec,
        labels: LabelSet,
        recordings: Iterable[Recording],
        gap_s: float = GAP_S,
        *,
        fingerprints: Mapping[str, str] | None = None,
        wait_s: float = 0.0,
        waiting: Waiting | None = None,
    ) -> None:
        """Write a store into a folder; one that is there already is replaced, all at once, when the new one is whole.

        Parameters
        ----------
        fingerprints
            Name of a recording -> what it was made from; kept in `RecordingEntry.fingerprint`. May be filled while
            the recordings are read.
        wait_s, waiting
            How long to wait for another writer [s], and what to call then.

        Raises
        ------
        DataError
            If a recording has a signal or label that is not declared, or there is no recording.
        StorageError
            If the disk is full or not writable, or another process writes this store.
        """
        path = Path(path)
        with write_lock(path, wait_s, waiting):
            replace_recordings(path, spec, labels, recordings, gap_s, {} if fingerprints is None else fingerprints)

    @staticmethod
    def append(
        path: Path,
        recordings: Iterable[Recording],
        gap_s: float = GAP_S,
        *,
        labels: LabelSet | None = None,
        fingerprints: Mapping[str, str] | None = None,
        wait_s: float = 0.0,
        waiting: Waiting | None = None,
    ) -> None:
        """Add recordings to a written store: all of them or, if anything fails, none.

        Who has the store open goes on seeing what was there when it was opened.

        Parameters
        ----------
        labels
            The stored labels with new ones behind them; None allows no new ones.
        fingerprints, wait_s, waiting
            As of `write`.

        Raises
        ------
        DataError
            If a recording is stored already, does not fit the spec, or has an unknown label.
        MissingError, FormatError
            If there is no store, or a damaged one.
        StorageError
            If the disk is full or not writable, or another process writes this store.
        """
        path = Path(path)
        load_index(path)  # do not make a folder for the lock where there is no store
        with write_lock(path, wait_s, waiting):
            append_recordings(path, recordings, gap_s, labels, {} if fingerprints is None else fingerprints)

    @classmethod
    def open(cls, path: Path, mapped: bool | None = None) -> Store:
        """Open a written store, read-only; no value is read until it is used.

        Parameters
        ----------
        mapped
            True maps the arrays; False reads what is asked for when it is asked for, which keeps memory the same
            however large the store. None maps a store of up to a quarter of the memory that this process may have.

        Raises
        ------
        MissingError
            If there is no store.
        FormatError
            If a file has been altered or cut.
        """
        path, index = Path(path), load_index(Path(path))
        while True:
            try:
                return cls(index.spec, index.labels, index.recordings, _open_arrays(path, index, mapped))
            except FormatError:
                newest = load_index(path)  # replaced between the reading of the index and the opening of its files?
                if newest.files == index.files:
                    raise
                index = newest

    @property
    def subjects(self) -> tuple[str, ...]:
        """Names of the subjects, sorted."""
        return tuple(sorted({entry.subject for entry in self.recordings}))

    def array(self, signal: str) -> Values:
        """Return all values of a signal, (N_total, C), NaN where nothing was measured.

        Of a store that is not mapped it is a `dcdp.data.arrays.DiskArray`: take slices of it, not all at once.
        """
        self.spec[signal]  # an unknown name is told with its nearest one
        group = next(group for group in self._groups if signal in group.names)
        return cast("Values", columns_of(group.array, *group.columns[signal]))

    def gather(self, windows: Windows, index: NDArray[np.integer] | NDArray[np.bool_]) -> dict[str, Values]:
        """Copy the windows at ``index`` out of the arrays, in one step for each array.

        Returns
        -------
        dict
            Signal -> (B, T, C), zero where the signal is absent. Signals that lie side by side share one array.

        Raises
        ------
        DataError
            If a window reaches beyond the array: the windows were cut from another store.
        """
        if self._plan is None or self._plan[0] is not windows:
            self._plan = (windows, [group.places(windows) for group in self._groups])
        batch: dict[str, Values] = {}
        for group, places in zip(self._groups, self._plan[1], strict=True):
            batch |= group.gather(windows, places, index)
        return {name: batch[name] for name in self.spec.names}


class _Places:
    """First row of each of N windows in the array of a group (N,), and in which of them each signal is present.

    ``rows`` is None where signals of one window begin at different rows, ``present`` where all are always present.
    """

    def __init__(self, rows: NDArray[np.int64] | None, present: NDArray[np.bool_] | None) -> None:
        self.rows, self.present = rows, present


class _Group:
    """The signals that lie side by side in one array."""

    def __init__(self, spec: SignalSpec, names: tuple[str, ...], array: Values | DiskArray) -> None:
        self.names, self.array = names, array
        self.signals = [spec[name] for name in names]
        self.order = [spec.names.index(name) for name in names]
        stops = np.cumsum([len(signal.channels) for signal in self.signals]).tolist()
        self.columns = dict(zip(names, zip([0, *stops], stops, strict=False), strict=True))

    def places(self, windows: Windows) -> _Places:
        present = windows.present[:, self.order]
        rows = windows.rows[self.names[0]] * present[:, 0]
        for column, name in enumerate(self.names[1:], 1):  # 0 where absent
            rows = np.maximum(rows, windows.rows[name] * present[:, column])
        aligned = all(
            ((windows.rows[name] == rows) | ~present[:, column]).all() for column, name in enumerate(self.names)
        )
        # A row below 0 is told by the one check of all rows: those of windows from another store.
        low = min((int(windows.rows[name].min(initial=0)) for name in self.names), default=0)
        return _Places(rows if aligned and low >= 0 else None, None if present.all() else present)

    def gather(
        self, windows: Windows, places: _Places, index: NDArray[np.integer] | NDArray[np.bool_]
    ) -> dict[str, Values]:
        n_samples = self.signals[0].n_samples(windows.window_s)
        if places.rows is None:
            return {name: self._gather_one(windows, name, n_samples, index) for name in self.names}
        rows = places.rows[index]
        there = None if places.present is None else places.present[index]
        if len(rows) and (there is None or there.any()):
            values = gather_rows(self.array, rows, n_samples, self.names[0])
        else:  # the array may be shorter than a window
            values = np.zeros((len(rows), n_samples, self.array.shape[1]), np.float32)
        batch = {name: values[:, :, first:stop] for name, (first, stop) in self.columns.items()}
        if there is not None:
            for column, name in enumerate(self.names):
                _clear(batch[name], there[:, column])
        return batch

    def _gather_one(
        self, windows: Windows, name: str, n_samples: int, index: NDArray[np.integer] | NDArray[np.bool_]
    ) -> Values:
        there = windows.present[index][:, self.order[self.names.index(name)]]
        array = columns_of(self.array, *self.columns[name])
        if not there.any():
            return np.zeros((len(there), n_samples, array.shape[1]), np.float32)
        values = gather_rows(array, windows.rows[name][index] * there, n_samples, name)
        _clear(values, there)
        return values


def memory_store(
    spec: SignalSpec, labels: LabelSet, recordings: Iterable[Recording], gap_s: float = GAP_S
) -> Store:
    """Return a store over plain arrays, for recordings that need no cache.

    Raises
    ------
    DataError
        As `Store.write`.
    """
    first, recordings = peek(recordings, spec, labels)
    groups = side_by_side(spec, first)
    parts = [[np.empty((0, sum(len(spec[name].channels) for name in names)), np.float32)] for names in groups]
    entries, _ = lay_recordings(
        recordings, spec, labels, groups, [0] * len(groups), gap_s, lambda place, block: parts[place].append(block), {}
    )
    return Store(spec, labels, entries, {names: np.concatenate(own) for names, own in zip(groups, parts, strict=True)})


def _open_arrays(path: Path, index: StoreIndex, mapped: bool | None) -> dict[tuple[str, ...], Values | DiskArray]:
    n_channels = [sum(len(index.spec[name].channels) for name in file.signals) for file in index.files]
    n_bytes = sum(4 * file.n_rows * width for file, width in zip(index.files, n_channels, strict=True))
    if mapped is None:
        mapped = n_bytes <= MAPPED_SHARE * memory_limit()
    arrays = {}
    for file, width in zip(index.files, n_channels, strict=True):
        try:
            arrays[file.signals] = open_array(path / file.name, file.n_rows, width, mapped)
        except (ValueError, FileNotFoundError) as err:
            raise FormatError("a store must be whole", f"{err} in '{path / file.name}'",
                              f"Delete '{path}' and open the data set again.") from err
    return arrays


def _clear(values: Values, there: NDArray[np.bool_]) -> None:
    if not there.all():
        values[~there] = 0
