"""Which settings can act on a data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from dcdp.config import RunConfig
from dcdp.data.registry import get_set, list_sets
from dcdp.models.network import resolve_network
from dcdp.settings import to_dict

__all__ = ["acting_settings", "settled"]

_OF_SEVERAL_PLACES = ("network.waveform_dropout", "augment.placement_dropout")
"""What cannot act where all sensors sit at one place."""


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
