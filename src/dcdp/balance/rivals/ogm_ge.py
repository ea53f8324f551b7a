"""OGM-GE: brake the branch that contributes most to the joint logits, and add noise to the gradients."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim import Optimizer

from dcdp.balance.confidence import confidence_sums, discrepancy, sum_over_ranks
from dcdp.balance.limits import require_not_negative
from dcdp.balance.rule import BalanceRule, BranchNetwork, BranchOutputs

__all__ = ["OgmGe", "OgmGeConfig", "ogm_coefficients"]

FLOOR = 2.0**-23  # tanh rounds to 1 for a large ratio; a coefficient of exactly 0 would freeze the branch


@dataclass(frozen=True, slots=True)
class OgmGeConfig:
    """How hard OGM-GE brakes.

    Attributes
    ----------
    alpha
        How hard to react to a ratio above 1, >= 0.
    noise
        Standard deviation of the noise, in standard deviations of each parameter's gradient, >= 0; 1 is the paper's
        GE, 0 is OGM alone.
    """

    alpha: float = 0.5
    noise: float = 1.0

    def __post_init__(self) -> None:
        require_not_negative("modulation.ogm_ge.alpha", self.alpha)
        require_not_negative("modulation.ogm_ge.noise", self.noise)


def ogm_coefficients(rho: Tensor, alpha: float) -> Tensor:
    """Return ``1 - tanh(alpha rho_m)`` where ``rho_m > 1``, else 1: (M,) in ``(0, 1]``.

    Examples
    --------
    >>> ogm_coefficients(torch.tensor([2.0, 1.0, 0.5]), alpha=0.5).tolist()  # doctest: +NUMBER
    [0.238, 1.000, 1.000]
    """
    brake = (1 - torch.tanh(alpha * rho)).clamp(min=FLOOR)
    return torch.where(rho > 1, brake, torch.ones_like(rho))


class OgmGe(BalanceRule):
    """On-the-fly gradient modulation with generalisation enhancement.

    ::

        s_m     = mean over windows of softmax(W_m e_m + b / M)[y]      what branch m alone makes of the joint head
        rho_m   = s_m / mean_{j != m} s_j
        kappa_m = 1 - tanh(alpha rho_m) if rho_m > 1, else 1
        g_m    <- kappa_m g_m + h,  h ~ N(0, std(g_m)^2) for each parameter tensor

    References
    ----------
    Peng, Wei, Deng, Wang, Hu (2022). Balanced Multimodal Learning via On-the-fly Gradient Modulation. CVPR,
    section 3.

    Notes
    -----
    Certain: score, ratio and coefficient for two branches under SGD, and that there is noise. One deviation a parameter
    tensor is what the public code takes; that the paper means the same is not certain. Ours:

    - more than two branches: the ratio is to the mean of the others, which for two is the paper's;
    - the ratio is of means over the windows that have the branch, so an absent branch counts nothing;
    - all parameters of an encoder are scaled and get noise, also those of 1-D convolutions, biases and normalisation,
      which the public code passes over;
    - it never stops; the public code modulates in the first epochs only by default (51 of 100);
    - under an adaptive optimiser the coefficient multiplies the branch's learning rate, and the noise with it: the
      optimiser would divide a factor on the gradient out. The noise stands in the gradient under both;
    - e_m is the branch's embedding as it enters our linear joint head.
    """

    measures = ("confidence", "discrepancy", "coefficient")

    def __init__(self, network: BranchNetwork, optimizer: Optimizer, acts_on: str, config: OgmGeConfig) -> None:
        super().__init__(network, optimizer, acts_on)
        self._network, self._config = network, config
        self._sums = torch.zeros(2, len(self.branches), device=self.device)

    @torch.no_grad()
    def observe(self, outputs: BranchOutputs, label: Tensor, present: Tensor) -> None:
        """Add up what each branch alone makes of the joint head."""
        self._sums += confidence_sums(self._network.joint_parts(outputs.embedding), label, present)

    def modulate(self, base_lr: float | None = None) -> None:
        """Scale the encoders, then add the noise."""
        super().modulate(base_lr)
        sums = sum_over_ranks(self._sums)
        seen = sums[1] > 0
        score = sums[0] / sums[1].clamp(min=1)
        rho = discrepancy(score, seen)
        self._write(score, rho, ogm_coefficients(rho, self._config.alpha))
        self._sums.zero_()
        noise = self._noise() if self._config.noise else []
        self._scale()
        for gradient, extra in noise:
            gradient += extra

    @torch.no_grad()
    def _noise(self) -> list[tuple[Tensor, Tensor]]:
        """Draw noise for every gradient of the encoders, by its spread before it is scaled."""
        gradients = [p.grad for own in self.scaler.parameters for p in own if p.grad is not None and p.numel() > 1]
        return [(g, torch.randn_like(g) * (self._config.noise * g.std())) for g in gradients]
