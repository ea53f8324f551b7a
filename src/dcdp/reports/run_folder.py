"""Read a run folder: the result, the configuration, and what each fold left behind."""

from __future__ import annotations

import json
import math
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dcdp.errors import FormatError, MissingError
from dcdp.reports.curves import History, read_history

__all__ = ["Fold", "Predictions", "Run", "mapping", "numbers", "read_predictions", "read_run", "shared_people"]

RESULT_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Predictions:
    """Windows of the test subjects and what the model said of them.

    Attributes
    ----------
    label
        (N,) class index, or -1 where unknown.
    probability
        (N, K) of the joint head.
    subject
        (N,) str.
    embedding
        (E, D) of the windows at ``embedding_index`` (E,), or None.
    """

    label: NDArray[np.int64]
    probability: NDArray[np.float32]
    subject: NDArray[np.str_]
    embedding: NDArray[np.float32] | None
    embedding_index: NDArray[np.int64] | None


@dataclass(frozen=True, slots=True)
class Fold:
    """One fold's files; None where a file was not written (a forest has no history)."""

    name: str
    history: History | None
    predictions: Predictions | None


@dataclass(frozen=True, slots=True)
class Run:
    """A run folder in memory: ``result`` as written, the configuration as text, the folds in order."""

    path: Path
    result: dict[str, Any]
    config: str
    folds: tuple[Fold, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """Activity names in class order."""
        return tuple(map(str, self.result.get("labels") or ()))

    @property
    def test(self) -> dict[str, Any]:
        """Figures on the test subjects."""
        return mapping(self.result, "test")


def mapping(value: Any, *keys: str) -> dict[str, Any]:
    """Return the mapping at ``keys``, empty where there is none.

    Examples
    --------
    >>> mapping({"test": {"absent": None}}, "test", "absent")
    {}
    """
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def numbers(value: Any, *keys: str) -> dict[str, float]:
    """Return the finite numbers in the mapping at ``keys``."""
    found = mapping(value, *keys).items()
    return {str(name): float(item) for name, item in found if _is_number(item)}


def shared_people(result: Any) -> list[str]:
    """Return who was trained on in one session and tested in another: nobody, unless the split is by session."""
    audits = mapping(result, "leak_audit", "folds")
    told = [mapping(audits, str(fold)).get("shared_people") for fold in audits]
    return sorted({str(name) for names in told if isinstance(names, list) for name in names})


def _is_number(item: Any) -> bool:
    return isinstance(item, (int, float)) and not isinstance(item, bool) and math.isfinite(item)


def read_run(path: Path) -> Run:
    """Read a run folder.

    Raises
    ------
    MissingError
        If there is no ``result.json``.
    FormatError
        If it is not a result of this format, or a fold's file is damaged.
    """
    path = Path(path)
    result = _read_result(path / "result.json")
    config = path / "config.toml"
    text = config.read_text(encoding="utf-8", errors="replace") if config.is_file() else ""
    return Run(path, result, text, tuple(_read_folds(path / "folds", result)))


def _read_result(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise MissingError("a run must hold its result", f"no file '{path}'", "Finish the run first: dcdp train.")
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as err:
        raise FormatError("a result must be JSON", f"'{path}' ({err})", "Run it again.") from err
    version = result.get("format") if isinstance(result, dict) else None
    if version != RESULT_FORMAT:
        raise FormatError(
            f"a result must have format {RESULT_FORMAT}",
            f"{version} in '{path}'",
            "Make the report with the version of dcdp that made the run.",
        )
    if not _is_number(mapping(result, "test", "macro_f1").get("mean")):
        raise FormatError("a result must hold test.macro_f1.mean", f"none in '{path}'", "Run the evaluation again.")
    return dict(result)


def _read_folds(folder: Path, result: dict[str, Any]) -> list[Fold]:
    if not folder.is_dir():
        return []
    told = [str(fold.get("fold")) for fold in mapping(result, "split").get("folds") or [] if isinstance(fold, dict)]
    found = {item.name: item for item in sorted(folder.iterdir()) if item.is_dir()}
    order = [name for name in dict.fromkeys(told) if name in found]
    order += [name for name in found if name not in order]
    return [_read_fold(found[name]) for name in order]


def _read_fold(folder: Path) -> Fold:
    history, predictions = folder / "history.jsonl", folder / "predictions.npz"
    return Fold(
        folder.name,
        read_history(history) if history.is_file() else None,
        read_predictions(predictions) if predictions.is_file() else None,
    )


def read_predictions(path: Path) -> Predictions:
    """Read a fold's ``predictions.npz``.

    Raises
    ------
    FormatError
        If the file is damaged, lacks an array, or its arrays do not fit each other.
    """
    try:
        # opened here: of a damaged archive, NumPy would leave the file open
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        found = Predictions(
            arrays["label"].astype(np.int64),
            arrays["probability"].astype(np.float32),
            arrays["subject"].astype(np.str_),
            *_embedding(arrays),
        )
    except (KeyError, ValueError, OSError, EOFError, zipfile.BadZipFile) as err:
        raise FormatError("predictions must be readable", f"'{path}' ({err})", "Run the evaluation again.") from err
    n = len(found.label)
    fits = found.probability.ndim == 2 and len(found.probability) == n == len(found.subject)
    if not fits or (n and int(found.label.max()) >= found.probability.shape[1]):
        raise FormatError(
            "predictions must have a row per window and a column per class",
            f"{n} labels, probabilities {found.probability.shape} in '{path}'",
            "Run the evaluation again.",
        )
    return found


def _embedding(arrays: dict[str, NDArray[Any]]) -> tuple[NDArray[np.float32] | None, NDArray[np.int64] | None]:
    embedding = arrays.get("embedding")
    if embedding is None or embedding.ndim != 2:
        return None, None
    n = len(arrays["label"])
    index = np.asarray(arrays.get("embedding_index", np.arange(len(embedding))), dtype=np.int64)
    if len(index) != len(embedding) or (len(index) and not (index.min() >= 0 and index.max() < n)):
        raise ValueError("embedding_index does not fit embedding")
    return embedding.astype(np.float32), index
