"""The network learns real people: a few epochs on some users of HAPT recognise users it has not seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dcdp.augmentation import AugmentConfig
from dcdp.bundle import load_bundle
from dcdp.config import RunConfig
from dcdp.data import get_set
from dcdp.data.archive import open_source
from dcdp.errors import MissingError
from dcdp.experiments.fold import run_fold
from dcdp.experiments.fold_request import FoldRequest
from dcdp.experiments.fold_scores import evaluate_bundle
from dcdp.experiments.source import load
from dcdp.models.network import NetworkConfig
from dcdp.signals.windows import cut_windows
from dcdp.splits import Split
from dcdp.training import TrainingConfig

pytestmark = [pytest.mark.data, pytest.mark.slow]

N_TRAIN, N_VALIDATION, N_TEST = 8, 2, 4


@pytest.fixture(scope="module")
def load_real(data_dir, real_cache):
    """Return ``load_real(name)``: a real data set, or a skip that says why."""

    def read(name):
        try:
            open_source(data_dir, get_set(name).layout)
        except MissingError as err:
            pytest.skip(f"no real {name}: {err}")
        return load(name, data_dir, cache=real_cache)

    return read


def test_users_never_seen_are_recognised(load_real):
    source = load_real("hapt")
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


def test_trees_beside_the_branches_help_on_people_never_seen_and_stay_in_the_model_file(load_real, tmp_path):
    source = load_real("uschad")
    people = source.subjects
    split = Split("arena", "some people", people[:4], people[4:5], people[5:7])
    training = TrainingConfig(steps_per_subject=20, batch_size=64, learning_rate=4e-3, average=0.95)
    plain = RunConfig(network=NetworkConfig("tiny"), training=training)
    windows = cut_windows(source.store, plain.windows)
    windows = windows.take(np.arange(0, len(windows), 3))
    scores = {}
    for rounds in (0, 20):
        config = replace(plain, network=NetworkConfig("tiny", tree_rounds=rounds))
        request = FoldRequest(source, windows, split, config, seed=0, peers=(), folder=tmp_path / str(rounds))
        scores[rounds] = run_fold(request)["scores"]
    assert scores[20]["macro_f1"]["mean"] > scores[0]["macro_f1"]["mean"] + 0.02
    for name, absent in scores[20]["absent"].items():
        assert absent["macro_f1"] > scores[0]["absent"][name]["macro_f1"]
    bundle = load_bundle(tmp_path / "20" / "bundle.safetensors")
    again, _ = evaluate_bundle(bundle, source.store, windows.take(np.isin(windows.subject, split.test)), "cpu")
    assert again["macro_f1"] == scores[20]["macro_f1"]
