"""WISDM 2019: phone in the pocket and watch on the dominant hand, eighteen activities of daily life.

Written from the set's description and README.txt (Weiss 2019; UCI Machine Learning Repository, data set 507). Lines of
``raw/phone/accel/data_1600_accel_phone.txt`` are ``1600,A,252207666810782,-0.364761,8.793503,1.0550842;``: person,
activity, time [ns], and acceleration [m/s2] or angular rate [rad/s] along three axes, at about 20 Hz. Each activity was
done for three minutes.

Decisions
---------
- Each of the four streams is put on a regular clock of 20 Hz from its own time stamps, which jitter, repeat and have
  gaps; notes tell how much (see `dcdp.signals.clock`).
- Accelerometer and gyroscope of a device share its clock. Phone and watch each count from a moment of their own, and
  nothing in the files relates the two: the first samples of both in an activity are taken to be simultaneous, which is
  right to about a second rather than to a sample, and a note of kind ``clock_offset`` says so in every such recording.
- A device's samples of one activity that lie more than 10 s apart are pieces of their own. If phone and watch have as
  many, these are paired in order; otherwise each piece is a recording of one device, in which the other's signals are
  absent. A sensor with less than one second of a piece is absent from it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dcdp.data.declaration import DataSet, Download, Files, inertial_signal, subject_name
from dcdp.data.labelled import parse_labelled
from dcdp.data.layout import Layout
from dcdp.errors import DataError, FormatError
from dcdp.records import Branch, LabelSet, Note, Recording, Segment, SignalSpec, Stream, Track
from dcdp.signals.clock import regularise
from dcdp.signals.units import convert

__all__ = ["WISDM"]

RATE_HZ = 20.0
ACTIVITIES = {
    "A": "walking",
    "B": "jogging",
    "C": "stairs",
    "D": "sitting",
    "E": "standing",
    "F": "typing",
    "G": "brushing_teeth",
    "H": "eating_soup",
    "I": "eating_chips",
    "J": "eating_pasta",
    "K": "drinking",
    "L": "eating_sandwich",
    "M": "kicking_ball",
    "O": "playing_catch",
    "P": "dribbling_ball",
    "Q": "writing",
    "R": "clapping",
    "S": "folding_clothes",
}
CODES = {letter: code for code, letter in enumerate(ACTIVITIES)}
SUBJECTS = range(1600, 1651)
DEVICES = ("phone", "watch")
PLACEMENTS = {"phone": "pocket", "watch": "wrist"}
FILE_UNITS = {"acc": "m/s2", "gyr": "rad/s"}
PIECE_GAP_S = 10.0
SHORTEST_SAMPLES = 20

COLUMNS = ("subject", "label", "time_ns", "x", "y", "z")
PATTERN = re.compile(
    r"raw/(?P<device>phone|watch)/(?P<sensor>accel|gyro)/data_(?P<subject>\d{4})_(?P=sensor)_(?P=device)\.txt\Z"
)
SPEC = SignalSpec(
    tuple(inertial_signal(PLACEMENTS[device], modality, RATE_HZ) for device in DEVICES for modality in FILE_UNITS)
)


@dataclass(frozen=True, slots=True)
class _File:
    """Rows of one file: code of the activity (N,), time (N,) [s], values (N, 3) in the file's unit."""

    path: str
    codes: NDArray[np.int64]
    times_s: NDArray[np.float64]
    values: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Piece:
    """Tracks of one device over one unbroken stretch; time 0 is its first sample, ``origin_s`` on its clock."""

    origin_s: float
    tracks: tuple[Track, ...]
    notes: tuple[Note, ...]


def parse(files: Files) -> Iterator[Recording]:
    """Read one recording for each activity of a person, or more where it has interruptions; sorted.

    Raises
    ------
    FormatError
        For a wrong number of fields, text in a number, an unknown activity, lines of another person, a file that ends
        inside a line.
    """
    waiting: dict[int, dict[str, _File]] = {}
    done: dict[int, list[Recording]] = {}
    for path, data in files:
        if (match := PATTERN.search(path)) is None:
            continue
        subject, modality = int(match["subject"]), "acc" if match["sensor"] == "accel" else "gyr"
        if subject not in SUBJECTS:
            raise FormatError(f"subject must be {SUBJECTS[0]} to {SUBJECTS[-1]}", f"{subject} in '{path}'",
                              "Fetch the set again.")
        waiting.setdefault(subject, {})[f"{PLACEMENTS[match['device']]}_{modality}"] = _read(path, data, subject)
        if len(waiting[subject]) == len(SPEC):  # rows take three times the room of tracks: keep them no longer
            done[subject] = list(_recordings(subject, waiting.pop(subject)))
    done.update({subject: list(_recordings(subject, own)) for subject, own in waiting.items()})
    for subject in sorted(done):
        yield from done[subject]


def _read(path: str, data: bytes, subject: int) -> _File:
    if data and not data.rstrip().endswith(b";"):
        raise FormatError("each line must end with ';'", f"'{path}' line {len(data.splitlines())}",
                          "The file is cut short: fetch it again.")
    table = parse_labelled(path, data.replace(b";", b""), COLUMNS, CODES)
    foreign = np.flatnonzero(table[:, 0] != subject)
    if len(foreign):
        raise FormatError(f"subject must be {subject}", f"{table[foreign[0], 0]:g} in '{path}' line {foreign[0] + 1}",
                          "The file is damaged: fetch it again.")
    times_s = table[:, 2] * 1e-9
    if not np.isfinite(times_s).all():
        raise FormatError("a time must be a number", f"nan in '{path}' line {int(np.isnan(times_s).argmax()) + 1}",
                          "The file is damaged: fetch it again.")
    return _File(path, table[:, 1].astype(np.int64), times_s, table[:, 3:].copy())


