"""Tabulate named window statistics, for classical methods and for looking at: a row a window, a column a feature."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from dcdp.errors import unknown_name
from dcdp.models.statistics import WindowStatistics
from dcdp.records import Signal, SignalSpec, Windows

__all__ = ["STATISTICS_CHOICES", "extract_features"]

STATISTICS_CHOICES = ("base", "extended")
_N_AT_ONCE = 512


class _Store(Protocol):
    """What is read of a store."""

    @property
    def spec(self) -> SignalSpec: ...
    def gather(self, windows: Windows, index: NDArray[np.integer], /) -> Mapping[str, NDArray[np.float32]]: ...


class _Group:
    """The signals of one rate, side by side, and the statistics of all their channels together."""

    def __init__(self, spec: SignalSpec, signals: Sequence[Signal], window_s: float, extended: bool) -> None:
        self.signals = tuple(signal.name for signal in signals)
        sizes = [len(signal.channels) for signal in signals]
        first = np.cumsum([0, *sizes])[:-1].tolist()
        triads = tuple(at for at, size in zip(first, sizes, strict=True) if size == 3)
        rate_hz = signals[0].rate_hz
        n_samples = signals[0].n_samples(window_s)
        self.statistics = WindowStatistics(sum(sizes), triads, n_samples, rate_hz, extended)
        self.names = self.statistics.names([channel for signal in signals for channel in signal.channels])
        column = {name: i for i, name in enumerate(spec.names)}
        of_channel = [column[signal.name] for signal in signals for _ in signal.channels]
        of_series = np.array([*of_channel, *(of_channel[at] for at in triads)])
        # (2, F): the columns of Windows.present that a feature needs
        self.needs = of_series[torch.stack([self.statistics.source, self.statistics.second]).numpy()]

    def describe(self, batch: Mapping[str, NDArray[np.float32]], present: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Return (B, F), NaN where a signal that a feature needs is absent."""
        joined = np.concatenate([batch[name] for name in self.signals], axis=2)
        with torch.inference_mode():
            values: NDArray[np.float32] = self.statistics(torch.from_numpy(joined).transpose(1, 2)).numpy()
        values[~(present[:, self.needs[0]] & present[:, self.needs[1]])] = np.nan
        return values


def extract_features(
    store: _Store,
    windows: Windows,
    statistics: Literal["base", "extended"] = "extended",
    *,
    progress: Callable[[int, int, str], None] | None = None,
) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Return the statistics of every window, and what each column is.

    Parameters
    ----------
    store
        Where the signals lie.
    windows
        N windows cut from it.
    statistics
        ``base``: what the network reads; ``extended``: with the further ones of docs/features.md. Signals of one rate
        are described together, so that correlations between them are among the features.
    progress
        Called with windows done, windows in all, and what is being done.

    Returns
    -------
    values
        (N, F), NaN where a signal that the feature needs is absent from the window. Beside it no more than a few
        hundred windows are in memory at a time.
    names
        (F,) such as ``wrist_acc_x.kurtosis``.

    Raises
    ------
    ConfigError
        If there are no such statistics.
    """
    if statistics not in STATISTICS_CHOICES:
        raise unknown_name("statistics", statistics, STATISTICS_CHOICES)
    groups = [
        _Group(store.spec, signals, windows.window_s, statistics == "extended") for signals in _by_rate(store.spec)
    ]
    names = tuple(name for group in groups for name in group.names)
    values = np.empty((len(windows), len(names)), np.float32)
    for start in range(0, len(windows), _N_AT_ONCE):
        index = np.arange(start, min(start + _N_AT_ONCE, len(windows)))
        batch, present = store.gather(windows, index), windows.present[index]
        values[index] = np.concatenate([group.describe(batch, present) for group in groups], axis=1)
        if progress is not None:
            progress(int(index[-1]) + 1, len(windows), "describing windows")
    return values, names


def _by_rate(spec: SignalSpec) -> Iterator[list[Signal]]:
    """Yield the signals of each rate, in the order of the spec."""
    for rate_hz in dict.fromkeys(signal.rate_hz for signal in spec):
        yield [signal for signal in spec if signal.rate_hz == rate_hz]
