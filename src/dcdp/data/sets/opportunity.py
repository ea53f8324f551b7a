"""OPPORTUNITY: the 113 on-body channels of the challenge, labelled by locomotion or by gesture.

Written from the set's column_names.txt and label_legend.txt as its users quote them, its page at UCI (Roggen et al.),
and the paper on the challenge (Chavarriaga et al. 2013). A line has 250 blank-separated columns at 30 Hz: time [ms],
242 sensor channels, 7 label columns; NaN where a wireless packet was lost.

The channels are those of the challenge: 12 Bluetooth accelerometers (36), acceleration, angular rate and magnetic field
of the 5 units in the motion jacket (45), and all 16 channels of the unit on each shoe (32). Quaternions of the jacket,
objects, ambient sensors and location tags are left out.

Decisions
---------
- column_names.txt says how numbers were written. Acceleration: milli g (the units' with g = 9.8 m/s2). Angular rate of
  the jacket: a thousand times the unit's value, "unit unknown"; the units give rad/s, so it is read as mrad/s.
  Angular rate of the shoes: the same factor, "mm/s", which cannot be; the InertiaCube gives rad/s (its driver's
  header), so mrad/s. Magnetic field: a thousandth of the local field's norm, unit ``1``. Euler angles and compass:
  degrees.
- Body_A is acceleration in the sensor's frame with gravity, Nav_A in the world's frame without it (again by the
  driver's header): only the first is a modality ``acc``.
- Branches follow the radio: a branch needs all of its sensors, and the Bluetooth ones lose packets one by one, so they
  are divided by body part.
- Locomotion: 1 stand, 2 walk, 4 sit, 5 lie. Gestures: column ML_Both_Arms, 17 of them. 0 is the null class of both.
- The challenge divides sessions, not people: it tests on ADL4 and ADL5 of persons 2 and 3. All else trains, except ADL2
  of person 1, which validates: the challenge names no validation, and this is the choice of Hammerla, Halloran, Plötz
  (2016) that most have followed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray

from dcdp.data.declaration import DataSet, Download, Files, inertial_signal, subject_name
from dcdp.data.layout import Layout
from dcdp.data.rows import gap_notes, label_runs, place_rows, spread
from dcdp.data.text import parse_table
from dcdp.records import Branch, LabelSet, Recording, Signal, SignalSpec, Track
from dcdp.signals.units import STANDARD_GRAVITY_MPS2

__all__ = ["OPPORTUNITY_GESTURES", "OPPORTUNITY_LOCOMOTION"]

RATE_HZ = 30.0
N_COLUMNS = 250
LABEL_COLUMNS = {"locomotion": 244, "gestures": 250}
"""Numbers of columns here count from 1, as in column_names.txt."""

LOCOMOTION = {1: "stand", 2: "walk", 4: "sit", 5: "lie"}
GESTURES = {
    406516: "open_door_1",
    406517: "open_door_2",
    404516: "close_door_1",
    404517: "close_door_2",
    406520: "open_fridge",
    404520: "close_fridge",
    406505: "open_dishwasher",
    404505: "close_dishwasher",
    406519: "open_drawer_1",
    404519: "close_drawer_1",
    406511: "open_drawer_2",
    404511: "close_drawer_2",
    406508: "open_drawer_3",
    404508: "close_drawer_3",
    408512: "clean_table",
    407521: "drink_from_cup",
    405506: "toggle_switch",
}
PATTERN = re.compile(r"S(?P<subject>[1-4])-(?P<session>ADL[1-5]|Drill)\.dat\Z")
SESSIONS = ("adl1", "adl2", "adl3", "adl4", "adl5", "drill")

# Placement -> name in column_names.txt, in the order of the columns from 2 on: three each.
BLUETOOTH = {
    "right_knee_upper": "RKN^",
    "hip": "HIP",
    "left_upper_arm_upper": "LUA^",
    "right_upper_arm_lower": "RUA_",
    "left_hand": "LH",
    "back": "BACK",
    "right_knee_lower": "RKN_",
    "right_wrist": "RWR",
    "right_upper_arm_upper": "RUA^",
    "left_upper_arm_lower": "LUA_",
    "left_wrist": "LWR",
    "right_hand": "RH",
}
# From column 38 on, 13 each: acc, gyr, mag, and a quaternion that is left out.
JACKET = ("jacket_back", "jacket_right_upper_arm", "jacket_right_lower_arm", "jacket_left_upper_arm",
          "jacket_left_lower_arm")  # fmt: skip
# From column 103 on, 16 each: Euler angles, Nav_A, Body_A, angular rate in the body's and the world's frame, compass.
SHOES = ("left_shoe", "right_shoe")

MILLI_G = STANDARD_GRAVITY_MPS2 / 1000
MILLI_RAD = 180 / np.pi / 1000


def _signal(placement: str, modality: str, unit: str) -> Signal:
    return inertial_signal(placement, modality, RATE_HZ, unit)


def _layout() -> Iterator[tuple[Signal, int, float]]:
    """Yield each signal with its first column and what to multiply the file's numbers by."""
    for i, placement in enumerate(BLUETOOTH):
        yield _signal(placement, "acc", "m/s2"), 2 + 3 * i, MILLI_G
    for i, placement in enumerate(JACKET):
        yield _signal(placement, "acc", "m/s2"), 38 + 13 * i, 9.8 / 1000
        yield _signal(placement, "gyr", "deg/s"), 41 + 13 * i, MILLI_RAD
        yield _signal(placement, "mag", "1"), 44 + 13 * i, 1 / 1000
    for i, placement in enumerate(SHOES):
        yield _signal(placement, "euler", "deg"), 103 + 16 * i, 1.0
        yield _signal(placement, "nav_acc", "m/s2"), 106 + 16 * i, 9.8 / 1000
        yield _signal(placement, "acc", "m/s2"), 109 + 16 * i, 9.8 / 1000
        yield _signal(placement, "gyr", "deg/s"), 112 + 16 * i, MILLI_RAD
        yield _signal(placement, "nav_gyr", "deg/s"), 115 + 16 * i, MILLI_RAD
        name = f"{placement}_compass"
        yield Signal(name, "compass", placement, RATE_HZ, (name,), "deg"), 118 + 16 * i, 1.0


