"""Small stores for the checks: five people, two signals, two activities, noise that no rule minds."""

import numpy as np
import pytest

from dcdp.data import memory_store
from dcdp.data.declaration import inertial_signal
from dcdp.records import LabelSet, Recording, Segment, SignalSpec, Track

ACC, GYR = inertial_signal("wrist", "acc", 50.0), inertial_signal("wrist", "gyr", 50.0)
SPEC = SignalSpec((ACC, GYR))
LABELS = LabelSet(("sit", "walk"), "null")
PEOPLE = ("s1", "s2", "s3", "s4", "s5")


def noise(seed, size=1000):
    return np.random.default_rng(seed).normal(size=(size, 3)).astype(np.float32)


def make_recording(number, subject, acc, gyr, labels=("sit", "walk"), notes=()):
    """A recording whose first half is the first activity, and so on; None leaves a signal out."""
    each_s = len(acc if acc is not None else gyr) / 50 / max(len(labels), 1)
    segments = tuple(Segment(each_s * k, each_s * (k + 0.9), label) for k, label in enumerate(labels))
    tracks = tuple(Track(s, values) for s, values in ((ACC, acc), (GYR, gyr)) if values is not None)
    return Recording(f"r{number}", subject, "1", tracks, segments, notes)


@pytest.fixture
def make_store():
    """A store of one recording a subject; ``change(subject, acc, gyr)`` alters the arrays in place."""

    def make(change=lambda _subject, _acc, _gyr: None, subjects=PEOPLE, labels=("sit", "walk"), size=1000, notes=()):
        recordings = []
        for i, subject in enumerate(subjects):
            acc = noise(i, size) * np.float32(0.5) + np.float32([0, 0, 9.8])
            gyr = noise(i + 100, size) * np.float32(20)
            change(subject, acc, gyr)
            recordings.append(make_recording(i, subject, acc, gyr, labels, notes))
        return memory_store(SPEC, LABELS, recordings)

    return make
