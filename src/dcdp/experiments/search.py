"""Search settings inside one outer fold, on validation people only; its test people are met once, at the end."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dcdp.errors import ConfigError, DcdpError, FormatError
from dcdp.experiments.fold import run_fold
from dcdp.experiments.fold_request import FoldRequest, Report, audit_fold
from dcdp.experiments.fold_training import Watch, train_fold
from dcdp.experiments.search_space import Space, default_point, suggest
from dcdp.files import write_text
from dcdp.settings import override
from dcdp.splits import inner_folds

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial

__all__ = ["SearchRequest", "require_optuna", "search_fold"]

_DONE = "search.json"
_STUDY = "study.log"
_TOLD = {"best", "n_trials", "scores", "trials"}
"""What a finished search must have told to be read back."""

N_BEFORE_PRUNING = 5  # a median of fewer trials says little
N_EPOCHS_BEFORE_PRUNING = 3  # the learning rate still warms up


@dataclass(frozen=True)
class SearchRequest:
    """A search inside one outer fold.

    Attributes
    ----------
    fold
        The outer fold, with the configuration that the search starts from and the folder that it goes to.
    space
        What may vary; see `dcdp.experiments.search_space.make_space`.
    trials
        Settings to try, the default among them.
    inner
        1: trials train on the fold's training people and are scored on its validation people. More: both together are
        dealt into so many inner folds, and a trial's score is the mean over them.
    """

    fold: FoldRequest
    space: Space
    trials: int = 20
    inner: int = 1


def require_optuna() -> None:
    """Refuse to search without Optuna, without importing it.

    Raises
    ------
    ConfigError
        With the command that installs it.
    """
    if find_spec("optuna") is None:
        raise ConfigError(
            "tuning needs the package optuna", "none installed",
            'Install it with: pip install "dcdp[tune]", or: pip install optuna.',
        )  # fmt: skip


def search_fold(request: SearchRequest, progress: Report | None = None) -> dict[str, Any]:
    """Search inside one outer fold, then train the best settings and the default, and test both once.

    The study lies in the fold's folder (Optuna's journal); called again, the search goes on, and what is finished is
    read back. A trial depends on the seed, its number and the trials before it alone, so an interruption changes
    nothing. Nobody else may search in that folder meanwhile (`dcdp.experiments.claim.claimed_folder`).

    Returns
    -------
    dict
        Ready for JSON. ``people`` of the outer fold; ``leak_audit``; ``inner``: people and audit of each inner fold;
        ``trials``; ``best``: trial, settings and validation score; ``validation`` and ``scores`` of ``default`` and
        ``tuned`` (as `dcdp.experiments.fold.run_fold` gives them); ``importance`` by key.

    Raises
    ------
    SplitError, DataError
        If people or samples are shared between parts, or training lacks a class.
    ConfigError
        If the default configuration itself cannot be trained.
    FormatError
        If the study is damaged elsewhere than at its end.

    Notes
    -----
    Trials get windows from which those of the test people were taken out: they cannot read them, whatever they do.
    The audit before them compares recordings by content, and drops from training what is a copy of a test recording.
    """
    fold, folder = request.fold, _folder(request)
    if (done := _read_done(folder / _DONE, request.trials)) is not None:
        return done
    _, audit = audit_fold(fold)
    inner = [audit_fold(replace(fold, split=split)) for split in inner_folds(fold.split, request.inner)]
    study = _open_study(folder, fold.split.fold)
    _search(study, request, [_without_test(one) for one, _ in inner], progress)
    best = study.best_trial
    found: dict[str, Any] = {
        "n_trials": request.trials,
        "people": {part: list(names) for part, names in fold.split.subjects.items()},
        "leak_audit": audit,
        "inner": [{**_trained_on(one), "leak_audit": facts} for one, facts in inner],
        "trials": [_trial_facts(trial) for trial in _finished(study)],
        "best": {"trial": best.user_attrs["place"], "settings": best.user_attrs["settings"], "validation": best.value},
        "importance": _importance(study),
        **_test(request, best, progress),
    }
    write_text(folder / _DONE, json.dumps(found))
    return found


def _read_done(path: Path, trials: int) -> dict[str, Any] | None:
    """Return what a finished search of so many trials found; None if there is none, or its file is damaged."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and found.keys() >= _TOLD and found["n_trials"] == trials else None


