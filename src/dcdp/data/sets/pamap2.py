"""PAMAP2: three inertial units and a heart rate monitor, twelve activities of a protocol.

Written from the set's readme.pdf (Reiss 2012, "PAMAP2 data set: physical activity monitoring") and its page at
UCI: 54 columns, blank-separated: time [s], activity, heart rate [bpm], then for hand, chest and ankle temperature,
acceleration (the unit of 16 g, then that of 6 g) [m/s2], angular rate [rad/s], magnetic field [uT], orientation.

Decisions
---------
- The 16 g accelerometer is read. The readme recommends it: the 6 g one saturates in running and is not calibrated
  against it. Temperature is left out; orientation is declared invalid by the authors.
- Only ``Protocol`` is read. ``Optional`` holds six further activities of five people: they would have classes that
  most people lack, and no split by subject could test them.
- Rows come every 10 ms, that is at the units' 100 Hz, with NaN where a wireless packet was lost.
- The heart rate came at "approximately 9 Hz", with NaN in the rows between. It is stored as a signal of its own at
  the documented 9 Hz: each sample is the last value that had arrived by then, none if that is older than a second.
- Activity 0 is the time between activities: the null class. Person 109 did rope jumping only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from dcdp.data.declaration import DataSet, Download, Files, inertial_signal, subject_name
from dcdp.data.layout import Layout
from dcdp.data.rows import gap_notes, label_runs, place_rows, spread
from dcdp.data.text import parse_table
from dcdp.records import Branch, LabelSet, Recording, Signal, SignalSpec, Track
from dcdp.signals.units import convert

__all__ = ["PAMAP2"]

RATE_HZ = 100.0
HEART_RATE_HZ = 9.0
HEART_HOLD_S = 1.0
"""The monitor reports about every 0.11 s; a value older than this says that it has lost contact."""

ACTIVITIES = {
    1: "lying",
    2: "sitting",
    3: "standing",
    4: "walking",
    5: "running",
    6: "cycling",
    7: "nordic_walking",
    12: "ascending_stairs",
    13: "descending_stairs",
    16: "vacuum_cleaning",
    17: "ironing",
    24: "rope_jumping",
}
PLACEMENTS = {"wrist": "hand", "chest": "chest", "ankle": "ankle"}
"""Placement -> what the set calls it: the unit of the dominant hand sits at its wrist."""

PATTERN = re.compile(r"Protocol/subject(?P<subject>\d{3})\.dat\Z")
IMU_COLUMNS = ("temperature", *(f"{name}_{axis}" for name in ("acc16", "acc6", "gyr", "mag") for axis in "xyz"),
               *(f"orientation_{i}" for i in range(1, 5)))  # fmt: skip
COLUMNS = ("time", "activity", "heart_rate", *(f"{name}_{column}" for name in PLACEMENTS.values()
                                               for column in IMU_COLUMNS))  # fmt: skip
FILE_COLUMNS = {"acc": "acc16", "gyr": "gyr", "mag": "mag"}
FILE_UNITS = {"acc": "m/s2", "gyr": "rad/s", "mag": "uT"}

HEART = Signal("chest_hr", "hr", "chest", HEART_RATE_HZ, ("chest_hr",), "bpm")
SPEC = SignalSpec((*(inertial_signal(place, kind, RATE_HZ) for place in PLACEMENTS for kind in FILE_UNITS), HEART))


def parse(files: Files) -> Iterator[Recording]:
    """Read one recording for each person, sorted.

    Raises
    ------
    FormatError
        For a wrong number of fields, text in a number, time that does not rise, an activity that is no part of
        the protocol.
    """
    recordings = {}
    for path, data in files:
        if match := PATTERN.search(path):
            recordings[int(match["subject"])] = _recording(int(match["subject"]), path, data)
    for number in sorted(recordings):
        yield recordings[number]


def _recording(number: int, path: str, data: bytes) -> Recording:
    table, _ = parse_table([(path, data)], " ", COLUMNS)
    position = place_rows(table[:, 0], RATE_HZ, path)
    segments = label_runs(table[:, 1], {0: None, **ACTIVITIES}, RATE_HZ, path, position)
    tracks = [_inertial(signal, table, position) for signal in SPEC if signal is not HEART]
    heart = _heart_rate(table[:, 2], position)
    if np.isfinite(heart).any():
        tracks.append(Track(HEART, heart[:, None]))
    name = subject_name(number)
    return Recording(name, name, "protocol", tuple(tracks), segments, gap_notes(position, RATE_HZ))


def _inertial(signal: Signal, table: NDArray[np.float64], position: NDArray[np.int64]) -> Track:
    first = COLUMNS.index(f"{PLACEMENTS[signal.placement]}_{FILE_COLUMNS[signal.modality]}_x")
    values = convert(table[:, first : first + 3], FILE_UNITS[signal.modality], signal.unit)
    return Track(signal, spread(values, position))


def _heart_rate(values: NDArray[np.float64], position: NDArray[np.int64]) -> NDArray[np.float32]:
    """Put the values that rows carry now and then on a clock of 9 Hz, with the last one before each tick."""
    heard = np.flatnonzero(np.isfinite(values))
    n_samples = max(1, int((position[-1] + 1) / RATE_HZ * HEART_RATE_HZ))
    tick_s = np.arange(n_samples) / HEART_RATE_HZ
    heard_s = position[heard] / RATE_HZ
    last = np.searchsorted(heard_s, tick_s + 1e-9, side="right") - 1
    known = last >= 0
    known[known] = tick_s[known] - heard_s[last[known]] <= HEART_HOLD_S
    heart = np.full(n_samples, np.nan, np.float32)
    heart[known] = values[heard[last[known]]]
    return heart


def _branch(modality: str, encoder: str) -> Branch:
    return Branch(modality, tuple(signal.name for signal in SPEC if signal.modality == modality), encoder)


DIGESTS = {
    "s101": "cb72a7f6b6a64f8f5603731e0202fd5a6a0803b996f52a08d7d0e8e5ee41a056",
    "s102": "fa55bbd63b52f0eed3f782c4a58f8d7639d3b4ab58b1e2b66a2a168d7b2d4dcf",
    "s103": "8fc4fe067be6acf50af8ed375be4b2abcd6695d8c0d2b0f680ecb03fe0133c4a",
    "s104": "51446484b6661a08b2aabd01c3ed5c369380f321e6a867490c968ea1430b461e",
    "s105": "ee69bfc42cf1109157b995ac04a5533eef33d4e059d9b1c24d525462d001a624",
    "s106": "beb016580df39dcac351c7761ee9279e99c2be6800b4c3e836353f24278e27ec",
    "s107": "2e36ae85816c12b6b17a7d4ec55cd4931e80187316fd36929125c40475539770",
    "s108": "4e427bfec862befb29030da6454f141c117c7c7885890217f3ecef71e5317fb9",
    "s109": "f0dd6a12d6d92bedde0e5a5cf6f6f1ee941bfcd650200f9306169b16ecc2bf35",
}
"""See `dcdp.data.digests`; made from published hashes of the single files."""

SUBJECTS = tuple(subject_name(number) for number in range(101, 110))

PAMAP2 = DataSet(
    name="pamap2",
    title="PAMAP2 Physical Activity Monitoring (protocol)",
    licence="CC BY 4.0 according to its page; cite the papers",
    citation="Reiss, Stricker (2012). Introducing a new benchmarked dataset for activity monitoring. 16th "
    "International Symposium on Wearable Computers (ISWC), 108-109.",
    urls=("https://archive.ics.uci.edu/dataset/231/pamap2+physical+activity+monitoring",),
    layout=Layout(
        pattern=PATTERN,
        landmark="Protocol",
        folders=("", "PAMAP2_Dataset", "pamap2/PAMAP2_Dataset", "data/PAMAP2_Dataset", "pamap2"),
        archives=("pamap2+physical+activity+monitoring.zip", "PAMAP2_Dataset.zip", "pamap2.zip", "pamap2.tar.xz"),
        n_files=9,
        file_bytes=1_000_000_000,  # UCI's archive holds the set as an archive in itself
        total_bytes=4_000_000_000,
    ),
    spec=SPEC,
    subjects=SUBJECTS,
    labels=LabelSet(tuple(ACTIVITIES.values()), null_label="null"),
    n_recordings=9,
    branches=(_branch("acc", "residual"), _branch("gyr", "dense"), _branch("mag", "dense"), _branch("hr", "dense")),
    digests=DIGESTS,
    parse=parse,
    # The division that Hammerla, Halloran, Plötz (2016) published, and most have followed.
    official={
        "train": tuple(name for name in SUBJECTS if name not in ("s105", "s106")),
        "validation": ("s105",),
        "test": ("s106",),
    },
    tested_on="made-up files in the documented format",
    download=Download(
        "https://archive.ics.uci.edu/static/public/231/pamap2+physical+activity+monitoring.zip",
        "pamap2+physical+activity+monitoring.zip",
    ),
    megabytes=1302,
)
