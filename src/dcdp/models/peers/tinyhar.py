"""TinyHAR: small convolutions for each channel, attention between channels, one LSTM, a weighted end."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dcdp.models.peers.attention import ChannelAttention, TimeAttention

__all__ = ["TinyHar"]

_MAPS, _KERNEL = 20, 5


class TinyHar(nn.Module):
    """Four layers of 20 maps (two of them halve the rate), attention, fusion to 40 features, an LSTM of 40 units.

    Parameters
    ----------
    n_channels, n_samples
        C and T >= 29.
    n_classes
        K.

    References
    ----------
    Zhou, Zhao, Huang, Riedel, Hefenbrock, Beigl (2022). TinyHAR: A Lightweight Deep Learning Model Designed for Human
    Activity Recognition. ISWC, doi 10.1145/3544794.3558467, section 3.

    Notes
    -----
    - Of the variants that the authors' programme offers it is self-attention between channels, a full layer for
      the fusion, an LSTM over time, and the last moment plus gamma times the weighted mean (gamma starts at 0).
    - Dropout is 0.1 behind the attention, the programme's value.
    """

    def __init__(self, n_channels: int, n_samples: int, n_classes: int) -> None:  # noqa: ARG002 - any length will do
        super().__init__()
        layers: list[nn.Module] = []
        for number in range(4):
            stride = 2 if number % 2 else 1
            convolution = nn.Conv2d(_MAPS if number else 1, _MAPS, (_KERNEL, 1), (stride, 1))
            layers += [convolution, nn.ReLU(), nn.BatchNorm2d(_MAPS)]
        self.convolutions = nn.Sequential(*layers)
        self.between_channels = ChannelAttention(_MAPS)
        self.drop = nn.Dropout(0.1)
        width = 2 * _MAPS
        self.fuse = nn.Sequential(nn.Linear(n_channels * _MAPS, width), nn.ReLU())
        self.lstm = nn.LSTM(width, width, batch_first=True)
        self.over_time = TimeAttention(width, hidden=True)
        self.gamma = nn.Parameter(torch.zeros(()))
        self.classify = nn.Linear(width, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, K) of windows (B, C, T)."""
        maps = self.convolutions(x.transpose(1, 2).unsqueeze(1))  # (B, 20, T', C)
        refined = self.between_channels(maps.permute(0, 2, 3, 1))  # (B, T', C, 20)
        moments, _ = self.lstm(self.fuse(self.drop(refined).flatten(2)))
        logits: Tensor = self.classify(moments[:, -1] + self.gamma * self.over_time(moments))
        return logits
