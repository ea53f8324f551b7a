"""Read a store as if its sensors failed: the same recordings, disturbed on their way to whoever asks for windows."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dcdp.data.arrays import Values
from dcdp.data.store import GAP_S, Store
from dcdp.errors import ConfigError
from dcdp.records import Signal, SignalSpec, Windows
from dcdp.signals.corruptions import (
    add_bias,
    add_drift,
    add_noise,
    get_corruption,
    hold_lost,
    samples_since_kept,
    thin,
    turn,
)
from dcdp.signals.keyed import Keys, key_of, key_of_words, uniform

__all__ = ["PACKET_S", "CorruptedStore", "devices_of"]

PACKET_S = 0.5
"""Length of the packets in which a radio loses samples [s]."""

Index = NDArray[np.integer] | NDArray[np.bool_]


def devices_of(spec: SignalSpec) -> dict[str, str]:
    """Return the device of each signal, which has a clock and a radio of its own.

    It is the signal's placement, or its modality where all are worn at one place.

    Examples
    --------
    >>> devices_of(SignalSpec((Signal("wrist_acc", "acc", "wrist", 50.0, ("x",), "m/s2"),)))
    {'wrist_acc': 'acc'}
    """
    by_place = len({signal.placement for signal in spec}) > 1
    return {signal.name: signal.placement if by_place else signal.modality for signal in spec}


class CorruptedStore(Store):
    """A store whose windows come out disturbed by one corruption; what lies on disk stays as it is.

    Whatever reads windows through `gather` reads disturbed ones, if it takes its windows through `mark_absent`. What is
    drawn depends on the seed and on the place in the recordings alone: windows that share samples share what happened
    to them, and the order and size of batches change nothing. A signal that is absent stays as it was.

    Parameters
    ----------
    store
        The recordings.
    corruption, severity
        One of `dcdp.signals.corruptions.CORRUPTIONS`, and how much of it in its unit, >= 0; at 0 all is as recorded.
    seed
        Of everything that is drawn.
    spread
        Signal -> (C,) standard deviation on the training people [unit of the signal]: what ``noise``, ``bias`` and
        ``drift`` are a share of.
    signals
        The signals that fail; all if left out.
    gap_s
        Longest gap over which the last value is held [s], as when the store was written.

    Raises
    ------
    ConfigError
        If there is no such corruption or signal, the severity does not fit, or the spread is missing.

    Notes
    -----
    Bias, mounting and clock belong to a person's device: they are constant for a subject. Of the devices (see
    `devices_of`), that of the first signal keeps the time, and the others are early or late by the whole severity; at
    an end of a recording the shift stops, and a stretch with gaps is read where it was. ``array`` gives the values as
    recorded.
    """

    def __init__(
        self,
        store: Store,
        corruption: str,
        severity: float,
        *,
        seed: int = 0,
        spread: Mapping[str, NDArray[np.floating]] | None = None,
        signals: Collection[str] | None = None,
        gap_s: float = GAP_S,
    ) -> None:
        super().__init__(store.spec, store.labels, store.recordings, {})
        self._store, self.corruption, self.severity = store, get_corruption(corruption), severity
        self._seed, self._gap_s, self._spread = seed, gap_s, spread or {}
        self._signals = [store.spec[name] for name in (store.spec.names if signals is None else signals)]
        self._devices = devices_of(store.spec)
        self._first = {  # first row of each recording in the array of a signal, and how many there are
            name: np.array([entry.rows.get(name, (0, 0)) for entry in store.recordings]).reshape(-1, 2)
            for name in store.spec.names
        }
        self._moved: tuple[Windows, Windows] | None = None
        self._require_fitting()

    def array(self, signal: str) -> Values:
        """Return all values of a signal as recorded."""
        return self._store.array(signal)

    def mark_absent(self, windows: Windows) -> Windows:
        """Return the windows with every signal absent that has lost more than the longest gap that is held."""
        if not self.severity or self.corruption.name not in ("lost", "packets"):
            return windows
        present = windows.present.copy()
        for signal in self._signals:
            lost, margin = self._lost(signal, windows, slice(None)), self._held_samples(signal) + 1
            longest = samples_since_kept(lost)[:, margin:].max(axis=1)
            present[:, self.spec.names.index(signal.name)] &= longest < margin
        return replace(windows, present=present)

    def gather(self, windows: Windows, index: Index) -> dict[str, Values]:
        """Copy the windows at ``index`` out of the store and disturb them; see `Store.gather`."""
        gathered = self._store.gather(windows, index)
        if not self.severity:
            return gathered
        late = self._store.gather(self._shifted(windows), index) if self.corruption.name == "clock" else gathered
        for signal in self._signals:
            name = signal.name
            here = windows.present[index, self.spec.names.index(name)]
            if not here.any():
                continue
            if self.corruption.name == "clock":
                changed, here = late[name], here & np.isfinite(late[name]).all((1, 2))
            else:
                changed = self._disturbed(signal, gathered[name], windows, index)
            gathered[name] = changed if here.all() else np.where(here[:, None, None], changed, gathered[name])
        return gathered

    def _disturbed(self, signal: Signal, values: Values, windows: Windows, index: Index) -> Values:
        match self.corruption.name:
            case "noise":
                return add_noise(values, self._size(signal), self._sample_keys(signal, values, windows, index))
            case "drift":
                return add_drift(values, self._size(signal), self._sample_keys(signal, values, windows, index))
            case "bias":
                return add_bias(values, self._size(signal), self._person_keys(signal.name, windows, index))
            case "rotation" if len(signal.channels) == 3:
                return turn(values, self.severity, self._person_keys(signal.placement, windows, index))
            case "rate":
                return thin(values, self.severity)
            case "lost" | "packets":
                lost = self._lost(signal, windows, index)[:, self._held_samples(signal) + 1 :]
                return hold_lost(values, lost)
        return values

    def _size(self, signal: Signal) -> NDArray[np.float64]:
        return self.severity * np.asarray(self._spread[signal.name], dtype=np.float64)

    def _key(self, *words: str) -> list[Keys]:
        return [np.asarray(self._seed, np.int64).astype(np.uint64), key_of_words(self.corruption.name),
                *map(key_of_words, words)]  # fmt: skip

    def _person_keys(self, word: str, windows: Windows, index: Index) -> Keys:
        """Return a key for what a subject wears, (B,)."""
        return key_of(*self._key(word), key_of_words(windows.subject[index]))

    def _sample_keys(self, signal: Signal, values: Values, windows: Windows, index: Index) -> Keys:
        """Return a key for each sample, (B, T): its row in the array, wherever the window begins."""
        rows = windows.rows[signal.name][index]
        return key_of(*self._key(signal.name), rows[:, None] + np.arange(values.shape[1]))

    def _held_samples(self, signal: Signal) -> int:
        return round(self._gap_s * signal.rate_hz)

    def _lost(self, signal: Signal, windows: Windows, index: Index | slice) -> NDArray[np.bool_]:
        """Return which samples are lost, with those before the window by which a gap is known as too long, (B, G + T).

        Signals of one device lose the same packets, whatever their rates; single samples are lost by each signal alone.
        """
        recording = windows.recording[index]
        margin, n_samples = self._held_samples(signal) + 1, signal.n_samples(windows.window_s)
        start = windows.rows[signal.name][index] - self._first[signal.name][recording, 0]
        sample = start[:, None] + np.arange(-margin, n_samples)
        if self.corruption.name == "packets":
            words, place = self._devices[signal.name], np.floor(sample / (PACKET_S * signal.rate_hz)).astype(np.int64)
        else:
            words, place = signal.name, sample
        drawn = uniform(key_of(*self._key(words), recording[:, None], place))
        lost: NDArray[np.bool_] = (drawn < self.severity / 100) & (sample >= 0)
        return lost

    def _shifted(self, windows: Windows) -> Windows:
        """Return the windows as clocks that are apart would cut them."""
        if self._moved is None or self._moved[0] is not windows:
            rows = {name: self._shifted_rows(self.spec[name], windows) for name in self.spec.names}
            self._moved = windows, replace(windows, rows=rows)
        return self._moved[1]

    def _shifted_rows(self, signal: Signal, windows: Windows) -> NDArray[np.int64]:
        rows, device = windows.rows[signal.name], self._devices[signal.name]
        if device == self._devices[self.spec.names[0]] or signal not in self._signals:
            return rows
        late = uniform(self._person_keys(device, windows, np.arange(len(windows)))) < 0.5
        shift = np.where(late, 1, -1) * round(self.severity * signal.rate_hz)
        first, n_rows = self._first[signal.name][windows.recording].T
        last = first + n_rows - signal.n_samples(windows.window_s)
        return np.where(n_rows > 0, np.clip(rows + shift, first, np.maximum(first, last)), rows)

    def _require_fitting(self) -> None:
        name, severity, unit = self.corruption.name, self.severity, self.corruption.unit
        high = 100 if unit.startswith("%") else np.inf
        if not 0 <= severity <= high or severity == np.inf or (name == "rate" and severity != int(severity)):
            raise ConfigError(f"the severity of {name} must fit its unit ({unit})", severity,
                              f"Give one such as {self.corruption.severities[0]:g}.")
        missing = [signal.name for signal in self._signals if signal.name not in self._spread]
        if severity and name in ("noise", "bias", "drift") and missing:
            raise ConfigError(f"{name} must know the training spread of each signal", f"none of {missing}",
                              "Pass spread.")
