"""Keep recordings as one memory-mapped array for each signal, and gather windows from them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from dcdp.data.index import RecordingEntry, StoreIndex, load_index, save_index
from dcdp.data.partial import atomic_folder
from dcdp.errors import DataError, FormatError
from dcdp.records import LabelSet, Recording, Signal, SignalSpec, Windows
from dcdp.signals.gaps import hold_last

__all__ = ["GAP_S", "Store", "memory_store"]

GAP_S = 0.2
"""Longest gap over which the last value is held when recordings are stored [s]."""

Values = NDArray[np.float32]


class Store:
    """Recordings behind one another: for each signal an array (N_total, C), and an index.

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
        self, spec: SignalSpec, labels: LabelSet, recordings: tuple[RecordingEntry, ...], arrays: Mapping[str, Values]
    ) -> None:
        self.spec, self.labels, self.recordings = spec, labels, recordings
        self._arrays = dict(arrays)

    @staticmethod
    def write(
        path: Path, spec: SignalSpec, labels: LabelSet, recordings: Iterable[Recording], gap_s: float = GAP_S
    ) -> None:
        """Write recordings into a new folder; it appears under its name only when it is whole.

        Raises
        ------
        DataError
            If a recording has a signal or label that is not declared, or there is no recording.
        StorageError
            If the disk is full or not writable.
        """
        with atomic_folder(Path(path)) as folder:
            with ExitStack() as stack:
                files = {
                    signal.name: stack.enter_context((folder / _file_name(signal.name)).open("w+b")) for signal in spec
                }
                entries = _append(files, spec, labels, recordings, gap_s)
                for signal in spec:
                    _write_header(files[signal.name], signal, _n_total(entries, signal.name))
            n_bytes = {signal.name: (folder / _file_name(signal.name)).stat().st_size for signal in spec}
            save_index(folder, StoreIndex(spec, labels, entries, n_bytes))

    @classmethod
    def open(cls, path: Path) -> Store:
        """Map a written store, read-only; nothing is read until it is used.

        Raises
        ------
        MissingError
            If there is no store.
        FormatError
            If a file has been altered or cut.
        """
        path = Path(path)
        index = load_index(path)
        arrays = {signal.name: _map(path, signal, index) for signal in index.spec}
        return cls(index.spec, index.labels, index.recordings, arrays)

    @property
    def subjects(self) -> tuple[str, ...]:
        """Names of the subjects, sorted."""
        return tuple(sorted({entry.subject for entry in self.recordings}))

    def array(self, signal: str) -> Values:
        """Return all values of a signal, (N_total, C), NaN where nothing was measured."""
        self.spec[signal]  # an unknown name is told with its nearest one
        return self._arrays[signal]

    def gather(self, windows: Windows, index: NDArray[np.integer] | NDArray[np.bool_]) -> dict[str, Values]:
        """Copy the windows at ``index`` out of the arrays, in one step for each signal.

        Returns
        -------
        dict
            Signal -> (B, T, C), zero where the signal is absent.

        Raises
        ------
        DataError
            If a window reaches beyond the array: the windows were cut from another store.
        """
        present = windows.present[index]
        batch = {}
        for column, signal in enumerate(self.spec):
            there = present[:, column]
            n_samples = signal.n_samples(windows.window_s)
            if there.any():
                rows = windows.rows[signal.name][index] * there
                values = _gather(self._arrays[signal.name], rows, n_samples, signal.name)
            else:  # the array may be shorter than a window
                values = np.zeros((len(there), n_samples, len(signal.channels)), np.float32)
            if not there.all():
                values[~there] = 0
            batch[signal.name] = values
        return batch


def memory_store(
    spec: SignalSpec, labels: LabelSet, recordings: Iterable[Recording], gap_s: float = GAP_S
) -> Store:
    """Return a store over plain arrays, for recordings that need no cache.

    Raises
    ------
    DataError
        As `Store.write`.
    """
    parts: dict[str, list[Values]] = {signal.name: [np.empty((0, len(signal.channels)), np.float32)] for signal in spec}

    def watched() -> Iterator[Recording]:
        for recording in recordings:
            for track in recording.tracks:
                if track.signal.name in parts:
                    parts[track.signal.name].append(_held(track.values, track.signal, gap_s))
            yield recording

    entries = _entries(spec, labels, watched())
    return Store(spec, labels, entries, {name: np.concatenate(values) for name, values in parts.items()})


