"""Arrays that are read piece by piece give what a plain array gives, and the memory that there may be is found."""

import os
import pickle
import resource
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcdp.data import Store, memory
from dcdp.data.arrays import DiskArray, columns_of, open_array
from dcdp.data.declaration import inertial_signal
from dcdp.data.memory import memory_limit
from dcdp.errors import DataError, FormatError
from dcdp.records import LabelSet, Recording, SignalSpec, Track
from dcdp.signals.windows import WindowConfig, cut_windows

PLAIN = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32)
bounds = st.none() | st.integers(-60, 60)
slices = st.builds(slice, bounds, bounds, st.none() | st.sampled_from([1, 2, 7, -1, -3]))
lists = st.lists(st.integers(-50, 49), max_size=5).map(lambda rows: np.array(rows, int))
masks = st.lists(st.booleans(), min_size=50, max_size=50).map(np.array)
keys = slices | st.integers(-50, 49) | lists | masks | st.tuples(slices | lists, st.integers(-2, 1) | slices)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    file = tmp_path_factory.mktemp("arrays") / "a.npy"
    np.save(file, PLAIN)
    return file


@settings(max_examples=300, deadline=None)
@given(key=keys, columns=st.sampled_from([(0, 6), (0, 2), (1, 3), (4, 6)]))
def test_indexing_is_that_of_a_plain_array(path, key, columns):
    array, plain = columns_of(open_array(path, 50, 6, mapped=False), *columns), PLAIN[:, slice(*columns)]
    assert isinstance(array, DiskArray)
    assert (array.shape, len(array), array.nbytes, array.dtype) == (plain.shape, 50, plain.nbytes, plain.dtype)
    key = (key[0], key[1] % 2) if isinstance(key, tuple) and isinstance(key[1], int) else key
    np.testing.assert_array_equal(array[key], plain[key])
    np.testing.assert_array_equal(np.asarray(array), plain)


def test_an_index_beyond_the_end(path):
    with pytest.raises(IndexError):
        open_array(path, 50, 6, mapped=False)[50]


def test_it_travels_to_another_process(path):
    array = pickle.loads(pickle.dumps(open_array(path, 50, 6, mapped=False).columns(2, 4)))  # noqa: S301
    np.testing.assert_array_equal(array[3:5], PLAIN[3:5, 2:4])


def test_rows_beyond_those_committed_are_not_there(path):
    for mapped in (True, False):
        assert open_array(path, 40, 6, mapped).shape == (40, 6)
        assert open_array(path, 0, 6, mapped).shape == (0, 6)


@pytest.mark.parametrize(("n_rows", "n_channels"), [(51, 6), (50, 3)])
def test_what_does_not_fit_is_refused(path, n_rows, n_channels):
    with pytest.raises(ValueError, match=r"\d+ of \d+ bytes|in place of float32"):
        open_array(path, n_rows, n_channels, mapped=False)


def test_a_file_that_is_cut_while_it_is_open(tmp_path):
    np.save(tmp_path / "a.npy", PLAIN)
    array = open_array(tmp_path / "a.npy", 50, 6, mapped=False)
    with (tmp_path / "a.npy").open("r+b") as file:
        file.truncate(600)
    np.testing.assert_array_equal(array[:5], PLAIN[:5])
    with pytest.raises(FormatError, match=r"the end of '.*a\.npy' at byte 600\. Delete"):
        array[:50]


def test_what_the_system_gives_piece_after_piece(path, monkeypatch):
    preadv = os.preadv
    monkeypatch.setattr(os, "preadv", lambda file, views, offset: preadv(file, [views[0][:37]], offset))
    array = open_array(path, 50, 6, mapped=False)
    np.testing.assert_array_equal(array[3:30], PLAIN[3:30])
    np.testing.assert_array_equal(array.gather(np.array([40, 2]), 9)[1], PLAIN[2:11])


SPEC = SignalSpec((inertial_signal("wrist", "acc", 10.0), inertial_signal("wrist", "gyr", 10.0)))


