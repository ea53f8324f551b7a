"""Apply what is switched on, in the order of nature: the person, the mounting, the sensor, the loss of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dcdp.augmentation.config import AugmentConfig
from dcdp.augmentation.dropout import silence
from dcdp.augmentation.mixing import mix_subjects
from dcdp.augmentation.noise import add_drift, add_noise, scale
from dcdp.augmentation.rotation import turn_vectors
from dcdp.augmentation.vigour import vary_vigour
from dcdp.augmentation.warp import warp_magnitude, warp_time
from dcdp.batches import Batch
from dcdp.errors import ConfigError
from dcdp.models.network import BranchLayout

__all__ = ["augment"]


def augment(
    batch: Batch, layouts: Sequence[BranchLayout], config: AugmentConfig, subject: NDArray[np.str_] | None = None
) -> Batch:
    """Return the varied batch; labels stay, and a branch that was absent stays absent.

    The channels of an absent signal are NaN before and after. Randomness comes from torch's global generator, which
    `fit` seeds at every step; what is switched off draws nothing. The whole batch is varied before it is split into
    micro-batches, so their number does not matter. Except for mixing, which looks at the batch for a partner, a
    window's result does not depend on the values of the others.

    Parameters
    ----------
    batch
        Branch -> (B, C, T) in the units of the signals; not changed.
    layouts
        The branches, which say where the vectors are, at which placement, and of which kind.
    config
        How far to vary.
    subject
        (B,) names; needed for mixing alone.

    Raises
    ------
    ConfigError
        If subjects are to be mixed and not given.
    """
    absent = {name: x.isnan().any(-1, keepdim=True) for name, x in batch.inputs.items()}
    some = any(bool(gone.any()) for gone in absent.values())
    if some:  # NaN of one channel would spread to the others of its vector
        batch = _with(batch, {name: torch.where(absent[name], 0.0, x) for name, x in batch.inputs.items()})
    if config.time_warp > 0:
        batch = _with(batch, warp_time(batch.inputs, layouts, config.time_warp, config.warp_knots))
    if config.mixing > 0:
        if subject is None:
            raise ConfigError("mixing needs the subjects", "none", "Pass subject, or set augment.mixing=0.")
        batch = mix_subjects(batch, layouts, subject, config.mixing)
    if config.vigour > 0:
        batch = _with(batch, vary_vigour(batch.inputs, layouts, config.vigour))
    if config.rotation_deg > 0 or config.flip > 0:
        batch = _with(batch, turn_vectors(batch.inputs, layouts, config.rotation_deg, config.flip))
    if config.gain > 0:
        batch = _with(batch, scale(batch.inputs, layouts, config.gain))
    if config.magnitude_warp > 0:
        batch = _with(batch, warp_magnitude(batch.inputs, layouts, config.magnitude_warp, config.warp_knots))
    if max(config.jitter, config.jitter_mps2, config.jitter_dps) > 0:
        in_units = {"m/s2": config.jitter_mps2, "deg/s": config.jitter_dps}
        batch = _with(batch, add_noise(batch.inputs, batch.present, layouts, config.jitter, in_units))
    if max(config.drift_mps2, config.drift_dps) > 0:
        in_units = {"m/s2": config.drift_mps2, "deg/s": config.drift_dps}
        batch = _with(batch, add_drift(batch.inputs, batch.present, layouts, in_units, config.warp_knots))
    if some:
        batch = _with(batch, {name: x.masked_fill(absent[name], torch.nan) for name, x in batch.inputs.items()})
    return silence(batch, layouts, config)


def _with(batch: Batch, inputs: dict[str, Tensor]) -> Batch:
    return Batch(inputs, batch.present, batch.label)
