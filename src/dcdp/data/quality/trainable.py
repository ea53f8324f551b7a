"""The checks that training makes before it begins: they read no more of a store than they must."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from dcdp.data.quality.blocks import read_blocks
from dcdp.data.quality.finding import Finding
from dcdp.data.quality.measure import labelled_seconds
from dcdp.data.quality.rules import check_channels, check_labelled, check_subjects
from dcdp.data.store import Store
from dcdp.errors import DataError
from dcdp.records import Signal

__all__ = ["require_trainable"]

Levels = NDArray[np.float32]


def require_trainable(store: Store) -> None:
    """Refuse a store from which nothing can be learned.

    A signal is read until each of its channels has been seen to vary: one block of a sound one, all of a dead one.

    Raises
    ------
    DataError
        For the first finding that is an error: a constant channel, no label, one subject only.
    """
    errors = list(_errors(store))
    if errors:
        first = errors[0]
        others = f" ({len(errors) - 1} more: see 'dcdp data check')" if len(errors) > 1 else ""
        raise DataError(first.rule, f"{first.value} in {first.where}", first.remedy + others)


def _errors(store: Store) -> Iterator[Finding]:
    yield from check_subjects(store.subjects)
    yield from check_labelled(sum(sum(own.values()) for own in labelled_seconds(store).values()))
    for signal in store.spec:
        low, high = _extremes_until_varied(store, signal)
        levels = [(None if np.isnan(a) else float(a), None if np.isnan(b) else float(b))
                  for a, b in zip(low, high, strict=True)]  # fmt: skip
        yield from check_channels(signal.name, dict(zip(signal.channels, levels, strict=True)))


def _extremes_until_varied(store: Store, signal: Signal) -> tuple[Levels, Levels]:
    """Return the lowest and highest values of each channel, (C,) each, of as many blocks as it takes to differ."""
    low = np.full(len(signal.channels), np.nan, np.float32)
    high = low.copy()
    for block in read_blocks(store, signal):
        low = np.fmin(low, np.fmin.reduce(block.values, axis=1))
        high = np.fmax(high, np.fmax.reduce(block.values, axis=1))
        if (low < high).all():
            break
    return low, high
