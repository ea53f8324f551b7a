"""Disturb windows of a signal as worn sensors do: noise, bias, drift, turned mounting, thinned rate, lost samples.

Every function takes values (B, T, C) in the signal's unit and returns a new array, or the given one where the severity
is 0. What is drawn is drawn by key (`dcdp.signals.keyed`): the same place in a recording is always disturbed alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dcdp.errors import ConfigError, unknown_name
from dcdp.signals.keyed import Keys, key_of, normal, uniform

__all__ = [
    "CORRUPTIONS",
    "Corruption",
    "add_bias",
    "add_drift",
    "add_noise",
    "get_corruption",
    "hold_lost",
    "samples_since_kept",
    "thin",
    "turn",
]

Values = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Corruption:
    """One way in which sensors fail.

    Attributes
    ----------
    name
        Short word, the key in results.
    unit
        Unit of the severity.
    severities
        Increasing, the ones that are scored by default; 0 is the undisturbed signal and is not among them.
    text
        What happens, in a sentence.
    """

    name: str
    unit: str
    severities: tuple[float, ...]
    text: str


_SHARE = "share of the channel's training spread"
_PERCENT = (1.0, 5.0, 10.0, 20.0, 30.0)
CORRUPTIONS: Mapping[str, Corruption] = MappingProxyType({
    one.name: one
    for one in (
        Corruption("noise", _SHARE, (0.1, 0.25, 0.5, 1.0), "White noise on every channel."),
        Corruption("bias", _SHARE, (0.1, 0.25, 0.5, 1.0), "A constant error of each channel, its sign drawn."),
        Corruption("drift", _SHARE, (0.1, 0.25, 0.5, 1.0), "A random walk that begins at 0 with each window."),
        Corruption("rotation", "deg", (10.0, 20.0, 45.0, 90.0), "Each placement worn turned about an axis drawn once."),
        Corruption("rate", "halvings", (1.0, 2.0), "Every 2nd or 4th sample alone, straight lines between them."),
        Corruption("clock", "s", (0.1, 0.25, 0.5, 1.0), "The clocks of the devices apart, early or late."),
        Corruption("lost", "% of samples", _PERCENT, "Single samples lost, the last value held."),
        Corruption("packets", "% of packets", _PERCENT, "Packets of 0.5 s lost; held, and absent where too long."),
    )
})
"""By name; `dcdp.data.corrupted.CorruptedStore` applies them."""


def get_corruption(name: str) -> Corruption:
    """Return a corruption by name.

    Raises
    ------
    ConfigError
        If there is none of that name.
    """
    if name not in CORRUPTIONS:
        raise unknown_name("corruption", name, CORRUPTIONS)
    return CORRUPTIONS[name]


def add_noise(values: Values, size: ArrayLike, key: Keys) -> Values:
    """Add independent normal noise.

    Parameters
    ----------
    values
        (B, T, C).
    size
        (C,) or a number, standard deviation >= 0 [unit of the signal].
    key
        (B, T), of each sample: two windows that share a sample share its noise.
    """
    deviation = _size(size)
    if not deviation.any():
        return values
    return _as_values(values + deviation * normal(_by_channel(key, values)))


def add_bias(values: Values, size: ArrayLike, key: Keys) -> Values:
    """Add a constant error of exactly ``size`` to each channel, upwards or downwards.

    Parameters
    ----------
    values
        (B, T, C).
    size
        (C,) or a number, >= 0 [unit of the signal].
    key
        (B,), of the sensor that is off: the same key draws the same signs.
    """
    error = _size(size)
    if not error.any():
        return values
    sign = np.where(uniform(_by_channel(key, values)) < 0.5, -1.0, 1.0)
    return _as_values(values + (error * sign)[:, None])


def add_drift(values: Values, size: ArrayLike, key: Keys) -> Values:
    """Add a random walk that begins at 0 and has the standard deviation ``size`` at the last sample.

    Parameters
    ----------
    values
        (B, T, C).
    size
        (C,) or a number, >= 0 [unit of the signal].
    key
        (B, T), of each sample: its step of the walk.
    """
    deviation, n_steps = _size(size), values.shape[1] - 1
    if not deviation.any() or n_steps < 1:
        return values
    steps = normal(_by_channel(key, values))
    steps[:, 0] = 0.0
    return _as_values(values + deviation / np.sqrt(n_steps) * np.cumsum(steps, axis=1))


def turn(values: Values, angle_deg: float, key: Keys) -> Values:
    """Turn vectors by ``angle_deg`` about an axis drawn uniformly from the sphere.

    Parameters
    ----------
    values
        (B, T, 3).
    angle_deg
        The angle [deg].
    key
        (B,), of the mounting: all vectors of one placement get the same, and turn together.

    References
    ----------
    Rodrigues' formula for a rotation about a unit vector.
    """
    if not angle_deg:
        return values
    axis = normal(_by_channel(key, values))
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    angle, exact = np.deg2rad(angle_deg), values.astype(np.float64)
    axis = np.broadcast_to(axis[:, None], exact.shape)
    along = (axis * exact).sum(-1, keepdims=True) * axis
    return _as_values(along + np.cos(angle) * (exact - along) + np.sin(angle) * np.cross(axis, exact))


def thin(values: Values, halvings: float) -> Values:
    """Keep every ``2 ** halvings``-th sample of a window from its first, and draw straight lines between them.

    Parameters
    ----------
    values
        (B, T, C). Behind the last sample that is kept its value is held.
    halvings
        How often the rate is halved, a whole number >= 0.

    Raises
    ------
    ConfigError
        If it is not a whole number.

    Notes
    -----
    A sensor set to a lower rate, not a resampled recording: nothing is filtered first, so that what is faster than half
    the new rate folds down, as it does in the cheap sensors that this stands for.
    """
    if halvings < 0 or halvings != int(halvings):
        raise ConfigError("halvings must be a whole number >= 0", halvings, "Give 1 for half the rate.")
    if not halvings:
        return values
    every = 2 ** int(halvings)
    now = np.arange(values.shape[1])
    before = now - now % every
    after = np.minimum(before + every, before[-1])
    share = ((now - before) / every)[:, None]
    return _as_values((1 - share) * values[:, before] + share * values[:, after])


def hold_lost(values: Values, lost: NDArray[np.bool_]) -> Values:
    """Hold the last kept sample over the lost ones.

    Parameters
    ----------
    values
        (B, T, C).
    lost
        (B, T). Lost samples at the beginning of a window take the first kept one: a window does not know what came
        before it. Where all are lost the values stay, for the caller to mark as absent.
    """
    if not lost.any():
        return values
    now = np.arange(values.shape[1])
    last = np.maximum.accumulate(np.where(lost, -1, now), axis=1)
    first = np.argmin(lost, axis=1)[:, None]
    source = np.where(lost.all(1, keepdims=True), now, np.where(last < 0, first, last))
    return np.take_along_axis(values, source[:, :, None], axis=1)


def samples_since_kept(lost: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Count, for each sample of (B, T), how long ago the last kept one was: 0 if it is kept itself [samples].

    Before the first column everything counts as lost, so that the count there is T or more until one is kept.

    Examples
    --------
    >>> samples_since_kept(np.array([[False, True, True, False]])).tolist()
    [[0, 1, 2, 0]]
    """
    now = np.arange(lost.shape[1])
    last = np.maximum.accumulate(np.where(lost, -lost.shape[1] - 1, now), axis=1)
    since: NDArray[np.int64] = now - last
    return since


def _size(size: ArrayLike) -> NDArray[np.float64]:
    told = np.asarray(size, dtype=np.float64)
    if not (np.isfinite(told).all() and (told >= 0).all()):
        raise ConfigError("a disturbance must have a size >= 0", size, "Give 0 for none.")
    return told


def _by_channel(key: Keys, values: Values) -> Keys:
    """Return a key for each channel of what ``key`` names, (..., C)."""
    return key_of(key[..., None], np.arange(values.shape[-1]))


def _as_values(values: NDArray[np.floating]) -> Values:
    return values.astype(np.float32)
