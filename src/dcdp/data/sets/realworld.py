"""RealWorld (HAR) 2016: seven placements on fifteen people, eight activities outdoors and at home.

Written from the paper (Sztyler, Stuckenschmidt 2016), the page of the set (University of Mannheim) and what published
readers of it say of its files. ``proband1/data/acc_walking_csv.zip`` holds a CSV file for each placement, such as
``acc_walking_chest.csv``, with columns ``id,attr_time,attr_x,attr_y,attr_z``: time [ms since 1970], acceleration
[m/s2]. ``gyr_`` archives hold ``Gyroscope_`` files [rad/s], ``mag_`` ones ``MagneticField_`` files [uT]. About 50 Hz,
10 minutes an activity (jumping less).

Decisions
---------
- The climbing of people 4, 7 and 14 was recorded in three goes: their archives hold archives, and files a number
  (``acc_climbingup_2_chest.csv``; none is 1). Each go is a recording. A few other files carry a ``2`` although there is
  no first one; the number is kept as the session.
- Files that were not published (forearm of person 2 climbing up, thigh of person 6 jumping) are absent tracks, as is
  any other sensor that lacks a file.
- Each stream is put on a regular clock of 50 Hz; notes tell jitter, gaps and repeated rows. The devices' clocks are
  trusted to agree, since the time stamps are all there is; they are not corrected. Only where a device has no moment in
  common with the others is it taken to start when they do, with a note of kind ``clock_offset``.
- Light, sound and position are not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from dcdp.data.declaration import DataSet, Download, Files, inertial_signal, subject_name
from dcdp.data.labelled import require_header
from dcdp.data.layout import Layout
from dcdp.data.text import parse_table
from dcdp.errors import DataError, FormatError
from dcdp.records import Branch, LabelSet, Note, Recording, Segment, SignalSpec, Stream, Track
from dcdp.signals.clock import regularise
from dcdp.signals.units import convert

__all__ = ["REALWORLD"]

RATE_HZ = 50.0
ACTIVITIES = {
    "climbingdown": "climbing_down",
    "climbingup": "climbing_up",
    "jumping": "jumping",
    "lying": "lying",
    "running": "running",
    "sitting": "sitting",
    "standing": "standing",
    "walking": "walking",
}
N_SUBJECTS = 15
PLACEMENTS = ("chest", "forearm", "head", "shin", "thigh", "upperarm", "waist")
SENSORS = {"acc": ("acc", "m/s2"), "Gyroscope": ("gyr", "rad/s"), "MagneticField": ("mag", "uT")}
"""Beginning of the file names -> modality and unit."""

COLUMNS = ("id", "attr_time", "attr_x", "attr_y", "attr_z")
PATTERN = re.compile(
    r"proband(?P<subject>\d+)/(?:data/)?(?:[^/]+/){0,3}"
    r"(?P<sensor>acc|Gyroscope|MagneticField)_(?P<activity>[a-z]+)(?:_(?P<go>\d))?_(?P<placement>[a-z]+)\.csv\Z"
)
NESTED = re.compile(r"proband\d+/(?:data/)?(?:[^/]+/){0,2}(?:acc|gyr|mag)_[a-z]+(?:_\d)?_csv\.zip\Z")
SPEC = SignalSpec(
    tuple(
        inertial_signal(placement, modality, RATE_HZ) for placement in PLACEMENTS for modality, _ in SENSORS.values()
    )
)

Key = tuple[int, str, int]
"""Subject, activity and go, from the file name."""

Entry = tuple[str, Track, tuple[Note, ...]]
"""Path of a file, its track on the device's clock, and what was noted."""


def parse(files: Files) -> Iterator[Recording]:
    """Read one recording for each activity of a person, or for each go of it, sorted.

    Raises
    ------
    FormatError
        For columns that are not the documented ones, text in a number, an unknown activity, placement or person, one
        sensor's file twice.
    """
    entries: dict[Key, dict[str, Entry]] = {}
    for path, data in files:
        if match := PATTERN.search(path):
            key, name = _key(match, path)
            own = entries.setdefault(key, {})
            if name in own:
                raise FormatError("a sensor must have one file in a recording", f"'{own[name][0]}' and '{path}'",
                                  "Keep one copy of the set in the folder.")
            own[name] = (path, *_track(name, SENSORS[match["sensor"]][1], path, data))
    for key in sorted(entries):
        yield _recording(key, entries[key])


