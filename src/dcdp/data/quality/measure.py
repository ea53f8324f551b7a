"""Measure a store: every value once, in blocks, into `Quality`."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from dcdp.data.index import RecordingEntry
from dcdp.data.quality.copies import find_stretches, join_stretches, shared_windows
from dcdp.data.quality.figures import (
    QUANTILES,
    ChannelFigures,
    CoverageFigures,
    GapFigures,
    Quality,
    RecordingFigures,
    SignalFigures,
)
from dcdp.data.quality.frames import frames_of
from dcdp.data.quality.scan import Scan, is_accelerometer, scan_signal
from dcdp.data.store import Store
from dcdp.errors import DataError
from dcdp.records import Signal, Windows
from dcdp.signals.units import check_gravity, gravity_mps2
from dcdp.signals.windows import WindowConfig, cut_windows

__all__ = ["labelled_seconds", "measure_store"]

_N_BINS = 60
_N_SPANS = 100

Progress = Callable[[int, int, str], None]
Spans = NDArray[np.int64]


def measure_store(store: Store, progress: Progress | None = None) -> Quality:
    """Measure a store; nothing is judged.

    Peak memory is that of some blocks, a fingerprint for every dozen rows up to 2 million, and the windows' places;
    it does not grow with the values.

    Parameters
    ----------
    progress
        Called as ``progress(done, total, text)`` before each signal.
    """
    windows_at = WindowConfig(short="drop")
    signals, stretches, copies_from_s = [], [], 0.0
    spans: dict[str, tuple[Spans, list[Spans]]] = {}
    for done, signal in enumerate(store.spec):
        if progress is not None:
            progress(done, len(store.spec), signal.name)
        scan = scan_signal(store, signal)
        signals.append(_signal(store, signal, scan))
        spans[signal.name] = scan.gaps, scan.stuck
        stretches += find_stretches(store, signal, scan.anchors, windows_at.window_s)
        copies_from_s = max(copies_from_s, windows_at.window_s, scan.anchors.found_from_rows / signal.rate_hz)
    windows = _windows(store, {name: gaps for name, (gaps, _) in spans.items()}, windows_at)
    if progress is not None:
        progress(len(store.spec), len(store.spec), "windows")
    return Quality(
        tuple(signals), _recordings(store, spans), _coverage(store, windows, windows_at),
        join_stretches(store, stretches, windows), int(shared_windows(store, stretches, windows).sum()), copies_from_s,
    )  # fmt: skip


def _signal(store: Store, signal: Signal, scan: Scan) -> SignalFigures:
    n_rows = np.array([entry.rows.get(signal.name, (0, 0))[1] for entry in store.recordings])
    values = scan.runs.reshape(-1, len(signal.channels))
    rest = problem = None
    if is_accelerometer(signal) and len(values):
        rest, problem = gravity_mps2(values), check_gravity(values, signal.unit)
    return SignalFigures(
        signal.name, signal.modality, signal.placement, signal.unit, signal.rate_hz, int(n_rows.sum()),
        int((n_rows > 0).sum()), _gaps(scan.gaps, signal.rate_hz, int(n_rows.sum())),
        tuple(_channel(store, signal, scan, n_rows, place) for place in range(len(signal.channels))),
        frames_of(store, signal, scan) if len(scan.runs) else (),
        rest if rest is not None and np.isfinite(rest) else None, problem,
    )  # fmt: skip


def _gaps(spans: Spans, rate_hz: float, n_rows: int) -> GapFigures:
    if not len(spans):
        return GapFigures()
    lengths = spans[:, 2] - spans[:, 1]
    n_missing = int(lengths.sum())
    return GapFigures(len(spans), float(lengths.max() / rate_hz), n_missing / rate_hz, n_missing / n_rows)


def _channel(store: Store, signal: Signal, scan: Scan, n_rows: NDArray[np.int64], place: int) -> ChannelFigures:
    n_total, n_missing = int(n_rows.sum()), int(scan.n_missing[:, place].sum())
    low, high = np.fmin.reduce(scan.low[:, place]), np.fmax.reduce(scan.high[:, place])
    stuck = scan.stuck[place]
    quantiles, counts = _spread(scan.sample[:, place])
    return ChannelFigures(
        signal.channels[place], n_total - n_missing, n_missing / n_total if n_total else 1.0,
        None if np.isnan(low) else float(low), None if np.isnan(high) else float(high), quantiles, counts,
        int(scan.at_low[scan.low[:, place] == low, place].sum()),
        int(scan.at_high[scan.high[:, place] == high, place].sum()),
        float((stuck[:, 2] - stuck[:, 1]).sum() / max(n_total, 1)), _stuck_on(store, scan, place),
    )  # fmt: skip


def _spread(sample: NDArray[np.float32]) -> tuple[tuple[float, ...], tuple[int, ...]]:
    values = sample[np.isfinite(sample)].astype(np.float64)
    if not len(values):
        return (), ()
    quantiles = np.quantile(values, QUANTILES)
    low, high = quantiles[0], quantiles[-1]
    width = (high - low) / _N_BINS
    if not width > 0:
        return tuple(quantiles.tolist()), (len(values),)
    bins = np.clip((values - low) / width, 0, _N_BINS - 1).astype(np.int64)
    return tuple(quantiles.tolist()), tuple(np.bincount(bins, minlength=_N_BINS).tolist())


def _stuck_on(store: Store, scan: Scan, place: int) -> dict[str, float]:
    """Return the subjects on whom a channel has one level throughout, with that level."""
    _, code = np.unique([entry.subject for entry in store.recordings], return_inverse=True)
    low, high = (np.full(len(store.subjects), np.nan, np.float32) for _ in range(2))
    np.fmin.at(low, code, scan.low[:, place])
    np.fmax.at(high, code, scan.high[:, place])
    return {store.subjects[i]: float(low[i]) for i in np.flatnonzero(low == high)}


def _recordings(store: Store, spans: dict[str, tuple[Spans, list[Spans]]]) -> tuple[RecordingFigures, ...]:
    n = len(store.recordings)
    gaps = {name: _by_recording(found, n) for name, (found, _) in spans.items()}
    stuck = {name: [_by_recording(one, n) for one in channels] for name, (_, channels) in spans.items()}
    return tuple(
        _recording(
            store, entry, {name: own[i] for name, own in gaps.items()},
            {name: [one[i] for one in own] for name, own in stuck.items()},
        )
        for i, entry in enumerate(store.recordings)
    )


def _by_recording(spans: Spans, n_recordings: int) -> list[Spans]:
    """Split merged spans by recording: the spans of each, (n, 2)."""
    edges = np.searchsorted(spans[:, 0], np.arange(n_recordings + 1))
    return [spans[low:high, 1:] for low, high in pairwise(edges.tolist())]


def _recording(
    store: Store, entry: RecordingEntry, gaps: dict[str, Spans], stuck: dict[str, list[Spans]]
) -> RecordingFigures:
    rates = {name: store.spec[name].rate_hz for name, (_, n) in entry.rows.items() if n}
    extents = {
        name: (entry.start_s[name], entry.start_s[name] + entry.rows[name][1] / rate) for name, rate in rates.items()
    }
    with_gaps = {name: own for name, own in gaps.items() if len(own)}
    joined = {name: np.concatenate(channels) for name, channels in stuck.items()}
    flat_s = {
        channel: float((own[:, 1] - own[:, 0]).max() / rates[signal.name])
        for signal in store.spec
        for channel, own in zip(signal.channels, stuck[signal.name], strict=True)
        if len(own)
    }

    def clock(found: dict[str, Spans]) -> dict[str, tuple[tuple[float, float], ...]]:
        return {name: _longest(own, extents[name][0], rates[name]) for name, own in found.items() if len(own)}

    return RecordingFigures(
        entry.name, entry.subject, entry.session,
        min((start for start, _ in extents.values()), default=0.0),
        max((stop for _, stop in extents.values()), default=0.0),
        extents,
        {name: _gaps(np.pad(own, ((0, 0), (1, 0))), rates[name], entry.rows[name][1])
         for name, own in with_gaps.items()},
        clock(with_gaps), flat_s, clock(joined), entry.notes,
    )  # fmt: skip


def _longest(spans: Spans, start_s: float, rate_hz: float) -> tuple[tuple[float, float], ...]:
    """Return the longest spans on the recording's clock, in order of time."""
    chosen = np.argsort(spans[:, 0] - spans[:, 1], kind="stable")[:_N_SPANS]
    times = start_s + spans[np.sort(chosen)] / rate_hz
    return tuple((float(low), float(high)) for low, high in times[np.argsort(times[:, 0], kind="stable")])


