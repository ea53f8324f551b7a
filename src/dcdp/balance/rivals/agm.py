"""AGM: brake a branch that is further ahead of the others than it has been on average."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim import Optimizer

from dcdp.balance.confidence import mean_of_others, sum_over_ranks
from dcdp.balance.limits import require_not_negative
from dcdp.balance.rule import BalanceRule, BranchNetwork, BranchOutputs
from dcdp.errors import ConfigError

__all__ = ["Agm", "AgmConfig", "agm_coefficients", "competitiveness"]

WORST = -18.4  # log of 1e-8: a single hopeless window must not decide the mean
LARGEST = 30.0  # exponent; keeps the ratio finite


@dataclass(frozen=True, slots=True)
class AgmConfig:
    """How hard AGM reacts.

    Attributes
    ----------
    alpha
        How hard to react, >= 0; 0 gives exactly 1 for every branch.
    limit
        Largest coefficient, and one over the smallest, >= 1.
    """

    alpha: float = 1.0
    limit: float = 4.0

    def __post_init__(self) -> None:
        require_not_negative("modulation.agm.alpha", self.alpha)
        if not 1 <= self.limit < float("inf"):
            raise ConfigError("modulation.agm.limit must be at least 1 and finite", self.limit, "Try 4.")


def competitiveness(score: Tensor, known: Tensor) -> Tensor:
    """Return ``r_m = exp(s_m - mean_{j != m} s_j)`` of mean log probabilities (M,); 1 without a rival."""
    others, n_others = mean_of_others(score, known)
    return (score - others).clamp(max=LARGEST).exp().where(known & (n_others > 0), 1.0)


def agm_coefficients(ratio: Tensor, reference: Tensor, alpha: float, limit: float) -> Tensor:
    """Return ``exp(-alpha (r_m - tau_m))``, kept within ``[1 / limit, limit]``: (M,).

    Examples
    --------
    >>> agm_coefficients(torch.tensor([2.0, 0.5]), torch.tensor([1.5, 1.0]), 1.0, 4.0).tolist()  # doctest: +NUMBER
    [0.607, 1.649]
    """
    return torch.exp(alpha * (reference - ratio)).clamp(1 / limit, limit)


class Agm(BalanceRule):
    """Adaptive gradient modulation.

    ::

        phi_m   = W_m e_m + b / M                                   Shapley value of branch m in the joint logits
        s_m     = mean over windows of log softmax(phi_m)[y]
        r_m     = exp(s_m - mean_{j != m} s_j)                      how far branch m runs ahead now
        tau_m   = the same of the means of s over all steps before  how far it runs ahead as a rule
        kappa_m = exp(-alpha (r_m - tau_m)) within [1 / limit, limit]
        g_m    <- kappa_m g_m

    References
    ----------
    Li, Li, Hu, Lei, Li, Zhou (2023). Boosting Multi-modal Model Performance with Adaptive Gradient Modulation. ICCV,
    section 3.

    Notes
    -----
    Certain: Shapley-valued responses, ratio, running reference, exponential coefficient. Ours:

    - our joint head is linear, so the Shapley value over branches replaced by zeros is the branch's own part of the
      logits in closed form: no forward pass per subset is needed (the bias is shared out equally). What is replaced
      by zeros is the embedding; the public code replaces the input;
    - the sign for any number of branches is that of the two-branch form, which brakes the leader; a public version
      for more has it the other way round;
    - the coefficient is bounded on both sides: the exponential of an exponential explodes otherwise;
    - it scales the encoder alone, and under an adaptive optimiser the encoder's learning rate (a factor on the
      gradient would be divided out); the paper scales the gradient at phi_m, which reaches the branch's part of the
      fusion too;
    - an absent branch counts nothing and keeps its reference.
    """

    measures = ("discrepancy", "coefficient")

    def __init__(self, network: BranchNetwork, optimizer: Optimizer, acts_on: str, config: AgmConfig) -> None:
        super().__init__(network, optimizer, acts_on)
        self._network, self._config = network, config
        self._table[0] = 1.0
        self._sums = torch.zeros(2, len(self.branches), device=self.device)
        self._past = torch.zeros(2, len(self.branches), device=self.device)  # sum of s, number of steps

    @torch.no_grad()
    def observe(self, outputs: BranchOutputs, label: Tensor, present: Tensor) -> None:
        """Add up the log probability that each branch alone gives to the truth."""
        log_probability = self._network.joint_parts(outputs.embedding).float().log_softmax(-1)
        truth = log_probability.gather(2, label[:, None, None].expand(-1, len(self.branches), 1)).squeeze(2)
        counted = present & truth.isfinite()
        self._sums += torch.stack([truth.clamp(min=WORST).where(counted, 0.0).sum(0), counted.sum(0).to(truth.dtype)])

    def modulate(self, base_lr: float | None = None) -> None:
        """Compare the step with what was usual, scale the encoders, and remember the step."""
        super().modulate(base_lr)
        sums = sum_over_ranks(self._sums)
        seen = sums[1] > 0
        score = sums[0] / sums[1].clamp(min=1)
        usual = self._past[0] / self._past[1].clamp(min=1)
        comparable = seen & (self._past[1] > 0)
        ratio = competitiveness(score, comparable)
        kappa = agm_coefficients(ratio, competitiveness(usual, comparable), self._config.alpha, self._config.limit)
        self._write(ratio, kappa)
        self._scale()
        self._past += torch.stack([score.where(seen, 0.0), seen.to(score.dtype)])
        self._sums.zero_()

    def _state(self) -> dict[str, Tensor]:
        return super()._state() | {"past": self._past}
