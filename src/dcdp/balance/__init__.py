"""Balance between branches: confidence, coefficients, and the modulation of the encoders."""

from __future__ import annotations

from dcdp.balance.coefficients import branch_coefficients
from dcdp.balance.confidence import MovingMean, confidence_sums, discrepancy, sum_over_ranks
from dcdp.balance.modulation import ModulationConfig, Modulator
from dcdp.balance.momentum import GradientMomentum
from dcdp.balance.scaling import branch_groups, choose_target, parameter_groups, scale_parameters

__all__ = [
    "GradientMomentum",
    "ModulationConfig",
    "Modulator",
    "MovingMean",
    "branch_coefficients",
    "branch_groups",
    "choose_target",
    "confidence_sums",
    "discrepancy",
    "parameter_groups",
    "scale_parameters",
    "sum_over_ranks",
]
