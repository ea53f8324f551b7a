"""UCI-HAR: smartphone at the waist, six activities, published as overlapping windows, joined again.

Written from the set's README.txt (version 1.0; UCI Machine Learning Repository, data set 240) and its paper (Anguita
et al. 2013). Each line of ``total_acc_x_train.txt`` and its like is a window of 128 samples at 50 Hz; the next line
begins half a window later. ``subject_train.txt`` and ``y_train.txt`` hold person and activity of each line.

Decisions
---------
- Lines of one person follow each other in time. Where the second half of one equals the first half of the next in all
  six channels they are joined, and the shared samples kept once; elsewhere a new recording begins, since it is not
  published how much time lies between.
- Where joined windows differ in their activity, the boundary is put into the middle of what they share, with a note:
  each window keeps its label for most of its time.
- ``body_acc`` is ``total_acc`` without what a filter took for gravity: derived, so it is left out, and so are the 561
  features. ``body_gyro`` is the whole signal of the gyroscope. The authors filtered both (median, low-pass of 20 Hz).
- Hashes of the signal files are published, those of persons and activities are not: the latter are not verified, but
  have to agree with the official split, the number of windows and each other.
- The two visits of each person are not told apart in the files: all of it is session 1.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from dcdp.data.declaration import DataSet, Download, Files, inertial_signal, subject_name
from dcdp.data.layout import Layout
from dcdp.data.text import parse_table
from dcdp.errors import FormatError
from dcdp.records import Branch, LabelSet, Note, Recording, Segment, SignalSpec, Track
from dcdp.signals.units import convert

__all__ = ["UCIHAR"]

RATE_HZ = 50.0
WINDOW_SAMPLES = 128
HALF = WINDOW_SAMPLES // 2
ACTIVITIES = ("walking", "walking_upstairs", "walking_downstairs", "sitting", "standing", "lying")
TEST_SUBJECTS = (2, 4, 9, 10, 12, 13, 18, 20, 24)
SUBJECTS = {
    "train": tuple(number for number in range(1, 31) if number not in TEST_SUBJECTS),
    "test": TEST_SUBJECTS,
}

PATTERN = re.compile(
    r"(?P<part>train|test)/(?:Inertial Signals/(?P<signal>(?:total_acc|body_gyro)_[xyz])|(?P<unverified>subject|y))"
    r"_(?P=part)\.txt\Z"
)
CHANNELS = tuple(f"{kind}_{axis}" for kind in ("total_acc", "body_gyro") for axis in "xyz")
SPEC = SignalSpec((inertial_signal("waist", "acc", RATE_HZ), inertial_signal("waist", "gyr", RATE_HZ)))


def parse(files: Files) -> Iterator[Recording]:
    """Read one recording for each unbroken run of windows of a person, sorted by person and place in the files.

    Raises
    ------
    FormatError
        For a missing file, files of unequal lengths, a person of the other part, an unknown activity.
    """
    tables: dict[tuple[str, str], NDArray[np.float64]] = {}
    for path, data in files:
        if (match := PATTERN.search(path)) is None:
            continue
        kind = match["signal"] or match["unverified"]
        columns = [f"sample_{i}" for i in range(1, WINDOW_SAMPLES + 1)] if match["signal"] else [kind]
        table, _ = parse_table([(path, _single_blanks(data))], " ", columns)
        if kind == "subject":
            _require_codes(table, SUBJECTS[match["part"]], path, f"a subject of the {match['part']} part")
        elif kind == "y":
            _require_codes(table, range(1, len(ACTIVITIES) + 1), path, "activity")
        tables[match["part"], kind] = table
    recordings = [recording for part in SUBJECTS for recording in _recordings(part, tables)]
    yield from sorted(recordings, key=lambda recording: recording.name)


def _single_blanks(data: bytes) -> bytes:
    """Put one blank between fields, so that the fast parser reads them."""
    return b"\n".join(b" ".join(line.split()) for line in data.split(b"\n"))


def _require_codes(table: NDArray[np.float64], known: range | tuple[int, ...], path: str, what: str) -> None:
    wrong = np.flatnonzero(~np.isin(table[:, 0], known))
    if len(wrong):
        raise FormatError(f"{what} must be one of {', '.join(map(str, known))}",
                          f"{table[wrong[0], 0]:g} in '{path}' line {wrong[0] + 1}", "Fetch the file again.")


def _recordings(part: str, tables: dict[tuple[str, str], NDArray[np.float64]]) -> Iterator[Recording]:
    """Yield the recordings of one part, in the order of its files."""
    kinds = ("subject", "y", *CHANNELS)
    lacking = [kind for kind in kinds if (part, kind) not in tables]
    if lacking:
        folder = f"{part}/Inertial Signals" if lacking[0] in CHANNELS else part
        raise FormatError("a data set must be complete", f"no '{folder}/{lacking[0]}_{part}.txt'",
                          "Unpack the whole archive.")
    lengths = {kind: len(tables[part, kind]) for kind in kinds}
    if len(set(lengths.values())) > 1:
        raise FormatError("the files of a part must have equal numbers of lines",
                          ", ".join(f"{kind}_{part}.txt {n}" for kind, n in lengths.items()),
                          "A file is damaged: fetch it again.")
    subjects, labels = (tables[part, kind][:, 0].astype(np.int64) for kind in ("subject", "y"))
    windows = np.stack([tables[part, channel] for channel in CHANNELS], axis=2)  # (N, 128, 6)
    follows = (windows[:-1, HALF:] == windows[1:, :HALF]).all(axis=(1, 2)) & (subjects[1:] == subjects[:-1])
    edges = [0, *(np.flatnonzero(~follows) + 1).tolist(), len(windows)]
    counts: dict[int, int] = {}
    for start, stop in itertools.pairwise(edges):
        subject = int(subjects[start])
        counts[subject] = counts.get(subject, 0) + 1
        yield _recording(subject, counts[subject], windows[start:stop], labels[start:stop])


def _recording(
    subject: int, number: int, windows: NDArray[np.float64], labels: NDArray[np.int64]
) -> Recording:
    """Join windows (N, 128, 6), each of which begins in the middle of the one before."""
    values = np.concatenate([windows[0, :HALF], windows[:, HALF:].reshape(-1, windows.shape[2])])
    acc = convert(values[:, :3], "g", "m/s2").astype(np.float32)
    gyr = convert(values[:, 3:], "rad/s", "deg/s").astype(np.float32)
    tracks = tuple(Track(signal, own) for signal, own in zip(SPEC, (acc, gyr), strict=True))
    changes = np.flatnonzero(np.diff(labels)) + 1
    edges = [0, *(HALF * changes + HALF // 2).tolist(), len(values)]
    segments = tuple(
        Segment(start / RATE_HZ, stop / RATE_HZ, ACTIVITIES[labels[window] - 1])
        for start, stop, window in zip(edges, edges[1:], [0, *changes.tolist()], strict=False)
    )
    notes: tuple[Note, ...] = ()
    if len(changes):
        text = f"the activity changes {len(changes)} times inside 1.28 s that two windows share: put into their middle"
        notes = (Note("label_boundary", "", float(len(changes)), "1", text),)
    return Recording(f"{subject_name(subject)}_{number:03d}", subject_name(subject), "1", tracks, segments, notes)


DIGESTS = {
    "test": "498495b4868cb2030f16266e48dbc458cb0b29f7336ea232ca8c05138f32c7db",
    "train": "8d3d46697710190f731cef28c4ac1f6ba2eecf65d123aebed373b481906a4947",
}
"""Of the signal files, from the hashes under which git knows them; see `dcdp.data.digests`."""

UCIHAR = DataSet(
    name="ucihar",
    title="Human Activity Recognition Using Smartphones (UCI-HAR), inertial signals",
    licence="CC BY 4.0 according to its page; its README asks for citation and forbids commercial use",
    citation="Anguita, Ghio, Oneto, Parra, Reyes-Ortiz (2013). A public domain dataset for human activity recognition "
    "using smartphones. ESANN 2013.",
    urls=("https://archive.ics.uci.edu/dataset/240/human+activity+recognition+using+smartphones",),
    layout=Layout(
        pattern=PATTERN,
        landmark="train/Inertial Signals",
        folders=("", "UCI HAR Dataset", "ucihar/UCI HAR Dataset", "ucihar"),
        archives=(
            "human+activity+recognition+using+smartphones.zip", "UCI HAR Dataset.zip", "ucihar.zip", "ucihar.tar.xz",
        ),
        n_files=16,
        file_bytes=150_000_000,
        total_bytes=1_000_000_000,
    ),
    spec=SPEC,
    subjects=tuple(subject_name(number) for number in range(1, 31)),
    labels=LabelSet(ACTIVITIES),
    n_recordings=None,
    branches=(Branch("acc", ("waist_acc",), "residual"), Branch("gyr", ("waist_gyr",), "dense")),
    digests=DIGESTS,
    parse=parse,
    official={part: tuple(subject_name(number) for number in numbers) for part, numbers in SUBJECTS.items()},
    file_hash="git_blob_sha1",
    tested_on="made-up files in the documented format",
    download=Download(
        "https://archive.ics.uci.edu/static/public/240/human+activity+recognition+using+smartphones.zip",
        "human+activity+recognition+using+smartphones.zip",
    ),
)
