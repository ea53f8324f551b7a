"""Find stretches that stand twice in a store, bit by bit: in two recordings, of one or of two subjects, or in one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from dcdp.data.quality.anchors import Anchors
from dcdp.data.quality.figures import Copy
from dcdp.data.store import Store
from dcdp.records import Signal, Windows

__all__ = ["Stretch", "find_stretches", "join_stretches", "shared_windows"]

_MOST_PAIRS = 2048  # pairs of recordings and shifts that are compared, those with most anchors first
_STEP = 1 << 14
_SAME_SHIFT_S = 0.5


@dataclass(frozen=True, slots=True)
class Stretch:
    """Rows of one signal that are equal in two places: recordings by number, rows from each recording's first one."""

    signal: str
    recording: int
    other: int
    row: int
    other_row: int
    n_rows: int


def find_stretches(store: Store, signal: Signal, anchors: Anchors, shortest_s: float) -> list[Stretch]:
    """Compare the places whose fingerprints agree, value by value, and follow each agreement to both ends.

    Where more than two places agree, each is compared with one other, of another subject if there is one: the work
    stays linear, and no stretch that two subjects share is missed.

    Parameters
    ----------
    shortest_s
        Shorter stretches are left out [s].
    """
    prints, rows = anchors.collected()
    spans = _Spans.of(store, signal.name)
    place, other = _pairs(prints, rows, spans)
    n_least = max(round(shortest_s * signal.rate_hz), anchors.n_rows)
    bits = store.array(signal.name)
    found = []
    for first, second, at in _diagonals(rows[place], rows[other], spans):
        low, high = spans.common(first, second, at[1])
        for begin, end in _equal(bits, at[0], at[1], anchors.n_rows, low, high):
            rhythm = first == second and end - begin > at[1]  # it overlaps itself when moved
            if end - begin >= n_least and not rhythm:
                a, b = spans.first[first], spans.first[second]
                numbers = int(spans.number[first]), int(spans.number[second])
                found.append(Stretch(signal.name, *numbers, int(begin - a), int(begin + at[1] - b), int(end - begin)))
    return found


