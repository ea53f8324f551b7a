"""Guess what the columns of a table are: time and its unit, triads, sensors, units, labels; say what is unsure."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dcdp.data.frame import Table
from dcdp.data.readers.streams import UNITS, slug
from dcdp.data.tables import Dialect, read_head
from dcdp.errors import DcdpError
from dcdp.signals.clock import sampling_rate
from dcdp.signals.units import check_gravity, gravity_mps2

__all__ = ["Guess", "GuessedSignal", "GuessedTime", "guess_table", "modality_of", "place_in", "sniff", "unit_in"]

HEAD_ROWS = 20_000
_HEAD_BYTES = 2**16
_SNIFFED_LINES = 50
_MOST_LABELS = 60

_TIME_NAME = re.compile(r"^(t|ts|epoch|utc|unix|clock|seconds|millis|msec|ms)$|time|^date|elapsed")
_INDEX_NAME = re.compile(r"^(|index|idx|row|sample|samples|counter|count|n|nr|no|unnamed.*|packet.*|seq.*|frame.*)$")
_LABEL_NAME = re.compile(
    r"label|activit|^class(_?(id|name))?$|target|annotation|behaviou?r|^task|gesture|^event$|^state$"
)
_SUBJECT_NAME = re.compile(r"^(subject|subj|user|participant|person|proband|pid|uid|id)([_ ]?(id|nr|no|number|name))?$")
_SESSION_NAME = re.compile(r"^(session|sess|trial|run|recording|rec|experiment|exp)([_ ]?(id|nr|no|number|name))?$")
_UNIT = re.compile(r"\s*[\[(]([^\[\]()]*)[\])]\s*$")
_UNIT_WORDS = {
    "m/s2": "m/s2", "m/s^2": "m/s2", "m/s²": "m/s2", "m/s/s": "m/s2", "ms-2": "m/s2", "g": "g", "mg": "mg",
    "deg/s": "deg/s", "°/s": "deg/s", "dps": "deg/s", "degrees/s": "deg/s", "rad/s": "rad/s", "rps": "rad/s",
    "ut": "uT", "µt": "uT", "μt": "uT", "gauss": "G", "mgauss": "mG", "bpm": "bpm", "mv": "mV", "uv": "uV", "µv": "uV",
    "s": "s", "sec": "s", "seconds": "s", "ms": "ms", "msec": "ms", "millis": "ms", "milliseconds": "ms", "us": "us",
    "µs": "us", "usec": "us", "micros": "us", "ns": "ns", "nanos": "ns", "nanoseconds": "ns", "hpa": "hPa", "pa": "Pa",
}  # fmt: skip
_SINGLES = (
    ("hr", r"heart|(^|_)hr($|_)|bpm|pulse"), ("ecg", r"ecg|ekg"), ("emg", r"emg"), ("eeg", r"eeg"),
    ("eda", r"eda|gsr"), ("ppg", r"ppg|bvp"), ("temp", r"temp"), ("press", r"press|baro"), ("spo2", r"spo2"),
)  # fmt: skip
_TRIADS = (
    ("lin", r"linear|lin_?acc|lacc|user_?acc|motion_?acc"), ("grav", r"grav"),
    ("gyr", r"gyr|angular|ang_?vel|rot(ation)?_?rate|omega|^g$|^w$"), ("acc", r"acc|^a$"),
    ("mag", r"mag(?!nitude)|compass|^m$|^b$"),
)  # fmt: skip
_PLACES = (
    "wrist", "chest", "ankle", "waist", "hip", "pocket", "belt", "thigh", "shin", "shank", "calf", "knee", "foot",
    "upperarm", "forearm", "arm", "leg", "hand", "head", "neck", "ear", "torso", "trunk", "back", "shoulder", "sternum",
)  # fmt: skip
_DEVICE_PLACES = {"watch": "wrist", "smartwatch": "wrist", "band": "wrist", "wristband": "wrist", "strap": "chest"}


@dataclass(frozen=True, slots=True)
class GuessedTime:
    """A column of times, its unit, and what of it is unsure."""

    column: str
    unit: str
    unsure: str = ""


@dataclass(frozen=True, slots=True)
class GuessedSignal:
    """Columns that are one sensor; ``place`` is ``""`` where the names do not say it."""

    modality: str
    columns: tuple[str, ...]
    unit: str
    place: str = ""
    unsure: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Guess:
    """What a table seems to hold.

    Attributes
    ----------
    dialect, names
        How it is written, and its columns.
    time, rate_hz
        The clock; the rate is None where no time says it.
    span
        First and last time of the head in the unit of the column, as seconds.
    signals
        The sensors.
    label, subject, session
        Columns that may say what was done, by whom, in which session; ``""`` if there is none.
    unread
        Columns that are none of these.
    """

    dialect: Dialect
    names: tuple[str, ...]
    time: GuessedTime | None
    rate_hz: float | None
    span_s: tuple[float, float] | None
    signals: tuple[GuessedSignal, ...]
    label: str = ""
    subject: str = ""
    session: str = ""
    unread: tuple[str, ...] = ()


def sniff(path: Path) -> Dialect:
    """Guess how a text table is written: lines before the header, separator, decimal sign, and whether it has a header.

    Raises
    ------
    UnicodeDecodeError
        If it is not UTF-8.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    text = head.decode("utf-8-sig") if len(head) < _HEAD_BYTES else _decoded(head)
    lines = text.splitlines()[:_SNIFFED_LINES]
    skip = 0
    while skip < len(lines) and (not lines[skip].strip() or re.match(r"\s*(#|%|//|sep=)", lines[skip])):
        skip += 1
    lines = lines[skip:] if len(lines) - skip < _SNIFFED_LINES else lines[skip:-1]
    if not lines:
        return Dialect()
    first, last = lines[0], lines[-1]
    usual = max(",;\t", key=first.count)  # what is taken where no separator is given
    separator = max(",;\t", key=lambda sign: (last.count(sign) > 0 and first.count(sign) > 0, first.count(sign)))
    if separator == ",":  # the commas may be in the numbers
        better = [sign for sign in ";\t" if all(re.fullmatch(r"\s*-?\d+,\d+\s*|\s*-?\d+\s*", cell)
                                                for cell in last.split(sign)) and sign in last]  # fmt: skip
        separator = better[0] if better else separator
    decimal = "."
    if not first.count(separator):
        separator = " " if len(first.split()) > 1 else ","
    elif separator != ",":
        cells = [cell for line in lines[1:] or lines for cell in line.split(separator)]
        commas = sum(bool(re.fullmatch(r"\s*[+-]?\d*,\d+(e[+-]?\d+)?\s*", cell, re.IGNORECASE)) for cell in cells)
        points = sum(bool(re.fullmatch(r"\s*[+-]?\d*\.\d+\s*", cell)) for cell in cells)
        decimal = "," if commas > points else "."
    cells = first.split() if separator == " " else next(csv.reader([first], delimiter=separator))
    header = not all(_is_number(cell.replace(",", ".") if decimal == "," else cell) for cell in cells)
    told = None if separator == usual else separator
    return Dialect(told, decimal, header, skip)


