"""A benchmark: cells end in results, nothing is run twice, and what fails or stops leaves the rest as it was."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from rich.console import Console

from dcdp.config import RunConfig
from dcdp.errors import ConfigError, DataError, StorageError
from dcdp.evaluation import read_result, subject_macro_f1
from dcdp.experiments import benchmark, cells, classical_peers, cost, fold_job
from dcdp.experiments.acting import settled
from dcdp.experiments.benchmark import run_grid
from dcdp.experiments.grid import make_grid
from dcdp.experiments.run import train_run
from dcdp.experiments.run_folder import RunRequest
from dcdp.settings import build, to_dict, to_toml
from dcdp.splits import Split

SMALL = [
    "network.preset=tiny", "training.epochs=2", "training.batch_size=24", "body.n_subjects=4",
    "body.recordings_per_subject=1", "body.minutes_per_subject=2.5",
    'body.placements=["wrist"]', 'body.modalities=["acc", "gyr"]',
]  # fmt: skip


def small_grid(*methods, settings=(), **block):
    cell = {"data": ["synthetic"], "methods": list(methods), "folds": "1,3"} | block
    return make_grid({"cells": [cell], "settings": {"set": [*SMALL, *settings]}}, "small")


@pytest.fixture(scope="module", autouse=True)
def quick():
    """Let forests be small and timing short."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classical_peers, "fit_forest", partial(classical_peers.fit_forest, n_trees=10))
        patch.setattr(cost, "_REPEATS", 2)
        yield


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Return grid, folder and outcome of two methods on two folds, and what was said."""
    out, grid, said = tmp_path_factory.mktemp("grid"), small_grid("dcdp", "forest"), io.StringIO()
    outcome = run_grid(grid, out, console=Console(file=said, width=200))
    return grid, out, outcome, said.getvalue()


@pytest.fixture
def unrun(monkeypatch):
    """Make sure that no fold is run."""
    monkeypatch.setattr(fold_job, "fit_method", lambda *_, **__: pytest.fail("fitted"))


def test_every_cell_ends_in_one_result_and_its_predictions(done):
    grid, out, outcome, _ = done
    assert outcome.failures == {}
    files = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    names = {f"{cell.name}.{kind}" for cell in grid.cells for kind in ("json", "npz")}
    assert files == {"log.jsonl", *names}
    for cell, result in zip(grid.cells, outcome.results, strict=True):
        assert read_result(out / f"{cell.name}.json") == json.loads(json.dumps(result))
        assert (result["data"], result["method"], result["seed"]) == ("synthetic", cell.method.name, 0)
        assert result["leak_audit"]["passed"] is True
        assert [fold["fold"] for fold in result["split"]["folds"]] == ["s01", "s03"]
        assert set(result["test"]["absent"]) == set(result["branches"]) == {"acc", "gyr"}
        costs = result["cost"]
        assert min(costs["parameters"], costs["bytes"], costs["windows_per_s"], costs["latency_ms"]) > 0
        assert (costs["train_windows_per_s"] is None) == (cell.method.name == "forest")
        assert (out / f"{cell.name}.json").stat().st_size < 20_000


def test_predictions_give_the_figures_again(done):
    grid, out, outcome, _ = done
    for cell, result in zip(grid.cells, outcome.results, strict=True):
        with np.load(out / f"{cell.name}.npz") as kept:
            subject, label, probability = kept["subject"], kept["label"], kept["probability"]
            assert probability.dtype == np.float16
            assert len(kept["start_s"]) == len(kept["recording"]) == len(label) == np.sum(result["test"]["confusion"])
        probability = probability.astype(float) / probability.astype(float).sum(1, keepdims=True)
        assert subject_macro_f1(label, probability, subject) == pytest.approx(result["test"]["macro_f1"]["mean"])


def test_the_figures_are_those_of_train(done, tmp_path):
    grid, _, outcome, _ = done
    request = RunRequest("synthetic", tmp_path / "run", folds="1,3", peers=("forest",), device="cpu")
    trained = train_run(request, grid.cells[0].config)
    ours, forest = outcome.results
    assert ours["test"]["macro_f1"] == trained["test"]["macro_f1"]
    assert ours["test"]["absent"] == trained["test"]["absent"]
    assert ours["validation"] == trained["validation"]
    assert forest["test"]["macro_f1"]["mean"] == pytest.approx(trained["peers"]["forest"]["macro_f1"]["mean"], abs=0.02)


def test_away_from_a_terminal_every_finished_cell_is_a_line(done):
    lines = done[-1].splitlines()
    assert lines[0] == "0 of 2 cells are finished, 4 folds to run"
    assert lines[1].startswith("synthetic-arena/dcdp/s0  macro-F1 0.")
    assert "(1/2, about 0:" in lines[1]
    assert lines[2].endswith("(2/2)")


def test_every_fold_is_a_line_of_the_log(done):
    log = [json.loads(line) for line in (done[1] / "log.jsonl").read_text().splitlines()]
    assert [(line["cell"], line["fold"]) for line in log] == [
        (f"synthetic-arena/{method}/s0", fold) for method in ("dcdp", "forest") for fold in ("s01", "s03")
    ]
    assert all(line["elapsed_s"] > 0 and 0 < line["macro_f1"] <= 1 for line in log)


@pytest.mark.usefixtures("unrun")
def test_a_finished_cell_is_never_run_again(done):
    grid, out, outcome, _ = done
    again = run_grid(grid, out)
    assert [result["test"] for result in again.results] == json.loads(json.dumps([r["test"] for r in outcome.results]))


@pytest.mark.usefixtures("unrun")
def test_a_cell_of_another_configuration_is_refused(done, tmp_path):
    _, out, _, _ = done
    with pytest.raises(ConfigError, match=r"began with: got '.*s0\.json' with training\.epochs 2, not 3\."):
        run_grid(small_grid("dcdp", settings=["training.epochs=3"]), out)
    with pytest.raises(ConfigError, match=r"with windows\.stride_s 1\.5, not 1\."):
        run_grid(small_grid("forest", settings=["windows.stride_s=1"]), out)
    with pytest.raises(ConfigError, match=r"with folds 1,3, not 1\."):
        run_grid(small_grid("forest", folds="1"), out)
    (tmp_path / "synthetic-arena/forest/s0").mkdir(parents=True)
    (tmp_path / "synthetic-arena/forest/s0/config.toml").write_text("[body]\nminutes_per_subject = 8.0\n")
    with pytest.raises(ConfigError, match=r"'.*s0' with body\.minutes_per_subject 8\.0, not 2\.5; "):
        run_grid(small_grid("forest"), tmp_path)


@pytest.mark.usefixtures("unrun")
def test_a_setting_that_a_method_does_not_read_may_change(done):
    out = done[1]
    again = run_grid(small_grid("forest", settings=["training.epochs=3", "augment.vigour=0"]), out)
    assert len(again.results) == 1


@pytest.mark.usefixtures("unrun")
def test_a_setting_that_came_later_had_its_default(done, tmp_path):
    grid, out, _, _ = done
    path = out / "synthetic-arena/forest/s0.json"
    older = json.loads(path.read_text())
    del older["config"]["training"]["refit"]
    copy = tmp_path / "synthetic-arena/forest/s0.json"
    copy.parent.mkdir(parents=True)
    copy.write_text(json.dumps(older))
    assert run_grid(grid, tmp_path, only=["*/forest"]).results[0]["test"] == older["test"]


@pytest.mark.usefixtures("unrun")
@pytest.mark.parametrize("in_folder", [False, True])
def test_a_cell_from_before_a_setting_that_changed_its_network_is_refused(done, tmp_path, in_folder):
    grid, out, _, _ = done
    older = json.loads((out / "synthetic-arena/dcdp/s0.json").read_text())
    assert older["config"]["network"].pop("pool_segments") == 4
    place = tmp_path / "synthetic-arena/dcdp/s0.json"
    if in_folder:
        place = place.with_suffix("") / "config.toml"
        place.parent.mkdir(parents=True)
        place.write_text(to_toml(build(RunConfig, older["config"])))
    else:
        place.parent.mkdir(parents=True)
        place.write_text(json.dumps(older))
    with pytest.raises(ConfigError, match=r"with network\.pool_segments 1, not 4\."):
        run_grid(grid, tmp_path, only=["*/dcdp"])


@pytest.mark.parametrize(("data", "differs"), [("hapt", False), ("dsads", True), ("synthetic", True)])
def test_what_acts_on_several_placements_only_is_no_difference_where_there_is_one(data, differs):
    (cell,) = small_grid("dcdp", data=[data], settings=["network.waveform_dropout=0.5"]).cells
    stored = to_dict(settled(cell.config))
    stored["network"]["waveform_dropout"] = 0.0
    assert bool(cells._differences(stored, cell)) is differs


def test_a_finished_fold_is_not_run_again_and_its_training_goes_on(tmp_path, monkeypatch):
    grid, ran, fit = small_grid("forest"), [], fold_job.fit_method

    def stop_at_the_second(method, request, **options):
        ran.append((request.split.fold, options["resume"]))
        if len(ran) == 2:
            raise KeyboardInterrupt
        return fit(method, request, **options)

    monkeypatch.setattr(fold_job, "fit_method", stop_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        run_grid(grid, tmp_path)
    assert not (tmp_path / "synthetic-arena/forest/s0.json").exists()
    outcome = run_grid(grid, tmp_path)
    assert ran == [("s01", True), ("s03", True), ("s03", True)]
    assert set(outcome.results[0]["test"]["macro_f1"]["by_subject"]) == {"s01", "s03"}
    assert not (tmp_path / "synthetic-arena/forest/s0").exists()


def test_a_cell_that_was_killed_before_its_result_is_put_together(tmp_path, monkeypatch):
    grid, finish = small_grid("forest", folds="1"), benchmark.finish_cell

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(benchmark, "finish_cell", killed)
    with pytest.raises(KeyboardInterrupt):
        run_grid(grid, tmp_path)
    monkeypatch.setattr(benchmark, "finish_cell", finish)
    monkeypatch.setattr(fold_job, "fit_method", lambda *_, **__: pytest.fail("fitted"))
    assert len(run_grid(grid, tmp_path).results) == 1


def test_a_cell_that_fails_does_not_stop_the_others(tmp_path, monkeypatch):
    fit, asked = fold_job.fit_method, []

    def fail(method, request, **options):
        asked.append((method.name, request.split.fold))
        if method.name == "lightgbm":
            raise DataError("trees must grow", "none", "Water them.")
        if method.name == "minirocket":
            raise RuntimeError("out of\nmemory")
        return fit(method, request, **options)

    monkeypatch.setattr(fold_job, "fit_method", fail)
    monkeypatch.setattr("dcdp.models.peers.packages.find_spec", lambda _: True)
    outcome = run_grid(small_grid("lightgbm", "minirocket", "forest"), tmp_path)
    assert [result["method"] for result in outcome.results] == ["forest"]
    assert outcome.failures == {
        "synthetic-arena/lightgbm/s0": "fold s01: trees must grow: got none. Water them.",
        "synthetic-arena/minirocket/s0": "fold s01: RuntimeError: out of memory",
    }
    assert [name for name, _ in asked] == ["lightgbm", "minirocket", "forest", "forest"]  # a failed one goes no further
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert "RuntimeError" in log[1]["trace"]


def test_folds_that_do_not_fit_together_do_not_stop_the_other_cells(tmp_path, monkeypatch):
    finish = benchmark.finish_cell

    def refuse(out, cell, *rest):
        if cell.method.name == "forest":
            raise DataError("every fold must carry the same figures", "others", "Test the folds alike.")
        return finish(out, cell, *rest)

    monkeypatch.setattr(benchmark, "finish_cell", refuse)
    outcome = run_grid(small_grid("forest", "lightgbm", folds="1"), tmp_path)
    assert [result["method"] for result in outcome.results] == ["lightgbm"]
    assert "Delete '" in outcome.failures["synthetic-arena/forest/s0"]


def test_folds_whose_configuration_is_lost_are_not_taken_for_those_of_today(tmp_path, monkeypatch):
    grid = small_grid("forest", folds="1,3")
    with monkeypatch.context() as patch:
        patch.setattr(benchmark, "finish_cell", lambda *_: pytest.fail("finished"))
        patch.setattr(benchmark, "run_jobs", lambda *_, **__: None)
        run_grid(grid, tmp_path)
    left = cells.fold_folder(tmp_path, grid.cells[0], "s01")
    left.mkdir(parents=True)
    (left.parents[1] / "config.toml").unlink()
    with cells.claimed_cell(tmp_path, grid.cells[0]):
        assert not left.exists()


def test_a_cell_that_another_benchmark_has_just_finished_is_not_run_again(done):
    grid, out, *_ = done
    with pytest.raises(StorageError, match="one benchmark at a time"), cells.claimed_cell(out, grid.cells[0]):
        pytest.fail("claimed")
    (out / grid.cells[0].name).rmdir()


def halted(tmp_path, monkeypatch, grid):
    """Run the folds of a grid of one cell, and be killed before its result."""
    with monkeypatch.context() as patch:
        patch.setattr(benchmark, "finish_cell", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run_grid(grid, tmp_path)
    return {fold: cells.fold_folder(tmp_path, grid.cells[0], fold) for fold in ("s01", "s03")}


@pytest.fixture
def fitted_folds(monkeypatch):
    """Return the folds that are fitted from now on."""
    ran, fit = [], fold_job.fit_method
    monkeypatch.setattr(
        fold_job, "fit_method", lambda *given, **options: ran.append(given[1].split.fold) or fit(*given, **options)
    )
    return ran


@pytest.mark.parametrize(
    ("file", "left"),
    [("fold.json", b'{"scor'), ("fold.json", "scores"), ("predictions.npz", None), ("predictions.npz", 99)],
)
def test_a_damaged_fold_is_trained_again_and_the_others_are_not(file, left, tmp_path, monkeypatch, fitted_folds):
    grid = small_grid("forest")
    path = halted(tmp_path, monkeypatch, grid)["s03"] / file
    whole = path.read_bytes()
    path.unlink()
    if isinstance(left, str):
        path.write_text(json.dumps({left: json.loads(whole)[left]}))
    elif left is not None:
        path.write_bytes(whole[:left] if isinstance(left, int) else left)
    assert cells.n_folds_done(tmp_path, grid.cells[0]) == 1
    fitted_folds.clear()
    outcome = run_grid(grid, tmp_path)
    assert fitted_folds == ["s03"]
    assert outcome.failures == {}
    assert set(outcome.results[0]["test"]["macro_f1"]["by_fold"]) == {"s01", "s03"}


@pytest.mark.usefixtures("fitted_folds")
def test_a_fold_of_other_people_is_refused_and_one_that_does_not_tell_is_not(tmp_path, monkeypatch):
    grid = small_grid("forest")
    file = halted(tmp_path, monkeypatch, grid)["s01"] / "fold.json"
    whole = json.loads(file.read_text())
    assert whole["split"] | {"train": []} == {"fold": "s01", "train": [], "validation": ["s02"], "test": ["s01"]}
    file.write_text(json.dumps(whole | {"split": whole["split"] | {"validation": ["s04"], "train": ["s03", "s02"]}}))
    message = (
        r"goes on with the people it began with: got '.*forest.s0' with "
        r"fold s01: train with s02 and without s04; fold s01: validation with s04 and without s02\. Choose"
    )
    with pytest.raises(ConfigError, match=message):
        run_grid(grid, tmp_path)
    del whole["split"], whole["device"]  # as before they were written down
    file.write_text(json.dumps(whole))
    assert run_grid(grid, tmp_path).failures == {}


def test_a_finished_cell_of_other_people_is_refused_where_others_are_to_be_run(done, tmp_path):
    grid, out, *_ = done
    path = tmp_path / "synthetic-arena/forest/s0.json"
    path.parent.mkdir(parents=True)
    result = json.loads((out / "synthetic-arena/forest/s0.json").read_text())
    result["split"]["folds"][1]["train"].append("s99")
    path.write_text(json.dumps(result))
    with pytest.raises(ConfigError, match=r"got '.*s0\.json' with fold s03: train with s99\. Choose"):
        run_grid(grid, tmp_path)
    assert not list(tmp_path.rglob("fold.json"))


def test_a_finished_cell_of_other_folds_than_todays_is_refused(done):
    grid, out, *_ = done
    cell = grid.cells[0]
    facts = cells.finished_result(out, cell)["split"]["folds"]
    splits = [Split.from_facts("arena", fold) for fold in facts]
    assert cells.finished_result(out, cell, splits[::-1])["method"] == "dcdp"
    with pytest.raises(ConfigError, match=r"people it began with: got '.*s0\.json' with folds s01, s03, not s01\."):
        cells.finished_result(out, cell, splits[:1])


def test_a_damaged_result_fails_its_cell_alone_and_says_what_to_delete(done, tmp_path):
    grid, out, *_ = done
    whole = {cell.name: (out / f"{cell.name}.json").read_text() for cell in grid.cells}
    for name, text in whole.items():
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / f"{name}.json").write_text(text)
    path = tmp_path / "synthetic-arena/dcdp/s0.json"
    path.write_text(whole["synthetic-arena/dcdp/s0"][:500])
    outcome = run_grid(grid, tmp_path)
    assert [result["method"] for result in outcome.results] == ["forest"]
    (why,) = outcome.failures.items()
    assert why[0] == "synthetic-arena/dcdp/s0"
    assert why[1].endswith(f"Delete '{path}' to run the cell again.")


def test_a_result_names_every_device_that_its_folds_ran_on(tmp_path, monkeypatch):
    grid = small_grid("forest")
    file = halted(tmp_path, monkeypatch, grid)["s03"] / "fold.json"
    whole = json.loads(file.read_text())
    assert whole["device"] == "cpu"
    file.write_text(json.dumps(whole | {"device": "cuda"}))
    assert run_grid(grid, tmp_path, device="cpu").results[0]["machine"]["device"] == "cpu+cuda"


def test_models_and_histories_stay_when_asked_to(tmp_path):
    run_grid(small_grid("dcdp", folds="1"), tmp_path, keep=True)
    folder = tmp_path / "synthetic-arena/dcdp/s0/folds/s01"
    assert {"bundle.safetensors", "history.jsonl"} <= {path.name for path in folder.iterdir()}
    assert not list(tmp_path.rglob("checkpoint*"))


def test_two_benchmarks_do_not_run_one_cell(tmp_path):
    grid = small_grid("forest", folds="1")
    with (
        cells.claimed_cell(tmp_path, grid.cells[0]),
        pytest.raises(StorageError, match=r"one benchmark at a time: got another process that runs '.*forest.s0'"),
    ):
        run_grid(grid, tmp_path)
    assert run_grid(grid, tmp_path).failures == {}


def test_trees_share_the_statistics_of_a_data_set(tmp_path, monkeypatch):
    fold_job._features.cache_clear()
    seen, describe = [], fold_job.FeatureTable._fill
    monkeypatch.setattr(fold_job.FeatureTable, "_fill", lambda table, ext: seen.append(ext) or describe(table, ext))
    outcome = run_grid(small_grid("forest", seeds=[0, 1]), tmp_path)
    assert seen == [False]
    assert min(result["seconds"]["train"] for result in outcome.results) > 0


def test_a_grid_of_data_that_cannot_be_opened_is_refused(tmp_path):
    grid = make_grid({"cells": [{"data": ["hapt"], "methods": ["forest"]}]}, "none")
    with pytest.raises(FileNotFoundError, match="hapt"):
        run_grid(grid, tmp_path / "out", data=tmp_path / "nothing", cache=tmp_path / "cache")
    assert not (tmp_path / "out").exists()


def test_results_come_in_the_order_of_the_grid(done):
    grid, out, _, _ = done
    turned = replace(grid, cells=grid.cells[::-1])
    assert [result["method"] for result in run_grid(turned, out).results] == ["forest", "dcdp"]
