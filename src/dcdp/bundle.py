"""Keep a trained network and its contract in one file: safetensors with a JSON header, never pickle."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor
from torch.overrides import TorchFunctionMode

from dcdp.errors import BundleError, DcdpError, MissingError
from dcdp.files import atomic_path
from dcdp.models.dual_path import DualPath
from dcdp.models.network import (
    EARLIER,
    BranchLayout,
    NetworkConfig,
    build_experts,
    build_network,
    lay_out,
    resolve_network,
)
from dcdp.models.trees import TreeExpert
from dcdp.records import Branch, LabelSet, SignalSpec
from dcdp.settings import build, to_dict
from dcdp.signals.windows import WindowConfig

__all__ = ["Bundle", "load_bundle", "save_bundle"]

_FORMAT = 1
_MAX_HEADER_CHARACTERS = 2**24
_MAX_BRANCHES = 256
_MAX_STAGES = 32
_MAX_SEGMENTS = 1024
_MAX_ROUNDS = 1024
_MAX_WINDOW_SAMPLES = 2**16
_MAX_SPECTRUM = 2**26
_MIN_STRIDE_S = 1e-3


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
    BundleError
        If a weight is not finite: the training diverged. If the network lacks the trees that its configuration names.
    StorageError
        If the disk is full or not writable.
    """
    shape = resolve_network(bundle.config)
    if (bundle.network.experts is not None) != (shape.tree_rounds > 0):
        raise BundleError(
            f"a network with network.tree_rounds={shape.tree_rounds} must have its trees, and no other has any",
            "none" if shape.tree_rounds else "some", "Fit them with dcdp.training.add_experts, or set tree_rounds=0.",
        )  # fmt: skip
    tensors = {name: t.detach().cpu().contiguous() for name, t in bundle.network.state_dict().items()}
    _require_finite(tensors)
    header = {
        "format": _FORMAT,
        "spec": to_dict(bundle.spec),
        "branches": [to_dict(branch) for branch in bundle.branches],
        "labels": to_dict(bundle.labels),
        "windows": to_dict(bundle.windows),
        "network": to_dict(shape),
        "temperature": bundle.temperature,
        "provenance": dict(bundle.provenance),
    }
    header["sha256"] = _digest(header, tensors)
    # Written by Python and not by safetensors.save_file, whose error for a full disk cannot be told from any other.
    content = save(tensors, {"dcdp": json.dumps(header)})
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def load_bundle(path: str | Path) -> Bundle:
    """Read a bundle and check every part of it.

    The network is built without memory for its weights, and compared with the shapes in the file before any weight is
    read: what the header claims can cost no more than what the file holds.

    Raises
    ------
    MissingError
        If there is no such file.
    BundleError
        If the file is cut, altered or no bundle.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingError("the bundle must exist", f"'{path}'", "Give a .safetensors file from dcdp train.")
    try:
        return _load(path)
    except (
        SafetensorError, DcdpError, ArithmeticError, AttributeError, LookupError, ValueError, TypeError, RuntimeError,
        OSError,
    ) as err:  # fmt: skip
        raise BundleError(
            "a bundle must be a whole dcdp model file", f"'{path}' ({err or type(err).__name__})",
            "Copy it again, or train again.",
        ) from err  # fmt: skip


def _load(path: Path) -> Bundle:
    with safe_open(path, framework="pt") as file:
        header = _read_header(file.metadata() or {})
        sha256 = header.pop("sha256")
        bundle = _build(header)
        expected = bundle.network.state_dict()
        _compare({name: file.get_slice(name) for name in file.keys()}, expected)  # noqa: SIM118 - not a mapping
        tensors = {name: file.get_tensor(name).clone() for name in expected}  # a copy outlives changes of the file
    for name, tensor in tensors.items():
        if tensor.dtype != expected[name].dtype:
            raise BundleError(f"'{name}' must be {expected[name].dtype}", tensor.dtype, "Train again.")
    if sha256 != _digest(header, tensors):
        raise BundleError("a bundle must be as it was written", "other contents", "Copy it again.")
    _require_finite(tensors)
    bundle.network.load_state_dict(tensors, assign=True)
    for expert in bundle.network.experts or ():
        cast("TreeExpert", expert).trees.require_whole()
    bundle.network.eval()
    return bundle


def _read_header(metadata: Mapping[str, str]) -> dict[str, Any]:
    text = metadata.get("dcdp", "")
    if not text:
        raise BundleError("a model file must have a dcdp header", "none", "Give a file from dcdp train.")
    if len(text) > _MAX_HEADER_CHARACTERS:
        raise BundleError("the header must be short", f"{len(text)} characters", "Train again.")
    header: dict[str, Any] = json.loads(text)
    if header["format"] != _FORMAT:
        raise BundleError(f"the format must be {_FORMAT}", header["format"], "Use the version of dcdp that wrote it.")
    return header


def _build(header: Mapping[str, Any]) -> Bundle:
    """Return the bundle that a header describes; its network has shapes but no weights yet."""
    spec = build(SignalSpec, header["spec"], "spec")
    branches = tuple(build(Branch, branch, "branches") for branch in header["branches"])
    labels = build(LabelSet, header["labels"], "labels")
    windows = build(WindowConfig, header["windows"], "windows")
    config = build(NetworkConfig, {**EARLIER, **header["network"]}, "network")
    temperature, provenance = float(header["temperature"]), dict(header["provenance"])
    layouts = lay_out(spec, branches, windows.window_s)
    _require_sizes(layouts, config, windows, temperature)
    with _WithoutWeights():
        network = build_network(layouts, len(labels), config)
        network.experts = build_experts(layouts, len(labels), config)
    return Bundle(network, spec, branches, labels, windows, config, temperature, provenance)


def _require_sizes(
    layouts: tuple[BranchLayout, ...], config: NetworkConfig, windows: WindowConfig, temperature: float
) -> None:
    """Refuse what costs memory or time without a weight in the file to show for it: modules, spectra, windows."""
    n_samples = max((layout.n_samples for layout in layouts), default=0)
    n_frequencies = max((min(x.n_samples / 2, 15 * windows.window_s) for x in layouts), default=0)
    limits = {
        "branches": (len(layouts), 1, _MAX_BRANCHES),
        "network.tree_rounds": (config.tree_rounds or 0, 0, _MAX_ROUNDS),
        "network.widths": (len(config.widths or ()), 0, _MAX_STAGES),
        "network.segments": (max(config.segments or (1,)), 1, _MAX_SEGMENTS),
        "samples of a window": (n_samples, 1, _MAX_WINDOW_SAMPLES),
        "spectrum of a window": (2 * n_samples * n_frequencies, 0, _MAX_SPECTRUM),
        "windows.stride_s": (windows.stride_s, _MIN_STRIDE_S, math.inf),
        "temperature": (temperature, 1e-6, 1e6),
    }
    for name, (value, low, high) in limits.items():
        if not low <= value <= high:
            raise BundleError(f"{name} must be from {low:g} to {high:g}", f"{value:g}", "Train again.")


class _WithoutWeights(TorchFunctionMode):
    """Context in which modules get parameters without memory: they all come from ``torch.empty``.

    The meta device as a whole would not do: the fixed tables of the window statistics are computed when they are built.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.empty:
            kwargs["device"] = "meta"
        return func(*args, **kwargs)


def _compare(found: Mapping[str, Any], expected: Mapping[str, Tensor]) -> None:
    """Refuse tensors that are not those of the network, by name and shape."""
    strange = sorted(set(found) ^ set(expected))
    if strange:
        how = "surplus" if strange[0] in found else "missing"
        raise BundleError("the weights must be those of the network", f"'{strange[0]}' {how}", "Train again.")
    for name, tensor in expected.items():
        shape = tuple(found[name].get_shape())
        if shape != tuple(tensor.shape):
            raise BundleError(f"'{name}' must be {tuple(tensor.shape)}", f"{shape}", "Train again.")


def _require_finite(tensors: Mapping[str, Tensor]) -> None:
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise BundleError("weights must be finite", f"NaN or infinity in '{name}'", "Train with a lower rate.")


def _digest(header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(json.dumps(header).encode())
    for name in sorted(tensors):
        digest.update(f"{name} {tensors[name].dtype} {tuple(tensors[name].shape)}".encode())
        digest.update(tensors[name].contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
