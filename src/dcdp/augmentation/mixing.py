"""Give a window some of the level and spread with which another person does the same thing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dcdp.batches import Batch
from dcdp.models.network import BranchLayout

__all__ = ["mix_subjects", "partners"]

_LARGEST_RATIO = 3.0
_TINY = 1e-6


def mix_subjects(
    batch: Batch, layouts: Sequence[BranchLayout], subject: NDArray[np.str_], probability: float
) -> Batch:
    """Return the batch with the moments of some windows moved towards those of another subject's; labels stay.

    For a window x of subject a and a window y of subject b with the same label, every channel becomes
    ``(x - mean_x) / std_x * std + mean`` with ``mean = (1 - w) mean_x + w mean_y``, likewise ``std``, and
    one w, uniform in [0, 1], for all channels. A branch that is absent from either window stays as it is, and so does
    a window whose activity no other subject of the batch has.

    Parameters
    ----------
    batch
        B windows.
    layouts
        The branches.
    subject
        (B,) names.
    probability
        That a window is mixed.

    References
    ----------
    Zhou, Yang, Qiao, Xiang: "Domain Generalization with MixStyle", ICLR 2021, arXiv 2104.02008.

    Notes
    -----
    Deviations: on raw signals, not on feature maps, so that statistics and waveform see the same window; the partner
    has the same label, since the level of an accelerometer is the posture and so a part of the label; the weight is
    uniform, as mixing with the same label may go all the way; and a channel is stretched at most threefold, so that
    the noise of a still sensor is not blown up. A sum of two waveforms (MixUp) was not chosen: two people's strides
    are out of phase, and their sum is nobody's.
    """
    other = partners(batch.label, subject, probability)
    mixed = other >= 0
    other = other.clamp(min=0)
    weight = torch.rand(len(batch), 1, 1, device=batch.label.device)
    inputs = dict(batch.inputs)
    for m, layout in enumerate(layouts):
        x = inputs[layout.branch.name]
        here = mixed & batch.present[:, m] & batch.present[other, m]
        moved = _with_moments(x, other, weight.to(x.dtype))
        inputs[layout.branch.name] = torch.where(here.view(-1, 1, 1), moved, x)
    return Batch(inputs, batch.present, batch.label)


def partners(label: Tensor, subject: NDArray[np.str_], probability: float) -> Tensor:
    """Draw for each window another subject's window of the same label, (B,) int64, or -1 where it stays alone."""
    device = label.device
    _, code = np.unique(subject, return_inverse=True)
    person = torch.from_numpy(code).to(device)
    fits = (label.unsqueeze(1) == label) & (person.unsqueeze(1) != person)
    chance = torch.rand(fits.shape, device=device) * fits
    best, other = chance.max(1)
    drawn = torch.rand(len(label), device=device) < probability
    return torch.where(drawn & (best > 0), other, -1)


def _with_moments(x: Tensor, other: Tensor, weight: Tensor) -> Tensor:
    """Return ``x`` (B, C, T) with its means and deviations moved by ``weight`` (B, 1, 1) towards its partners'."""
    mean = x.mean(-1, keepdim=True)
    centred = x - mean
    std = centred.square().mean(-1, keepdim=True).sqrt()  # several times faster than torch.std
    wanted = torch.lerp(std, std[other], weight)
    ratio = (wanted / (std + _TINY)).clamp(1 / _LARGEST_RATIO, _LARGEST_RATIO)
    return centred * ratio + torch.lerp(mean, mean[other], weight)