@dataclass(frozen=True, slots=True)
class _Spans:
    """Recordings in the order of a signal's array: first rows, stops, numbers, subject codes, (R,) each."""

    first: NDArray[np.int64]
    stop: NDArray[np.int64]
    number: NDArray[np.int64]
    subject: NDArray[np.int64]

    @classmethod
    def of(cls, store: Store, signal: str) -> _Spans:
        names = {subject: code for code, subject in enumerate(store.subjects)}
        rows = sorted(
            (*entry.rows[signal], number, names[entry.subject])
            for number, entry in enumerate(store.recordings)
            if entry.rows.get(signal, (0, 0))[1]
        )
        table = np.array(rows, np.int64).reshape(-1, 4)
        return cls(table[:, 0], table[:, 0] + table[:, 1], table[:, 2], table[:, 3])

    def at(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.searchsorted(self.first, rows, side="right") - 1

    def common(self, first: int, second: int, shift: int) -> tuple[int, int]:
        """Return the rows of ``first`` that lie in ``second`` when moved by ``shift``."""
        low = max(self.first[first], self.first[second] - shift)
        high = min(self.stop[first], self.stop[second] - shift)
        return int(low), int(high)


def _pairs(
    prints: NDArray[np.uint64], rows: NDArray[np.int64], spans: _Spans
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pair each anchor with one of equal print: indices, the lower first, each pair once."""
    order = np.argsort(prints, kind="stable")
    new = np.ones(len(order), np.bool_)
    new[1:] = prints[order[1:]] != prints[order[:-1]]
    size = np.diff(np.append(np.flatnonzero(new), len(order)))
    order = order[np.repeat(size > 1, size)]
    size = size[size > 1]
    if not len(size):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    start = np.cumsum(size) - size
    subject = spans.subject[spans.at(rows[order])]
    first = np.repeat(start, size)
    differs = subject != subject[first]
    nobody = len(order)
    stranger = np.repeat(np.minimum.reduceat(np.where(differs, np.arange(nobody), nobody), start), size)
    before = np.maximum(np.arange(nobody) - 1, first)  # of one subject alone: each with the one before it
    partner = np.where(differs, first, np.where(stranger == nobody, before, stranger))
    use = partner != np.arange(nobody)
    pair = np.column_stack([order[use], order[partner[use]]])
    pair.sort(axis=1)
    pair = np.unique(pair, axis=0)
    return pair[:, 0], pair[:, 1]


def _diagonals(
    row: NDArray[np.int64], other: NDArray[np.int64], spans: _Spans
) -> Iterator[tuple[int, int, tuple[NDArray[np.int64], int]]]:
    """Group pairs of rows by recordings and shift: (place of one, of the other, (rows of the one, shift))."""
    first, second, shift = spans.at(row), spans.at(other), other - row
    if not len(row):
        return
    order = np.lexsort((row, shift, second, first))
    row, key = row[order], np.column_stack([first, second, shift])[order]
    opens = np.flatnonzero(np.concatenate([[True], (key[1:] != key[:-1]).any(axis=1)]))
    ends = np.append(opens[1:], len(row))
    chosen = np.argsort(opens - ends, kind="stable")[:_MOST_PAIRS]
    for i in np.sort(chosen):
        yield int(key[opens[i], 0]), int(key[opens[i], 1]), (row[opens[i] : ends[i]], int(key[opens[i], 2]))


def _equal(
    values: NDArray[np.float32], anchors: NDArray[np.int64], shift: int, n_rows: int, low: int, high: int
) -> Iterator[tuple[int, int]]:
    """Yield the stretches [begin, end) in [low, high) that hold an anchor and equal the rows ``shift`` further on."""
    done = low
    for anchor in anchors.tolist():
        if anchor < done:
            continue
        if not _same(values, anchor, anchor + n_rows, shift).all():  # two fingerprints that agree by chance
            continue
        begin = _backwards(values, anchor, max(done, low), shift)
        done = _forwards(values, anchor + n_rows, high, shift)
        yield begin, done


def _same(values: NDArray[np.float32], begin: int, end: int, shift: int) -> NDArray[np.bool_]:
    one, other = values[begin:end], values[begin + shift : end + shift]
    equal: NDArray[np.bool_] = (one.view(np.uint32) == other.view(np.uint32)).all(axis=1)
    return equal


def _forwards(values: NDArray[np.float32], begin: int, stop: int, shift: int) -> int:
    while begin < stop:
        end = min(begin + _STEP, stop)
        differs = ~_same(values, begin, end, shift)
        if differs.any():
            return begin + int(differs.argmax())
        begin = end
    return stop


def _backwards(values: NDArray[np.float32], end: int, start: int, shift: int) -> int:
    while end > start:
        begin = max(end - _STEP, start)
        differs = ~_same(values, begin, end, shift)
        if differs.any():
            return end - int(differs[::-1].argmax())
        end = begin
    return start


def join_stretches(store: Store, stretches: Iterable[Stretch], windows: Windows) -> tuple[Copy, ...]:
    """Put the stretches of all signals together: one `Copy` for each pair of recordings and shift, longest first."""

    def place(one: Stretch) -> tuple[int, int, float]:
        return one.recording, one.other, _shift_s(store, one)

    copies = []
    for _, pair in groupby(sorted(stretches, key=place), key=lambda one: (one.recording, one.other)):
        cluster: list[Stretch] = []
        for one in pair:
            if cluster and _shift_s(store, one) - _shift_s(store, cluster[0]) > _SAME_SHIFT_S:
                copies.append(_copy(store, cluster, windows))
                cluster = []
            cluster.append(one)
        copies.append(_copy(store, cluster, windows))
    return tuple(sorted(copies, key=lambda copy: -copy.total_s))


def _shift_s(store: Store, one: Stretch) -> float:
    return _start_s(store, one.other, one.signal, one.other_row) - _start_s(
        store, one.recording, one.signal, one.row
    )


def _start_s(store: Store, number: int, signal: str, row: int) -> float:
    return float(store.recordings[number].start_s[signal] + row / store.spec[signal].rate_hz)


def _copy(store: Store, cluster: Sequence[Stretch], windows: Windows) -> Copy:
    rates = {one.signal: store.spec[one.signal].rate_hz for one in cluster}
    longest = max(cluster, key=lambda one: one.n_rows / rates[one.signal])
    total_s: dict[str, float] = {}
    for one in cluster:
        total_s[one.signal] = total_s.get(one.signal, 0.0) + one.n_rows / rates[one.signal]
    entry, other = store.recordings[longest.recording], store.recordings[longest.other]
    inside = _inside(store, windows, ((one, one.recording, one.row) for one in cluster))
    return Copy(
        entry.name, other.name, entry.subject, other.subject,
        _start_s(store, longest.recording, longest.signal, longest.row),
        _start_s(store, longest.other, longest.signal, longest.other_row),
        longest.n_rows / rates[longest.signal], max(total_s.values()),
        tuple(name for name in store.spec.names if name in total_s),
        longest.n_rows == min(entry.rows[longest.signal][1], other.rows[longest.signal][1]),
        int(inside.sum()),
    )  # fmt: skip


def shared_windows(store: Store, stretches: Iterable[Stretch], windows: Windows) -> NDArray[np.bool_]:
    """Return which windows lie in a stretch that also stands in a recording of another subject, (N,)."""
    subjects = [entry.subject for entry in store.recordings]
    between = [one for one in stretches if subjects[one.recording] != subjects[one.other]]
    sides = [(one, one.recording, one.row) for one in between] + [(one, one.other, one.other_row) for one in between]
    return _inside(store, windows, sides)


def _inside(store: Store, windows: Windows, sides: Iterable[tuple[Stretch, int, int]]) -> NDArray[np.bool_]:
    """Return which windows lie in one of the stretches: (stretch, recording, first row in it)."""
    inside = np.zeros(len(windows), np.bool_)
    column: Mapping[str, int] = {name: place for place, name in enumerate(store.spec.names)}
    for one, number, row in sides:
        n_samples = store.spec[one.signal].n_samples(windows.window_s)
        low, high = np.searchsorted(windows.recording, [number, number + 1])
        own = slice(int(low), int(high))
        start = windows.rows[one.signal][own] - store.recordings[number].rows[one.signal][0]
        there = windows.present[own, column[one.signal]]
        inside[own] |= there & (start >= row) & (start + n_samples <= row + one.n_rows)
    return inside
