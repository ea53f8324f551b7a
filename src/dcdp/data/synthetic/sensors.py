"""The measurement models: what ideal sensors read on a moving limb, and how real ones get it wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dcdp.data.synthetic.body import Pose, Subject

__all__ = [
    "EARTH_FIELD_UT",
    "ERRORS",
    "GRAVITY_MPS2",
    "SensorErrors",
    "accelerometer",
    "disturb",
    "gyroscope",
    "heart_rate",
    "lose",
    "magnetometer",
]

Array = NDArray[np.float64]

GRAVITY_MPS2 = 9.81
EARTH_FIELD_UT = np.array([20.0, 0.0, -44.0])  # north, west, up; middle Europe


@dataclass(frozen=True)
class SensorErrors:
    """Spread of the errors of one kind of sensor, in its unit.

    Attributes
    ----------
    white
        Of the noise of each sample.
    bias
        Of the constant offset of each channel in a recording.
    drift
        Of the random walk at the end of a recording.
    """

    white: float
    bias: float
    drift: float


ERRORS = {
    "acc": SensorErrors(0.12, 0.10, 0.05),
    "gyr": SensorErrors(1.5, 1.5, 0.5),
    "mag": SensorErrors(0.8, 3.0, 0.5),
    "hr": SensorErrors(2.0, 1.5, 1.0),
}


def accelerometer(pose: Pose, pose_hz: float, rate_hz: float) -> Array:
    """Return the specific force ``R^T (a - g)`` in sensor axes, (T, 3) [m/s2].

    Parameters
    ----------
    pose
        At ``pose_hz``, a multiple of ``rate_hz``; at least three samples.
    pose_hz, rate_hz
        Rate of the pose and of the sensor [Hz].
    """
    position = pose.position
    acceleration = np.empty_like(position)
    acceleration[1:-1] = (position[2:] - 2 * position[1:-1] + position[:-2]) * pose_hz**2
    acceleration[0], acceleration[-1] = acceleration[1], acceleration[-2]
    acceleration[:, 2] += GRAVITY_MPS2
    every = round(pose_hz / rate_hz)
    return _into_sensor(pose.orientation[::every], acceleration[::every])


def gyroscope(pose: Pose, pose_hz: float, rate_hz: float) -> Array:
    """Return the angular rate in sensor axes, (T, 3) [deg/s].

    Sample *i* is the rotation from orientation *i* to *i + 1* over that time, as an integrating
    gyroscope reports it: turning by each sample in order gives the last orientation exactly.
    """
    orientation = pose.orientation[:: round(pose_hz / rate_hz)]
    step = np.swapaxes(orientation[:-1], 1, 2) @ orientation[1:]
    rate = np.rad2deg(_rotation_vector(step)) * rate_hz
    readings: Array = np.concatenate([rate, rate[-1:]])
    return readings


def magnetometer(pose: Pose, pose_hz: float, rate_hz: float) -> Array:
    """Return the Earth's field in sensor axes, (T, 3) [uT]."""
    orientation = pose.orientation[:: round(pose_hz / rate_hz)]
    return _into_sensor(orientation, np.broadcast_to(EARTH_FIELD_UT, (len(orientation), 3)))


def heart_rate(subject: Subject, load: Array, rate_hz: float, start_load: float) -> Array:
    """Return the heart rate that follows a metabolic load, (T,) -> (T, 1) [bpm].

    A first-order response with the person's time constant; linear in the load, so that its sum over
    the past has a closed form.
    """
    decay = np.exp(-1 / (rate_hz * subject.lag_s))
    passed = np.arange(len(load))
    followed = np.convolve(load, (1 - decay) * decay**passed)[: len(load)]
    effort = start_load * decay ** (passed + 1) + followed
    beats: Array = (subject.rest_bpm + (subject.top_bpm - subject.rest_bpm) * effort)[:, None]
    return beats


def disturb(values: Array, errors: SensorErrors, factor: float, rng: np.random.Generator) -> Array:
    """Return readings with bias, drift and white noise; ``factor`` scales all three, 0 leaves them exact."""
    bias = errors.bias * rng.normal(size=values.shape[1])
    drift = errors.drift * np.cumsum(rng.normal(size=values.shape), axis=0) / np.sqrt(len(values))
    disturbed: Array = values + factor * (bias + drift + errors.white * rng.normal(size=values.shape))
    return disturbed


def lose(values: Array, share: float, lost_samples: int, rng: np.random.Generator) -> Array:
    """Return readings with NaN stretches of ``lost_samples`` that make up ``share`` of all rows.

    The number of stretches is rounded at random where it is not whole, so that the share holds on average.
    """
    n_slots = len(values) // lost_samples
    n_lost = int(share * len(values) / lost_samples + rng.uniform())
    first = rng.choice(n_slots, min(n_lost, n_slots), replace=False) * lost_samples
    kept = values.copy()
    kept[(first[:, None] + np.arange(lost_samples)).ravel()] = np.nan
    return kept


def _into_sensor(orientation: Array, vectors: Array) -> Array:
    turned: Array = (np.swapaxes(orientation, 1, 2) @ vectors[:, :, None])[:, :, 0]
    return turned


def _rotation_vector(rotations: Array) -> Array:
    """Return axis times angle of rotations well below half a turn, (T, 3, 3) -> (T, 3) [rad]."""
    skew = 0.5 * np.stack(
        [
            rotations[:, 2, 1] - rotations[:, 1, 2],
            rotations[:, 0, 2] - rotations[:, 2, 0],
            rotations[:, 1, 0] - rotations[:, 0, 1],
        ],
        axis=1,
    )
    sine = np.linalg.norm(skew, axis=1)
    cosine = 0.5 * (np.trace(rotations, axis1=1, axis2=2) - 1)
    angle = np.arctan2(sine, cosine)
    vector: Array = skew / np.sinc(angle / np.pi)[:, None]
    return vector
