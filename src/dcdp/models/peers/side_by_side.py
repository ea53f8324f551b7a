"""Give a plain network what ours gets: all branches side by side, at one rate, standardised, absent ones 0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from dcdp.models.dual_path import Outputs
from dcdp.models.network import BranchLayout
from dcdp.models.normalise import ChannelNormaliser

__all__ = ["MIN_SAMPLES", "Resampler", "SingleHead", "common_samples"]

MIN_SAMPLES = 32
"""Shortest window that a peer sees: their unpadded convolutions need that much. A shorter one is interpolated."""


class SingleHead(nn.Module):
    """A plain network ``(B, C, T) -> (B, K)`` in the dress of ours, so that one loop trains both.

    Parameters
    ----------
    layouts
        The branches, in order; their channels are stacked in that order.
    body
        The plain network, for C channels of all branches and `common_samples` samples.

    Notes
    -----
    ``encoders`` holds one normaliser a branch and nothing that learns: `dcdp.training.fit` fits them on the
    training windows in which the branch is present. There are no branch heads; their place in `Outputs` is taken by
    the joint logits, which cost nothing where the objective's branch term weighs 0.
    """

    def __init__(self, layouts: Sequence[BranchLayout], body: nn.Module) -> None:
        super().__init__()
        self.branches = tuple(layout.branch.name for layout in layouts)
        self.encoders = nn.ModuleDict({lay.branch.name: ChannelNormaliser(len(lay.channels)) for lay in layouts})
        n_samples = common_samples(layouts)
        self.resample = nn.ModuleDict({lay.branch.name: Resampler(lay.n_samples, n_samples) for lay in layouts})
        self.body = body

    def side_by_side(self, inputs: Mapping[str, Tensor], present: Tensor) -> Tensor:
        """Return (B, C, T): standardised channels of all branches; 0, the training mean, where a branch is absent."""
        parts = []
        for m, name in enumerate(self.branches):
            x = self.resample[name](self.encoders[name](inputs[name]))
            parts.append(torch.where(present[:, m, None, None], x, 0.0))
        return torch.cat(parts, 1)

    def forward(
        self,
        inputs: Mapping[str, Tensor],
        present: Tensor,
        contrast: bool = False,  # noqa: ARG002 - peers have no stages to contrast
        own_scale: Tensor | None = None,  # noqa: ARG002 - nor heads of their own
    ) -> Outputs:
        """Classify; the arguments are those of `DualPath.forward`."""
        joint = self.body(self.side_by_side(inputs, present))
        n_windows, n_branches = present.shape
        branch = joint.unsqueeze(1).expand(-1, n_branches, -1)
        no_embedding = joint.new_zeros(n_windows, n_branches, 1)
        return Outputs(joint, branch, (), no_embedding, no_embedding)


class Resampler(nn.Module):
    """Bring a window of n samples to N by straight lines between samples: (B, C, n) -> (B, C, N).

    Sample j of N lies at the time of sample ``j n / N``; after the last sample its value is held, so nothing is
    extrapolated.
    """

    before: Tensor
    after: Tensor
    share: Tensor

    def __init__(self, n_samples: int, n_wanted: int) -> None:
        super().__init__()
        self.is_needed = n_samples != n_wanted
        place = (torch.arange(n_wanted, dtype=torch.float64) * n_samples / n_wanted).clamp(max=n_samples - 1)
        before = place.floor().long()
        self.register_buffer("before", before, persistent=False)
        self.register_buffer("after", (before + 1).clamp(max=n_samples - 1), persistent=False)
        self.register_buffer("share", (place - before).float(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` on the grid of N samples."""
        if not self.is_needed:
            return x
        return torch.lerp(x[..., self.before], x[..., self.after], self.share)


def common_samples(layouts: Sequence[BranchLayout]) -> int:
    """Return T: the samples of the fastest branch in a window, at least `MIN_SAMPLES`."""
    return max(MIN_SAMPLES, *(layout.n_samples for layout in layouts))
