"""Attention over channels and over time, as several peers use them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["ChannelAttention", "TimeAttention"]


class ChannelAttention(nn.Module):
    """Let each channel look at all channels of the same moment: ``x + gamma softmax(q k^T) v``.

    Parameters
    ----------
    width
        D, features of a channel.

    Notes
    -----
    Dot products are not divided by the root of D, and gamma starts at 0, as in the self-attention of Zhang et al.
    (2019, arXiv 1805.08318, eq. 1-3) that both papers take over: at first every channel keeps to itself.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.gamma = nn.Parameter(torch.zeros(()))

    def weights(self, x: Tensor) -> Tensor:
        """Return (..., C, C): how much each channel (row) takes from each (column); rows sum to 1."""
        alike: Tensor = self.query(x) @ self.key(x).transpose(-1, -2)
        return alike.softmax(-1)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` (..., C, D), refined."""
        refined: Tensor = x + self.gamma * (self.weights(x) @ self.value(x))
        return refined


class TimeAttention(nn.Module):
    """Weighted mean over time, with weights that a small layer reads from each moment: (B, T, D) -> (B, D).

    Parameters
    ----------
    width
        D.
    hidden
        Whether a layer of D units with tanh comes before the one that gives the weight.

    Notes
    -----
    The weight has no constant term: the softmax would divide it out.
    """

    def __init__(self, width: int, hidden: bool = False) -> None:
        super().__init__()
        self.hidden = nn.Sequential(nn.Linear(width, width), nn.Tanh()) if hidden else nn.Identity()
        self.score = nn.Linear(width, 1, bias=False)

    def weights(self, x: Tensor) -> Tensor:
        """Return (B, T) weights of the moments, which sum to 1."""
        moments: Tensor = self.score(self.hidden(x)).squeeze(-1)
        return moments.softmax(-1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, D)."""
        return (self.weights(x).unsqueeze(-1) * x).sum(1)
