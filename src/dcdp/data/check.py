"""Look a store over before training: dead channels, gaps, clipping, labels, gravity."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dcdp.data.index import RecordingEntry
from dcdp.data.store import Store
from dcdp.errors import DataError
from dcdp.records import Signal
from dcdp.signals.units import check_gravity

__all__ = ["Finding", "check_store", "require_trainable"]

_NAN_SHARE = 0.05
_CLIPPED_SHARE = 0.01
_LABELLED_SHARE = 0.5

_SEVERITIES = ("error", "warning", "note")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something odd in a store.

    Attributes
    ----------
    severity
        ``error`` forbids training, ``warning`` needs a look, ``note`` is good to know.
    rule, where, value, remedy
        The rule that is broken, the place, the value that breaks it, what to do.
    """

    severity: Literal["error", "warning", "note"]
    rule: str
    where: str
    value: str
    remedy: str


@dataclass(frozen=True, slots=True)
class _Extent:
    """Extremes and number of measured values of one signal, for each recording that has it: (R, C) each."""

    entries: tuple[RecordingEntry, ...]
    low: NDArray[np.float32]
    high: NDArray[np.float32]
    n_measured: NDArray[np.int64]

    def of_subject(self, subject: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        own = np.array([entry.subject == subject for entry in self.entries], np.bool_)
        return np.fmin.reduce(self.low[own], axis=0), np.fmax.reduce(self.high[own], axis=0)


def check_store(store: Store) -> list[Finding]:
    """Return what is odd in a store, the worst first.

    Every channel is read about three times, in whole arrays.
    """
    found = [*_check_subjects(store), *_check_labels(store), *_check_classes(store)]
    for signal in store.spec:
        found += _check_signal(store, signal)
    return sorted(found, key=lambda finding: _SEVERITIES.index(finding.severity))


def require_trainable(store: Store) -> None:
    """Refuse a store from which nothing can be learned.

    Raises
    ------
    DataError
        For the first finding that is an error: a constant channel, no label, one subject only.
    """
    errors = [finding for finding in check_store(store) if finding.severity == "error"]
    if errors:
        first = errors[0]
        others = f" ({len(errors) - 1} more: see 'dcdp data check')" if len(errors) > 1 else ""
        raise DataError(first.rule, f"{first.value} in {first.where}", first.remedy + others)


def _check_subjects(store: Store) -> Iterator[Finding]:
    if len(store.subjects) < 2:
        yield Finding("error", "training must have two subjects or more", "the whole set",
                      f"only {', '.join(store.subjects)}", "Add the recordings of other people.")


def _check_labels(store: Store) -> Iterator[Finding]:
    span_s = sum(_span_s(store, entry) for entry in store.recordings)
    labelled_s = sum(
        segment.stop_s - segment.start_s
        for entry in store.recordings
        for segment in entry.segments
        if segment.label != store.labels.null_label
    )
    share = labelled_s / span_s if span_s else 0.0
    if not labelled_s:
        yield Finding("error", "recordings must have labels", "the whole set", "the null class only",
                      "Check the annotation files.")
    elif share < _LABELLED_SHARE:
        yield Finding("note", f"at least {_LABELLED_SHARE:.0%} of the time should be labelled", "the whole set",
                      f"{share:.1%}", "The rest is the null class: keep or drop its windows.")


def _span_s(store: Store, entry: RecordingEntry) -> float:
    """Return the length of a recording's longest signal [s]."""
    return max((n / store.spec[signal].rate_hz for signal, (_, n) in entry.rows.items()), default=0.0)


def _check_classes(store: Store) -> Iterator[Finding]:
    activities = [name for name in store.labels.names if name != store.labels.null_label]
    seen: dict[str, set[str]] = {subject: set() for subject in store.subjects}
    for entry in store.recordings:
        seen[entry.subject].update(segment.label for segment in entry.segments)
    everywhere = set().union(*seen.values())
    nowhere = [name for name in activities if name not in everywhere]
    if nowhere:
        yield Finding("warning", "every class should have a segment", "the whole set", f"none of {', '.join(nowhere)}",
                      "A class without examples cannot be learned: leave it out.")
    for subject, own in seen.items():
        lacking = [name for name in activities if name in everywhere and name not in own]
        if lacking:
            yield Finding("note", "every subject should show every class", subject, f"none of {', '.join(lacking)}",
                          "Scores of this subject do not include these classes.")


def _check_signal(store: Store, signal: Signal) -> Iterator[Finding]:
    extent = _extent(store, signal)
    if not extent.n_measured.any():
        yield Finding("error", "a signal must be measured", signal.name, "no value in the whole set",
                      "Leave the signal out of the branches.")
        return
    constant = np.fmin.reduce(extent.low, axis=0) == np.fmax.reduce(extent.high, axis=0)
    yield from _check_constant(store, signal, extent, constant)
    yield from _check_missing(signal, extent)
    yield from _check_clipping(store, signal, extent, constant)
    if signal.modality == "acc" and len(signal.channels) == 3:
        yield from _check_gravity(store, signal)


def _extent(store: Store, signal: Signal) -> _Extent:
    values = store.array(signal.name)
    entries = tuple(entry for entry in store.recordings if entry.rows.get(signal.name, (0, 0))[1])
    if not entries:
        empty = np.empty((0, len(signal.channels)), np.float32)
        return _Extent(entries, empty, empty, np.empty(empty.shape, np.int64))
    first = np.array([entry.rows[signal.name][0] for entry in entries])
    n_rows = np.array([entry.rows[signal.name][1] for entry in entries])
    low, high = np.fmin.reduceat(values, first), np.fmax.reduceat(values, first)
    # The plain sum of a recording is finite unless it holds a gap: only then is it worth counting.
    n_measured = np.repeat(n_rows[:, None], values.shape[1], axis=1)
    gaps = ~np.isfinite(np.add.reduceat(values, first, dtype=np.float64)).all(axis=1)
    for i in np.flatnonzero(gaps):
        n_measured[i] = (~np.isnan(values[first[i] : first[i] + n_rows[i]])).sum(axis=0)
    return _Extent(entries, low, high, n_measured)


def _check_constant(
    store: Store, signal: Signal, extent: _Extent, constant: NDArray[np.bool_]
) -> Iterator[Finding]:
    rule, remedy = "a channel must vary", "The sensor is dead or its column is wrong: leave the signal out."
    for channel, level in zip(np.flatnonzero(constant), np.fmin.reduce(extent.low, axis=0)[constant], strict=True):
        yield Finding("error", rule, signal.channels[channel], f"{level:g} throughout", remedy)
    for subject in store.subjects:
        if not any(entry.subject == subject for entry in extent.entries):
            continue
        low, high = extent.of_subject(subject)
        for channel in np.flatnonzero((low == high) & ~constant):
            yield Finding("warning", rule, f"{signal.channels[channel]} of {subject}", f"{low[channel]:g} throughout",
                          "The sensor was dead on this subject: expect its branch to mislead there.")


def _check_missing(signal: Signal, extent: _Extent) -> Iterator[Finding]:
    n_rows = sum(entry.rows[signal.name][1] for entry in extent.entries)
    shares = 1 - extent.n_measured.sum(axis=0) / n_rows
    for channel in np.flatnonzero(shares > 0):
        share = float(shares[channel])
        if share == 1:
            yield Finding("error", "a channel must be measured", signal.channels[channel], "no value in the whole set",
                          "Leave the signal out of the branches.")
        else:
            yield Finding("warning" if share > _NAN_SHARE else "note", "a channel should have no long gaps",
                          signal.channels[channel], f"{share:.2%} missing",
                          "Windows with a long gap count the signal as absent.")


def _check_clipping(
    store: Store, signal: Signal, extent: _Extent, constant: NDArray[np.bool_]
) -> Iterator[Finding]:
    values, n_measured = store.array(signal.name), extent.n_measured.sum(axis=0)
    bounds = {"lowest": np.fmin.reduce(extent.low, axis=0), "highest": np.fmax.reduce(extent.high, axis=0)}
    for which, bound in bounds.items():
        shares = (values == bound).sum(axis=0) / np.maximum(n_measured, 1)
        for channel in np.flatnonzero((shares > _CLIPPED_SHARE) & ~constant):
            yield Finding("warning", "a channel should not sit at its limit", signal.channels[channel],
                          f"{shares[channel]:.1%} of the values at the {which}, {bound[channel]:g}",
                          "The sensor's range is too small, or a default value stands for a gap.")


def _check_gravity(store: Store, signal: Signal) -> Iterator[Finding]:
    values = store.array(signal.name)
    step = math.ceil(len(values) / 500_000)  # a share of the recordings is enough to tell g from m/s2
    entries = [entry for entry in store.recordings if entry.rows.get(signal.name, (0, 0))[1]][::step]
    rows = [slice(first, first + n) for first, n in (entry.rows[signal.name] for entry in entries)]
    problem = check_gravity(np.concatenate([values[part] for part in rows]), signal.unit)
    if problem:
        yield Finding("warning", "acceleration at rest should be 9.8 m/s2", signal.name, problem,
                      "Check the unit in the data set's declaration.")
