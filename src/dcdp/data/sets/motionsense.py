"""MotionSense: an iPhone in the front pocket, six activities in fifteen trials.

Written from the README of the set's repository (github.com/mmalekzadeh/motion-sense) and its paper (Malekzadeh et al.
2019). ``A_DeviceMotion_data/dws_1/sub_7.csv`` is trial 1, walking downstairs, of person 7: a line of column names, then
an index and twelve features at 50 Hz as Apple's Core Motion gives them: attitude [rad], gravity [g], rotation rate
[rad/s], user acceleration [g].

Decisions
---------
- Acceleration is gravity plus user acceleration, as Core Motion defines its sum. Its sign is Apple's: at rest it points
  down, while most other sets measure the support that points up. Nothing is turned around here.
- Gravity must have the size of 1 g in the median of a file: a check of the column order. Attitude is derived from the
  other sensors and left out, as are the folders B and C, which hold the same trials by sensor.
- ``sit_5/sub_1.csv`` and ``sit_13/sub_1.csv`` are one and the same file. It is kept once, as trial 5, with a note. Any
  other file that is a copy of one of the same person and activity is treated alike; copies across persons or
  activities are refused.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

import numpy as np

from dcdp.data.declaration import DataSet, Download, Files, inertial_signal, subject_name
from dcdp.data.labelled import require_header
from dcdp.data.layout import Layout
from dcdp.data.text import parse_table
from dcdp.errors import FormatError
from dcdp.records import Branch, LabelSet, Note, Recording, Segment, SignalSpec, Track
from dcdp.signals.units import convert

__all__ = ["MOTIONSENSE"]

RATE_HZ = 50.0
ACTIVITIES = {
    "dws": "walking_downstairs",
    "ups": "walking_upstairs",
    "wlk": "walking",
    "jog": "jogging",
    "sit": "sitting",
    "std": "standing",
}
N_SUBJECTS = 24
COLUMNS = (
    "attitude.roll", "attitude.pitch", "attitude.yaw",
    "gravity.x", "gravity.y", "gravity.z",
    "rotationRate.x", "rotationRate.y", "rotationRate.z",
    "userAcceleration.x", "userAcceleration.y", "userAcceleration.z",
)  # fmt: skip
PATTERN = re.compile(r"A_DeviceMotion_data/(?P<activity>[a-z]{3})_(?P<trial>\d+)/sub_(?P<subject>\d+)\.csv\Z")
SPEC = SignalSpec((inertial_signal("pocket", "acc", RATE_HZ), inertial_signal("pocket", "gyr", RATE_HZ)))
_GRAVITY_TOLERANCE = 0.1

Key = tuple[int, str, int]
"""Subject, activity and trial, from the file name."""


def parse(files: Files) -> Iterator[Recording]:
    """Read one recording for each trial, sorted by subject, activity and trial; copies of a trial are left out.

    Raises
    ------
    FormatError
        For column names or fields that are not the documented ones, text in a number, an unknown activity or subject,
        gravity of another size, one file for two people or activities.
    """
    recordings: dict[Key, Recording] = {}
    keys: dict[bytes, list[tuple[Key, str]]] = {}
    for path, data in files:
        if match := PATTERN.search(path):
            key = _key(match, path)
            recordings[key] = _recording(key, path, data)
            keys.setdefault(hashlib.sha256(data).digest(), []).append((key, path))
    copies = {key: kept for same in keys.values() for key, kept in _copies(sorted(same)).items()}
    for key in sorted(recordings):
        if key not in copies:
            yield _with_notes(recordings[key], sorted(copy[2] for copy, kept in copies.items() if kept == key))


def _key(match: re.Match[str], path: str) -> Key:
    if match["activity"] not in ACTIVITIES:
        raise FormatError(f"activity must be one of {', '.join(ACTIVITIES)}", f"'{match['activity']}' in '{path}'",
                          "Fetch the set again.")
    if not 1 <= int(match["subject"]) <= N_SUBJECTS:
        raise FormatError(f"subject must be 1 to {N_SUBJECTS}", f"{match['subject']} in '{path}'",
                          "Fetch the set again.")
    return int(match["subject"]), match["activity"], int(match["trial"])


def _recording(key: Key, path: str, data: bytes) -> Recording:
    subject, activity, trial = key
    require_header(path, data, ("", *COLUMNS))
    table = parse_table([(path, data)], ",", ("index", *COLUMNS), header_lines=1)[0][:, 1:]
    gravity, rotation, user = table[:, 3:6], table[:, 6:9], table[:, 9:12]
    size = float(np.median(np.linalg.norm(gravity, axis=1)))
    if not abs(size - 1) < _GRAVITY_TOLERANCE:
        raise FormatError("gravity must have a size of 1 g", f"{size:.3g} in '{path}'",
                          "The columns are not the documented ones, or the file is damaged: fetch it again.")
    acc = convert(gravity + user, "g", "m/s2").astype(np.float32)
    gyr = convert(rotation, "rad/s", "deg/s").astype(np.float32)
    tracks = tuple(Track(signal, values) for signal, values in zip(SPEC, (acc, gyr), strict=True))
    name = f"{subject_name(subject)}_{activity}_{trial:02d}"
    segment = Segment(0.0, len(table) / RATE_HZ, ACTIVITIES[activity])
    return Recording(name, subject_name(subject), str(trial), tracks, (segment,))


def _copies(same: list[tuple[Key, str]]) -> dict[Key, Key]:
    """Return each key after the first -> the first, for sorted keys of files with equal bytes."""
    (kept, kept_path), *others = same
    for key, path in others:
        if key[:2] != kept[:2]:
            raise FormatError("a file must belong to one person and activity",
                              f"equal bytes in '{kept_path}' and '{path}'",
                              "One of them has been overwritten: fetch the set again.")
    return {key: kept for key, _ in others}


def _with_notes(recording: Recording, trials: list[int]) -> Recording:
    notes = tuple(
        Note("duplicate_file", "", float(trial), "1", f"the file of trial {trial} is a copy of this one and left out")
        for trial in trials
    )
    return Recording(recording.name, recording.subject, recording.session, recording.tracks, recording.segments, notes)


DIGESTS = {
    "s01": "7959216a523d454b218db52780dfa479cc9c072e46b532c3d4d8d6b2de4957f4",
    "s02": "9ed00ee4770435a75f773dd16a389a4951e54dcbf78321015bdd0f496a00b173",
    "s03": "179ba83b29fed01b2bb3a12da3f70f657c4762f30d3dcb83a3a5c1477190f627",
    "s04": "58310afcfba2e6cd2e653443bfb79c5fc24976cccd3e1c4e519428013c6a6312",
    "s05": "0fde82b97224adb2264b227b22d5adc6964fbce7916259157f4195ae356a430b",
    "s06": "821106b49d8f3edb57f5cb871f9b527831d747c79d753d78c5f133926d672248",
    "s07": "881935e3c0446fb5cb53a5e1f0c4df353a4b084dd1bb391c69b49c5e370cf6d1",
    "s08": "de0640e056e458ba253d355b302fd20c2bee0b31601d495a88b3e6f848aef591",
    "s09": "a56642f883a60265591c36f3829735ac2237aa8f3d856e1a3be4392e3f477829",
    "s10": "6009651235704fd4ef37a194009f7352ef5cca8318d38c3bf887943490232cb1",
    "s11": "989cc05a97403afea8871454abac5c6cbe7bf3165e87bd0f25b7b2782fe89b6c",
    "s12": "caf4f5cedd2eddfccbb10cbe0a88f3fcc92205dfad6b948a290329a43c607fc4",
    "s13": "61fcf91d9aa3cd553c1e2f0288e676ad0a08ffb93760aa9bc493949a1431c18b",
    "s14": "18a1781832158fda86f7d03ec307731b4d603d1b91fca40651eb9f39c25ce4d2",
    "s15": "89c4b4f28394d04c63bfd8a057ad39ababee021520262756572bb3923f5778e5",
    "s16": "05dd4326bb847f1fdee446e9b4784bf3fa685c10c6f7c1d33597c91212da2ae7",
    "s17": "ff264401409fb80f22ae2fd7c3abcb76b99f0a8b4f0a7aa963553ccc36aa9c75",
    "s18": "9848ed56b9e20c37541a69e1da1de44d9f8ab7eb66f4ccbbb407228ba4353933",
    "s19": "566277b9be6bdc8e350e787cbe7ab7fea3609ca2ec691e90bcc01fa9c90be33a",
    "s20": "7df04f87972c9cd82e210a42d611dd5fefaa5d920051c981b1a0202c510d80bf",
    "s21": "2ff6c2bd66e32cbe222b103eed79c1f5b3b860861b2a35a3fa9c8fddc641eac9",
    "s22": "25013cfffce69c2c9b4bf8d674c95b47440d4d0d582ddd627f097a097c737306",
    "s23": "6d08de544c6661ade39bcd6a6f465c2f777da5362f3b579889a3d5c411f7ca65",
    "s24": "dc913cb3238b981b1b4a27de3ecca817d7f4c4b7c7fc82a499ca94d31eda9faa",
}
"""Of published hashes of all 360 files; see `dcdp.data.digests`."""

MOTIONSENSE = DataSet(
    name="motionsense",
    title="MotionSense, device motion",
    licence="MIT according to its repository; cite the paper",
    citation="Malekzadeh, Clegg, Cavallaro, Haddadi (2019). Mobile sensor data anonymization. IoTDI 2019.",
    urls=("https://github.com/mmalekzadeh/motion-sense",),
    layout=Layout(
        pattern=PATTERN,
        landmark="A_DeviceMotion_data",
        # the archive unpacked into a folder of its own name holds a folder of that name
        folders=("A_DeviceMotion_data", "", "data", "motionsense", "motionsense/data", "motion-sense-master/data"),
        archives=(
            "A_DeviceMotion_data.zip", "motion-sense-master.zip", "motionsense-dataset.zip", "motionsense.zip",
            "motionsense.tar.xz",
        ),
        n_files=360,
        file_bytes=200_000_000,
        total_bytes=2_000_000_000,
    ),
    spec=SPEC,
    subjects=tuple(subject_name(number) for number in range(1, N_SUBJECTS + 1)),
    labels=LabelSet(tuple(ACTIVITIES.values())),
    n_recordings=359,
    branches=(Branch("acc", ("pocket_acc",), "residual"), Branch("gyr", ("pocket_gyr",), "dense")),
    digests=DIGESTS,
    parse=parse,
    tested_on="made-up files in the documented format",
    download=Download(
        "https://github.com/mmalekzadeh/motion-sense/raw/master/data/A_DeviceMotion_data.zip",
        "A_DeviceMotion_data.zip",
    ),
)