PLACES = tuple(_layout())
SPEC = SignalSpec(tuple(signal for signal, _, _ in PLACES))


def _column_names() -> tuple[str, ...]:
    names = ["time_ms", *(f"column_{number}" for number in range(2, N_COLUMNS + 1))]
    for signal, first, _ in PLACES:
        names[first - 1 : first - 1 + len(signal.channels)] = signal.channels
    for task, number in LABEL_COLUMNS.items():
        names[number - 1] = task
    return tuple(names)


COLUMNS = _column_names()


def parse(files: Files, task: str, activities: Mapping[int, str]) -> Iterator[Recording]:
    """Read one recording for each person and session, sorted.

    Parameters
    ----------
    task
        ``locomotion`` or ``gestures``.
    activities
        Code -> name.

    Raises
    ------
    FormatError
        For a wrong number of fields, text in a number, time that does not rise, an unknown label.
    """
    recordings: dict[tuple[int, str], Recording] = {}
    for path, data in files:
        if match := PATTERN.search(path):
            key = (int(match["subject"]), match["session"].lower())
            recordings[key] = _recording(*key, path, data, LABEL_COLUMNS[task], activities)
    for key in sorted(recordings):
        yield recordings[key]


def _recording(
    subject: int, session: str, path: str, data: bytes, label_column: int, activities: Mapping[int, str]
) -> Recording:
    table, _ = parse_table([(path, data)], " ", COLUMNS)
    position = place_rows(table[:, 0] / 1000, RATE_HZ, path)
    segments = label_runs(table[:, label_column - 1], {0: None, **activities}, RATE_HZ, path, position)
    tracks = (_track(signal, table[:, first - 1 :], factor, position) for signal, first, factor in PLACES)
    measured = tuple(track for track in tracks if np.isfinite(track.values).any())
    name = subject_name(subject)
    return Recording(f"{name}_{session}", name, session, measured, segments, gap_notes(position, RATE_HZ))


def _track(signal: Signal, table: NDArray[np.float64], factor: float, position: NDArray[np.int64]) -> Track:
    return Track(signal, spread(table[:, : len(signal.channels)] * factor, position))


