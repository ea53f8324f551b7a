"""A graph of sensors whose edges are weighed window by window, after DynamicWHAR."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dcdp.models.network import BranchLayout

__all__ = ["SensorGraph", "sensor_nodes"]

_CHANNELS, _MOMENTS, _UNITS, _DROPOUT = 32, 8, 128, 0.6


class SensorGraph(nn.Module):
    """Each sensor becomes a node; each pair sends both ends a message, as strong as the pair's features say.

    Parameters
    ----------
    nodes
        For each of V >= 1 nodes the channels it reads, see `sensor_nodes`.
    n_samples
        T.
    n_classes
        K.

    References
    ----------
    Miao, Chen, Hu, Luo (2022). Towards a Dynamic Inter-Sensor Correlations Learning Framework for Multi-Sensor-Based
    Wearable Human Activity Recognition. IMWUT 6(3), doi 10.1145/3550331, section 4.

    Notes
    -----
    - The paper's nodes are inertial units with the same channels. Here a node with fewer channels than another is
      filled up with zeros; and where all sensors sit at one placement, each signal is a node.
    - 32 channels, 8 moments, 128 units and dropout 0.6 are the authors' published configuration for all their sets.
    - They train for 60 to 80 epochs at learning rates from 1e-6 to 1e-4, which within our number of steps leaves the
      network where it began: here it is 1e-3.
    """

    places: Tensor
    is_there: Tensor
    left: Tensor
    right: Tensor

    def __init__(self, nodes: Sequence[Sequence[int]], n_samples: int, n_classes: int) -> None:
        super().__init__()
        n_nodes, widest = len(nodes), max(len(node) for node in nodes)
        filled = [[*node, *[0] * (widest - len(node))] for node in nodes]
        there = [[i < len(node) for i in range(widest)] for node in nodes]
        self.register_buffer("places", torch.tensor(filled), persistent=False)
        self.register_buffer("is_there", torch.tensor(there), persistent=False)
        pairs = torch.combinations(torch.arange(n_nodes)).reshape(-1, 2)
        self.register_buffer("left", pairs[:, 0].contiguous(), persistent=False)
        self.register_buffer("right", pairs[:, 1].contiguous(), persistent=False)
        width = _CHANNELS * _MOMENTS
        self.across_channels = nn.Sequential(nn.Conv1d(widest, _CHANNELS, 1), nn.BatchNorm1d(_CHANNELS), nn.ReLU())
        self.across_time = nn.Sequential(nn.Conv1d(n_samples, _MOMENTS, 1), nn.BatchNorm1d(_MOMENTS), nn.ReLU())
        self.has_pairs = n_nodes > 1
        if self.has_pairs:
            self.message = _layer(2 * width)
            self.strength = nn.Linear(2 * width, 1)
            self.receive = _layer(2 * width)
        self.classify = nn.Sequential(
            nn.Dropout(_DROPOUT),
            nn.Linear((3 if self.has_pairs else 1) * width * n_nodes, _UNITS),
            nn.ReLU(),
            nn.Dropout(_DROPOUT),
            nn.Linear(_UNITS, n_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, K) of windows (B, C, T)."""
        own = self.describe(x)
        parts = [own, self.exchange(own)] if self.has_pairs else [own]
        logits: Tensor = self.classify(torch.cat(parts, 2).flatten(1))
        return logits

    def describe(self, x: Tensor) -> Tensor:
        """Return the nodes' own features (B, V, 256)."""
        node = x[:, self.places] * self.is_there[..., None]  # (B, V, widest, T)
        channels = self.across_channels(node.flatten(0, 1)).transpose(1, 2)  # (B V, T, 32)
        own: Tensor = self.across_time(channels).reshape(*node.shape[:2], -1)
        return own

    def pair(self, own: Tensor) -> tuple[Tensor, Tensor]:
        """Return messages (B, P, 512) of the P pairs, and how strong each is, (B, P, 1) within (0, 1)."""
        message = _apply(self.message, torch.cat([own[:, self.left], own[:, self.right]], 2))
        return message, self.strength(message).sigmoid()

    def exchange(self, own: Tensor) -> Tensor:
        """Return what each node hears, (B, V, 512): the sum of its pairs' messages over V."""
        message, strength = self.pair(own)
        message = message * (1 + strength)
        heard = message.new_zeros(*own.shape[:2], message.shape[2])
        heard = heard.index_add(1, self.left, message).index_add(1, self.right, message)
        return _apply(self.receive, heard / own.shape[1])


def sensor_nodes(layouts: Sequence[BranchLayout]) -> list[list[int]]:
    """Return the channels of each node: those of one placement; of one signal, where there is but one placement."""
    by_placement: dict[str, list[int]] = {}
    by_signal: list[list[int]] = []
    first = 0
    for layout in layouts:
        for size, placement in zip(layout.sizes, layout.placements, strict=True):
            channels = list(range(first, first + size))
            by_placement.setdefault(placement, []).extend(channels)
            by_signal.append(channels)
            first += size
    return list(by_placement.values()) if len(by_placement) > 1 else by_signal


def _layer(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, width), nn.BatchNorm1d(width), nn.ReLU())


def _apply(layer: nn.Module, x: Tensor) -> Tensor:
    """Apply a layer to each node or pair, all of a batch normalised together."""
    out: Tensor = layer(x.flatten(0, 1)).view(x.shape)
    return out
