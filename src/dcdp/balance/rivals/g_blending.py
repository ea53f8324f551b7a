"""G-Blending: weigh the loss of every head by how well it generalises, against how much it overfits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor
from torch.optim import Optimizer

from dcdp.balance.confidence import sum_over_ranks
from dcdp.balance.rule import BalanceRule, BranchNetwork, BranchOutputs
from dcdp.errors import ConfigError

__all__ = ["GBlending", "GBlendingConfig", "blend_weights"]

# Smallest gain of the best head that is told from none [nats]: one window in a hundred made e times as likely. Weights
# sum to 1 however small the gains are, so on a plateau chance alone would move them from one head to another.
NOISE = 0.01
# Share of all weight that is dealt out evenly. A head of weight 0 would learn no more, and so never gain again.
EVEN_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class GBlendingConfig:
    """How often G-Blending weighs anew.

    Attributes
    ----------
    super_epoch
        Epochs between two estimates, >= 1.
    floor
        Smallest growth of overfitting that is told from none [nats], > 0: bounds the quotient.
    """

    super_epoch: int = 3
    floor: float = 0.05

    def __post_init__(self) -> None:
        if self.super_epoch < 1:
            raise ConfigError("modulation.g_blending.super_epoch must be at least 1", self.super_epoch, "Try 3.")
        if not 0 < self.floor < float("inf"):
            raise ConfigError("modulation.g_blending.floor must be positive and finite", self.floor, "Try 0.05.")


def blend_weights(before: Tensor, now: Tensor, weights: Tensor, floor: float) -> Tensor:
    """Return the weight of every head: ``Delta G / Delta O^2`` made to sum to 1, a tenth of all dealt out evenly.

    Parameters
    ----------
    before, now
        (2, H) training and validation loss of each head, one super-epoch apart. Not finite where a head has none.
    weights
        (H,) weights so far, which sum to 1.
    floor
        Smallest ``Delta O``; what lies below, a fall included, counts as this.

    Returns
    -------
    Tensor
        (H,) in ``[0, 1]``. A head that has not gained has its even part of the tenth alone; where none has, all weights
        stay. One without a loss in either row keeps its weight, and the others share the rest.

    Examples
    --------
    >>> before, now = torch.tensor([[2.0, 2.0], [2.0, 2.0]]), torch.tensor([[1.0, 1.6], [1.2, 1.8]])
    >>> blend_weights(before, now, torch.tensor([0.5, 0.5]), floor=0.05).tolist()  # doctest: +NUMBER
    [0.770, 0.230]
    """
    known = (before.isfinite() & now.isfinite()).all(0)
    gain = (before[1] - now[1]).where(known, 0.0).clamp(min=0)  # how much generalisation improved
    if gain.max() < NOISE:
        return weights
    overfitting = ((now[1] - now[0]) - (before[1] - before[0])).where(known, 0.0)
    quotient = gain / overfitting.clamp(min=floor).square()
    left = (1 - weights.where(~known, 0.0).sum()).clamp(min=0)
    share = (1 - EVEN_SHARE) * quotient / quotient.sum() + EVEN_SHARE / known.sum()
    return (left * share).where(known, weights)


class GBlending(BalanceRule):
    """Gradient blending, online.

    ::

        G_h = L_h(validation), O_h = L_h(validation) - L_h(training)        of head h: the joint one and the M others
        w_h = (1 / Z) Delta G_h / (Delta O_h)^2                             Delta G: by how much G fell, sum_h w_h = 1
        L   = (M + 1) (w_0 L_joint + mean_m w_m L_m) + contrast

    References
    ----------
    Wang, Tran, Feiszli (2020). What Makes Training Multi-Modal Classification Networks Hard? CVPR, equation 3 and
    algorithms 1 and 2.

    Notes
    -----
    Certain: the weight of a head as the quotient of generalisation gained and overfitting squared, made to sum to 1,
    estimated anew every super-epoch. Ours:

    - the paper trains every modality alone, and all together, for each estimate, and throws these networks away; we
      read the heads of the one joint training, which costs nothing but sees branches that have learned together;
    - the loss on training windows is the mean over the epoch, under dropout and augmentation; that on validation
      subjects is of the weights that are validated. Only changes of their difference enter. A mean over the epoch lags
      behind these weights, most in the first epoch, whose figures are the first reference;
    - overfitting that hardly grew, or fell, is taken as ``floor``: the quotient explodes otherwise, and its square
      would punish a fall, common under dropout. Where all heads got worse, or none gained more than chance gives
      (.01 nat), the weights stay;
    - a tenth of all weight is dealt out evenly, so that a head that got worse still learns: in the paper networks of
      their own are trained for the next estimate, here a head of weight 0 would never gain again;
    - the factor M + 1 makes equal weights the plain objective, whose own weights still apply: its branch losses are
      averaged over branches where the paper adds them up, so against the joint loss each counts one M-th of what it
      does there. All weights start equal;
    - the validation subjects also decide when training stops; without any there is nothing to weigh by. A branch that
      nobody has, in training or in validation, keeps its weight, and the other heads share the rest;
    - weights of losses change the direction of an encoder's gradient, so SGD and adaptive optimisers need no
      distinction. What is logged as coefficient is ``(M + 1) w_m``.
    """

    def __init__(self, network: BranchNetwork, optimizer: Optimizer, acts_on: str, config: GBlendingConfig) -> None:
        super().__init__(network, optimizer, acts_on)
        self._config = config
        n_heads = 1 + len(self.branches)
        self._factor = torch.ones(n_heads, device=self.device)
        self._sums = torch.zeros(2, n_heads, dtype=torch.float64, device=self.device)
        self._before = torch.full((2, n_heads), torch.nan, dtype=torch.float64)
        self._epoch = torch.zeros((), dtype=torch.int64)

    def losses(
        self, terms: Mapping[str, Tensor], outputs: BranchOutputs, label: Tensor, present: Tensor  # noqa: ARG002
    ) -> tuple[Tensor, ...]:
        """Weigh every head's loss."""
        own = (self._factor[1:] * terms["branch"]).mean()
        return (self._factor[0] * terms["joint"] + own + terms["contrast"],)

    @torch.no_grad()
    def observe(self, outputs: BranchOutputs, label: Tensor, present: Tensor) -> None:
        """Add up the loss of every head on training windows."""
        logits = torch.cat([outputs.joint.unsqueeze(1), outputs.branch], 1).float()
        seen = torch.cat([present.any(1, keepdim=True), present], 1)
        loss = F.cross_entropy(logits.transpose(1, 2), label.unsqueeze(1).expand(seen.shape), reduction="none")
        seen = seen & loss.isfinite()
        self._sums += torch.stack([loss.where(seen, 0.0).sum(0), seen.sum(0)])

    def end_epoch(self, validation: Mapping[str, Any]) -> None:
        """Weigh anew once a super-epoch has passed.

        Raises
        ------
        ConfigError
            If there are no losses of validation subjects.
        """
        if "branch_loss" not in validation:
            raise ConfigError("the rule 'g_blending' needs validation subjects", "none",
                              "Set training.early_stopping=true and training.refit=false, or take another rule.")
        sums = sum_over_ranks(self._sums).cpu()
        held_out = [validation["loss"], *(validation["branch_loss"][name] for name in self.branches)]
        now = torch.stack([sums[0] / sums[1], torch.tensor([torch.nan if x is None else x for x in held_out]).double()])
        if self._epoch % self._config.super_epoch == 0:
            n_heads = len(self._factor)
            weights = blend_weights(self._before, now, self._factor.cpu().double() / n_heads, self._config.floor)
            self._factor = (n_heads * weights).to(self._factor)
            self._write(self._factor[1:])
            self._before.copy_(now)
        self._sums.zero_()
        self._epoch += 1

    def _state(self) -> dict[str, Tensor]:
        return super()._state() | {
            "factor": self._factor, "sums": self._sums, "before": self._before, "epoch": self._epoch,
        }  # fmt: skip
