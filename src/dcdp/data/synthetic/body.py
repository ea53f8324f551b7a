"""People and their kinematic chain: joint angles in, position and orientation of each placement out.

World: x north, y west, z up. Body at heading 0: x forward, y left, z up. The chain is
pelvis -> trunk (chest) -> right shoulder -> elbow -> wrist, and pelvis -> right hip -> knee -> ankle.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dcdp.data.synthetic.activities import ACTIVITIES, JOINTS, PAIRS, TRANSLATIONS
from dcdp.data.synthetic.config import PLACEMENTS

__all__ = ["Limbs", "Pose", "Subject", "make_subject", "placement_poses", "rotation", "rotation_from_vector"]

Array = NDArray[np.float64]

_LIMB_SHARES = {  # of body height; rounded from tables of segment lengths
    "trunk": 0.29,
    "chest_forward": 0.06,
    "chest_up": 0.20,
    "shoulder_width": 0.11,
    "upper_arm": 0.18,
    "forearm": 0.15,
    "hip_width": 0.05,
    "thigh": 0.24,
    "shank": 0.22,
}


@dataclass(frozen=True)
class Limbs:
    """Lengths of the chain's segments [m]; widths are half widths."""

    trunk: float
    chest_forward: float
    chest_up: float
    shoulder_width: float
    upper_arm: float
    forearm: float
    hip_width: float
    thigh: float
    shank: float


@dataclass(frozen=True)
class Subject:
    """One person: all that stays the same over the recordings.

    Attributes
    ----------
    name
        ``s01``, ``s02``, ...
    limbs
        Segment lengths.
    tempo, vigour
        Factors on every cadence and on every swing.
    posture
        (n_activities, n_joints), personal offset of the joints [rad; m].
    swing_style
        (n_activities, n_joints) complex, personal factor on the swings.
    mounting
        Placement -> (3, 3), rotation from sensor axes to limb axes.
    rest_bpm, top_bpm, lag_s
        Heart rate at rest, at full load [bpm], and the time constant of its response [s].
    """

    name: str
    limbs: Limbs
    tempo: float
    vigour: float
    posture: Array
    swing_style: NDArray[np.complex128]
    mounting: dict[str, Array]
    rest_bpm: float
    top_bpm: float
    lag_s: float


@dataclass(frozen=True)
class Pose:
    """Where a sensor is and how it is turned: position (T, 3) [m], orientation (T, 3, 3) sensor -> world."""

    position: Array
    orientation: Array


def make_subject(index: int, rng: np.random.Generator) -> Subject:
    """Draw person number ``index`` (from 0)."""
    shape = (len(ACTIVITIES), len(JOINTS))
    style = np.exp(rng.normal(0, 0.12, shape) + 1j * rng.normal(0, 0.20, shape))
    height_m = rng.normal(1.73, 0.09)
    return Subject(
        name=f"s{index + 1:02d}",
        limbs=Limbs(**{name: height_m * share * rng.normal(1, 0.03) for name, share in _LIMB_SHARES.items()}),
        tempo=float(np.exp(rng.normal(0, 0.10))),
        vigour=float(np.exp(rng.normal(0, 0.10))),
        posture=_posture_style(rng),
        swing_style=style[_twins()],
        mounting={name: rotation_from_vector(rng.normal(0, np.deg2rad(9.0), 3)) for name in PLACEMENTS},
        rest_bpm=rng.uniform(56, 76),
        top_bpm=rng.uniform(168, 192),
        lag_s=rng.uniform(7, 11),
    )


def _posture_style(rng: np.random.Generator) -> Array:
    spread = np.array([0.0 if joint in TRANSLATIONS else np.deg2rad(5.0) for joint in JOINTS])
    habit = rng.normal(0, 1, len(JOINTS))
    by_activity = rng.normal(0, 1, (len(ACTIVITIES), len(JOINTS)))
    style: Array = spread * (habit + by_activity[_twins()]) / np.sqrt(2)
    return style


def _twins() -> list[int]:
    """Return for each activity whose style it takes: its own, or its twin's, since a pair must move alike."""
    names = [activity.name for activity in ACTIVITIES]
    first = {second: first for first, second in PAIRS}
    return [names.index(first.get(name, name)) for name in names]


