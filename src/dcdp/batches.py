"""Hand windows of a store to the network: one gather a signal, one transpose, one device copy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dcdp.data.store import Store
from dcdp.models.network import BranchLayout
from dcdp.records import Windows

__all__ = ["Batch", "Batches"]


@dataclass(frozen=True, slots=True)
class Batch:
    """B windows on the device: branch -> (B, C, T), presence (B, M), class index (B,).

    The channels of an absent signal are NaN.
    """

    inputs: dict[str, Tensor]
    present: Tensor
    label: Tensor

    def __len__(self) -> int:
        return len(self.label)

    def part(self, start: int, stop: int) -> Batch:
        """Return the windows ``[start, stop)`` of the batch."""
        inputs = {name: x[start:stop] for name, x in self.inputs.items()}
        return Batch(inputs, self.present[start:stop], self.label[start:stop])


class Batches:
    """The windows of a store as the branches of a network see them.

    Parameters
    ----------
    store
        Where the signals lie.
    windows
        Which windows; ``label`` -1 where unknown.
    layouts
        The branches, in order.
    device
        Where the network lives.
    """

    def __init__(
        self, store: Store, windows: Windows, layouts: Sequence[BranchLayout], device: torch.device | None = None
    ) -> None:
        self.store, self.windows, self.layouts = store, windows, tuple(layouts)
        self.device = device or torch.device("cpu")
        order = store.spec.names
        columns = [[order.index(s) for s in layout.branch.signals] for layout in self.layouts]
        self.present: NDArray[np.bool_] = np.stack([windows.present[:, c].any(1) for c in columns], 1)

    def __len__(self) -> int:
        return len(self.windows)

    def usable(self) -> Batches:
        """Leave out the windows in which no branch is whole."""
        some: NDArray[np.bool_] = np.any(self.present, axis=1)
        if some.all():
            return self
        return Batches(self.store, self.windows.take(some), self.layouts, self.device)

    def gather(self, index: NDArray[np.integer]) -> Batch:
        """Return the windows at ``index`` as a batch."""
        signals = self._mark_absent(self.store.gather(self.windows, index), self.windows.present[index])
        inputs = {}
        for layout in self.layouts:
            parts = [signals[name] for name in layout.branch.signals]
            joined = np.concatenate(parts, axis=2) if len(parts) > 1 else parts[0]
            inputs[layout.branch.name] = self._to_device(np.ascontiguousarray(joined.transpose(0, 2, 1)))
        return Batch(inputs, self._to_device(self.present[index]), self._to_device(self.windows.label[index]))

    def _mark_absent(
        self, signals: dict[str, NDArray[np.float32]], present: NDArray[np.bool_]
    ) -> dict[str, NDArray[np.float32]]:
        """Return the signals (B, T, C) with NaN where one is absent, which the encoders read as "not there"."""
        for name, here in zip(self.store.spec.names, present.T, strict=True):
            if not here.all():
                signals[name] = np.where(here[:, None, None], signals[name], np.float32(np.nan))
        return signals

    def _to_device(self, array: NDArray[np.generic]) -> Tensor:
        return torch.from_numpy(array).to(self.device, non_blocking=True)
