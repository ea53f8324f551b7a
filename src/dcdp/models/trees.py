"""Boosted trees as tensors: what the statistics of a branch's windows say by themselves, beside the network."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
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
_N_AT_ONCE = 64
"""Windows that walk together: their statistics and one tree stay in the cache."""
_NEVER = -30.0
"""Raw score of a class that no training window had."""
_N_PARTS = 4
_SMALL = 1e-4
"""Added to a deviation, in the unit of its channel, before its logarithm is taken."""


class BoostedTrees(nn.Module):
    """R rounds of one regression tree a class, read from window statistics; fixed once fitted, no gradient.

    Every tree is a row of `_N_NODES` nodes: where an inner node's feature is at most its threshold, which is its
    ``value``, the walk goes on to the left, else to the node behind that. A leaf's ``value`` is what the tree adds to
    its class; it leads to itself, since it reads feature F, which is below everything.

    Parameters
    ----------
    n_features, n_classes, n_rounds
        F, K and R.
    """

    feature: Tensor
    left: Tensor
    value: Tensor
    mean: Tensor

    def __init__(self, n_features: int, n_classes: int, n_rounds: int) -> None:
        super().__init__()
        self.n_features, self.n_classes = n_features, n_classes
        shape = (n_rounds * n_classes, _N_NODES)
        self.register_buffer("feature", torch.empty(shape, dtype=torch.int16).fill_(n_features))
        self.register_buffer("left", torch.empty(shape, dtype=torch.int16).zero_())
        self.register_buffer("value", torch.empty(shape).zero_())
        self.register_buffer("mean", torch.empty(n_features).zero_())

    @property
    def n_nodes(self) -> int:
        """Number of nodes that are in use."""
        return 2 * int((self.feature < self.n_features).sum()) + len(self.left)

    @torch.no_grad()
    def load_trees(self, dump: Mapping[str, Any], classes: Sequence[int], mean: Tensor) -> None:
        """Take over a LightGBM model (`Booster.dump_model`) of the classes ``classes``; ``mean`` (F,) fills a gap.

        A threshold is rounded down to single precision, so that every feature of single precision goes the same way.
        """
        feature = np.full(self.left.shape, self.n_features, np.int16)
        value = np.zeros(self.left.shape, np.float32)
        left = np.tile(np.arange(_N_NODES, dtype=np.int16), (len(feature), 1))
        value[: self.n_classes] = _NEVER
        for k, tree in enumerate(dump["tree_info"]):
            rounds, index = divmod(k, len(classes))
            row = rounds * self.n_classes + classes[index]
            _lay(tree["tree_structure"], feature[row], left[row], value[row])
        for name, laid in (("feature", feature), ("left", left), ("value", value)):
            getattr(self, name).copy_(torch.from_numpy(laid))
        self.mean.copy_(mean)

    def forward(self, statistics: Tensor) -> Tensor:
        """Return log-probabilities (B, K), at least about ln 1e-4, of statistics (B, F); NaN where one is not known."""
        x = torch.where(statistics.isnan(), self.mean, statistics)
        x = nn.functional.pad(x, (0, 1), value=-math.inf)
        root = torch.arange(len(self.left), dtype=torch.int32, device=x.device) * _N_NODES
        tables = self.feature.flatten().int(), (self.left + root[:, None]).flatten(), self.value.flatten()
        raw = torch.cat([self._walk(rows, root, *tables) for rows in torch.split(x, _N_AT_ONCE)])
        return (raw.softmax(1) + _FLOOR).log()

    def _walk(self, x: Tensor, root: Tensor, feature: Tensor, left: Tensor, value: Tensor) -> Tensor:
        """Return raw scores (B, K) of statistics (B, F + 1): all windows walk all trees at once, over flat tables.

        Tree by tree, so that the few nodes of one stay at hand for all windows; with 32-bit places `index_select`
        takes a third of the time of `gather`.
        """
        node = root.repeat_interleave(len(x))
        start = torch.arange(0, x.numel(), x.shape[1], dtype=torch.int32, device=x.device)
        window, x = start.repeat(len(root)), x.flatten()
        for _ in range(MAX_DEPTH):
            seen = x.index_select(0, feature.index_select(0, node).add_(window))
            node = left.index_select(0, node).add_(seen > value.index_select(0, node))
        return value.index_select(0, node).view(len(root) // self.n_classes, self.n_classes, len(start)).sum(0).T

    def require_whole(self) -> None:
        """Refuse trees that lead anywhere else than to their own nodes and features.

        Raises
        ------
        BundleError
            If a feature or a child does not exist.
        """
        children = (self.left, self.left + (self.feature < self.n_features))
        for name, number, limit in (
            ("feature", self.feature, self.n_features + 1), *(("child", child, _N_NODES) for child in children)
        ):
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

    def describe(self, x: Tensor, statistics: Tensor | None = None) -> Tensor:
        """Return statistics (B, F) of raw windows (B, C, T); NaN where a channel that one is read from is absent.

        ``statistics`` are those of `WindowStatistics`, where they are at hand: those of absent channels may be any,
        and further ones behind them are not read. Beside these, of each channel and of each vector's length: the mean
        of every part about the window's mean, and the logarithm of its deviation about the mean of the logarithms.
        """
        known = self.statistics.seen(recorded(x)) > 0
        if statistics is None:
            statistics = self.statistics(x.nan_to_num(0.0))
        whole = torch.where(known, statistics[:, : known.shape[1]], torch.nan)
        if self.n_parts < 2:
            return whole
        lengths = [x[:, first : first + 3].square().sum(1, keepdim=True).sqrt() for first in self.triads]
        series = torch.cat([x, *lengths], 1)
        parts = series.tensor_split(self.n_parts, -1)
        mean = torch.stack([part.mean(-1) for part in parts], -1) - series.mean(-1, keepdim=True)
        spread = torch.stack([(part.std(-1, correction=0) + _SMALL).log() for part in parts], -1)
        spread = spread - spread.mean(-1, keepdim=True)
        return torch.cat([whole, mean.flatten(1), spread.flatten(1)], 1)

    def forward(self, x: Tensor, statistics: Tensor | None = None) -> Tensor:
        """Return log-probabilities (B, K) of what `describe` says of raw windows (B, C, T)."""
        opinion: Tensor = self.trees(self.describe(x, statistics))
        return opinion


def _lay(root: Mapping[str, Any], feature: Row, left: Row, value: Row) -> None:
    """Write one tree into the rows of its nodes, the root first, and the children of each side by side."""
    waiting, used = [(root, 0)], 1
    while waiting:
        node, at = waiting.pop()
        if "leaf_value" in node:
            value[at] = node["leaf_value"]
            continue
        feature[at], value[at] = node["split_feature"], _rounded_down(node["threshold"])
        left[at] = used
        waiting += [(node["left_child"], used), (node["right_child"], used + 1)]
        used += 2


def _rounded_down(threshold: float) -> float:
    single = np.float32(threshold)
    return float(np.nextafter(single, np.float32(-np.inf)) if float(single) > threshold else single)
