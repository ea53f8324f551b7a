"""Read training histories (one JSON line a step and an epoch) and thin them into curves for drawing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dcdp.errors import FormatError, MissingError

__all__ = ["Curve", "History", "mean_curve", "names_of", "read_history", "series", "smooth", "thin"]


@dataclass(frozen=True, slots=True)
class History:
    """What a fold's training wrote down.

    Attributes
    ----------
    steps
        One mapping per optimiser step, in order of ``step``.
    epochs
        One mapping per epoch, in order of ``epoch``.
    n_damaged
        Lines that could not be read (1 after a run was killed while writing).
    """

    steps: tuple[dict[str, Any], ...]
    epochs: tuple[dict[str, Any], ...]
    n_damaged: int = 0


@dataclass(frozen=True, slots=True)
class Curve:
    """Points of one curve: ``x`` (P,) ascending, ``y`` (P,) finite."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.x)


def read_history(path: Path) -> History:
    """Read a ``history.jsonl``, leaving out lines that a killed run left half-written.

    A resumed run writes some steps again: of two lines for one step (or epoch) the later one counts.

    Raises
    ------
    MissingError
        If there is no such file.
    FormatError
        If the file holds text, but no line of it is a history record.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingError("a history must exist", f"no file '{path}'", "Train the fold, or leave its curves out.")
    lines = [line for line in path.read_bytes().split(b"\n") if line.strip()]
    records = [record for record in map(_record, lines) if record is not None]
    if lines and not records:
        raise FormatError("a history must hold one JSON object a line", f"none in '{path}'", "Train the fold again.")
    return History(_latest(records, "step", "step"), _latest(records, "epoch", "epoch"), len(lines) - len(records))


def _record(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError:  # covers half a line, half a UTF-8 character, and two lines run together
        return None
    if not isinstance(record, dict) or record.get("kind") not in ("step", "epoch"):
        return None
    place = record.get(record["kind"])
    return record if isinstance(place, int) and not isinstance(place, bool) else None


def _latest(records: Iterable[dict[str, Any]], kind: str, key: str) -> tuple[dict[str, Any], ...]:
    by_place = {record[key]: record for record in records if record["kind"] == kind}
    return tuple(by_place[place] for place in sorted(by_place))


def series(records: Sequence[dict[str, Any]], x: str, *keys: str) -> Curve:
    """Return one number of every record that has it, against ``x``.

    Examples
    --------
    >>> records = [{"step": 0, "loss": {"total": 2.0}}, {"step": 1, "loss": {}}, {"step": 2, "loss": {"total": 1.5}}]
    >>> series(records, "step", "loss", "total").y.tolist()
    [2.0, 1.5]
    """
    points = [(float(record[x]), _number(record, keys)) for record in records]
    finite = [(place, value) for place, value in points if value is not None and np.isfinite(value)]
    array = np.array(finite, dtype=np.float64).reshape(-1, 2)
    return Curve(array[:, 0], array[:, 1])


def _number(record: Any, keys: Sequence[str]) -> float | None:
    for key in keys:
        if not isinstance(record, dict):
            return None
        record = record.get(key)
    return float(record) if isinstance(record, (int, float)) and not isinstance(record, bool) else None


def names_of(records: Iterable[dict[str, Any]], *keys: str) -> tuple[str, ...]:
    """Return the names under ``keys`` in the order in which they first appear."""
    names: dict[str, None] = {}
    for record in records:
        value: Any = record
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        if isinstance(value, dict):
            names.update(dict.fromkeys(map(str, value)))
    return tuple(names)


def thin(curve: Curve, n_points: int) -> Curve:
    """Average runs of neighbouring points so that at most ``n_points`` remain.

    Examples
    --------
    >>> thin(Curve(np.arange(4.0), np.array([0.0, 2.0, 4.0, 6.0])), 2).y.tolist()
    [1.0, 5.0]
    """
    if len(curve) <= n_points:
        return curve
    bins = np.array_split(np.arange(len(curve)), n_points)
    return Curve(*(np.array([values[run].mean() for run in bins]) for values in (curve.x, curve.y)))


def smooth(curve: Curve, span: int) -> Curve:
    """Average over ``span`` points, centred; shorter at the ends, so that nothing is shifted."""
    half = min(span, len(curve)) // 2
    if half < 1:
        return curve
    total = np.concatenate([[0.0], np.cumsum(curve.y)])
    place = np.arange(len(curve))
    reach = np.minimum(half, np.minimum(place, len(curve) - 1 - place))
    low, high = place - reach, place + reach + 1
    return Curve(curve.x, (total[high] - total[low]) / (high - low))


def mean_curve(curves: Sequence[Curve], n_points: int = 300) -> Curve:
    """Average curves over a common grid, as far as at least half of them reach.

    Folds stop at different epochs; past the point where most have stopped, a mean would show which
    folds are left rather than how training goes.
    """
    curves = [curve for curve in curves if len(curve)]
    if not curves:
        return Curve(np.empty(0), np.empty(0))
    if len(curves) == 1:
        return thin(curves[0], n_points)
    grid = np.unique(np.concatenate([curve.x for curve in curves]))
    table = np.array([np.interp(grid, curve.x, curve.y, left=np.nan, right=np.nan) for curve in curves])
    reached = np.isfinite(table).sum(axis=0)
    keep = reached >= len(curves) / 2
    return thin(Curve(grid[keep], np.nanmean(table[:, keep], axis=0)), n_points)
