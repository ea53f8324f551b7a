"""Make the balancing rule that a configuration names."""

from __future__ import annotations

from collections.abc import Callable

from torch.optim import Optimizer

from dcdp.balance.config import ModulationConfig
from dcdp.balance.modulation import Modulator
from dcdp.balance.rivals import Agm, Cggm, Dgl, GBlending, Mmpareto, OgmGe, Pmr
from dcdp.balance.rule import BalanceRule, BranchNetwork

__all__ = ["make_rule"]

Maker = Callable[[BranchNetwork, Optimizer, ModulationConfig], BalanceRule]

_MAKERS: dict[str, Maker] = {
    "agm": lambda network, optimizer, config: Agm(network, optimizer, config.acts_on, config.agm),
    "cggm": lambda network, optimizer, config: Cggm(network, optimizer, config.acts_on, config.cggm),
    "dcdp": Modulator,
    "dgl": lambda network, optimizer, config: Dgl(network, optimizer, config.acts_on),
    "g_blending": lambda network, optimizer, config: GBlending(network, optimizer, config.acts_on, config.g_blending),
    "mmpareto": lambda network, optimizer, config: Mmpareto(network, optimizer, config.acts_on, config.mmpareto),
    "none": lambda network, optimizer, config: BalanceRule(network, optimizer, config.acts_on),
    "ogm_ge": lambda network, optimizer, config: OgmGe(network, optimizer, config.acts_on, config.ogm_ge),
    "pmr": lambda network, optimizer, config: Pmr(network, optimizer, config.acts_on, config.pmr),
}


def make_rule(network: BranchNetwork, optimizer: Optimizer, config: ModulationConfig) -> BalanceRule:
    """Return the rule ``config.rule``, ready for the first step.

    Parameters
    ----------
    network
        On its device already.
    optimizer
        With groups from `dcdp.balance.parameter_groups`.
    config
        Which rule, and its settings.

    Raises
    ------
    ConfigError
        If what the rule multiplies does not suit the optimiser.
    """
    return _MAKERS[config.rule](network, optimizer, config)
