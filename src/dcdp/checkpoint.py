"""Save and load the state of a training run: tensors and a JSON header in one safetensors file, never pickle."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from dcdp.errors import BundleError
from dcdp.files import atomic_path

__all__ = ["Checkpoint", "load_checkpoint", "save_checkpoint"]

_FORMAT = 2
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
    loss_sum
        Sum of the losses of the present epoch's steps so far.
    run
        Fingerprint of what the run was configured as.
    """

    epoch: int = 0
    step: int = 0
    best_epoch: int = 0
    best: dict[str, Any] = field(default_factory=dict)
    validation: dict[str, Any] = field(default_factory=dict)
    is_best: bool = False
    stopped: bool = False
    history_bytes: int = 0
    loss_sum: float = 0.0
    run: str = ""


def save_checkpoint(path: Path, state: Checkpoint, tensors: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Write ``tensors[group][name]`` and the state; the old checkpoint stays until the new one is whole.

    Raises
    ------
    StorageError
        If the disk is full or not writable.
    """
    flat = {
        f"{group}/{name}": tensor.detach().cpu().clone().contiguous()
        for group, own in tensors.items()
        for name, tensor in own.items()
    }
    header = {"dcdp_checkpoint": json.dumps({"format": _FORMAT, "state": asdict(state), "sha256": _digest(flat)})}
    content = save(flat, header)  # as in `dcdp.bundle`: a full disk must be told from other errors
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


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
            flat = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
        if header["format"] != _FORMAT or header["sha256"] != _digest(flat):
            raise ValueError("altered, or written by another version")
        for key, tensor in flat.items():
            group, name = key.split("/", 1)
            groups[group][name] = tensor
        return Checkpoint(**header["state"]), groups
    except (SafetensorError, KeyError, ValueError, TypeError, OSError) as err:
        raise BundleError(
            "a checkpoint must be whole", f"'{path}' ({err})", "Delete it to train from the start.",
        ) from err  # fmt: skip


def _digest(tensors: Mapping[str, Tensor]) -> str:
    """Return a hash of all bytes: a format without one would let a flipped bit pass for a weight."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(f"{name} {tensors[name].dtype} {tuple(tensors[name].shape)}".encode())
        digest.update(tensors[name].contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
