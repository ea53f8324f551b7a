"""What every balancing rule may do in the training loop; by itself, nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from dcdp.balance.scaling import EncoderScaler
from dcdp.errors import BundleError, ConfigError

__all__ = ["BalanceRule", "BranchHeads", "BranchNetwork", "BranchOutputs"]


class BranchOutputs(Protocol):
    """What a rule reads of a network's outputs."""

    @property
    def joint(self) -> Tensor:
        """(B, K) logits of the joint head."""

    @property
    def branch(self) -> Tensor:
        """(B, M, K) logits of the branch heads."""

    @property
    def embedding(self) -> Tensor:
        """(B, M, E) branch embeddings as they enter the fusion."""

    @property
    def encoded(self) -> Tensor:
        """(B, M, D) branch embeddings as they leave the encoders."""


class BranchHeads(Protocol):
    """The heads of all branches as one layer."""

    @property
    def weight(self) -> Tensor:
        """(M, D, K) from the encoders' embeddings to the logits."""


class BranchNetwork(Protocol):
    """What a rule asks of a network."""

    @property
    def heads(self) -> BranchHeads:
        """The branch heads."""

    @property
    def encoders(self) -> nn.ModuleDict:
        """Branch -> encoder, in the order of the M axis."""

    def joint_parts(self, embedding: Tensor) -> Tensor:
        """Return what each branch adds to the joint logits (B, M, K)."""


class BalanceRule:
    """The hooks of the training loop, in the order in which it calls them; the rule ``none`` leaves them as they are.

    ::

        for batch in epoch:
            outputs = network(batch, **rule.forward_options())
            for place, loss in enumerate(rule.losses(terms, outputs, label, present)):
                loss.backward()
                rule.after_backward(place)
            rule.observe(outputs, label, present)
            rule.modulate(base_lr)              # after all of the gradient is there, before clipping
            optimizer.step()
        rule.end_epoch(figures of the validation subjects)

    A rule overrides the few that it needs. What it remembers between steps stands in `_state`, so that training
    resumes to the bit; what it wants logged stands in rows of ``_table``, one a measure.

    Parameters
    ----------
    network
        Its encoders are on their device already.
    optimizer
        With groups from `dcdp.balance.parameter_groups`.
    acts_on
        What a coefficient multiplies, see `dcdp.balance.choose_target`.

    Raises
    ------
    ConfigError
        If ``acts_on`` does not suit the optimiser, or a branch has no group to itself.
    """

    measures: ClassVar[tuple[str, ...]] = ("coefficient",)

    def __init__(self, network: BranchNetwork, optimizer: Optimizer, acts_on: str = "auto") -> None:
        self.encoders: dict[str, nn.Module] = dict(network.encoders.items())
        self.branches = tuple(self.encoders)
        self.scaler = EncoderScaler(self.encoders, optimizer, acts_on)
        self.device = self.scaler.device
        self._table = torch.zeros(len(self.measures), len(self.branches), device=self.device)
        self._table[-1] = 1.0  # the coefficient, always the last
        self._read: list[list[float]] | None = None
        self._begun = False

    @property
    def acts_on(self) -> str:
        """``gradient``, ``update`` or ``own``: what a coefficient multiplies."""
        return self.scaler.acts_on

    def forward_options(self) -> dict[str, Any]:
        """Return keyword arguments of the network's forward pass."""
        return {}

    def losses(
        self, terms: Mapping[str, Tensor], outputs: BranchOutputs, label: Tensor, present: Tensor  # noqa: ARG002
    ) -> tuple[Tensor, ...]:
        """Return the scalars to differentiate, each by a backward pass of its own.

        Parameters
        ----------
        terms
            ``joint`` scalar, ``branch`` (M,), ``contrast`` scalar, see `dcdp.objectives.objective_terms`.
        outputs
            Of the whole batch.
        label
            (B,) int64 class index.
        present
            (B, M) bool.
        """
        return (terms["joint"] + terms["branch"].mean() + terms["contrast"],)

    def after_backward(self, place: int) -> None:
        """Look at the gradient that loss number ``place`` has left (of a micro-batch, where there are any)."""

    def observe(self, outputs: BranchOutputs, label: Tensor, present: Tensor) -> None:
        """Take in the outputs of a (micro-)batch, its labels (B,) and presence (B, M); no device sync."""

    def modulate(self, base_lr: float | None = None) -> None:
        """Change what the encoders learn in this step.

        Parameters
        ----------
        base_lr
            Learning rate of this step before any coefficient; None keeps the last one. Torch's schedulers read the
            rate back from the optimiser, where they would find it scaled: pass the rate here instead.
        """
        if base_lr is not None:
            self.scaler.set_learning_rate(base_lr)

    def end_epoch(self, validation: Mapping[str, Any]) -> None:
        """Take in the figures of the validation subjects; empty where training goes to the end without any."""

    def last(self) -> dict[str, dict[str, float]]:
        """Return every measure of the last step by branch, for the log; one transfer from the device at most."""
        rows = zip(self.measures, self._numbers(), strict=True)
        return {measure: dict(zip(self.branches, row, strict=True)) for measure, row in rows}

    def state_dict(self) -> dict[str, Tensor]:
        """Return all that a resumed run needs, as tensors by name. Call it between steps."""
        state = {name: tensor.clone() for name, tensor in self._state().items()}
        return state | {"base_lr": torch.tensor(self.scaler.base_lr, dtype=torch.float64)}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take over a saved state of the same rule and branches.

        Raises
        ------
        BundleError
            If names or shapes differ.
        """
        wanted = {name: tensor.shape for name, tensor in self.state_dict().items()}
        given = {name: tensor.shape for name, tensor in state.items()}
        if wanted != given:
            odd = sorted(name for name in wanted.keys() | given.keys() if wanted.get(name) != given.get(name))
            raise BundleError("modulation must resume with the rule, branches and momentum it was saved with",
                              f"a difference in {', '.join(odd)}", "Resume with the configuration of the run.")
        for name, tensor in self._state().items():
            tensor.copy_(state[name])
        self.scaler.base_lr = state["base_lr"].tolist()
        self._read = None
        self._begun = True

    def _state(self) -> dict[str, Tensor]:
        """Return the tensors that outlive a step, themselves: loading copies into them."""
        return {"table": self._table}

    def _require_learning_heads(self, setting: str, branch: Tensor, present: Tensor) -> None:
        """Refuse, at the first step, branch losses (M,) of weight 0: the rule would act on heads that learn nothing.

        Not where the configuration is built: it is also built of files of runs that are over.
        """
        if self._begun:
            return
        self._begun = True
        if present.any() and not branch.any():
            raise ConfigError(f"modulation.{setting} needs objective.branch above 0", 0,
                              "Set objective.branch=1, or modulation.rule=none.")

    def _write(self, *rows: Tensor) -> None:
        """Set the measures of this step, one row (M,) each, the coefficient last."""
        self._table = torch.stack(rows)
        self._read = None

    def _numbers(self) -> list[list[float]]:
        if self._read is None:
            self._read = self._table.tolist()
        return self._read

    def _scale(self) -> None:
        """Scale the encoders by the last row of the table."""
        on_update = self.acts_on == "update"
        self.scaler.scale(self._numbers()[-1] if on_update else self._table[-1])  # the log reads the same numbers
