"""A small made-up body: two sensors of differing rates and a slow one, three activities, windows of two people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

import numpy as np
import pytest
import torch

from dcdp.augmentation import AugmentConfig
from dcdp.balance import ModulationConfig
from dcdp.batches import Batches
from dcdp.data.store import Store, memory_store
from dcdp.models.dual_path import DualPath
from dcdp.models.network import BranchLayout, NetworkConfig, NetworkShape, build_network, lay_out
from dcdp.objectives import ObjectiveConfig
from dcdp.records import Branch, LabelSet, Recording, Segment, Signal, SignalSpec, Track
from dcdp.signals.windows import WindowConfig, cut_windows
from dcdp.training import TrainingConfig

SPEC = SignalSpec(
    (
        Signal("wrist_acc", "acc", "wrist", 20.0, ("wrist_acc_x", "wrist_acc_y", "wrist_acc_z"), "m/s2"),
        Signal("wrist_gyr", "gyr", "wrist", 20.0, ("wrist_gyr_x", "wrist_gyr_y", "wrist_gyr_z"), "deg/s"),
        Signal("ankle_acc", "acc", "ankle", 10.0, ("ankle_acc_x", "ankle_acc_y", "ankle_acc_z"), "m/s2"),
        Signal("chest_hr", "hr", "chest", 1.0, ("chest_hr",), "bpm"),
    )
)
BRANCHES = (
    Branch("wrist", ("wrist_acc", "wrist_gyr"), "residual"),
    Branch("ankle", ("ankle_acc",), "dense"),
    Branch("hr", ("chest_hr",), "dense"),
)
LABELS = LabelSet(("rest", "walk", "run"))
WINDOW_S = 3.0
SMALL = NetworkConfig(widths=(8, 8, 8), segments=(2, 1, 1), statistics_width=8, width=8, projection=8, kernel=3)
_DROPOUTS = [field.name for field in fields(NetworkShape) if field.name.endswith("dropout")]


def _recording(subject: int, missing: tuple[str, ...] = ()) -> Recording:
    rng = np.random.default_rng(subject)
    seconds, part_s = 72.0, 12.0
    segments = tuple(
        Segment(start, start + part_s, LABELS.names[i % 3]) for i, start in enumerate(np.arange(0, seconds, part_s))
    )
    tracks = []
    for signal in SPEC:
        time_s = np.arange(round(seconds * signal.rate_hz)) / signal.rate_hz
        activity = (time_s // part_s % 3)[:, None]
        turns = np.sin(2 * np.pi * (1 + activity) * time_s[:, None] + rng.random(len(signal.channels)))
        values = 5 * activity * turns + activity + rng.normal(0, 1, turns.shape) + rng.normal(0, 1, turns.shape[1])
        tracks.append(Track(signal, values.astype(np.float32)))
    kept = tuple(track for track in tracks if track.signal.name not in missing)
    return Recording(f"r{subject}", f"s{subject}", "1", kept, segments)


@pytest.fixture(scope="session")
def store() -> Store:
    """Return three people: one with everything, one without gyroscope, one with heart rate alone."""
    missing = ((), ("wrist_gyr",), ("wrist_acc", "wrist_gyr", "ankle_acc"))
    return memory_store(SPEC, LABELS, [_recording(i, out) for i, out in enumerate(missing)])


@pytest.fixture(scope="session")
def layouts() -> tuple[BranchLayout, ...]:
    """Return wrist (acc and gyr), ankle, and heart rate."""
    return lay_out(SPEC, BRANCHES, WINDOW_S)


@pytest.fixture(scope="session")
def every_window(store: Store, layouts: tuple[BranchLayout, ...]) -> Batches:
    """Return the windows of all three people."""
    return Batches(store, cut_windows(store, WindowConfig(WINDOW_S, 1.5)), layouts)


@pytest.fixture(scope="session")
def batches(every_window: Batches) -> Batches:
    """Return the windows of the first two people, about 90; the wrist is whole in half of them."""
    windows = every_window.windows
    return Batches(every_window.store, windows.take(windows.subject != "s2"), every_window.layouts)


@pytest.fixture
def make_network(layouts: tuple[BranchLayout, ...]) -> Callable[..., DualPath]:
    """Return ``make(seed, dropout=False)``: a small untrained network, by default one that draws nothing."""

    def make(seed: int = 0, *, dropout: bool = False) -> DualPath:
        torch.manual_seed(seed)
        given = {name: getattr(SMALL, name) for name in SMALL.__slots__}
        return build_network(
            layouts, len(LABELS), NetworkConfig(**given if dropout else given | dict.fromkeys(_DROPOUTS, 0.0))
        )

    return make


@pytest.fixture
def method() -> Callable[..., tuple[TrainingConfig, ObjectiveConfig, ModulationConfig, AugmentConfig]]:
    """Return ``method(**training)``: the settings of `fit`, by default two epochs without anything drawn at random."""

    def settings(
        objective: ObjectiveConfig | None = None,
        modulation: ModulationConfig | None = None,
        augment: AugmentConfig | None = None,
        **training: object,
    ) -> tuple[TrainingConfig, ObjectiveConfig, ModulationConfig, AugmentConfig]:
        return (
            TrainingConfig(**{"epochs": 2, "batch_size": 24, "early_stopping": True} | training),
            objective or ObjectiveConfig(),
            modulation or ModulationConfig(),
            augment or AugmentConfig(0.0, 0.0),
        )

    return settings
