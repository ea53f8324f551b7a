"""TinierHAR: depthwise separable residual convolutions, a GRU in both directions, attention over time."""

from __future__ import annotations

from torch import Tensor, nn

from dcdp.models.peers.attention import TimeAttention

__all__ = ["TinierHar"]

_MAPS, _KERNEL, _UNITS = 4, 5, 16


class TinierHar(nn.Module):
    """Six residual blocks of 4, then 8 maps, the first two of which halve the rate; a GRU of 16 units each way.

    Parameters
    ----------
    n_channels, n_samples
        C and T >= 4.
    n_classes
        K.

    References
    ----------
    Bian, Liu, Fortes Rey, Geissler, Lukowicz (2025). TinierHAR: Towards Ultra-Lightweight Deep Learning Models for
    Efficient Human Activity Recognition on Edge Devices. arXiv 2507.07949.

    Notes
    -----
    Numbers of maps, blocks and units and the dropout of 0.3 are those of the authors' published configuration. Over
    its 14 sets the paper has 43.3 times fewer parameters than DeepConvLSTM with one LSTM layer, which holds here too.
    """

    def __init__(self, n_channels: int, n_samples: int, n_classes: int) -> None:  # noqa: ARG002 - any length will do
        super().__init__()
        wide = 2 * _MAPS
        self.blocks = nn.Sequential(
            _Block(1, _MAPS, halve=True),
            _Block(_MAPS, wide, halve=True),
            *(_Block(wide, wide, halve=False) for _ in range(4)),
        )
        self.drop = nn.Dropout(0.3)
        self.gru = nn.GRU(wide * n_channels, _UNITS, bidirectional=True, batch_first=True)
        self.over_time = TimeAttention(2 * _UNITS)
        self.classify = nn.Linear(2 * _UNITS, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, K) of windows (B, C, T)."""
        maps = self.blocks(x.transpose(1, 2).unsqueeze(1))  # (B, 8, T / 4, C)
        moments, _ = self.gru(self.drop(maps.transpose(1, 2).flatten(2)))
        logits: Tensor = self.classify(self.over_time(moments))
        return logits


class _Block(nn.Module):
    """A convolution along time map by map, one across maps, and a way past both: (B, D, T, C) -> (B, D', T', C)."""

    def __init__(self, n_in: int, n_out: int, *, halve: bool) -> None:
        super().__init__()
        self.way = nn.Sequential(
            nn.Conv2d(n_in, n_in, (_KERNEL, 1), padding=(_KERNEL // 2, 0), groups=n_in),
            nn.Conv2d(n_in, n_out, 1),
            nn.BatchNorm2d(n_out),
            nn.ReLU(),
        )
        self.past = nn.Identity() if n_in == n_out else nn.Sequential(nn.Conv2d(n_in, n_out, 1), nn.BatchNorm2d(n_out))
        self.pool = nn.MaxPool2d((2, 1)) if halve else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.pool(self.way(x)) + self.pool(self.past(x))
        return out
