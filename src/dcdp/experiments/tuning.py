"""Tune over the folds of a split: a search in each, then the tuned settings beside the default on people never seen."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dcdp.config import RunConfig
from dcdp.data.quality import require_trainable
from dcdp.errors import ConfigError, FormatError, StorageError, require_seed
from dcdp.evaluation import compare, environment, pool_folds
from dcdp.experiments.claim import claimed_folder, is_vacant
from dcdp.experiments.fold_request import FoldRequest, Report, resolve_device
from dcdp.experiments.pool import run_all
from dcdp.experiments.search import SearchRequest, require_optuna, search_fold
from dcdp.experiments.search_space import Interval, Space
from dcdp.experiments.source import DataSource, load
from dcdp.files import write_text
from dcdp.records import Windows
from dcdp.reports.tuning import write_tuning
from dcdp.settings import to_dict
from dcdp.signals.windows import cut_windows
from dcdp.splits import Split, inner_folds, make_folds, select_folds

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FORMAT", "TuneRequest", "tune"]

FORMAT = 1
_NOTE = "request.json"


@dataclass(frozen=True)
class TuneRequest:
    """What to tune on, and how long to search.

    Attributes
    ----------
    data, data_dir, cache, verify
        Data set by name, its original files, the folder of parsed stores, and whether hashes must be the known ones.
    out
        Where studies, models and ``tuning.json`` go. A search in it goes on.
    split, folds, test, validation
        Split by name; which of its folds; named subjects of ``holdout``.
    trials, inner
        As in `dcdp.experiments.search.SearchRequest`, for each outer fold.
    seed
        Of every training and every draw.
    device
        ``auto``, ``cpu`` or ``cuda``.
    workers
        Folds to search in at a time, each in a process of its own.
    """

    data: str
    out: Path
    data_dir: Path | None = None
    cache: Path | None = None
    verify: bool = True
    split: str = "arena"
    folds: str | None = None
    test: tuple[str, ...] = ()
    validation: tuple[str, ...] = ()
    trials: int = 20
    inner: int = 1
    seed: int = 0
    device: str = "auto"
    workers: int = 1

    def __post_init__(self) -> None:
        for name in ("trials", "inner", "workers"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be 1 or more", getattr(self, name), "Give a whole number.")
        require_seed(self.seed)


def tune(
    request: TuneRequest,
    config: RunConfig,
    space: Space,
    progress: Callable[[str], Report] | None = None,
) -> dict[str, Any]:
    """Search in every fold asked for; write ``tuning.json`` and ``tuning.html``, and return what the former holds.

    Parameters
    ----------
    config
        The default that the search starts from, and is compared with.
    space
        What may vary, as `dcdp.experiments.search_space.make_space` gives it.
    progress
        Called with a name (``reading``, a fold), returns the ``progress(done, total, text)`` of that part.

    Returns
    -------
    dict
        ``folds``: by fold what `dcdp.experiments.search.search_fold` gives; ``test``: macro-F1 of ``default`` and
        ``tuned`` over all test people, and the ``comparison`` of the two, paired by person (None for one person);
        ``data``, ``split``, ``seed``, ``trials``, ``inner``, ``space``, ``config``, ``versions``, ``machine``,
        ``seconds``.

    Raises
    ------
    DcdpError
        If data, configuration or folder break a rule, or another process searches in the folder; the message names it.
    KeyboardInterrupt
        On Ctrl-C or SIGTERM. Called again, the search goes on with the trial that was interrupted.
    """
    require_optuna()
    started = time.perf_counter()
    _require_usable_folder(request, config, space)
    opened = _open(request, config, progress("reading") if progress else None)
    for split in opened.folds:
        inner_folds(split, request.inner)  # refused before anything is written
    reporters = {split.fold: progress(f"fold {split.fold}") if progress else None for split in opened.folds}
    with _claimed(request, config, space):
        if request.workers > 1 and len(opened.folds) > 1:
            jobs = {name: (request, config, space, name) for name in reporters}
            found = run_all(_search_in_process, jobs, request.workers, reporters)
        else:
            found = {name: _search(request, config, space, opened, name, report) for name, report in reporters.items()}
        result = {
            **_identity(request, config, space),
            "trials": request.trials,
            **environment(resolve_device(request.device)),
            "seconds": time.perf_counter() - started,
            "test": _compare(found, opened.windows.label_set.names),
            "folds": found,
        }
        write_text(request.out / "tuning.json", json.dumps(result, indent=1, ensure_ascii=False) + "\n")
        write_tuning(request.out)
    return result


@dataclass(frozen=True)
class _Opened:
    source: DataSource
    windows: Windows
    folds: tuple[Split, ...]


def _open(request: TuneRequest, config: RunConfig, report: Report | None) -> _Opened:
    source = load(
        request.data, request.data_dir, cache=request.cache, verify=request.verify, gap_s=config.windows.gap_s,
        body=config.body, progress=report,
    )  # fmt: skip
    require_trainable(source.store)
    folds = make_folds(
        request.split, source.subjects, official=source.official, test=request.test, validation=request.validation
    )
    return _Opened(source, cut_windows(source.store, config.windows), select_folds(folds, request.folds))


def _search_in_process(
    request: TuneRequest, config: RunConfig, space: Space, name: str, report: Report
) -> dict[str, Any]:
    return _search(request, config, space, _open(request, config, None), name, report)


def _search(
    request: TuneRequest, config: RunConfig, space: Space, opened: _Opened, name: str, report: Report | None
) -> dict[str, Any]:
    (split,) = (one for one in opened.folds if one.fold == name)
    folder, device = request.out / "folds" / name, resolve_device(request.device)
    fold = FoldRequest(opened.source, opened.windows, split, config, request.seed, device, folder)
    return search_fold(SearchRequest(fold, space, request.trials, request.inner), report)


def _compare(found: Mapping[str, Mapping[str, Any]], labels: tuple[str, ...]) -> dict[str, Any]:
    """Pool the folds of default and tuned, and pair them by person."""
    pooled = {
        name: pool_folds({fold: facts["scores"][name] for fold, facts in found.items()}, labels)["macro_f1"]
        for name in ("default", "tuned")
    }
    pairs = [pooled[name]["by_subject"] for name in ("tuned", "default")]
    if len(pairs[0]) < 2:
        return {**pooled, "comparison": None}
    compared = asdict(compare(*pairs))
    return {**pooled, "comparison": compared | {"interval": list(compared["interval"])}}


@contextmanager
def _claimed(request: TuneRequest, config: RunConfig, space: Space) -> Iterator[None]:
    """Make the folder this search's alone, and write down what it is of."""
    taken = StorageError(
        "a search must be run by one process at a time", f"another one that searches in '{request.out}'",
        "Wait until it is done, stop it, or choose another folder with --out.",
    )  # fmt: skip
    with claimed_folder(request.out, taken):
        _require_usable_folder(request, config, space)  # another process may have begun there since
        write_text(request.out / _NOTE, json.dumps(_identity(request, config, space), indent=1))
        yield


