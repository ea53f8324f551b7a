"""DeepConvLSTM: four convolutions shared by the channels, then two LSTM layers over what they see."""

from __future__ import annotations

from itertools import chain, pairwise

from torch import Tensor, nn

__all__ = ["DeepConvLstm", "shared_convolutions"]

_MAPS, _KERNEL, _UNITS = 64, 5, 128


class DeepConvLstm(nn.Module):
    """Four layers of 64 maps with kernels of 5 samples, two LSTM layers of 128 units, the last moment's classifier.

    Parameters
    ----------
    n_channels, n_samples
        C and T >= 17.
    n_classes
        K.

    References
    ----------
    Ordonez, Roggen (2016). Deep Convolutional and LSTM Recurrent Neural Networks for Multimodal Wearable Activity
    Recognition. Sensors 16(1), 115, figure 3 and section 3.

    Notes
    -----
    - Half of the inputs of both LSTM layers and of the classifier are dropped in training, as in the paper.
    - The paper trains with RMSProp (learning rate 0.001, decay 0.9) on batches of 100; the loop here knows AdamW and
      SGD, so it is AdamW with the same rate and no weight decay, on batches as large as ours.
    - The LSTM is torch's: its gates do not see the cell (no peepholes), which the paper's equations have.
    - Weights start as torch starts them, not orthogonal. Channels are standardised, not scaled to [0, 1].
    """

    def __init__(self, n_channels: int, n_samples: int, n_classes: int) -> None:  # noqa: ARG002 - any length will do
        super().__init__()
        self.convolutions = shared_convolutions(_MAPS, _KERNEL)
        self.drop = nn.Dropout(0.5)
        self.lstm = nn.LSTM(_MAPS * n_channels, _UNITS, num_layers=2, dropout=0.5, batch_first=True)
        self.classify = nn.Linear(_UNITS, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, K) of windows (B, C, T)."""
        maps = self.convolutions(x.transpose(1, 2).unsqueeze(1))  # (B, 64, T - 16, C)
        moments, _ = self.lstm(self.drop(maps.transpose(1, 2).flatten(2)))
        logits: Tensor = self.classify(self.drop(moments[:, -1]))
        return logits


def shared_convolutions(n_maps: int, kernel: int, n_layers: int = 4) -> nn.Sequential:
    """Return unpadded convolutions along time with ReLU, the same for every channel: (B, 1, T, C) -> (B, D, T', C)."""
    widths = [1, *[n_maps] * n_layers]
    return nn.Sequential(*chain.from_iterable((nn.Conv2d(a, b, (kernel, 1)), nn.ReLU()) for a, b in pairwise(widths)))
