"""Read every value of a signal once, and keep what the figures are made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dcdp.data.quality.anchors import Anchors
from dcdp.data.quality.blocks import Block, read_blocks
from dcdp.data.quality.stretches import count_at_limits, merge_spans, missing_spans, stuck_spans
from dcdp.data.store import Store
from dcdp.records import Signal

__all__ = ["RUN_ROWS", "Scan", "is_accelerometer", "scan_signal", "stuck_rows"]

RUN_ROWS = 32
"""Rows of the short runs from which gravity is judged, as in `dcdp.signals.units.gravity_mps2`."""

# Sensors whose noise alone changes their value from sample to sample; a heart rate may well stay the same.
_RESTLESS = ("acc", "ecg", "emg", "gyr", "mag")
_RESTLESS_STUCK_S, _OTHER_STUCK_S, _LEAST_STUCK_ROWS = 2.0, 60.0, 25
_N_SAMPLE = 1 << 17
_N_RUNS = 1 << 14


@dataclass(slots=True)
class Scan:
    """What one reading of a signal leaves behind, by recording (R of the store) and channel (C).

    Attributes
    ----------
    low, high
        (R, C) extremes; NaN without a value.
    n_missing
        (R, C) NaN values.
    at_low, at_high
        (R, C) values that sit at that recording's extreme for three samples or more.
    gaps
        (n, 3) recording, [start, stop) in its rows: rows with NaN.
    stuck
        For each channel, (n, 3): stretches without a change.
    sample
        (S, C) evenly spread rows.
    runs, run_recordings, run_rows
        Evenly spread runs (N, RUN_ROWS, C) of an accelerometer, the recording of each and its first row there.
    anchors
        Fingerprints, to find copies.
    """

    low: NDArray[np.float32]
    high: NDArray[np.float32]
    n_missing: NDArray[np.int64]
    at_low: NDArray[np.int64]
    at_high: NDArray[np.int64]
    gaps: NDArray[np.int64]
    stuck: list[NDArray[np.int64]]
    sample: NDArray[np.float32]
    runs: NDArray[np.float32]
    run_recordings: NDArray[np.int64]
    run_rows: NDArray[np.int64]
    anchors: Anchors


def is_accelerometer(signal: Signal) -> bool:
    """Whether gravity shows in the signal: acceleration along three axes."""
    return signal.modality == "acc" and len(signal.channels) == 3


def stuck_rows(signal: Signal) -> int:
    """Return how many equal samples in a row count as stuck."""
    stuck_s = _RESTLESS_STUCK_S if signal.modality in _RESTLESS else _OTHER_STUCK_S
    return max(round(stuck_s * signal.rate_hz), _LEAST_STUCK_ROWS)


def scan_signal(store: Store, signal: Signal) -> Scan:
    """Read a signal once, in blocks."""
    shape = len(store.recordings), len(signal.channels)
    n_total = sum(entry.rows.get(signal.name, (0, 0))[1] for entry in store.recordings)
    anchors = Anchors(signal.rate_hz)
    n_stuck = stuck_rows(signal)
    n_missing, at_low, at_high = np.zeros((3, *shape), np.int64)
    scan = Scan(
        np.full(shape, np.nan, np.float32), np.full(shape, np.nan, np.float32), n_missing, at_low, at_high,
        np.empty((0, 3), np.int64), [], np.empty((0, shape[1]), np.float32),
        np.empty((0, RUN_ROWS, shape[1]), np.float32), np.empty(0, np.int64), np.empty(0, np.int64), anchors,
    )  # fmt: skip
    parts = _Parts(shape[1], is_accelerometer(signal))
    for block in read_blocks(store, signal, max(anchors.n_overlap, n_stuck)):
        _extremes(scan, block)
        parts.take(block, n_stuck, -(-n_total // _N_SAMPLE), -(-n_total // (RUN_ROWS * _N_RUNS)))
        anchors.add(block)
    parts.give(scan)
    return scan


def _extremes(scan: Scan, block: Block) -> None:
    """Add a block's extremes, and how long values sit there, to those of its recordings."""
    starts = block.starts  # one piece, or nothing before: either way the pieces of the fresh part begin here
    fresh, at = block.fresh, block.recordings
    holes = _may_hold_nan(fresh)
    least, most = (np.fmin, np.fmax) if holes else (np.minimum, np.maximum)
    low, high = least.reduceat(fresh, starts, axis=1), most.reduceat(fresh, starts, axis=1)
    if holes:
        scan.n_missing[at] += np.add.reduceat(np.isnan(fresh), starts, axis=1, dtype=np.int64).T
    for channel in range(len(fresh)):
        n_low, n_high = count_at_limits(block, channel, low[channel], high[channel])
        _join(scan.low, scan.at_low, at, channel, low[channel], n_low, np.fmin)
        _join(scan.high, scan.at_high, at, channel, high[channel], n_high, np.fmax)


