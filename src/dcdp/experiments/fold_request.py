"""What a fold is asked for with, and the audit that comes before anything is trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dcdp.config import RunConfig
from dcdp.errors import ConfigError, require_seed
from dcdp.experiments.source import DataSource
from dcdp.models.network import BranchLayout, branches_by, lay_out, resolve_network
from dcdp.records import Branch, Windows
from dcdp.splits import Split, drop_copies, leak_audit, require_classes, require_no_leak

__all__ = ["FoldRequest", "Report", "audit_fold", "resolve_device"]

Report = Callable[[int, int, str], None]
"""Called as ``report(steps_done, steps, text)``."""


@dataclass(frozen=True)
class FoldRequest:
    """One fold to train and test.

    Attributes
    ----------
    source, windows, split
        Data, its windows, and who is held out.
    config, seed, device
        The method.
    folder
        Where the fold's files go; None writes nothing.
    peers
        Rivals to train on the same people.
    alone
        Whether each branch is also trained by itself, to see what joint training leaves of it.
    """

    source: DataSource
    windows: Windows
    split: Split
    config: RunConfig
    seed: int = 0
    device: str = "cpu"
    folder: Path | None = None
    peers: tuple[str, ...] = ()
    alone: bool = False

    def __post_init__(self) -> None:
        require_seed(self.seed)

    @property
    def branches(self) -> tuple[Branch, ...]:
        """The branches of the network that is asked for."""
        how = resolve_network(self.config.network).branch_by
        return branches_by(self.source.spec, how, self.source.branches)

    @property
    def layouts(self) -> tuple[BranchLayout, ...]:
        """Input shapes of the branches."""
        return lay_out(self.source.spec, self.branches, self.config.windows.window_s)

    def part(self, *names: str) -> Windows:
        """Return the windows of the people of one part (``train``, ``validation``, ``test``), or of several."""
        parts = self.split.parts(self.windows)
        return self.windows.take(np.sort(np.concatenate([parts[name] for name in names])))


def audit_fold(request: FoldRequest) -> tuple[FoldRequest, dict[str, Any]]:
    """Leave out copies of held-out recordings, then prove that nothing leaks.

    Returns
    -------
    request
        With the windows that may be used.
    audit
        As `dcdp.splits.leak_audit` gives it, and ``left_out``: recordings whose content is also in a later part.

    Raises
    ------
    SplitError, DataError
        If the parts share a subject or a sample, or training lacks a class.
    """
    store = request.source.store
    windows, left_out = drop_copies(request.windows, request.split, store)
    audit = leak_audit(windows, request.split, store)
    require_no_leak(audit)
    require_classes(audit)
    return replace(request, windows=windows), audit | {"left_out": list(left_out)}


def resolve_device(name: str) -> str:
    """Resolve ``auto`` to the accelerator if there is one; refuse one that is not there.

    Raises
    ------
    ConfigError
        If there is none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("the device must be there", "cuda, and torch finds none", "Use --device cpu or auto.")
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return name
