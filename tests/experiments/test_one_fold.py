"""One fold: audited before it is trained, and trained again on all when asked to."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from dcdp.batches import Batches
from dcdp.data.store import memory_store
from dcdp.errors import ConfigError, DataError, SplitError
from dcdp.evaluation import UNMEASURED_TEMPERATURE
from dcdp.experiments.classical_peers import window_features
from dcdp.experiments.fold import run_fold
from dcdp.experiments.fold_request import FoldRequest, audit_fold
from dcdp.experiments.fold_scores import evaluate_bundle
from dcdp.experiments.fold_training import train_fold
from dcdp.experiments.peers import score_peer
from dcdp.experiments.source import DataSource, load
from dcdp.models.network import branches_by, lay_out
from dcdp.records import Recording, Track
from dcdp.signals.windows import cut_windows
from dcdp.splits import make_folds


@pytest.fixture(scope="module")
def fold(make_config):
    """Return a request for the first fold."""
    config = make_config()
    source = load("synthetic", body=config.body)
    windows = cut_windows(source.store, config.windows)
    return FoldRequest(source, windows, make_folds("arena", source.subjects)[0], config)


@pytest.fixture
def untrained(monkeypatch):
    """Make sure that a request is refused before it is trained."""
    monkeypatch.setattr("dcdp.experiments.fold_training.fit", lambda *_, **__: pytest.fail("trained"))


@pytest.mark.usefixtures("untrained")
def test_a_class_that_nobody_trains_is_refused(fold):
    windows, split = fold.windows, fold.split
    label = windows.label.copy()
    trained = np.isin(windows.subject, split.train)
    label[trained & (label == 2)] = 1
    with pytest.raises(DataError, match=rf"must occur in training: got {windows.label_set.names[2]} absent"):
        run_fold(replace(fold, windows=replace(windows, label=label)))


@pytest.mark.usefixtures("untrained")
def test_windows_of_one_recording_in_two_parts_are_refused(fold):
    subject = fold.windows.subject.copy()
    tested = np.flatnonzero(np.isin(subject, fold.split.test))
    subject[tested[::2]] = fold.split.train[0]
    with pytest.raises(SplitError, match="the parts of a split must have windows and nothing in common"):
        run_fold(replace(fold, windows=replace(fold.windows, subject=subject)))


def test_a_copy_of_a_test_recording_is_left_out_of_training(fold):
    store = fold.source.store
    recordings = [recording_of(store, entry) for entry in store.recordings]
    tested = next(r for r in recordings if r.subject in fold.split.test)
    copy = Recording("copy", fold.split.train[0], "9", tested.tracks, tested.segments)
    doubled = memory_store(store.spec, store.labels, [*recordings, copy], gap_s=0.0)  # gaps were bridged already
    source = DataSource("synthetic", doubled, fold.source.branches)
    windows = cut_windows(doubled, fold.config.windows)
    kept, audit = audit_fold(replace(fold, source=source, windows=windows))
    assert audit["passed"] is True
    assert list(audit["left_out"]) == ["copy"]
    assert "copy" not in {doubled.recordings[number].name for number in kept.windows.recording}
    assert len(kept.windows) == len(fold.windows)


def recording_of(store, entry):
    tracks = []
    for signal in store.spec:
        first, n_rows = entry.rows[signal.name]
        values = np.array(store.array(signal.name)[first : first + n_rows])
        tracks.append(Track(signal, values, entry.start_s[signal.name]))
    return Recording(entry.name, entry.subject, entry.session, tuple(tracks), entry.segments)


def test_refit_trains_on_validation_people_too_for_the_epochs_that_were_best(fold, tmp_path):
    config = replace(fold.config, training=replace(fold.config.training, refit=True, epochs=3))
    asked = replace(fold, config=config, folder=tmp_path)
    bundle, trained = train_fold(asked)
    split = fold.split
    assert bundle.provenance["train_subjects"] == [*split.train, *split.validation]
    lines = [json.loads(line) for line in (tmp_path / "refit" / "history.jsonl").read_text().splitlines()]
    epochs = [line for line in lines if line["kind"] == "epoch"]
    assert len(epochs) == trained.best_epoch + 1
    assert all(line["validation"] == {} for line in epochs)
    n_windows = np.isin(fold.windows.subject, [*split.train, *split.validation]).sum()
    assert epochs[-1]["step"] == len(epochs) * (n_windows // config.training.batch_size)


def test_without_refit_validation_people_are_not_trained_on(fold):
    once = replace(fold, config=replace(fold.config, training=replace(fold.config.training, epochs=1)))
    bundle, trained = train_fold(once)
    assert bundle.provenance["train_subjects"] == list(fold.split.train)
    assert bundle.provenance["validation_subjects"] == list(fold.split.validation)
    assert bundle.provenance["validation_macro_f1"] == trained.validation["macro_f1"]
    assert set(trained.validation["branches"]) == {"acc", "gyr"}
    assert 0.05 < bundle.temperature < 20
    assert not bundle.network.training


def test_test_people_are_not_touched_by_training(fold):
    """The same bundle comes out when the test subjects' signals are replaced by noise."""
    once = replace(fold, config=replace(fold.config, training=replace(fold.config.training, epochs=1)))
    store = fold.source.store
    rng = np.random.default_rng(0)
    recordings = []
    for recording in (recording_of(store, entry) for entry in store.recordings):
        if recording.subject in fold.split.test:
            noise = [replace(t, values=rng.normal(size=t.values.shape).astype(np.float32)) for t in recording.tracks]
            recording = replace(recording, tracks=tuple(noise))
        recordings.append(recording)
    noisy = memory_store(store.spec, store.labels, recordings, gap_s=0.0)  # gaps were bridged already
    other = DataSource("synthetic", noisy, fold.source.branches)
    first, _ = train_fold(once)
    second, _ = train_fold(replace(once, source=other, windows=cut_windows(other.store, fold.config.windows)))
    weights = first.network.state_dict(), second.network.state_dict()
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())
    assert first.temperature == second.temperature


