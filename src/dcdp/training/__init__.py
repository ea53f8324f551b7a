"""Training: one loop for our network and every deep peer, validated by subject and resumable."""

from __future__ import annotations

from dcdp.training.config import TrainingConfig
from dcdp.training.experts import add_experts
from dcdp.training.loop import FitResult, fit

__all__ = ["FitResult", "TrainingConfig", "add_experts", "fit"]
