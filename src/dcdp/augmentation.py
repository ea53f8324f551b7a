"""Make training windows vary the way new people do, by mounting rotation and sensor gain, on the batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dcdp.errors import ConfigError
from dcdp.models.network import BranchLayout

__all__ = ["AugmentConfig", "augment", "random_rotations"]


@dataclass(frozen=True, slots=True)
class AugmentConfig:
    """How far training windows are varied.

    Attributes
    ----------
    rotation_deg
        Standard deviation of the mounting rotation's angle [deg]; its axis is uniform. One rotation for
        all vectors (acc, gyr, mag) of one placement.
    gain
        Standard deviation of a sensor's relative gain error.
    """

    rotation_deg: float = 10.0
    gain: float = 0.0

    def __post_init__(self) -> None:
        if self.rotation_deg < 0 or self.gain < 0:
            raise ConfigError("augment values must be >= 0", f"{self}", "Give 0 to switch one off.")


def augment(inputs: Mapping[str, Tensor], layouts: Sequence[BranchLayout], config: AugmentConfig) -> dict[str, Tensor]:
    """Return the varied batch; randomness comes from torch's global generator, which `fit` seeds at every step.

    Parameters
    ----------
    inputs
        Branch -> (B, C, T) in the units of the signals.
    layouts
        The branches, which say where the vectors are and at which placement.
    config
        How far to vary.
    """
    out = dict(inputs)
    if config.rotation_deg > 0:
        some = next(iter(inputs.values()))
        places = sorted({placement for layout in layouts for _, placement in layout.vectors})
        turns = random_rotations(len(some) * len(places), config.rotation_deg, some.device)
        turns = turns.reshape(len(some), len(places), 3, 3)
        for layout in layouts:
            name = layout.branch.name
            out[name] = _rotate(out[name], layout, turns, places) if layout.vectors else out[name]
    if config.gain > 0:
        for layout in layouts:
            x = out[layout.branch.name]
            gain = 1 + config.gain * torch.randn(len(x), len(layout.sizes), device=x.device)
            n_channels = torch.tensor(layout.sizes, device=x.device)
            out[layout.branch.name] = x * gain.repeat_interleave(n_channels, 1).unsqueeze(-1)
    return out


def random_rotations(n: int, deg: float, device: torch.device | None = None) -> Tensor:
    """Return (n, 3, 3) rotations about uniform axes by normal angles of standard deviation ``deg`` (Rodrigues)."""
    axis = torch.nn.functional.normalize(torch.randn(n, 3, device=device), dim=1)
    angle = torch.deg2rad(torch.randn(n, 1, 1, device=device) * deg)
    x, y, z = axis.unbind(1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], 1).view(n, 3, 3)
    return torch.eye(3, device=device) + angle.sin() * cross + (1 - angle.cos()) * (cross @ cross)


def _rotate(x: Tensor, layout: BranchLayout, turns: Tensor, places: Sequence[str]) -> Tensor:
    """Rotate the vectors of ``x`` (B, C, T) by the turn (B, P, 3, 3) of their placement."""
    which = [places.index(placement) for _, placement in layout.vectors]
    if len(which) * 3 == x.shape[1]:
        vectors = x.reshape(len(x), len(which), 3, x.shape[-1])
        return torch.matmul(turns[:, which], vectors).flatten(1, 2)
    x = x.clone()
    for (first, _), place in zip(layout.vectors, which, strict=True):
        x[:, first : first + 3] = turns[:, place] @ x[:, first : first + 3]
    return x
