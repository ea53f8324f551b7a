"""MMPareto: where joint and own gradient of an encoder conflict, step along the shortest of their mixtures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from dcdp.balance.limits import require_not_negative
from dcdp.balance.rule import BalanceRule, BranchNetwork, BranchOutputs

__all__ = ["Mmpareto", "MmparetoConfig", "pareto_weight"]

TINY = 1e-30
LIMIT = 10.0  # most that a shortened gradient is drawn out: of opposite ones nothing but rounding is left to draw out


_Parts = tuple[nn.Parameter, Tensor, Tensor]  # joint and own gradient of a parameter


@dataclass(frozen=True, slots=True)
class MmparetoConfig:
    """How far MMPareto steps.

    Attributes
    ----------
    gamma
        Factor on the step of every encoder, >= 0.
    """

    gamma: float = 1.5

    def __post_init__(self) -> None:
        require_not_negative("modulation.mmpareto.gamma", self.gamma)


def pareto_weight(joint_square: Tensor, own_square: Tensor, dot: Tensor) -> Tensor:
    """Return the weight w of the joint gradient a in the mixture ``w a + (1 - w) b`` with the own gradient b.

    One half where they agree (``a . b >= 0``), else that of the shortest mixture, ``b . (b - a) / |a - b|^2``.

    Parameters
    ----------
    joint_square, own_square, dot
        ``|a|^2``, ``|b|^2`` and ``a . b``: scalars, or (M,).

    Examples
    --------
    >>> pareto_weight(torch.tensor([4.0, 4.0]), torch.tensor([1.0, 1.0]), torch.tensor([1.0, -1.0])).tolist()
    ... # doctest: +NUMBER
    [0.500, 0.286]
    """
    shortest = (own_square - dot) / (joint_square + own_square - 2 * dot).clamp(min=TINY)
    return torch.where(dot < 0, shortest.clamp(0, 1), 0.5)


class Mmpareto(BalanceRule):
    """Pareto integration of the joint and the own gradient of each encoder.

    ::

        a, b    gradients of encoder m from the joint loss (with contrast) and from its own head's loss
        w       1/2 if a . b >= 0, else argmin |w a + (1 - w) b|
        h       = 2 (w a + (1 - w) b)
        g_m    <- gamma h max(1, |a + b| / |h|)

    References
    ----------
    Wei, Hu (2024). MMPareto: Boosting Multimodal Learning with Innocent Unimodal Assistance. ICML, algorithm 1.

    Notes
    -----
    Certain: the case distinction, the smallest-norm mixture, the norm kept at that of the plain sum, the factor gamma.
    Ours:

    - norms and products are over all parameters of an encoder; a public version rescales tensor by tensor;
    - a, b carry the weights of the objective, whose branch losses are averaged where the public code adds them up: b is
      one M-th of the branch's loss at ``objective.branch = 1``. That moves w; set it to M for the paper's plain sum;
    - opposite gradients leave only rounding, which is drawn out at most tenfold;
    - under an adaptive optimiser h is the gradient, since its direction survives, and gamma multiplies the learning
      rate of the branch, since as a factor on the gradient it would be divided out;
    - heads and fusion get the plain sum. What is logged as coefficient is ``2 (1 - w)``, 1 without conflict.

    Costs a second backward pass.
    """

    measures = ("cosine", "coefficient")

    def __init__(self, network: BranchNetwork, optimizer: Optimizer, acts_on: str, config: MmparetoConfig) -> None:
        super().__init__(network, optimizer, acts_on)
        self._config = config
        self._apart: list[list[Tensor | None]] = [[], []]

    def losses(
        self, terms: Mapping[str, Tensor], outputs: BranchOutputs, label: Tensor, present: Tensor  # noqa: ARG002
    ) -> tuple[Tensor, ...]:
        """Differentiate the joint and the branch losses apart."""
        return terms["joint"] + terms["contrast"], terms["branch"].mean()

    @torch.no_grad()
    def after_backward(self, place: int) -> None:
        """Take the gradient of this loss out of the encoders, and add it up over micro-batches."""
        taken = [_take(parameter) for own in self.scaler.parameters for parameter in own]
        before = self._apart[place] or [None] * len(taken)
        self._apart[place] = [_add(one, other) for one, other in zip(before, taken, strict=True)]

    @torch.no_grad()
    def modulate(self, base_lr: float | None = None) -> None:
        """Put the mixture into each encoder, and stretch the step."""
        super().modulate(base_lr)
        rows = []
        start = 0
        for parameters in self.scaler.parameters:
            joint, own = (apart[start : start + len(parameters)] for apart in self._apart)
            rows.append(_mix(_learning(parameters, joint, own)).to(self._table))  # of no parameters it is on the CPU
            start += len(parameters)
        self._apart = [[], []]
        self._write(*torch.stack(rows, 1))
        self.scaler.scale([self._config.gamma] * len(self.branches))


def _take(parameter: nn.Parameter) -> Tensor | None:
    gradient, parameter.grad = parameter.grad, None
    return gradient


def _add(one: Tensor | None, other: Tensor | None) -> Tensor | None:
    """Return the sum, of which None is no part."""
    if one is None or other is None:
        return other if one is None else one
    return one.add_(other)


def _learning(
    parameters: Sequence[nn.Parameter], joint: Sequence[Tensor | None], own: Sequence[Tensor | None]
) -> list[_Parts]:
    """Return the parameters that got a gradient, each with both parts of it; the others are frozen and stay so."""
    return [
        (parameter, torch.zeros_like(parameter) if a is None else a, torch.zeros_like(parameter) if b is None else b)
        for parameter, a, b in zip(parameters, joint, own, strict=True)
        if a is not None or b is not None
    ]


def _mix(learning: Sequence[_Parts]) -> Tensor:
    """Set the gradients of one encoder; return the cosine and the coefficient, (2,)."""
    joint, own = [a for _, a, _ in learning], [b for _, _, b in learning]
    joint_square, own_square, dot = _dot(joint, joint), _dot(own, own), _dot(joint, own)
    w = pareto_weight(joint_square, own_square, dot)
    plain = (joint_square + own_square + 2 * dot).clamp(min=0)
    mixed = 4 * (w**2 * joint_square + (1 - w) ** 2 * own_square + 2 * w * (1 - w) * dot)
    stretch = (plain / mixed.clamp(min=TINY)).sqrt().clamp(1, LIMIT)
    for parameter, a, b in learning:
        parameter.grad = (2 * stretch) * (w * a + (1 - w) * b)
    # Roots before the product: the product of the squares of two tiny gradients would be 0.
    size = (joint_square.sqrt() * own_square.sqrt()).clamp(min=torch.finfo(dot.dtype).tiny)
    return torch.stack([dot / size, 2 * (1 - w)])


def _dot(first: list[Tensor], second: list[Tensor]) -> Tensor:
    products = [(a * b).sum() for a, b in zip(first, second, strict=True)]
    return torch.stack(products).sum() if products else torch.zeros(())
