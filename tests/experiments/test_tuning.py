"""The search of settings: its trials never meet the test people, it goes on where it was, and what it tells is true."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import dcdp.experiments.search as search_module
from dcdp.config import RunConfig
from dcdp.data.store import Store
from dcdp.errors import ConfigError, DcdpError, FormatError
from dcdp.experiments.fold_request import FoldRequest
from dcdp.experiments.fold_training import train_fold
from dcdp.experiments.search import SearchRequest, require_optuna, search_fold
from dcdp.experiments.search_space import make_space
from dcdp.experiments.source import load
from dcdp.experiments.tuning import TuneRequest, tune
from dcdp.signals.windows import cut_windows
from dcdp.splits import make_folds

pytest.importorskip("optuna")

SPACE = {"training.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}, "objective.contrast": [0.0, 0.1]}
TRIALS = 3


@pytest.fixture(scope="module")
def config(make_config: Callable[..., RunConfig]) -> RunConfig:
    return make_config(epochs=1)


@pytest.fixture(scope="module")
def fold(config: RunConfig) -> FoldRequest:
    source = load("synthetic", body=config.body)
    split = make_folds("arena", source.subjects)[0]
    return FoldRequest(source, cut_windows(source.store, config.windows), split, config)


def search(fold: FoldRequest, folder: Path, trials: int = TRIALS, inner: int = 1) -> dict[str, Any]:
    space = make_space(SPACE, fold.config)
    return search_fold(SearchRequest(replace(fold, folder=folder), space, trials, inner))


@pytest.fixture(scope="module")
def folder(fold: FoldRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a finished search. Read only."""
    folder = tmp_path_factory.mktemp("search")
    search(fold, folder)
    return folder


@pytest.fixture(scope="module")
def found(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "search.json").read_text(encoding="utf-8"))
    return found


