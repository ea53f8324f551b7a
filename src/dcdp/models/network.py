"""Build the network of a signal spec: presets, branch layouts, and nothing that knows a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Literal

from torch import nn

from dcdp.errors import ConfigError, DataError, unknown_name
from dcdp.models.branch import BranchEncoder
from dcdp.models.dual_path import DualPath
from dcdp.models.trees import TreeExpert
from dcdp.records import Branch, SignalSpec

__all__ = [
    "EARLIER",
    "PRESETS",
    "BranchLayout",
    "NetworkConfig",
    "NetworkShape",
    "branches_by",
    "build_experts",
    "build_network",
    "lay_out",
    "resolve_network",
]


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """Shape and regularisation of the network; what is left out comes from the preset.

    Attributes
    ----------
    preset
        ``tiny`` (a watch), ``base``, or ``paper`` (two branches, waveforms only, as in the paper).
    branch_by
        How signals become branches: ``set`` (as the data set declares), ``modality``, ``placement``,
        or ``paper`` (accelerometers on a residual path, all others on a dense one).
    widths
        D_1..D_K, channels of the K waveform stages.
    statistics_width
        Width of the statistics path; 0 leaves it out.
    rocket_width
        Width of the path over fixed convolutions, `dcdp.models.rocket`; 0 (every preset) leaves it out.
    kernel
        Odd kernel length of the stages [samples].
    pool_segments
        Parts of the window, in order, whose means the waveform path hands on; 1 is the mean over the whole window.
    instance_norm
        Whether the waveform path reads each channel, and the length of each vector, on the window's own scale as well.
    width
        Width of a branch embedding in the fusion.
    projection
        Width of the contrast embeddings.
    segments
        Time segments of each contrast stage: the first K - 1 waveform stages, then the branch embedding (1).
    dropout, joint_dropout
        Of each path's part of an embedding, and before the joint head.
    channel_dropout, feature_dropout, path_dropout, branch_dropout
        Probability in training that a channel, a single statistic or response, one of a branch's paths, or a
        whole branch is hidden.
    waveform_dropout
        Of sensors at P places the waveform path is hidden, in training, with this probability times 1 - 1/P, beyond
        `path_dropout`: never where there is one place (docs/findings.md).
    statistics
        ``base``, or ``extended``: with the further statistics of docs/features.md.
    tree_rounds
        Rounds of boosted trees on each branch's statistics, fitted after the network and fused with it; 0 is none.
    """

    preset: Literal["tiny", "base", "paper"] = "base"
    branch_by: Literal["set", "modality", "placement", "paper"] | None = None
    widths: tuple[int, ...] | None = None
    statistics_width: int | None = None
    kernel: int | None = None
    width: int | None = None
    projection: int | None = None
    segments: tuple[int, ...] | None = None
    dropout: float | None = None
    joint_dropout: float | None = None
    channel_dropout: float | None = None
    feature_dropout: float | None = None
    path_dropout: float | None = None
    branch_dropout: float | None = None
    statistics: Literal["base", "extended"] | None = None
    rocket_width: int | None = None
    pool_segments: int | None = None
    instance_norm: bool | None = None
    waveform_dropout: float | None = None
    tree_rounds: int | None = None


@dataclass(frozen=True, slots=True)
class NetworkShape:
    """A `NetworkConfig` with nothing left out."""

    branch_by: str
    widths: tuple[int, ...]
    statistics_width: int
    kernel: int
    width: int
    projection: int
    segments: tuple[int, ...]
    dropout: float
    joint_dropout: float
    channel_dropout: float
    feature_dropout: float
    path_dropout: float
    branch_dropout: float
    statistics: str = "base"
    rocket_width: int = 0
    pool_segments: int = 4
    instance_norm: bool = True
    waveform_dropout: float = 0.75
    tree_rounds: int = 0


_BRANCH_BY = ("set", "modality", "placement", "paper")
_STATISTICS = ("base", "extended")
PRESETS = {
    "base": NetworkShape(
        "set", (32, 48, 64), 128, 5, 64, 64, (2, 1, 1), 0.5, 0.2, 0.1, 0.1, 0.2, 0.1, tree_rounds=100
    ),
    "tiny": NetworkShape("set", (12, 16, 24), 32, 5, 24, 32, (2, 1, 1), 0.3, 0.1, 0.1, 0.1, 0.2, 0.1),
    "paper": NetworkShape(
        "paper", (32, 48, 64), 0, 5, 64, 64, (2, 1, 1), 0.5, 0.2, 0.0, 0.0, 0.0, 0.0,
        pool_segments=1, instance_norm=False, waveform_dropout=0.0,
    ),
}


EARLIER = {"pool_segments": 1, "instance_norm": False, "waveform_dropout": 0.0, "tree_rounds": 0}
"""What a network had before a setting was there, where presets say otherwise today: of files that leave it out."""


@dataclass(frozen=True, slots=True)
class BranchLayout:
    """Shape of one branch's input: C channels of its signals side by side, T samples.

    ``sizes``, ``placements``, ``units`` and ``modalities`` have one entry a signal; a signal of three channels is a
    vector x, y, z.
    """

    branch: Branch
    channels: tuple[str, ...]
    n_samples: int
    rate_hz: float
    sizes: tuple[int, ...]
    placements: tuple[str, ...]
    units: tuple[str, ...]
    modalities: tuple[str, ...]

    @property
    def vectors(self) -> tuple[tuple[int, str], ...]:
        """First channel and placement of every signal that is a vector."""
        first = [sum(self.sizes[:i]) for i in range(len(self.sizes))]
        signals = zip(first, self.placements, self.sizes, strict=True)
        return tuple((channel, placement) for channel, placement, size in signals if size == 3)


def resolve_network(config: NetworkConfig) -> NetworkShape:
    """Fill what is left out from the preset, and check it.

    Raises
    ------
    ConfigError
        If a branch would have no path, a probability is none, or segments do not fit the stages.
    """
    if config.preset not in PRESETS:
        raise unknown_name("network.preset", config.preset, PRESETS)
    given = {f.name: getattr(config, f.name) for f in fields(NetworkShape) if getattr(config, f.name) is not None}
    shape = replace(PRESETS[config.preset], **given)
    n_stages = max(len(shape.widths), 1)
    if "widths" in given and "segments" not in given:
        shape = replace(shape, segments=(2, *(1,) * (n_stages - 1)) if n_stages > 1 else (1,))
    if not shape.widths and not shape.statistics_width and not shape.rocket_width:
        raise ConfigError(
            "a branch must have a path", "widths = [], statistics_width = 0 and rocket_width = 0", "Give one of them."
        )
    if len(shape.segments) != n_stages or shape.segments[-1] != 1:
        raise ConfigError(
            f"network.segments must have {n_stages} entries (one a contrast stage), the last of them 1",
            shape.segments, "Give one number of time segments a stage; the embedding has no time left.",
        )  # fmt: skip
    if shape.pool_segments < 1:
        raise ConfigError("network.pool_segments must be at least 1", shape.pool_segments, "1 is the mean over all.")
    if shape.tree_rounds < 0:
        raise ConfigError("network.tree_rounds must not be negative", shape.tree_rounds, "0 is no trees.")
    if shape.kernel % 2 == 0 or shape.kernel < 1:
        raise ConfigError("network.kernel must be odd", shape.kernel, "Try 5.")
    if shape.branch_by not in _BRANCH_BY:
        raise unknown_name("network.branch_by", shape.branch_by, _BRANCH_BY)
    if shape.statistics not in _STATISTICS:
        raise unknown_name("network.statistics", shape.statistics, _STATISTICS)
    for name in (f.name for f in fields(shape) if f.name.endswith("dropout")):
        if not 0 <= getattr(shape, name) < 1:
            raise ConfigError(f"network.{name} must be in [0, 1)", getattr(shape, name), "Give a probability.")
    return shape


def branches_by(spec: SignalSpec, how: str, declared: Sequence[Branch]) -> tuple[Branch, ...]:
    """Return the branches of a spec: as declared, by modality, by placement, or the paper's two.

    Raises
    ------
    ConfigError
        If fewer than two branches come out.
    """
    branches = tuple(declared) if how == "set" else _grouped(spec, how)
    if len(branches) < 2:
        raise ConfigError(
            "the network needs at least two branches", f"{[b.name for b in branches]} by {how}",
            "Choose another network.branch_by, or record a second sensor.",
        )  # fmt: skip
    return branches


def _grouped(spec: SignalSpec, how: str) -> tuple[Branch, ...]:
    """Group signals of one rate; a rate of its own makes a branch of its own."""
    groups: dict[str, list[str]] = {}
    rates: dict[str, float] = {}
    for signal in spec:
        path = "residual" if signal.modality == "acc" else "dense"
        name = {"modality": signal.modality, "placement": signal.placement, "paper": path}[how]
        if rates.setdefault(name, signal.rate_hz) != signal.rate_hz:
            name = f"{name}_{signal.rate_hz:g}hz"
        groups.setdefault(name, []).append(signal.name)
    return tuple(
        Branch(name, tuple(names), "residual" if any(spec[s].modality == "acc" for s in names) else "dense")
        for name, names in groups.items()
    )


def lay_out(spec: SignalSpec, branches: Sequence[Branch], window_s: float) -> tuple[BranchLayout, ...]:
    """Return the input shape of every branch for windows of ``window_s`` seconds.

    Raises
    ------
    DataError
        If the signals of a branch differ in rate.
    """
    return tuple(_lay_out_one(spec, branch, window_s) for branch in branches)


def _lay_out_one(spec: SignalSpec, branch: Branch, window_s: float) -> BranchLayout:
    signals = [spec[name] for name in branch.signals]
    rates = {signal.rate_hz for signal in signals}
    if len(rates) > 1:
        raise DataError(
            f"the signals of branch '{branch.name}' must share a rate", f"{sorted(rates)} Hz",
            "Give signals of another rate their own branch.",
        )  # fmt: skip
    rate = rates.pop()
    return BranchLayout(
        branch,
        tuple(channel for signal in signals for channel in signal.channels),
        max(1, round(window_s * rate)),
        rate,
        tuple(len(signal.channels) for signal in signals),
        tuple(signal.placement for signal in signals),
        tuple(signal.unit for signal in signals),
        tuple(signal.modality for signal in signals),
    )


def build_network(layouts: Sequence[BranchLayout], n_classes: int, config: NetworkConfig) -> DualPath:
    """Return an untrained network; its normalisers still have to be fitted."""
    shape = resolve_network(config)
    n_places = len({place for layout in layouts for place in layout.placements})
    encoders = {
        layout.branch.name: BranchEncoder(
            layout.branch.encoder, len(layout.channels), layout.n_samples, layout.rate_hz,
            [first for first, _ in layout.vectors], shape.widths, shape.statistics_width, shape.kernel,
            shape.dropout, shape.channel_dropout, shape.feature_dropout, shape.path_dropout,
            shape.statistics == "extended", shape.rocket_width, shape.pool_segments,
            shape.instance_norm, shape.waveform_dropout * (1 - 1 / n_places),
        )
        for layout in layouts
    }  # fmt: skip
    return DualPath(encoders, n_classes, shape.width, shape.projection, shape.segments, shape.joint_dropout)


def build_experts(layouts: Sequence[BranchLayout], n_classes: int, config: NetworkConfig) -> nn.ModuleList | None:
    """Return the trees of every branch, not yet fitted, or None where the configuration has none."""
    rounds = resolve_network(config).tree_rounds
    experts = [
        TreeExpert(
            len(layout.channels), [first for first, _ in layout.vectors], layout.n_samples, layout.rate_hz, n_classes,
            rounds,
        )
        for layout in layouts
        if rounds
    ]  # fmt: skip
    return nn.ModuleList(experts) if experts else None
