"""Which settings can act: those that a method reads, and those that mean something on a data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from dcdp.config import RunConfig
from dcdp.data.registry import get_set, list_sets
from dcdp.experiments.methods import OURS
from dcdp.experiments.peer_task import HIDDEN_RECIPE, OUR_RECIPES, recipe_of
from dcdp.models.network import resolve_network
from dcdp.models.peers.registry import list_peers
from dcdp.settings import to_dict

__all__ = ["acting_settings", "reads_setting", "settled"]

_READ_BY_CLASSICAL = ("windows.", "body.", "network.branch_by", "training.normaliser_windows")
_OF_OUR_NETWORK = ("network.", "modulation.")
_OF_OUR_RECIPE = (
    "augment.", "objective.label_smoothing", "training.average", "training.clip_norm", "training.learning_rate",
    "training.optimizer", "training.warmup", "training.weight_decay",
)  # fmt: skip
"""What a deep peer by the recipe of its paper has from there."""
_OF_SEVERAL_PLACES = ("network.waveform_dropout", "augment.placement_dropout")
"""What cannot act where all sensors sit at one place."""


def reads_setting(base: str, key: str) -> bool:
    """Return whether a setting such as ``training.epochs`` can change what a method learns.

    Examples
    --------
    >>> reads_setting("forest", "training.epochs"), reads_setting("dcdp", "training.epochs")
    (False, True)
    >>> reads_setting("forest", "augment.vigour"), reads_setting("forest@ours", "augment.vigour")
    (False, True)
    >>> reads_setting("tinyhar@ours", "network.pool_segments"), reads_setting("tinyhar@ours", "network.branch_by")
    (False, True)
    >>> [reads_setting(peer, "network.branch_dropout") for peer in ("tinyhar@ours", "tinyhar@hidden")]
    [False, True]
    """
    if base == OURS:
        return True
    plain, recipe = base.partition("@")[0], recipe_of(base)
    if plain in list_peers("classical"):
        return key.startswith(_READ_BY_CLASSICAL) or (recipe in OUR_RECIPES and key.startswith("augment."))
    if key == "network.branch_dropout":
        return recipe == HIDDEN_RECIPE
    if key.startswith(_OF_OUR_RECIPE):
        return recipe in OUR_RECIPES
    return key == "network.branch_by" or not key.startswith((*_OF_OUR_NETWORK, "objective."))


def acting_settings(data: str, config: RunConfig) -> dict[str, Any]:
    """Return every setting by its key, the preset's filled in, but for those that cannot act on the data set.

    Examples
    --------
    >>> "augment.placement_dropout" in acting_settings("hapt", RunConfig())  # one phone
    False
    """
    settings = _flat(to_dict(settled(config)))
    idle = _OF_SEVERAL_PLACES if _has_one_place(data) else ()
    return {key: value for key, value in settings.items() if key not in idle}


def settled(config: RunConfig) -> RunConfig:
    """Return the configuration with nothing left to the preset, which may say otherwise one day."""
    return replace(config, network=replace(config.network, **asdict(resolve_network(config.network))))


def _has_one_place(data: str) -> bool:
    return data in list_sets() and len({signal.placement for signal in get_set(data).spec}) == 1


def _flat(tree: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= _flat(value, f"{where}{key}.") if isinstance(value, Mapping) else {f"{where}{key}": value}
    return flat