def guess_table(path: Path, *, context: str = "") -> Guess:
    """Guess what the columns of a table are, by their names and first values.

    Parameters
    ----------
    context
        Words of the path, by which columns named x, y, z are told.

    Raises
    ------
    FormatError
        If it cannot be read as a table.
    """
    dialect = sniff(path) if path.suffix.lower() in (".csv", ".tsv", ".tab", ".txt") else Dialect()
    table = read_head(path, HEAD_ROWS, dialect)
    numbers = {place: _numbers(table, place) for place in range(len(table.names))}
    time = _guess_time(table, numbers)
    taken = {time.column} if time else set()
    label = next((n for n in table.names if _LABEL_NAME.search(_plain(n)) and n not in taken), "")
    subject = next((n for n in table.names if _SUBJECT_NAME.match(_plain(n)) and n not in taken), "")
    session = next((n for n in table.names if _SESSION_NAME.match(_plain(n)) and n not in taken), "")
    taken |= {label, subject, session}
    rate_hz, span_s = _rate(table, time)
    free = [p for p, n in enumerate(table.names) if n not in taken and numbers[p] is not None]
    signals = _guess_signals(table, {p: v for p in free if (v := numbers[p]) is not None}, context)
    used = {column for signal in signals for column in signal.columns}
    unread = tuple(n for n in table.names if n not in used | taken)
    return Guess(dialect, table.names, time, rate_hz, span_s, signals, label, subject, session, unread)