def _recordings(subject: int, files: dict[str, _File]) -> Iterator[Recording]:
    """Yield the recordings of one person, by activity."""
    for letter, code in CODES.items():
        phone, watch = (_pieces(files, PLACEMENTS[device], code) for device in DEVICES)
        groups: list[tuple[_Piece, ...]] = [(piece,) for piece in (*phone, *watch)]
        if len(phone) == len(watch):
            groups = list(zip(phone, watch, strict=True))
        for number, group in enumerate(groups, 1):
            yield _recording(subject, letter, number, group)


def _recording(subject: int, letter: str, number: int, pieces: tuple[_Piece, ...]) -> Recording:
    tracks = tuple(track for piece in pieces for track in piece.tracks)
    notes = tuple(note for piece in pieces for note in piece.notes)
    if len(pieces) > 1:
        offset_s = pieces[1].origin_s - pieces[0].origin_s
        text = "phone and watch have unrelated clocks: their first samples were taken to be simultaneous"
        notes = (*notes, Note("clock_offset", "", offset_s, "s", text))
    segment = Segment(0.0, max(track.stop_s for track in tracks), ACTIVITIES[letter])
    name = f"{subject_name(subject)}_{letter}_{number}"
    return Recording(name, subject_name(subject), str(number), tracks, (segment,), notes)


def _pieces(files: dict[str, _File], placement: str, code: int) -> list[_Piece]:
    """Return the unbroken stretches of one device in one activity, in the order of its clock."""
    own = {
        signal.name: (files[signal.name], files[signal.name].codes == code)
        for signal in SPEC
        if signal.placement == placement and signal.name in files
    }
    times_s = np.sort(np.concatenate([np.empty(0), *(file.times_s[rows] for file, rows in own.values())]))
    if not len(times_s):
        return []
    edges_s = [*times_s[1:][np.diff(times_s) > PIECE_GAP_S].tolist(), np.inf]
    pieces, start_s = [], float(times_s[0])
    for stop_s in edges_s:
        chosen = {
            name: (file, rows & (file.times_s >= start_s) & (file.times_s < stop_s))
            for name, (file, rows) in own.items()
        }
        piece = _piece({name: entry for name, entry in chosen.items() if entry[1].sum() >= SHORTEST_SAMPLES})
        pieces += [piece] if piece is not None else []
        start_s = stop_s
    return pieces


def _piece(chosen: dict[str, tuple[_File, NDArray[np.bool_]]]) -> _Piece | None:
    if not chosen:
        return None
    origin_s = min(float(file.times_s[rows].min()) for file, rows in chosen.values())
    tracks: list[Track] = []
    notes: list[Note] = []
    for name, (file, rows) in chosen.items():
        signal = SPEC[name]
        values = np.asarray(convert(file.values[rows], FILE_UNITS[signal.modality], signal.unit), np.float64)
        stream = Stream(name, signal.modality, signal.placement, signal.channels, signal.unit, file.times_s[rows],
                        values, signal.placement, RATE_HZ)
        try:
            track, found = regularise(stream, RATE_HZ, origin_s)
        except DataError as err:
            raise FormatError("the rows of a file must make a recording", f"'{file.path}' ({err})",
                              "The file is damaged: fetch it again.") from err
        tracks.append(track)
        notes += found
    return _Piece(origin_s, tuple(tracks), tuple(notes))


def _branch(modality: str, encoder: str) -> Branch:
    return Branch(modality, tuple(signal.name for signal in SPEC if signal.modality == modality), encoder)


WISDM = DataSet(
    name="wisdm",
    title="WISDM Smartphone and Smartwatch Activity and Biometrics Dataset (2019)",
    licence="CC BY 4.0 according to its page; cite the paper",
    citation="Weiss, Yoneda, Hayajneh (2019). Smartphone and smartwatch-based biometrics using activities of daily "
    "living. IEEE Access 7, 133190-133202.",
    urls=(
        "https://archive.ics.uci.edu/dataset/507/wisdm+smartphone+and+smartwatch+activity+and+biometrics+dataset",
    ),
    layout=Layout(
        pattern=PATTERN,
        landmark="raw/phone",
        folders=("", "wisdm-dataset", "wisdm/wisdm-dataset", "wisdm"),
        archives=(
            "wisdm+smartphone+and+smartwatch+activity+and+biometrics+dataset.zip", "wisdm-dataset.zip", "wisdm.zip",
            "wisdm.tar.xz",
        ),
        n_files=204,
        file_bytes=600_000_000,
        total_bytes=5_000_000_000,
    ),
    spec=SPEC,
    subjects=tuple(subject_name(number) for number in SUBJECTS),
    labels=LabelSet(tuple(ACTIVITIES.values())),
    n_recordings=None,
    branches=(_branch("acc", "residual"), _branch("gyr", "dense")),
    digests={},
    parse=parse,
    tested_on="made-up files in the documented format",
    download=Download(
        "https://archive.ics.uci.edu/static/public/507/"
        "wisdm+smartphone+and+smartwatch+activity+and+biometrics+dataset.zip",
        "wisdm+smartphone+and+smartwatch+activity+and+biometrics+dataset.zip",
    ),
)
