"""The knob for competition between modalities: one loud cue that does not travel, many quiet ones that do.

With dominance ``d`` > 0 three things are laid over the physics:

- The zero level of each axis of the *dominant* modality shifts with the activity, as straps press and
  slide. The mean of a window reads this code at once and on training people it is complete; but
  each person's strap sits differently, so that the code of a new person is a distorted one.
- Every *weak* motion modality hears a quiet travelling wave of one loudness for all activities. What
  tells the activity is the order in which it passes the axes: it is the same for everybody, is invisible in each
  axis's mean and spread, and has to be learnt as a phase relation between channels.
- The weak modalities are noisier.

Heart rate, one slow channel, cannot dominate and carries no wave: it is only noisier. At ``d`` = 0
nothing is added.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dcdp.data.synthetic.activities import ACTIVITIES
from dcdp.data.synthetic.config import PLACEMENTS, BodyConfig
from dcdp.data.synthetic.schedule import SIMULATION_HZ, Course

__all__ = ["Cues", "draw_distortion", "noise_factor", "wave_phase"]

Array = NDArray[np.float64]

_LOUD = {"acc": 2.0, "gyr": 25.0, "mag": 8.0}  # spread of the level code at d = 1 [unit of the modality]
_QUIET = {"acc": 0.5, "gyr": 6.0, "mag": 6.0}  # amplitude of the travelling wave at d = 1 [same]
_DISTORTION = 1.7  # of a person's code, relative to the spread of the codes
_WEAK_NOISE = 6.0  # added to the factor on the white noise of weak modalities at d = 1
_WAVE_HZ = 1.7
_AXES = ("acc", "gyr", "mag")


@dataclass(frozen=True)
class Cues:
    """What the knob adds to the sensors of one person in one recording.

    Attributes
    ----------
    config
        The knobs.
    distortion
        (n_activities, 3 * n_placements), the person's deviation from the codes.
    phase
        (T,) of the travelling wave at `SIMULATION_HZ` [rad].
    """

    config: BodyConfig
    distortion: Array
    phase: Array

    def level(self, placement: str, course: Course, weights: Array) -> Array:
        """Return the loud cue of one dominant sensor, (T, n_bouts) weights -> (T, 3).

        It grows with the square of the knob: linearly it would outshine posture by ``d`` = 0.5 already.
        """
        code = (_codes() + _DISTORTION * self.distortion)[:, _columns(placement)]
        level: Array = self.config.dominance**2 * _LOUD[self.config.dominant] * (weights @ code[course.activity])
        return level

    def wave(self, placement: str, modality: str, course: Course, weights: Array) -> Array:
        """Return the quiet cue of one weak sensor, (T, n_bouts) weights -> (T, 3)."""
        lags = _lags()[_AXES.index(modality)][:, _columns(placement)]
        every = round(len(self.phase) / len(weights))
        blended = weights @ np.exp(1j * lags[course.activity])
        carrier = np.exp(1j * self.phase[::every])[: len(weights), None]
        wave: Array = self.config.dominance * _QUIET[modality] * (carrier * blended).real
        return wave


def draw_distortion(rng: np.random.Generator) -> Array:
    """Draw one person's deviation from the codes (see `Cues`)."""
    return rng.normal(size=(len(ACTIVITIES), 3 * len(PLACEMENTS)))


def wave_phase(n_samples: int, rng: np.random.Generator) -> Array:
    """Draw the phase of a recording's travelling wave at `SIMULATION_HZ`, (n_samples,) [rad].

    Its pace changes every few seconds, so that pace is no cue.
    """
    knots = rng.uniform(0.8, 1.2, n_samples // 300 + 2)
    pace = np.interp(np.arange(n_samples) / 300, np.arange(len(knots)), knots)
    phase: Array = 2 * np.pi * (np.cumsum(_WAVE_HZ * pace) / SIMULATION_HZ + rng.uniform())
    return phase


def noise_factor(config: BodyConfig, modality: str) -> float:
    """Return the factor on a modality's white noise, >= 1; bias and drift stay, they would hide posture itself."""
    weak = modality != config.dominant
    return 1 + _WEAK_NOISE * config.dominance * weak


def _columns(placement: str) -> slice:
    first = 3 * PLACEMENTS.index(placement)
    return slice(first, first + 3)


def _codes() -> Array:
    # a fixed seed: the codes belong to the activities, not to a draw of people
    return np.random.default_rng(1).normal(size=(len(ACTIVITIES), 3 * len(PLACEMENTS)))


def _lags() -> Array:
    quarter_turns = np.random.default_rng(2).integers(0, 4, (len(_AXES), len(ACTIVITIES), 3 * len(PLACEMENTS)))
    return quarter_turns.astype(np.float64) * (np.pi / 2)
