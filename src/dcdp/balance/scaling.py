"""The one place where a branch's learning is scaled: its gradients, or the learning rate of its group.

A branch is addressed as a module, never by a parameter's name or rank, so convolutions of any dimension,
biases and normalisation layers are all scaled and nothing else is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from dcdp.errors import ConfigError, unknown_name

__all__ = ["EncoderScaler", "branch_groups", "choose_target", "parameter_groups", "scale_parameters"]

# Their step is not proportional to the learning rate of that step, so scaling it would not scale the update.
NOT_PROPORTIONAL = (torch.optim.LBFGS, torch.optim.Rprop, torch.optim.ASGD, torch.optim.Adafactor)


class EncoderScaler:
    """Multiply what each encoder learns: its gradient or its learning rate, as suits the optimiser.

    Parameters
    ----------
    encoders
        Branch -> encoder, in the order of the M axis; on their device already.
    optimizer
        With groups from `parameter_groups` unless the coefficient acts on the gradient.
    acts_on
        As `choose_target` takes it; ``own`` leaves gradients and rates alone.

    Raises
    ------
    ConfigError
        If ``acts_on`` does not suit the optimiser, or a branch has no group to itself.
    """

    def __init__(self, encoders: Mapping[str, nn.Module], optimizer: Optimizer, acts_on: str) -> None:
        self.acts_on = choose_target(acts_on, optimizer)
        self.parameters = [list(encoder.parameters()) for encoder in encoders.values()]
        self.base_lr = [float(group["lr"]) for group in optimizer.param_groups]
        self._optimizer = optimizer
        self._groups = list(branch_groups(encoders, optimizer).values()) if self.acts_on == "update" else []

    @property
    def device(self) -> torch.device | None:
        """Where the network lives: of the encoders' parameters, or of others where encoders have nothing to learn."""
        groups = [group["params"] for group in self._optimizer.param_groups]
        return next((parameter.device for own in [*self.parameters, *groups] for parameter in own), None)

    def set_learning_rate(self, base_lr: float) -> None:
        """Set the learning rate of every group, before any coefficient; for a schedule that is computed outside."""
        self.base_lr = [float(base_lr)] * len(self.base_lr)
        for group in self._optimizer.param_groups:
            group["lr"] = float(base_lr)

    def scale(self, coefficient: Tensor | Sequence[float]) -> None:
        """Apply one coefficient a branch (M,): ``g_m <- kappa_m g_m`` or ``lr_m = kappa_m lr``; nothing else moves.

        Only where rates are scaled does a tensor cost a transfer from the device.
        """
        if self.acts_on == "gradient":
            for parameters, factor in zip(self.parameters, coefficient, strict=True):
                scale_parameters(parameters, factor)
        elif self.acts_on == "update":
            factors = coefficient.tolist() if isinstance(coefficient, Tensor) else coefficient
            self._scale_rates(factors)

    def _scale_rates(self, factors: Sequence[float]) -> None:
        factor_of = {id(group): factor for group, factor in zip(self._groups, factors, strict=True)}
        for group, base_lr in zip(self._optimizer.param_groups, self.base_lr, strict=True):
            group["lr"] = base_lr * factor_of.get(id(group), 1.0)


@torch.no_grad()
def scale_parameters(parameters: Iterable[nn.Parameter], factor: Tensor | float) -> None:
    """Multiply the gradients of exactly these parameters by a factor, in place and without a device sync.

    Parameters
    ----------
    parameters
        For example ``encoders[branch].parameters()``. Those without a gradient are passed over.
    factor
        A number or a 0-d tensor on the parameters' device.
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if gradients:
        torch._foreach_mul_(gradients, factor)


def parameter_groups(
    model: nn.Module, encoders: Mapping[str, nn.Module], lr: float, weight_decay: float = 0.0
) -> list[dict[str, Any]]:
    """Return one optimiser group per branch, named by the branch, and the group ``shared`` with the rest.

    Parameters
    ----------
    model
        The network; ``encoders`` are parts of it.
    encoders
        Branch -> encoder, as ``model.encoders``.
    lr
        Base learning rate of every group.
    weight_decay
        Of every group.

    Examples
    --------
    >>> encoders = {"acc": nn.Linear(2, 2), "gyr": nn.Linear(2, 2)}
    >>> model = nn.ModuleDict(encoders | {"head": nn.Linear(4, 3)})
    >>> [(group["name"], len(group["params"])) for group in parameter_groups(model, encoders, lr=0.1)]
    [('acc', 2), ('gyr', 2), ('shared', 2)]
    """
    owned = _owners(encoders)
    groups: list[dict[str, Any]] = [
        {"name": branch, "params": list(encoder.parameters())} for branch, encoder in encoders.items()
    ]
    rest = [parameter for parameter in model.parameters() if id(parameter) not in owned]
    groups.append({"name": "shared", "params": rest})
    return [group | {"lr": lr, "weight_decay": weight_decay} for group in groups if group["params"]]


def branch_groups(encoders: Mapping[str, nn.Module], optimizer: Optimizer) -> dict[str, dict[str, Any] | None]:
    """Return the optimiser's group of each branch: the one that holds its encoder's parameters and no others.

    A branch without parameters has no group.

    Raises
    ------
    ConfigError
        If a branch has no group to itself, or shares a parameter with another branch.
    """
    _owners(encoders)
    members = [(frozenset(map(id, group["params"])), group) for group in optimizer.param_groups]
    found: dict[str, dict[str, Any] | None] = {}
    for branch, encoder in encoders.items():
        own = frozenset(map(id, encoder.parameters()))
        found[branch] = next((group for ids, group in members if ids == own), None)
        if own and found[branch] is None:
            raise ConfigError("acts_on='update' needs one optimiser group per branch", f"none for '{branch}'",
                              "Make the groups with dcdp.balance.parameter_groups.")
    return found


def choose_target(acts_on: str, optimizer: Optimizer) -> str:
    """Return ``own``, ``gradient`` or ``update``: what the coefficient multiplies under this optimiser.

    An adaptive optimiser divides by the running size of the gradient, which undoes a factor on the gradient; so
    ``auto`` is ``gradient`` for SGD and ``update`` for all others.

    Raises
    ------
    ConfigError
        If the pair makes no sense.
    """
    name = type(optimizer).__name__
    if acts_on not in ("auto", "gradient", "own", "update"):
        raise unknown_name("acts_on", acts_on, ("auto", "gradient", "own", "update"))
    if isinstance(optimizer, NOT_PROPORTIONAL):
        raise ConfigError("modulation needs an optimiser whose step is proportional to its learning rate", name,
                          "Take SGD or AdamW.")
    if acts_on == "gradient" and not isinstance(optimizer, SGD):
        raise ConfigError("acts_on='gradient' needs SGD", f"{name}, which divides the factor out again",
                          "Set modulation.acts_on='update' (or 'auto'), or train with SGD.")
    if acts_on == "auto":
        return "gradient" if isinstance(optimizer, SGD) else "update"
    return acts_on


def _owners(encoders: Mapping[str, nn.Module]) -> dict[int, str]:
    """Return id of parameter -> branch, after checking that no two branches share one."""
    owners: dict[int, str] = {}
    for branch, encoder in encoders.items():
        for parameter in encoder.parameters():
            other = owners.setdefault(id(parameter), branch)
            if other != branch:
                raise ConfigError("a parameter must belong to one encoder", f"one in '{other}' and '{branch}'",
                                  "Give each branch its own encoder.")
    return owners
