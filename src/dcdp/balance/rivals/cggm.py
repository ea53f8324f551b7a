"""CGGM, mended: slow the branch whose classifier improves most, and turn the joint gradient towards the classifiers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor
from torch.optim import Optimizer

from dcdp.balance.confidence import MovingMean, sum_over_ranks
from dcdp.balance.limits import require_not_negative, require_share
from dcdp.balance.rule import BalanceRule, BranchNetwork, BranchOutputs

__all__ = ["Cggm", "CggmConfig", "cggm_shares", "direction_loss"]

PRIOR = 1e-3  # improvement that every branch is credited with: all are equal where no accuracy rises
TINY = 1e-12


@dataclass(frozen=True, slots=True)
class CggmConfig:
    """How CGGM weighs size and direction.

    Attributes
    ----------
    rho
        Factor on every coefficient, >= 0.
    direction
        Weight of the direction term (the paper's lambda), >= 0.
    smoothing
        Of the classifiers' accuracy over steps, in ``[0, 1)``; 0 compares single batches, as the paper does.
    """

    rho: float = 1.0
    direction: float = 0.1
    smoothing: float = 0.9

    def __post_init__(self) -> None:
        require_not_negative("modulation.cggm.rho", self.rho)
        require_not_negative("modulation.cggm.direction", self.direction)
        require_share("modulation.cggm.smoothing", self.smoothing)


def cggm_shares(improvement: Tensor, seen: Tensor) -> Tensor:
    """Return B_m, the share of all improvement that branches other than m have made: (M,) in ``[0, 1]``.

    Equal improvement, or none, gives ``(n - 1) / n`` for each of the n branches seen; a branch not seen has 0.

    Examples
    --------
    >>> cggm_shares(torch.tensor([0.03, -0.5, 0.01]), torch.tensor([True, True, True])).tolist()  # doctest: +NUMBER
    [0.279, 0.977, 0.744]
    """
    gain = (improvement.clamp(min=0) + PRIOR).where(seen, 0.0)
    total = gain.sum()
    return ((total - gain) / total.clamp(min=TINY)).clamp(0, 1).where(seen, 0.0)


def direction_loss(joint: Tensor, branch: Tensor, label: Tensor, present: Tensor, share: Tensor) -> Tensor:
    """Return ``mean_m B_m (1 - cos(g, g_m))`` with g and g_m the cross-entropy's gradients at the logits.

    Parameters
    ----------
    joint
        (B, K) logits of the joint head.
    branch
        (B, M, K) logits of the branch heads, whose gradients are taken as they are: nothing is learned through them.
    label, present
        (B,) int64 class index, (B, M) bool.
    share
        (M,) B_m.
    """
    truth = F.one_hot(label, joint.shape[1])
    own = (branch.detach().float().softmax(-1) - truth[:, None]).where(present[..., None], 0.0)
    fused = (joint.float().softmax(-1) - truth)[:, None] * present[..., None]
    dot = (fused * own).sum((0, 2))
    size = (fused.square().sum((0, 2)).clamp(min=TINY) * own.square().sum((0, 2)).clamp(min=TINY)).sqrt()
    return (share.where(present.any(0), 0.0) * (1 - dot / size)).mean()


class Cggm(BalanceRule):
    """Classifier-guided gradient modulation.

    ::

        a_m     = accuracy of branch head m, smoothed over steps
        d_m     = max(a_m(t) - a_m(t - 1), 0) + prior
        B_m     = sum_{k != m} d_k / sum_k d_k                          in [0, 1]
        kappa_m = rho B_m n / (n - 1)                                   n branches seen; 1 where all improve alike
        g_m    <- kappa_m g_m
        L      += lambda mean_m B_m (1 - cos(g_joint, g_m))             B_m of the last step

    References
    ----------
    Guo, Jin, Chen, Zhao (2024). Classifier-guided Gradient Modulation for Enhanced Multimodal Learning. NeurIPS,
    section 3.

    Notes
    -----
    Certain: coefficients from the improvement of a classifier on each modality, and a direction term from cosines
    weighted by them. Mended:

    - the paper divides by a sum of signed changes, which may be 0 or negative; then coefficients explode or turn a
      gradient round. Improvement is clipped at 0 and has a small prior, so that B_m stays within [0, 1];
    - the accuracy of single batches is noise: it is smoothed over steps. What noise is left moves the coefficients also
      where nobody improves, since only its rises count, and an accuracy near 1 has less of it: a branch at .5 beside
      one at 1.0 gets .72 on average, the other 1.28 (simulated, batches of 128, ``smoothing = 0.9``);
    - B_m sums to n - 1 over branches, so it is scaled to be 1 on average; ``rho`` then means what it says;
    - every encoder is scaled, for any number of branches; one absent from a batch counts nothing and keeps its B_m;
    - the cosine is that of gradients at the logits, which are in closed form and of one shape for all heads. The paper
      compares the weights of the last layers, whose gradient the public code does not backpropagate through, so that
      its term moves nothing. Here it moves the joint head and, through it, fusion and encoders;
    - the classifiers are our branch heads, trained by the objective's branch term, whose gradient goes on into the
      encoders and is scaled with theirs. The public code gives its classifiers features cut off from the encoders, and
      an optimiser of their own: they measure and teach nothing;
    - under an adaptive optimiser the coefficient multiplies the branch's learning rate: a factor on the gradient would
      be divided out.
    """

    measures = ("confidence", "coefficient")

    def __init__(self, network: BranchNetwork, optimizer: Optimizer, acts_on: str, config: CggmConfig) -> None:
        super().__init__(network, optimizer, acts_on)
        n_branches = len(self.branches)
        self._config = config
        self._sums = torch.zeros(2, n_branches, device=self.device)
        self._accuracy = MovingMean(n_branches, config.smoothing, self.device)
        self._share = torch.full((n_branches,), 1 - 1 / n_branches, device=self.device)

    def losses(
        self, terms: Mapping[str, Tensor], outputs: BranchOutputs, label: Tensor, present: Tensor
    ) -> tuple[Tensor, ...]:
        """Add the direction term."""
        self._require_learning_heads("rule='cggm'", terms["branch"], present)
        (total,) = super().losses(terms, outputs, label, present)
        if not self._config.direction:
            return (total,)
        term = direction_loss(outputs.joint, outputs.branch, label, present, self._share)
        return (total + self._config.direction * term,)

    def observe(self, outputs: BranchOutputs, label: Tensor, present: Tensor) -> None:
        """Count what each branch head gets right."""
        right = (outputs.branch.detach().argmax(-1) == label[:, None]) & present
        self._sums += torch.stack([right.sum(0), present.sum(0)])

    def modulate(self, base_lr: float | None = None) -> None:
        """Compare the accuracies with those of the last step, and scale the encoders."""
        super().modulate(base_lr)
        sums = sum_over_ranks(self._sums)
        seen = sums[1] > 0
        before, known = self._accuracy.mean, self._accuracy.known
        self._accuracy.update(sums[0] / sums[1].clamp(min=1), seen)
        improvement = (self._accuracy.mean - before).where(known, 0.0)
        n_seen = seen.sum()
        share = cggm_shares(improvement, seen)
        self._share = share.where(seen & (n_seen > 1), self._share)  # the next batch may have the others again
        even = (share * n_seen / (n_seen - 1).clamp(min=1)).where(n_seen > 1, 1.0)
        self._write(self._accuracy.mean, (self._config.rho * even).where(seen, 1.0))
        self._scale()
        self._sums.zero_()

    def _state(self) -> dict[str, Tensor]:
        return super()._state() | {
            "share": self._share,
            "accuracy.total": self._accuracy.total,
            "accuracy.weight": self._accuracy.weight,
        }
