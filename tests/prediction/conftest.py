"""A tiny model with random weights, and recordings that fit it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from dcdp.bundle import Bundle
from dcdp.models.network import NetworkConfig, build_network, lay_out
from dcdp.records import Branch, LabelSet, Recording, Signal, SignalSpec, Track
from dcdp.signals import WindowConfig

SPEC = SignalSpec(
    (
        Signal("wrist_acc", "acc", "wrist", 50.0, ("wrist_acc_x", "wrist_acc_y", "wrist_acc_z"), "m/s2"),
        Signal("wrist_gyr", "gyr", "wrist", 50.0, ("wrist_gyr_x", "wrist_gyr_y", "wrist_gyr_z"), "deg/s"),
        Signal("chest_hr", "hr", "chest", 1.0, ("chest_hr",), "bpm"),
    )
)


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    branches = (Branch("acc", ("wrist_acc",)), Branch("gyr", ("wrist_gyr",), "dense"), Branch("hr", ("chest_hr",)))
    config = NetworkConfig(preset="tiny")
    torch.manual_seed(0)
    layouts = lay_out(SPEC, branches, 2.0)
    network = build_network(layouts, 3, config)
    scale = {"acc": (10.0, 5.0), "gyr": (60.0, 0.0), "hr": (10.0, 90.0)}
    size, inputs = torch.rand(40, 1, 1), {}
    for layout in layouts:
        name, shape = layout.branch.name, (40, len(layout.channels), layout.n_samples)
        spread, centre = scale[name]
        inputs[name] = torch.randn(shape) * spread * size + centre
        network.encoders[name].fit(inputs[name])
    with torch.no_grad():  # random weights are timid and one-sided: answers should differ between windows
        network.eval().joint[1].weight.mul_(20)
        network.joint[1].bias.sub_(network(inputs, torch.ones(40, 3, dtype=torch.bool)).joint.mean(0))
    labels = LabelSet(("sit", "walk", "run"))
    return Bundle(network.eval(), SPEC, branches, labels, WindowConfig(2.0, 1.0), config, 0.8)


@pytest.fixture(scope="session")
def bundle_file(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "bundle.safetensors"
    bundle.save(path)
    return path


@pytest.fixture(scope="session")
def recording() -> Recording:
    """Return 20 s of rest, then movement."""
    rng = np.random.default_rng(5)
    tracks = []
    for signal in SPEC:
        n = round(20 * signal.rate_hz)
        time_s = np.arange(n) / signal.rate_hz
        moving = (time_s > 10)[:, None]
        size, rest = {"acc": (4.0, (0, 0, 9.81)), "gyr": (80.0, (0, 0, 0)), "hr": (5.0, (70,))}[signal.modality]
        wave = np.sin(2 * np.pi * 1.7 * time_s[:, None] + np.arange(len(rest)))
        values = np.array(rest) + size * moving * wave + 0.01 * size * rng.standard_normal((n, len(rest)))
        tracks.append(Track(signal, values.astype(np.float32)))
    return Recording("made", "s01", "1", tuple(tracks))


@pytest.fixture(scope="session")
def table(recording: Recording) -> pl.DataFrame:
    """Return the recording as a user would export it: rows at 50 Hz, heart rate once a second."""
    acc, gyr, hr = recording.tracks
    n = len(acc.values)
    columns: dict[str, object] = {"time_s": np.arange(n) / 50}
    for track in (acc, gyr):
        columns |= {name: track.values[:, i] for i, name in enumerate(track.signal.channels)}
    slow: list[float | None] = [None] * n
    slow[::50] = hr.values[:, 0].tolist()
    return pl.DataFrame(columns | {"chest_hr": pl.Series(slow, dtype=pl.Float32)})
