"""DSADS: five units on torso, arms and legs, nineteen daily and sports activities."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from dcdp.data.declaration import DataSet, Download, Files, inertial_signal, subject_name
from dcdp.data.layout import Layout
from dcdp.data.text import parse_table
from dcdp.errors import FormatError
from dcdp.records import Branch, LabelSet, Recording, Segment, SignalSpec, Track
from dcdp.signals.units import convert

__all__ = ["DSADS"]

RATE_HZ = 25.0
SEGMENT_SAMPLES = 125
N_SEGMENTS = 60
ACTIVITIES = (
    "sitting",
    "standing",
    "lying_on_back",
    "lying_on_right_side",
    "ascending_stairs",
    "descending_stairs",
    "standing_in_lift",
    "moving_in_lift",
    "walking_in_parking_lot",
    "treadmill_flat",
    "treadmill_inclined",
    "treadmill_running",
    "stepper",
    "cross_trainer",
    "cycling_horizontal",
    "cycling_vertical",
    "rowing",
    "jumping",
    "basketball",
)
PLACEMENTS = ("torso", "right_arm", "left_arm", "right_leg", "left_leg")
MODALITIES = ("acc", "gyr", "mag")
FILE_UNITS = {"acc": "m/s2", "gyr": "rad/s", "mag": "1"}

PATTERN = re.compile(r"a(?P<activity>\d\d)/p(?P<subject>\d)/s(?P<segment>\d\d)\.txt\Z")
SPEC = SignalSpec(
    tuple(
        inertial_signal(placement, modality, RATE_HZ, "1" if modality == "mag" else None)
        for placement in PLACEMENTS
        for modality in MODALITIES
    )
)
COLUMNS = tuple(channel for signal in SPEC for channel in signal.channels)

Key = tuple[int, int]
"""Activity and subject, as numbered in the set."""


def parse(files: Files) -> Iterator[Recording]:
    """Read one recording for each (activity, subject): 60 consecutive segments of 5 s, joined, sorted.

    Raises
    ------
    FormatError
        For a missing or short segment, a wrong number of fields, an unknown activity.
    """
    waiting: dict[Key, dict[int, tuple[str, bytes]]] = {}
    done: dict[Key, Recording] = {}
    for path, data in files:
        if (match := PATTERN.search(path)) is None:
            continue
        key, segment = (int(match["activity"]), int(match["subject"])), int(match["segment"])
        if not 1 <= key[0] <= len(ACTIVITIES):
            raise FormatError(f"activity must be 1 to {len(ACTIVITIES)}", f"{key[0]} in '{path}'",
                              "Fetch the set again.")
        waiting.setdefault(key, {})[segment] = (path, data)
        if len(waiting[key]) == N_SEGMENTS:  # text is ten times the size of its numbers: keep it no longer than needed
            done[key] = _recording(key, waiting.pop(key))
    done.update({key: _recording(key, segments) for key, segments in waiting.items()})
    for key in sorted(done):
        yield done[key]


def _recording(key: Key, segments: dict[int, tuple[str, bytes]]) -> Recording:
    activity, subject = key
    name = f"a{activity:02d}_p{subject}"
    if sorted(segments) != list(range(1, len(segments) + 1)):
        lacking = min(set(range(1, N_SEGMENTS + 1)) - set(segments))
        raise FormatError("segments must follow each other", f"no segment s{lacking:02d} of '{name}'",
                          "Unpack the whole archive.")
    files = [segments[number] for number in sorted(segments)]
    table, lengths = parse_table(files, ",", COLUMNS)
    for (path, _), length in zip(files, lengths, strict=True):
        if length != SEGMENT_SAMPLES:
            raise FormatError(f"a segment must have {SEGMENT_SAMPLES} lines", f"{length} in '{path}'",
                              "The file is damaged: fetch it again.")
    tracks = tuple(
        Track(signal, convert(table[:, 3 * i : 3 * i + 3], FILE_UNITS[signal.modality], signal.unit).astype(np.float32))
        for i, signal in enumerate(SPEC)
    )
    segment = Segment(0.0, len(table) / RATE_HZ, ACTIVITIES[activity - 1])
    return Recording(name, subject_name(subject), "1", tracks, (segment,))


def _branch(modality: str, encoder: str) -> Branch:
    return Branch(modality, tuple(signal.name for signal in SPEC if signal.modality == modality), encoder)


DIGESTS = {
    "s01": "863f4ff1fda0309ccf0b7d19eb5cce28448599c395a8f8a6861c44bd422285a3",
    "s02": "d58cd15d6145df36aa123cbf8a0b45450388f5be2f1c22ebbf1532aa3ff3c53a",
    "s03": "27864681706a3f1b2f7ef9e5745e4f011dc35e5708c44bc7c91b8e40c003a9e0",
    "s04": "7c98f4c7c31dbaf4fb8cdb6a03238ef1707bc1babe4df8f59a4c01c7d9b9a593",
    "s05": "1695ae4730f08c567ce834413e3519c7b23c7909d577b85ccda433fabd1ef44c",
    "s06": "7a5059789351ea32d44c6c385e6c297744e22e21c90799f10f716a69c6a7447d",
    "s07": "4aa8bc47f884bd6aeb4dbe60ba729bb944e215e61ea84dd2c6e4fbad5735922a",
    "s08": "d1b7b7ee4ef999c612fb8ed89545791450ad8d8e0c6497e735e92c3d80612b12",
}
"""See `dcdp.data.digests`."""

DSADS = DataSet(
    name="dsads",
    title="Daily and Sports Activities",
    licence="no licence text; CC BY 4.0 according to its page; cite the papers",
    citation="Altun, Barshan, Tunçel (2010). Comparative study on classifying human activities with miniature inertial "
    "and magnetic sensors. Pattern Recognition 43(10), 3605-3620.",
    urls=("https://archive.ics.uci.edu/dataset/256/daily+and+sports+activities",),
    layout=Layout(
        pattern=PATTERN,
        landmark="a01",
        folders=("", "data", "dsads/data", "dsads"),
        archives=("dsads.tar.xz", "dsads.zip", "daily+and+sports+activities.zip"),
        n_files=9120,
        file_bytes=1_000_000,
        total_bytes=1_000_000_000,
    ),
    spec=SPEC,
    subjects=tuple(subject_name(number) for number in range(1, 9)),
    labels=LabelSet(ACTIVITIES),
    n_recordings=152,
    branches=(_branch("acc", "residual"), _branch("gyr", "dense"), _branch("mag", "dense")),
    digests=DIGESTS,
    parse=parse,
    download=Download(
        "https://archive.ics.uci.edu/static/public/256/daily+and+sports+activities.zip", "dsads.zip"
    ),
    megabytes=422,
)
