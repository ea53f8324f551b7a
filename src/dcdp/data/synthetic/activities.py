"""The activities, declared: where the joints rest, how they swing, where one faces, how hard it is.

A joint follows ``offset + sum_h amplitude_h * cos(h * phase + lag_h)``; `phase` advances with the
cadence. Angles are degrees here and radians in the arrays. The right-hand rule about the body's
axes (x forward, y left, z up) gives the signs: a limb that hangs swings forward for a *negative*
pitch, so flexions are turned around in `dcdp.data.synthetic.body`, not here.

Three pairs move alike on purpose, and one modality tells each apart (see `PAIRS`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["ACTIVITIES", "CARRIERS", "JOINTS", "N_HARMONICS", "PAIRS", "TRANSLATIONS", "Activity", "offsets", "swings"]

TRANSLATIONS = ("surge", "sway", "heave")  # of the pelvis: forward, left, up [m]
JOINTS = (
    *TRANSLATIONS,
    "pelvis_pitch",
    "pelvis_roll",
    "trunk_twist",
    "trunk_lean",
    "trunk_side",
    "shoulder_flexion",
    "shoulder_abduction",
    "elbow_flexion",
    "forearm_twist",
    "hip_flexion",
    "hip_abduction",
    "knee_flexion",
)
N_HARMONICS = 4
Swing = tuple[int, float, float]  # harmonic, amplitude [deg or m], lag [deg]


@dataclass(frozen=True)
class Activity:
    """One activity of the synthetic body.

    Attributes
    ----------
    name
        The label.
    load
        Metabolic load, 0 at rest to 1 at the highest heart rate.
    cadence_hz
        Cycles per second of the fundamental.
    turn_dps
        Steady rotation of the whole body about the vertical, counter-clockwise [deg/s].
    facing_deg
        Heading, counter-clockwise from north [deg]; None where it is another one each time.
    wander_deg
        How far the heading wanders to either side during the activity [deg].
    rest
        Joint -> offset [deg; m for translations].
    swing
        Joint -> harmonics.
    """

    name: str
    load: float
    cadence_hz: float = 0.3
    turn_dps: float = 0.0
    facing_deg: float | None = None
    wander_deg: float = 0.0
    rest: Mapping[str, float] = field(default_factory=dict)
    swing: Mapping[str, tuple[Swing, ...]] = field(default_factory=dict)


_BREATH: dict[str, tuple[Swing, ...]] = {"trunk_lean": ((1, 0.5, 0.0),)}
_UPRIGHT = {"shoulder_flexion": 4.0, "shoulder_abduction": 8.0, "elbow_flexion": 15.0, "knee_flexion": 4.0}
_SEATED = {
    "heave": -0.40,
    "trunk_lean": 8.0,
    "shoulder_flexion": 30.0,
    "shoulder_abduction": 12.0,
    "elbow_flexion": 65.0,
    "forearm_twist": 40.0,
    "hip_flexion": 85.0,
    "knee_flexion": 88.0,
}
_RIDING = {
    "trunk_lean": 38.0,
    "shoulder_flexion": 75.0,
    "elbow_flexion": 18.0,
    "forearm_twist": 20.0,
    "hip_flexion": 62.0,
    "knee_flexion": 70.0,
}
_PEDALLING: dict[str, tuple[Swing, ...]] = {
    "hip_flexion": ((1, 22.0, 0.0),),
    "knee_flexion": ((1, 34.0, -35.0), (2, 3.0, 20.0)),
    "trunk_side": ((1, 2.0, 90.0),),
    "pelvis_roll": ((1, 2.0, 60.0),),
    "sway": ((1, 0.008, 90.0),),
}
_GAIT: dict[str, tuple[Swing, ...]] = {
    "hip_flexion": ((1, 21.0, 0.0), (2, 3.0, 90.0)),
    "knee_flexion": ((1, 24.0, -110.0), (2, 13.0, -40.0), (3, 3.0, 0.0)),
    "shoulder_flexion": ((1, 17.0, 180.0),),
    "elbow_flexion": ((1, 6.0, 180.0),),
    "trunk_twist": ((1, 6.0, 0.0),),
    "trunk_lean": ((2, 1.5, 30.0),),
    "pelvis_roll": ((1, 3.0, 90.0),),
    "surge": ((2, 0.012, 90.0),),
    "sway": ((1, 0.020, 90.0),),
    "heave": ((2, 0.020, 0.0), (4, 0.004, 60.0)),
}
_CLIMB: dict[str, tuple[Swing, ...]] = {
    **_GAIT,
    "hip_flexion": ((1, 28.0, 0.0), (2, 4.0, 80.0)),
    "knee_flexion": ((1, 38.0, -95.0), (2, 12.0, -40.0), (3, 2.0, 0.0)),
    "shoulder_flexion": ((1, 12.0, 180.0),),
    "surge": ((2, 0.016, 60.0),),
    "heave": ((2, 0.024, 20.0), (4, 0.003, 60.0)),
}
_SHUFFLE: dict[str, tuple[Swing, ...]] = {
    "hip_flexion": ((1, 5.0, 0.0),),
    "knee_flexion": ((1, 9.0, -60.0), (2, 3.0, 0.0)),
    "pelvis_roll": ((1, 2.0, 90.0),),
    "heave": ((2, 0.004, 0.0),),
}

ACTIVITIES = (
    Activity("lying", 0.0, rest={"heave": -0.5, "pelvis_pitch": -90.0, "shoulder_abduction": 15.0}, swing=_BREATH),
    Activity("standing", 0.06, rest=_UPRIGHT, swing=_BREATH),
    Activity("reading", 0.03, facing_deg=0.0, rest=_SEATED, swing=_BREATH),
    Activity("watching", 0.03, facing_deg=120.0, rest=_SEATED, swing=_BREATH),
    Activity(
        "walking", 0.30, 0.90, wander_deg=60.0,
        rest={**_UPRIGHT, "trunk_lean": 4.0, "hip_flexion": 10.0, "knee_flexion": 26.0}, swing=_GAIT,
    ),
    Activity(
        "stairs_up", 0.60, 0.78, wander_deg=60.0,
        rest={**_UPRIGHT, "trunk_lean": 13.0, "hip_flexion": 26.0, "knee_flexion": 48.0}, swing=_CLIMB,
    ),
    Activity("cycling_easy", 0.35, 1.15, rest=_RIDING, swing=_PEDALLING),
    Activity("cycling_hard", 0.85, 1.15, rest=_RIDING, swing=_PEDALLING),
    Activity("turning_left", 0.12, 0.75, turn_dps=50.0, rest=_UPRIGHT, swing=_SHUFFLE),
    Activity("turning_right", 0.12, 0.75, turn_dps=-50.0, rest=_UPRIGHT, swing=_SHUFFLE),
)  # fmt: skip

#: Two activities that move alike -> the modality whose window statistics tell them apart.
PAIRS = {
    ("turning_left", "turning_right"): "gyr",
    ("reading", "watching"): "mag",
    ("cycling_easy", "cycling_hard"): "hr",
}

#: Activity -> the modalities that together tell it from every other activity by the statistics of a
#: window of a new person; for a twin in `PAIRS`, the one modality that tells it from the other twin.
CARRIERS = {
    "lying": ("acc",),
    "standing": ("acc",),
    "walking": ("acc", "gyr"),
    "stairs_up": ("acc", "gyr"),
    **{name: (modality,) for pair, modality in PAIRS.items() for name in pair},
}


def offsets() -> NDArray[np.float64]:
    """Return where the joints rest in each activity, (n_activities, n_joints) [rad; m]."""
    table = np.zeros((len(ACTIVITIES), len(JOINTS)))
    for row, activity in enumerate(ACTIVITIES):
        for joint, value in activity.rest.items():
            table[row, JOINTS.index(joint)] = value
    return table * _to_si()


def swings() -> NDArray[np.complex128]:
    """Return the Fourier coefficients, (n_activities, N_HARMONICS, n_joints) [rad; m]."""
    table = np.zeros((len(ACTIVITIES), N_HARMONICS, len(JOINTS)), complex)
    for row, activity in enumerate(ACTIVITIES):
        for joint, terms in activity.swing.items():
            for harmonic, amplitude, lag_deg in terms:
                table[row, harmonic - 1, JOINTS.index(joint)] = amplitude * np.exp(1j * np.deg2rad(lag_deg))
    coefficients: NDArray[np.complex128] = table * _to_si().astype(complex)
    return coefficients


def _to_si() -> NDArray[np.float64]:
    return np.array([1.0 if joint in TRANSLATIONS else np.pi / 180 for joint in JOINTS])