def modality_of(text: str) -> str:
    """Return the modality that a name suggests, ``""`` if none.

    Examples
    --------
    >>> [modality_of(name) for name in ("userAcceleration", "Gyroscope", "heart_rate", "remark")]
    ['lin', 'gyr', 'hr', '']
    """
    plain = _plain(text)
    return next((modality for modality, pattern in (*_TRIADS, *_SINGLES) if re.search(pattern, plain)), "")


def place_in(text: str) -> str:
    """Return where a name says that something is worn, ``""`` if it does not.

    Examples
    --------
    >>> place_in("LeftWrist_acc"), place_in("smartwatch")
    ('left_wrist', 'wrist')
    """
    plain = _plain(text)
    words = plain.split("_")
    for place in _PLACES:
        if any(word in (place, f"left{place}", f"right{place}", f"l{place}", f"r{place}") for word in words):
            side = next((side for side in ("left", "right") if side in plain), "")
            return f"{side}_{place}" if side else place
    return next((place for word, place in _DEVICE_PLACES.items() if word in words), "")


def _guess_time(table: Table, numbers: dict[int, NDArray[np.float64] | None]) -> GuessedTime | None:
    named = [p for p, n in enumerate(table.names) if _TIME_NAME.search(_plain(n)) and not _LABEL_NAME.search(_plain(n))]
    found = [guessed for place in named if (guessed := _time_of(table, place, numbers[place])) is not None]
    if found:
        # several clocks may stand side by side: the one with the finest steps is the sensor's
        return max(found, key=lambda pair: pair[0])[1]
    for place, values in numbers.items():
        if values is None or _INDEX_NAME.match(_plain(table.names[place])) or len(values) < 8:
            continue
        steps = np.diff(values)
        if table.names[place].startswith("column_") and np.allclose(steps, 1):
            continue  # rows that are numbered
        if (steps > 0).all() and np.median(np.abs(steps - np.median(steps))) < 0.2 * np.median(steps):
            guessed = _time_of(table, place, values)
            if guessed is not None:
                doubt = f"is '{table.names[place]}' the time? It increases"
                return GuessedTime(guessed[1].column, guessed[1].unit, doubt)
    return None


def _time_of(table: Table, place: int, values: NDArray[np.float64] | None) -> tuple[int, GuessedTime] | None:
    """Return how many different times a column has, and its unit; None if it is no time."""
    name = table.names[place]
    if values is None:
        try:
            times = table.times(place, "iso")
        except DcdpError:
            return None
        return len(np.unique(times.since_s)), GuessedTime(name, "iso")
    known = values[~np.isnan(values)]
    if len(known) < 2 or np.mean(np.diff(known) >= 0) < 0.95 or known[0] == known[-1]:
        return None
    n = len(np.unique(known))
    said = unit_in(name)
    if said in ("s", "ms", "us", "ns"):
        return n, GuessedTime(name, said)
    size = float(np.median(np.abs(known)))
    step = float(np.median(np.diff(np.unique(known))))
    for per_s, unit in ((1e9, "ns"), (1e6, "us"), (1e3, "ms"), (1.0, "s")):
        if 1e9 < size / per_s < 2.5e9 and step / per_s < 60:  # seconds since 1970, from 2001 to 2049
            return n, GuessedTime(name, unit)
    likely = [unit for unit, per_s in (("s", 1.0), ("ms", 1e3), ("us", 1e6), ("ns", 1e9)) if 4 <= per_s / step <= 2000]
    if len(likely) == 1 and step != 1:
        return n, GuessedTime(name, likely[0])
    unit = likely[0] if likely else "s"
    return n, GuessedTime(name, unit, f"is '{name}' in {unit}? Its steps are {step:g}")


