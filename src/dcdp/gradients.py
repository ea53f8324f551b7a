"""Leave the gradient of the objective in the parameters, at once or micro-batch by micro-batch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from dcdp.batches import Batch
from dcdp.models.dual_path import Outputs
from dcdp.objectives import ObjectiveConfig, objective

__all__ = ["backward"]

Forward = Callable[[Batch], Outputs]


def backward(
    forward: Forward, batch: Batch, config: ObjectiveConfig, progress: float, n_parts: int = 1
) -> tuple[Outputs, dict[str, Tensor]]:
    """Leave the gradient of the objective over the whole batch in the parameters.

    Parameters
    ----------
    forward
        Runs the network on a batch.
    batch, config, progress
        As `dcdp.objectives.objective` takes them.
    n_parts
        Micro-batches that the batch is split into.

    Returns
    -------
    outputs
        Of the whole batch.
    parts
        Of the objective, see `dcdp.objectives.objective`.
    """
    if n_parts > 1:
        return _backward_in_parts(forward, batch, config, progress, n_parts)
    outputs = forward(batch)
    total, parts = objective(outputs, batch.label, batch.present, config, progress)
    torch.autograd.backward(total)
    return outputs, parts


def _backward_in_parts(
    forward: Forward, batch: Batch, config: ObjectiveConfig, progress: float, n_parts: int
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
    outputs = Outputs(whole[0], whole[1], tuple(whole[3:]), whole[2])
    total, parts = objective(outputs, batch.label, batch.present, config, progress)
    gradients = torch.autograd.grad(total, whole, allow_unused=True)
    start = 0
    for part, seed in zip(micro_batches, seeds, strict=True):
        torch.manual_seed(seed)  # the same dropout as in the first run
        again = _tensors(forward(part))
        pairs = [(t, g[start : start + len(part)]) for t, g in zip(again, gradients, strict=True) if g is not None]
        torch.autograd.backward([t for t, _ in pairs], [g for _, g in pairs])
        start += len(part)
    return outputs, parts


def _tensors(outputs: Outputs) -> list[Tensor]:
    return [outputs.joint, outputs.branch, outputs.embedding, *outputs.stages]