def labelled_seconds(store: Store) -> dict[str, dict[str, float]]:
    """Return subject -> class -> time in its segments [s]; without the null class."""
    seconds: dict[str, dict[str, float]] = {subject: {} for subject in store.subjects}
    for entry in store.recordings:
        own = seconds[entry.subject]
        for segment in entry.segments:
            if segment.label != store.labels.null_label:
                own[segment.label] = own.get(segment.label, 0.0) + segment.stop_s - segment.start_s
    return seconds


def _coverage(store: Store, windows: Windows, config: WindowConfig) -> CoverageFigures:
    classes = tuple(name for name in store.labels.names if name != store.labels.null_label)
    seconds = labelled_seconds(store)
    recorded = dict.fromkeys(store.subjects, 0.0)
    for entry in store.recordings:
        spans = [(entry.start_s[name], entry.start_s[name] + n / store.spec[name].rate_hz)
                 for name, (_, n) in entry.rows.items() if n]  # fmt: skip
        recorded[entry.subject] += max((b for _, b in spans), default=0.0) - min((a for a, _ in spans), default=0.0)
    counts = np.zeros((len(store.subjects), len(classes)), np.int64)
    known = windows.label >= 0
    np.add.at(counts, (np.searchsorted(store.subjects, windows.subject[known]), windows.label[known]), 1)
    return CoverageFigures(
        store.subjects, classes, store.labels.null_label, tuple(recorded.values()),
        tuple(tuple(seconds[subject].get(label, 0.0) for label in classes) for subject in store.subjects),
        config.window_s, config.stride_s, tuple(map(tuple, counts.tolist())),
    )  # fmt: skip


