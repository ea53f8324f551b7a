"""Write a first description of a folder by looking at its files, and say what of it is a guess."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dcdp.data.own.file_kinds import (
    DEVICE_WORDS,
    START,
    STOP,
    FileKind,
    may_align,
    may_overlap,
    name_devices,
    sort_files,
)
from dcdp.data.own.names import place_in, unit_in
from dcdp.data.own.paths import constant_words, guess_pattern
from dcdp.data.own.pattern import list_paths
from dcdp.data.readers.streams import clean
from dcdp.data.tables import SUFFIXES, read_table, read_text_column
from dcdp.errors import DataError, FormatError

__all__ = ["Draft", "describe"]

_PROBED_FILES = 40
_MOST_LABELS = 60
_MANY_SHOWN = 5
_DURATION = re.compile(r"^(dur|length|lasting)")
_NO_ACTIVITY = ("", "none", "null", "nan", "other", "unknown", "undefined", "0")


@dataclass(frozen=True, slots=True)
class Draft:
    """A first description.

    Attributes
    ----------
    toml
        Its text; what is unsure is marked ``# unsure: ...``.
    devices
        For each device: name, files, rate, signals, in words.
    unsure
        What should be looked at, one sentence each.
    left_out
        Files that are not described, with the reason.
    """

    toml: str
    devices: tuple[tuple[str, str, str, str], ...]
    unsure: tuple[str, ...]
    left_out: tuple[str, ...]


def describe(folder: Path) -> Draft:
    """Look at the files of a folder and write a description of them.

    Raises
    ------
    MissingError
        If there is no such folder.
    DataError
        If it holds no file that could be a recording.
    """
    files, folders = list_paths(folder)
    kinds, left_out = sort_files(folder, files, folders)
    recorded = [kind for kind in kinds if not kind.is_annotation and (kind.guess is None or kind.guess.signals)]
    annotations = [kind for kind in kinds if kind.is_annotation]
    left_out += [f"'{k.paths[0]}'{_more(k.paths)}: no sensor found in {', '.join(k.guess.names[:8])}"
                 for k in kinds if k.guess and k not in recorded and k not in annotations]  # fmt: skip
    if not recorded:
        why = f" ({left_out[0]})" if left_out else ""
        raise DataError("a folder must hold recordings", f"none of {len(files)} files in '{folder}'{why}",
                        f"Put tables ({', '.join(SUFFIXES)}) or files of a recorder there.")
    recorded.sort(key=lambda kind: not any(s.modality == "acc" for s in kind.guess.signals) if kind.guess else False)
    for kind in (*recorded, *annotations):
        kind.pattern = guess_pattern(kind.paths)
    name_devices(recorded)
    return _Writer(folder, recorded, annotations, left_out).draft()


def _more(paths: Sequence[str]) -> str:
    return f" and {len(paths) - 1} more" if len(paths) > 1 else ""


class _Writer:
    """Lines of a description, and what is unsure in them."""

    def __init__(
        self, folder: Path, recorded: Sequence[FileKind], annotations: Sequence[FileKind], left_out: Sequence[str]
    ) -> None:
        self.folder, self.recorded, self.annotations = folder, recorded, annotations
        self.left_out = list(left_out)
        self.lines: list[str] = []
        self.unsure: list[str] = []
        self.labelled_by_path = False

    def draft(self) -> Draft:
        """Write everything."""
        self.lines += [
            "# A first description of these recordings, written by looking at them.",
            "# Lines marked 'unsure' are guesses: correct them, or delete the mark. See docs/own_recordings.md.", "",
            f"name = {_text(re.sub(r'[^A-Za-z0-9_-]+', '-', self.folder.resolve().name).strip('-_') or 'own')}",
        ]  # fmt: skip
        rows = [self._device(kind) for kind in self.recorded]
        self._labels()
        if self.left_out:
            shown = self.left_out[: 4 * _MANY_SHOWN]
            self.lines += ["", "# Not described:", *(f"#   {clean(reason)}" for reason in shown)]
        return Draft("\n".join(self.lines) + "\n", tuple(rows), tuple(self.unsure), tuple(self.left_out))

    def _device(self, kind: FileKind) -> tuple[str, str, str, str]:
        self.lines += ["", "[[devices]]"]
        self._key("name", kind.name)
        self._files(kind)
        if kind.format != "table":
            return self._recorder(kind)
        assert kind.guess is not None
        guess = kind.guess
        place = self._placement(kind)
        self._subject(kind)
        self._clock(kind)
        for key, value, usual in (("separator", guess.dialect.separator, None), ("decimal", guess.dialect.decimal, "."),
                                  ("header", guess.dialect.header, True), ("skip_lines", guess.dialect.skip_lines, 0)):
            if value != usual:
                self._key(key, value)
        if guess.unread:
            self.lines.append(f"# columns not read: {clean(', '.join(guess.unread))}")
        names = []
        for signal in guess.signals:
            self.lines += ["", "[[devices.signals]]"]
            self._key("modality", signal.modality)
            self._key("columns", list(signal.columns))
            self._key("unit", signal.unit, signal.unsure, kind.name)
            if signal.place:
                self._key("placement", signal.place)
            names.append(f"{signal.place or place}_{signal.modality} [{signal.unit}]")
        rate = f"{guess.rate_hz:g} Hz" if guess.rate_hz else "?"
        return kind.name, f"{len(kind.paths)} of {kind.pattern.pattern}", rate, ", ".join(names)

    def _recorder(self, kind: FileKind) -> tuple[str, str, str, str]:
        self._key("format", kind.format)
        self._placement(kind)
        self._subject(kind)
        return kind.name, f"{len(kind.paths)} of {kind.pattern.pattern}", "as recorded", f"by the format {kind.format}"

    def _files(self, kind: FileKind) -> None:
        pattern, unsure = kind.pattern.pattern, kind.pattern.unsure
        by_column = kind.guess is not None and (kind.guess.label or self.annotations)
        if by_column and "label" in kind.pattern.fields:  # labels stand elsewhere: the word tells recordings apart
            pattern = pattern.replace("{label}", "{take}")
        elif "label" in kind.pattern.fields:
            self.labelled_by_path = True
            texts = ", ".join(sorted(set(kind.pattern.fields["label"]))[:_MANY_SHOWN])
            unsure = (*unsure, f"are {texts} activities? (label)")
        self._key("files", pattern, unsure, kind.name)

    def _placement(self, kind: FileKind) -> str:
        words = " ".join(constant_words(kind.paths))
        place = place_in(words)
        if kind.guess is not None and kind.guess.signals and all(signal.place for signal in kind.guess.signals):
            return ""
        if place and not any(word in place for word in words.split() if word == place.split("_")[-1]):
            self._key("placement", place, (f"worn at the {place}? It is called {kind.name}",), kind.name)
        elif place:
            self._key("placement", place)
        else:
            devices = [word for word in words.split() if word in DEVICE_WORDS and word not in ("left", "right")]
            place = devices[0] if devices else "body"
            self._key("placement", place, ("where was it worn? (placement)",), kind.name)
        return place

    def _subject(self, kind: FileKind) -> None:
        fields, guess = kind.pattern.fields, kind.guess
        if "subject" not in fields:
            if guess is not None and guess.subject:
                self._key("subject_column", guess.subject)
            else:
                self._key("subject", "s01", ("whose recordings are these? (subject)",), kind.name)
        if guess is not None and guess.session and "session" not in fields and "subject" not in fields:
            self._key("session_column", guess.session)

    def _clock(self, kind: FileKind) -> None:
        assert kind.guess is not None
        time, rate_hz = kind.guess.time, kind.guess.rate_hz
        if time is None:
            self._key("rate_hz", 50, ("no column of times: what is the rate?",), kind.name)
        else:
            self._key("time", f"{{ column = {_text(time.column)}, unit = {_text(time.unit)} }}",
                      [time.unsure] if time.unsure else [], kind.name, raw=True)  # fmt: skip
            if rate_hz:
                self._key("rate_hz", rate_hz)
        first = self.recorded[0]
        if kind is first:
            apart = [other for other in self.recorded[1:] if not may_overlap(first, other)]
            if apart:
                self._key("clock", "start", (f"its times and those of {apart[0].name} are not of one clock: do they "
                                             "begin together?",), kind.name)  # fmt: skip
            return
        if not may_overlap(first, kind) or any(not may_overlap(first, other) for other in self.recorded[1:]):
            self._key("clock", "start")
        if may_align(first, kind):
            self._key("align", True, (f"is its clock another than that of {first.name}? Its offset is estimated from "
                                      "the movement",), kind.name)  # fmt: skip

    def _labels(self) -> None:
        if self.annotations:
            self._annotation(self.annotations[0])
            self.left_out += [f"'{kind.paths[0]}'{_more(kind.paths)}: a second kind of annotation"
                              for kind in self.annotations[1:]]  # fmt: skip
            return
        kind = next((k for k in self.recorded if k.guess is not None and k.guess.label), None)
        if kind is not None and kind.guess is not None:
            self.lines += ["", "[labels]"]
            self._key("column", kind.guess.label)
            if kind is not self.recorded[0]:
                self._key("device", kind.name)
            self._order(kind, kind.guess.label)
        elif self.labelled_by_path:
            self.lines += ["", "[labels]"]
            texts = {text for k in self.recorded for text in k.pattern.fields.get("label", ())}
            self._key("order", sorted(texts))
        elif all(k.format == "table" for k in self.recorded):
            self.lines += ["", "# [labels]", '# column = "activity"']
            self._doubt("no labels found: give labels.column, labels.file, or {label} in files")

    def _annotation(self, kind: FileKind) -> None:
        guess = kind.guess
        assert guess is not None
        names = {role: next((n for n in guess.names if pattern.search(n.lower())), "")
                 for role, pattern in (("start", START), ("stop", STOP), ("duration", _DURATION))}  # fmt: skip
        self.lines += ["", "[labels]"]
        self._key("file", kind.pattern.pattern, kind.pattern.unsure, "labels")
        start = names["start"] or guess.names[0]
        self._key("start", start)
        if names["stop"]:
            self._key("stop", names["stop"])
        elif names["duration"]:
            self._key("duration", names["duration"])
        self._key("label", guess.label)
        self._annotation_unit(kind, start, names["stop"] or start)
        if guess.subject and "subject" not in kind.pattern.fields:
            self._key("subject_column", guess.subject)
            if guess.session:
                self._key("session_column", guess.session)
        elif "subject" not in kind.pattern.fields and len(self.recorded[0].paths) > 1:
            self._doubt("labels: whose annotation is which row? (subject_column)")
        if guess.dialect.separator is not None:
            self._key("separator", guess.dialect.separator)
        if guess.dialect.decimal != ".":
            self._key("decimal", guess.dialect.decimal)
        self._order(kind, guess.label)

    def _annotation_unit(self, kind: FileKind, start: str, stop: str) -> None:
        """Write unit and clock of an annotation, by the length of the recordings beside it."""
        assert kind.guess is not None
        recorded = self.recorded[0].guess
        table = read_table(self.folder / kind.paths[0], None, kind.guess.dialect)
        try:
            times = table.numbers(table.place(stop))
        except FormatError:
            self._key("unit", "iso")
            self._key("clock", "device")
            return
        last, said = float(np.nanmax(times)), unit_in(stop)
        for least, unit in ((1e17, "ns"), (1e14, "us"), (1e11, "ms"), (1e8, "s")):
            if last > least:
                self._key("unit", unit)
                self._key("clock", "device")
                return
        if said in ("s", "ms", "us", "ns"):
            self._key("unit", said)
            return
        long_s = recorded.span_s[1] - recorded.span_s[0] if recorded and recorded.span_s else None
        if recorded and recorded.rate_hz and long_s and len(self.recorded[0].paths) == len(kind.paths):
            rates = (("s", 1.0), ("samples", recorded.rate_hz), ("ms", 1e3))
            fits = [unit for unit, per_s in rates if 0.3 < last / per_s / long_s < 1.2]
            unsure = [] if fits[:1] == ["s"] else [f"unit of '{start}' by the length of the recordings"]
            self._key("unit", fits[0] if fits else "s", unsure, "labels")
        else:
            self._key("unit", "s", [f"unit of '{start}'"], "labels")

    def _order(self, kind: FileKind, column: str) -> None:
        """Write the labels found, so that another one is noticed."""
        assert kind.guess is not None
        found: set[str] = set()
        place = kind.guess.names.index(column)
        for path in kind.paths[:_PROBED_FILES]:
            found |= set(np.unique(read_text_column(self.folder / path, place, kind.guess.dialect)).tolist())
        null = {text for text in found if text.lower() in _NO_ACTIVITY}
        if len(found) > _MOST_LABELS:
            self._doubt(f"labels: '{column}' has {len(found)} different texts")
            return
        order = sorted(found - null, key=lambda text: (len(text), text) if text.isdecimal() else (0, text))
        if null - {""}:
            self._key("null", sorted(null - {""}), ("do these mean no activity?",), "labels")
        if order and all(re.fullmatch(r"-?\d+(\.0)?", text) for text in order):
            self.lines.append("# names of the activities by their numbers:")
            pairs = ", ".join(f"{_text(text)} = {_text('activity_' + text)}" for text in order)
            self._key("names", f"{{ {pairs} }}", ("what do the numbers mean?",), "labels", raw=True)
        elif len(kind.paths) <= _PROBED_FILES:
            self._key("order", order)

    def _key(
        self, key: str, value: object, unsure: Iterable[str] = (), where: str = "", *, raw: bool = False
    ) -> None:
        doubts = [clean(doubt) for doubt in unsure]
        text = str(value) if raw else _text(value)
        self.lines.append(f"{key} = {text}" + (f"  # unsure: {'; '.join(doubts)}" if doubts else ""))
        for doubt in doubts:
            self._doubt(f"{where}: {doubt}" if where else doubt)

    def _doubt(self, text: str) -> None:
        if text not in self.unsure:
            self.unsure.append(text)


def _text(value: object) -> str:
    """Return a value as TOML; what JSON writes of text, numbers, truth and lists is TOML as well."""
    if isinstance(value, float):
        return f"{value:g}"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
