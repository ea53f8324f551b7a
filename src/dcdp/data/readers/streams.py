"""Build streams in the library's units, and segments from marks, saying what was changed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from dcdp.errors import DataError, FormatError
from dcdp.records import Capture, Note, Segment, Stream
from dcdp.signals.units import check_gravity, convert

__all__ = ["UNITS", "clean", "finish", "make_stream", "segments_of", "slug"]

UNITS = {"acc": "m/s2", "lin": "m/s2", "gyr": "deg/s", "mag": "uT", "hr": "bpm", "ecg": "mV", "emg": "mV", "eeg": "mV"}
"""Modality -> unit. ``lin`` is acceleration without gravity, where a recorder gives no other."""

_MAX_SEGMENTS = 100_000
_MAX_TEXT = 200
_ENDS = {"", "stop", "end", "ended", "stopped", "off", "none", "null"}
_START = re.compile(r"(.+?)[\s_:\-]+(?:start|begin|onset|on)", re.IGNORECASE)
_STOP = re.compile(r"(.+?)[\s_:\-]+(?:stop|end|offset|off)", re.IGNORECASE)


def make_stream(
    placement: str, modality: str, times_s: NDArray[np.float64], values: NDArray[np.float64], device: str,
    unit: str | None = None, rate_hz: float | None = None, sign: int = 1,
) -> tuple[Stream, tuple[Note, ...]]:  # fmt: skip
    """Return a stream in the unit of its modality, and notes on what was converted.

    Parameters
    ----------
    values
        (N, C) in ``unit`` (that of the modality if None).
    sign
        -1 turns every axis, for devices that count acceleration downwards.

    Raises
    ------
    ConfigError
        If the unit is none of the modality's quantity.
    """
    name = f"{placement}_{modality}"
    target = UNITS.get(modality, unit or "1")
    notes: list[Note] = []
    values = np.asarray(values, dtype=np.float64)
    if unit is not None and unit != target:
        with np.errstate(all="ignore"):  # a value beyond all measure stays one
            values = np.asarray(convert(values, unit, target), dtype=np.float64)
        notes.append(Note("unit", name, 1.0, target, f"converted from {unit} to {target}"))
    if sign < 0:
        values = -values
        notes.append(Note("axes", name, -1.0, "1", "all axes turned: up reads +9.8 m/s2 at rest, as on Android"))
    n_channels = values.shape[1]
    ends = ("",) if n_channels == 1 else tuple(f"_{axis}" for axis in ("xyz" if n_channels == 3 else range(n_channels)))
    channels = tuple(name + end for end in ends)
    return Stream(name, modality, placement, channels, target, np.asarray(times_s, dtype=np.float64), values,
                  device, rate_hz), tuple(notes)


def finish(
    export_name: str, built: Iterable[tuple[Stream, tuple[Note, ...]]],
    segments: tuple[Segment, ...] = (), notes: Iterable[Note] = (),
) -> Capture:  # fmt: skip
    """Return the capture of what was built: empty streams left out, gravity looked at, notes kept.

    Raises
    ------
    DataError
        If no stream has a sample.
    """
    streams: list[Stream] = []
    kept = list(notes)
    for stream, said in built:
        if not len(stream.times_s):
            kept.append(Note("empty", stream.name, 0.0, "1", "no samples"))
            continue
        if any(stream.name == other.name for other in streams):
            kept.append(Note("not_read", stream.name, float(len(stream.times_s)), "1",
                             "a second sensor of that kind at that place is left out"))
            continue
        streams.append(stream)
        kept += said
        odd = _odd_gravity(stream)
        kept += [Note("gravity", stream.name, float("nan"), "m/s2", odd)] if odd else []
    if not streams:
        raise DataError("a recording must hold samples of a known sensor", f"none in '{export_name}'",
                        "Record acceleration, angular rate, magnetic field or heart rate.")
    return Capture(tuple(streams), segments, tuple(kept))


def _odd_gravity(stream: Stream) -> str | None:
    if stream.modality != "acc" or stream.values.shape[1] != 3 or len(stream.values) < 64:
        return None
    with np.errstate(all="ignore"):
        return check_gravity(stream.values, stream.unit)


def segments_of(marks: Sequence[tuple[float, str]], end_s: float) -> tuple[Segment, ...]:
    """Return segments from marks that someone set while recording.

    A mark holds until the next one, the last until the end; a mark ``stop``, ``end`` or without text ends the run
    before it. A label followed by start or stop (``walk start``, ``walk_end``) begins and ends its own run.

    Parameters
    ----------
    marks
        (time [s], label) in any order.
    end_s
        End of the recording.

    Examples
    --------
    >>> [(s.start_s, s.stop_s, s.label) for s in segments_of([(1.0, "walk"), (5.0, "sit"), (8.0, "stop")], 10.0)]
    [(1.0, 5.0, 'walk'), (5.0, 8.0, 'sit')]
    """
    if len(marks) > _MAX_SEGMENTS:
        raise FormatError(f"a recording may have at most {_MAX_SEGMENTS} marks", len(marks), "Leave the marks out.")
    found: list[Segment] = []
    running: tuple[float, str] | None = None
    for time_s, text in sorted((time_s, clean(text)) for time_s, text in marks if np.isfinite(time_s)):
        if running and time_s > running[0]:
            found.append(Segment(running[0], time_s, running[1]))
        start = _START.fullmatch(text)
        ended = text.lower() in _ENDS or _STOP.fullmatch(text) is not None
        running = None if ended else (time_s, start[1] if start else text)
    if running and end_s > running[0]:
        found.append(Segment(running[0], float(end_s), running[1]))
    return tuple(found)


def clean(text: str) -> str:
    """Return text from a file as one short line that is safe to print."""
    shown = "".join(character if character.isprintable() else " " for character in text[: 4 * _MAX_TEXT])
    return " ".join(shown.split())[:_MAX_TEXT]


def slug(text: str) -> str:
    """Return text as a name: lower case letters, digits and single underscores.

    Examples
    --------
    >>> slug("Left Wrist (Shimmer)")
    'left_wrist_shimmer'
    """
    return re.sub(r"[^a-z0-9]+", "_", clean(text).lower()).strip("_")
