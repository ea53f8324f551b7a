"""Which balancing rule, and how hard it acts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from dcdp.balance.limits import require_not_negative, require_share
from dcdp.balance.rivals import AgmConfig, CggmConfig, GBlendingConfig, MmparetoConfig, OgmGeConfig, PmrConfig
from dcdp.errors import ConfigError, unknown_name

__all__ = ["ModulationConfig"]

ActsOn = Literal["auto", "own", "gradient", "update"]
MomentumOn = Literal["gradient", "coefficient"]
RuleName = Literal["dcdp", "none", "ogm_ge", "agm", "pmr", "mmpareto", "g_blending", "cggm", "dgl"]


@dataclass(frozen=True, slots=True)
class ModulationConfig:
    """Which rule, how hard to modulate, and what.

    Attributes
    ----------
    rule
        ``dcdp``, ours; ``none``: joint and branch losses as the objective weighs them, and nothing else; or a rival:
        ``ogm_ge``, ``agm``, ``pmr``, ``mmpareto``, ``g_blending``, ``cggm``, ``dgl`` (docs/balance.md).
    alpha
        How hard to react to a discrepancy, >= 0; 0 with ``momentum = 0`` is exactly plain training.
    beta
        How much to lift the branches that lag, >= 0; 0 only brakes the leader.
    smoothing
        Of the confidence over steps, in ``[0, 1)``.
    momentum
        mu in ``[0, 1)``; 0 is off.
    momentum_on
        ``gradient``: mean over the encoders' gradients; ``coefficient``: mean over kappa only.
    acts_on
        ``gradient`` (SGD only), ``update`` (the branch's learning rate), ``auto`` (the one of these that suits the
        optimiser), or ``own``: what the encoder learns from its own head's loss, under any optimiser. Read by every
        rule that has a coefficient; ``own`` by ``dcdp`` alone.
    ogm_ge, agm, pmr, mmpareto, g_blending, cggm
        Of the rule of that name; ``alpha`` to ``momentum_on`` above are read by ``dcdp`` alone.
    """

    rule: RuleName = "dcdp"
    alpha: float = 1.0
    beta: float = 0.0
    smoothing: float = 0.9
    momentum: float = 0.0
    momentum_on: MomentumOn = "gradient"
    acts_on: ActsOn = "auto"
    ogm_ge: OgmGeConfig = field(default_factory=OgmGeConfig)
    agm: AgmConfig = field(default_factory=AgmConfig)
    pmr: PmrConfig = field(default_factory=PmrConfig)
    mmpareto: MmparetoConfig = field(default_factory=MmparetoConfig)
    g_blending: GBlendingConfig = field(default_factory=GBlendingConfig)
    cggm: CggmConfig = field(default_factory=CggmConfig)

    def __post_init__(self) -> None:
        for name in ("alpha", "beta"):
            require_not_negative(name, getattr(self, name))
        for name in ("smoothing", "momentum"):
            require_share(name, getattr(self, name))
        for name, choices in (("rule", RuleName), ("momentum_on", MomentumOn), ("acts_on", ActsOn)):
            if getattr(self, name) not in get_args(choices):
                raise unknown_name(name, getattr(self, name), get_args(choices))
        if self.acts_on == "own" and self.rule != "dcdp":
            raise ConfigError("acts_on='own' needs the rule 'dcdp'", f"'{self.rule}'", "Set modulation.acts_on='auto'.")
