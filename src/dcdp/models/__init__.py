"""The network: encoders, fusion, heads; and its rivals under `dcdp.models.peers`."""

from __future__ import annotations

from dcdp.models.dual_path import DualPath, Outputs
from dcdp.models.network import PRESETS, BranchLayout, NetworkConfig, build_network, lay_out
from dcdp.models.statistics import WindowStatistics

__all__ = [
    "PRESETS",
    "BranchLayout",
    "DualPath",
    "NetworkConfig",
    "Outputs",
    "WindowStatistics",
    "build_network",
    "lay_out",
]
