"""Turn the vectors of a placement together, as another mounting of the same device would."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from dcdp.models.network import BranchLayout

__all__ = ["random_flips", "random_rotations", "turn_vectors"]

_HALF_TURNS = ((1.0, 1.0, 1.0), (1.0, -1.0, -1.0), (-1.0, 1.0, -1.0), (-1.0, -1.0, 1.0))


def turn_vectors(
    inputs: Mapping[str, Tensor], layouts: Sequence[BranchLayout], rotation_deg: float, flip: float
) -> dict[str, Tensor]:
    """Return the inputs with every vector turned, by one turn for each window and placement.

    Parameters
    ----------
    inputs
        Branch -> (B, C, T).
    layouts
        The branches, which say where the vectors are and at which placement.
    rotation_deg
        Standard deviation of the angle about a uniform axis [deg].
    flip
        Probability of a half turn about one of the sensor's own axes, before that rotation.
    """
    out = dict(inputs)
    some = next(iter(inputs.values()))
    places = sorted({placement for layout in layouts for _, placement in layout.vectors})
    if rotation_deg > 0:
        turns = random_rotations(len(some) * len(places), rotation_deg, some.device)
        if flip > 0:
            turns = turns * random_flips(len(turns), flip, some.device)
    else:
        flips = random_flips(len(some) * len(places), flip, some.device)
        turns = torch.eye(3, device=some.device) * flips
    turns = turns.reshape(len(some), len(places), 3, 3)
    for layout in layouts:
        name = layout.branch.name
        out[name] = _turn(out[name], layout, turns, places) if layout.vectors else out[name]
    return out


def random_rotations(n: int, deg: float, device: torch.device | None = None) -> Tensor:
    """Return (n, 3, 3) rotations about uniform axes by normal angles of standard deviation ``deg`` (Rodrigues)."""
    axis = torch.nn.functional.normalize(torch.randn(n, 3, device=device), dim=1)
    angle = torch.deg2rad(torch.randn(n, 1, 1, device=device) * deg)
    x, y, z = axis.unbind(1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], 1).view(n, 3, 3)
    return torch.eye(3, device=device) + angle.sin() * cross + (1 - angle.cos()) * (cross @ cross)


def random_flips(n: int, probability: float, device: torch.device | None = None) -> Tensor:
    """Return the diagonals (n, 1, 3) of half turns about x, y or z, and of the identity where none falls.

    A matrix multiplied by such a row has its columns signed: the half turn comes first, then the matrix.
    """
    about = torch.randint(1, 4, (n,), device=device)
    about = about * (torch.rand(n, device=device) < probability)
    return torch.tensor(_HALF_TURNS, device=device)[about].unsqueeze(1)


def _turn(x: Tensor, layout: BranchLayout, turns: Tensor, places: Sequence[str]) -> Tensor:
    """Turn the vectors of ``x`` (B, C, T) by the matrix (B, P, 3, 3) of their placement."""
    which = [places.index(placement) for _, placement in layout.vectors]
    if len(which) * 3 == x.shape[1]:
        vectors = x.reshape(len(x), len(which), 3, x.shape[-1])
        return torch.matmul(turns[:, which], vectors).flatten(1, 2)
    x = x.clone()
    for (first, _), place in zip(layout.vectors, which, strict=True):
        x[:, first : first + 3] = turns[:, place] @ x[:, first : first + 3]
    return x
