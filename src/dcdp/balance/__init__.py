"""Balance between branches: our rule and its rivals, each a set of hooks in the one training loop."""

from __future__ import annotations

from dcdp.balance.coefficients import branch_coefficients
from dcdp.balance.confidence import MovingMean, confidence_sums, discrepancy, mean_of_others, sum_over_ranks
from dcdp.balance.config import ModulationConfig
from dcdp.balance.modulation import Modulator
from dcdp.balance.momentum import GradientMomentum
from dcdp.balance.registry import make_rule
from dcdp.balance.rule import BalanceRule, BranchHeads, BranchNetwork, BranchOutputs
from dcdp.balance.scaling import EncoderScaler, branch_groups, choose_target, parameter_groups, scale_parameters

__all__ = [
    "BalanceRule",
    "BranchHeads",
    "BranchNetwork",
    "BranchOutputs",
    "EncoderScaler",
    "GradientMomentum",
    "ModulationConfig",
    "Modulator",
    "MovingMean",
    "branch_coefficients",
    "branch_groups",
    "choose_target",
    "confidence_sums",
    "discrepancy",
    "make_rule",
    "mean_of_others",
    "parameter_groups",
    "scale_parameters",
    "sum_over_ranks",
]