def _windows(store: Store, gaps: dict[str, Spans], config: WindowConfig) -> Windows:
    """Cut the default windows from what is known of the gaps: the values are not read again."""
    try:
        return cut_windows(cast("Any", _GapStore(store, gaps)), config)
    except DataError:  # no window holds an activity: there is nothing to count
        none = np.empty(0, np.int64)
        return Windows(
            config.window_s, none, np.empty(0), dict.fromkeys(store.spec.names, none),
            np.empty((0, len(store.spec)), np.bool_), none, np.empty(0, np.str_), store.labels,
        )  # fmt: skip


class _GapStore:
    """What the cutting of windows reads of a store, but one channel a signal: 0 where it was measured, else NaN."""

    def __init__(self, store: Store, gaps: dict[str, Spans]) -> None:
        self.spec, self.labels, self.recordings = store.spec, store.labels, store.recordings
        self._arrays = {signal.name: _GapArray(store, signal.name, gaps[signal.name]) for signal in store.spec}

    def array(self, signal: str, /) -> _GapArray:
        return self._arrays[signal]


class _GapArray:
    """Rows of a signal made from its gaps when they are asked for."""

    def __init__(self, store: Store, signal: str, gaps: Spans) -> None:
        self._n = len(store.array(signal))
        first = np.array([entry.rows.get(signal, (0, 0))[0] for entry in store.recordings], np.int64)
        rows = gaps[:, 1:] + first[gaps[:, 0], None]
        self._gaps = rows[np.argsort(rows[:, 0], kind="stable")]
        self._measured = np.broadcast_to(np.float32(0), (self._n, 1))

    def __len__(self) -> int:
        return self._n

    def __getitem__(self, rows: slice) -> NDArray[np.float32]:
        if not len(self._gaps):
            return self._measured[rows]
        start, stop, _ = rows.indices(self._n)
        low = np.searchsorted(self._gaps[:, 1], start, side="right")
        high = np.searchsorted(self._gaps[:, 0], stop)
        if low >= high:
            return self._measured[rows]
        values = np.zeros((stop - start, 1), np.float32)
        for begin, end in np.clip(self._gaps[low:high], start, stop) - start:
            values[begin:end] = np.nan
        return values
