"""Peers in the harness: the same people and budget, their own recipe, branches taken away, resumed when stopped."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from dcdp.augmentation import AugmentConfig
from dcdp.errors import ConfigError
from dcdp.evaluation import check_result, macro_f1_by_subject
from dcdp.experiments import classical_peers, deep_peers, peers
from dcdp.experiments import fold as fold_module
from dcdp.experiments.classical_peers import VARIED_COPIES
from dcdp.experiments.fold import run_fold
from dcdp.experiments.fold_request import FoldRequest
from dcdp.experiments.peer_task import together
from dcdp.experiments.peers import expand_peers, pool_peer, score_peer
from dcdp.experiments.run import train_run
from dcdp.experiments.run_folder import RunRequest
from dcdp.experiments.source import load
from dcdp.models.network import lay_out
from dcdp.models.peers import list_peers
from dcdp.signals.windows import cut_windows
from dcdp.splits import make_folds


@pytest.fixture(scope="module")
def config(make_config):
    """Return three epochs."""
    return make_config(epochs=3)


@pytest.fixture(scope="module")
def source(config):
    """Return four people with acc and gyr at the wrist."""
    return load("synthetic", body=config.body)


@pytest.fixture(scope="module")
def parts(source, config):
    """Return the windows of each part of the first fold, the last ones of training without gyr."""
    windows = cut_windows(source.store, config.windows)
    return {name: windows.take(i) for name, i in make_folds("arena", source.subjects)[0].parts(windows).items()}


@pytest.fixture
def scored(source, parts, config):
    """Return ``scored(name, ...)``: `score_peer` on the fold."""

    def run(name, store=source.store, config=config, **changed):
        given = parts | {part: changed.pop(part) for part in list(changed) if part in parts}
        layouts = lay_out(source.spec, source.branches, config.windows.window_s)
        return score_peer(
            name, store, layouts, given["train"], given["test"], 0, validation=given["validation"], config=config,
            **changed,
        )  # fmt: skip

    return run


@pytest.fixture
def asked(monkeypatch):
    """Return what each call of `fit` was given; it trains all the same."""
    calls, fit = [], deep_peers.fit

    def spy(network, train, *settings, **options):
        calls.append((network, train, settings, options))
        return fit(network, train, *settings, **options)

    monkeypatch.setattr(deep_peers, "fit", spy)
    return calls


def test_a_deep_peer_learns_and_says_what_it_cost(scored, parts, make_config):
    found = scored("tinyhar", config=make_config(epochs=15, batch_size=12))
    scores, labels = found["scores"], parts["test"].label_set.names
    assert scores["macro_f1"]["mean"] > 2 / len(labels)
    assert np.sum(scores["confusion"]) == len(parts["test"])
    assert set(scores["macro_f1"]["by_subject"]) == set(parts["test"].subject)
    assert found["parameters"] > 20000
    assert found["seconds"] > 0
    assert found["windows_per_s"] > 0
    assert 0 <= found["best_epoch"] < found["epochs"] <= 15
    assert set(found["validation"]) == {"macro_f1", "accuracy"}


def test_deep_peers_have_our_budget_and_the_recipe_of_their_paper(scored, asked, config, parts):
    scored("tinierhar")
    ((network, train, (training, objective, modulation, augment), options),) = asked
    ours = config.training
    for name in ("epochs", "max_steps", "patience", "batch_size"):
        assert getattr(training, name) == getattr(ours, name)
    assert (training.learning_rate, training.weight_decay, training.average) == (1e-3, 0.01, 0.0)
    assert (training.warmup, training.clip_norm) == (0.0, 0.0)
    assert (objective.joint, objective.branch, objective.contrast, objective.label_smoothing) == (1, 0, 0, 0)
    assert modulation.alpha == 0
    assert augment == AugmentConfig(rotation_deg=0.0)
    assert set(train.windows.subject) == set(parts["train"].subject)
    assert options["validate"] is not None
    assert network.encoders["acc"].std.std() > 0  # fitted


def test_at_ours_a_peer_has_our_recipe_too(scored, asked, config):
    scored("tinierhar@ours")
    ((_, _, (training, objective, modulation, augment), _),) = asked
    assert training == config.training
    assert augment == config.augment
    assert objective == replace(config.objective, branch=0.0, contrast=0.0)
    assert modulation.alpha == 0


@pytest.mark.parametrize("name", ["tinierhar", "tinierhar@ours"])
def test_without_early_stopping_a_deep_peer_learns_from_validation_people_too(name, scored, asked, config, parts):
    found = scored(name, config=replace(config, training=replace(config.training, early_stopping=False)))
    ((_, train, _, options),) = asked
    assert set(train.windows.subject) == {*parts["train"].subject, *parts["validation"].subject}
    assert len(train) == len(parts["train"]) + len(parts["validation"])
    assert (options["validate"], options["stop_epoch"]) == (None, None)
    assert found["epochs"] == config.training.epochs
    assert found["validation"] == {}


@pytest.mark.parametrize(
    ("name", "set_to", "hidden"),
    [("tinierhar", 0.2, 0.0), ("tinierhar@ours", None, 0.0), ("tinierhar@ours", 0.2, 0.0),
     ("tinierhar@hidden", None, 0.1), ("tinierhar@hidden", 0.2, 0.2)],
)  # fmt: skip
def test_branches_are_hidden_from_a_peer_by_the_recipe_of_that_name_alone(name, set_to, hidden, scored, asked, config):
    scored(name, config=replace(config, network=replace(config.network, branch_dropout=set_to)))
    ((_, _, (training, _, _, augment), options),) = asked
    assert options["branch_dropout"] == hidden
    assert (training == config.training) == (augment == config.augment) == ("@" in name)


def test_hidden_branches_change_what_a_peer_learns(scored, asked):
    scored("tinierhar@ours")
    scored("tinierhar@hidden")
    ours, hidden = (call[0].body.classify.weight for call in asked)
    assert not torch.equal(ours, hidden)


def test_early_stopping_keeps_the_epoch_that_was_best_for_validation_people(scored, monkeypatch):
    figures = iter([0.3, 0.9, 0.1, 0.2])
    monkeypatch.setattr(deep_peers, "_validate", lambda *_: {"macro_f1": next(figures)})
    found = scored("tinierhar")
    assert found["best_epoch"] == 1
    assert found["validation"] == {"macro_f1": 0.9}


def test_after_a_refit_validation_people_are_trained_on_for_the_epochs_that_were_best(scored, asked, config, parts):
    again = replace(config, training=replace(config.training, refit=True))
    found = scored("tinierhar", config=again)
    assert len(asked) == 2
    assert set(asked[1][1].windows.subject) == {*parts["train"].subject, *parts["validation"].subject}
    assert asked[1][3]["validate"] is None
    assert asked[1][3]["stop_epoch"] == found["best_epoch"] + 1


def test_a_classical_peer_is_fitted_on_validation_people_too(scored, parts, monkeypatch):
    seen, fit = [], classical_peers.fit_forest
    monkeypatch.setattr(
        classical_peers, "fit_forest", lambda f, label, *a, **k: seen.append(label) or fit(f, label, *a, **k)
    )
    scored("forest")
    n_windows = len(parts["train"]) + len(parts["validation"])
    assert [len(label) for label in seen] == [n_windows]


def test_windows_joined_again_are_those_that_were_cut(parts, source, config):
    windows = cut_windows(source.store, config.windows)
    joined = together([parts["train"], parts["test"], parts["validation"]])
    for name in ("recording", "start_s", "present", "label", "subject"):
        assert np.array_equal(getattr(joined, name), getattr(windows, name))
    assert all(np.array_equal(rows, windows.rows[name]) for name, rows in joined.rows.items())


@pytest.mark.parametrize("name", ["tinierhar", "forest"])
def test_without_a_branch_a_peer_is_given_the_training_mean(name, scored, source, parts):
    test = parts["test"].take(parts["test"].present.all(1))
    found = scored(name, test=test)["scores"]
    assert set(found["absent"]) == {"acc", "gyr"}
    clean = found["macro_f1"]["mean"]
    for figures in found["absent"].values():
        assert figures["macro_f1"] == pytest.approx(np.mean(list(figures["by_subject"].values())))
        assert figures["loss"] == pytest.approx(clean - figures["macro_f1"])
    # what is taken away may as well not have been recorded
    blind = replace(test, present=test.present & ~np.isin(source.spec.names, ["wrist_gyr"]))
    other = scored(name, test=blind)["scores"]
    assert other["absent"]["gyr"]["macro_f1"] == pytest.approx(found["absent"]["gyr"]["macro_f1"])
    assert found["absent"]["gyr"]["loss"] != 0
    assert other["absent"]["gyr"]["loss"] == pytest.approx(0)


def test_windows_that_have_nothing_left_are_guessed(scored, source, parts, monkeypatch):
    test = parts["test"]
    only_acc = replace(test, present=test.present & np.isin(source.spec.names, ["wrist_acc"]))
    given = []
    monkeypatch.setattr(
        peers, "macro_f1_by_subject", lambda label, p, who: given.append(p) or macro_f1_by_subject(label, p, who)
    )
    scored("forest", test=only_acc)
    without_acc = given[0]
    assert (without_acc == 1 / without_acc.shape[1]).all()


def test_an_unknown_statistic_is_replaced_by_its_mean_over_the_windows_that_have_it(scored, parts, monkeypatch):
    train, fitted, fit = parts["train"], [], classical_peers.fit_forest
    present = train.present.copy()
    present[::3, 1] = False
    monkeypatch.setattr(classical_peers, "fit_forest", lambda f, *a, **k: fitted.append(f) or fit(f, *a, **k))
    scored("forest", train=replace(train, present=present), validation=None)
    (features,) = fitted
    half = features.shape[1] // 2
    known = present[:, 1] & train.present[:, 1]
    expected = features[known, half:].mean(0)
    np.testing.assert_allclose(features[~known, half:], np.tile(expected, ((~known).sum(), 1)), rtol=1e-3, atol=1e-4)
    assert features[~known, :half].std(0).min() > 0


@pytest.fixture
def rockets(monkeypatch):
    """Return what MiniRocket was fitted on: windows, labels and which are held out; a spectrum is its transform."""
    calls, fit = [], classical_peers.fit_minirocket

    def spectrum(_windows, _seed):
        return lambda x: np.abs(np.fft.rfft(x, axis=2))[..., :12].reshape(len(x), -1).astype(np.float32)

    def spy(windows, label, seed, held_out):
        calls.append((windows, label, held_out))
        return fit(windows, label, seed, held_out, make=spectrum)

    monkeypatch.setattr(classical_peers, "fit_minirocket", spy)
    monkeypatch.setattr(peers, "require_package", lambda *_: None)
    return calls


def test_minirocket_reads_standardised_channels_and_zeros_where_there_is_nothing(scored, parts, rockets):
    found = scored("minirocket")
    ((windows, _, _),) = rockets
    assert windows.shape[:2] == (len(parts["train"]) + len(parts["validation"]), 6)
    np.testing.assert_allclose(windows.mean((0, 2)), 0, atol=0.05)
    assert found["scores"]["macro_f1"]["mean"] > 2 / len(parts["test"].label_set)
    assert set(found["scores"]["absent"]) == {"acc", "gyr"}


@pytest.mark.parametrize(("name", "copies"), [("minirocket", 0), ("minirocket@ours", VARIED_COPIES)])
def test_minirocket_chooses_its_strength_on_the_validation_people(name, copies, scored, source, parts, rockets):
    scored(name)
    ((windows, label, held_out),) = rockets
    validation = parts["validation"]
    n_known = len(parts["train"]) + len(validation)
    assert held_out.sum() == len(validation) * (1 + copies)
    assert np.array_equal(label[:n_known][held_out[:n_known]], validation.label)
    raw = source.store.gather(validation, np.arange(len(validation)))["wrist_acc"].transpose(0, 2, 1)
    both = (raw, windows[:n_known, :3][held_out[:n_known]])
    here = validation.present[:, source.spec.names.index("wrist_acc")]
    scaled = [(x - x.mean((0, 2), keepdims=True)) / x.std((0, 2), keepdims=True) for x in (y[here] for y in both)]
    np.testing.assert_allclose(*scaled, atol=1e-3)


@pytest.mark.parametrize("name", ["forest", "forest_extended", "lightgbm", "minirocket"])
def test_by_our_recipe_a_classical_peer_learns_from_varied_copies_too(
    name, scored, parts, config, rockets, monkeypatch
):
    fitted = []
    for fit in ("fit_forest", "fit_boosting"):
        whole = getattr(classical_peers, fit)
        monkeypatch.setattr(
            classical_peers, fit, lambda x, y, *a, whole=whole, **k: fitted.append((x, y)) or whole(x, y, *a, **k)
        )
    known = {part: parts[part].take(parts[part].present.all(1)) for part in ("train", "validation")}
    off = replace(config, augment=AugmentConfig(rotation_deg=0))
    for chosen in (off, replace(off, augment=AugmentConfig(vigour=0.5))):
        scored(f"{name}@ours", config=chosen, **known)
    (same, label), (varied, again) = fitted or [call[:2] for call in rockets]
    n_known = sum(map(len, known.values()))
    assert len(same) == len(label) == n_known * (1 + VARIED_COPIES)
    for first in range(0, len(same), n_known):  # every copy has every window once, with its own label
        copy = {(*x.ravel()[:50].tolist(), int(y)) for x, y in zip(same[first:][:n_known], label[first:], strict=False)}
        assert copy == {(*x.ravel()[:50].tolist(), int(y)) for x, y in zip(same[:n_known], label, strict=False)}
    assert np.array_equal(varied[:n_known], same[:n_known])
    assert np.array_equal(again, label)
    assert (varied[n_known:] != same[n_known:]).any(tuple(range(1, same.ndim))).all()


def test_names_are_expanded_and_checked_before_anything_runs(monkeypatch):
    monkeypatch.setattr(peers, "require_package", lambda *_: None)
    assert expand_peers(("all",)) == list_peers()
    assert expand_peers(("forest", "tinyhar@ours", "tinyhar", "forest")) == ("forest", "tinyhar@ours", "tinyhar")
    assert expand_peers(("forest@ours",)) == ("forest@ours",)
    with pytest.raises(ConfigError, match="recipe of a peer must be one of hidden, ours: got 'mine'"):
        expand_peers(("tinyhar@mine",))
    with pytest.raises(ConfigError, match=r"only from a deep peer are branches hidden: got 'forest@hidden'. Give 'for"):
        expand_peers(("forest@hidden",))
    monkeypatch.undo()
    monkeypatch.setattr("dcdp.models.peers.packages.find_spec", lambda _: None)
    with pytest.raises(ConfigError, match="peer 'minirocket' needs the package sktime"):
        expand_peers(("minirocket",))
    assert expand_peers(("forest", "tinyhar")) == ("forest", "tinyhar")


def test_the_same_seed_gives_the_same_figures(scored):
    assert scored("tinierhar")["scores"] == scored("tinierhar")["scores"]


def test_a_fold_goes_on_with_the_peers_that_are_missing(source, config, tmp_path, monkeypatch):
    windows = cut_windows(source.store, config.windows)
    split = make_folds("arena", source.subjects)[0]
    request = FoldRequest(source, windows, split, config, folder=tmp_path, peers=("forest", "tinierhar"))
    score_one = fold_module.score_peer

    def stop(name, *args, **options):
        if name == "tinierhar":
            raise KeyboardInterrupt
        return score_one(name, *args, **options)

    monkeypatch.setattr(fold_module, "score_peer", stop)
    with pytest.raises(KeyboardInterrupt):
        run_fold(request)
    first = json.loads((tmp_path / "peers" / "forest" / "peer.json").read_text())
    called = []
    monkeypatch.setattr(fold_module, "score_peer", lambda *a, **k: called.append(a[0]) or score_one(*a, **k))
    said = []
    result = run_fold(request, resume=True, progress=lambda *news: said.append(news))
    assert called == ["tinierhar"]
    assert result["peers"]["forest"] == first
    assert any(text.startswith("tinierhar, epoch 3") for _, _, text in said)
    assert (tmp_path / "peers" / "tinierhar" / "history.jsonl").is_file()
    assert not list((tmp_path / "peers").rglob("checkpoint*"))


def test_figures_of_folds_are_pooled():
    def found(subject, value, parameters):
        figure = {"mean": value, "std": 0.0, "by_subject": {subject: value}, "pooled": value}
        names = ("macro_f1", "accuracy", "weighted_f1", "balanced_accuracy", "calibration_error")
        tables = {"confusion": [[1, 0], [0, 1]], "reliability": [[2.0], [2.0], [2.0]]}
        absent = {"acc": {"macro_f1": value / 2, "loss": value / 2}}
        scores = dict.fromkeys(names, figure) | tables | {"absent": absent}
        return {"scores": scores, "seconds": 2.0, "parameters": parameters, "windows_per_s": 10.0}

    pooled = pool_peer({"a": found("s1", 0.8, 100), "b": found("s2", 0.6, 103)}, ("x", "y"))
    assert pooled["macro_f1"]["mean"] == pytest.approx(0.7)
    assert pooled["absent"] == {"acc": {"macro_f1": pytest.approx(0.35), "loss": pytest.approx(0.35)}}
    assert (pooled["seconds"], pooled["parameters"], pooled["windows_per_s"]) == (4.0, 102, 10.0)


def test_a_run_with_peers_has_them_in_its_result(tmp_path, config):
    once = replace(config, training=replace(config.training, epochs=1))
    request = RunRequest("synthetic", tmp_path / "run", folds="1", peers=("tinierhar", "forest"), device="cpu")
    result = train_run(request, once)
    check_result(result)
    assert list(result["peers"]) == ["tinierhar", "forest"]
    for peer in result["peers"].values():
        assert set(peer["absent"]) == set(result["branches"])
        assert peer["parameters"] > 0
    assert np.sum(result["peers"]["tinierhar"]["confusion"]) == np.sum(result["test"]["confusion"])
    page = (tmp_path / "run" / "report.html").read_text()
    assert "tinierhar" in page


def test_test_people_are_not_touched_by_training(scored, parts, asked):
    half = parts["test"].take(np.arange(0, len(parts["test"]), 2))
    scored("tinierhar")
    scored("tinierhar", test=half)
    first, second = (call[0].state_dict() for call in asked)
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())