def placement_poses(limbs: Limbs, angles: Array, heading: Array, mounting: dict[str, Array]) -> dict[str, Pose]:
    """Walk along the chain.

    Parameters
    ----------
    limbs
        Segment lengths.
    angles
        (T, n_joints) in the order of `JOINTS` [rad; m].
    heading
        (T,), counter-clockwise from north [rad].
    mounting
        Placement -> (3, 3), sensor axes -> limb axes; its keys choose the placements.

    Returns
    -------
    dict
        Placement -> `Pose`.
    """
    joint = dict(zip(JOINTS, angles.T, strict=True))
    facing = rotation("z", heading)
    moved = np.stack([joint[name] for name in TRANSLATIONS], axis=1)
    origin = _turn(facing, moved)
    pelvis = facing @ rotation("y", joint["pelvis_pitch"]) @ rotation("x", joint["pelvis_roll"])
    limb_poses = {}
    if {"chest", "wrist"} & set(mounting):
        trunk = (
            pelvis @ rotation("z", joint["trunk_twist"])
            @ rotation("y", joint["trunk_lean"]) @ rotation("x", joint["trunk_side"])
        )  # fmt: skip
        limb_poses["chest"] = (origin + trunk @ np.array([limbs.chest_forward, 0, limbs.chest_up]), trunk)
        if "wrist" in mounting:
            limb_poses["wrist"] = _arm(limbs, joint, origin, trunk)
    if "ankle" in mounting:
        limb_poses["ankle"] = _leg(limbs, joint, origin, pelvis)
    return {name: Pose(limb_poses[name][0], limb_poses[name][1] @ turned) for name, turned in mounting.items()}


def _arm(limbs: Limbs, joint: dict[str, Array], origin: Array, trunk: Array) -> tuple[Array, Array]:
    shoulder = origin + trunk @ np.array([0, -limbs.shoulder_width, limbs.trunk])
    upper = trunk @ rotation("y", -joint["shoulder_flexion"]) @ rotation("x", -joint["shoulder_abduction"])
    elbow = shoulder + upper @ np.array([0, 0, -limbs.upper_arm])
    forearm = upper @ rotation("y", -joint["elbow_flexion"]) @ rotation("z", joint["forearm_twist"])
    return elbow + forearm @ np.array([0, 0, -limbs.forearm]), forearm


def _leg(limbs: Limbs, joint: dict[str, Array], origin: Array, pelvis: Array) -> tuple[Array, Array]:
    hip = origin + pelvis @ np.array([0, -limbs.hip_width, 0])
    thigh = pelvis @ rotation("y", -joint["hip_flexion"]) @ rotation("x", -joint["hip_abduction"])
    knee = hip + thigh @ np.array([0, 0, -limbs.thigh])
    shank = thigh @ rotation("y", joint["knee_flexion"])
    return knee + shank @ np.array([0, 0, -limbs.shank]), shank


def rotation(axis: str, angle: Array) -> Array:
    """Return the rotations by ``angle`` (T,) [rad] about a coordinate axis, (T, 3, 3).

    Examples
    --------
    >>> rotation("z", np.array([np.pi / 2])).round()[0] @ [1, 0, 0]
    array([0., 1., 0.])
    """
    first, second = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    matrices = np.zeros((len(angle), 3, 3))
    matrices[:] = np.eye(3)
    cosine, sine = np.cos(angle), np.sin(angle)
    matrices[:, first, first] = matrices[:, second, second] = cosine
    matrices[:, first, second], matrices[:, second, first] = -sine, sine
    return matrices


def rotation_from_vector(vector: Array) -> Array:
    """Return the rotation about ``vector`` by its length [rad], (..., 3) -> (..., 3, 3); Rodrigues' formula."""
    angle = np.linalg.norm(vector, axis=-1)[..., None, None]
    x, y, z = np.moveaxis(vector, -1, 0)
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1).reshape(*x.shape, 3, 3)
    turned: Array = np.eye(3) + np.sinc(angle / np.pi) * cross + 0.5 * np.sinc(angle / (2 * np.pi)) ** 2 * cross @ cross
    return turned


def _turn(rotations: Array, vectors: Array) -> Array:
    return (rotations @ vectors[:, :, None])[:, :, 0]
