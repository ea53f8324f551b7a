"""A method by its name: fitted on one fold, it predicts windows of any store."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dcdp.errors import ConfigError
from dcdp.evaluation import subject_macro_f1
from dcdp.experiments.fold_request import FoldRequest
from dcdp.experiments.fold_scores import evaluate_bundle
from dcdp.experiments.fold_training import train_fold
from dcdp.experiments.methods import FittedMethod, Method, fit_method, method_config, named_method
from dcdp.experiments.peers import score_peer
from dcdp.experiments.source import load
from dcdp.signals.windows import cut_windows
from dcdp.splits import make_folds

METHODS = ("dcdp", "forest", "tinierhar@ours")


@pytest.fixture(scope="module")
def fold(make_config) -> FoldRequest:
    """Return a request for the first fold."""
    config = make_config()
    source = load("synthetic", body=config.body)
    windows = cut_windows(source.store, config.windows)
    return FoldRequest(source, windows, make_folds("arena", source.subjects)[0], config)


@pytest.fixture(scope="module")
def fitted(fold) -> dict[str, FittedMethod]:
    """Return one method of each kind, fitted."""
    return {name: fit_method(named_method(name), fold) for name in METHODS}


class SilentGyroscope:
    """A store whose gyroscope reports nothing but zeros."""

    def __init__(self, store):
        self.spec, self.labels, self.recordings, self._store = store.spec, store.labels, store.recordings, store

    def gather(self, windows, index):
        signals = self._store.gather(windows, index)
        return signals | {"wrist_gyr": np.zeros_like(signals["wrist_gyr"])}


@pytest.mark.parametrize("name", METHODS)
def test_a_fitted_method_predicts_any_store_with_any_branches(name, fitted, fold):
    method, test = fitted[name], fold.part("test")
    test = test.take(test.present.all(1))
    clean = method.predict(fold.source.store, test)
    assert clean.shape == (len(test), len(test.label_set))
    np.testing.assert_allclose(clean.sum(1), 1, rtol=1e-4)
    silent = method.predict(SilentGyroscope(fold.source.store), test)
    assert not np.allclose(silent, clean, atol=1e-3)
    only_acc = method.predict(fold.source.store, test, np.array([True, False]))
    unrecorded = replace(test, present=test.present & np.array([True, False]))
    np.testing.assert_allclose(method.predict(fold.source.store, unrecorded), only_acc, atol=1e-5)
    assert not np.allclose(only_acc, clean, atol=1e-3)
    nothing = method.predict(fold.source.store, unrecorded, np.array([False, True]))
    np.testing.assert_allclose(nothing, 1 / clean.shape[1], rtol=1e-6)


@pytest.mark.parametrize("name", METHODS)
def test_a_fitted_method_says_what_it_cost(name, fitted):
    method = fitted[name]
    assert method.parameters > 1000
    assert method.n_bytes > method.parameters
    assert method.seconds > 0
    if name == "forest":
        assert (method.training, method.validation, method.windows_per_s) == ({}, {}, None)
    else:
        assert {"epochs", "best_epoch", "steps"} <= set(method.training)
        assert 0 < method.validation["macro_f1"] <= 1
        assert method.windows_per_s > 0


def test_our_network_is_the_one_that_train_tests(fitted, fold):
    bundle, _ = train_fold(fold)
    _, inferred = evaluate_bundle(bundle, fold.source.store, fold.part("test"))
    expected = inferred.probability(bundle.temperature)
    np.testing.assert_allclose(fitted["dcdp"].predict(fold.source.store, fold.part("test")), expected, atol=1e-5)
    assert fitted["dcdp"].bundle is not None


@pytest.mark.parametrize("name", ["forest", "tinierhar@ours"])
def test_a_peer_is_the_one_that_train_tests(name, fitted, fold):
    test = fold.part("test")
    probability = fitted[name].predict(fold.source.store, test)
    expected = score_peer(
        name, fold.source.store, fold.layouts, fold.part("train"), test, fold.seed,
        validation=fold.part("validation"), config=fold.config,
    )  # fmt: skip
    assert subject_macro_f1(test.label, probability, test.subject) == expected["scores"]["macro_f1"]["mean"]


def test_a_finished_training_is_loaded_and_not_repeated(fold, tmp_path):
    said = []
    for name in ("dcdp", "tinierhar"):
        asked = replace(fold, folder=tmp_path / name)
        first = fit_method(named_method(name), asked)
        again = fit_method(named_method(name), asked, resume=True, progress=lambda *news: said.append(news))
        test = fold.part("test")
        np.testing.assert_array_equal(first.predict(fold.source.store, test), again.predict(fold.source.store, test))
    assert said == []


def test_a_variant_is_its_base_with_settings_on_top_of_the_common_ones():
    variant = Method("short", "dcdp", ("training.epochs=3", "objective.contrast=0"))
    config = method_config(variant, "hapt", ("training.epochs=9", "training.max_steps=50"))
    assert (config.training.epochs, config.training.max_steps, config.objective.contrast) == (3, 50, 0)
    assert named_method("short", {"short": variant}) is variant
    assert named_method("tinyhar@ours") == Method("tinyhar@ours", "tinyhar@ours")


def test_names_and_settings_are_checked():
    with pytest.raises(ConfigError, match=r"method must be one of .*: got 'forrest'\. Did you mean 'forest'"):
        named_method("forrest")
    with pytest.raises(ConfigError, match=r"method must be one of .*no_contrast.*: got 'no_contrst'"):
        named_method("no_contrst", {"no_contrast": Method("no_contrast")})
    with pytest.raises(ConfigError, match="recipe of a peer must be one of hidden, ours"):
        named_method("tinyhar@mine")
    with pytest.raises(ConfigError, match="configuration key must be one of"):
        method_config(Method("typo", "dcdp", ("objective.contrst=0",)), "hapt")
