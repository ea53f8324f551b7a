"""Losses: pure functions of a network's outputs, labels and presence."""

from __future__ import annotations

from dcdp.objectives.classification import branch_loss, branch_losses, joint_loss
from dcdp.objectives.contrast import ContrastConfig, contrast_loss, stage_loss, stage_weights
from dcdp.objectives.total import NetworkOutputs, ObjectiveConfig, objective, objective_terms, read_parts

__all__ = [
    "ContrastConfig",
    "NetworkOutputs",
    "ObjectiveConfig",
    "branch_loss",
    "branch_losses",
    "contrast_loss",
    "joint_loss",
    "objective",
    "objective_terms",
    "read_parts",
    "stage_loss",
    "stage_weights",
]
