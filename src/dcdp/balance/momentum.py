"""Momentum over the gradients of the encoders."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

__all__ = ["GradientMomentum"]


class GradientMomentum:
    """Replace the gradient of each parameter by its bias-corrected exponential mean.

    ::

        v <- mu v + (1 - mu) g,    g <- v / (1 - mu^t)

    where ``g`` is the gradient as modulated (``kappa_m g_m``) if the coefficient acts on the gradient, and the plain
    gradient if it acts on the update.

    Parameters
    ----------
    parameters
        Parameters by name. Those without a gradient at a step keep ``v`` and ``t``.
    momentum
        mu in ``(0, 1)``.

    References
    ----------
    Ji et al. (2025), arXiv 2507.02826, "momentum-based gradient accumulation".

    Notes
    -----
    Ours: the paper's equation is not known to us. A gradient of zeros (a branch absent in the whole batch) is taken
    in like any other, so the branch coasts to a halt as it does under SGD with momentum. Clipping comes after, so the
    mean is over gradients that are not clipped. A gradient that is not finite stays in ``v``: train in bfloat16 or
    float32, not in float16 with a loss scaler that expects to skip steps.
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter], momentum: float) -> None:
        self.momentum = momentum
        self.parameters = {name: parameter for name, parameter in parameters.items() if parameter.requires_grad}
        self.means = {name: torch.zeros_like(parameter) for name, parameter in self.parameters.items()}
        self.counts = dict.fromkeys(self.parameters, 0)

    @torch.no_grad()
    def replace(self) -> None:
        """Put the mean in the place of each gradient, in place."""
        names = [name for name, parameter in self.parameters.items() if parameter.grad is not None]
        if not names:
            return
        gradients = [gradient for name in names if (gradient := self.parameters[name].grad) is not None]
        means = [self.means[name] for name in names]
        for name in names:
            self.counts[name] += 1
        torch._foreach_lerp_(means, gradients, 1 - self.momentum)
        torch._foreach_copy_(gradients, means)
        corrections = [1 - self.momentum ** self.counts[name] for name in names]
        if min(corrections) < 1:  # it rounds to 1 after some dozens of steps
            torch._foreach_div_(gradients, corrections)

    def state_dict(self) -> dict[str, Tensor]:
        """Return ``mean.<name>`` and the step counts ``counts`` (in the order of the parameters)."""
        state = {f"mean.{name}": mean.clone() for name, mean in self.means.items()}
        return state | {"counts": torch.tensor(list(self.counts.values()), dtype=torch.int64)}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take over a saved state of the same parameters."""
        for name, mean in self.means.items():
            mean.copy_(state[f"mean.{name}"])
        self.counts = dict(zip(self.counts, state["counts"].tolist(), strict=True))
