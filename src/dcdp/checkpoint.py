"""Save and load the state of a training run: tensors and a JSON header in one safetensors file, never pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from dcdp.errors import BundleError
from dcdp.files import atomic_path

__all__ = ["Checkpoint", "load_checkpoint", "save_checkpoint"]

_FORMAT = 1
_GROUPS = ("network", "mean", "best", "modulator", "optimizer")


@dataclass(slots=True)
class Checkpoint:
    """Where a run stands: the only mutable record, changed by `fit` alone.

    Attributes
    ----------
    epoch, step
        Epochs finished, steps done.
    best_epoch, best
        Epoch of the best validation score, and that score's figures.
    validation, is_best
        Figures of the last epoch.
    stopped
        True once early stopping has spoken.
    history_bytes
        Length of the history at this point.
    """

    epoch: int = 0
    step: int = 0
    best_epoch: int = 0
    best: dict[str, Any] = field(default_factory=dict)
    validation: dict[str, Any] = field(default_factory=dict)
    is_best: bool = False
    stopped: bool = False
    history_bytes: int = 0


def save_checkpoint(path: Path, state: Checkpoint, tensors: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Write ``tensors[group][name]`` and the state; the old checkpoint stays until the new one is whole."""
    flat = {f"{group}/{name}": t.detach().clone().contiguous() for group, own in tensors.items() for name, t in own.items()}
    header = {"dcdp_checkpoint": json.dumps({"format": _FORMAT, "state": asdict(state)})}
    with atomic_path(path) as temporary:
        save_file(flat, temporary, metadata=header)


def load_checkpoint(path: Path) -> tuple[Checkpoint, dict[str, dict[str, Tensor]]]:
    """Return the state and the tensors by group.

    Raises
    ------
    BundleError
        If the file is damaged or no checkpoint.
    """
    groups: dict[str, dict[str, Tensor]] = {group: {} for group in _GROUPS}
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})["dcdp_checkpoint"])
            for key in file.keys():  # noqa: SIM118 - not a mapping
                group, name = key.split("/", 1)
                groups[group][name] = file.get_tensor(key)
        if header["format"] != _FORMAT:
            raise BundleError("the checkpoint's format must be known", header["format"], "Train with this version again.")
        return Checkpoint(**header["state"]), groups
    except (SafetensorError, KeyError, ValueError, TypeError, OSError) as err:
        if isinstance(err, BundleError):
            raise
        raise BundleError(
            "a checkpoint must be whole", f"'{path}' ({err})", "Delete it to train from the start.",
        ) from err  # fmt: skip
