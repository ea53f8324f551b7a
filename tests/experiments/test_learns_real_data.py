"""The network learns real people: a few epochs on some users of HAPT recognise users it has not seen."""

from __future__ import annotations

import numpy as np
import pytest

from dcdp.augmentation import AugmentConfig
from dcdp.config import RunConfig
from dcdp.data import get_set
from dcdp.data.archive import open_source
from dcdp.errors import MissingError
from dcdp.experiments.fold import run_fold
from dcdp.experiments.fold_request import FoldRequest
from dcdp.experiments.source import load
from dcdp.models.network import NetworkConfig
from dcdp.signals.windows import cut_windows
from dcdp.splits import Split
from dcdp.training import TrainingConfig

pytestmark = [pytest.mark.data, pytest.mark.slow]

N_TRAIN, N_VALIDATION, N_TEST = 8, 2, 4


@pytest.fixture(scope="module")
def source(data_dir, real_cache):
    try:
        open_source(data_dir, get_set("hapt").layout)
    except MissingError as err:
        pytest.skip(f"no real hapt: {err}")
    return load("hapt", data_dir, cache=real_cache)


def test_users_never_seen_are_recognised(source):
    config = RunConfig(
        network=NetworkConfig("tiny"), augment=AugmentConfig(10.0),
        training=TrainingConfig(epochs=6, batch_size=64, learning_rate=4e-3, average=0.95),
    )  # fmt: skip
    train, test = source.official["train"], source.official["test"]
    split = Split(
        "official", "some users", train[:N_TRAIN], train[N_TRAIN : N_TRAIN + N_VALIDATION], test[:N_TEST]
    )
    windows = cut_windows(source.store, config.windows)
    result = run_fold(FoldRequest(source, windows, split, config, seed=0, peers=()))
    scores = result["scores"]
    label = windows.label[np.isin(windows.subject, split.test)]
    chance = np.bincount(label).max() / len(label)  # accuracy of always saying the commonest activity
    assert scores["accuracy"]["mean"] > max(0.75, 3 * chance)
    assert scores["macro_f1"]["mean"] > 0.5
    assert min(scores["macro_f1"]["by_subject"].values()) > 0.35
    by_branch = {name: figures["accuracy"] for name, figures in scores["by_branch"].items()}
    assert min(by_branch.values()) > 2 * chance  # each branch has learned something of its own
