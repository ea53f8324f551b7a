"""Balancing rules of others, written from their papers for any number of branches: what ours is measured against."""

from __future__ import annotations

from dcdp.balance.rivals.agm import Agm, AgmConfig
from dcdp.balance.rivals.cggm import Cggm, CggmConfig
from dcdp.balance.rivals.dgl import Dgl
from dcdp.balance.rivals.g_blending import GBlending, GBlendingConfig
from dcdp.balance.rivals.mmpareto import Mmpareto, MmparetoConfig
from dcdp.balance.rivals.ogm_ge import OgmGe, OgmGeConfig
from dcdp.balance.rivals.pmr import Pmr, PmrConfig

__all__ = [
    "Agm",
    "AgmConfig",
    "Cggm",
    "CggmConfig",
    "Dgl",
    "GBlending",
    "GBlendingConfig",
    "Mmpareto",
    "MmparetoConfig",
    "OgmGe",
    "OgmGeConfig",
    "Pmr",
    "PmrConfig",
]
