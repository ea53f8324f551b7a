"""Cross-entropy of the joint head and of the branch heads, under a presence mask."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor

__all__ = ["branch_loss", "branch_losses", "joint_loss"]


def joint_loss(
    logits: Tensor,
    label: Tensor,
    present: Tensor,
    label_smoothing: float = 0.0,
    class_weights: Tensor | None = None,
) -> Tensor:
    """Return the cross-entropy of the joint head, averaged over windows that have a branch.

    Parameters
    ----------
    logits
        (B, K) logits of the joint head.
    label
        (B,) int64 class index in ``[0, K)``.
    present
        (B, M) bool, True where the branch was recorded.
    label_smoothing
        Share of the target spread over all classes, in ``[0, 1)``.
    class_weights
        (K,) weight of each class; the mean is then weighted, as in `torch.nn.functional.cross_entropy`.

    Returns
    -------
    Tensor
        Scalar; 0 (with a usable gradient) if no window has a branch.
    """
    usable = present.any(dim=1, keepdim=True)
    return branch_losses(logits[:, None], label, usable, label_smoothing, class_weights).mean()


def branch_loss(
    logits: Tensor,
    label: Tensor,
    present: Tensor,
    label_smoothing: float = 0.0,
    class_weights: Tensor | None = None,
) -> Tensor:
    """Return the cross-entropy of the branch heads: mean over present windows, then over all M branches.

    A branch that no window has counts as 0, so that the gradient of a branch does not depend on which
    other branches happen to be absent.

    Parameters
    ----------
    logits
        (B, M, K) logits of each branch's head. Absent entries may hold anything, NaN included.
    label, present, label_smoothing, class_weights
        As in `joint_loss`.

    Returns
    -------
    Tensor
        Scalar, never NaN.

    Examples
    --------
    >>> logits = torch.zeros(4, 2, 8, dtype=torch.float64)
    >>> everywhere = torch.ones(4, 2, dtype=torch.bool)
    >>> round(branch_loss(logits, torch.arange(4), everywhere).item(), 4)  # ln 8
    2.0794
    """
    return branch_losses(logits, label, present, label_smoothing, class_weights).mean()


def branch_losses(
    logits: Tensor,
    label: Tensor,
    present: Tensor,
    label_smoothing: float = 0.0,
    class_weights: Tensor | None = None,
) -> Tensor:
    """Return the cross-entropy (M,) of each branch's head over the windows that have it; 0 where none has.

    The arguments are those of `branch_loss`. One fused call over the B*M rows; absent rows weigh nothing.
    """
    n_windows, n_branches, _ = logits.shape
    # Masking the logits, not only the losses, keeps a NaN of an absent sensor out of the gradient.
    rows = logits.masked_fill(~present[..., None], 0.0).flatten(0, 1)
    target = label[:, None].expand(n_windows, n_branches).flatten()
    loss = F.cross_entropy(rows, target, class_weights, reduction="none", label_smoothing=label_smoothing)
    weight = present.to(loss.dtype)
    if class_weights is not None:
        weight = weight * class_weights[label].to(loss.dtype)[:, None]
    total = (loss.view(n_windows, n_branches) * present).sum(dim=0)
    return total / weight.sum(dim=0).clamp(min=torch.finfo(loss.dtype).tiny)
