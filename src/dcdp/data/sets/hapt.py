"""HAPT: smartphone recordings of basic activities and postural transitions."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from dcdp.data.declaration import DataSet, Download, Files, inertial_signal, subject_name
from dcdp.data.layout import Layout
from dcdp.data.text import parse_table
from dcdp.errors import FormatError
from dcdp.records import Branch, LabelSet, Recording, Segment, SignalSpec, Track
from dcdp.signals.units import convert

__all__ = ["HAPT"]

RATE_HZ = 50.0
ACTIVITIES = (
    "walking",
    "walking_upstairs",
    "walking_downstairs",
    "sitting",
    "standing",
    "lying",
    "stand_to_sit",
    "sit_to_stand",
    "sit_to_lie",
    "lie_to_sit",
    "stand_to_lie",
    "lie_to_stand",
)
TEST_USERS = (2, 4, 9, 10, 12, 13, 18, 20, 24)

PATTERN = re.compile(r"RawData/(?:(?P<kind>acc|gyro)_exp(?P<experiment>\d+)_user(?P<subject>\d+)|labels)\.txt\Z")
LABELS_FILE = "RawData/labels.txt"
LABEL_COLUMNS = ("experiment", "user", "activity", "start", "end")

SPEC = SignalSpec((inertial_signal("waist", "acc", RATE_HZ), inertial_signal("waist", "gyr", RATE_HZ)))
FILE_UNITS = {"acc": ("g", "m/s2"), "gyro": ("rad/s", "deg/s")}

Key = tuple[int, int]
"""Experiment and user, as numbered in the set."""


def parse(files: Files) -> Iterator[Recording]:
    """Read one recording for each experiment, sorted.

    Raises
    ------
    FormatError
        For a missing counterpart, accelerometer and gyroscope of unequal lengths, labels outside the recording.
    """
    values: dict[tuple[str, Key], NDArray[np.float32]] = {}
    labels: NDArray[np.float64] | None = None
    for path, data in files:
        if path == LABELS_FILE:
            labels = parse_table([(path, data)], " ", LABEL_COLUMNS)[0]
        elif match := PATTERN.search(path):
            kind, key = match["kind"], (int(match["experiment"]), int(match["subject"]))
            table, _ = parse_table([(path, data)], " ", ("x", "y", "z"))
            values[kind, key] = convert(table, *FILE_UNITS[kind]).astype(np.float32)
    if labels is None:
        raise FormatError("a data set must be complete", f"no '{LABELS_FILE}'", "Unpack the whole archive.")
    keys = sorted({key for _, key in values})
    segments = _segments(labels, set(keys))
    for key in keys:
        yield _recording(key, values.get(("acc", key)), values.get(("gyro", key)), segments[key])


def _recording(
    key: Key, acc: NDArray[np.float32] | None, gyr: NDArray[np.float32] | None, segments: list[Segment]
) -> Recording:
    name = f"exp{key[0]:02d}_user{key[1]:02d}"
    if acc is None or gyr is None:
        lacking = "acc" if acc is None else "gyro"
        raise FormatError("accelerometer and gyroscope must come in pairs", f"no 'RawData/{lacking}_{name}.txt'",
                          "Unpack the whole archive.")
    if len(acc) != len(gyr):
        raise FormatError("accelerometer and gyroscope must have equal lengths",
                          f"{len(acc)} and {len(gyr)} samples of '{name}'", "A file is damaged: fetch it again.")
    if segments and segments[-1].stop_s > len(acc) / RATE_HZ:
        raise FormatError("a label must lie inside its recording",
                          f"end {round(segments[-1].stop_s * RATE_HZ)} of {len(acc)} samples of '{name}'",
                          f"Fetch '{LABELS_FILE}' again.")
    tracks = tuple(Track(signal, values) for signal, values in zip(SPEC, (acc, gyr), strict=True))
    return Recording(name, subject_name(key[1]), f"{key[0]:02d}", tracks, tuple(segments))


def _segments(labels: NDArray[np.float64], known: set[Key]) -> dict[Key, list[Segment]]:
    """Sort the rows of the label file by recording; 1-based inclusive samples become ``[start, stop)`` seconds."""
    segments: dict[Key, list[Segment]] = {key: [] for key in known}
    for line, row in enumerate(labels.tolist(), 1):
        if not all(float(value).is_integer() for value in row):
            raise _bad_label("fields must be whole numbers", row, line)
        experiment, user, activity, start, end = map(int, row)
        if (experiment, user) not in segments:
            raise _bad_label("a label must belong to a recording", row, line)
        if not 1 <= activity <= len(ACTIVITIES):
            raise _bad_label(f"activity must be 1 to {len(ACTIVITIES)}", row, line)
        if not 1 <= start <= end:
            raise _bad_label("start must be 1 or more and not past end", row, line)
        segment = Segment((start - 1) / RATE_HZ, end / RATE_HZ, ACTIVITIES[activity - 1])
        segments[experiment, user].append(segment)
    return {key: sorted(rows, key=lambda segment: segment.start_s) for key, rows in segments.items()}


def _bad_label(rule: str, row: list[float], line: int) -> FormatError:
    text = " ".join(f"{value:g}" for value in row)
    return FormatError(rule, f"'{text}' in '{LABELS_FILE}' line {line}", "Fetch the file again.")


DIGESTS = {
    "labels": "1c2bc5c1ee1ba8ade596dba118830dc79b050ea0e127489bbbc37066b03856cf",
    "s01": "a705b460c7bc5de831db82a46df1a1e29c01e11c698aea16d6621056a097ee35",
    "s02": "a79ed9a646544e0d7b126f80c64e3d6182941f70e6277381b14acfee1ae87a33",
    "s03": "a16c6922b88c1b3aa2b713e194608c3257fde91ae0741d90df64552c87db5507",
    "s04": "97882648b981239bcbb62be803bfae623fe1298c2148e12833fd4961400b9ae5",
    "s05": "86d4cadcd4852405c7e4c7980141ceb2978876588eecb0e61ca9a25bc8e3bc6a",
    "s06": "45c0b4f1e60c9942d7a1450713868ca76ad51cdc31f21d3fc29d0b797d79507f",
    "s07": "a9c6dca0d41024725f05185f1046dc4a6c7df64fcdd97cf6249df1e164f3d930",
    "s08": "6610b8e4550b4ac24a7ae5b295fe56b14fa27718c2732beeeb854196c4a35ca1",
    "s09": "5fe98e093e4cdd426768f8d137a050a487a9f730c9c4581396febd824a7b8909",
    "s10": "a3b57cc3f7d3e2c51e14e2a04caff0c615e3f2197de03180927f6b3bc14e83be",
    "s11": "267c9c77c775664f0faf072c7c3e5f09a65ade2b2dc74fb61efed4f66943f1c6",
    "s12": "8dbf2d3af6be5b0068b5ffd73682cd7ff616f7aa99bfab5799d4ef2957882e04",
    "s13": "ab77f70d7ad4d84d43826b6c343f75f8a645fe9adb4046a96f508c19faa84847",
    "s14": "6f859baf0a5e73206f9ba52e6173bc1b0a3819d2e794a2a6362849d4b30862f5",
    "s15": "f2fa5223343bf1fa3c38d07278ce5dfa938bf0f7cd72951b59ec92b44189f3ad",
    "s16": "cb49436de37e46012bc01f108919cac792d309666f2130ca7bc13e400a2a1aee",
    "s17": "8a61b74c3ee44f7cb156890cd75127651176ef1a9d90e718fcfe16ca10366b06",
    "s18": "e7f69b0ef9c3d1d0e40361d7165afead5cd40487210e734e3c7d0fd5171e3725",
    "s19": "1a89f5ff86da027dd1f1ecabe2064b838dfc6d138c9375dcc093d1cb336b99be",
    "s20": "4504c480160665a823aa41f671cda880ea5b2705f4e4867d03d78f49748b844d",
    "s21": "d770a77da131bf64c8f1a293a6d0d40122c399dca1ac1ac156cec9ddfb71b4b1",
    "s22": "364eb3a8f710676fc4bdb796ef2a5de86c0be5a0dcb71ca0b5983fd720c618ab",
    "s23": "3faecf8eb2d6cfa4f2f34dbcbc1561386bbe6082dc93ad88f45cd9bbfd04335e",
    "s24": "afa69b7a9dbd48da637a460c6f103b5611b1f5dbb0072b5c31ac1f300a315807",
    "s25": "31e4de762d042288d123ce3c2f6d541127921b744d365c7262e41b9c495a095f",
    "s26": "329eae09e5243831ba1b75b427751049f56fd34285f060db61afc8008db547ef",
    "s27": "9577661dbafc2b85e0d7d440868938ff5a2eb0c08cd451965fd81991792c9319",
    "s28": "ecc576c8ece4e104f1fe6e8d58ff3ca332ef7f1c17e12d32ce3e5ef397f36a10",
    "s29": "8f2c44bbaaeeab5beab4c9c73e407b13d68dcceeb96742b8f5dc8216d7c82af1",
    "s30": "7db82a300ff5a4bb7eb6c59ba7cefbdb7b8ca90d7088732d98412a6103775aa5",
}
"""See `dcdp.data.digests`."""

HAPT = DataSet(
    name="hapt",
    title="Smartphone-Based Recognition of Human Activities and Postural Transitions, version 2.1",
    licence="no licence text; free for research with citation, commercial use forbidden",
    citation="Reyes-Ortiz, Oneto, Samà, Parra, Anguita (2016). Transition-aware human activity recognition using "
    "smartphones. Neurocomputing 171, 754-767.",
    urls=(
        "https://archive.ics.uci.edu/dataset/341/smartphone+based+recognition+of+human+activities+and+postural+transitions",
    ),
    layout=Layout(
        pattern=PATTERN,
        landmark="RawData",
        folders=("", "HAPT Data Set", "hapt/HAPT Data Set", "hapt"),
        archives=("hapt.tar.xz", "hapt.zip", "HAPT Data Set.zip"),
        n_files=123,
        file_bytes=20_000_000,
        total_bytes=400_000_000,
    ),
    spec=SPEC,
    subjects=tuple(subject_name(user) for user in range(1, 31)),
    labels=LabelSet(ACTIVITIES, null_label="null"),
    n_recordings=61,
    branches=(Branch("acc", ("waist_acc",), "residual"), Branch("gyr", ("waist_gyr",), "dense")),
    digests=DIGESTS,
    parse=parse,
    official={
        "train": tuple(subject_name(user) for user in range(1, 31) if user not in TEST_USERS),
        "test": tuple(subject_name(user) for user in TEST_USERS),
    },
    download=Download(
        "https://archive.ics.uci.edu/static/public/341/"
        "smartphone+based+recognition+of+human+activities+and+postural+transitions.zip",
        "hapt.zip",
    ),
    megabytes=133,
)
