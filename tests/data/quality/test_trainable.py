"""Training's own check reads a block of a sound store, and agrees with the whole check."""

import json

import numpy as np
import pytest

from dcdp.data import check_store, require_trainable
from dcdp.data.quality import measure_store, to_plain, trainable
from dcdp.errors import DataError


def test_it_stops_as_soon_as_every_channel_has_varied(make_store, monkeypatch):
    monkeypatch.setattr("dcdp.data.quality.blocks.BLOCK_VALUES", 300)
    n_read = []

    def counted(store, signal):
        for block in read(store, signal):
            n_read.append(signal.name)
            yield block

    read = trainable.read_blocks
    monkeypatch.setattr(trainable, "read_blocks", counted)
    require_trainable(make_store())
    assert n_read == ["wrist_acc", "wrist_gyr"]
    with pytest.raises(DataError, match="a channel must vary"):
        require_trainable(make_store(lambda _s, acc, _g: acc[:, 0].fill(1)))
    assert n_read.count("wrist_acc") == 1 + 5 * 10


@pytest.mark.parametrize("late", [0, 4])
def test_a_channel_that_varies_in_one_recording_alone_is_enough(make_store, late):
    def change(subject, acc, _g):
        if subject != f"s{late + 1}":
            acc[:, 0] = 1

    store = make_store(change)
    require_trainable(store)
    assert {found.severity for found in check_store(store)} == {"warning"}


def test_figures_are_json(make_store):
    store = make_store(lambda subject, acc, _g: acc[:, 0].fill(np.nan) if subject == "s1" else None)
    plain = to_plain(measure_store(store))
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["signals"][0]["channels"][0]["missing_share"] == 0.2
    assert plain["coverage"]["subjects"] == ["s1", "s2", "s3", "s4", "s5"]
