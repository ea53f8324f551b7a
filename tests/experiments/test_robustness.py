"""Scoring under absent and failing sensors: the right windows are asked for, and runs and grids keep what was found."""

import json
import shutil

import numpy as np
import pytest

from dcdp.data.corrupted import CorruptedStore
from dcdp.errors import ConfigError, MissingError
from dcdp.evaluation import check_result, endurance_of, macro_f1_by_subject
from dcdp.experiments.benchmark import GridOutcome
from dcdp.experiments.grid import Grid, make_grid
from dcdp.experiments.robustness import absences, score_robustness, training_spread
from dcdp.experiments.robustness_runs import robustness_of_grid, robustness_of_run
from dcdp.experiments.source import load
from dcdp.signals.corruptions import CORRUPTIONS, get_corruption
from dcdp.signals.windows import WindowConfig, cut_windows


@pytest.fixture(scope="module")
def body(make_config):
    source = load("synthetic", body=make_config().body)
    return source.store, cut_windows(source.store, WindowConfig())


def test_what_can_be_absent_is_a_modality_or_a_placement_of_several(body):
    store, _ = body
    assert absences(store.spec) == {"absent_modality": {"acc": ("wrist_acc",), "gyr": ("wrist_gyr",)}}


def test_the_training_spread_is_the_deviation_of_each_channel(body):
    store, windows = body
    train = windows.take(windows.subject != windows.subject[0])
    spread = training_spread(store, train)
    for column, name in enumerate(store.spec.names):
        here = train.take(train.present[:, column])
        values = store.gather(here, np.arange(len(here)))[name].reshape(-1, 3)
        np.testing.assert_allclose(spread[name], values.std(0), rtol=1e-3)
    none = training_spread(store, train.take(np.arange(0, 1)))
    assert set(none) == set(store.spec.names)


def test_each_disturbance_is_asked_for_once_and_scored_by_subject(body):
    store, windows = body
    asked, told = [], []

    def predict(read, given):
        asked.append((read, given))
        rng = np.random.default_rng(len(asked))
        return rng.dirichlet(np.ones(len(given.label_set)), len(given)).astype(np.float32)

    found = score_robustness(predict, store, windows, training_spread(store, windows),
                             progress=lambda *news: told.append(news))  # fmt: skip
    assert list(found) == ["clean", "absent_modality", *CORRUPTIONS]
    assert all(list(found[name]) == [f"{s:g}" for s in get_corruption(name).severities] for name in CORRUPTIONS)
    assert len(asked) == sum(map(len, found.values()))
    assert told[0] == (0, len(asked), "clean 0")
    assert told[-1][:2] == (len(asked), len(asked))
    (plain, undisturbed), (_, without_acc), (_, without_gyr) = asked[:3]
    assert plain is store
    assert undisturbed is windows
    assert not without_acc.present[:, 0].any()
    np.testing.assert_array_equal(without_acc.present[:, 1], windows.present[:, 1])
    assert not without_gyr.present[:, 1].any()
    for (read, given), (name, level) in zip(asked[3:], [(n, s) for n in CORRUPTIONS for s in found[n]], strict=True):
        assert isinstance(read, CorruptedStore)
        assert (read.corruption.name, f"{read.severity:g}") == (name, level)
        assert len(given) == len(windows)
        assert (name == "packets") == bool((given.present != windows.present).any()) or name in ("lost", "packets")
    last = found["packets"]["30"]["by_subject"]
    assert last == pytest.approx(macro_f1_by_subject(windows.label, _again(len(asked), windows), windows.subject),
                                 abs=1e-5)  # fmt: skip
    size = found["noise"]["0.5"]["size"]
    assert size["deg/s"] == pytest.approx(0.5 * training_spread(store, windows)["wrist_gyr"].mean(), rel=1e-6)
    assert "size" not in found["rotation"]["10"]


def test_of_a_person_with_many_windows_evenly_spaced_ones_are_disturbed(body, monkeypatch):
    store, windows = body
    asked = []

    def predict(_, given):
        asked.append(given)
        return np.full((len(given), len(given.label_set)), 1 / len(given.label_set), np.float32)

    first = windows.subject[0]
    windows = windows.take((windows.subject != first) | (np.arange(len(windows)) < 30))
    monkeypatch.setattr("dcdp.experiments.robustness.MOST_WINDOWS", 40)
    found = score_robustness(predict, store, windows, training_spread(store, windows), corruptions=["rate"])
    assert set(found["clean"]["0"]["by_subject"]) == set(map(str, windows.subject))
    for given in asked:
        np.testing.assert_array_equal(given.start_s, asked[0].start_s)
    for subject in np.unique(windows.subject):
        own, there = asked[0].start_s[asked[0].subject == subject], windows.take(windows.subject == subject)
        assert len(own) == min(40, len(there))
        assert {own[0], own[-1]} == {there.start_s[0], there.start_s[-1]}
    assert (asked[0].subject == first).sum() == 30


def _again(seed, windows):
    return np.random.default_rng(seed).dirichlet(np.ones(len(windows.label_set)), len(windows)).astype(np.float32)


def test_unknown_corruptions_are_refused_before_anything_is_read(body, tmp_path):
    store, windows = body
    with pytest.raises(ConfigError, match="Did you mean 'rotation'"):
        score_robustness(lambda *_: pytest.fail("asked"), store, windows, {}, corruptions=["rotatoin"])
    with pytest.raises(ConfigError, match="Did you mean 'rotation'"):
        robustness_of_run(tmp_path, corruptions=["rotatoin"])
    with pytest.raises(MissingError, match=r"a run must have a result\.json"):
        robustness_of_run(tmp_path)


