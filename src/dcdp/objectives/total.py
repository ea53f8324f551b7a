"""The training objective: joint loss + branch losses + contrast, each with its weight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from dcdp.errors import ConfigError
from dcdp.objectives.classification import branch_losses, joint_loss
from dcdp.objectives.contrast import ContrastConfig, contrast_loss

__all__ = ["NetworkOutputs", "ObjectiveConfig", "objective", "objective_terms", "read_parts"]


class NetworkOutputs(Protocol):
    """What the objective reads of a network's output."""

    @property
    def joint(self) -> Tensor:
        """(B, K) logits of the joint head."""

    @property
    def branch(self) -> Tensor:
        """(B, M, K) logits of the branch heads."""

    @property
    def stages(self) -> Sequence[Tensor]:
        """Embeddings (B, M, S_k, D) of each stage, of length 1 along D."""


@dataclass(frozen=True, slots=True)
class ObjectiveConfig:
    """Weights of the terms.

    Attributes
    ----------
    joint, branch, contrast
        Weight of each term, >= 0. Contrast is not computed where its weight is 0.
    label_smoothing
        Share of the target spread over all classes, in ``[0, 1)``; for joint and branch heads alike.
    contrast_config
        What each stage contrasts.
    """

    joint: float = 1.0
    branch: float = 1.0
    contrast: float = 0.1
    label_smoothing: float = 0.1
    contrast_config: ContrastConfig = field(default_factory=ContrastConfig)

    def __post_init__(self) -> None:
        for name in ("joint", "branch", "contrast"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ConfigError(f"objective.{name} must be finite and not negative", getattr(self, name),
                                  "0 turns the term off.")
        if not 0 <= self.label_smoothing < 1:
            raise ConfigError("label_smoothing must lie in [0, 1)", self.label_smoothing, "Try 0.1.")


def objective(
    outputs: NetworkOutputs,
    label: Tensor,
    present: Tensor,
    config: ObjectiveConfig,
    progress: float,
    class_weights: Tensor | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the total to differentiate and its parts to log.

    ``total = w_joint L_joint + w_branch L_branch + w_contrast sum_k w_k(progress) L_k``

    Parameters
    ----------
    outputs
        What the network returned for a batch.
    label
        (B,) int64 class index.
    present
        (B, M) bool, True where the branch was recorded.
    config
        Weights of the terms.
    progress
        Share of the training that is done, in ``[0, 1]``.
    class_weights
        (K,) weight of each class, or None.

    Returns
    -------
    total
        Scalar with gradient.
    parts
        Detached scalars ``total``, ``joint``, ``branch``, ``contrast`` (the weighted sum over stages) and
        ``stage_1``, ``stage_2``, ...; no part has its own weight applied. See `read_parts`.

    Notes
    -----
    Computed in float32 or wider also under autocast. Contrast needs the whole batch: over micro-batches it has
    fewer negatives, while the other terms accumulate exactly (where every branch is present).

    References
    ----------
    Ji et al. (2025), arXiv 2507.02826. The sum of terms and its weights are ours.
    """
    terms, parts = objective_terms(outputs, label, present, config, progress, class_weights)
    total = terms["joint"] + terms["branch"].mean() + terms["contrast"]
    return total, {"total": total.detach(), **parts}


def objective_terms(
    outputs: NetworkOutputs,
    label: Tensor,
    present: Tensor,
    config: ObjectiveConfig,
    progress: float,
    class_weights: Tensor | None = None,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the terms of the objective before they are added up, for rules that weigh or separate them.

    The arguments are those of `objective`.

    Returns
    -------
    terms
        ``joint``, a scalar; ``branch`` (M,), of which the mean is added; ``contrast``, a scalar: each with its weight
        and with gradient.
    parts
        As `objective` returns them, without ``total``.
    """
    with torch.autocast(device_type=label.device.type, enabled=False):
        joint = joint_loss(_wide(outputs.joint), label, present, config.label_smoothing, class_weights)
        branch = branch_losses(_wide(outputs.branch), label, present, config.label_smoothing, class_weights)
        contrast, stages = joint.new_zeros(()), tuple(joint.new_zeros(()) for _ in outputs.stages)
        if config.contrast:
            contrast, stages = contrast_loss(outputs.stages, present, label, config.contrast_config, progress)
    terms = {"joint": config.joint * joint, "branch": config.branch * branch, "contrast": config.contrast * contrast}
    parts = {"joint": joint, "branch": branch.mean(), "contrast": contrast}
    parts |= {f"stage_{number}": loss for number, loss in enumerate(stages, start=1)}
    return terms, {name: part.detach() for name, part in parts.items()}


def read_parts(parts: Mapping[str, Tensor]) -> dict[str, float]:
    """Return the parts as numbers, with one transfer from the device.

    Examples
    --------
    >>> read_parts({"total": torch.tensor(1.5), "joint": torch.tensor(0.5)})
    {'total': 1.5, 'joint': 0.5}
    """
    values = torch.stack([part.float() for part in parts.values()]).tolist()
    return dict(zip(parts, values, strict=True))


def _wide(logits: Tensor) -> Tensor:
    return logits.to(torch.promote_types(logits.dtype, torch.float32))