def _may_hold_nan(values: NDArray[np.float32]) -> bool:
    """Whether a value may be NaN: one fast pass, as a sum hides none (infinities of both signs look like one)."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isnan(values.sum()))


def _join(
    level: NDArray[np.float32], count: NDArray[np.int64], at: NDArray[np.int64], channel: int,
    new: NDArray[np.float32], n_new: NDArray[np.int64], extreme: np.ufunc,
) -> None:  # fmt: skip
    """Keep the further extreme, and the count of values at it."""
    old = level[at, channel]
    both = extreme(old, new)
    count[at, channel] = np.where(old == both, count[at, channel], 0) + np.where(new == both, n_new, 0)
    level[at, channel] = both


class _Parts:
    """Pieces of a scan that grow with each block."""

    def __init__(self, n_channels: int, accelerometer: bool) -> None:
        self._accelerometer = accelerometer
        self._gaps: list[NDArray[np.int64]] = []
        self._stuck: list[list[NDArray[np.int64]]] = [[] for _ in range(n_channels)]
        self._sample: list[NDArray[np.float32]] = []
        self._runs: list[NDArray[np.float32]] = []
        self._run_at: list[NDArray[np.int64]] = []

    def take(self, block: Block, n_stuck: int, sample_step: int, run_step: int) -> None:
        """Take what is kept of a block: every ``sample_step``-th row, every ``run_step``-th run."""
        if _may_hold_nan(block.values):
            self._gaps.append(missing_spans(block))
        for channel, spans in enumerate(self._stuck):
            spans.append(stuck_spans(block, channel, n_stuck))
        begin = block.n_before + (-(block.array_row + block.n_before)) % sample_step
        self._sample.append(block.values[:, begin::sample_step].T.copy())
        if self._accelerometer:
            self._take_runs(block, RUN_ROWS * run_step)

    def _take_runs(self, block: Block, step: int) -> None:
        """Take runs that begin at multiples of ``step`` in their recording."""
        stops = np.append(block.starts[1:], block.values.shape[1])
        begin = block.n_before + -(block.first_row + block.n_before) % step  # 0 for whole recordings
        places = [
            np.arange(start + begin, stop - RUN_ROWS + 1, step) for start, stop in zip(block.starts, stops, strict=True)
        ]
        at = np.concatenate(places)
        self._runs.append(block.values[:, at[:, None] + np.arange(RUN_ROWS)].transpose(1, 2, 0))
        piece = block.piece_of(at)
        self._run_at.append(np.column_stack([block.recordings[piece], at + block.first_row - block.starts[piece]]))

    def give(self, scan: Scan) -> None:
        """Put all parts into the scan."""
        scan.gaps = merge_spans(np.concatenate([scan.gaps, *self._gaps]))
        none = np.empty((0, 3), np.int64)
        scan.stuck = [merge_spans(np.concatenate([none, *spans])) for spans in self._stuck]
        scan.sample = np.concatenate([scan.sample, *self._sample])
        if self._runs:
            scan.runs = np.concatenate(self._runs)
            scan.run_recordings, scan.run_rows = np.concatenate(self._run_at).T

