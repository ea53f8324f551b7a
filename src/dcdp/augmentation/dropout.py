"""Silence channels, sensors and modalities, so that the network learns to do without them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dcdp.batches import Batch
from dcdp.models.network import BranchLayout

__all__ = ["silence", "silent_sensors"]


def silence(
    batch: Batch, layouts: Sequence[BranchLayout], channel: float, signal: float, modality: float
) -> Batch:
    """Return the batch with some of its channels saying nothing: each stands still at its mean over the batch.

    A branch that has lost all of its sensors is marked absent; a window keeps the branches it had if it would
    lose all of them.

    Parameters
    ----------
    batch
        B windows.
    layouts
        The branches, for their signals.
    channel, signal, modality
        Probability that a single channel, a sensor, or all sensors of one modality fall silent in a window.

    Notes
    -----
    A silent channel keeps the mean of the batch and not that of its window, which would still tell the posture. To the
    network that is a waveform of about 0 after normalisation, as for the channels that it hides itself
    (``network.channel_dropout``). A single channel never makes a branch absent.
    """
    lost = silent_sensors(batch, layouts, signal, modality)
    gone = torch.stack([own.all(1) for own in lost], 1)
    spared = ~(batch.present & ~gone).any(1)
    gone = gone & ~spared.unsqueeze(1)
    inputs = dict(batch.inputs)
    for m, (layout, own) in enumerate(zip(layouts, lost, strict=True)):
        x = inputs[layout.branch.name]
        own = own & ~spared.unsqueeze(1)
        silent = own.repeat_interleave(torch.tensor(layout.sizes, device=x.device), 1)
        if channel > 0:
            silent = silent | (torch.rand(silent.shape, device=x.device) < channel)
        recorded = batch.present[:, m]
        silent = silent & recorded.unsqueeze(1)
        mean = (x.mean(-1) * recorded.unsqueeze(1)).sum(0) / recorded.sum().clamp(min=1)
        inputs[layout.branch.name] = torch.where(silent.unsqueeze(-1), mean.view(1, -1, 1).to(x.dtype), x)
    return Batch(inputs, batch.present & ~gone, batch.label)


def silent_sensors(
    batch: Batch, layouts: Sequence[BranchLayout], signal: float, modality: float
) -> list[Tensor]:
    """Draw for each branch which of its S sensors fall silent in which window, (B, S) bool."""
    n_windows, device = len(batch), batch.present.device
    modalities = sorted({name for layout in layouts for name in layout.modalities})
    off = torch.zeros(n_windows, len(modalities), dtype=torch.bool, device=device)
    if modality > 0:
        off = torch.rand(off.shape, device=device) < modality
    lost = []
    for layout in layouts:
        own = off[:, [modalities.index(name) for name in layout.modalities]]
        if signal > 0:
            own = own | (torch.rand(own.shape, device=device) < signal)
        lost.append(own)
    return lost
