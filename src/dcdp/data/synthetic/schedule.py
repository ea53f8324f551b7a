"""A recording's course: which activity when, and from it the joint angles, heading and load over time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dcdp.data.synthetic.activities import ACTIVITIES, JOINTS, N_HARMONICS, TRANSLATIONS, offsets, swings
from dcdp.data.synthetic.body import Subject
from dcdp.records import Segment

__all__ = ["SIMULATION_HZ", "TRANSITION_S", "Course", "Motion", "make_course", "move"]

SIMULATION_HZ = 100.0  # twice the fastest sensor, so that second differences see the true curve
TRANSITION_S = 2.4  # the null class between two bouts

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Course:
    """The bouts of one recording in order.

    Attributes
    ----------
    activity
        (n_bouts,) index into `ACTIVITIES`.
    start_s, stop_s
        (n_bouts,), the labelled part of each bout [s].
    duration_s
        Length of the recording [s].
    """

    activity: NDArray[np.int64]
    start_s: Array
    stop_s: Array
    duration_s: float

    @property
    def load(self) -> Array:
        """Metabolic load of each bout, (n_bouts,)."""
        return np.array([ACTIVITIES[index].load for index in self.activity])

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The bouts as labelled segments."""
        names = [ACTIVITIES[index].name for index in self.activity]
        return tuple(
            Segment(float(start_s), float(stop_s), name)
            for start_s, stop_s, name in zip(self.start_s, self.stop_s, names, strict=True)
        )

    def weights(self, time_s: Array) -> Array:
        """Return how much of each bout is in each moment, (T,) -> (T, n_bouts); rows sum to 1.

        Inside a bout it is 1; over a transition one bout fades into the next without a jump in
        velocity or acceleration.
        """
        share = np.clip((time_s[:, None] - self.stop_s[:-1]) / TRANSITION_S, 0, 1)
        begun = share**3 * (10 - 15 * share + 6 * share**2)
        ones, zeros = np.ones((len(time_s), 1)), np.zeros((len(time_s), 1))
        return np.hstack([ones, begun]) - np.hstack([begun, zeros])


@dataclass(frozen=True)
class Motion:
    """A recording before any sensor saw it.

    Attributes
    ----------
    time_s
        (T,) at `SIMULATION_HZ`.
    angles
        (T, n_joints) [rad; m].
    heading
        (T,) counter-clockwise from north [rad].
    """

    time_s: Array
    angles: Array
    heading: Array


def make_course(duration_s: float, rng: np.random.Generator) -> Course:
    """Draw the order and the lengths of the bouts: every activity once, strenuous ones a little longer.

    Heart rate needs its time: bouts that only heart rate tells apart would otherwise end before it
    has settled.
    """
    activity = rng.permutation(len(ACTIVITIES))
    share = rng.uniform(0.85, 1.15, len(activity)) * np.where([ACTIVITIES[i].load > 0.3 for i in activity], 1.3, 1.0)
    labelled_s = duration_s - TRANSITION_S * (len(activity) - 1)
    length_s = labelled_s * share / share.sum()
    stop_s = np.cumsum(length_s) + TRANSITION_S * np.arange(len(activity))
    return Course(activity, np.maximum(stop_s - length_s, 0.0), stop_s, duration_s)


def move(subject: Subject, course: Course, rng: np.random.Generator) -> Motion:
    """Let a person go through a course.

    Notes
    -----
    Each bout has its own cadence and vigour; the joints also drift slowly at random, since nobody
    keeps a posture exactly.
    """
    n_samples = round(course.duration_s * SIMULATION_HZ)
    time_s = np.arange(n_samples) / SIMULATION_HZ
    weights = course.weights(time_s)
    phase = _phase(subject, course, weights, rng)
    coefficients = swings()[course.activity] * subject.swing_style[course.activity, None, :]
    coefficients *= subject.vigour * np.exp(rng.normal(0, 0.08, (len(course.activity), 1, 1)))
    angles = weights @ (offsets() + subject.posture)[course.activity]
    for harmonic in range(N_HARMONICS):
        turned = np.exp(1j * (harmonic + 1) * phase)
        blended = weights @ coefficients[:, harmonic]
        angles += turned.real[:, None] * blended.real - turned.imag[:, None] * blended.imag
    return Motion(time_s, angles + _restlessness(n_samples, rng), _heading(course, time_s, weights, rng))


def _phase(subject: Subject, course: Course, weights: Array, rng: np.random.Generator) -> Array:
    cadence_hz = np.array([ACTIVITIES[index].cadence_hz for index in course.activity])
    bout_hz = cadence_hz * subject.tempo * np.exp(rng.normal(0, 0.05, len(cadence_hz)))
    wander = 1 + 0.04 * _slow_noise(len(weights), 1, 0.2, rng)[:, 0]
    phase: Array = 2 * np.pi * (np.cumsum((weights @ bout_hz) * wander) / SIMULATION_HZ + rng.uniform())
    return phase


def _heading(course: Course, time_s: Array, weights: Array, rng: np.random.Generator) -> Array:
    """Blend one straight line of heading per bout; between two bouts the body takes the short way round."""
    bouts = [ACTIVITIES[index] for index in course.activity]
    drawn = rng.uniform(0, 360, len(bouts))
    wanted = np.where([b.facing_deg is None for b in bouts], drawn, [b.facing_deg or 0.0 for b in bouts])
    wanted = wanted + rng.normal(0, 8.0, len(bouts))
    rate = np.array([b.turn_dps for b in bouts]) * np.exp(rng.normal(0, 0.15, len(bouts)))
    start = wanted.copy()
    for bout in range(1, len(bouts)):
        last = start[bout - 1] + rate[bout - 1] * (course.stop_s[bout - 1] - course.start_s[bout - 1])
        start[bout] = last + (wanted[bout] - last + 180) % 360 - 180
    lines = start + rate * (time_s[:, None] - course.start_s)
    wander_deg = weights @ np.array([b.wander_deg for b in bouts])
    slow = _slow_noise(len(time_s), 1, 0.08, rng)[:, 0]
    heading: Array = np.deg2rad((weights * lines).sum(axis=1) + wander_deg * slow)
    return heading


def _restlessness(n_samples: int, rng: np.random.Generator) -> Array:
    spread = np.array([0.004 if joint in TRANSLATIONS else np.deg2rad(1.8) for joint in JOINTS])
    return spread * _slow_noise(n_samples, len(JOINTS), 0.35, rng)


def _slow_noise(n_samples: int, n_columns: int, cutoff_hz: float, rng: np.random.Generator) -> Array:
    """Return noise of unit spread and Gaussian spectrum, (n_samples, n_columns)."""
    frequency_hz = np.fft.rfftfreq(n_samples, 1 / SIMULATION_HZ)
    kept = frequency_hz < 4 * cutoff_hz
    spectrum = np.zeros((len(frequency_hz), n_columns), complex)
    shape = (int(kept.sum()), n_columns)
    decay = np.exp(-0.5 * (frequency_hz[kept] / cutoff_hz) ** 2)[:, None]
    spectrum[kept] = (rng.normal(size=shape) + 1j * rng.normal(size=shape)) * decay
    noise = np.fft.irfft(spectrum, n_samples, axis=0)
    centred: Array = noise - noise.mean(axis=0)
    scaled: Array = centred / centred.std(axis=0)
    return scaled
