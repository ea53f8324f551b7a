"""MHEALTH: three units at chest, ankle and arm, with an electrocardiogram, twelve activities.

Written from the set's README.txt (Banos, Garcia, Saez 2013) and its page at UCI: a log of 24 tab-separated columns for
each person, without time, 50 Hz throughout: acceleration at the chest, two leads of the electrocardiogram, then
acceleration, angular rate and magnetic field at the left ankle and at the right lower arm, and the label. Units there:
m/s2, mV, deg/s, and "local" for the magnetic field, which is kept as a plain number.

Decisions
---------
- The electrocardiogram is in the files at 50 Hz like all else, too slow for the shape of a beat, enough for its rate.
- The README gives deg/s for the gyroscopes. In the lines that others have published, a standing person reads about 1,
  so that their offset or scale is doubtful; the numbers are kept as documented. The networks normalise them anyway.
- Label 0 is the time between activities: the null class.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from dcdp.data.declaration import DataSet, Download, Files, inertial_signal, subject_name
from dcdp.data.layout import Layout
from dcdp.data.rows import label_runs
from dcdp.data.text import parse_table
from dcdp.records import Branch, LabelSet, Recording, Signal, SignalSpec, Track

__all__ = ["MHEALTH"]

RATE_HZ = 50.0
ACTIVITIES = (
    "standing_still",
    "sitting_and_relaxing",
    "lying_down",
    "walking",
    "climbing_stairs",
    "waist_bends_forward",
    "frontal_elevation_of_arms",
    "knees_bending",
    "cycling",
    "jogging",
    "running",
    "jumping_front_and_back",
)
PATTERN = re.compile(r"mHealth_subject(?P<subject>\d+)\.log\Z")
ECG = Signal("chest_ecg", "ecg", "chest", RATE_HZ, ("chest_ecg_1", "chest_ecg_2"), "mV")
SPEC = SignalSpec(
    (
        inertial_signal("chest", "acc", RATE_HZ),
        ECG,
        *(
            inertial_signal(placement, modality, RATE_HZ, "1" if modality == "mag" else None)
            for placement in ("left_ankle", "right_arm")
            for modality in ("acc", "gyr", "mag")
        ),
    )
)
"""In the order of the columns."""

COLUMNS = (*(channel for signal in SPEC for channel in signal.channels), "label")


def parse(files: Files) -> Iterator[Recording]:
    """Read one recording for each person, sorted.

    Raises
    ------
    FormatError
        For a wrong number of fields, text in a number, an unknown label.
    """
    recordings = {}
    for path, data in files:
        if match := PATTERN.search(path):
            recordings[int(match["subject"])] = _recording(int(match["subject"]), path, data)
    for number in sorted(recordings):
        yield recordings[number]


def _recording(number: int, path: str, data: bytes) -> Recording:
    table, _ = parse_table([(path, data)], "\t", COLUMNS)
    names: dict[int, str | None] = {0: None, **dict(enumerate(ACTIVITIES, 1))}
    segments = label_runs(table[:, -1], names, RATE_HZ, path)
    tracks, first = [], 0
    for signal in SPEC:
        tracks.append(Track(signal, table[:, first : first + len(signal.channels)].astype("float32")))
        first += len(signal.channels)
    name = subject_name(number)
    return Recording(name, name, "1", tuple(tracks), segments)


def _branch(modality: str, encoder: str) -> Branch:
    return Branch(modality, tuple(signal.name for signal in SPEC if signal.modality == modality), encoder)


DIGESTS = {
    "s01": "a0b5409333e97f967fc319939740dd6e0843a35df503a2a58695a99c8c2ced01",
    "s02": "082187fda26ac8e47a124a6199c3dc4f2a5799cee0f99a2764c8698c34fdc8db",
    "s03": "8682a87fc3951412312b0cd3ae69293af038c0fc7c3cbb7347312e5479adb61b",
    "s04": "53f6da7bbffb29b713279ccf393c4c97b389f9fcec9d44dcbd024a804124f2f0",
    "s05": "dde9a9078b5b9608aa8a5c2356d11fd130d280caf86218a818b8965ea0e559e7",
    "s06": "c46912fab26f35e2d429d2d283cb0cbc810ccd4c1657fb6a68bb82861f7eb3a0",
    "s07": "4d7ece5ee2c28844157cec00cc4926c31458feab94b269f0c3ac60dba8f851f4",
    "s08": "2a0f60d7af3ca42d07e679aa7524155d5c6bb0a430683d6ffeaee4deec004fc8",
    "s09": "daa0a7391de5f742896a70e93997c93109f55bc126f916f11495dc39ba47fe05",
    "s10": "4a438d2d24f548300547c98593627f552b2144954d977250b8b5fd140b6c0e25",
}
"""See `dcdp.data.digests`; made from published hashes of the single files."""

MHEALTH = DataSet(
    name="mhealth",
    title="MHEALTH (Mobile Health)",
    licence="CC BY 4.0 according to its page; cite the papers",
    citation="Banos, Garcia, Holgado-Terriza, Damas, Pomares, Rojas, Saez, Villalonga (2014). mHealthDroid: a novel "
    "framework for agile development of mobile health applications. IWAAL 2014, LNCS 8868, 91-98.",
    urls=("https://archive.ics.uci.edu/dataset/319/mhealth+dataset",),
    layout=Layout(
        pattern=PATTERN,
        landmark="MHEALTHDATASET",
        folders=("mhealth", "", "MHEALTHDATASET"),
        archives=("mhealth+dataset.zip", "mhealth.zip", "mhealth.tar.xz", "MHEALTHDATASET.zip"),
        n_files=10,
        file_bytes=100_000_000,
        total_bytes=1_000_000_000,
    ),
    spec=SPEC,
    subjects=tuple(subject_name(number) for number in range(1, 11)),
    labels=LabelSet(ACTIVITIES, null_label="null"),
    n_recordings=10,
    branches=(_branch("acc", "residual"), _branch("gyr", "dense"), _branch("mag", "dense"), _branch("ecg", "dense")),
    digests=DIGESTS,
    parse=parse,
    tested_on="made-up files in the documented format",
    download=Download("https://archive.ics.uci.edu/static/public/319/mhealth+dataset.zip", "mhealth+dataset.zip"),
)
