"""How sure each branch is of the truth, over the batch, over all ranks and over steps."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor

from dcdp.errors import ConfigError

__all__ = ["MovingMean", "confidence_sums", "discrepancy", "mean_of_others", "sum_over_ranks"]

SMALLEST = 1e-12  # keeps a quotient of confidences finite


@torch.no_grad()
def confidence_sums(branch_logits: Tensor, label: Tensor, present: Tensor) -> Tensor:
    """Return the sum over windows of ``softmax(u_m)[y]``, and the number of windows, per branch.

    Sums, not means: they add up over micro-batches and over ranks of different presence, so that
    ``c_m = sum / count`` is the mean over the whole batch.

    Parameters
    ----------
    branch_logits
        (B, M, K) logits ``u_m`` of the branch heads.
    label
        (B,) int64 class index ``y``.
    present
        (B, M) bool; an absent branch counts nothing, nor does one with logits that are not finite.

    Returns
    -------
    Tensor
        (2, M) float32: sums and counts.

    Examples
    --------
    >>> logits = torch.tensor([[[0.0, 0.0], [9.0, -9.0]], [[0.0, 0.0], [0.0, 0.0]]])
    >>> present = torch.tensor([[True, True], [True, False]])
    >>> confidence_sums(logits, torch.tensor([0, 1]), present)
    tensor([[1., 1.],
            [2., 1.]])
    """
    probability = branch_logits.float().softmax(dim=-1)
    index = label[:, None, None].expand(-1, branch_logits.shape[1], 1)
    truth = probability.gather(2, index).squeeze(2)
    counted = present & truth.isfinite()
    return torch.stack([truth.where(counted, 0.0).sum(dim=0), counted.sum(dim=0).to(truth.dtype)])


def sum_over_ranks(sums: Tensor) -> Tensor:
    """Return the sum over all ranks of a data-parallel run, or ``sums`` itself on one rank.

    Notes
    -----
    Without it each replica would scale its gradient by its own coefficient, and the replicas would drift apart.
    """
    if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
        sums = sums.clone()
        dist.all_reduce(sums, op=dist.ReduceOp.SUM)
    return sums


def discrepancy(confidence: Tensor, known: Tensor | None = None) -> Tensor:
    """Return ``rho_m = c_m / mean_{j != m} c_j``, how far branch m runs ahead of the others.

    Parameters
    ----------
    confidence
        (M,) c_m in ``[0, 1]``.
    known
        (M,) bool, False for a branch that was never seen: it is nobody's rival and has ``rho = 1``.

    Returns
    -------
    Tensor
        (M,) finite and not negative; 1 where there is no other branch.

    References
    ----------
    Ji et al. (2025), arXiv 2507.02826.

    Notes
    -----
    Ours: the paper's equation is not known to us.

    Examples
    --------
    >>> discrepancy(torch.tensor([0.8, 0.4, 0.4])).tolist()  # doctest: +NUMBER
    [2.0, 0.67, 0.67]
    """
    known = torch.ones_like(confidence, dtype=torch.bool) if known is None else known
    others, n_others = mean_of_others(confidence, known)
    rho = confidence.where(known, 0.0).clamp(min=SMALLEST) / others.clamp(min=SMALLEST)
    return rho.where(known & (n_others > 0), 1.0)


def mean_of_others(value: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """Return ``mean_{j != m} x_j`` over the known branches (M,), 0 where there is none, and how many there are (M,).

    Examples
    --------
    >>> mean_of_others(torch.tensor([3.0, 1.0, 5.0]), torch.tensor([True, True, False]))
    (tensor([1., 3., 2.]), tensor([1, 1, 2]))
    """
    value = value.where(known, 0.0)
    # A loop-free sum over the others. Subtracting x_m from the total would lose digits where x_m is nearly all of it.
    others = value.expand(len(value), -1).masked_fill(torch.eye(len(value), dtype=torch.bool, device=value.device), 0.0)
    n_others = known.sum() - known.to(torch.int64)
    return others.sum(dim=1) / n_others.clamp(min=1), n_others


class MovingMean:
    """Exponential mean over steps with bias correction, one entry per branch.

    ``s <- lambda s + (1 - lambda) x``, ``w <- lambda w + (1 - lambda)``, mean ``s / w``; ``w`` is the usual
    ``1 - lambda^t`` where t counts the steps at which the entry was valid. An entry that is not valid keeps its mean.

    Parameters
    ----------
    n_branches
        M.
    smoothing
        lambda in ``[0, 1)``; 0 keeps the latest value only.
    device
        Where the sums live.
    """

    def __init__(self, n_branches: int, smoothing: float, device: torch.device | str | None = None) -> None:
        if not 0 <= smoothing < 1:
            raise ConfigError("smoothing must lie in [0, 1)", smoothing, "0 is no smoothing, 0.9 about ten steps.")
        self.smoothing = smoothing
        self.total = torch.zeros(n_branches, device=device)
        self.weight = torch.zeros(n_branches, device=device)

    def update(self, value: Tensor, valid: Tensor) -> None:
        """Take in the values (M,) of one step where ``valid`` (M,) is True."""
        gain = 1 - self.smoothing
        self.total = torch.where(valid, self.smoothing * self.total + gain * value, self.total)
        self.weight = torch.where(valid, self.smoothing * self.weight + gain, self.weight)

    @property
    def known(self) -> Tensor:
        """(M,) bool, True where a value was ever taken in."""
        return self.weight > 0

    @property
    def mean(self) -> Tensor:
        """(M,) bias-corrected means; 0 where nothing is known."""
        return self.total / self.weight.where(self.known, 1.0)
