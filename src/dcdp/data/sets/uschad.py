"""USC-HAD: one MotionNode at the right hip, twelve activities."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from dcdp.data.declaration import DataSet, Download, Files, inertial_signal, subject_name
from dcdp.data.layout import Layout
from dcdp.data.matlab import read_matrix
from dcdp.errors import FormatError
from dcdp.records import Branch, LabelSet, Recording, Segment, SignalSpec, Track
from dcdp.signals.units import convert

__all__ = ["USCHAD"]

RATE_HZ = 100.0
MAT_BYTES = 20_000_000
ACTIVITIES = (
    "walking_forward",
    "walking_left",
    "walking_right",
    "walking_upstairs",
    "walking_downstairs",
    "running_forward",
    "jumping_up",
    "sitting",
    "standing",
    "sleeping",
    "lift_up",
    "lift_down",
)
PATTERN = re.compile(r"Subject(?P<subject>\d+)/a(?P<activity>\d+)t(?P<trial>\d+)\.mat\Z")
SPEC = SignalSpec((inertial_signal("hip", "acc", RATE_HZ), inertial_signal("hip", "gyr", RATE_HZ)))

Key = tuple[int, int, int]
"""Subject, activity and trial, from the file name: three files contradict it inside, and the names are right."""


def parse(files: Files) -> Iterator[Recording]:
    """Read one recording for each trial, sorted by subject, activity and trial.

    Raises
    ------
    FormatError
        For a file that is no MATLAB file, without six columns of numbers, or of an unknown activity.
    """
    readings: dict[Key, NDArray[np.float64]] = {}
    for path, data in files:
        if match := PATTERN.search(path):
            key = (int(match["subject"]), int(match["activity"]), int(match["trial"]))
            if not 1 <= key[1] <= len(ACTIVITIES):
                raise FormatError(f"activity must be 1 to {len(ACTIVITIES)}", f"{key[1]} in '{path}'",
                                  "Fetch the set again; its files are aMtN.mat.")
            readings[key] = _readings(path, data)
    for key in sorted(readings):
        yield _recording(key, readings[key])


def _readings(path: str, data: bytes) -> NDArray[np.float64]:
    """Return ``sensor_readings`` (T, 6) [g, deg/s]."""
    values = read_matrix(path, data, "sensor_readings", MAT_BYTES)
    if values is None:
        raise FormatError("a file must hold 'sensor_readings'", f"none in '{path}'", "Fetch the file again.")
    if values.shape[1] != 6 or len(values) == 0:
        raise FormatError("'sensor_readings' must have 6 columns", f"{values.shape} in '{path}'",
                          "The file is damaged: fetch it again.")
    if np.isinf(values).any():
        raise FormatError("a field must be a finite number or nan", f"an infinite number in '{path}'",
                          "The file is damaged: fetch it again.")
    return values


def _recording(key: Key, readings: NDArray[np.float64]) -> Recording:
    subject, activity, trial = key
    acc = convert(readings[:, :3], "g", "m/s2").astype(np.float32)
    gyr = readings[:, 3:].astype(np.float32)
    tracks = tuple(Track(signal, values) for signal, values in zip(SPEC, (acc, gyr), strict=True))
    name = f"{subject_name(subject)}_a{activity:02d}_t{trial}"
    segment = Segment(0.0, len(readings) / RATE_HZ, ACTIVITIES[activity - 1])
    return Recording(name, subject_name(subject), str(trial), tracks, (segment,))


DIGESTS = {
    "s01": "7a99d615e77a6aadb4d1e9619c805313085e702c5eb5c27404bfe4290960e5cb",
    "s02": "92673778fb20530a02c45a7c4e7aa7a8e9f88bd393e9b69878fec7a3a011ac23",
    "s03": "5653173dc5f4b32500d1a983188cb7a0c4ed220a6c549e5d75604cc7b83687f1",
    "s04": "1ecb851f786e3c0bd3f8d2c9dba63f5532a4b8b31fce14e2f0dd31313bf1cc98",
    "s05": "d1f92674b1ea58bd0416ca4754e329b9971c58613818d74c11d64780beb644cc",
    "s06": "bbbae47cf08e080992f6799ce8f11ceedaee69a8f04a8e9159349818cb37a081",
    "s07": "2d526e3f21c099fb8b61351f928a79c6879c055cdca47d3eb71739333f229257",
    "s08": "5b8fac3ed7c9544d60c3e8ed8f96b2433ca3683d76aa977084e2c6a2d32e3dc6",
    "s09": "faa4043f8f042cc01b4d6f7ad4aeb4ac8a707765c40a6fe6507087248e564e68",
    "s10": "43d0678ca8ebea81eb72fb79917e540b8dee418a007e32b99e14b39f6768b350",
    "s11": "5c10cc0aa2540afe562ac4f86203586ea2c9775d0ce00ed5b7bf4b512c616368",
    "s12": "6ac9afc213a4a8fbf5cfd0ff3c1b15a273a9a1cc62ea7ff64e7d416592882b09",
    "s13": "1dc0c9c3ecb8a441eeb67f5f1164fb6a7eea3287d2a523edb05d58135a180b95",
    "s14": "2586623e0d79284977f5b6883c6f29094c2d7efccfacd2a656f591880e93d767",
}
"""See `dcdp.data.digests`."""

USCHAD = DataSet(
    name="uschad",
    title="USC Human Activity Dataset (USC-HAD)",
    licence="no licence text; free for research with citation",
    citation="Zhang, Sawchuk (2012). USC-HAD: a daily activity dataset for ubiquitous activity recognition using "
    "wearable sensors. UbiComp workshop on situation, activity and goal awareness.",
    urls=("https://sipi.usc.edu/had/",),
    layout=Layout(
        pattern=PATTERN,
        landmark="Subject1",
        folders=("", "data", "USC-HAD/data", "uschad/USC-HAD/data", "USC-HAD", "uschad/data", "uschad"),
        archives=("uschad.tar.xz", "uschad.zip", "USC-HAD.zip"),
        n_files=840,
        file_bytes=20_000_000,
        total_bytes=400_000_000,
    ),
    spec=SPEC,
    subjects=tuple(subject_name(number) for number in range(1, 15)),
    labels=LabelSet(ACTIVITIES),
    n_recordings=840,
    branches=(Branch("acc", ("hip_acc",), "residual"), Branch("gyr", ("hip_gyr",), "dense")),
    digests=DIGESTS,
    parse=parse,
    download=Download("https://sipi.usc.edu/had/USC-HAD.zip", "USC-HAD.zip"),
    megabytes=45,
)
