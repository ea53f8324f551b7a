"""Shoaib (SAD): five smartphones on ten people, seven activities.

Written from the paper (Shoaib et al. 2014), the page of the set (University of Twente, pervasive systems) and the
column lists of published readers of it. ``Participant_N.csv`` has two lines of names, then 70 columns: for left pocket,
right pocket, wrist, upper arm and belt each a time stamp, acceleration, linear acceleration, gyroscope [rad/s] and
magnetometer [uT], then an empty column; behind the last of them the activity instead. 50 samples a second.

Decisions
---------
- The published time stamps were rounded by a spreadsheet (``1.39E+12`` ms): they tell nothing, and rows are taken to
  follow each other at 50 Hz, as documented.
- The activities of a person (3 minutes each) were put behind each other, so a run of one label is one recording.
- Linear acceleration is derived from the others, so it is left out.
- ``upsatirs`` is a misspelling in the files and read as ``upstairs``.
- An empty cell of a sensor is a gap; a note counts them.
- The set is published as a RAR archive, which is not read: unpack it, and give the folder.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from dcdp.data.declaration import DataSet, Files, inertial_signal, subject_name
from dcdp.data.labelled import parse_labelled, require_header
from dcdp.data.layout import Layout
from dcdp.errors import FormatError
from dcdp.records import Branch, LabelSet, Note, Recording, Segment, SignalSpec, Track
from dcdp.signals.units import convert

__all__ = ["SHOAIB"]

RATE_HZ = 50.0
ACTIVITIES = ("walking", "standing", "jogging", "sitting", "biking", "upstairs", "downstairs")
CODES = {name: code for code, name in enumerate(ACTIVITIES)} | {"upsatirs": ACTIVITIES.index("upstairs")}
N_SUBJECTS = 10
PLACEMENTS = ("left_pocket", "right_pocket", "wrist", "upper_arm", "belt")
MODALITIES = {"acc": (1, "m/s2"), "gyr": (7, "rad/s"), "mag": (10, "uT")}
"""Modality -> its first column among those of a placement, and its unit in the files."""

FIELDS = (
    "time_stamp", "Ax", "Ay", "Az", "Lx", "Ly", "Lz", "Gx", "Gy", "Gz", "Mx", "My", "Mz",
)  # fmt: skip
WIDTH = len(FIELDS) + 1
HEADER = tuple(name for _ in PLACEMENTS for name in (*FIELDS, ""))
SENSOR_COLUMNS = tuple(f"{placement}_{field}" for placement in PLACEMENTS for field in (*FIELDS, "empty"))[:-1]
COLUMNS = (*SENSOR_COLUMNS, "label")
PATTERN = re.compile(r"Participant_(?P<subject>\d+)\.csv\Z")
SPEC = SignalSpec(
    tuple(inertial_signal(placement, modality, RATE_HZ) for placement in PLACEMENTS for modality in MODALITIES)
)


def parse(files: Files) -> Iterator[Recording]:
    """Read one recording for each run of an activity, sorted by subject and place in the file.

    Raises
    ------
    FormatError
        For columns that are not the documented ones, text in a number, an unknown activity or participant.
    """
    recordings: dict[int, list[Recording]] = {}
    for path, data in files:
        if match := PATTERN.search(path):
            subject = int(match["subject"])
            if not 1 <= subject <= N_SUBJECTS:
                raise FormatError(f"participant must be 1 to {N_SUBJECTS}", f"{subject} in '{path}'",
                                  "Fetch the set again.")
            recordings[subject] = list(_recordings(subject, path, data))
    for subject in sorted(recordings):
        yield from recordings[subject]


def _recordings(subject: int, path: str, data: bytes) -> Iterator[Recording]:
    require_header(path, data, HEADER, line=2)
    table = parse_labelled(path, data, COLUMNS, CODES, header_lines=2, empty=SENSOR_COLUMNS)
    labels = table[:, -1].astype(np.int64)
    edges = [0, *(np.flatnonzero(np.diff(labels)) + 1).tolist(), len(labels)]
    for number, (start, stop) in enumerate(itertools.pairwise(edges), 1):
        yield _recording(subject, number, ACTIVITIES[labels[start]], table[start:stop])


def _recording(subject: int, number: int, activity: str, table: NDArray[np.float64]) -> Recording:
    tracks, notes = [], []
    for signal in SPEC:
        offset, unit = MODALITIES[signal.modality]
        first = WIDTH * PLACEMENTS.index(signal.placement) + offset
        values = table[:, first : first + 3]
        tracks.append(Track(signal, convert(values, unit, signal.unit).astype(np.float32)))
        if n_missing := int(np.isnan(values).any(axis=1).sum()):
            text = f"{n_missing} of {len(values)} rows have an empty cell"
            notes.append(Note("gap", signal.name, n_missing / RATE_HZ, "s", text))
    name = f"{subject_name(subject)}_{number:02d}_{activity}"
    segment = Segment(0.0, len(table) / RATE_HZ, activity)
    return Recording(name, subject_name(subject), str(number), tuple(tracks), (segment,), tuple(notes))


def _branch(modality: str, encoder: str) -> Branch:
    return Branch(modality, tuple(signal.name for signal in SPEC if signal.modality == modality), encoder)


SHOAIB = DataSet(
    name="shoaib",
    title="Sensors Activity Dataset (SAD) of Shoaib et al.",
    licence="no licence text; free for research with citation",
    citation="Shoaib, Bosch, Incel, Scholten, Havinga (2014). Fusion of smartphone motion sensors for physical "
    "activity recognition. Sensors 14(6), 10146-10176.",
    urls=("https://www.utwente.nl/en/eemcs/ps/research/dataset/",),
    layout=Layout(
        pattern=PATTERN,
        landmark="DataSet",
        folders=("", "sensors-activity-recognition-dataset-shoaib", "shoaib"),
        archives=("sensors-activity-recognition-dataset-shoaib.zip", "shoaib.zip", "shoaib.tar.xz"),
        n_files=10,
        file_bytes=200_000_000,
        total_bytes=2_000_000_000,
    ),
    spec=SPEC,
    subjects=tuple(subject_name(number) for number in range(1, N_SUBJECTS + 1)),
    labels=LabelSet(ACTIVITIES),
    n_recordings=70,
    branches=(_branch("acc", "residual"), _branch("gyr", "dense"), _branch("mag", "dense")),
    digests={},
    parse=parse,
    tested_on="made-up files in the documented format",
)
