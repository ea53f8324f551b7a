"""Keep a trained network and its contract in one file: safetensors with a JSON header, never pickle."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from dcdp.errors import BundleError, DcdpError, MissingError
from dcdp.files import atomic_path
from dcdp.models.dual_path import DualPath
from dcdp.models.network import BranchLayout, NetworkConfig, build_network, lay_out, resolve_network
from dcdp.records import Branch, LabelSet, Signal, SignalSpec
from dcdp.settings import build, to_dict
from dcdp.signals.windows import WindowConfig

__all__ = ["Bundle", "load_bundle", "save_bundle"]

_FORMAT = 1


@dataclass(frozen=True)
class Bundle:
    """A network and all that is needed to use it rightly.

    Attributes
    ----------
    network
        With fitted normalisers, in evaluation mode.
    spec
        Signals with channel order, units and rates that the network reads.
    branches
        Which signals feed which encoder.
    labels
        Activities in class order, and the null label.
    windows
        Window and stride [s], null and gap policy.
    config
        Shape of the network.
    temperature
        Logits are divided by it before they become probabilities (fitted on validation subjects).
    provenance
        Data set, split, fold, training subjects, seed, versions, scores.
    """

    network: DualPath
    spec: SignalSpec
    branches: tuple[Branch, ...]
    labels: LabelSet
    windows: WindowConfig
    config: NetworkConfig
    temperature: float = 1.0
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def layouts(self) -> tuple[BranchLayout, ...]:
        """Input shapes of the branches."""
        return lay_out(self.spec, self.branches, self.windows.window_s)

    def save(self, path: str | Path) -> None:
        """Write the bundle; see `save_bundle`."""
        save_bundle(Path(path), self)


def save_bundle(path: Path, bundle: Bundle) -> None:
    """Write a bundle atomically.

    Raises
    ------
    StorageError
        If the disk is full or not writable.
    """
    tensors = {name: t.detach().cpu().contiguous() for name, t in bundle.network.state_dict().items()}
    header = {
        "format": _FORMAT,
        "signals": [asdict(signal) for signal in bundle.spec],
        "branches": [asdict(branch) for branch in bundle.branches],
        "labels": list(bundle.labels.names),
        "null_label": bundle.labels.null_label,
        "windows": to_dict(bundle.windows),
        "network": to_dict(resolve_network(bundle.config)),
        "temperature": bundle.temperature,
        "provenance": dict(bundle.provenance),
        "sha256": _digest(tensors),
    }
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata={"dcdp": json.dumps(header)})


def load_bundle(path: str | Path) -> Bundle:
    """Read a bundle and check every part of it.

    Raises
    ------
    MissingError
        If there is no such file.
    BundleError
        If the file is cut, altered or no bundle.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingError("the bundle must exist", f"'{path}'", "Give the path of a .safetensors file from dcdp train.")
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})["dcdp"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        if header["format"] != _FORMAT or header["sha256"] != _digest(tensors):
            raise BundleError("a bundle must be as it was written", f"'{path}'", "Copy it again, or train again.")
        return _restore(header, tensors)
    except BundleError:
        raise
    except (SafetensorError, DcdpError, KeyError, ValueError, TypeError, RuntimeError, OSError) as err:
        raise BundleError(
            "a bundle must be a whole dcdp model file", f"'{path}' ({err})", "Copy it again, or train again."
        ) from err


def _restore(header: dict[str, Any], tensors: dict[str, Tensor]) -> Bundle:
    spec = SignalSpec(tuple(Signal(**(s | {"channels": tuple(s["channels"])})) for s in header["signals"]))
    branches = tuple(Branch(b["name"], tuple(b["signals"]), b["encoder"]) for b in header["branches"])
    labels = LabelSet(tuple(header["labels"]), header["null_label"])
    windows = build(WindowConfig, header["windows"])
    config = build(NetworkConfig, header["network"])
    network = build_network(lay_out(spec, branches, windows.window_s), len(labels), config)
    network.load_state_dict(tensors)
    network.eval()
    temperature = float(header["temperature"])
    return Bundle(network, spec, branches, labels, windows, config, temperature, header["provenance"])


def _digest(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(f"{name} {tensors[name].dtype} {tuple(tensors[name].shape)}".encode())
        digest.update(tensors[name].contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
