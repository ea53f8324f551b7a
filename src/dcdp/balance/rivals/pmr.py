"""PMR: pull the embeddings of a slow branch towards the prototypes of their classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor
from torch.optim import Optimizer

from dcdp.balance.confidence import discrepancy
from dcdp.balance.limits import require_not_negative, require_share
from dcdp.balance.rule import BalanceRule, BranchNetwork, BranchOutputs
from dcdp.errors import ConfigError

__all__ = ["Pmr", "PmrConfig", "prototype_logits"]

UNKNOWN = -1e9  # logit of a class without a prototype: no probability, and no NaN where a row has nothing else


@dataclass(frozen=True, slots=True)
class PmrConfig:
    """How hard PMR pulls.

    Attributes
    ----------
    alpha
        Weight of the prototype loss of the slow branches, >= 0.
    mu
        Weight of the entropy term of the fast ones, >= 0.
    entropy_epochs
        Epochs from the start in which the entropy term holds, >= 0.
    momentum
        Of the prototypes over steps, in ``[0, 1)``.
    """

    alpha: float = 1.0
    mu: float = 0.01
    entropy_epochs: int = 2
    momentum: float = 0.9

    def __post_init__(self) -> None:
        require_not_negative("modulation.pmr.alpha", self.alpha)
        require_not_negative("modulation.pmr.mu", self.mu)
        require_share("modulation.pmr.momentum", self.momentum)
        if self.entropy_epochs < 0:
            raise ConfigError("modulation.pmr.entropy_epochs must not be negative", self.entropy_epochs, "Try 2.")


def prototype_logits(encoded: Tensor, prototypes: Tensor, known: Tensor) -> Tensor:
    """Return ``-|z - c_k|`` (B, M, K) of embeddings (B, M, D) and prototypes (M, K, D), of which ``known`` (M, K) are.

    Examples
    --------
    >>> at = torch.tensor([[[0.0, 3.0], [4.0, 0.0]]])
    >>> prototype_logits(torch.zeros(1, 1, 2), at, torch.ones(1, 2, dtype=torch.bool)).tolist()
    [[[-3.0, -4.0]]]
    """
    rows = encoded.float().transpose(0, 1)
    distance = torch.cdist(rows, prototypes, compute_mode="donot_use_mm_for_euclid_dist")  # exact where near
    return (-distance).transpose(0, 1).masked_fill(~known, UNKNOWN)


class Pmr(BalanceRule):
    """Prototypical modality rebalance.

    ::

        c_mk    prototype of class k in branch m: moving mean of its embeddings z_m
        p_m     = softmax_k(-|z_m - c_mk|)
        s_m     = mean over windows of p_m[y],  rho_m = s_m / mean_{j != m} s_j
        L      += alpha sum_m clip(1 / rho_m - 1, 0, 1) CE(p_m, y)          the slow branches
                - mu    sum_m clip(rho_m - 1, 0, 1) H(p_m)                  the fast ones, in the first epochs

    References
    ----------
    Fan, Xu, Wang, Wang, Guo (2023). PMR: Prototypical Modal Rebalance for Multimodal Learning. CVPR, section 3.

    Notes
    -----
    Certain: prototypes as class means, distances as logits, both terms and their clipped weights for two modalities.
    Ours:

    - more than two branches: the ratio is to the mean of the others, which for two is the paper's; branches between
      the extremes may have both weights near 0;
    - prototypes are moving means over the steps, as the embeddings come along in training; the paper computes them
      anew before each epoch on a part of the training set, in a pass of its own, and averages over epochs;
    - the prototype loss never stops; the public code modulates in the first epochs only by default;
    - prototypes are those of the encoder, before the fusion. A class or branch not met yet takes no part;
    - prototypes and scores are those of the process's own windows, not summed over processes as other rules' are;
    - the loss reaches the encoders alone, as a term of its own: it changes their direction under any optimiser, and
      needs no distinction between SGD and adaptive ones;
    - what is logged as coefficient is the weight ``clip(1 / rho_m - 1, 0, 1)`` of the prototype loss.
    """

    measures = ("confidence", "discrepancy", "coefficient")

    def __init__(self, network: BranchNetwork, optimizer: Optimizer, acts_on: str, config: PmrConfig) -> None:
        super().__init__(network, optimizer, acts_on)
        self._config = config
        n_branches, width, n_classes = network.heads.weight.shape
        self._table[1:] = torch.tensor([[1.0], [0.0]])
        self._prototypes = torch.zeros(n_branches, n_classes, width, device=self.device)
        self._known = torch.zeros(n_branches, n_classes, dtype=torch.bool, device=self.device)
        self._epoch = torch.zeros((), dtype=torch.int64)

    def losses(
        self, terms: Mapping[str, Tensor], outputs: BranchOutputs, label: Tensor, present: Tensor
    ) -> tuple[Tensor, ...]:
        """Add the pull of the slow branches and, early on, the entropy of the fast ones."""
        (total,) = super().losses(terms, outputs, label, present)
        usable = present & self._known[:, label].T
        logits = prototype_logits(outputs.encoded, self._prototypes, self._known)
        log_probability = logits.log_softmax(-1).where(usable.unsqueeze(-1), 0.0)
        probability = log_probability.detach().exp()
        truth = label[:, None, None].expand(-1, len(self.branches), 1)
        n_usable = usable.sum(0)
        score = probability.gather(2, truth).squeeze(2).where(usable, 0.0).sum(0) / n_usable.clamp(min=1)
        rho = discrepancy(score, n_usable > 0)
        slow = (1 / rho - 1).clamp(0, 1)
        fast = (rho - 1).clamp(0, 1)
        self._write(score, rho, slow)
        pull = -log_probability.gather(2, truth).squeeze(2).sum(0) / n_usable.clamp(min=1)
        total = total + self._config.alpha * (slow * pull).sum()
        if self._config.mu and self._epoch < self._config.entropy_epochs:
            entropy = -(log_probability.exp() * log_probability).where(usable.unsqueeze(-1), 0.0).sum((0, 2))
            total = total - self._config.mu * (fast * entropy / n_usable.clamp(min=1)).sum()
        return (total,)

    @torch.no_grad()
    def observe(self, outputs: BranchOutputs, label: Tensor, present: Tensor) -> None:
        """Move the prototypes towards the class means of the batch."""
        member = F.one_hot(label, self._known.shape[1]).float()[:, None] * present.unsqueeze(-1)  # (B, M, K)
        count = member.sum(0)
        mean = torch.einsum("bmk,bmd->mkd", member, outputs.encoded.float().where(present.unsqueeze(-1), 0.0))
        mean = mean / count.clamp(min=1).unsqueeze(-1)
        met = count > 0
        keep = torch.where(self._known, self._config.momentum, 0.0).unsqueeze(-1)
        self._prototypes = torch.where(met.unsqueeze(-1), keep * self._prototypes + (1 - keep) * mean, self._prototypes)
        self._known = self._known | met

    def end_epoch(self, validation: Mapping[str, Any]) -> None:  # noqa: ARG002 - only that an epoch has passed
        """Count the epochs."""
        self._epoch += 1

    def _state(self) -> dict[str, Tensor]:
        return super()._state() | {"prototypes": self._prototypes, "known": self._known, "epoch": self._epoch}
