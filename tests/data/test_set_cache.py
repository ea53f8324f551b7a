"""Opening a set: parsed once, verified, cached."""

import dataclasses
import hashlib
import shutil
import subprocess
import sys
from contextlib import ExitStack

import numpy as np
import pytest

from dcdp.data import get_set, open_set, registry
from dcdp.data.archive import open_source
from dcdp.data.digests import TreeDigest, check_digests
from dcdp.data.writer import write_lock
from dcdp.errors import FormatError, MissingError


@pytest.fixture
def data(tiny_tree, write_tree, tmp_path):
    return write_tree("tar", tmp_path / "data", "hapt", tiny_tree("hapt"))


@pytest.fixture
def known_tiny(data, monkeypatch):
    """Declare the tiny HAPT to be the known one."""
    data_set = get_set("hapt")
    tree = TreeDigest(data_set.layout)
    list(tree.watch(open_source(data, data_set.layout)))
    _declare(monkeypatch, digests=tree.digests())


def _declare(monkeypatch, **changes):
    monkeypatch.setattr(registry, "SETS", (dataclasses.replace(get_set("hapt"), **changes),))


def _must_not_parse(_):
    raise AssertionError("parsed again")


def test_the_second_opening_does_not_parse(data, tmp_path, monkeypatch):
    first = open_set("hapt", data, tmp_path / "cache", verify=False)
    _declare(monkeypatch, parse=_must_not_parse)
    second = open_set("hapt", data, tmp_path / "cache", verify=False)
    assert second.recordings == first.recordings
    np.testing.assert_array_equal(second.array("waist_acc"), first.array("waist_acc"))
    with pytest.raises(AssertionError, match="parsed again"):
        open_set("hapt", data, tmp_path / "other_cache", verify=False)


@pytest.mark.usefixtures("known_tiny")
def test_a_cached_set_needs_no_data_folder(data, tmp_path, monkeypatch):
    monkeypatch.delenv("DCDP_DATA", raising=False)
    monkeypatch.setenv("DCDP_CACHE", str(tmp_path / "cache"))
    with pytest.raises(MissingError, match=r"'hapt' must be in the cache or in a data folder.*archive\.ics\.uci\.edu"):
        open_set("hapt")
    monkeypatch.setenv("DCDP_DATA", str(data))
    open_set("hapt")
    monkeypatch.delenv("DCDP_DATA")
    assert len(open_set("hapt").recordings) == 3


def test_unknown_files_are_refused_and_leave_nothing(data, tmp_path):
    with pytest.raises(FormatError, match=r"files of labels, s01, s02, s03.*\(--unverified\)"):
        open_set("hapt", data, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.usefixtures("known_tiny")
def test_an_altered_file_names_its_group(tiny_tree, write_tree, tmp_path):
    tree = tiny_tree("hapt")
    path = "hapt/HAPT Data Set/RawData/gyro_exp03_user02.txt"
    tree[path] = tree[path].replace(b"1", b"2", 1)
    altered = write_tree("tar", tmp_path / "altered", "hapt", tree)
    with pytest.raises(FormatError, match=r"altered, missing or surplus files of s02\. Fetch"):
        open_set("hapt", altered, tmp_path / "cache")
    assert len(open_set("hapt", altered, tmp_path / "cache", verify=False).recordings) == 3


@pytest.mark.usefixtures("known_tiny")
def test_verified_and_unverified_stores_are_apart(data, tmp_path):
    open_set("hapt", data, tmp_path / "cache", verify=False)
    open_set("hapt", data, tmp_path / "cache")
    open_set("hapt", data, tmp_path / "cache", gap_s=0.0)
    names = sorted(path.name.rsplit("-", 1)[0] for path in (tmp_path / "cache").iterdir())
    assert names == ["hapt-v1-unverified", "hapt-v1-verified", "hapt-v1-verified"]


@pytest.mark.usefixtures("known_tiny")
def test_a_new_loader_version_reads_again(data, tmp_path, monkeypatch):
    open_set("hapt", data, tmp_path / "cache")
    _declare(monkeypatch, parse=_must_not_parse, version=2)
    with pytest.raises(AssertionError, match="parsed again"):
        open_set("hapt", data, tmp_path / "cache")


def test_a_damaged_cache_is_made_again(data, tmp_path):
    open_set("hapt", data, tmp_path / "cache", verify=False)
    (array,) = (tmp_path / "cache").glob("*/*.npy")
    array.write_bytes(array.read_bytes()[:-8])
    assert open_set("hapt", data, tmp_path / "cache", verify=False).array("waist_acc").shape == (210, 3)


_WAITER = """
import sys
from pathlib import Path
import dcdp.data.registry as registry
registry.write_set = lambda *_, **__: sys.exit("parsed again")
store = registry.open_set("hapt", Path(sys.argv[1]), Path(sys.argv[2]), verify=False,
                          progress=lambda done, total, text: print(text, flush=True))
print(len(store.recordings))
"""


def test_another_process_that_reads_the_set_is_waited_for(data, tmp_path):
    open_set("hapt", data, tmp_path / "whole", verify=False)
    (whole,) = (tmp_path / "whole").iterdir()
    folder = tmp_path / "cache" / whole.name
    with ExitStack() as lock:
        lock.enter_context(write_lock(folder))
        with subprocess.Popen(
            [sys.executable, "-c", _WAITER, str(data), str(tmp_path / "cache")], stdout=subprocess.PIPE, text=True,
            env={"PYTHONPATH": ":".join(sys.path)},
        ) as waiter:  # fmt: skip
            assert waiter.stdout.readline() == "waiting for another process that reads hapt\n"
            for path in [*whole.glob("*.npy"), whole / "index.json"]:
                shutil.copy(path, folder)
            assert waiter.poll() is None
            lock.close()
            assert waiter.stdout.readline() == "3\n", "it takes what the other one made"


def test_progress_counts_files(data, tmp_path):
    seen = []
    open_set("hapt", data, tmp_path / "cache", verify=False, progress=lambda *call: seen.append(call))
    assert seen == [(done, 123, "reading hapt") for done in range(1, 8)]


def test_the_digest_is_the_documented_one(tiny_tree):
    data_set, tree = get_set("uschad"), TreeDigest(get_set("uschad").layout)
    files = [(data_set.layout.relative(path), data) for path, data in tiny_tree("uschad").items()]
    assert list(tree.watch(iter(files))) == files
    lines = sorted(f"{path}\0{hashlib.sha256(data).hexdigest()}\n" for path, data in files if "Subject1/" in path)
    assert tree.digests()["s01"] == hashlib.sha256("".join(lines).encode()).hexdigest()
    assert list(tree.digests()) == ["s01", "s02", "s10"]


def test_missing_and_surplus_groups_are_named():
    check_digests({"a": "1"}, {"a": "1"})
    with pytest.raises(FormatError, match="files of b, c, d"):
        check_digests({"a": "1", "b": "2", "c": "3"}, {"a": "1", "b": "4", "d": "5"})


def test_the_digest_command(data):
    from dcdp.data.__main__ import main

    lines = main(["hapt", str(data)]).splitlines()
    assert [line.split('"')[1] for line in lines] == ["labels", "s01", "s02"]
    with pytest.raises(ValueError, match="arguments must be NAME FOLDER_OR_ARCHIVE"):
        main(["hapt"])


def test_importing_the_registry_is_light():
    code = "import sys, dcdp.data; print([m for m in ('torch', 'polars', 'scipy.io') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": ":".join(sys.path)}
    )
    assert done.stdout == "[]\n"
