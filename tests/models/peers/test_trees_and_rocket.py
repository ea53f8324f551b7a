"""LightGBM and MiniRocket: what is ours around the packages, and the packages themselves where they are installed."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from sklearn.linear_model import RidgeClassifier

from dcdp.errors import ConfigError
from dcdp.models.peers import minirocket, packages
from dcdp.models.peers.gradient_boosting import fit_boosting, load_lightgbm, predict_boosting
from dcdp.models.peers.minirocket import fit_minirocket, predict_minirocket
from dcdp.models.peers.packages import require_package


def clouds(n=60, seed=0, classes=(0, 2, 3)):
    """Windows (N, 3, 40) whose waves differ in pace by class."""
    rng = np.random.default_rng(seed)
    label = np.array(classes)[rng.integers(0, len(classes), n)]
    time = np.arange(40) / 20
    phase = rng.uniform(0, 2 * np.pi, (n, 3, 1))
    waves = np.sin(2 * np.pi * (1 + label[:, None, None]) * time + phase)
    return (waves + rng.normal(0, 0.1, waves.shape)).astype(np.float32), label


def spectrum(_windows, _seed):
    """Stand in for random convolutions."""
    return lambda x: np.abs(np.fft.rfft(x, axis=2)).reshape(len(x), -1).astype(np.float32)


def test_a_package_that_is_not_there_is_told_with_the_command(monkeypatch):
    monkeypatch.setattr(packages, "find_spec", lambda name: None if name == "sktime" else object())
    with pytest.raises(ConfigError, match=r"'minirocket' needs the package sktime: .*pip install \"dcdp\[peers\]\""):
        require_package("peer 'minirocket'", "sktime")
    require_package("peer 'minirocket'", "numpy")


def test_a_system_without_an_openmp_runtime_is_told_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "lightgbm.py").write_text("raise OSError('libgomp.so.1: cannot open shared object file')")
    monkeypatch.delitem(sys.modules, "lightgbm", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match=r"OpenMP runtime: got libgomp\.so\.1: .*apt install libgomp1.*tree_rounds=0"):
        load_lightgbm()


def test_the_ridge_over_features_recognises_new_windows_and_gives_probabilities():
    windows, label = clouds()
    model = fit_minirocket(windows, label, 0, make=spectrum)
    asked, truth = clouds(seed=1)
    probability = predict_minirocket(model, asked, 5)
    assert probability.shape == (60, 5)
    assert (probability.argmax(1) == truth).mean() > 0.95
    np.testing.assert_allclose(probability.sum(1), 1, rtol=1e-5)
    assert (probability[:, [1, 4]] == 0).all()  # classes that nobody trained
    assert model.n_parameters == 3 * (3 * 21 + 1)


def test_two_classes_have_probabilities_too():
    windows, label = clouds(classes=(1, 3))
    probability = predict_minirocket(fit_minirocket(windows, label, 0, make=spectrum), windows, 4)
    assert (probability.argmax(1) == label).mean() > 0.95
    np.testing.assert_allclose(probability.sum(1), 1, rtol=1e-5)


def test_the_strength_is_chosen_on_people_held_out(monkeypatch):
    strengths = (0.01, 1.0, 30.0, 1e4)  # of few features
    monkeypatch.setattr(minirocket, "ALPHAS", strengths)
    windows, label = clouds(120)
    held_out = np.arange(120) >= 60
    noise = windows.copy()
    rng = np.random.default_rng(3)
    noise[~held_out] += rng.normal(0, 4.0, noise[~held_out].shape).astype(np.float32)
    chosen = fit_minirocket(noise, label, 0, held_out, make=spectrum).alpha
    found = {}
    for alpha in strengths:
        features = spectrum(None, 0)(noise)
        features = (features - features.mean(0)) / features.std(0)
        ridge = RidgeClassifier(alpha, solver="cholesky", class_weight="balanced")
        found[alpha] = ridge.fit(features[~held_out], label[~held_out]).score(features[held_out], label[held_out])
    assert found[chosen] == max(found.values())
    assert len(set(found.values())) > 1
    assert fit_minirocket(windows, label, 0, make=spectrum).alpha == 1000.0


def test_features_that_never_change_do_no_harm():
    windows, label = clouds()
    windows[:, 1] = 0
    model = fit_minirocket(windows, label, 0, make=spectrum)
    assert np.isfinite(predict_minirocket(model, windows, 4)).all()


@pytest.mark.slow  # numba compiles for a minute
def test_minirocket_of_sktime_recognises_new_windows():
    pytest.importorskip("sktime")
    pytest.importorskip("numba")
    windows, label = clouds()
    model = fit_minirocket(windows, label, 0)
    asked, truth = clouds(seed=1)
    assert (predict_minirocket(model, asked, 4).argmax(1) == truth).mean() > 0.9
    assert model.n_parameters == 3 * (9996 + 1)  # 10 000 kernels, rounded down to a multiple of 84


def test_boosted_trees_recognise_new_windows_and_repeat_themselves():
    pytest.importorskip("lightgbm")
    windows, label = clouds(300)
    features = spectrum(None, 0)(windows)
    model, classes = fit_boosting(features, label, 0, n_rounds=20)
    asked, truth = clouds(seed=1)
    probability = predict_boosting(model, classes, spectrum(None, 0)(asked), 5)
    assert (probability.argmax(1) == truth).mean() > 0.9
    assert (probability[:, [1, 4]] == 0).all()
    np.testing.assert_allclose(probability.sum(1), 1, rtol=1e-5)
    again = predict_boosting(*fit_boosting(features, label, 0, n_rounds=20), spectrum(None, 0)(asked), 5)
    assert np.array_equal(probability, again)
