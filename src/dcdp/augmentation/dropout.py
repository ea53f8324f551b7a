"""Take channels, sensors, placements and modalities away, so that the network learns to do without them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dcdp.augmentation.config import AugmentConfig
from dcdp.batches import Batch
from dcdp.models.network import BranchLayout

__all__ = ["silence", "silent_sensors"]


def silence(batch: Batch, layouts: Sequence[BranchLayout], config: AugmentConfig) -> Batch:
    """Return the batch with some of its channels absent (NaN), as `dcdp.batches.Batch` marks them.

    A branch that has lost all of its sensors is absent; a window keeps the sensors it had if it would lose all of
    them. A single channel never makes a branch absent.

    Parameters
    ----------
    batch
        B windows.
    layouts
        The branches, for their signals.
    config
        The probabilities ``channel_dropout``, ``signal_dropout``, ``placement_dropout`` and ``modality_dropout``.
    """
    kinds = (config.signal_dropout, config.placement_dropout, config.modality_dropout)
    if max(config.channel_dropout, *kinds) == 0:
        return batch
    lost = silent_sensors(batch, layouts, *kinds)
    gone = torch.stack([own.all(1) for own in lost], 1)
    spared = ~(batch.present & ~gone).any(1)
    inputs = dict(batch.inputs)
    for layout, own in zip(layouts, lost, strict=True):
        x = inputs[layout.branch.name]
        own = own & ~spared.unsqueeze(1)
        silent = own.repeat_interleave(torch.tensor(layout.sizes, device=x.device), 1)
        if config.channel_dropout > 0:
            silent = silent | (torch.rand(silent.shape, device=x.device) < config.channel_dropout)
        inputs[layout.branch.name] = x.masked_fill(silent.unsqueeze(-1), torch.nan)
    return Batch(inputs, batch.present & ~(gone & ~spared.unsqueeze(1)), batch.label)


def silent_sensors(
    batch: Batch, layouts: Sequence[BranchLayout], signal: float, placement: float, modality: float
) -> list[Tensor]:
    """Draw for each branch which of its S sensors fall silent in which window, (B, S) bool."""
    places, place_off = _draw(batch, [name for layout in layouts for name in layout.placements], placement)
    kinds, kind_off = _draw(batch, [name for layout in layouts for name in layout.modalities], modality)
    lost = []
    for layout in layouts:
        own = kind_off[:, [kinds.index(name) for name in layout.modalities]]
        own = own | place_off[:, [places.index(name) for name in layout.placements]]
        if signal > 0:
            own = own | (torch.rand(own.shape, device=own.device) < signal)
        lost.append(own)
    return lost


def _draw(batch: Batch, names: Sequence[str], probability: float) -> tuple[list[str], Tensor]:
    """Return the distinct names, and which of them fall silent in which window, (B, names) bool."""
    distinct, device = sorted(set(names)), batch.present.device
    off = torch.zeros(len(batch), len(distinct), dtype=torch.bool, device=device)
    if probability > 0:
        off = torch.rand(off.shape, device=device) < probability
    return distinct, off