def _rate(table: Table, time: GuessedTime | None) -> tuple[float | None, tuple[float, float] | None]:
    if time is None:
        return None, None
    times = table.times(table.place(time.column), time.unit)
    since_s = np.unique(times.since_s)
    if len(since_s) < 2:
        return None, None
    start_s = times.origin_ns / 1e9
    span_s = (start_s + float(since_s[0]), start_s + float(since_s[-1]))
    try:
        rate_hz = sampling_rate(since_s)
    except DcdpError:
        rate_hz = float(1 / np.median(np.diff(since_s)))
    whole = round(rate_hz)
    return (float(whole) if whole and abs(rate_hz / whole - 1) < 0.02 else float(f"{rate_hz:.3g}")), span_s


def _guess_signals(table: Table, numbers: dict[int, NDArray[np.float64]], context: str) -> tuple[GuessedSignal, ...]:
    if all(name.startswith("column_") for name in table.names):
        return _guess_nameless(table, numbers, context)
    signals: list[GuessedSignal] = []
    used: set[int] = set()
    for stem, places in _triads([(place, table.names[place]) for place in numbers]):
        unsure: list[str] = []
        modality = modality_of(stem) or modality_of(context)
        if not modality and not stem:
            modality, unsure = "acc", [f"are {', '.join(table.names[p] for p in places)} an acceleration?"]
        used.update(places)
        if modality in ("", "grav"):
            used.difference_update(places if not modality else ())
            continue
        values = np.stack([numbers[place] for place in places], axis=1)
        unit, doubt = _guess_unit(modality, table.names[places[0]], values)
        columns = tuple(table.names[place] for place in places)
        signals.append(GuessedSignal(modality, columns, unit, place_in(stem), (*unsure, *doubt)))
    for place, values in numbers.items():
        modality = next((m for m, pattern in _SINGLES if re.search(pattern, _plain(table.names[place]))), "")
        if place in used or not modality or np.isnan(values).all():
            continue
        unit, doubt = _guess_unit(modality, table.names[place], values[:, None])
        signals.append(GuessedSignal(modality, (table.names[place],), unit, place_in(table.names[place]), doubt))
    return tuple(_distinct(signals))


def _guess_nameless(
    table: Table, numbers: dict[int, NDArray[np.float64]], context: str
) -> tuple[GuessedSignal, ...]:
    """Take columns without names three by three: what shows gravity is an acceleration."""
    places = list(numbers)
    signals: list[GuessedSignal] = []
    for first in range(0, len(places) - 2, 3):
        triad = places[first : first + 3]
        values = np.stack([numbers[place] for place in triad], axis=1)
        heavy = any(check_gravity(values, unit) is None for unit in ("m/s2", "g", "mg"))
        free = [m for m in ("gyr", "mag") if all(signal.modality != m for signal in signals)]
        modality = modality_of(context) or ("acc" if heavy else (free or ["acc"])[0])
        columns = tuple(table.names[place] for place in triad)
        unit, doubt = _guess_unit(modality, columns[0], values)
        doubts = () if modality_of(context) and len(places) == 3 else (f"are {', '.join(columns)} its {modality}?",)
        signals.append(GuessedSignal(modality, columns, unit, "", (*doubts, *doubt)))
    return tuple(_distinct(signals))


def _distinct(signals: Sequence[GuessedSignal]) -> list[GuessedSignal]:
    """Give signals of one modality different places, by the words of their columns."""
    kept = []
    for signal in signals:
        twins = [other for other in signals if (other.modality, other.place) == (signal.modality, signal.place)]
        if len(twins) > 1:
            word = slug(_axisless(signal.columns[0])) or f"place{twins.index(signal) + 1}"
            place = f"{signal.place}_{word}".strip("_")
            doubt = f"where are {', '.join(signal.columns)} worn?"
            signal = GuessedSignal(signal.modality, signal.columns, signal.unit, place, (*signal.unsure, doubt))
        kept.append(signal)
    return kept


