"""HuGaDB: six inertial units on the legs and two electromyographs, twelve activities.

Written from the set's README (github.com/romanchereshnev/HuGaDB), its paper (Chereshnev, Kertész-Farkas 2018) and the
first lines of one file that a user of it published. A file has a header of lines that begin with ``#``, a line of
column names, and 39 tab-separated columns: for right foot, shin and thigh, then the left ones, acceleration and
angular rate as 16-bit integers; the right and left electromyograph as 8-bit ones; the activity.

Decisions
---------
- Full scale is the documented range: 2 g and 2000 deg/s are 32768. What does not fit 16 (the electromyograph: 8) bits
  is damage and becomes NaN, with a note. Values at the limit of 2 g are frequent: running and heel strikes exceed it.
- The electromyograph's scale is not documented: its numbers stay plain, unit ``1``.
- The README gives no rate; its table of activities gives samples and seconds, whose ratio is 58.82 Hz for every
  one of them: a sample every 17 ms.
- The README lists gyroscopes that are "corrupted", amplified ten times and clipped. They are left out of their
  recordings, with a note. The list names files of version 1; version 2 has new labels for the same recordings, so
  that it is applied to both. A folder must hold one version.
- Angular rate is a branch for each leg: the fault often spares one, and a branch needs all of its sensors.
- There is no null class. How many files there are is not documented.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from dcdp.data.declaration import DataSet, Files, inertial_signal, subject_name
from dcdp.data.layout import Layout
from dcdp.data.rows import label_runs
from dcdp.data.text import parse_table
from dcdp.errors import FormatError
from dcdp.records import Branch, LabelSet, Note, Recording, Signal, SignalSpec, Track
from dcdp.signals.units import STANDARD_GRAVITY_MPS2

__all__ = ["HUGADB"]

RATE_HZ = 1000 / 17
ACTIVITIES = (
    "walking",
    "running",
    "going_up",
    "going_down",
    "sitting",
    "sitting_down",
    "standing_up",
    "standing",
    "bicycling",
    "up_by_elevator",
    "down_by_elevator",
    "sitting_in_car",
)
PATTERN = re.compile(
    r"(?:HuGaDB|HGD)_v(?P<version>\d+)_(?P<activity>[a-z]+(?:_[a-z]+)*)_(?P<subject>\d+)_(?P<trial>\d+)\.txt\Z"
)
PLACEMENTS = {
    "right_foot": "RF", "right_shin": "RS", "right_thigh": "RT", "left_foot": "LF", "left_shin": "LS",
    "left_thigh": "LT",
}  # fmt: skip
"""Placement -> its letters in the files, in the order of the columns."""


def _emg(placement: str) -> Signal:
    name = f"{placement}_emg"
    return Signal(name, "emg", placement, RATE_HZ, (name,), "1")


SPEC = SignalSpec(
    (
        *(inertial_signal(placement, modality, RATE_HZ) for placement in PLACEMENTS for modality in ("acc", "gyr")),
        _emg("right_thigh"),
        _emg("left_thigh"),
    )
)
"""In the order of the columns."""

COLUMNS = (*(channel for signal in SPEC for channel in signal.channels), "activity")
SCALES = {"acc": 2 * STANDARD_GRAVITY_MPS2 / 32768, "gyr": 2000 / 32768, "emg": 1.0}
RANGES = {"acc": (-32768, 32767), "gyr": (-32768, 32767), "emg": (0, 255)}

# Activity, person, counters, and whose gyroscopes are corrupted, as the README lists them. One cell is empty there (the
# right shin of sitting_05_01) and taken for good.
CORRUPTED = """
running 03 00-01 RF RS RT
running 07 00-02 RF RS
running 09 00-02 LF LS LT
sitting 03 00 RF RT
sitting 03 01-03 RF RS RT
sitting 04 00-02 all
sitting 05 00 all
sitting 05 01 LF
sitting 06 04 RF RS LT
sitting 07 01 RF RS
sitting 07 02 all
sitting 07 03-04 RF RS
sitting 08 00 all
sitting 09 00-03 all
sitting 10 00 all
sitting 10 04 all
sitting 11 00 LF
sitting 11 01 LF LS RT LT
sitting 11 02 LF
sitting 11 03 LF RS RT LT
sitting 12 00-03 all
sitting 13 00-06 all
sitting 14 00-03 all
sitting 15 00 RF LF LS RT LT
sitting 15 01 all
sitting 15 02 RF LF LS RT LT
sitting 15 03 all
sitting 16 00-05 all
sitting 17 00-06 all
sitting 18 00-01 all
sitting 18 02-03 RF LF RS LS LT
sitting_in_car 01 00-06 all
sitting_in_car 01 08-14 all
standing 01 00 RS RT LT
standing 01 03 LF
standing 03 00 RF RS LS RT LT
standing 04 00-03 all
standing 05 00 all
standing 05 01 RF LF RS
standing 06 00 RT LT
standing 07 00 RF RS RT
standing 07 01 RT LT
standing 07 03 all
standing 08 00-01 RT LT
standing 08 02 RS LS RT LT
standing 08 03 RF LS RT LT
standing 09 00-03 LF LS LT
standing 09 04 LF RS LS RT LT
standing 10 01 RS LS RT
standing 10 03 RS
standing 11 00 LF RT LT
standing 11 01-02 LF RS LS RT LT
standing 11 03 LF LS RT LT
standing 11 04 LF LT
standing 12 00-04 all
standing 13 00-03 all
standing 15 00-04 all
standing 16 00-04 all
standing 17 00-03 all
standing 18 00-04 all
various 03 00-24 RF RS RT
various 04 00-19 all
various 05 00 RF RS
various 05 01-20 RF LF RS
various 07 00-24 RF RS
various 09 00-08 all
various 09 13-20 LF LS LT
various 11 04-20 LF
various 12 00-18 all
various 13 07-24 all
various 14 00-21 all
various 15 00-09 all
various 15 11 all
various 16 00-19 all
various 17 00-02 all
various 17 04-23 all
various 18 00-16 RF LF RS LS LT
walking 03 00-01 RF RS RT
walking 04 00-05 all
walking 05 00-03 RF LF RS
walking 06 03 RT
walking 06 05 RT
walking 07 00-04 RF RS
walking 09 00-03 all
walking 11 00-03 LF
walking 12 00-06 all
walking 13 00-03 all
walking 14 00-04 all
walking 15 00-10 all
walking 16 00-04 all
walking 17 00-06 all
walking 18 00-03 RF LF RS LS LT
"""

Key = tuple[int, str, int]
"""Subject, activity and trial, from the file name."""


def parse(files: Files) -> Iterator[Recording]:
    """Read one recording for each file, sorted by subject, activity and trial.

    Raises
    ------
    FormatError
        For column names or fields that are not the documented ones, text in a number, an unknown activity, files of
        two versions.
    """
    recordings: dict[Key, Recording] = {}
    versions: dict[str, str] = {}
    for path, data in files:
        if (match := PATTERN.search(path)) is None:
            continue
        versions[match["version"]] = path
        if len(versions) > 1:
            raise FormatError("files must be of one version", " and ".join(f"'{name}'" for name in versions.values()),
                              "Keep version 2, or version 1, in the folder.")
        key = (int(match["subject"]), match["activity"], int(match["trial"]))
        recordings[key] = _recording(key, path, data)
    for key in sorted(recordings):
        yield recordings[key]


def _recording(key: Key, path: str, data: bytes) -> Recording:
    n_header = _check_header(path, data)
    table, _ = parse_table([(path, data)], "\t", COLUMNS, n_header)
    names: dict[int, str | None] = dict(enumerate(ACTIVITIES, 1))
    segments = label_runs(table[:, -1], names, RATE_HZ, path, first_line=n_header + 1)
    tracks, notes, first = [], [], 0
    for signal in SPEC:
        raw = table[:, first : first + len(signal.channels)]
        first += len(signal.channels)
        if signal.modality == "gyr" and signal.placement in corrupted(*key):
            notes.append(Note("left_out", signal.name, 1.0, "1", "listed as corrupted in the set's README: left out"))
            continue
        values, n_bad = _in_range(raw, *RANGES[signal.modality])
        if n_bad:
            text = f"{n_bad} values that the sensor cannot give"
            notes.append(Note("out_of_range", signal.name, float(n_bad), "1", text))
        tracks.append(Track(signal, (values * SCALES[signal.modality]).astype(np.float32)))
    subject, activity, trial = key
    name, session = subject_name(subject), f"{activity}_{trial:02d}"
    return Recording(f"{name}_{session}", name, session, tuple(tracks), segments, tuple(notes))


def _check_header(path: str, data: bytes) -> int:
    """Return the number of lines above the numbers, once their names are seen to be the documented ones."""
    lines = data[:10_000].split(b"\n")
    n_comments = next((i for i, line in enumerate(lines) if not line.startswith(b"#")), len(lines))
    names = lines[n_comments].decode("utf-8", "replace").split() if n_comments < len(lines) else []
    kinds = [kind for _ in PLACEMENTS for kind in ("acc",) * 3 + ("gyr",) * 3] + ["emg", "emg", "act"]
    if len(names) != len(kinds) or any(kind not in name.lower() for name, kind in zip(names, kinds, strict=True)):
        raise FormatError(f"a line must name the {len(kinds)} columns, from RF_acc_x to act",
                          f"{len(names)} names, or others, in '{path}' line {n_comments + 1}",
                          "The file is damaged: fetch it again.")
    return n_comments + 1


def _in_range(values: NDArray[np.float64], low: int, high: int) -> tuple[NDArray[np.float64], int]:
    bad = (values < low) | (values > high)
    return np.where(bad, np.nan, values), int(bad.sum())


def corrupted(subject: int, activity: str, trial: int) -> frozenset[str]:
    """Return the placements whose gyroscope the README lists as corrupted in a recording.

    Examples
    --------
    >>> sorted(corrupted(9, "running", 2))
    ['left_foot', 'left_shin', 'left_thigh']
    """
    return _corrupted().get((subject, activity, trial), frozenset())


@functools.cache
def _corrupted() -> dict[Key, frozenset[str]]:
    placements = {letters: placement for placement, letters in PLACEMENTS.items()}
    table: dict[Key, frozenset[str]] = {}
    for line in CORRUPTED.split("\n"):
        if line:
            activity, subject, trials, *letters = line.split()
            first, _, last = trials.partition("-")
            bad = frozenset(PLACEMENTS if letters == ["all"] else (placements[name] for name in letters))
            table |= {(int(subject), activity, trial): bad for trial in range(int(first), int(last or first) + 1)}
    return table


def _branch(name: str, encoder: str, modality: str, side: str = "") -> Branch:
    signals = (signal for signal in SPEC if signal.modality == modality and signal.placement.startswith(side))
    return Branch(name, tuple(signal.name for signal in signals), encoder)


HUGADB = DataSet(
    name="hugadb",
    title="HuGaDB: Human Gait Database",
    licence="no licence text known; cite the paper",
    citation="Chereshnev, Kertész-Farkas (2018). HuGaDB: human gait database for activity recognition from wearable "
    "inertial sensor networks. AIST 2017, LNCS 10716, 131-141.",
    urls=("https://github.com/romanchereshnev/HuGaDB",),
    layout=Layout(
        pattern=PATTERN,
        landmark="HuGaDB",
        folders=("", "HuGaDB v2", "HuGaDB v2/Data", "HuGaDB", "HuGaDB/Data", "hugadb", "hugadb/Data", "Data"),
        archives=("HuGaDB v2.zip", "HuGaDB.zip", "HumanGaitDataBase.zip", "hugadb.zip", "hugadb.tar.xz"),
        n_files=0,
        file_bytes=100_000_000,
        total_bytes=2_000_000_000,
    ),
    spec=SPEC,
    subjects=tuple(subject_name(number) for number in range(1, 19)),
    labels=LabelSet(ACTIVITIES),
    n_recordings=None,
    branches=(
        _branch("acc", "residual", "acc"),
        _branch("gyr_right", "dense", "gyr", "right"),
        _branch("gyr_left", "dense", "gyr", "left"),
        _branch("emg", "dense", "emg"),
    ),
    digests={},
    parse=parse,
    tested_on="made-up files in the documented format",
)
