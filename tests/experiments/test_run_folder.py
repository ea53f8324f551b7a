"""A run over folds: what it leaves behind, and that the figures can be found again."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import f1_score

from dcdp.bundle import load_bundle, save_bundle
from dcdp.config import RunConfig
from dcdp.errors import BundleError, ConfigError
from dcdp.evaluation.schema import check_result
from dcdp.experiments import fold_training, run
from dcdp.experiments.finished_run import evaluate_run
from dcdp.experiments.run import train_run
from dcdp.experiments.run_folder import RunRequest
from dcdp.models.network import PRESETS
from dcdp.settings import from_toml, to_dict

FOLDS = {"s01": ("s01",), "s03": ("s03",)}


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def request(out, **changed):
    return RunRequest("synthetic", out, **{"folds": "1,3", "seed": 5, "peers": ("forest",)} | changed)


@pytest.fixture
def stored(finished):
    return json.loads((finished[0] / "result.json").read_text(encoding="utf-8"))


def test_the_result_keeps_its_schema_and_is_what_was_returned(finished, stored):
    check_result(stored)
    assert stored == finished[1]


def test_the_result_says_what_was_done(stored, make_config):
    assert (stored["data"], stored["method"], stored["seed"]) == ("synthetic", "dcdp", 5)
    assert stored["split"]["name"] == "arena"
    for facts in stored["split"]["folds"]:
        parts = [set(facts[part]) for part in ("train", "validation", "test")]
        assert tuple(facts["test"]) == FOLDS[facts["fold"]]
        assert sum(map(len, parts)) == len(set.union(*parts)) == 4
    assert stored["leak_audit"]["passed"] is True
    assert set(stored["leak_audit"]["folds"]) == set(FOLDS)
    assert stored["config"] == json.loads(json.dumps(to_dict(make_config()) | {"verified": True}))
    assert {"dcdp", "python", "torch", "numpy"} <= set(stored["versions"])
    assert stored["seconds"]["total"] >= stored["seconds"]["train"] > 0
    assert stored["branches"] == ["acc", "gyr"]


def test_scores_are_by_subject_first(stored):
    test = stored["test"]
    for name in ("macro_f1", "accuracy", "weighted_f1", "balanced_accuracy", "calibration_error"):
        figure = test[name]
        assert set(figure["by_subject"]) == {"s01", "s03"}
        assert set(figure["by_fold"]) == set(FOLDS)
        assert figure["mean"] == pytest.approx(np.mean(list(figure["by_subject"].values())))
    assert set(test["by_branch"]) == set(test["absent"]) == set(test["shapley"]) == {"acc", "gyr"}
    assert sum(test["shapley"].values()) == pytest.approx(1)
    assert len(test["alignment"]) == 3
    n_windows = sum(facts["n_windows"]["test"] for facts in stored["training"].values())
    assert np.sum(test["confusion"]) == n_windows
    assert all(0 <= facts["macro_f1"] <= 1 for facts in stored["validation"].values())


def test_the_forest_was_scored_on_the_same_people(stored):
    forest = stored["peers"]["forest"]
    assert set(forest["macro_f1"]["by_subject"]) == {"s01", "s03"}
    assert np.sum(forest["confusion"]) == np.sum(stored["test"]["confusion"])
    assert forest["macro_f1"]["mean"] > 3 / len(stored["labels"])
    assert forest["seconds"] > 0


def test_every_file_of_the_run_is_there(finished):
    out, _ = finished
    assert from_toml(RunConfig, out / "config.toml").training.epochs == 2
    assert "<html" in (out / "report.html").read_text(encoding="utf-8")
    for name in FOLDS:
        found = {path.name for path in (out / "folds" / name).iterdir()}
        assert {"history.jsonl", "checkpoint.safetensors", "bundle.safetensors", "predictions.npz"} <= found
    assert not list(out.rglob(".*"))  # no temporary file is left


@pytest.mark.parametrize("name", FOLDS)
def test_scores_follow_from_the_stored_predictions(name, finished, stored):
    with np.load(finished[0] / "folds" / name / "predictions.npz") as file:
        found = dict(file)
    n_windows = stored["training"][name]["n_windows"]["test"]
    assert set(found["subject"]) == set(FOLDS[name])
    for key in ("label", "probability", "branch_probability", "subject", "recording", "start_s"):
        assert len(found[key]) == n_windows
    assert found["branch_probability"].shape == (n_windows, 2, len(stored["labels"]))
    np.testing.assert_allclose(found["probability"].sum(1), 1, atol=1e-5)
    assert len(found["embedding"]) == len(found["embedding_index"]) <= 1500
    for subject in FOLDS[name]:
        own = found["subject"] == subject
        guess = found["probability"][own].argmax(1)
        labels = np.unique(found["label"][own])
        expected = f1_score(found["label"][own], guess, labels=labels, average="macro", zero_division=0)
        assert stored["test"]["macro_f1"]["by_subject"][subject] == pytest.approx(expected, abs=1e-6)


def test_the_test_figures_are_found_again_exactly(finished, stored):
    before = files(finished[0])
    again = evaluate_run(finished[0])
    assert json.loads(json.dumps(again["test"])) == stored["test"]
    assert {key: again[key] for key in stored if key != "test"} == {k: v for k, v in stored.items() if k != "test"}
    assert files(finished[0]) == before


def test_a_model_that_knows_its_test_people_is_refused(finished, tmp_path):
    out = shutil.copytree(finished[0], tmp_path / "run")
    path = out / "folds" / "s03" / "bundle.safetensors"
    bundle = load_bundle(path)
    known = [*bundle.provenance["train_subjects"], "s03"]
    save_bundle(path, replace(bundle, provenance={**bundle.provenance, "train_subjects": known}))
    with pytest.raises(BundleError, match=r"tested on new people: got \['s03'\]"):
        evaluate_run(out)


def test_a_finished_run_is_read_back_not_trained_again(finished, make_config, tmp_path, monkeypatch):
    out = shutil.copytree(finished[0], tmp_path / "run")
    monkeypatch.setattr("dcdp.experiments.fold_training.fit", lambda *_, **__: pytest.fail("trained again"))
    before = files(out / "folds")
    again = train_run(request(out, resume=True), make_config())
    assert files(out / "folds") == before
    assert {k: v for k, v in again.items() if k != "seconds"} == {
        k: v for k, v in finished[1].items() if k != "seconds"
    }


def test_a_run_goes_on_where_it_was_interrupted(finished, make_config, tmp_path, monkeypatch):
    fit, calls = fold_training.fit, []

    def interrupted(*arguments, **options):
        calls.append(options["folder"])

        def ask(done, *_):
            if len(calls) == 2 and done == 5:
                os.kill(os.getpid(), signal.SIGINT)

        return fit(*arguments, **options | {"progress": ask})

    monkeypatch.setattr(fold_training, "fit", interrupted)
    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train_run(request(out), make_config())
    assert (out / "folds" / "s01" / "fold.json").is_file()
    assert not (out / "folds" / "s03" / "fold.json").is_file()
    assert not (out / "result.json").exists()
    again = train_run(request(out, resume=True), make_config())
    assert [path.name for path in calls] == ["s01", "s03", "s03"]
    assert again["test"] == finished[1]["test"]
    assert again["validation"] == finished[1]["validation"]


@pytest.mark.parametrize(
    ("file", "left"),
    [("fold.json", b'{"scor'), ("fold.json", None), ("predictions.npz", b"PK"), ("peers/forest/peer.json", b"{}")],
)
def test_a_damaged_fold_of_a_run_is_trained_again(file, left, finished, make_config, tmp_path):
    out = shutil.copytree(finished[0], tmp_path / "run")
    folder = out / "folds" / "s03"
    if left is None:  # whole, but for what makes it a fold of a run
        left = json.dumps({"scores": json.loads((folder / file).read_text())["scores"]}).encode()
    (folder / file).write_bytes(left)
    if file.startswith("peers"):  # is read where the fold itself is not finished
        (folder / "fold.json").unlink()
    others = files(out / "folds" / "s01")
    again = train_run(request(out, resume=True), make_config())
    assert again["test"] == finished[1]["test"]
    assert again["peers"]["forest"]["macro_f1"] == finished[1]["peers"]["forest"]["macro_f1"]
    assert files(out / "folds" / "s01") == others
    assert json.loads((folder / "fold.json").read_text())["scores"]
    np.load(folder / "predictions.npz").close()


@pytest.mark.parametrize("file", ["fold.json", "peers/forest/peer.json"])
def test_a_fold_of_a_run_with_other_people_is_not_gone_on_with(file, finished, make_config, tmp_path):
    out = shutil.copytree(finished[0], tmp_path / "run")
    path = out / "folds" / "s03" / file
    found = json.loads(path.read_text())
    facts = found["split"]
    assert {part: facts[part] for part in ("validation", "test")} == {"validation": ["s04"], "test": ["s03"]}
    path.write_text(json.dumps(found | {"split": facts | {"train": [*facts["train"], "s99"]}}))
    if file != "fold.json":
        (out / "folds" / "s03" / "fold.json").unlink()
    with pytest.raises(ConfigError, match=r"with the people it began with: got '.*json' with train with s99\. Give"):
        train_run(request(out, resume=True), make_config())


def test_a_fold_of_a_run_that_does_not_tell_its_people_is_read(finished, make_config, tmp_path, monkeypatch):
    out = shutil.copytree(finished[0], tmp_path / "run")
    for path in out.glob("folds/*/fold.json"):
        found = json.loads(path.read_text())
        path.write_text(json.dumps({key: found[key] for key in found if key not in ("split", "device")}))
    monkeypatch.setattr("dcdp.experiments.fold_training.fit", lambda *_, **__: pytest.fail("trained again"))
    assert train_run(request(out, resume=True), make_config())["test"] == finished[1]["test"]


def test_a_run_names_every_device_that_its_folds_ran_on(finished, make_config, tmp_path):
    out = shutil.copytree(finished[0], tmp_path / "run")
    path = out / "folds" / "s03" / "fold.json"
    found = json.loads(path.read_text())
    assert found["device"] == "cpu"
    path.write_text(json.dumps(found | {"device": "cuda"}))
    again = train_run(request(out, resume=True, device="cpu"), make_config())
    assert again["machine"]["device"] == "cpu+cuda"


def test_with_several_workers_one_fold_runs_in_a_process_too(make_config, tmp_path, monkeypatch):
    asked = []

    def run_all(_work, jobs, workers, _reporters):
        asked.append((list(jobs), workers))
        raise KeyboardInterrupt

    monkeypatch.setattr("dcdp.experiments.run.run_all", run_all)
    with pytest.raises(KeyboardInterrupt):
        train_run(request(tmp_path / "run", folds="1", workers=2), make_config())
    assert asked == [(["s01"], 2)]


@pytest.mark.parametrize(
    "changed",
    [{"seed": 6}, {"split": "group_k_fold"}, {"peers": ()}, {"validation": ("s02",)}, {"verify": False}],
    ids=lambda changed: next(iter(changed)),
)
def test_another_run_is_not_gone_on_with(changed, finished, make_config):
    before = files(finished[0])
    with pytest.raises(ConfigError, match="a run goes on with the data, split, seed, peers and network it began with"):
        train_run(request(finished[0], resume=True, **changed), make_config())
    assert files(finished[0]) == before


def test_another_configuration_is_not_gone_on_with(finished, make_config):
    before = files(finished[0])
    with pytest.raises(ConfigError, match="a run goes on with the configuration it began with"):
        train_run(request(finished[0], resume=True), make_config(epochs=3))
    assert files(finished[0]) == before


def test_a_preset_that_changed_since_is_not_gone_on_with(finished, make_config, monkeypatch):
    config = make_config()
    was = PRESETS[config.network.preset]
    monkeypatch.setitem(PRESETS, config.network.preset, replace(was, pool_segments=was.pool_segments + 1))
    before = files(finished[0])
    with pytest.raises(ConfigError, match="peers and network it began with"):
        train_run(request(finished[0], resume=True), config)
    assert files(finished[0]) == before


def test_folds_of_nobody_knows_which_run_are_not_gone_on_with(make_config, tmp_path):
    (tmp_path / "folds" / "s01").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"a run that goes on must have said what it is: got no '.*config.toml'"):
        train_run(request(tmp_path, resume=True), make_config())


def test_a_folder_in_use_is_not_written_over(finished, make_config):
    before = files(finished[0])
    with pytest.raises(ConfigError, match="the run folder must be empty"):
        train_run(request(finished[0]), make_config())
    assert files(finished[0]) == before


def test_a_folder_that_another_run_took_while_this_one_read_is_not_written_over(make_config, tmp_path, monkeypatch):
    prepare = run._prepare

    def meanwhile(*given):
        (tmp_path / "run.txt").write_text("data other\n")
        return prepare(*given)

    monkeypatch.setattr(run, "_prepare", meanwhile)
    with pytest.raises(ConfigError, match="the run folder must be empty"):
        train_run(request(tmp_path), make_config())
    assert files(tmp_path) == {"run.txt": b"data other\n"}


def test_force_never_empties_a_folder_that_is_no_run(make_config, tmp_path):
    (tmp_path / "holiday.jpg").write_bytes(b"sea")
    with pytest.raises(ConfigError, match="only a run folder is replaced"):
        train_run(request(tmp_path, force=True), make_config())
    assert files(tmp_path) == {"holiday.jpg": b"sea"}


def test_force_replaces_a_run(finished, make_config, tmp_path, monkeypatch):
    out = shutil.copytree(finished[0], tmp_path / "run")

    def stop(*_, **__):
        raise RuntimeError("far enough")

    monkeypatch.setattr("dcdp.experiments.fold_training.fit", stop)
    with pytest.raises(RuntimeError, match="far enough"):
        train_run(request(out, force=True), make_config(epochs=1))
    assert set(files(out)) == {"config.toml", "run.txt"}
    assert from_toml(RunConfig, out / "config.toml").training.epochs == 1


@pytest.mark.parametrize("peer", ["forrest", "tree"])
def test_an_unknown_peer_is_told_before_anything_is_written(peer, make_config, tmp_path):
    with pytest.raises(ConfigError, match=r"peer must be one of .*forest.*: got"):
        train_run(request(tmp_path / "run", peers=(peer,)), make_config())
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_folds_side_by_side_give_the_same_scores(finished, make_config, tmp_path):
    result = train_run(request(tmp_path / "run", workers=2, peers=()), make_config())
    assert result["test"] == finished[1]["test"]
    assert list(result["training"]) == list(finished[1]["training"])


def test_every_number_is_finite(stored):
    def leaves(value):
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, list):
            return [leaf for item in value for leaf in leaves(item)]
        return [value]

    numbers = [leaf for leaf in leaves(stored) if isinstance(leaf, float)]
    assert len(numbers) > 100
    assert all(map(math.isfinite, numbers))