def _search(study: Study, request: SearchRequest, inner: list[FoldRequest], progress: Report | None) -> None:
    """Run the trials that are still to be run."""
    from optuna.samplers import TPESampler
    from optuna.trial import TrialState

    for trial in study.get_trials(states=(TrialState.RUNNING,)):  # of a process that was killed
        scores = trial.user_attrs.get("by_inner", []) if "place" in trial.user_attrs else []
        if len(scores) == len(inner):  # between its last word and ours
            study.tell(trial.number, float(np.mean(scores)))
        else:
            pruned = "place" in trial.user_attrs and "error" not in trial.user_attrs
            study.tell(trial.number, state=TrialState.PRUNED if pruned else TrialState.FAIL)
    for place in range(len(_finished(study)), request.trials):
        if place == 0 and not study.get_trials(states=(TrialState.WAITING,)):
            study.enqueue_trial(default_point(request.space, request.fold.config))
        # seeded by its place, not by what this process has drawn before: a search that goes on draws the same
        seed = np.random.SeedSequence((request.fold.seed, place)).generate_state(1)[0]
        study.sampler = TPESampler(seed=int(seed), n_startup_trials=N_BEFORE_PRUNING)
        _try(study, study.ask(), place, request, inner, progress)


def _try(
    study: Study, trial: Trial, place: int, request: SearchRequest, inner: list[FoldRequest], progress: Report | None
) -> None:
    """Run one trial: train on every inner fold, score its validation people, tell the study."""
    from optuna import TrialPruned
    from optuna.trial import TrialState

    settings = suggest(trial, request.space, request.fold.config)
    trial.set_user_attr("settings", list(settings))
    started, state = time.perf_counter(), TrialState.COMPLETE
    scores: list[float] = []

    def report(done: int, total: int, text: str) -> None:
        if progress is not None:
            share = (place + (len(scores) + done / total) / len(inner)) / request.trials
            progress(round(1000 * share), 1000, f"trial {place + 1}/{request.trials}, {text}")

    twin = next((one for one in _finished(study) if one.user_attrs["settings"] == list(settings)), None)
    if twin is not None:
        _repeat(study, trial, place, twin)
        return
    try:
        config = override(request.fold.config, *settings)
        training = replace(config.training, refit=False, early_stopping=True)  # without validation there is no score
        config = replace(config, training=training)
        for one in inner:
            watch = _pruner(trial) if not scores else None
            _, trained = train_fold(replace(one, config=config, folder=None), progress=report, watch=watch)
            scores.append(trained.validation["macro_f1"])
            trial.set_user_attr("epochs", [*trial.user_attrs.get("epochs", []), trained.epochs])
    except TrialPruned:
        state = TrialState.PRUNED
    except DcdpError as err:  # settings that do not go together, a loss that is no number
        if place == 0:
            raise
        trial.set_user_attr("error", str(err))
        state = TrialState.FAIL
    trial.set_user_attr("saw", sorted({str(name) for one in inner for name in one.windows.subject}))
    trial.set_user_attr("seconds", round(time.perf_counter() - started, 1))
    trial.set_user_attr("by_inner", scores)
    trial.set_user_attr("place", place)  # last: only a trial that has one is finished
    study.tell(trial, float(np.mean(scores)) if state == TrialState.COMPLETE else None, state=state)


def _repeat(study: Study, trial: Trial, place: int, twin: FrozenTrial) -> None:
    """End a trial as an earlier one with the same settings, which is the same training, did."""
    from optuna.trial import TrialState

    for name in twin.user_attrs.keys() - {"place"}:
        trial.set_user_attr(name, twin.user_attrs[name])
    trial.set_user_attr("place", place)  # last, as above
    study.tell(trial, twin.value if twin.state == TrialState.COMPLETE else None, state=twin.state)


def _pruner(trial: Trial) -> Watch:
    """Return what watches the epochs of a trial's first inner fold, and stops it where it lags behind the median."""
    from optuna import TrialPruned

    epochs = count()

    def watch(figures: Mapping[str, Any]) -> None:
        trial.report(figures["macro_f1"], next(epochs))
        if trial.should_prune():
            raise TrialPruned

    return watch


