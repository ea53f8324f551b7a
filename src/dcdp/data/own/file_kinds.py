"""Sort the files of a folder by what they are: one kind is one device, or the annotations."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from dcdp.data.own.dialect import sniff
from dcdp.data.own.guess import Guess, guess_table
from dcdp.data.own.names import place_in
from dcdp.data.own.paths import GuessedPattern, constant_words, split_words
from dcdp.data.readers import recognise
from dcdp.data.readers.streams import slug
from dcdp.data.tables import SUFFIXES, column_names
from dcdp.errors import DcdpError

__all__ = ["DEVICE_WORDS", "START", "STOP", "FileKind", "may_align", "may_overlap", "name_devices", "sort_files"]

_TEXT = (".csv", ".tsv", ".tab", ".txt")
_RECORDERS = (".zip", ".cwa", ".gt3x", ".xdf", ".xml", ".json")
_NOT_DATA = ("readme", "license", "licence")
START = re.compile(r"^(start|begin|onset|from|t0|time|timestamp)")
STOP = re.compile(r"^(stop|end|offset|to$|until|finish|t1)")
DEVICE_WORDS = (
    "phone", "smartphone", "watch", "smartwatch", "band", "wristband", "strap", "sensor", "imu", "shimmer", "axivity",
    "actigraph", "empatica", "polar", "left", "right", "glasses", "headphones", "airpods",
)  # fmt: skip
_SENSOR_WORDS = (
    "acc", "accel", "accelerometer", "gyr", "gyro", "gyroscope", "mag", "magnetometer", "hr", "heartrate", "heart",
)  # fmt: skip


@dataclass
class FileKind:
    """Files of one kind: they share columns, or the format of a recorder."""

    paths: list[str]
    format: str = "table"
    guess: Guess | None = None
    pattern: GuessedPattern = field(default_factory=lambda: GuessedPattern("", {}, ()))
    name: str = ""

    @property
    def is_annotation(self) -> bool:
        """Say whether rows tell from when to when something was done, and no sensor is in them."""
        if self.guess is None or self.guess.signals or not self.guess.label:
            return False
        return any(START.search(name.lower()) or STOP.search(name.lower()) for name in self.guess.names)


def sort_files(folder: Path, files: Sequence[str], folders: Sequence[str]) -> tuple[list[FileKind], list[str]]:
    """Sort the files by what they are: recorders' exports, then tables by their columns.

    Returns the kinds, and of each file that is of none which and why.
    """
    kinds: dict[tuple[object, ...], FileKind] = {}
    left_out: list[str] = []
    exports = [path for path in folders if _is_export(folder, path, files)]
    for path in exports:
        name = recognise(folder / path) or ""
        kinds.setdefault((name, "folder"), FileKind([], name)).paths.append(path)
    for path in files:
        if any(path.startswith(f"{export}/") for export in exports) or path.endswith(".toml"):
            continue
        suffix = PurePosixPath(path).suffix.lower()
        try:
            if suffix in _RECORDERS:
                known = recognise(folder / path)
                if known is None:
                    left_out.append(f"'{path}': no format that is known")
                else:
                    kinds.setdefault((known, suffix, *_device_words(path)), FileKind([], known)).paths.append(path)
            elif suffix in SUFFIXES and not PurePosixPath(path).stem.lower().startswith(_NOT_DATA):
                _add_table(folder, path, kinds)
        except (DcdpError, UnicodeDecodeError) as err:
            left_out.append(f"'{path}': {'not UTF-8' if isinstance(err, UnicodeDecodeError) else err}")
    return list(kinds.values()), left_out


def _add_table(folder: Path, path: str, kinds: dict[tuple[object, ...], FileKind]) -> None:
    suffix = PurePosixPath(path).suffix.lower()
    dialect = sniff(folder / path) if suffix in _TEXT else None
    names = column_names(folder / path) if dialect is None else column_names(folder / path, dialect)
    key = (names, dialect, suffix, *_device_words(path))
    if key not in kinds:
        known = recognise(folder / path)
        if known is not None:
            key = (known, suffix, *_device_words(path))
            kinds.setdefault(key, FileKind([], known))
        else:
            kinds[key] = FileKind([], guess=guess_table(folder / path, context=" ".join(_device_words(path))))
    kinds[key].paths.append(path)


def _is_export(folder: Path, path: str, files: Sequence[str]) -> bool:
    """Say whether a folder is the export of a recorder: one recording in several tables."""
    inside = [name for name in files if str(PurePosixPath(name).parent) == path]
    if len(inside) < 2 or not any(name.endswith((".csv", ".json")) for name in inside):
        return False
    try:
        return recognise(folder / path) is not None
    except DcdpError:
        return False


def _device_words(path: str) -> tuple[str, ...]:
    """Return the words of a file's name that say which device or sensor wrote it."""
    words = [*split_words(path)]
    return tuple(word for word in words if word in DEVICE_WORDS or word in _SENSOR_WORDS or place_in(word))


def name_devices(kinds: Sequence[FileKind]) -> None:
    """Give each kind a name of its own: the words of its paths that tell a device, else its format or a number."""
    used: set[str] = set()
    for number, kind in enumerate(kinds, 1):
        words = [word for word in constant_words(kind.paths) if re.fullmatch(r"[a-z][a-z0-9]*", word)]
        telling = [word for word in words if word in DEVICE_WORDS or word in _SENSOR_WORDS or place_in(word)]
        name = "_".join(telling) or (kind.format if kind.format != "table" else "") or (words[-1] if words else "")
        name = slug(name) or f"device{number}"
        kind.name = name if name not in used else f"{name}_{number}"
        used.add(kind.name)


def may_overlap(one: FileKind, other: FileKind) -> bool:
    """Say whether the first files of two devices may be of one clock."""
    if one.guess is None or other.guess is None or one.guess.span_s is None or other.guess.span_s is None:
        return True
    (start, stop), (begin, end) = one.guess.span_s, other.guess.span_s
    return start <= end and begin <= stop


def may_align(one: FileKind, other: FileKind) -> bool:
    """Say whether two devices may have clocks of their own and both felt the movement."""
    if one.guess is None or other.guess is None or one.guess.time is None:
        return False
    words = [{w for w in constant_words(kind.paths) if w in DEVICE_WORDS or place_in(w)} for kind in (one, other)]
    both = all(any(signal.modality == "acc" for signal in k.guess.signals) for k in (one, other) if k.guess)
    return words[0] != words[1] and both