def test_the_models_of_a_run_are_scored_and_their_clean_score_is_that_of_the_run(finished, tmp_path):
    folder, result = finished
    run = tmp_path / "run"
    shutil.copytree(folder, run)
    told = []
    found = robustness_of_run(run, corruptions=("rate",), progress=lambda *news: told.append(news[2]))
    assert found == json.loads((run / "robustness.json").read_text())
    clean = result["test"]["macro_f1"]["by_subject"]
    assert found["test"]["macro_f1"]["by_subject"] == pytest.approx(clean, abs=1e-5)
    assert list(found["robustness"]) == ["clean", "absent_modality", "rate"]
    absent = found["robustness"]["absent_modality"]
    # With one placement a modality is a branch, and the run has taken each branch away before.
    for name, figures in result["test"]["absent"].items():
        assert absent[name]["macro_f1"]["mean"] == pytest.approx(figures["macro_f1"], abs=1e-4)
        assert absent[name]["loss"] == pytest.approx(figures["loss"], abs=1e-4)
    assert any(text.startswith("fold 2 of 2, rate 1") for text in told)
    page = (run / "robustness.html").read_text()
    assert "synthetic, arena" in page
    assert "Macro-F1 with one modality absent" in page
    assert json.loads((run / "result.json").read_text()) == json.loads((folder / "result.json").read_text())


GRID = {
    "cells": [{"data": ["synthetic"], "methods": ["forest"], "folds": "1"}],
    "settings": {"set": ["body.n_subjects=4", "body.minutes_per_subject=3", "body.recordings_per_subject=1",
                         'body.placements=["wrist"]', 'body.modalities=["acc","gyr"]']},
}  # fmt: skip


@pytest.mark.slow
def test_a_grid_keeps_robustness_in_each_result_and_runs_nothing_twice(tmp_path, monkeypatch):
    grid = Grid(make_grid(GRID, "g").cells, tmp_path)
    outcome = robustness_of_grid(grid)
    assert outcome.failures == {}
    (result,) = outcome.results
    check_result(result)
    (one,) = endurance_of([result])
    assert set(one.points) == {"absent_modality", *CORRUPTIONS}
    clean = result["test"]["macro_f1"]
    for levels in result["robustness"].values():
        for point in levels.values():
            assert point["loss"] == pytest.approx(clean["mean"] - point["macro_f1"]["mean"], abs=1e-5)
    # The forest of the benchmark itself takes branches away too; here a modality is a branch.
    for name, figures in result["test"]["absent"].items():
        assert result["robustness"]["absent_modality"][name]["loss"] == pytest.approx(figures["loss"], abs=1e-4)
    assert (tmp_path / "robustness.html").is_file()
    assert json.loads((tmp_path / "robustness.json").read_text()) == {"format": 1, "verdicts": {"synthetic-arena": []}}
    monkeypatch.setattr("dcdp.experiments.fold_job.fit_method", lambda *_, **__: pytest.fail("trained again"))
    assert robustness_of_grid(grid).results == [result]
    path = tmp_path / f"{grid.cells[0].name}.json"
    path.write_text(json.dumps({key: value for key, value in result.items() if key != "robustness"}))
    with pytest.raises(ConfigError, match=r"goes on with the configuration it began with: got .* with no robustness"):
        robustness_of_grid(grid)


def test_a_grid_tells_what_each_sensor_is_worth_to_ours_and_to_the_best_peer(tmp_path, monkeypatch):
    def result(method, clean, left):
        scores = {value: {"macro_f1": {"by_subject": {"a": value, "b": value}}} for value in (clean, left)}
        return {"data": "hapt", "split": {"name": "arena"}, "method": method, "seed": 0, "test": scores[clean],
                "robustness": {"absent_modality": {"gyr": scores[left]}}}  # fmt: skip

    asked = []

    def run(grid, **options):
        asked.append((grid, options))
        return GridOutcome([result("dcdp", 0.9, 0.88), result("forest", 0.8, 0.7)], {})

    monkeypatch.setattr("dcdp.experiments.robustness_runs.run_grid", run)
    robustness_of_grid(Grid(make_grid(GRID, "g").cells, tmp_path), workers=2)
    ((grid, options),) = asked
    assert [cell.robustness for cell in grid.cells] == [True]
    assert options == {"workers": 2}
    (verdict,) = json.loads((tmp_path / "robustness.json").read_text())["verdicts"]["hapt-arena"]
    assert (verdict["absent"], verdict["peer"], verdict["met"]) == ("gyr", "forest", True)
    assert verdict["ratio"] == pytest.approx(0.2)
    assert "hapt, arena" in (tmp_path / "robustness.html").read_text()


def test_a_grid_of_different_folds_is_refused():
    cells = [{**GRID["cells"][0], "folds": "1"}, {**GRID["cells"][0], "folds": "2", "seeds": [1]}]
    with pytest.raises(ConfigError, match="all cells of a split must have the same folds"):
        robustness_of_grid(make_grid({**GRID, "cells": cells}, "g"))


def test_a_cell_asks_for_robustness_or_not():
    plain, asked = (make_grid({**GRID, "cells": [{**GRID["cells"][0], "robustness": wanted}]}, "g").cells[0]
                    for wanted in (False, True))  # fmt: skip
    assert (plain.robustness, asked.robustness) == (False, True)
    assert plain.name == asked.name
    with pytest.raises(ConfigError, match="same folds, settings and robustness everywhere"):
        make_grid({**GRID, "cells": [GRID["cells"][0], {**GRID["cells"][0], "robustness": True}]}, "g")
