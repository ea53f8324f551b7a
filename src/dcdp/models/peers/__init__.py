"""Peers: other methods under the same protocol."""
