"""A peer learns real people too: a few epochs on some users of HAPT recognise users it has not seen."""

from __future__ import annotations

import numpy as np
import pytest

from dcdp.config import RunConfig
from dcdp.data import get_set
from dcdp.data.archive import open_source
from dcdp.errors import MissingError
from dcdp.experiments.peers import score_peer
from dcdp.experiments.source import load
from dcdp.models.network import lay_out
from dcdp.signals.windows import cut_windows
from dcdp.training import TrainingConfig

pytestmark = [pytest.mark.data, pytest.mark.slow]


@pytest.fixture(scope="module")
def source(data_dir, real_cache):
    try:
        open_source(data_dir, get_set("hapt").layout)
    except MissingError as err:
        pytest.skip(f"no real hapt: {err}")
    return load("hapt", data_dir, cache=real_cache)


def test_users_never_seen_are_recognised_by_tinyhar(source):
    config = RunConfig(training=TrainingConfig(epochs=6, batch_size=64))
    windows = cut_windows(source.store, config.windows)
    people = {"train": source.official["train"][:8], "validation": source.official["train"][8:10]}
    people["test"] = source.official["test"][:4]
    part = {name: windows.take(np.isin(windows.subject, members)) for name, members in people.items()}
    layouts = lay_out(source.spec, source.branches, config.windows.window_s)
    found = score_peer(
        "tinyhar", source.store, layouts, part["train"], part["test"], 0, validation=part["validation"], config=config
    )
    scores, label = found["scores"], part["test"].label
    chance = np.bincount(label).max() / len(label)
    assert scores["accuracy"]["mean"] > max(0.7, 3 * chance)
    assert scores["macro_f1"]["mean"] > 0.4
    assert scores["absent"]["acc"]["loss"] > 0.1  # and it leans on the accelerometer
