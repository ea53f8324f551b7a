"""Search spaces: read from TOML's nested tables, checked against keys, values and the default."""

from __future__ import annotations

from typing import Any

import pytest

from dcdp.config import RunConfig
from dcdp.errors import ConfigError
from dcdp.experiments.search_space import DEFAULT_SPACE, Interval, default_point, make_space, suggest
from dcdp.settings import override

optuna = pytest.importorskip("optuna")


def test_tables_may_be_nested_or_dotted() -> None:
    nested = make_space({"training": {"learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}}}, RunConfig())
    dotted = make_space({"training.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}}, RunConfig())
    assert nested == dotted == {"training.learning_rate": Interval(1e-4, 1e-2, log=True)}


def test_the_default_space_holds_the_default_configuration() -> None:
    space = make_space(DEFAULT_SPACE, RunConfig())
    assert default_point(space, RunConfig())["network.dropout"] == 0.5  # filled in by the preset
    point = default_point(space, RunConfig())
    config = override(RunConfig(), *(f"{key}={value}" for key, value in point.items()))
    assert config.training == RunConfig().training
    assert config.objective == RunConfig().objective


def test_every_draw_can_be_set_and_stays_inside() -> None:
    declared = {
        "training.batch_size": {"low": 32, "high": 256, "log": True},
        "network.dropout": {"low": 0.2, "high": 0.7},
        "network.widths": [[32, 48, 64], [16, 24, 32]],
        "training.optimizer": ["adamw", "sgd"],
        "training.early_stopping": [True, False],
    }
    space = make_space(declared, RunConfig())
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    seen = set()
    for _ in range(20):
        config = override(RunConfig(), *suggest(study.ask(), space, RunConfig()))
        assert 32 <= config.training.batch_size <= 256
        assert config.network.dropout is not None
        assert 0.2 <= config.network.dropout <= 0.7
        seen.add((config.network.widths, config.training.optimizer, config.training.early_stopping))
    assert len(seen) == 8


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({}, "a search space must name a key: got none"),
        ({"training.epoch": [1]}, "Did you mean 'training.epochs'"),
        ({"windows.window_s": [2.0, 3.0]}, "a search must not vary windows or body: got 'windows.window_s'"),
        ({"training": {"epochs": {"low": 5, "high": 10}}}, "must hold its default 20: got 5 to 10. Widen it"),
        ({"training.optimizer": ["sgd"]}, "must hold its default \"adamw\": got \"sgd\""),
        ({"training.epochs": {"low": 5.5, "high": 30}}, "training.epochs must be an integer"),
        ({"training.epochs": {"low": 30, "high": 5}}, "an interval must have low < high: got 30.0 and 5.0"),
        ({"augment.rotation_deg": {"low": 0, "high": 20, "log": True}}, "a logarithmic interval must be positive"),
        ({"training.epochs": {"low": 5}}, "training.epochs.high"),
        ({"training.epochs": {"low": 5, "high": 30, "step": 2}}, "training.epochs.step"),
        ({"training.optimizer": {"low": 0, "high": 1}}, "training.optimizer must be one of|must be one of adamw, sgd"),
        ({"training.epochs": []}, "training.epochs must be given a list of choices, or low and high"),
        ({"training.epochs": 30}, "training.epochs must be given a list of choices, or low and high"),
    ],
)
def test_what_does_not_fit_is_refused(declared: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_space(declared, RunConfig())
