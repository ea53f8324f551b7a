"""Let sensors err: a gain of their own, white noise, and an offset that drifts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from dcdp.augmentation.warp import smooth_curves
from dcdp.models.network import BranchLayout

__all__ = ["add_drift", "add_noise", "scale"]


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

    All of a window's noise shares a strength ``|n|``, n standard normal: the network also meets clean windows, and some
    with more than twice the noise.

    Parameters
    ----------
    inputs
        Branch -> (B, C, T).
    present
        (B, M) bool.
    layouts
        The branches.
    relative
        Standard deviation of the noise as a share of the channel's own in that window: a still sensor stays still.
    in_units
        Unit -> further standard deviation in that unit, for the sensors that have it.

    References
    ----------
    Um et al. 2017, arXiv 1706.00527 (jittering).
    """
    out = dict(inputs)
    strength = _strength(present)
    for m, layout in enumerate(layouts):
        x = inputs[layout.branch.name]
        fixed = _of_channels(layout, in_units)
        deviation = x.new_tensor(fixed).view(1, -1, 1)
        if relative > 0:
            variance = (x - x.mean(-1, keepdim=True)).square().mean(-1, keepdim=True)
            deviation = (deviation.square() + relative**2 * variance).sqrt()
        elif not any(fixed):
            continue
        out[layout.branch.name] = x + torch.randn_like(x) * (deviation * strength[:, m].view(-1, 1, 1))
    return out


def add_drift(
    inputs: Mapping[str, Tensor],
    present: Tensor,
    layouts: Sequence[BranchLayout],
    in_units: Mapping[str, float],
    n_knots: int,
) -> dict[str, Tensor]:
    """Return the inputs with a slow error on every channel that begins at 0 with the window, none where absent.

    The error passes the knots of a random walk; all of a window's errors share a strength, as in `add_noise`.

    Parameters
    ----------
    inputs, present, layouts
        As in `add_noise`.
    in_units
        Unit -> standard deviation of the error at the window's end in that unit, for the sensors that have it.
    n_knots
        Knots over the window.
    """
    out = dict(inputs)
    strength = _strength(present)
    for m, layout in enumerate(layouts):
        x = inputs[layout.branch.name]
        deviation = x.new_tensor(_of_channels(layout, in_units))
        if deviation.any():
            steps = torch.randn(*x.shape[:2], n_knots, device=x.device) / math.sqrt(n_knots - 1)
            steps[..., 0] = 0.0
            walk = smooth_curves(steps.cumsum(-1), torch.linspace(0, 1, x.shape[-1], device=x.device))
            out[layout.branch.name] = x + strength[:, m].view(-1, 1, 1) * deviation.view(1, -1, 1) * walk
    return out


def _strength(present: Tensor) -> Tensor:
    """Draw a window's errors (B, M): one size for all its branches, 0 where a branch is absent."""
    return torch.randn(len(present), 1, device=present.device).abs() * present


def _of_channels(layout: BranchLayout, in_units: Mapping[str, float]) -> list[float]:
    """Return for each channel of a branch what its unit is given, or 0."""
    sensors = zip(layout.units, layout.sizes, strict=True)
    return [in_units.get(unit, 0.0) for unit, size in sensors for _ in range(size)]
