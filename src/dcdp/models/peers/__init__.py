"""Peers: other methods under the same protocol."""

from dcdp.models.peers.forest import fit_forest, predict_proba
from dcdp.models.peers.registry import Peer, Recipe, build_peer, get_peer, list_peers
from dcdp.models.peers.side_by_side import SingleHead

__all__ = [
    "Peer",
    "Recipe",
    "SingleHead",
    "build_peer",
    "fit_forest",
    "get_peer",
    "list_peers",
    "predict_proba",
]
