"""Small made-up folders of recordings: people with a phone and a watch, as tables with a description."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

G = 9.80665


def movement(duration_s: float, rate_hz: float, seed: int, delay_s: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Times and an acceleration [m/s2] of a body that moves in irregular bursts; the same movement for every seed."""
    times = np.arange(round(duration_s * rate_hz)) / rate_hz
    rng = np.random.default_rng(seed)
    beats = np.sort(rng.uniform(0, duration_s, round(duration_s)))
    felt = times + delay_s
    bursts = sum(np.exp(-0.5 * ((felt - beat) / 0.08) ** 2) * (3 + i % 5) for i, beat in enumerate(beats))
    values = np.stack([bursts, 0.5 * bursts + 0.2 * np.sin(felt), G + 0.3 * bursts], axis=1)
    return times, values


@pytest.fixture(scope="session")
def make_folder() -> Callable[..., Path]:
    """Return ``make(folder, people, ...)``: phone.csv, watch.csv and labels.csv of each person, and dcdp.toml."""

    def make(folder: Path, people: int = 3, seconds: float = 60.0, watch_late_s: float = 0.0) -> Path:
        for person in range(1, people + 1):
            write_person(folder / f"s{person:02d}", person, seconds, watch_late_s)
        (folder / "dcdp.toml").write_text(DESCRIPTION, encoding="utf-8")
        return folder

    return make


def write_person(folder: Path, person: int, seconds: float, watch_late_s: float) -> None:
    folder.mkdir(parents=True)
    times, acc = movement(seconds, 50.0, person)
    rng = np.random.default_rng(person)
    gyr = rng.normal(size=acc.shape)
    epoch_ms = 1_700_000_000_000 + person * 3_600_000
    columns = {"time": epoch_ms + np.round(1000 * times).astype(np.int64)}
    columns |= {f"a{axis}": acc[:, i] / G for i, axis in enumerate("xyz")}
    columns |= {f"g{axis}": gyr[:, i] for i, axis in enumerate("xyz")}
    pl.DataFrame(columns).write_csv(folder / "phone.csv")
    times, acc = movement(seconds, 32.0, person)
    stamps = epoch_ms / 1000 + times + watch_late_s
    columns = {"timestamp": np.round(stamps, 6)} | {f"accel_{axis}": acc[:, i] for i, axis in enumerate("xyz")}
    pl.DataFrame(columns).write_csv(folder / "watch.csv")
    half = seconds / 2
    rows = {"start": [0.0, half], "stop": [half, seconds], "activity": ["walk", "sit"]}
    pl.DataFrame(rows).write_csv(folder / "labels.csv")


DESCRIPTION = """
name = "mine"

[[devices]]
name = "phone"
files = "{subject}/phone.csv"
placement = "waist"
time = { column = "time", unit = "ms" }
rate_hz = 50

[[devices.signals]]
modality = "acc"
columns = ["ax", "ay", "az"]
unit = "g"

[[devices.signals]]
modality = "gyr"
columns = ["gx", "gy", "gz"]
unit = "rad/s"

[[devices]]
name = "watch"
files = "{subject}/watch.csv"
placement = "wrist"
time = { column = "timestamp", unit = "s" }
rate_hz = 32

[[devices.signals]]
modality = "acc"
columns = ["accel_x", "accel_y", "accel_z"]
unit = "m/s2"

[labels]
file = "{subject}/labels.csv"
stop = "stop"
label = "activity"
"""


@pytest.fixture
def edit() -> Callable[..., None]:
    """Return ``edit(file, old, new)``: replace text in a file, which must be there."""

    def change(path: Path, old: str, new: str, count: int = 1) -> None:
        text = path.read_text(encoding="utf-8")
        assert old in text, f"{old!r} not in {path}"
        path.write_text(text.replace(old, new, count), encoding="utf-8")

    return change
