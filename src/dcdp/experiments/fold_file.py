"""What a finished fold leaves on the disk: read where it is whole, and compared with the people of today's split."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from dcdp.splits import Split

__all__ = ["DONE", "PREDICTIONS", "devices_of", "read_finished", "read_scored", "split_differences"]

DONE = "fold.json"
"""What a finished fold leaves in its folder; written last."""

PREDICTIONS = "predictions.npz"

_POOLED = {"accuracy", "balanced_accuracy", "calibration_error", "confusion", "macro_f1", "reliability", "weighted_f1"}
"""What scores must hold to be joined with those of other folds."""


def read_finished(folder: Path, keys: Iterable[str] = ()) -> dict[str, Any] | None:
    """Return what a finished fold gave; None if it is not finished, one of its files is damaged or lacks a key."""
    found = read_scored(folder / DONE, keys)
    return found if found is not None and _opens(folder / PREDICTIONS) else None


def read_scored(path: Path, keys: Iterable[str] = ()) -> dict[str, Any] | None:
    """Return what a JSON file with ``scores`` and these keys holds; None if there is none, or it is damaged."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(found, dict) or not found.keys() >= {"scores", *keys}:
        return None
    return found if isinstance(found["scores"], dict) and found["scores"].keys() >= _POOLED else None


def split_differences(facts: Mapping[str, Any] | None, split: Split) -> list[str]:
    """Name the parts in which a fold had other people or sessions than it has today.

    Parameters
    ----------
    facts
        As of `dcdp.splits.Split.facts`; None, of a file from before they were written down, differs in nothing.
    split
        The fold today.

    Examples
    --------
    >>> fold = Split("arena", "s1", train=("s3",), validation=("s2",), test=("s1",))
    >>> split_differences({"train": ["s4"], "validation": ["s2"], "test": ["s1"]}, fold)
    ['train with s4 and without s3']
    """
    if facts is None:
        return []
    then, now = _members(facts), _members(split.facts())
    return [_difference(part, then[part], now[part]) for part in now if then[part] != now[part]]


def devices_of(folds: Iterable[Mapping[str, Any]], today: str) -> str:
    """Return what folds ran on, such as ``cpu`` or ``cpu+cuda``; one that does not say ran where today's do."""
    return "+".join(sorted({fold.get("device", today) for fold in folds}))


def _opens(path: Path) -> bool:
    """Return whether every array of a file can be read."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:  # of a path it would stay open
            return len([arrays[name] for name in arrays.files]) > 0
    except (BadZipFile, EOFError, OSError, ValueError, zlib.error):
        return False


def _members(facts: Mapping[str, Any]) -> dict[str, set[str]]:
    """Return the people of each part, and its sessions where the split is by session."""
    sessions = facts.get("sessions", {})
    return {
        part: {*facts.get(part, ()), *(" ".join(pair) for pair in sessions.get(part, ()))}
        for part in ("train", "validation", "test")
    }


def _difference(part: str, then: set[str], now: set[str]) -> str:
    sides = {"with": sorted(then - now), "without": sorted(now - then)}
    return f"{part} " + " and ".join(f"{word} {', '.join(names)}" for word, names in sides.items() if names)