def told(found: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    return [(trial["settings"], trial["validation"], trial["epochs"]) for trial in found["trials"]]


def test_a_search_tells_its_trials_and_begins_with_the_default(found: dict[str, Any]) -> None:
    assert [trial["trial"] for trial in found["trials"]] == list(range(TRIALS))
    assert found["trials"][0]["settings"] == ["training.learning_rate=0.002", "objective.contrast=0.1"]
    assert len({tuple(trial["settings"]) for trial in found["trials"]}) == TRIALS
    assert found["best"]["validation"] == max(trial["validation"] for trial in found["trials"])
    assert found["best"]["settings"] == found["trials"][found["best"]["trial"]]["settings"]


def test_the_chosen_settings_are_trained_and_tested_as_any_fold(found: dict[str, Any]) -> None:
    assert found["validation"]["tuned"]["macro_f1"] == pytest.approx(found["best"]["validation"])
    assert found["validation"]["default"]["macro_f1"] == pytest.approx(found["trials"][0]["validation"])
    assert list(found["scores"]["tuned"]["macro_f1"]["by_subject"]) == ["s01"]
    assert found["leak_audit"]["passed"]


def test_trials_never_read_the_test_people(
    fold: FoldRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[set[str]] = []
    gather = Store.gather

    def noting(store: Store, windows: Any, index: Any) -> Any:
        read.append(set(windows.subject[index]))
        return gather(store, windows, index)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Store, "gather", noting)
    monkeypatch.setattr(search_module, "_test", stop)  # the trials are over, the test has not begun
    with pytest.raises(KeyboardInterrupt):
        search(fold, tmp_path)
    assert set.union(*read) == {"s02", "s03", "s04"}


def test_trials_tell_whom_they_saw(found: dict[str, Any]) -> None:
    assert [trial["saw"] for trial in found["trials"]] == [["s02", "s03", "s04"]] * TRIALS
    assert found["people"] == {"train": ["s03", "s04"], "validation": ["s02"], "test": ["s01"]}


def test_inner_folds_let_every_other_person_validate(fold: FoldRequest, tmp_path: Path) -> None:
    found = search(fold, tmp_path, trials=1, inner=3)
    assert [one["validation"] for one in found["inner"]] == [["s02"], ["s03"], ["s04"]]
    assert all(one["leak_audit"]["passed"] for one in found["inner"])
    (trial,) = found["trials"]
    assert len(trial["by_inner"]) == 3
    assert trial["validation"] == pytest.approx(sum(trial["by_inner"]) / 3)


def test_a_killed_search_goes_on_as_if_nothing_had_been(
    fold: FoldRequest, found: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = 0

    def killed(*args: Any, **options: Any) -> Any:
        nonlocal trained
        trained += 1
        if trained in (1, 3):  # in the default's trial, then in the second trial of the process after it
            raise KeyboardInterrupt
        return train_fold(*args, **options)

    monkeypatch.setattr(search_module, "train_fold", killed)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            search(fold, tmp_path)
    assert told(search(fold, tmp_path)) == told(found)
    assert trained == TRIALS + 2  # no finished trial was run again


def test_a_trial_that_was_killed_before_the_study_heard_of_it_counts(
    fold: FoldRequest, found: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from optuna.study import Study

    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Study, "tell", killed)
        with pytest.raises(KeyboardInterrupt):
            search(fold, tmp_path)
    assert told(search(fold, tmp_path)) == told(found)


@pytest.mark.parametrize("left", ["", '{"n_trials": 3, "tri', "[]", '{"n_trials": 3}'])
def test_a_damaged_end_of_a_search_is_made_again(
    left: str, fold: FoldRequest, folder: Path, found: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = shutil.copytree(folder, tmp_path / "search")
    (mine / "search.json").write_text(left, encoding="utf-8")
    monkeypatch.setattr(search_module, "train_fold", lambda *_, **__: pytest.fail("trained again"))
    assert search(fold, mine) == found


@pytest.mark.parametrize("share", [0.3, 0.999])
def test_a_study_that_was_cut_off_goes_on(
    share: float, fold: FoldRequest, folder: Path, found: dict[str, Any], tmp_path: Path
) -> None:
    mine = shutil.copytree(folder, tmp_path / "search")
    journal = mine / "study.log"
    whole = journal.read_bytes()
    journal.write_bytes(whole[: int(share * len(whole))])  # as a full disk leaves it
    (mine / "study.log.lock").symlink_to("nowhere")  # as kill -9 leaves it
    (mine / "search.json").unlink()
    assert told(search(fold, mine)) == told(found)
    assert all(json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines())


def test_a_study_that_is_damaged_in_its_midst_is_an_error(fold: FoldRequest, folder: Path, tmp_path: Path) -> None:
    mine = shutil.copytree(folder, tmp_path / "search")
    lines = (mine / "study.log").read_bytes().splitlines(keepends=True)
    (mine / "study.log").write_bytes(b"".join([*lines[:4], lines[4][:9] + lines[5], *lines[6:]]))
    (mine / "search.json").unlink()
    with pytest.raises(FormatError, match=rf"got line 5 of '.*study\.log'\. Delete '{mine}' to search in this fold"):
        search(fold, mine)


def test_the_same_settings_are_trained_once(
    fold: FoldRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []

    def train(one: FoldRequest, **_: Any) -> Any:
        asked.append(one.config.objective.contrast)
        return None, SimpleNamespace(validation={"macro_f1": 0.5 + one.config.objective.contrast}, epochs=1)

    monkeypatch.setattr(search_module, "train_fold", train)
    space = make_space({"objective.contrast": [0.0, 0.1]}, fold.config)
    found = search_fold(SearchRequest(replace(fold, folder=tmp_path), space, 6, 1))
    assert sorted(asked) == [0.0, 0.1]
    assert [trial["validation"] for trial in found["trials"]] == [
        0.5 + float(trial["settings"][0].partition("=")[2]) for trial in found["trials"]
    ]
    assert found["best"]["trial"] == 0


def test_settings_that_cannot_be_trained_are_told_and_passed_over(
    fold: FoldRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails_without_contrast(request: FoldRequest, **options: Any) -> Any:
        if request.config.training.learning_rate != 0.002:
            raise ConfigError("the loss must stay finite", "nan at step 3", "Lower the learning rate.")
        return train_fold(request, **options)

    monkeypatch.setattr(search_module, "train_fold", fails_without_contrast)
    found = search(fold, tmp_path)
    assert [trial["state"] for trial in found["trials"]] == ["finished", "failed", "failed"]
    assert "nan at step 3" in found["trials"][1]["error"]
    assert found["best"]["trial"] == 0
    assert found["scores"]["tuned"] == found["scores"]["default"]


def test_a_default_that_cannot_be_trained_is_an_error(
    fold: FoldRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise ConfigError("the loss must stay finite", "nan at step 3", "Lower the learning rate.")

    monkeypatch.setattr(search_module, "train_fold", fails)
    with pytest.raises(ConfigError, match="nan at step 3"):
        search(fold, tmp_path)


def test_a_trial_behind_the_median_is_stopped_early(
    fold: FoldRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter((0.5, 0.6, 0.1))

    def scripted(_: FoldRequest, *, watch: Any, **__: Any) -> Any:
        score = next(scores)
        for _ in range(3):
            watch({"macro_f1": score})
        return None, SimpleNamespace(validation={"macro_f1": score}, epochs=3)

    monkeypatch.setattr(search_module, "train_fold", scripted)
    monkeypatch.setattr(search_module, "N_BEFORE_PRUNING", 2)
    monkeypatch.setattr(search_module, "N_EPOCHS_BEFORE_PRUNING", 1)
    monkeypatch.setattr(search_module, "_test", lambda *_: {})
    found = search(fold, tmp_path)
    assert [trial["state"] for trial in found["trials"]] == ["finished", "finished", "pruned"]
    assert found["trials"][2]["validation"] is None
    assert found["best"]["trial"] == 1


def test_tune_joins_the_folds_and_goes_on_with_more_trials(config: RunConfig, tmp_path: Path) -> None:
    request = TuneRequest("synthetic", tmp_path / "out", folds="1,2", trials=1, device="cpu")
    space = make_space(SPACE, config)
    result = tune(request, config, space)
    assert result == json.loads((tmp_path / "out" / "tuning.json").read_text(encoding="utf-8"))
    assert sorted(result["test"]["tuned"]["by_subject"]) == ["s01", "s02"]
    assert result["test"]["comparison"]["verdict"] == "tie"  # one trial: the default itself
    page = (tmp_path / "out" / "tuning.html").read_text(encoding="utf-8")
    assert "Nobody who is tested was given to a trial" in page
    assert page.count("<svg") == 1
    more = tune(replace(request, trials=2), config, space)
    assert [len(fold["trials"]) for fold in more["folds"].values()] == [2, 2]
    with pytest.raises(ConfigError, match=r"a search goes on with what it began with: got another seed in"):
        tune(replace(request, seed=1), config, space)


@pytest.mark.slow
def test_folds_side_by_side_find_what_they_find_one_by_one(config: RunConfig, tmp_path: Path) -> None:
    request = TuneRequest("synthetic", tmp_path / "one", folds="1,2", trials=2, device="cpu")
    space = make_space(SPACE, config)
    one_by_one = tune(request, config, space)["folds"]
    heard: list[str] = []

    def progress(name: str) -> Callable[[int, int, str], None]:
        return lambda *_: heard.append(name)

    both = tune(replace(request, out=tmp_path / "two", workers=2), config, space, progress)["folds"]
    assert {name: told(fold) for name, fold in both.items()} == {name: told(fold) for name, fold in one_by_one.items()}
    assert {"fold s01", "fold s02"} <= set(heard)


def test_tune_refuses_a_folder_that_is_no_search(config: RunConfig, tmp_path: Path) -> None:
    (tmp_path / "photographs").touch()
    with pytest.raises(ConfigError, match="a search must have a folder of its own"):
        tune(TuneRequest("synthetic", tmp_path), config, make_space(SPACE, config))
    assert [path.name for path in tmp_path.iterdir()] == ["photographs"]


@pytest.mark.parametrize("left", ["", '{"format": 1, "da', "null"])
def test_a_search_that_no_longer_says_what_it_is_of_is_refused(left: str, config: RunConfig, tmp_path: Path) -> None:
    (tmp_path / "request.json").write_text(left, encoding="utf-8")
    with pytest.raises(FormatError, match=r"say what it is of: got '.*request\.json', which is damaged\. Delete '"):
        tune(TuneRequest("synthetic", tmp_path), config, make_space(SPACE, config))


@pytest.mark.parametrize("wrong", [{"split": "holdout", "test": ("typo",)}, {"inner": 99}])
def test_a_search_that_is_refused_leaves_its_folder_to_the_next(
    wrong: dict[str, Any], config: RunConfig, tmp_path: Path
) -> None:
    with pytest.raises(DcdpError):
        tune(TuneRequest("synthetic", tmp_path / "out", **wrong), config, make_space(SPACE, config))
    assert not (tmp_path / "out").exists()


def test_without_optuna_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_module, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r'none installed. Install it with: pip install "dcdp\[tune\]"'):
        require_optuna()