@pytest.fixture
def stored(tmp_path):
    def recording(number, lengths, starts):
        rng = np.random.default_rng(number)
        values = [rng.normal(size=(n, 3)).astype(np.float32) for n in lengths]
        values[0][5:15] = np.nan
        tracks = (Track(s, v, t) for s, v, t in zip(SPEC, values, starts, strict=True) if len(v))
        return Recording(f"r{number}", f"s{number}", "1", tuple(tracks))

    cases = [((60, 60), (0, 0)), ((50, 40), (0, 0)), ((50, 50), (0.0, 1.0)), ((30, 0), (0, 0))]
    Store.write(tmp_path / "store", SPEC, LabelSet(("a",)), [recording(i, *case) for i, case in enumerate(cases)])
    return tmp_path / "store"


@pytest.mark.parametrize("some", [slice(None), slice(0, 60)], ids=["unaligned", "aligned"])
def test_mapped_or_not_a_batch_is_the_same(stored, some):
    mapped, read = Store.open(stored, True), Store.open(stored, False)
    assert (type(mapped.array("wrist_acc")), type(read.array("wrist_acc"))) == (np.memmap, DiskArray)
    windows = cut_windows(read, WindowConfig(2.0, 0.5), labelled=False)
    windows = windows.take(np.arange(len(windows))[some])
    index = np.random.default_rng(0).integers(0, len(windows), 50)
    found, expected = read.gather(windows, index), mapped.gather(windows, index)
    for column, name in enumerate(SPEC.names):
        assert not windows.present[:, column].all()
        np.testing.assert_array_equal(found[name], expected[name])
        for place, window in enumerate(index):
            first = windows.rows[name][window]
            plain = mapped.array(name)[first : first + 20] if windows.present[window, column] else np.zeros((20, 3))
            np.testing.assert_array_equal(found[name][place], plain)


def test_a_large_store_is_not_mapped(stored, monkeypatch):
    assert isinstance(Store.open(stored).array("wrist_acc"), np.memmap)
    monkeypatch.setattr("dcdp.data.store.memory_limit", lambda: 4 * 190 * 24 - 1)
    assert isinstance(Store.open(stored).array("wrist_acc"), DiskArray)
    monkeypatch.setattr("dcdp.data.store.memory_limit", lambda: 4 * 190 * 24)
    assert isinstance(Store.open(stored).array("wrist_acc"), np.memmap)


def test_windows_of_another_store_are_refused(stored):
    store = Store.open(stored, False)
    windows = cut_windows(store, WindowConfig(2.0, 0.5), labelled=False)
    for shift in (-10_000, 10_000):
        moved = replace(windows, rows={name: rows + shift for name, rows in windows.rows.items()})
        with pytest.raises(DataError, match="a window must lie inside 'wrist_acc'"):
            Store.open(stored, False).gather(moved, np.arange(5))


def test_a_limit_on_address_space_is_found():
    code = "from dcdp.data.memory import memory_limit; print(memory_limit())"

    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (900_000_000, 900_000_000))

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, preexec_fn=limit,
        env={"PYTHONPATH": ":".join(sys.path), "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    assert int(done.stdout) <= 900_000_000
    assert memory_limit() > 1 << 20


@pytest.mark.parametrize(
    ("line", "file"),
    [("0::/a/b", "a/memory.max"), ("5:memory:/a/b", "memory/a/b/memory.limit_in_bytes"),
     ("5:memory:/elsewhere", "memory/memory.limit_in_bytes")],
)  # fmt: skip
def test_limits_of_control_groups_are_found(tmp_path, monkeypatch, line, file):
    groups = tmp_path / "groups"
    (groups / file).parent.mkdir(parents=True)
    (groups / file).write_text("4096\n")
    (groups / "a").mkdir(exist_ok=True)
    (groups / "memory.max").write_text("max\n")
    (tmp_path / "cgroup").write_text(f"7:cpu:/x\n{line}\n")
    monkeypatch.setattr(memory, "_PROC_CGROUP", tmp_path / "cgroup")
    monkeypatch.setattr(memory, "_CGROUPS", groups)
    assert memory_limit() == 4096
