"""How far training windows are varied; everything but a small rotation is off by default."""

from __future__ import annotations

import math
from dataclasses import dataclass

from dcdp.errors import ConfigError

__all__ = ["AugmentConfig"]

_PROBABILITIES = ("flip", "channel_dropout", "signal_dropout", "placement_dropout", "modality_dropout", "mixing")


@dataclass(frozen=True, slots=True)
class AugmentConfig:
    """How far training windows are varied; 0 switches a part off.

    Attributes
    ----------
    rotation_deg
        Standard deviation of the mounting rotation's angle [deg]; its axis is uniform. One rotation for
        all vectors (acc, gyr, mag) of one placement.
    gain
        Standard deviation of a sensor's relative gain error.
    vigour
        Standard deviation of the logarithm of a factor on the movement about each channel's mean, one a window.
    flip
        Probability that a placement is worn turned by 180 degrees about one of its three axes.
    jitter
        Standard deviation of white noise, as a share of the channel's own in that window.
    jitter_mps2, jitter_dps
        Standard deviation of white noise on every accelerometer [m/s2] and gyroscope [deg/s].
    drift_mps2, drift_dps
        Standard deviation, where a window ends, of a slow error that begins at 0 on every channel of the accelerometers
        [m/s2] and gyroscopes [deg/s].
    time_warp
        Standard deviation of the logarithm of the pace at each knot; one warp for all branches of a window.
    magnitude_warp
        Standard deviation of the logarithm of a sensor's slowly varying gain at each knot.
    warp_knots
        Knots of the warps' and the drift's curves over a window, from 2 to 64.
    channel_dropout, signal_dropout, placement_dropout, modality_dropout
        Probability that a channel, a sensor, all sensors of one placement, or all of one modality are absent from a
        window.
    mixing
        Probability that a window takes over part of the level and spread that another training subject has in the
        same activity.
    """

    rotation_deg: float = 10.0
    gain: float = 0.0
    vigour: float = 0.0
    flip: float = 0.0
    jitter: float = 0.0
    jitter_mps2: float = 0.0
    jitter_dps: float = 0.0
    drift_mps2: float = 0.0
    drift_dps: float = 0.0
    time_warp: float = 0.0
    magnitude_warp: float = 0.0
    warp_knots: int = 4
    channel_dropout: float = 0.0
    signal_dropout: float = 0.0
    placement_dropout: float = 0.0
    modality_dropout: float = 0.0
    mixing: float = 0.0

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if not 0 <= value < math.inf:
                raise ConfigError("augment values must be >= 0", f"{value} for {name}", "Give 0 to switch it off.")
            if name in _PROBABILITIES and value > 1:
                raise ConfigError(f"augment.{name} must be in [0, 1]", value, "Give a probability.")
        if not 2 <= self.warp_knots <= 64:
            raise ConfigError("augment.warp_knots must be from 2 to 64", self.warp_knots, "Try 4.")
