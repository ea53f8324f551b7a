"""Audit a split on the stored samples themselves: nothing of a part may be seen in another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dcdp.errors import DataError, SplitError
from dcdp.records import Signal, SignalSpec, Windows
from dcdp.splits.split import Split

__all__ = ["leak_audit", "require_classes", "require_no_leak"]

# A window that changes less often than this is too plain to be told from another: a heart rate that stays at 80.
_MIN_CHANGES = 16
_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # odd, so that it has an inverse modulo 2**64
_INVERSE = np.uint64(pow(int(_FACTOR), -1, 2**64))
_SHARED = ("shared_subjects", "shared_recordings", "shared_samples", "identical_windows")


class _Entry(Protocol):
    """What the audit reads of a stored recording."""

    @property
    def name(self) -> str: ...
    @property
    def subject(self) -> str: ...
    @property
    def rows(self) -> Mapping[str, tuple[int, int]]: ...


class _Store(Protocol):
    """What the audit reads of a store."""

    @property
    def spec(self) -> SignalSpec: ...
    @property
    def recordings(self) -> Sequence[_Entry]: ...
    def array(self, signal: str, /) -> NDArray[np.float32]: ...


def leak_audit(windows: Windows, split: Split, store: _Store) -> dict[str, Any]:
    """Check on the stored samples that the parts of a split have nothing in common.

    Parameters
    ----------
    windows
        All windows of the store.
    store
        Where they were cut; subjects are read from its recordings, not from the windows.

    Returns
    -------
    dict
        Ready for JSON. ``n_windows``, ``n_subjects``, ``n_recordings`` by part; ``shared_subjects``,
        ``shared_recordings`` (counts); ``shared_samples`` (rows of any signal's array in windows of two parts);
        ``identical_windows`` (windows whose content occurs in another part), ``identical_examples`` (at most five)
        and ``compared_windows`` (how many could be compared); ``absent_classes`` (tested but never trained);
        ``passed``: nothing shared, nothing identical, no part without windows.

    Notes
    -----
    Content is compared by a 64-bit fingerprint of a window's raw bytes against every position in the recordings of
    the other parts, so a recording stored under two subjects is found even when shifted by some rows. One signal per
    recording is compared, the one with the most values a second that is not too plain. Not found are: a copy of
    another signal alone; a copy that was scaled, filtered or resampled; windows with fewer than 16 changes from row
    to row, since a flat signal equals any other.
    """
    indices = split.parts(windows)
    parts = {part: windows.take(index) for part, index in indices.items()}
    recordings = {part: set(own.recording.tolist()) for part, own in parts.items()}
    subjects = {part: {store.recordings[number].subject for number in own} for part, own in recordings.items()}
    audit: dict[str, Any] = {
        "n_windows": {part: len(own) for part, own in parts.items()},
        "n_subjects": {part: len(own) for part, own in subjects.items()},
        "n_recordings": {part: len(own) for part, own in recordings.items()},
        "shared_subjects": _n_shared(subjects),
        "shared_recordings": _n_shared(recordings),
        "shared_samples": sum(_shared_rows(parts, column, signal) for column, signal in enumerate(store.spec)),
        **_compare(windows, indices, store),
        "absent_classes": _absent_classes(parts),
    }
    audit["passed"] = all(audit["n_windows"].values()) and not any(audit[key] for key in _SHARED)
    return audit


def require_no_leak(audit: Mapping[str, Any]) -> None:
    """Refuse a split that did not pass its audit.

    Raises
    ------
    SplitError
        With what the parts share.
    """
    if audit["passed"]:
        return
    empty = [f"no windows in {part}" for part, count in audit["n_windows"].items() if not count]
    found = [f"{audit[key]} {key.replace('_', ' ')}" for key in _SHARED if audit[key]]
    examples = f" (such as {audit['identical_examples'][0]})" if audit["identical_examples"] else ""
    raise SplitError(
        "the parts of a split must have windows and nothing in common", ", ".join(empty + found) + examples,
        "Look for recordings that are stored twice or under two subjects, and for subjects without windows.",
    )


def require_classes(audit: Mapping[str, Any]) -> None:
    """Refuse a split whose test subjects do something that no training subject does.

    Raises
    ------
    DataError
        With the classes that are tested and absent from training.
    """
    if audit["absent_classes"]:
        raise DataError(
            "every tested class must occur in training", f"{', '.join(audit['absent_classes'])} absent",
            "Choose another split or leave these classes out of the data.",
        )


def _n_shared(members: Mapping[str, set[Any]]) -> int:
    """Count what is in more than one part."""
    return len(set().union(*(one & other for one, other in combinations(members.values(), 2))))


def _absent_classes(parts: Mapping[str, Windows]) -> list[str]:
    """Name the classes that are tested and never trained."""
    tested = parts["test"].label
    absent = np.setdiff1d(tested[tested >= 0], parts["train"].label)
    return [parts["test"].label_set.names[number] for number in absent]


def _shared_rows(parts: Mapping[str, Windows], column: int, signal: Signal) -> int:
    """Count the rows of one signal's array that lie in windows of more than one part."""
    begins = {part: own.rows[signal.name][own.present[:, column]] for part, own in parts.items()}
    n_samples = signal.n_samples(parts["train"].window_s)
    n_rows = int(max((rows.max() + n_samples for rows in begins.values() if len(rows)), default=0))
    n_parts = np.zeros(n_rows, np.int8)
    for rows in begins.values():
        depth = np.cumsum(np.bincount(rows, minlength=n_rows + 1) - np.bincount(rows + n_samples, minlength=n_rows + 1))
        n_parts += depth[:n_rows] > 0
    return int((n_parts > 1).sum())


def _compare(windows: Windows, indices: Mapping[str, NDArray[np.int64]], store: _Store) -> dict[str, Any]:
    """Look for windows whose content occurs in another part, in one signal per recording."""
    names = list(indices)
    part = np.full(len(windows), -1)
    for code, index in enumerate(indices.values()):
        part[index] = code
    todo = part >= 0
    n_compared = 0
    found: list[str] = []
    for column, signal in sorted(enumerate(store.spec), key=lambda item: -item[1].rate_hz * len(item[1].channels)):
        chosen = np.flatnonzero(todo & windows.present[:, column])
        own = windows.take(chosen)
        compared, twin = _twins(own, part[chosen], signal, store)
        n_compared += int(compared.sum())
        for number in np.flatnonzero(twin >= 0).tolist():
            here, there = store.recordings[own.recording[number]].name, store.recordings[twin[number]].name
            found.append(f"{names[part[chosen[number]]]} '{here}' at {own.start_s[number]:g} s, also in '{there}'")
        todo &= ~np.isin(windows.recording, own.recording[compared])
    return {"identical_windows": len(found), "identical_examples": found[:5], "compared_windows": n_compared}


def _twins(
    windows: Windows, part: NDArray[np.int64], signal: Signal, store: _Store
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Find each window's content in the recordings of other parts.

    Returns
    -------
    tuple
        (N,) whether the window could be compared; (N,) a recording of another part that holds it, or -1.
    """
    if not len(windows):
        return np.zeros(0, np.bool_), np.zeros(0, np.int64)
    numbers, seat, inverse = np.unique(windows.recording, return_index=True, return_inverse=True)
    n_samples = signal.n_samples(windows.window_s)
    spans = np.array([store.recordings[number].rows[signal.name] for number in numbers])
    array = store.array(signal.name)
    prints = [_fingerprints(array[first : first + n_rows], n_samples) for first, n_rows in spans]
    n_prints = [len(values) for values in prints]
    every = np.concatenate(prints)
    own = every[(np.cumsum(n_prints) - n_prints - spans[:, 0])[inverse] + windows.rows[signal.name]]
    known = np.unique(own)
    place = np.minimum(np.searchsorted(known, every), len(known) - 1)
    hit = known[place] == every
    holder = np.full((part.max() + 1, len(known)), -1)
    holder[np.repeat(part[seat], n_prints)[hit], place[hit]] = np.repeat(numbers, n_prints)[hit]
    holders = holder[:, np.searchsorted(known, own)]
    holders[part, np.arange(len(windows))] = -1  # a part may repeat itself
    return own != 0, np.where(own != 0, holders.max(axis=0), -1)


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
