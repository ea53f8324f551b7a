"""Looking for copies piece by piece finds what looking at whole recordings finds."""

import numpy as np
import pytest

from dcdp.data import memory_store
from dcdp.data.declaration import inertial_signal
from dcdp.records import LabelSet, Recording, Segment, SignalSpec, Track
from dcdp.signals.windows import WindowConfig, cut_windows
from dcdp.splits import Split, copies

ACC = inertial_signal("wrist", "acc", 10.0)


def _noise(seed, n_rows):
    return np.random.default_rng(seed).normal(size=(n_rows, 3)).astype(np.float32)


@pytest.fixture
def store():
    shared = _noise(0, 120)
    values = {
        "a": np.concatenate([_noise(1, 83), shared, _noise(2, 41)]),
        "b": np.concatenate([_noise(3, 17), shared[15:], _noise(4, 200)]),
        "c": np.concatenate([_noise(5, 60), np.zeros((60, 3), np.float32), shared[:70]]),
    }
    recordings = [
        Recording(f"walk {name}", name, "1", (Track(ACC, own),), (Segment(0.0, len(own) / 10, "walk"),))
        for name, own in values.items()
    ]
    return memory_store(SignalSpec((ACC,)), LabelSet(("walk",)), recordings)


@pytest.mark.parametrize("n_rows", [1, 7, 20, 31, 100])
def test_pieces_of_any_length_find_the_same(store, monkeypatch, n_rows):
    windows = cut_windows(store, WindowConfig(2.0, 0.7))
    split = Split("holdout", "c", ("a",), ("b",), ("c",))
    whole = copies.find_copies(windows, split, store)
    assert (whole[2] >= 0).sum() > 10
    assert not whole[1].all(), "zeros are too plain to be compared"
    monkeypatch.setattr(copies, "_PIECE_ROWS", n_rows)
    for found, expected in zip(copies.find_copies(windows, split, store), whole, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_copy_that_spans_two_pieces(store, monkeypatch):
    monkeypatch.setattr(copies, "_PIECE_ROWS", 100)  # the shared stretch of a lies at rows 83 to 203
    windows = cut_windows(store, WindowConfig(2.0, 0.1))
    _, _, holder = copies.find_copies(windows, Split("holdout", "c", ("a",), ("b",), ("c",)), store)
    in_a = windows.recording == 0
    held = windows.rows["wrist_acc"][in_a & (holder[1] == 1)]
    np.testing.assert_array_equal(held, np.arange(98, 184))
