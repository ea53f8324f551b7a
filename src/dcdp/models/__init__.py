"""The network: encoders, fusion, heads."""
