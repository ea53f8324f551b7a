"""Peers: other methods under the same protocol."""

from dcdp.models.peers.forest import fit_forest, predict_proba

__all__ = ["fit_forest", "predict_proba"]
