"""The table of features: the same values as one window at a time, NaN where a sensor is absent, whatever the order."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import dcdp
from dcdp.data.store import memory_store
from dcdp.errors import ConfigError
from dcdp.experiments.source import DataSource
from dcdp.models import features
from dcdp.models.features import extract_features
from dcdp.models.statistics import WindowStatistics
from dcdp.records import LabelSet, Recording, Segment, Signal, SignalSpec, Track
from dcdp.signals.windows import WindowConfig, cut_windows


def make_signal(name, rate_hz, n_channels=3):
    placement, modality = name.split("_")
    channels = tuple(f"{name}_{axis}" for axis in "xyz"[:n_channels])
    return Signal(name, modality, placement, rate_hz, channels, "1")


SPEC = SignalSpec((make_signal("wrist_acc", 20.0), make_signal("chest_hr", 1.0, 1), make_signal("wrist_gyr", 20.0)))
LABELS = LabelSet(("rest", "walk"))


@pytest.fixture(scope="module")
def store():
    recordings = []
    for number, missing in enumerate(((), ("wrist_gyr",), ("chest_hr",))):
        rng = np.random.default_rng(number)
        tracks = tuple(
            Track(s, rng.normal(1, 2, (round(30 * s.rate_hz), len(s.channels))).astype(np.float32))
            for s in SPEC
            if s.name not in missing
        )
        segments = (Segment(0, 15, "rest"), Segment(15, 30, "walk"))
        recordings.append(Recording(f"r{number}", f"s{number}", "1", tracks, segments))
    return memory_store(SPEC, LABELS, recordings)


@pytest.fixture(scope="module")
def windows(store):
    return cut_windows(store, WindowConfig(3.0, 1.5))


@pytest.mark.parametrize("statistics", ["base", "extended"])
def test_the_table_holds_the_statistics_of_each_window(store, windows, statistics):
    values, names = extract_features(store, windows, statistics)
    assert values.dtype == np.float32
    assert values.shape == (len(windows), len(names))
    assert len(set(names)) == len(names)
    extended = statistics == "extended"
    motion = WindowStatistics(6, (0, 3), 60, 20.0, extended)
    heart = WindowStatistics(1, (), 3, 1.0, extended)
    motion_names = motion.names([*SPEC["wrist_acc"].channels, *SPEC["wrist_gyr"].channels])
    assert names == (*motion_names, *heart.names(["chest_hr_x"]))
    whole = np.flatnonzero(windows.present.all(1))
    for n in whole[::5]:
        one = store.gather(windows, np.array([n]))
        both = np.concatenate([one["wrist_acc"], one["wrist_gyr"]], axis=2)
        expected = [motion(torch.from_numpy(both).mT)[0], heart(torch.from_numpy(one["chest_hr"]).mT)[0]]
        np.testing.assert_allclose(values[n], torch.cat(expected), rtol=1e-4, atol=1e-4)
    assert np.isfinite(values[whole]).all()


def test_what_needs_an_absent_signal_is_nan_and_nothing_else(store, windows):
    values, names = extract_features(store, windows)
    names = np.array(names)
    without_gyr, without_hr = windows.subject == "s1", windows.subject == "s2"
    gone = np.isnan(values[without_gyr])
    assert (gone == gone[0]).all()
    assert set(names[gone[0]]) == {name for name in names if "gyr" in name}
    assert "wrist_acc_norm.correlation.wrist_gyr_norm" in names[gone[0]]
    gone = np.isnan(values[without_hr])
    assert set(names[gone.all(0)]) == set(names[gone.any(0)]) == {name for name in names if name.startswith("chest_hr")}


def test_the_table_does_not_depend_on_how_many_are_described_at_once(store, windows, monkeypatch):
    told = []
    whole, _ = extract_features(store, windows)
    monkeypatch.setattr(features, "_N_AT_ONCE", 7)
    parts, _ = extract_features(store, windows, progress=lambda *facts: told.append(facts))
    np.testing.assert_allclose(parts, whole, rtol=1e-4, atol=1e-4)
    assert [done for done, _, _ in told] == [*range(7, len(windows), 7), len(windows)]
    assert {total for _, total, _ in told} == {len(windows)}


def test_no_windows_are_no_rows(store, windows):
    values, names = extract_features(store, windows.take(np.arange(0)))
    assert values.shape == (0, len(names))


def test_the_public_name_takes_a_source(store, windows):
    values, names = dcdp.extract_features(DataSource("own", store, ()), windows)
    expected, expected_names = extract_features(store, windows)
    np.testing.assert_array_equal(values, expected)
    assert names == expected_names


def test_unknown_statistics_are_refused(store, windows):
    with pytest.raises(ConfigError, match="statistics must be one of base, extended: got 'extnded'"):
        extract_features(store, windows, "extnded")
