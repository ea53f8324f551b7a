"""From discrepancy to coefficient: brake the branch that runs ahead, lift the ones behind if asked to."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["branch_coefficients"]

FLOOR = 2.0**-23  # tanh rounds to 1 for a large discrepancy; a coefficient of exactly 0 would freeze the branch


def branch_coefficients(rho: Tensor, alpha: float = 1.0, beta: float = 0.0) -> Tensor:
    """Return the coefficient of each branch, from its discrepancy.

    ::

        kappa_m = 1 - tanh(alpha (rho_m - 1))                for rho_m > 1   (the branch leads: brake)
                  1 + beta tanh(alpha (1 / rho_m - 1))       otherwise       (it lags: lift)

    Parameters
    ----------
    rho
        (M,) discrepancies, >= 0.
    alpha
        How hard to react, >= 0; 0 gives exactly 1 for every branch.
    beta
        How much to lift, >= 0; 0 only brakes.

    Returns
    -------
    Tensor
        (M,) in ``(0, 1]`` for a leader and ``[1, 1 + beta]`` for the others.

    References
    ----------
    Ji et al. (2025), arXiv 2507.02826.

    Notes
    -----
    Ours: the paper says that learning intensity follows the confidence of each branch; its equation is not known to
    us. Unlike rules that divide by a sum of signed changes, this one is bounded for any input.

    Examples
    --------
    >>> branch_coefficients(torch.tensor([1.5, 1.0, 0.5]), alpha=1.0, beta=0.5).tolist()  # doctest: +NUMBER
    [0.538, 1.000, 1.381]
    """
    brake = 1 - torch.tanh(alpha * (rho - 1))
    inverse = rho.clamp(min=torch.finfo(rho.dtype).eps).reciprocal()  # finite, so that 0 * inverse is 0
    lift = 1 + beta * torch.tanh(alpha * (inverse - 1))
    return torch.where(rho > 1, brake.clamp(min=FLOOR), lift)