def test_features_of_peers_are_nan_where_a_signal_is_absent(fold):
    layouts = lay_out(fold.source.spec, branches_by(fold.source.spec, "modality", ()), 3.0)
    windows = fold.windows.take(np.flatnonzero(fold.windows.present.all(1))[:12])
    present = windows.present.copy()
    present[::2, 1] = False
    windows = replace(windows, present=present)
    found = window_features(fold.source.store, windows, layouts)
    half = found.shape[1] // 2  # two triads: as many statistics each
    assert found.dtype == np.float32
    assert np.isnan(found[::2, half:]).all()
    assert np.isfinite(found[1::2, half:]).all()
    assert np.isfinite(found[:, :half]).all()
    assert len(found) == len(Batches(fold.source.store, windows, layouts))


def test_peers_and_sets_are_known_by_name(fold):
    with pytest.raises(ConfigError, match="Did you mean 'forest'"):
        score_peer("forrest", fold.source.store, (), fold.windows, fold.windows, 0)
    with pytest.raises(ConfigError, match=r"data set must be one of .*: got 'synthtic'\. Did you mean 'synthetic'"):
        load("synthtic")


def test_the_synthetic_source_is_the_body_that_was_asked_for(fold):
    source = fold.source
    assert source.subjects == ("s01", "s02", "s03", "s04")
    assert source.spec.names == ("wrist_acc", "wrist_gyr")
    assert [branch.name for branch in source.branches] == ["acc", "gyr"]
    assert source.official is None
    assert len(source.labels) > 5


def test_each_branch_is_also_trained_alone_when_asked_to(fold, monkeypatch):
    result = run_fold(replace(fold, alone=True))
    heads, table = result["scores"]["by_branch"], result["scores"]["utilisation"]
    assert set(table) == {"acc", "gyr"}
    for name, row in table.items():
        assert row["gap"] == pytest.approx(row["alone"] - heads[name]["accuracy"])
    shuffled = fold.source.store.gather
    monkeypatch.setattr(fold.source.store, "gather", lambda *a: _without(shuffled(*a), "wrist_gyr"))
    assert run_fold(replace(fold, alone=True))["scores"]["utilisation"]["acc"]["alone"] == table["acc"]["alone"]


def test_a_branch_alone_is_trained_again_on_all_where_the_network_is(fold):
    training = replace(fold.config.training, refit=True)
    fold = replace(fold, config=replace(fold.config, training=training))
    own = fold.windows.present & np.array([True, False])
    lone, _ = train_fold(replace(fold, windows=replace(fold.windows, present=own)))
    test = replace(fold, windows=replace(fold.windows, present=own)).part("test")
    expected = evaluate_bundle(lone, fold.source.store, test)[0]["by_branch"]["acc"]["accuracy"]
    assert run_fold(replace(fold, alone=True))["scores"]["utilisation"]["acc"]["alone"] == pytest.approx(expected)


def _without(signals, name):
    """Return the gathered signals with noise for one of them."""
    noise = np.random.default_rng(0).normal(size=signals[name].shape).astype(np.float32)
    return signals | {name: noise}


def test_a_branch_that_nobody_wore_is_not_trained_alone(fold):
    only_acc = replace(fold.windows, present=fold.windows.present & np.array([True, False]))
    table = run_fold(replace(fold, windows=only_acc, alone=True))["scores"]["utilisation"]
    assert table["gyr"] == {"alone": None, "gap": None}
    assert table["acc"]["alone"] > 0.1


def test_without_early_stopping_everybody_but_the_test_people_is_trained_on(fold):
    config = replace(fold.config, training=replace(fold.config.training, early_stopping=False, epochs=2))
    bundle, trained = train_fold(replace(fold, config=config))
    assert set(bundle.provenance["train_subjects"]) == {*fold.split.train, *fold.split.validation}
    assert not trained.validation
    assert trained.epochs == 2
    assert bundle.temperature == UNMEASURED_TEMPERATURE
