"""Boosted trees as tensors: what the statistics of a branch's windows say by themselves, beside the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dcdp.errors import BundleError
from dcdp.models.statistics import WindowStatistics, recorded

__all__ = ["MAX_DEPTH", "MAX_LEAVES", "BoostedTrees", "TreeExpert"]

Row = NDArray[Any]

MAX_LEAVES = 31
MAX_DEPTH = 10
_N_NODES = 2 * MAX_LEAVES - 1
_FLOOR = 1e-4
"""Least probability of a class: trees that never saw a person like this one are not to be certain against the rest."""
_NEVER = -30.0
"""Raw score of a class that no training window had."""
_N_PARTS = 4
_SMALL = 1e-4
"""Added to a deviation, in the unit of its channel, before its logarithm is taken."""


class BoostedTrees(nn.Module):
    """R rounds of one regression tree a class, read from window statistics; fixed once fitted, no gradient.

    Every tree is a row of `_N_NODES` nodes: where an inner node's feature is at most its threshold, the walk goes on
    to the left. A leaf leads to itself, and its ``value`` is what the tree adds to its class.

    Parameters
    ----------
    n_features, n_classes, n_rounds
        F, K and R.
    """

    feature: Tensor
    left: Tensor
    right: Tensor
    value: Tensor
    mean: Tensor

    def __init__(self, n_features: int, n_classes: int, n_rounds: int) -> None:
        super().__init__()
        self.n_features, self.n_classes = n_features, n_classes
        shape = (n_rounds * n_classes, _N_NODES)
        for name in ("feature", "left", "right"):
            self.register_buffer(name, torch.empty(shape, dtype=torch.int16).zero_())
        self.register_buffer("value", torch.empty(shape).zero_())
        self.register_buffer("mean", torch.empty(n_features).zero_())

    @property
    def n_nodes(self) -> int:
        """Number of nodes that are in use."""
        own = torch.arange(_N_NODES)
        inner = (self.left.cpu() != own) & (self.left.cpu() != 0)
        return int(2 * inner.sum()) + len(self.left)

    @torch.no_grad()
    def load_trees(self, dump: Mapping[str, Any], classes: Sequence[int], mean: Tensor) -> None:
        """Take over a LightGBM model (`Booster.dump_model`) of the classes ``classes``; ``mean`` (F,) fills a gap.

        A threshold is rounded down to single precision, so that every feature of single precision goes the same way.
        """
        feature = np.zeros(self.left.shape, np.int16)
        value = np.zeros(self.left.shape, np.float32)
        left, right = (np.tile(np.arange(_N_NODES, dtype=np.int16), (len(feature), 1)) for _ in range(2))
        value[: self.n_classes] = _NEVER
        for k, tree in enumerate(dump["tree_info"]):
            rounds, index = divmod(k, len(classes))
            row = rounds * self.n_classes + classes[index]
            _lay(tree["tree_structure"], feature[row], left[row], right[row], value[row])
        for name, laid in (("feature", feature), ("left", left), ("right", right), ("value", value)):
            getattr(self, name).copy_(torch.from_numpy(laid))
        self.mean.copy_(mean)

    def forward(self, statistics: Tensor) -> Tensor:
        """Return log-probabilities (B, K), at least about ln 1e-4, of statistics (B, F); NaN where one is not known."""
        n_windows, n_trees = len(statistics), len(self.left)
        x = torch.where(statistics.isnan(), self.mean, statistics).flatten()
        # All trees of all windows walk at once, over flat tables: with 32-bit places 3.4 times as fast as `gather`.
        count = partial(torch.arange, dtype=torch.int32, device=x.device)
        first = count(n_trees)[:, None] * _N_NODES
        feature, value = self.feature.flatten().int(), self.value.flatten()
        child = torch.stack([self.left + first, self.right + first], -1).flatten()
        window = (count(n_windows) * self.n_features).repeat_interleave(n_trees)
        node = first.flatten().repeat(n_windows)
        for _ in range(MAX_DEPTH):
            seen = x.index_select(0, window + feature.index_select(0, node))
            node = child.index_select(0, 2 * node + (seen > value.index_select(0, node)))
        raw = value.index_select(0, node).view(n_windows, -1, self.n_classes).sum(1)
        return (raw.softmax(1) + _FLOOR).log()

    def require_whole(self) -> None:
        """Refuse trees that lead anywhere else than to their own nodes and features.

        Raises
        ------
        BundleError
            If a feature or a node does not exist.
        """
        for name, limit in (("feature", self.n_features), ("left", _N_NODES), ("right", _N_NODES)):
            number = getattr(self, name)
            if number.numel() and not 0 <= int(number.min()) <= int(number.max()) < limit:
                raise BundleError(f"every '{name}' of a tree must be from 0 to {limit - 1}",
                                  f"{int(number.min())} to {int(number.max())}", "Train again.")


class TreeExpert(nn.Module):
    """The trees of one branch and the statistics that they read: those of the window, and of four parts in order.

    Parameters
    ----------
    n_channels, triads, n_samples, rate_hz
        As `WindowStatistics` has them.
    n_classes, n_rounds
        K and R.
    """

    def __init__(
        self, n_channels: int, triads: Sequence[int], n_samples: int, rate_hz: float, n_classes: int, n_rounds: int
    ) -> None:
        super().__init__()
        self.triads = tuple(triads)
        self.statistics = WindowStatistics(n_channels, self.triads, n_samples, rate_hz)
        self.n_parts = min(_N_PARTS, n_samples // 2)
        n_series = n_channels + len(self.triads)
        n_features = self.statistics.n_features + (2 * self.n_parts * n_series if self.n_parts > 1 else 0)
        self.trees = BoostedTrees(n_features, n_classes, n_rounds)

    def describe(self, x: Tensor) -> Tensor:
        """Return statistics (B, F) of raw windows (B, C, T); NaN where a channel that one is read from is absent.

        Beside `WindowStatistics`, of each channel and of each vector's length: the mean of every part about the
        window's mean, and the logarithm of its deviation about the mean of the logarithms.
        """
        known = self.statistics.seen(recorded(x)) > 0
        whole = torch.where(known, self.statistics(x.nan_to_num(0.0)), torch.nan)
        if self.n_parts < 2:
            return whole
        lengths = [x[:, first : first + 3].square().sum(1, keepdim=True).sqrt() for first in self.triads]
        series = torch.cat([x, *lengths], 1)
        parts = series.tensor_split(self.n_parts, -1)
        mean = torch.stack([part.mean(-1) for part in parts], -1) - series.mean(-1, keepdim=True)
        spread = torch.stack([(part.std(-1, correction=0) + _SMALL).log() for part in parts], -1)
        spread = spread - spread.mean(-1, keepdim=True)
        return torch.cat([whole, mean.flatten(1), spread.flatten(1)], 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return log-probabilities (B, K) of raw windows (B, C, T), whose absent channels are NaN."""
        opinion: Tensor = self.trees(self.describe(x))
        return opinion


def _lay(root: Mapping[str, Any], feature: Row, left: Row, right: Row, value: Row) -> None:
    """Write one tree into the rows of its nodes, the root first."""
    waiting, used = [(root, 0)], 1
    while waiting:
        node, at = waiting.pop()
        if "leaf_value" in node:
            value[at] = node["leaf_value"]
            continue
        feature[at], value[at] = node["split_feature"], _rounded_down(node["threshold"])
        left[at], right[at] = used, used + 1
        waiting += [(node["left_child"], used), (node["right_child"], used + 1)]
        used += 2


def _rounded_down(threshold: float) -> float:
    single = np.float32(threshold)
    return float(np.nextafter(single, np.float32(-np.inf)) if float(single) > threshold else single)
