"""Guess what the columns of a table are: time and its unit, triads, sensors, units, labels; say what is unsure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dcdp.data.frame import Table
from dcdp.data.own.dialect import sniff
from dcdp.data.own.names import (
    modality_of,
    one_channel_modality_of,
    place_in,
    plain,
    unit_in,
    without_axis,
    without_unit,
)
from dcdp.data.readers.streams import UNITS, slug
from dcdp.data.tables import Dialect, read_head
from dcdp.errors import DcdpError
from dcdp.signals.clock import sampling_rate
from dcdp.signals.units import check_gravity, gravity_mps2

__all__ = ["Guess", "GuessedSignal", "GuessedTime", "guess_table"]

HEAD_ROWS = 20_000

_TIME_NAME = re.compile(r"^(t|ts|epoch|utc|unix|clock|seconds|millis|msec|ms)$|time|^date|elapsed")
_INDEX_NAME = re.compile(r"^(|index|idx|row|sample|samples|counter|count|n|nr|no|unnamed.*|packet.*|seq.*|frame.*)$")
_LABEL_NAME = re.compile(
    r"label|activit|^class(_?(id|name))?$|target|annotation|behaviou?r|^task|gesture|^event$|^state$"
)
_SUBJECT_NAME = re.compile(r"^(subject|subj|user|participant|person|proband|pid|uid|id)([_ ]?(id|nr|no|number|name))?$")
_SESSION_NAME = re.compile(r"^(session|sess|trial|run|recording|rec|experiment|exp)([_ ]?(id|nr|no|number|name))?$")
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
    label = next((n for n in table.names if _LABEL_NAME.search(plain(n)) and n not in taken), "")
    subject = next((n for n in table.names if _SUBJECT_NAME.match(plain(n)) and n not in taken), "")
    session = next((n for n in table.names if _SESSION_NAME.match(plain(n)) and n not in taken), "")
    taken |= {label, subject, session}
    rate_hz, span_s = _rate(table, time)
    free = [p for p, n in enumerate(table.names) if n not in taken and numbers[p] is not None]
    signals = _guess_signals(table, {p: v for p in free if (v := numbers[p]) is not None}, context)
    used = {column for signal in signals for column in signal.columns}
    unread = tuple(n for n in table.names if n not in used | taken)
    return Guess(dialect, table.names, time, rate_hz, span_s, signals, label, subject, session, unread)


def _guess_time(table: Table, numbers: dict[int, NDArray[np.float64] | None]) -> GuessedTime | None:
    named = [p for p, n in enumerate(table.names) if _TIME_NAME.search(plain(n)) and not _LABEL_NAME.search(plain(n))]
    found = [guessed for place in named if (guessed := _time_of(table, place, numbers[place])) is not None]
    if found:
        # several clocks may stand side by side: the one with the finest steps is the sensor's
        return max(found, key=lambda pair: pair[0])[1]
    for place, values in numbers.items():
        if values is None or _INDEX_NAME.match(plain(table.names[place])) or len(values) < 8:
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
        modality = one_channel_modality_of(table.names[place])
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
            word = slug(without_axis(signal.columns[0])) or f"place{twins.index(signal) + 1}"
            place = f"{signal.place}_{word}".strip("_")
            doubt = f"where are {', '.join(signal.columns)} worn?"
            signal = GuessedSignal(signal.modality, signal.columns, signal.unit, place, (*signal.unsure, doubt))
        kept.append(signal)
    return kept


def _triads(named: Iterable[tuple[int, str]]) -> list[tuple[str, tuple[int, int, int]]]:
    """Return the sets of three columns that differ by x, y, z (or by a digit): what they share, and their places."""
    found: dict[tuple[str, str], dict[str, int]] = {}
    for place, name in named:
        bare = without_unit(name)
        match = (
            re.fullmatch(r"(?P<stem>.*?)[ _\-.]*(?P<axis>[xyzXYZ])", bare)
            or re.fullmatch(r"(?P<axis>[xyzXYZ])[ _\-.]+(?P<stem>.+)", bare)
            or re.fullmatch(r"(?P<stem>.+[ _\-.])(?P<axis>[xyzXYZ])(?P<more>[ _\-.].+)", bare)
            or re.fullmatch(r"(?P<stem>.*[A-Za-z])[ _\-.]*(?P<axis>[0-3])", bare)
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
