"""Let the pace and the size of a movement vary smoothly within a window."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from dcdp.models.network import BranchLayout

__all__ = ["smooth_curves", "time_maps", "warp_magnitude", "warp_time"]

_N_STEPS = 128
"""Steps of the common clock on which the pace is added up."""


def warp_time(
    inputs: Mapping[str, Tensor], layouts: Sequence[BranchLayout], strength: float, n_knots: int
) -> dict[str, Tensor]:
    """Return the inputs read at warped times, one warp a window on the clock that its branches share.

    The pace is ``exp(strength * curve)``, so time never stands still nor runs back; the whole is stretched so that a
    window begins and ends where it did. Values between two samples lie on the line between them: no value leaves the
    range that its channel had.

    Parameters
    ----------
    inputs
        Branch -> (B, C, T).
    layouts
        The branches, for their rates.
    strength
        Standard deviation of the log pace at a knot.
    n_knots
        Knots over the window.

    References
    ----------
    Um et al.: "Data augmentation of wearable sensor data for Parkinson's disease monitoring using convolutional neural
    networks", 2017, arXiv 1706.00527.

    Notes
    -----
    The paper's pace is a cubic spline through knots drawn about 1. Here its logarithm is drawn and the curve between
    knots is a raised cosine: it cannot overshoot, so that a strong warp is still monotone.
    """
    some = next(iter(inputs.values()))
    maps = time_maps(len(some), strength, n_knots, some.device)
    window_s = max(layout.n_samples / layout.rate_hz for layout in layouts)
    return {
        layout.branch.name: _read_at(inputs[layout.branch.name], maps, layout.rate_hz, window_s) for layout in layouts
    }


def warp_magnitude(
    inputs: Mapping[str, Tensor], layouts: Sequence[BranchLayout], strength: float, n_knots: int
) -> dict[str, Tensor]:
    """Return the inputs times a slowly varying gain ``exp(strength * curve)``, one for each sensor and window.

    The axes of a vector share their gain: its direction stays.

    Parameters
    ----------
    inputs, layouts, n_knots
        As in `warp_time`.
    strength
        Standard deviation of the log gain at a knot.

    References
    ----------
    Um et al. 2017, arXiv 1706.00527; there the curve is a cubic spline about 1, drawn for each axis.
    """
    out = {}
    for layout in layouts:
        x = inputs[layout.branch.name]
        place = (torch.arange(x.shape[-1], device=x.device) + 0.5) / x.shape[-1]
        knots = torch.randn(len(x) * len(layout.sizes), n_knots, device=x.device)
        gain = (strength * smooth_curves(knots, place)).exp()
        gain = gain.view(len(x), len(layout.sizes), -1)
        n_channels = torch.tensor(layout.sizes, device=x.device)
        out[layout.branch.name] = x * gain.repeat_interleave(n_channels, 1)
    return out


def smooth_curves(knots: Tensor, place: Tensor) -> Tensor:
    """Return curves (..., T) at the places (T,) in [0, 1] through the values (..., K) of K equidistant knots.

    Between two knots the curve is a raised cosine: smooth, and between their values.
    """
    n_knots = knots.shape[-1]
    distance = (place * (n_knots - 1) - torch.arange(n_knots, device=place.device).unsqueeze(1)).abs()
    weight = 0.5 * (1 + (math.pi * distance.clamp(max=1)).cos())
    return knots @ weight


def time_maps(n: int, strength: float, n_knots: int, device: torch.device | None = None) -> Tensor:
    """Draw (n, G + 1) rising maps of [0, 1] onto itself, given at G + 1 equal steps."""
    middle = (torch.arange(_N_STEPS, device=device) + 0.5) / _N_STEPS
    pace = (strength * smooth_curves(torch.randn(n, n_knots, device=device), middle)).exp()
    elapsed = torch.cat([pace.new_zeros(n, 1), pace.cumsum(1)], 1)
    return elapsed / elapsed[:, -1:]


def _read_at(x: Tensor, maps: Tensor, rate_hz: float, window_s: float) -> Tensor:
    """Read (B, C, T) at the times that ``maps`` (B, G + 1) gives for its T samples."""
    n_samples = x.shape[-1]
    if n_samples == 1:
        return x
    step = torch.arange(n_samples, device=x.device) / (rate_hz * window_s) * _N_STEPS
    before = step.floor().long().clamp(max=_N_STEPS - 1)
    warped = torch.lerp(maps[:, before], maps[:, before + 1], (step - before).clamp(0, 1))
    place = (warped * (rate_hz * window_s)).clamp(0, n_samples - 1)  # (B, T), in samples
    low = place.floor().long().clamp(max=n_samples - 2).unsqueeze(1)
    share = place.unsqueeze(1) - low
    low = low.expand(-1, x.shape[1], -1)
    return torch.lerp(x.gather(2, low), x.gather(2, low + 1), share.to(x.dtype))
