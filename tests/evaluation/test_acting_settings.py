"""Which settings act on a method: told without its network, so held to the registry of peers and their recipes."""

from __future__ import annotations

from dcdp.evaluation import acting
from dcdp.experiments.peer_task import OUR_RECIPES
from dcdp.models.peers.registry import list_peers


def test_classical_peers_are_those_of_the_registry():
    assert list_peers("classical") == acting._CLASSICAL
    assert all(acting.reads_setting(f"tinyhar@{recipe}", "augment.vigour") for recipe in OUR_RECIPES)
