"""A small physical simulator of people who wear sensors: recordings with known truths, from a seed alone.

`activities` declares what is done, `schedule` when, `body` turns joint angles into poses, `sensors`
measures them, and `cues` is the knob for competition between modalities.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dcdp.data.synthetic.activities import ACTIVITIES, CARRIERS, PAIRS
from dcdp.data.synthetic.body import Pose, Subject, make_subject, placement_poses
from dcdp.data.synthetic.config import MODALITIES, PLACEMENTS, BodyConfig, body_spec
from dcdp.data.synthetic.cues import Cues, draw_distortion, noise_factor, wave_phase
from dcdp.data.synthetic.schedule import SIMULATION_HZ, Course, Motion, make_course, move
from dcdp.data.synthetic.sensors import ERRORS, accelerometer, disturb, gyroscope, heart_rate, lose, magnetometer
from dcdp.records import Branch, LabelSet, Recording, Signal, SignalSpec, Track

__all__ = ["BodyConfig", "BodyTruth", "SyntheticBody", "synthetic_body"]

Array = NDArray[np.float64]

_POSE_SENSORS = {"acc": accelerometer, "gyr": gyroscope, "mag": magnetometer}
_STREAMS = ("person", "distortion", "course", "motion", "wave", "load", "sensor")


@dataclass(frozen=True)
class BodyTruth:
    """What the simulator knows and a recogniser has to find out.

    Attributes
    ----------
    carriers
        Activity -> modalities, of those recorded, that distinguish it.
    pairs
        Two activities that move alike -> the modality that tells them apart (at dominance 0).
    dominant
        The modality with the loud cue, None at dominance 0.
    dead_signal
        The stuck signal, None if all work.
    """

    carriers: dict[str, tuple[str, ...]]
    pairs: dict[tuple[str, str], str]
    dominant: str | None
    dead_signal: str | None


@dataclass(frozen=True)
class SyntheticBody:
    """A data set made from a seed: signals, labels, recordings, default branches, and its truths.

    The transitions between activities lie outside every segment: they are the null class.
    """

    spec: SignalSpec
    labels: LabelSet
    recordings: tuple[Recording, ...]
    branches: tuple[Branch, ...]
    truth: BodyTruth


def synthetic_body(config: BodyConfig | None = None) -> SyntheticBody:
    """Simulate all recordings of a configuration.

    Knobs of the sensors (noise, dropouts, dead signal, dominance) leave the movement as it is, and a
    sensor reads the same whichever others are recorded.

    Examples
    --------
    >>> body = synthetic_body(BodyConfig(n_subjects=1, minutes_per_subject=3))
    >>> [recording.name for recording in body.recordings]
    ['s01_1', 's01_2']
    >>> body.truth.pairs["turning_left", "turning_right"]
    'gyr'
    """
    config = config or BodyConfig()
    spec = body_spec(config)
    people = range(config.n_subjects)
    return SyntheticBody(
        spec=spec,
        labels=LabelSet(tuple(activity.name for activity in ACTIVITIES)),
        recordings=tuple(recording for person in people for recording in _record_person(config, spec, person)),
        branches=_branches(config, spec),
        truth=BodyTruth(
            carriers={n: tuple(m for m in found if m in config.modalities) for n, found in CARRIERS.items()},
            pairs={pair: modality for pair, modality in PAIRS.items() if modality in config.modalities},
            dominant=config.dominant if config.dominance else None,
            dead_signal=config.dead_signal,
        ),
    )


def _branches(config: BodyConfig, spec: SignalSpec) -> tuple[Branch, ...]:
    return tuple(
        Branch(
            modality,
            tuple(signal.name for signal in spec if signal.modality == modality),
            "residual" if modality == "acc" else "dense",
        )
        for modality in config.modalities
    )


def _record_person(config: BodyConfig, spec: SignalSpec, person: int) -> list[Recording]:
    subject = make_subject(person, _stream(config, "person", person))
    distortion = draw_distortion(_stream(config, "distortion", person))
    recordings = []
    for session in range(config.recordings_per_subject):
        course = make_course(60 * config.minutes_per_recording, _stream(config, "course", person, session))
        motion = move(subject, course, _stream(config, "motion", person, session))
        phase = wave_phase(len(motion.time_s), _stream(config, "wave", person, session))
        cues = Cues(config, distortion, phase)
        poses = placement_poses(
            subject.limbs, motion.angles, motion.heading, {name: subject.mounting[name] for name in _worn(config)}
        )
        tracks = tuple(
            _record_signal(cues, signal, subject, course, motion, poses, (person, session)) for signal in spec
        )
        name = f"{subject.name}_{session + 1}"
        recordings.append(Recording(name, subject.name, str(session + 1), tracks, course.segments))
    return recordings


def _worn(config: BodyConfig) -> tuple[str, ...]:
    return config.placements if set(config.modalities) & set(_POSE_SENSORS) else ()


def _record_signal(
    cues: Cues,
    signal: Signal,
    subject: Subject,
    course: Course,
    motion: Motion,
    poses: dict[str, Pose],
    where: tuple[int, int],
) -> Track:
    config = cues.config
    place = PLACEMENTS.index(signal.placement), MODALITIES.index(signal.modality)
    rng = _stream(config, "sensor", *where, *place)
    weights = course.weights(motion.time_s[:: round(SIMULATION_HZ / signal.rate_hz)])
    if signal.modality == "hr":
        start_load = _stream(config, "load", *where).uniform(0, 0.4)
        values = heart_rate(subject, weights @ course.load, signal.rate_hz, start_load)
    else:
        values = _POSE_SENSORS[signal.modality](poses[signal.placement], SIMULATION_HZ, signal.rate_hz)
    errors = ERRORS[signal.modality]
    errors = replace(errors, white=errors.white * noise_factor(config, signal.modality))
    values = disturb(values, errors, config.noise, rng)
    if config.dominance and signal.modality != "hr":
        values = values + _cue(cues, signal, course, weights)
    values = lose(values, config.dropout_rate, max(1, round(config.dropout_s * signal.rate_hz)), rng)
    if signal.name == config.dead_signal:
        values = np.broadcast_to(np.nan_to_num(values[:1]), values.shape)
    return Track(signal, values.astype(np.float32))


def _cue(cues: Cues, signal: Signal, course: Course, weights: Array) -> Array:
    if signal.modality == cues.config.dominant:
        return cues.level(signal.placement, course, weights)
    return cues.wave(signal.placement, signal.modality, course, weights)


def _stream(config: BodyConfig, name: str, *where: int) -> np.random.Generator:
    """Return the random stream of one purpose at one place: no knob shifts the draws of another."""
    return np.random.default_rng([config.seed, _STREAMS.index(name), *where])