def _require_usable_folder(request: TuneRequest, config: RunConfig, space: Space) -> None:
    """Refuse a folder that is not empty and of another search: one goes on only with what it began with."""
    note, identity = request.out / _NOTE, _identity(request, config, space)
    if note.is_file():
        before = _read_note(note)
        changed = [key for key, value in identity.items() if before.get(key) != json.loads(json.dumps(value))]
        if changed:
            raise ConfigError(
                "a search goes on with what it began with", f"another {', '.join(changed)} in '{request.out}'",
                "Give the same options again, or start a new search with --out.",
            )  # fmt: skip
    elif not is_vacant(request.out):
        raise ConfigError("a search must have a folder of its own", f"'{request.out}'", "Choose another with --out.")


def _read_note(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (TypeError, ValueError) as err:
        raise FormatError(
            "a search must say what it is of", f"'{path}', which is damaged",
            f"Delete '{path.parent}' to search again, or start a new search with --out.",
        ) from err  # fmt: skip


def _identity(request: TuneRequest, config: RunConfig, space: Space) -> dict[str, Any]:
    """Return what a search must share with the one that it goes on with; trials may be added."""
    return {
        "format": FORMAT,
        "data": request.data,
        "split": request.split,
        "test_people": list(request.test),
        "validation_people": list(request.validation),
        "seed": request.seed,
        "inner": request.inner,
        "space": {key: asdict(one) if isinstance(one, Interval) else list(one) for key, one in space.items()},
        "config": to_dict(config),
    }
