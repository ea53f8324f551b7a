"""Let sensors err: a gain of their own, and white noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from dcdp.models.network import BranchLayout

__all__ = ["add_noise", "scale"]


def scale(inputs: Mapping[str, Tensor], layouts: Sequence[BranchLayout], gain: float) -> dict[str, Tensor]:
    """Return the inputs with one factor for each sensor and window, normal about 1 with deviation ``gain``."""
    out = {}
    for layout in layouts:
        x = inputs[layout.branch.name]
        factor = 1 + gain * torch.randn(len(x), len(layout.sizes), device=x.device)
        n_channels = torch.tensor(layout.sizes, device=x.device)
        out[layout.branch.name] = x * factor.repeat_interleave(n_channels, 1).unsqueeze(-1)
    return out


def add_noise(
    inputs: Mapping[str, Tensor],
    present: Tensor,
    layouts: Sequence[BranchLayout],
    relative: float,
    in_units: Mapping[str, float],
) -> dict[str, Tensor]:
    """Return the inputs with white noise on every channel, none where a branch is absent.

    Parameters
    ----------
    inputs
        Branch -> (B, C, T).
    present
        (B, M) bool.
    layouts
        The branches.
    relative
        Deviation of the noise as a share of the channel's own deviation in that window: a still sensor stays still.
    in_units
        Unit -> further deviation in that unit, for the sensors that have it.

    References
    ----------
    Um et al. 2017, arXiv 1706.00527 (jittering).
    """
    out = dict(inputs)
    for m, layout in enumerate(layouts):
        x = inputs[layout.branch.name]
        sensors = zip(layout.units, layout.sizes, strict=True)
        fixed = [in_units.get(unit, 0.0) for unit, size in sensors for _ in range(size)]
        deviation = x.new_tensor(fixed).view(1, -1, 1)
        if relative > 0:
            variance = (x - x.mean(-1, keepdim=True)).square().mean(-1, keepdim=True)
            deviation = (deviation.square() + relative**2 * variance).sqrt()
        elif not any(fixed):
            continue
        out[layout.branch.name] = x + torch.randn_like(x) * (deviation * present[:, m].view(-1, 1, 1))
    return out
