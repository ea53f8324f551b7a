"""Find recordings that are stored twice, by what they hold: under two subjects they leak across any split."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dcdp.records import Signal, SignalSpec, Windows
from dcdp.splits.split import Split

__all__ = ["StoredRecording", "StoredRecordings", "drop_copies", "find_copies"]

# A window that changes less often than this is too plain to be told from another: a heart rate that stays at 80.
_MIN_CHANGES = 16
_PIECE_ROWS = 1 << 18
_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # odd, so that it has an inverse modulo 2**64
_INVERSE = np.uint64(pow(int(_FACTOR), -1, 2**64))


class StoredRecording(Protocol):
    """What a comparison reads of a stored recording."""

    @property
    def name(self) -> str:
        """Name of the recording."""

    @property
    def subject(self) -> str:
        """Who was recorded."""

    @property
    def session(self) -> str:
        """On which visit."""

    @property
    def rows(self) -> Mapping[str, tuple[int, int]]:
        """Signal -> (first row, number of rows) in its array."""


class StoredRecordings(Protocol):
    """What a comparison reads of a store."""

    @property
    def spec(self) -> SignalSpec:
        """The stored signals."""

    @property
    def recordings(self) -> Sequence[StoredRecording]:
        """The recordings, as windows number them."""

    def array(self, signal: str, /) -> NDArray[np.float32]:
        """All values of a signal, (N_total, C)."""


def find_copies(
    windows: Windows, split: Split, store: StoredRecordings
) -> tuple[NDArray[np.int8], NDArray[np.bool_], NDArray[np.int32]]:
    """Find the windows whose content occurs, at any position, in a recording of another part.

    A 64-bit fingerprint of each window's raw bytes is compared with every position in the other recordings. In each
    recording one signal is compared: the one with the most values a second in which some window is not too plain.

    Parameters
    ----------
    windows
        All windows of the store.

    Returns
    -------
    tuple
        (N,) the window's part, 0 to 2 for train, validation, test, or -1 for none; (N,) whether it was compared;
        (3, N) for each other part a recording that holds the window, or -1.
    """
    part = np.full(len(windows), -1, np.int8)
    for code, index in enumerate(split.parts(windows).values()):
        part[index] = code
    compared = np.zeros(len(windows), np.bool_)
    holder = np.full((len(split.subjects), len(windows)), -1, np.int32)
    todo = part >= 0
    for column, signal in sorted(enumerate(store.spec), key=lambda item: -item[1].rate_hz * len(item[1].channels)):
        index = np.flatnonzero(todo & windows.present[:, column])
        if len(index):
            recording, rows = windows.recording[index], windows.rows[signal.name][index]
            own = _own_fingerprints(recording, rows, windows.window_s, signal, store)
            compared[index] = own != 0
            holder[:, index] = _holders(own, recording, part[index], windows.window_s, signal, store)
            todo &= ~np.isin(windows.recording, windows.recording[compared])
    return part, compared, holder


def drop_copies(windows: Windows, split: Split, store: StoredRecordings) -> tuple[Windows, tuple[str, ...]]:
    """Leave out the recordings whose content is also in a part that must not have been seen.

    Of two copies the one in training goes before the one in validation, and that before the one in test: every
    subject is still tested on all that is stored of it.

    Returns
    -------
    tuple
        The other windows, and the names of the recordings that were left out, in the order of the store.
    """
    dropped: set[int] = set()
    while doomed := _copies_to_drop(windows, split, store):
        dropped |= doomed
        windows = windows.take(~np.isin(windows.recording, list(doomed)))
    return windows, tuple(store.recordings[number].name for number in sorted(dropped))


def _copies_to_drop(windows: Windows, split: Split, store: StoredRecordings) -> set[int]:
    """Return recordings with a copy in a later part, none only if there is none."""
    part, _, holder = find_copies(windows, split, store)
    held = holder >= 0
    code = np.arange(len(holder))[:, None]
    in_later = (held & (code > part)).any(axis=0)
    # A short copied stretch may hold a window of the later part alone, which then points here.
    return {*windows.recording[in_later].tolist(), *holder[held & (code < part)].tolist()}


def _own_fingerprints(
    recording: NDArray[np.int64], rows: NDArray[np.int64], window_s: float, signal: Signal, store: StoredRecordings
) -> NDArray[np.uint64]:
    """Return the fingerprint of one signal in N >= 1 windows, 0 where too plain."""
    own, order = np.zeros(len(rows), np.uint64), np.argsort(rows, kind="stable")
    for _, first, prints in _all_fingerprints(np.unique(recording), window_s, signal, store):
        # Memory stays that of the windows: what lies between them is looked at again below, not kept.
        here = order[slice(*np.searchsorted(rows, [first, first + len(prints)], sorter=order))]
        own[here] = prints[rows[here] - first]
    return own


def _holders(
    own: NDArray[np.uint64],
    recording: NDArray[np.int64],
    part: NDArray[np.int8],
    window_s: float,
    signal: Signal,
    store: StoredRecordings,
) -> NDArray[np.int32]:
    """Return for each of N windows the recordings of other parts that hold its fingerprint, (3, N), or -1."""
    numbers, seat = np.unique(recording, return_index=True)
    known = np.unique(own)
    holder = np.full((3, len(known)), -1, np.int32)
    part_of = dict(zip(numbers.tolist(), part[seat].tolist(), strict=True))
    for number, _, prints in _all_fingerprints(numbers, window_s, signal, store):
        place = np.minimum(np.searchsorted(known, prints), len(known) - 1)
        holder[part_of[number], place[known[place] == prints]] = number
    holders = holder[:, np.searchsorted(known, own)]
    holders[:, own == 0] = -1
    holders[part, np.arange(len(own))] = -1  # a part may repeat itself
    return holders


def _all_fingerprints(
    numbers: NDArray[np.int64], window_s: float, signal: Signal, store: StoredRecordings
) -> Iterator[tuple[int, int, NDArray[np.uint64]]]:
    """Yield (recording, row of the first, fingerprints) piece by piece, in the order of ``numbers``."""
    array, n_samples = store.array(signal.name), signal.n_samples(window_s)
    for number in numbers.tolist():
        first, n_rows = store.recordings[number].rows[signal.name]
        for begin in range(first, first + n_rows - n_samples + 1, _PIECE_ROWS):
            stop = min(begin + _PIECE_ROWS + n_samples - 1, first + n_rows)
            yield number, begin, _fingerprints(np.asarray(array[begin:stop]), n_samples)


def _fingerprints(values: NDArray[np.float32], n_samples: int) -> NDArray[np.uint64]:
    """Return a fingerprint of every stretch of ``n_samples`` rows: (T - n_samples + 1,), 0 where too plain.

    A polynomial of the hashed rows modulo 2**64, as the difference of two running sums: linear in T for any length.
    """
    hashed = np.zeros(len(values), np.uint64)
    for bits in np.ascontiguousarray(values, np.float32).view(np.uint32).T:
        hashed = (hashed + bits) * _FACTOR
        hashed ^= hashed >> np.uint64(32)
    total = _after_zero(np.cumsum(hashed * np.cumprod(np.full(len(values), _FACTOR))))
    prints = (total[n_samples:] - total[:-n_samples]) * np.cumprod(np.full(len(total) - n_samples, _INVERSE))
    changes = np.cumsum(_after_zero(hashed[1:] != hashed[:-1]).astype(np.int64))
    plain = changes[n_samples - 1 :] - changes[: len(prints)] < _MIN_CHANGES
    return np.where(plain, np.uint64(0), prints)


def _after_zero(values: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate([np.zeros(1, values.dtype), values])
