"""Blocks cover every row once, and let go of what they have read."""

import re
from pathlib import Path

import numpy as np
import pytest

from dcdp.data.quality.blocks import read_blocks
from dcdp.data.store import Store

from .conftest import ACC, GYR, LABELS, SPEC, make_recording, noise


@pytest.mark.parametrize("n_overlap", [0, 7])
@pytest.mark.parametrize("limit", [60, 1000, 10**6])
def test_every_row_once_and_the_overlap_before_it(make_store, monkeypatch, n_overlap, limit):
    monkeypatch.setattr("dcdp.data.quality.blocks.BLOCK_VALUES", 3 * limit)
    store = make_store(size=130)
    found = list(read_blocks(store, GYR, n_overlap))
    np.testing.assert_array_equal(np.concatenate([block.fresh.T for block in found]), store.array("wrist_gyr"))
    for block in found:
        assert block.n_before in (0, n_overlap)
        rows = store.array("wrist_gyr")[block.array_row : block.array_row + block.values.shape[1]]
        np.testing.assert_array_equal(block.values.T, rows)
        for number, start in zip(block.recordings, block.starts, strict=True):
            assert store.recordings[number].rows["wrist_gyr"][0] == block.array_row + start - block.first_row


@pytest.mark.skipif(not Path("/proc/self/smaps").is_file(), reason="asks Linux what is in memory")
def test_a_mapped_store_does_not_stay_in_memory(tmp_path):
    Store.write(tmp_path / "store", SPEC, LABELS, (
        make_recording(i, f"s{i}", noise(i, 200_000), noise(i + 9, 200_000)) for i in range(4)
    ))  # fmt: skip
    store = Store.open(tmp_path / "store")
    assert sum(block.fresh.shape[1] for block in read_blocks(store, ACC)) == 800_000
    smaps = Path("/proc/self/smaps").read_text(encoding="utf-8")
    resident_kb = re.findall(r"/store/.*\.npy\n(?:.*\n)*?Rss:\s+(\d+) kB", smaps)
    assert resident_kb
    assert sum(map(int, resident_kb)) < 1000  # of 9600
