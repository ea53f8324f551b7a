"""Attend and Discriminate: convolutions, attention between channels, GRU, attention over time."""

from __future__ import annotations

from torch import Tensor, nn

from dcdp.models.peers.attention import ChannelAttention, TimeAttention
from dcdp.models.peers.deepconv_lstm import shared_convolutions

__all__ = ["AttendDiscriminate"]

_MAPS, _KERNEL, _UNITS = 64, 5, 128


class AttendDiscriminate(nn.Module):
    """Four layers of 64 maps, channels that attend to each other at every moment, two GRU layers of 128 units.

    Parameters
    ----------
    n_channels, n_samples
        C and T >= 17.
    n_classes
        K.

    References
    ----------
    Abedin, Ehsanpour, Shi, Rezatofighi, Ranasinghe (2021). Attend and Discriminate: Beyond the State-of-the-Art for
    Human Activity Recognition Using Wearable Sensors. IMWUT 5(1), arXiv 2007.07172, section 3.

    Notes
    -----
    - The centre loss and mixup, which the paper adds to the cross-entropy, are left out: the loop and its objective
      are one for all methods. This is the architecture alone, as most comparisons use it.
    - Dropout is 0.5 before the GRU and before the classifier and 0.25 between GRU layers, the paper's values for most
      of its sets, for every set alike.
    - Weights start as torch starts them; the paper starts orthogonal on three of its four sets.
    """

    def __init__(self, n_channels: int, n_samples: int, n_classes: int) -> None:  # noqa: ARG002 - any length will do
        super().__init__()
        self.convolutions = shared_convolutions(_MAPS, _KERNEL)
        self.between_channels = ChannelAttention(_MAPS)
        self.drop = nn.Dropout(0.5)
        self.gru = nn.GRU(_MAPS * n_channels, _UNITS, num_layers=2, dropout=0.25, batch_first=True)
        self.over_time = TimeAttention(_UNITS)
        self.classify = nn.Linear(_UNITS, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, K) of windows (B, C, T)."""
        maps = self.convolutions(x.transpose(1, 2).unsqueeze(1))  # (B, 64, T', C)
        refined = self.between_channels(maps.permute(0, 2, 3, 1))  # (B, T', C, 64)
        moments, _ = self.gru(self.drop(refined.flatten(2)))
        logits: Tensor = self.classify(self.drop(self.over_time(moments)))
        return logits