def _triads(named: Iterable[tuple[int, str]]) -> list[tuple[str, tuple[int, int, int]]]:
    """Return the sets of three columns that differ by x, y, z (or by a digit): what they share, and their places."""
    found: dict[tuple[str, str], dict[str, int]] = {}
    for place, name in named:
        plain = _UNIT.sub("", name).strip()
        match = (
            re.fullmatch(r"(?P<stem>.*?)[ _\-.]*(?P<axis>[xyzXYZ])", plain)
            or re.fullmatch(r"(?P<axis>[xyzXYZ])[ _\-.]+(?P<stem>.+)", plain)
            or re.fullmatch(r"(?P<stem>.+[ _\-.])(?P<axis>[xyzXYZ])(?P<more>[ _\-.].+)", plain)
            or re.fullmatch(r"(?P<stem>.*[A-Za-z])[ _\-.]*(?P<axis>[0-3])", plain)
        )
        if match:
            stem = match["stem"] + (match.groupdict().get("more") or "")
            found.setdefault((stem, "n" if match["axis"].isdigit() else "a"), {})[match["axis"].lower()] = place
    triads = []
    for (stem, _), axes in found.items():
        for wanted in (("x", "y", "z"), ("0", "1", "2"), ("1", "2", "3")):
            if set(axes) == set(wanted) and (wanted[0] == "x" or modality_of(stem)):
                triads.append((stem, (axes[wanted[0]], axes[wanted[1]], axes[wanted[2]])))
    return triads


def _guess_unit(modality: str, name: str, values: NDArray[np.float64]) -> tuple[str, tuple[str, ...]]:
    """Return the unit of a signal: as the column says, else by its size."""
    said = unit_in(name)
    columns = f"the {modality} columns '{name}', ..."
    if modality == "acc" and values.shape[1] == 3:
        fits = [unit for unit in ("m/s2", "g", "mg") if check_gravity(values, unit) is None]
        if said in ("m/s2", "g", "mg"):
            return said, () if said in fits or not fits else (f"{columns} say {said}, and gravity fits {fits[0]}",)
        if fits:
            return fits[0], ()
        rest = gravity_mps2(values)
        return "m/s2", (f"unit of {columns}: at rest they are {rest:.3g}, which is no gravity (is it taken away? "
                        'Then the modality is "lin")',)  # fmt: skip
    if said and (modality not in UNITS or said not in ("s", "ms", "us", "ns")):
        return said, ()
    size = float(np.nanquantile(np.abs(values), 0.95)) if not np.isnan(values).all() else 0.0
    if modality == "gyr":
        unit = "deg/s" if size > 12 else "rad/s"
        return unit, (f"unit of {columns}: {unit} by their size",)
    if modality == "mag":
        norm = float(np.nanmedian(np.linalg.norm(values, axis=1)))
        unit = next((u for u, low, high in (("uT", 15, 120), ("mG", 150, 1200), ("G", 0.15, 1.2)) if low < norm < high),
                    "uT")  # fmt: skip
        return unit, (f"unit of {columns}: {unit} by the size of the field of the earth",)
    if modality == "hr":
        return "bpm", ()
    unit = UNITS.get(modality, "1")
    return unit, (f"unit of {columns}",)


def _numbers(table: Table, place: int) -> NDArray[np.float64] | None:
    try:
        values = table.numbers(place)
    except DcdpError:
        return None
    return None if np.isnan(values).all() else values


def unit_in(name: str) -> str:
    """Return the unit that a column's name gives in brackets or as its last word, ``""`` if none.

    Examples
    --------
    >>> unit_in("Acceleration x (m/s^2)"), unit_in("time_ms"), unit_in("ax")
    ('m/s2', 'ms', '')
    """
    match = _UNIT.search(name)
    if match:
        return _UNIT_WORDS.get(match[1].strip().lower(), "")
    last = re.split(r"[_ ]", _plain(name))[-1]
    return _UNIT_WORDS.get(last, "") if last not in ("g", "s", "t") or "time" in _plain(name) else ""


def _axisless(name: str) -> str:
    return re.sub(r"[ _\-.]*[xyzXYZ0-3]$", "", _UNIT.sub("", name).strip())


def _plain(name: str) -> str:
    """Return a name without unit, in small letters, words joined by ``_``."""
    text = re.sub(r"([a-z])([A-Z])", r"\1_\2", _UNIT.sub("", name).strip())
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


def _decoded(head: bytes) -> str:
    """Decode the beginning of a file, which may end within a letter."""
    for cut in range(4):
        try:
            return head[: len(head) - cut].decode("utf-8-sig")
        except UnicodeDecodeError:
            continue
    return head.decode("utf-8-sig")


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
