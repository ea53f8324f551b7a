"""Let people move more or less vigorously: what is done keeps its posture, the movement about it grows or shrinks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from dcdp.models.network import BranchLayout

__all__ = ["vary_vigour"]

MOVED_BY_THE_BODY = ("acc", "lacc", "gyr")
"""Modalities whose swing grows with the movement; a magnetic field only turns, a heart has a range of its own."""


def vary_vigour(inputs: Mapping[str, Tensor], layouts: Sequence[BranchLayout], spread: float) -> dict[str, Tensor]:
    """Return the inputs with ``mean + f (x - mean)`` for x, one ``f = exp(N(0, spread))`` for all sensors of a window.

    Parameters
    ----------
    inputs
        Branch -> (B, C, T); the mean is that of each channel over its window, so gravity and posture stay.
    layouts
        The branches, for the modality of each channel.
    spread
        Standard deviation of the logarithm of the factor.

    Notes
    -----
    Ours. Running of one person of USC-HAD has half the swing of everybody else's (docs/findings.md): a network
    that has seen few people takes the size of a movement for its kind.
    """
    first = next(iter(inputs.values()))
    factor = torch.exp(spread * torch.randn(len(first), 1, 1, device=first.device))
    out = dict(inputs)
    for layout in layouts:
        moved = [kind in MOVED_BY_THE_BODY for kind, size in zip(layout.modalities, layout.sizes, strict=True)
                 for _ in range(size)]  # fmt: skip
        if any(moved):
            x = inputs[layout.branch.name]
            mean = x.mean(-1, keepdim=True)
            scaled = mean + (x - mean) * factor.to(x.dtype)
            out[layout.branch.name] = torch.where(torch.tensor(moved, device=x.device).view(1, -1, 1), scaled, x)
    return out