def _named(*modalities: str, among: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(signal.name for signal in SPEC if signal.modality in modalities and signal.placement in among)


ARM = ("upper_arm_upper", "upper_arm_lower", "hand", "wrist")
BRANCHES = (
    Branch("bluetooth_body", _named("acc", among=("right_knee_upper", "hip", "back", "right_knee_lower")), "residual"),
    Branch("bluetooth_left_arm", _named("acc", among=tuple(f"left_{part}" for part in ARM)), "residual"),
    Branch("bluetooth_right_arm", _named("acc", among=tuple(f"right_{part}" for part in ARM)), "residual"),
    Branch("unit_acc", _named("acc", among=(*JACKET, *SHOES)), "residual"),
    Branch("unit_gyr", _named("gyr", among=(*JACKET, *SHOES)), "dense"),
    Branch("unit_mag", _named("mag", among=JACKET), "dense"),
    Branch("shoe_navigation", _named("euler", "nav_acc", "nav_gyr", "compass", among=SHOES), "dense"),
)

DIGESTS = {
    "s01": "1a6906112e8e2c8b2a1b12610fd613a5b3d06f44886ac70d9813c886a5827f17",
    "s02": "1917c6d6cdb08bfd0a0726f6923177ac1a72d322f3fd5b69e24a980e30842ab3",
    "s03": "74213b4eb0eac0c95818bb1ef368590e4abd2c8cbac820e1041720509fb53d06",
    "s04": "2a5fed4458dff853320b5623ca5894d513174c0b5ab705489195875440b54faf",
}
"""See `dcdp.data.digests`; made from published hashes of the single files."""


def _official() -> dict[str, tuple[tuple[str, str], ...]]:
    """Return the challenge's division by session."""
    validation = (("s01", "adl2"),)
    test = tuple((subject, session) for subject in ("s02", "s03") for session in ("adl4", "adl5"))
    everything = ((subject_name(number), session) for number in range(1, 5) for session in SESSIONS)
    train = tuple(pair for pair in everything if pair not in validation and pair not in test)
    return {"train": train, "validation": validation, "test": test}


def _declare(
    task: str, title: str, activities: Mapping[int, str], parser: Callable[..., Iterator[Recording]]
) -> DataSet:
    return DataSet(
        name=f"opportunity_{task}",
        title=f"OPPORTUNITY Activity Recognition, {title}",
        licence="CC BY 4.0 according to its page; cite the papers",
        citation="Chavarriaga, Sagha, Calatroni, Digumarti, Tröster, Millán, Roggen (2013). The Opportunity challenge: "
        "a benchmark database for on-body sensor-based activity recognition. Pattern Recognition Letters 34(15), "
        "2033-2042.",
        urls=("https://archive.ics.uci.edu/dataset/226/opportunity+activity+recognition",),
        layout=Layout(
            pattern=PATTERN,
            landmark="dataset",
            folders=("OpportunityUCIDataset", "opportunity/OpportunityUCIDataset", "data/OpportunityUCIDataset",
                     "opportunity", ""),
            archives=("OpportunityUCIDataset.zip", "opportunity+activity+recognition.zip", "opportunity.zip",
                      "opportunity.tar.xz", f"opportunity_{task}.zip", f"opportunity_{task}.tar.xz"),
            n_files=24,
            file_bytes=500_000_000,
            total_bytes=3_000_000_000,
        ),
        spec=SPEC,
        subjects=tuple(subject_name(number) for number in range(1, 5)),
        labels=LabelSet(tuple(activities.values()), null_label="null"),
        n_recordings=24,
        branches=BRANCHES,
        digests=DIGESTS,
        parse=parser,
        official=_official(),
        tested_on="made-up files in the documented format",
        download=Download(
            "https://archive.ics.uci.edu/static/public/226/opportunity+activity+recognition.zip",
            "opportunity+activity+recognition.zip",
        ),
        megabytes=885,
    )  # fmt: skip


OPPORTUNITY_LOCOMOTION = _declare(
    "locomotion", "modes of locomotion", LOCOMOTION, partial(parse, task="locomotion", activities=LOCOMOTION)
)
OPPORTUNITY_GESTURES = _declare(
    "gestures", "gestures of both arms", GESTURES, partial(parse, task="gestures", activities=GESTURES)
)
