"""The network: M branch encoders, a head for each, projections for contrast, and a joint head over what is present."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dcdp.models.branch import BranchEncoder

__all__ = ["DualPath", "Outputs"]


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
    """

    joint: Tensor
    branch: Tensor
    stages: tuple[Tensor, ...]
    embedding: Tensor


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
        self.heads = nn.ModuleList(nn.Linear(e.embedding_width, n_classes) for e in encoders.values())
        self.fuse = nn.ModuleList(nn.Linear(e.embedding_width, width) for e in encoders.values())
        self.joint = nn.Sequential(nn.Dropout(dropout), nn.Linear(width * len(encoders), n_classes))
        self.project = nn.ModuleList(
            nn.ModuleList(nn.Linear(w, projection, bias=False) for w in [*e.stage_widths[:-1], e.embedding_width])
            for e in encoders.values()
        )

    def forward(self, inputs: Mapping[str, Tensor], present: Tensor, contrast: bool = False) -> Outputs:
        """Encode, leave out what is absent, fuse, and classify.

        Parameters
        ----------
        inputs
            Branch -> (B, C, T) windows in the units of the signals; any finite numbers where absent.
        present
            (B, M) bool, True where the branch was recorded.
        contrast
            Whether to compute the stage embeddings.
        """
        encoded = [self.encoders[name](inputs[name]) for name in self.branches]
        embedding = torch.stack([f(e) for f, (_, e) in zip(self.fuse, encoded, strict=True)], 1)
        embedding = embedding * present.unsqueeze(-1)
        branch = torch.stack([head(e) for head, (_, e) in zip(self.heads, encoded, strict=True)], 1)
        return Outputs(self.classify(embedding, present), branch, self._stages(encoded) if contrast else (), embedding)

    def classify(self, embedding: Tensor, present: Tensor) -> Tensor:
        """Return joint logits (B, K) of branch embeddings (B, M, E), using the branches of ``present`` (B, M) alone.

        The embeddings that remain are scaled by M over their number, as dropout scales what it keeps.
        """
        mask = present.to(embedding.dtype)
        share = mask.shape[1] / mask.sum(1, keepdim=True).clamp_min(1)
        return self.joint((embedding * (mask * share).unsqueeze(-1)).flatten(1))

    def _stages(self, encoded: list[tuple[list[Tensor], Tensor]]) -> tuple[Tensor, ...]:
        levels: list[Tensor] = []
        for k, n_segments in enumerate(self.segments):
            per_branch = []
            for project, (stages, embedding) in zip(self.project, encoded, strict=True):
                level = [*stages[:-1], embedding.unsqueeze(-1)][k]
                pooled = _pool(level, n_segments).transpose(1, 2)
                per_branch.append(project[k](pooled))
            levels.append(nn.functional.normalize(torch.stack(per_branch, 1), dim=-1))
        return tuple(levels)


def _pool(level: Tensor, n_segments: int) -> Tensor:
    """Mean over each of ``n_segments`` stretches of time; one whole stretch is the common case and the cheapest."""
    return level.mean(-1, keepdim=True) if n_segments == 1 else nn.functional.adaptive_avg_pool1d(level, n_segments)
