"""What a peer is fitted on, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dcdp.config import RunConfig
from dcdp.data.store import Store
from dcdp.errors import unknown_name
from dcdp.evaluation.acting import HIDDEN_RECIPE
from dcdp.models.network import BranchLayout
from dcdp.records import Windows

__all__ = [
    "OUR_RECIPES",
    "Describe",
    "FittedPeer",
    "PeerTask",
    "Predict",
    "Report",
    "plain_name",
    "recipe_of",
    "together",
]

OUR_RECIPES = ("ours", HIDDEN_RECIPE)
"""``NAME@ours`` is a peer trained by our recipe; from ``NAME@hidden``, a deep one, whole branches are hidden too."""

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]
Report = Callable[[int, int, str], None]
Predict = Callable[[Store, Windows, Mask], Array]
Describe = Callable[[Store, Windows, Sequence[BranchLayout], bool], Array]


@dataclass(frozen=True)
class PeerTask:
    """One peer to fit on one fold."""

    name: str
    store: Store
    layouts: Sequence[BranchLayout]
    train: Windows
    validation: Windows | None
    seed: int
    config: RunConfig
    device: str
    folder: Path | None
    resume: bool
    progress: Report | None
    describe: Describe


@dataclass(frozen=True)
class FittedPeer:
    """A fitted peer.

    Attributes
    ----------
    predict
        ``predict(store, windows, used)`` gives probabilities (N, K) of the windows of any store with the signals that
        the peer was fitted on, with the branches of ``used`` (M,) alone.
    parameters, n_bytes
        Numbers that were learned (of trees: nodes), and the memory that the model takes [bytes].
    facts
        Of a deep peer ``epochs``, ``best_epoch``, ``steps``, ``validation`` and ``train_windows_per_s``; of MiniRocket
        ``alpha``.
    """

    predict: Predict
    parameters: int
    n_bytes: int
    facts: dict[str, Any] = field(default_factory=dict)


def plain_name(name: str) -> str:
    """Return the name of a peer without that of a recipe.

    Raises
    ------
    ConfigError
        If there is no recipe of that name.
    """
    plain, at, recipe = name.partition("@")
    if at and recipe not in OUR_RECIPES:
        raise unknown_name("recipe of a peer", recipe, OUR_RECIPES)
    return plain


def recipe_of(name: str) -> str:
    """Return the recipe in the name of a peer, one of `OUR_RECIPES`; empty for that of its paper."""
    return name.partition("@")[2]


def together(parts: Sequence[Windows]) -> Windows:
    """Return the windows of all parts in the order in which windows are cut: by recording, then by start."""
    if len(parts) == 1:
        return parts[0]
    first = parts[0]
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("recording", "start_s", "present", "label", "subject", "session")
        if getattr(first, name) is not None
    }
    rows = {name: np.concatenate([part.rows[name] for part in parts]) for name in first.rows}
    joined = replace(first, rows=rows, **columns)
    return joined.take(np.lexsort((joined.start_s, joined.recording)))
