"""Leave the gradient of the objective in the parameters, at once or micro-batch by micro-batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from dcdp.balance import BalanceRule
from dcdp.batches import Batch
from dcdp.models.dual_path import Outputs
from dcdp.objectives import ObjectiveConfig, objective_terms

__all__ = ["backward"]

Forward = Callable[[Batch], Outputs]
Losses = Callable[[Outputs], tuple[Sequence[Tensor], dict[str, Tensor]]]


def backward(
    forward: Forward, batch: Batch, config: ObjectiveConfig, progress: float, rule: BalanceRule, n_parts: int = 1
) -> tuple[Outputs, dict[str, Tensor]]:
    """Leave the gradient of the objective over the whole batch in the parameters.

    Parameters
    ----------
    forward
        Runs the network on a batch.
    batch, config, progress
        As `dcdp.objectives.objective_terms` takes them.
    rule
        Makes the terms into what is differentiated, and is told after each backward pass.
    n_parts
        Micro-batches that the batch is split into.

    Returns
    -------
    outputs
        Of the whole batch.
    parts
        Of the objective, see `dcdp.objectives.objective`.
    """

    def losses(outputs: Outputs) -> tuple[Sequence[Tensor], dict[str, Tensor]]:
        terms, parts = objective_terms(outputs, batch.label, batch.present, config, progress)
        given = rule.losses(terms, outputs, batch.label, batch.present)
        total = torch.stack(given).sum() if len(given) > 1 else given[0]
        return given, {"total": total.detach(), **parts}

    if n_parts > 1:
        return _backward_in_parts(forward, batch, losses, rule, n_parts)
    outputs = forward(batch)
    given, parts = losses(outputs)
    for place, loss in enumerate(given):
        torch.autograd.backward(loss, retain_graph=place < len(given) - 1)
        rule.after_backward(place)
    return outputs, parts


def _backward_in_parts(
    forward: Forward, batch: Batch, losses: Losses, rule: BalanceRule, n_parts: int
) -> tuple[Outputs, dict[str, Tensor]]:
    """Backpropagate micro-batch by micro-batch with the objective still taken over the whole batch.

    Contrast compares all windows of a batch, so losses of micro-batches cannot be added up. The outputs are
    computed without a graph, the objective's gradient with respect to them is taken once, and each
    micro-batch is run again to carry its part back (Gao et al. 2021, arXiv 2101.06983, "gradient caching").
    """
    size = -(-len(batch) // n_parts)
    micro_batches = [batch.part(i, min(i + size, len(batch))) for i in range(0, len(batch), size)]
    seeds = torch.randint(2**62, (len(micro_batches),)).tolist()
    pieces = []
    with torch.no_grad():
        for part, seed in zip(micro_batches, seeds, strict=True):
            torch.manual_seed(seed)
            pieces.append(_tensors(forward(part)))
    whole = [torch.cat(column).requires_grad_() for column in zip(*pieces, strict=True)]
    outputs = Outputs(whole[0], whole[1], tuple(whole[4:]), whole[2], whole[3])
    given, parts = losses(outputs)
    gradients = [torch.autograd.grad(loss, whole, retain_graph=True, allow_unused=True) for loss in given]
    start = 0
    for part, seed in zip(micro_batches, seeds, strict=True):
        torch.manual_seed(seed)  # the same dropout as in the first run
        again = _tensors(forward(part))
        for place, of_loss in enumerate(gradients):
            pairs = [(t, g[start : start + len(part)]) for t, g in zip(again, of_loss, strict=True) if g is not None]
            last = place == len(gradients) - 1
            torch.autograd.backward([t for t, _ in pairs], [g for _, g in pairs], retain_graph=not last)
            rule.after_backward(place)
        start += len(part)
    return outputs, parts


def _tensors(outputs: Outputs) -> list[Tensor]:
    return [outputs.joint, outputs.branch, outputs.embedding, outputs.encoded, *outputs.stages]
