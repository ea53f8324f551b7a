"""The network: M branch encoders, a head for each, projections for contrast, and a joint head over what is present."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from dcdp.models.branch import BranchEncoder
from dcdp.models.trees import TreeExpert

__all__ = ["EXPERT_WEIGHT", "DualPath", "Outputs", "PerBranchLinear"]

EXPERT_WEIGHT = 0.2
"""Weight of the trees' log-probabilities beside the network's logits; these count three times as much, since they are
divided by a temperature of 0.6 to become log-probabilities (docs/findings.md)."""


@dataclass(frozen=True, slots=True)
class Outputs:
    """What the network says of B windows.

    Attributes
    ----------
    joint
        (B, K) logits of the joint head.
    branch
        (B, M, K) logits of the branch heads.
    stages
        Embeddings for contrast, one (B, M, S_k, D) tensor a stage, unit length; empty unless asked for.
    embedding
        (B, M, E) branch embeddings as they enter the fusion, 0 where a branch is absent.
    encoded
        (B, M, D) branch embeddings as they leave the encoders.
    expert
        (B, M, K) log-probabilities of each branch's trees, whose say is in ``joint`` and ``branch`` already; None
        without trees.
    """

    joint: Tensor
    branch: Tensor
    stages: tuple[Tensor, ...]
    embedding: Tensor
    encoded: Tensor
    expert: Tensor | None = None


class DualPath(nn.Module):
    """Any number of branches >= 2, each on a residual or a dense path; any non-empty subset predicts.

    Parameters
    ----------
    encoders
        Branch name -> its encoder, in branch order.
    n_classes
        K.
    width
        E, common width of the fused branch embeddings.
    projection
        D, width of the contrast embeddings.
    segments
        S_k for each contrast stage (the first K - 1 waveform stages, then the embedding): the time segments that its
        features are pooled into (1 = the whole window).
    dropout
        Dropout before the joint head.

    Attributes
    ----------
    experts
        Trees of each branch, in branch order, or None. They are fitted when the network is trained, and have no say
        in training mode.
    """

    def __init__(
        self,
        encoders: Mapping[str, BranchEncoder],
        n_classes: int,
        width: int,
        projection: int,
        segments: Sequence[int],
        dropout: float,
    ) -> None:
        super().__init__()
        self.branches = tuple(encoders)
        self.segments = tuple(segments)
        self.encoders = nn.ModuleDict(encoders)
        first = next(iter(encoders.values()))
        n_branches = len(encoders)
        self.heads = PerBranchLinear(n_branches, first.embedding_width, n_classes)
        self.fuse = PerBranchLinear(n_branches, first.embedding_width, width)
        self.joint = nn.Sequential(nn.Dropout(dropout), nn.Linear(width * n_branches, n_classes))
        widths = [*first.stage_widths[:-1], first.embedding_width]
        self.project = nn.ModuleList(PerBranchLinear(n_branches, w, projection, bias=False) for w in widths)
        self.experts: nn.ModuleList | None = None

    def forward(
        self,
        inputs: Mapping[str, Tensor],
        present: Tensor,
        contrast: bool = False,
        own_scale: Tensor | None = None,
        detach_fusion: bool = False,
    ) -> Outputs:
        """Encode, leave out what is absent, fuse, and classify.

        Parameters
        ----------
        inputs
            Branch -> (B, C, T) windows in the units of the signals; any finite numbers where absent.
        present
            (B, M) bool, True where the branch was recorded.
        contrast
            Whether to compute the stage embeddings.
        own_scale
            (M,) factors on the gradient that each branch's own head sends into its encoder; None is 1. Values do
            not change.
        detach_fusion
            Whether to keep the joint head's gradient out of the encoders. Values do not change.
        """
        expert: Tensor | None = None
        if self.experts is None or self.training:
            encoded = [self.encoders[name](inputs[name]) for name in self.branches]
        else:
            encoded, expert = self._encode_beside(self.experts, inputs)
        own = torch.stack([embedding for _, embedding in encoded], 1)
        embedding = self.fuse(own.detach() if detach_fusion else own) * present.unsqueeze(-1)
        stages = self._stages([features for features, _ in encoded], own) if contrast else ()
        seen = own if own_scale is None else _scale_gradient(own, own_scale[:, None])
        heads = self.heads(seen)
        if expert is not None:
            heads = heads + EXPERT_WEIGHT * expert
        return Outputs(self.classify(embedding, present, expert), heads, stages, embedding, own, expert)

    def _encode_beside(
        self, experts: nn.ModuleList, inputs: Mapping[str, Tensor]
    ) -> tuple[list[tuple[list[Tensor], Tensor]], Tensor]:
        """Return what each encoder makes of its windows, and what the trees say of the same statistics (B, M, K)."""
        encoded, said = [], []
        for name, trees in zip(self.branches, experts, strict=True):
            encoder, x = cast("BranchEncoder", self.encoders[name]), inputs[name]
            statistics = encoder.describe(x)
            encoded.append(encoder(x, statistics))
            said.append(trees(x, statistics))
        return encoded, torch.stack(said, 1)

    def classify(self, embedding: Tensor, present: Tensor, expert: Tensor | None = None) -> Tensor:
        """Return joint logits (B, K) of branch embeddings (B, M, E), using the branches of ``present`` (B, M) alone.

        The embeddings that remain are scaled by M over their number, as dropout scales what it keeps. To the logits
        comes the mean of what their trees say (``expert``, log-probabilities (B, M, K)), times `EXPERT_WEIGHT`: a
        product of experts (Hinton 2002, Neural Computation 14).
        """
        mask = present.to(embedding.dtype)
        share = mask.shape[1] / mask.sum(1, keepdim=True).clamp_min(1)
        kept = (mask * share).unsqueeze(-1)
        logits: Tensor = self.joint((embedding * kept).flatten(1))
        if expert is not None:
            logits = logits + EXPERT_WEIGHT * (expert * kept).mean(1)
        return logits

    @property
    def n_parameters(self) -> int:
        """Numbers that were learned; of trees, nodes."""
        nodes = sum(cast("TreeExpert", expert).trees.n_nodes for expert in self.experts or ())
        return nodes + sum(p.numel() for p in self.parameters())

    def joint_parts(self, embedding: Tensor) -> Tensor:
        """Return what each branch adds to the joint logits (B, M, K): with all present, their sum but for dropout.

        The bias is shared out equally.
        """
        linear = self.joint[-1]
        assert isinstance(linear, nn.Linear)
        weight = linear.weight.view(len(linear.weight), *embedding.shape[1:])  # (K, M, E)
        return torch.einsum("bme,kme->bmk", embedding.to(weight.dtype), weight) + linear.bias / embedding.shape[1]

    def _stages(self, features: list[list[Tensor]], own: Tensor) -> tuple[Tensor, ...]:
        waveform = [
            torch.stack([_pool(branch[k], n_segments) for branch in features]).transpose(0, 1)
            for k, n_segments in enumerate(self.segments[:-1])
        ]
        pooled = [*waveform, own.unsqueeze(2)]
        return tuple(
            nn.functional.normalize(project(level), dim=-1) for project, level in zip(self.project, pooled, strict=True)
        )


class PerBranchLinear(nn.Module):
    """A linear layer for each branch, all in one product: (B, M, ..., n_in) -> (B, M, ..., n_out).

    Started as `torch.nn.Linear` is.
    """

    def __init__(self, n_branches: int, n_in: int, n_out: int, bias: bool = True) -> None:
        super().__init__()
        bound = n_in**-0.5
        self.weight = nn.Parameter(torch.empty(n_branches, n_in, n_out).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(n_branches, n_out).uniform_(-bound, bound)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """Apply each branch's layer to its part of ``x``."""
        rows = x.transpose(0, 1).flatten(1, -2)  # (M, B * ..., n_in)
        out = rows @ self.weight if self.bias is None else torch.baddbmm(self.bias.unsqueeze(1), rows, self.weight)
        return out.view(len(out), x.shape[0], *x.shape[2:-1], out.shape[-1]).transpose(0, 1)


def _scale_gradient(x: Tensor, factor: Tensor) -> Tensor:
    """Return ``x`` itself, whose gradient comes back multiplied."""
    return x.detach() + factor * (x - x.detach())


def _pool(level: Tensor, n_segments: int) -> Tensor:
    """Mean over each of S equal stretches of time (B, D, T) -> (B, S, D); what is over at the end is left out.

    A level shorter than the segments repeats its samples.
    """
    length = level.shape[-1]
    if length < n_segments:
        level = level.repeat_interleave(-(-n_segments // length), -1)
        length = level.shape[-1]
    size = length // n_segments
    if length % n_segments:  # a slice of everything would cost its backward pass a copy
        level = level[..., : size * n_segments]
    # The gradient of a sum is a view, that of a mean a copy as large as the level.
    return level.reshape(*level.shape[:-1], n_segments, size).sum(-1).transpose(1, 2) * (1 / size)
