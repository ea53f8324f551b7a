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
- A branch that no window of the batch has keeps its confidence, which the others are still compared with, and gets
  ``kappa = 1``. A branch that was never seen is compared with nobody.
- A step without a new observation keeps the coefficients of the last one. So the confidence may also be observed on a
  batch of validation subjects every few steps: on training windows a network that memorises looks confident.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from dcdp.balance.coefficients import branch_coefficients
from dcdp.balance.confidence import MovingMean, confidence_sums, discrepancy, sum_over_ranks
from dcdp.balance.momentum import GradientMomentum
from dcdp.balance.scaling import branch_groups, choose_target, scale_parameters
from dcdp.errors import BundleError, ConfigError, unknown_name

__all__ = ["ModulationConfig", "Modulator"]

ActsOn = Literal["auto", "own", "gradient", "update"]
MomentumOn = Literal["gradient", "coefficient"]
MEASURES = ("confidence", "discrepancy", "coefficient")


@dataclass(frozen=True, slots=True)
class ModulationConfig:
    """How hard to modulate, and what.

    Attributes
    ----------
    alpha
        How hard to react to a discrepancy, >= 0; 0 with ``momentum = 0`` is exactly plain training.
    beta
        How much to lift the branches that lag, >= 0; 0 only brakes the leader.
    smoothing
        Of the confidence over steps, in ``[0, 1)``.
    momentum
        mu in ``[0, 1)``; 0 is off.
    momentum_on
        ``gradient``: mean over the encoders' gradients; ``coefficient``: mean over kappa only.
    acts_on
        ``gradient`` (SGD only), ``update`` (the branch's learning rate), ``auto`` (the one of these that suits the
        optimiser), or ``own``: what the encoder learns from its own head's loss, under any optimiser.
    """

    alpha: float = 1.0
    beta: float = 0.0
    smoothing: float = 0.9
    momentum: float = 0.0
    momentum_on: MomentumOn = "gradient"
    acts_on: ActsOn = "auto"

    def __post_init__(self) -> None:
        for name in ("alpha", "beta"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ConfigError(f"{name} must be finite and not negative", getattr(self, name), "0 turns it off.")
        for name in ("smoothing", "momentum"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} must lie in [0, 1)", getattr(self, name), "0 turns it off.")
        if self.momentum_on not in get_args(MomentumOn):
            raise unknown_name("momentum_on", self.momentum_on, get_args(MomentumOn))
        if self.acts_on not in get_args(ActsOn):
            raise unknown_name("acts_on", self.acts_on, get_args(ActsOn))


class Modulator:
    """Observe the branches at every (micro-)batch, then modulate once before the step.

    ::

        for micro_batch in batch:
            ... forward, objective, backward
            modulator.observe(outputs.branch, label, present)
        modulator.modulate(base_lr)      # after unscaling, before clipping
        optimizer.step()

    Parameters
    ----------
    encoders
        Branch -> encoder, in the order of the M axis; on their device already.
    optimizer
        With groups from `parameter_groups` unless the coefficient acts on the gradient.
    config
        How to modulate.

    Raises
    ------
    ConfigError
        If ``acts_on`` does not suit the optimiser, or a branch has no group to itself.
    """

    def __init__(self, encoders: Mapping[str, nn.Module], optimizer: Optimizer, config: ModulationConfig) -> None:
        self.branches = tuple(encoders)
        self.acts_on = choose_target(config.acts_on, optimizer)
        self._config, self._optimizer = config, optimizer
        self._parameters = [list(encoder.parameters()) for encoder in encoders.values()]
        self._groups = list(branch_groups(encoders, optimizer).values()) if self.acts_on == "update" else []
        self._base_lr = [float(group["lr"]) for group in optimizer.param_groups]
        n_branches = len(self.branches)
        groups = [group["params"] for group in optimizer.param_groups]  # encoders may have nothing that learns
        device = next((parameter.device for own in [*self._parameters, *groups] for parameter in own), None)
        self._sums = torch.zeros(2, n_branches, device=device)
        self._confidence = MovingMean(n_branches, config.smoothing, device)
        self._smooth_coefficient = MovingMean(
            n_branches, config.momentum if config.momentum_on == "coefficient" else 0.0, device)
        self._momentum = _gradient_momentum(encoders, config)
        self._table = torch.tensor([0.0, 1.0, 1.0], device=device)[:, None].repeat(1, n_branches)
        self._observed = False
        self._read: list[list[float]] | None = None

    def observe(self, branch_logits: Tensor, label: Tensor, present: Tensor) -> None:
        """Take in the branch logits (B, M, K), labels (B,) and presence (B, M) of one (micro-)batch; no device sync."""
        if branch_logits.shape[1] != len(self.branches):
            raise ConfigError(f"logits must have one entry per branch ({', '.join(self.branches)})",
                              f"{branch_logits.shape[1]} entries", "Give (B, M, K) in the order of the encoders.")
        self._sums += confidence_sums(branch_logits.detach(), label, present)
        self._observed = True

    @property
    def own_scale(self) -> Tensor | None:
        """The coefficients (M,) for `DualPath.forward`, of the last step; None unless they act on the own loss."""
        return self._table[2] if self.acts_on == "own" and self._config.alpha else None

    def set_learning_rate(self, base_lr: float) -> None:
        """Set the learning rate of every group, before any coefficient; for a schedule that is computed outside."""
        self._base_lr = [float(base_lr)] * len(self._base_lr)
        for group in self._optimizer.param_groups:
            group["lr"] = float(base_lr)

    def modulate(self, base_lr: float | None = None) -> None:
        """Measure what was observed, then scale every encoder; call after backward and before clipping.

        Parameters
        ----------
        base_lr
            Learning rate of this step before any coefficient; None keeps the last one. Torch's schedulers read the
            rate back from the optimiser, where they would find it scaled: pass the rate here instead.
        """
        if base_lr is not None:
            self.set_learning_rate(base_lr)
        if self._observed:
            self._measure()
        self.apply(self._numbers()[2] if self.acts_on == "update" else self._table[2])

    def apply(self, coefficient: Tensor | Sequence[float]) -> None:
        """Scale every encoder by these coefficients (M,), whatever rule they come from; then momentum.

        ``g_m <- kappa_m g_m`` or ``lr_m = kappa_m lr``, or from the next step on ``g_m^joint + kappa_m g_m^own``;
        nothing but the encoders is touched.
        """
        if self.acts_on == "gradient":
            for parameters, factor in zip(self._parameters, coefficient, strict=True):
                scale_parameters(parameters, factor)
        elif self.acts_on == "own":
            self._table[2] = torch.as_tensor(coefficient)
        else:
            factors = coefficient.tolist() if isinstance(coefficient, Tensor) else coefficient
            self._scale_rates(factors)
        if self._momentum is not None:
            self._momentum.replace()

    def last(self) -> dict[str, dict[str, float]]:
        """Return confidence, discrepancy and coefficient of the last step by branch, for the log.

        One transfer from the device at most. A branch that was never seen has confidence 0.
        """
        return {
            measure: dict(zip(self.branches, row, strict=True))
            for measure, row in zip(MEASURES, self._numbers(), strict=True)
        }

    def state_dict(self) -> dict[str, Tensor]:
        """Return all that a resumed run needs, as tensors by name. Call it between steps."""
        state = {name: tensor.clone() for name, tensor in self._state().items()}
        state["base_lr"] = torch.tensor(self._base_lr, dtype=torch.float64)
        if self._momentum is not None:
            state |= {f"momentum.{name}": tensor for name, tensor in self._momentum.state_dict().items()}
        return state

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take over a saved state of the same branches, groups and momentum.

        Raises
        ------
        BundleError
            If names or shapes differ.
        """
        wanted = {name: tensor.shape for name, tensor in self.state_dict().items()}
        given = {name: tensor.shape for name, tensor in state.items()}
        if wanted != given:
            odd = sorted(name for name in wanted.keys() | given.keys() if wanted.get(name) != given.get(name))
            raise BundleError("modulation must resume with the branches and momentum it was saved with",
                              f"a difference in {', '.join(odd)}", "Resume with the configuration of the run.")
        for name, tensor in self._state().items():
            tensor.copy_(state[name])
        self._base_lr = state["base_lr"].tolist()
        self._read = None
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
        kappa = self._smooth_coefficient.mean.where(seen, 1.0)
        self._table = torch.stack([confidence, rho, kappa])
        self._sums.zero_()
        self._observed, self._read = False, None

    def _scale_rates(self, factors: Sequence[float]) -> None:
        factor_of = {id(group): factor for group, factor in zip(self._groups, factors, strict=True)}
        for group, base_lr in zip(self._optimizer.param_groups, self._base_lr, strict=True):
            group["lr"] = base_lr * factor_of.get(id(group), 1.0)

    def _numbers(self) -> list[list[float]]:
        if self._read is None:
            self._read = self._table.tolist()
        return self._read

    def _state(self) -> dict[str, Tensor]:
        return {
            "table": self._table,
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