def _open_study(folder: Path, name: str) -> Study:
    from optuna import create_study, logging
    from optuna.pruners import MedianPruner
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    folder.mkdir(parents=True, exist_ok=True)
    _mend_journal(folder / _STUDY)
    logging.set_verbosity(logging.WARNING)  # our own progress says what it would
    return create_study(
        study_name=name,
        storage=JournalStorage(JournalFileBackend(str(folder / _STUDY))),
        direction="maximize",
        load_if_exists=True,
        pruner=MedianPruner(n_startup_trials=N_BEFORE_PRUNING, n_warmup_steps=N_EPOCHS_BEFORE_PRUNING),
    )


def _mend_journal(path: Path) -> None:
    """Remove what a process that was killed, or a full disk, may have left of a study that nobody else has open.

    Optuna appends to a last line that was cut off, and then reads neither; of a lock that nobody lifts it waits for the
    end.

    Raises
    ------
    FormatError
        If another line than the last is damaged.
    """
    path.with_name(f"{path.name}.lock").unlink(missing_ok=True)
    if not path.is_file():
        return
    with path.open("rb") as file:
        lines = list(file)
    if lines and not _is_entry(lines[-1]):
        os.truncate(path, sum(map(len, lines[:-1])))
    for number, line in enumerate(lines[:-1], 1):
        if not _is_entry(line):
            raise FormatError(
                "every line of a study must be JSON", f"line {number} of '{path}'",
                f"Delete '{path.parent}' to search in this fold again.",
            )  # fmt: skip


def _is_entry(line: bytes) -> bool:
    try:
        return line.endswith(b"\n") and isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _finished(study: Study) -> list[FrozenTrial]:
    """Return the trials that ran to their end, whatever it was, in order."""
    return [trial for trial in study.trials if trial.state.is_finished() and "place" in trial.user_attrs]


def _test(request: SearchRequest, best: FrozenTrial, progress: Report | None) -> dict[str, Any]:
    """Train and test the default and the best settings as any fold is, each once."""
    fold, folder = request.fold, _folder(request)
    default = run_fold(replace(fold, folder=folder / "default"), resume=True, progress=progress)
    tuned, place = default, best.user_attrs["place"]
    if place:
        config = override(fold.config, *best.user_attrs["settings"])
        tuned = run_fold(replace(fold, config=config, folder=folder / f"trial_{place}"), resume=True, progress=progress)
    both = {"default": default, "tuned": tuned}
    return {key: {name: result[key] for name, result in both.items()} for key in ("validation", "scores", "training")}


def _importance(study: Study) -> dict[str, float] | None:
    """Return how much of the scores' variance each key explains (fANOVA); None for too few trials."""
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances
    from optuna.trial import TrialState

    if len({trial.value for trial in study.get_trials(states=(TrialState.COMPLETE,))}) < N_BEFORE_PRUNING:
        return None
    shares = get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0))
    return {key: float(share) for key, share in shares.items()}


def _trial_facts(trial: FrozenTrial) -> dict[str, Any]:
    told = {key: trial.user_attrs.get(key) for key in ("settings", "by_inner", "epochs", "seconds", "saw", "error")}
    state = {"COMPLETE": "finished", "FAIL": "failed"}.get(trial.state.name, "pruned")
    value = trial.value if state == "finished" else None  # of a pruned one it is that of some early epoch
    facts = {"trial": trial.user_attrs["place"], "state": state, "validation": value, **told}
    return {key: value for key, value in facts.items() if key != "error" or value}


def _without_test(request: FoldRequest) -> FoldRequest:
    """Keep the windows of the training and validation people alone."""
    return replace(request, windows=request.part("train", "validation"))


def _trained_on(request: FoldRequest) -> dict[str, list[str]]:
    return {part: list(request.split.subjects[part]) for part in ("train", "validation")}


def _folder(request: SearchRequest) -> Path:
    if request.fold.folder is None:
        raise ConfigError("a search must have a folder", "none", "Give the fold's request one.")
    return request.fold.folder
