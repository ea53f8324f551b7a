"""Branches of differing rates and widths, and random windows for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from dcdp.models.network import BranchLayout, lay_out
from dcdp.records import Branch, Signal, SignalSpec

WINDOW_S = 3.0


def _signal(name: str, rate_hz: float, n_channels: int) -> Signal:
    placement, modality = name.split("_")
    channels = tuple(f"{name}_{i}" for i in range(n_channels))
    return Signal(name, modality, placement, rate_hz, channels, "1")


SIGNALS = SignalSpec(
    (
        _signal("wrist_acc", 50.0, 3),
        _signal("ankle_acc", 50.0, 3),
        _signal("chest_hr", 1.0, 1),
        _signal("wrist_gyr", 25.0, 3),
        _signal("wrist_mag", 12.5, 3),
        _signal("arm_emg", 100.0, 2),
    )
)
_BRANCHES = (("wrist_acc", "ankle_acc"), ("chest_hr",), ("wrist_gyr",), ("wrist_mag",), ("arm_emg",))


@pytest.fixture
def make_layouts() -> Callable[[Sequence[str]], tuple[BranchLayout, ...]]:
    """Return ``make(kinds)``: as many branches as there are encoder kinds, the second one a slow sensor of T = 3."""

    def make(kinds: Sequence[str]) -> tuple[BranchLayout, ...]:
        pairs = zip(_BRANCHES, kinds, strict=False)
        branches = [Branch(names[0].split("_")[1], names, kind) for names, kind in pairs]
        return lay_out(SIGNALS, branches, WINDOW_S)

    return make


@pytest.fixture
def make_inputs() -> Callable[..., dict[str, Tensor]]:
    """Return ``make(layouts, n_windows, seed)``: random windows, branch -> (B, C, T)."""

    def make(layouts: Sequence[BranchLayout], n_windows: int, seed: int = 0) -> dict[str, Tensor]:
        rng = np.random.default_rng(seed)
        shapes = {lay.branch.name: (n_windows, len(lay.channels), lay.n_samples) for lay in layouts}
        values = {name: rng.normal(2, 5, (*shape[:2], 1)) + rng.normal(size=shape) for name, shape in shapes.items()}
        return {name: torch.from_numpy(value).float() for name, value in values.items()}

    return make
