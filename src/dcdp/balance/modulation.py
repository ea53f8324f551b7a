"""Confidence-driven modulation: each branch's encoder learns at the pace that its coefficient allows.

::

    c_m     = mean over present windows of softmax(u_m)[y], smoothed over steps     confidence
    rho_m   = c_m / mean_{j != m} c_j                                               discrepancy
    kappa_m = 1 - tanh(alpha (rho_m - 1))            if rho_m > 1                   coefficient
              1 + beta tanh(alpha (1 / rho_m - 1))   otherwise
    g_m    <- kappa_m g_m                            acts on the gradient (SGD)
    lr_m    = kappa_m lr                             acts on the update (all others)
    g_m    <- g_m^joint + kappa_m g_m^own            acts on the own loss (any optimiser)

Only the encoder of branch m is touched: no head, no fusion.

References
----------
Ji, Song, Lu, Xiao, Liu, Li (2025). Confidence-driven Gradient Modulation for Multimodal Human Activity
Recognition: A Dynamic Contrastive Dual-Path Learning Approach. arXiv 2507.02826.

Notes
-----
Every formula here is ours: the paper's equations are not known to us. What we decided, and why:

- On the update, the coefficient multiplies the learning rate of the branch, since an adaptive optimiser would divide a
  factor on the gradient out again. Momentum over gradients then averages ``g_m``, not ``kappa_m g_m``.
- On the own loss, the coefficient multiplies the gradient of the branch's own head where it enters the encoder; the
  head itself is not touched. A factor on the whole gradient or step of a branch changes how fast it goes, not where
  to: where the leader has satisfied the joint loss, a laggard only drifts faster. This reading changes the direction,
  which no optimiser divides out. It is the one that mends competition on the synthetic body (docs/findings.md).
- Weight decay: torch's SGD adds it to the gradient after modulation, so under ``gradient`` it is not scaled;
  under ``update`` it is scaled with the rest of the step.
- Clipping (``training.clip_norm``, over the whole network) comes after modulation. Only below the clip is half a
  coefficient on the gradient half a step, and only there do heads and fusion get the plain gradient.
- A branch that no window of the batch has keeps its confidence, which the others are still compared with, and gets
  ``kappa = 1``; on the own loss it keeps its coefficient, which is for the next batch. A branch that was never seen is
  compared with nobody.
- A step without a new observation keeps the coefficients of the last one. So the confidence may also be observed on a
  batch of validation subjects every few steps: on training windows a network that memorises looks confident.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from dcdp.balance.coefficients import branch_coefficients
from dcdp.balance.confidence import MovingMean, confidence_sums, discrepancy, sum_over_ranks
from dcdp.balance.config import ModulationConfig
from dcdp.balance.momentum import GradientMomentum
from dcdp.balance.rule import BalanceRule, BranchNetwork, BranchOutputs
from dcdp.errors import ConfigError

__all__ = ["Modulator"]


class Modulator(BalanceRule):
    """The rule ``dcdp``: observe the branches at every (micro-)batch, then modulate once before the step.

    ::

        for micro_batch in batch:
            ... forward, objective, backward
            modulator.observe(outputs, label, present)
        modulator.modulate(base_lr)      # after unscaling, before clipping
        optimizer.step()

    Parameters
    ----------
    network
        Its encoders are on their device already.
    optimizer
        With groups from `parameter_groups` unless the coefficient acts on the gradient.
    config
        How to modulate.

    Raises
    ------
    ConfigError
        If ``acts_on`` does not suit the optimiser, or a branch has no group to itself.
    """

    measures = ("confidence", "discrepancy", "coefficient")

    def __init__(self, network: BranchNetwork, optimizer: Optimizer, config: ModulationConfig) -> None:
        super().__init__(network, optimizer, config.acts_on)
        self._config = config
        n_branches = len(self.branches)
        self._table[1] = 1.0  # balanced
        self._sums = torch.zeros(2, n_branches, device=self.device)
        self._confidence = MovingMean(n_branches, config.smoothing, self.device)
        self._smooth_coefficient = MovingMean(
            n_branches, config.momentum if config.momentum_on == "coefficient" else 0.0, self.device)
        self._momentum = _gradient_momentum(self.encoders, config)
        self._observed = False

    def observe(self, outputs: BranchOutputs, label: Tensor, present: Tensor) -> None:
        """Take in the branch logits (B, M, K), labels (B,) and presence (B, M) of one (micro-)batch; no device sync."""
        logits = outputs.branch.detach()
        if logits.shape[1] != len(self.branches):
            raise ConfigError(f"logits must have one entry per branch ({', '.join(self.branches)})",
                              f"{logits.shape[1]} entries", "Give (B, M, K) in the order of the encoders.")
        self._sums += confidence_sums(logits, label, present)
        self._observed = True

    def forward_options(self) -> dict[str, Any]:
        """Return the coefficients (M,) of the last step as ``own_scale``, where they act on the own loss."""
        return {"own_scale": self._table[2]} if self.acts_on == "own" and self._config.alpha else {}

    def losses(
        self, terms: Mapping[str, Tensor], outputs: BranchOutputs, label: Tensor, present: Tensor
    ) -> tuple[Tensor, ...]:
        """Return the plain sum, of heads that learn."""
        if self._config.alpha:
            self._require_learning_heads("alpha above 0", terms["branch"], present)
        return super().losses(terms, outputs, label, present)

    def modulate(self, base_lr: float | None = None) -> None:
        """Measure what was observed, then scale every encoder; call after backward and before clipping."""
        super().modulate(base_lr)
        if self._observed:
            self._measure()
        self._scale()
        self._replace_gradients()

    def apply(self, coefficient: Tensor | Sequence[float]) -> None:
        """Scale every encoder by these coefficients (M,), whatever rule they come from; then momentum.

        ``g_m <- kappa_m g_m`` or ``lr_m = kappa_m lr``, or from the next step on ``g_m^joint + kappa_m g_m^own``;
        nothing but the encoders is touched. They are what `last` gives.
        """
        self._write(*self._table[:-1], torch.as_tensor(coefficient).to(self._table))
        self.scaler.scale(coefficient)
        self._replace_gradients()

    def state_dict(self) -> dict[str, Tensor]:
        """Return all that a resumed run needs, as tensors by name. Call it between steps."""
        state = super().state_dict()
        if self._momentum is not None:
            state |= {f"momentum.{name}": tensor for name, tensor in self._momentum.state_dict().items()}
        return state

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take over a saved state of the same branches and momentum.

        Raises
        ------
        BundleError
            If names or shapes differ.
        """
        super().load_state_dict(state)
        if self._momentum is not None:
            prefix = "momentum."
            self._momentum.load_state_dict({name.removeprefix(prefix): tensor for name, tensor in state.items()
                                            if name.startswith(prefix)})

    def _measure(self) -> None:
        sums = sum_over_ranks(self._sums)
        seen = sums[1] > 0
        self._confidence.update(sums[0] / sums[1].clamp(min=1), seen)
        confidence = self._confidence.mean
        rho = discrepancy(confidence, self._confidence.known)
        self._smooth_coefficient.update(branch_coefficients(rho, self._config.alpha, self._config.beta), seen)
        # What is absent now has no own loss to scale now, but it may have one in the next batch.
        acting = self._smooth_coefficient.known if self.acts_on == "own" else seen
        kappa = self._smooth_coefficient.mean.where(acting, 1.0)
        self._write(confidence, rho, kappa)
        self._sums.zero_()
        self._observed = False

    def _replace_gradients(self) -> None:
        if self._momentum is not None:
            self._momentum.replace()

    def _state(self) -> dict[str, Tensor]:
        return super()._state() | {
            "confidence.total": self._confidence.total,
            "confidence.weight": self._confidence.weight,
            "coefficient.total": self._smooth_coefficient.total,
            "coefficient.weight": self._smooth_coefficient.weight,
        }


def _gradient_momentum(encoders: Mapping[str, nn.Module], config: ModulationConfig) -> GradientMomentum | None:
    if not config.momentum or config.momentum_on != "gradient":
        return None
    named = {
        f"{branch}.{name}": parameter
        for branch, encoder in encoders.items()
        for name, parameter in encoder.named_parameters()
    }
    return GradientMomentum(named, config.momentum)