def _key(match: re.Match[str], path: str) -> tuple[Key, str]:
    """Return the recording that a file belongs to, and the name of its signal."""
    for what, found, known in (
        ("activity", match["activity"], tuple(ACTIVITIES)),
        ("placement", match["placement"], PLACEMENTS),
        ("subject", match["subject"], tuple(str(number) for number in range(1, N_SUBJECTS + 1))),
    ):
        if found not in known:
            raise FormatError(f"{what} must be one of {', '.join(known)}", f"'{found}' in '{path}'",
                              "Fetch the set again.")
    name = f"{match['placement']}_{SENSORS[match['sensor']][0]}"
    return (int(match["subject"]), match["activity"], int(match["go"] or 1)), name


def _track(name: str, unit: str, path: str, data: bytes) -> tuple[Track, tuple[Note, ...]]:
    """Put a file on a regular clock that counts from 1970."""
    require_header(path, data, COLUMNS)
    table, _ = parse_table([(path, data)], ",", COLUMNS, header_lines=1)
    signal = SPEC[name]
    values = np.asarray(convert(table[:, 2:], unit, signal.unit), np.float64)
    stream = Stream(name, signal.modality, signal.placement, signal.channels, signal.unit, table[:, 1] * 1e-3,
                    values, signal.placement, RATE_HZ)
    try:
        return regularise(stream, RATE_HZ)
    except DataError as err:
        raise FormatError("the rows of a file must make a recording", f"'{path}' ({err})",
                          "The file is damaged: fetch it again.") from err


def _recording(key: Key, entries: dict[str, Entry]) -> Recording:
    subject, activity, go = key
    tracks = {signal.name: entries[signal.name][1] for signal in SPEC if signal.name in entries}
    shifts_s, clock_notes = _strange_clocks(tracks)
    origin_s = min(track.start_s + shifts_s[track.signal.placement] for track in tracks.values())
    moved = tuple(
        replace(track, start_s=track.start_s + shifts_s[track.signal.placement] - origin_s)
        for track in tracks.values()
    )
    notes = (*(note for name in tracks for note in entries[name][2]), *clock_notes)
    segment = Segment(0.0, max(track.stop_s for track in moved), ACTIVITIES[activity])
    name = f"{subject_name(subject)}_{activity}_{go}"
    return Recording(name, subject_name(subject), str(go), moved, (segment,), notes)


def _strange_clocks(tracks: dict[str, Track]) -> tuple[dict[str, float], tuple[Note, ...]]:
    """Return how far the clock of each placement has to be moved: 0 unless it has nothing in common with the others."""
    spans: dict[str, list[tuple[float, float]]] = {}
    for track in tracks.values():
        spans.setdefault(track.signal.placement, []).append((track.start_s, track.stop_s))
    starts_s = {placement: min(start for start, _ in own) for placement, own in spans.items()}
    stops_s = {placement: max(stop for _, stop in own) for placement, own in spans.items()}
    start_s, stop_s = float(np.median(list(starts_s.values()))), float(np.median(list(stops_s.values())))
    strange = [name for name in spans if stops_s[name] <= start_s or starts_s[name] >= stop_s]
    shifts_s = {name: start_s - starts_s[name] if name in strange else 0.0 for name in spans}
    notes = tuple(
        Note("clock_offset", "", -shifts_s[name], "s",
             f"the clock of the device at {name} has no moment in common with the others: taken to start with them")
        for name in strange
    )
    return shifts_s, notes


def _branch(modality: str, encoder: str) -> Branch:
    return Branch(modality, tuple(signal.name for signal in SPEC if signal.modality == modality), encoder)


REALWORLD = DataSet(
    name="realworld",
    title="RealWorld (HAR) 2016",
    licence="no licence text; free for research with citation",
    citation="Sztyler, Stuckenschmidt (2016). On-body localization of wearable devices: an investigation of "
    "position-aware activity recognition. PerCom 2016.",
    urls=("https://www.uni-mannheim.de/dws/research/projects/activity-recognition/dataset/dataset-realworld/",),
    layout=Layout(
        pattern=PATTERN,
        landmark="proband1",
        folders=("", "realworld2016_dataset", "realworld/realworld2016_dataset", "realworld"),
        archives=("realworld2016_dataset.zip", "realworld.zip", "realworld.tar.xz"),
        n_files=2772,
        file_bytes=600_000_000,
        total_bytes=30_000_000_000,
        nested=NESTED,
    ),
    spec=SPEC,
    subjects=tuple(subject_name(number) for number in range(1, N_SUBJECTS + 1)),
    labels=LabelSet(tuple(ACTIVITIES.values())),
    n_recordings=132,
    branches=(_branch("acc", "residual"), _branch("gyr", "dense"), _branch("mag", "dense")),
    digests={},
    parse=parse,
    tested_on="made-up files in the documented format",
    download=Download(
        "http://wifo5-14.informatik.uni-mannheim.de/sensor/dataset/realworld2016/realworld2016_dataset.zip",
        "realworld2016_dataset.zip",
    ),
)