def _entries(spec: SignalSpec, labels: LabelSet, recordings: Iterable[Recording]) -> tuple[RecordingEntry, ...]:
    """Lay recordings behind one another."""
    first = dict.fromkeys(spec.names, 0)
    entries: list[RecordingEntry] = []
    for recording in recordings:
        _require_declared(recording, spec, labels)
        rows = {track.signal.name: (first[track.signal.name], len(track.values)) for track in recording.tracks}
        for name, (_, n_rows) in rows.items():
            first[name] += n_rows
        start_s = {track.signal.name: float(track.start_s) for track in recording.tracks}
        entries.append(
            RecordingEntry(
                recording.name, recording.subject, recording.session, recording.segments, rows, start_s,
                recording.notes,
            )
        )
    if not entries:
        raise DataError("a store must hold a recording", "none", "Check that the data folder holds the set's files.")
    return tuple(entries)


def _append(
    files: Mapping[str, BinaryIO], spec: SignalSpec, labels: LabelSet, recordings: Iterable[Recording], gap_s: float
) -> tuple[RecordingEntry, ...]:
    """Write the values of each recording as it comes, behind room for the header."""
    for signal in spec:
        _write_header(files[signal.name], signal, 0)

    def written() -> Iterator[Recording]:
        for recording in recordings:
            for track in recording.tracks:
                if track.signal.name in files:
                    values = _held(track.values, track.signal, gap_s)
                    files[track.signal.name].write(np.ascontiguousarray(values, dtype="<f4").data)
            yield recording

    return _entries(spec, labels, written())


def _require_declared(recording: Recording, spec: SignalSpec, labels: LabelSet) -> None:
    names = [track.signal.name for track in recording.tracks]
    strange = [track.signal.name for track in recording.tracks if track.signal not in spec.signals]
    if strange or len(set(names)) != len(names):
        raise DataError("a recording must have declared signals, once each",
                        f"{strange or names} in '{recording.name}'",
                        f"Use the signals {', '.join(spec.names)} as the spec declares them.")
    known = {*labels.names, labels.null_label}
    for segment in recording.segments:
        if segment.label not in known:
            raise DataError("a segment must have a declared label", f"'{segment.label}' in '{recording.name}'",
                            f"Use one of {', '.join(labels.names)}.")


def _held(values: Values, signal: Signal, gap_s: float) -> Values:
    """Bridge short gaps; return the values themselves where there is no gap."""
    if np.isnan(values).any():
        return hold_last(values, round(gap_s * signal.rate_hz))
    return values


def _file_name(signal: str) -> str:
    return f"{signal}.npy"


def _n_total(entries: Iterable[RecordingEntry], signal: str) -> int:
    return sum(entry.rows.get(signal, (0, 0))[1] for entry in entries)


def _write_header(file: BinaryIO, signal: Signal, n_rows: int) -> None:
    """Write the header of an array; NumPy leaves room in it for the number of rows to grow."""
    file.seek(0)
    header = {"descr": "<f4", "fortran_order": False, "shape": (n_rows, len(signal.channels))}
    np.lib.format.write_array_header_1_0(file, header)


def _map(path: Path, signal: Signal, index: StoreIndex) -> Values:
    file = path / _file_name(signal.name)
    remedy = f"Delete '{path}' and open the data set again."
    n_bytes = file.stat().st_size if file.is_file() else 0
    if n_bytes != index.n_bytes.get(signal.name):
        raise FormatError("a store must be whole", f"{n_bytes} bytes in '{file}'", remedy)
    shape = (_n_total(index.recordings, signal.name), len(signal.channels))
    try:
        values: Values = np.load(file, mmap_mode=None if shape[0] == 0 else "r", allow_pickle=False)
    except ValueError as err:
        raise FormatError("a store must be whole", f"'{file}' ({err})", remedy) from err
    if values.shape != shape or values.dtype != np.float32:
        raise FormatError(f"'{file}' must hold float32 {shape}", f"{values.dtype} {values.shape}", remedy)
    return values


def _gather(array: Values, rows: NDArray[np.int64], n_samples: int, name: str) -> Values:
    """Copy ``n_samples`` rows from each of ``rows``: (B,), at least one -> (B, n_samples, C)."""
    n_channels, last = array.shape[1], len(array) - n_samples
    if rows.min() < 0 or rows.max() > last:
        raise DataError(f"a window must lie inside '{name}'", f"rows {rows.min()} to {rows.max()} of {len(array)}",
                        "Cut the windows from this store.")
    # Seen as overlapping rows of T * C numbers, each window is one contiguous piece: as fast as a plain copy.
    shape, strides = (last + 1, n_samples * n_channels), (array.strides[0], array.itemsize)
    flat = as_strided(np.asarray(array), shape, strides, writeable=False)
    picked: Values = flat[rows]
    return picked.reshape(len(rows), n_samples, n_channels)
