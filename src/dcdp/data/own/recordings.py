"""Join what several devices recorded of one session into one recording on one clock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from dcdp.data.own.description import Description, DeviceDescription
from dcdp.data.own.device import Piece, Who, read_device
from dcdp.data.own.labels import activity_of, read_annotation, segments_of_rows, settle_segments
from dcdp.data.own.plan import Group, plan_groups
from dcdp.errors import DataError
from dcdp.records import Note, Recording, Segment, Signal, SignalSpec, Stream, Track
from dcdp.signals.alignment import apply_clock, clock_notes, estimate_clock
from dcdp.signals.clock import regularise

__all__ = ["labels_in", "read_group", "read_own", "settle_signals"]

_NS = 1_000_000_000
_PROBED = 3
_WHOLE_HZ = 0.02
_LABELS = "labels"

Rates = Mapping[str, float]
"""Signal -> rate at which it is stored [Hz]."""


@dataclass(frozen=True, slots=True)
class _Place:
    """One session of one subject: its name, and what each device recorded, the reference first."""

    name: str
    subject: str
    session: str
    pieces: Mapping[str, Piece]


def read_own(description: Description, rates: Rates | None = None) -> Iterator[Recording]:
    """Read the recordings of a folder, one at a time, in the order of their names.

    Parameters
    ----------
    rates
        As `settle_signals` finds them.

    Raises
    ------
    DcdpError
        Naming file, line and column, or key, of what is wrong.
    """
    groups = plan_groups(description)
    if rates is None:
        rates = {signal.name: signal.rate_hz for signal in settle_signals(description, groups)}
    for group in groups:
        yield from read_group(description, group, rates)


def read_group(
    description: Description, group: Group, rates: Rates, *, labelled: bool = True
) -> tuple[Recording, ...]:
    """Read the recordings of one group of files.

    Parameters
    ----------
    labelled
        False leaves the labels unread, for recordings whose activity is unknown.

    Raises
    ------
    DcdpError
        As `read_own`.
    """
    recordings = []
    for place in _places(description, group, labels=labelled):
        reference = next(iter(place.pieces))
        pieces, notes = _on_one_clock(description, place)
        tracks, said = _tracks(pieces, rates)
        notes = (*notes, *said)
        segments: tuple[Segment, ...] = ()
        if labelled:
            segments, more = _segments(description, group, place, pieces, reference, tracks)
            notes = (*notes, *more)
        recordings.append(Recording(place.name, place.subject, place.session, tracks, segments, notes))
    return tuple(recordings)


def settle_signals(description: Description, groups: Sequence[Group]) -> SignalSpec:
    """Return the signals of a folder: as described, with rates from the first files where none are given.

    A recorder's files of which no signals are described are all read for it.
    """
    found: dict[str, list[Signal]] = {}
    for device in description.devices:
        found |= {device.signal_name(signal): [] for signal in device.signals}  # in the order of the description
        for signal in _described(device):
            found.setdefault(signal.name, []).append(signal)
        if not _all_described(device):
            own = [group for group in groups if device.name in group.files]
            probed = own if not device.signals else own[:: max(1, len(own) // _PROBED)][:_PROBED]
            for group in probed:
                for signal in _probed(description, device, group):
                    found.setdefault(signal.name, []).append(signal)
    return SignalSpec(tuple(_agreed(signals) for signals in found.values() if signals))


def labels_in(description: Description, group: Group) -> set[str]:
    """Return the activities of one group of files, without reading its signals where that can be."""
    labels = description.labels
    if group.field("label"):
        return _one(activity_of(group.field("label"), labels, f"the path of '{group.paths[0]}'"))
    if labels.file:
        if group.annotation is None:
            return set()
        annotation = read_annotation(description.folder / group.annotation, labels)
        told = dict(zip(annotation.labels.tolist(), annotation.where, strict=True))
        return {label for text, where in told.items() for label in _one(activity_of(text, labels, where))}
    device = description.label_device
    if device.name not in group.files or (device.format == "table" and not labels.column):
        return set()
    if device.format != "table":
        pieces = _read(description, device, group)
        return {s.label for piece in pieces.values() for s in piece.segments}
    from dcdp.data.tables import column_names, read_text_column

    found: set[str] = set()
    for path in group.files[device.name]:
        names = column_names(description.folder / path, device.dialect)
        if labels.column in names:
            texts = read_text_column(description.folder / path, names.index(labels.column), device.dialect)
            for text in np.unique(texts):
                found |= _one(activity_of(str(text), labels, f"'{path}'"))
    return found


def _read(
    description: Description, device: DeviceDescription, group: Group, *, labels: bool = True
) -> dict[Who, Piece]:
    paths = [description.folder / path for path in group.files[device.name]]
    return read_device(description, device, paths, labels=labels)


def _places(description: Description, group: Group, *, labels: bool) -> Iterator[_Place]:
    """Bring together what the devices recorded of the same subject and session."""
    found: dict[Who, dict[str, Piece]] = {}
    for device in description.devices:
        if device.name not in group.files:
            continue
        for (subject, session), piece in _read(description, device, group, labels=labels).items():
            who = (subject or device.subject or group.field("subject"), session or device.session or
                   group.field("session") or "1")  # fmt: skip
            found.setdefault(who, {})[device.name] = piece
    others = [text for field, text in group.fields if field not in ("subject", "session")]
    for (subject, session), pieces in sorted(found.items()):
        yield _Place("_".join([subject, session, *others]), subject, session, _reference_first(description, pieces))


def _reference_first(description: Description, pieces: Mapping[str, Piece]) -> dict[str, Piece]:
    """Order pieces so that the first, whose first sample is time 0, is one that need not be aligned if there is one."""
    aligned = {device.name: device.align for device in description.devices}
    order = sorted(pieces, key=lambda name: aligned[name])
    return {name: pieces[name] for name in order}


def _on_one_clock(description: Description, place: _Place) -> tuple[dict[str, Piece], tuple[Note, ...]]:
    """Return the pieces with times that count from the first sample of the reference, and what was moved."""
    devices = {device.name: device for device in description.devices}
    (name, reference), *others = place.pieces.items()
    origin_ns = reference.origin_ns + round(reference.start_s * _NS)
    placed = {name: reference.moved(origin_ns)}
    notes = list(reference.notes)
    if devices[name].align:
        notes.append(Note("not_aligned", "", 0.0, "s", f"'{name}' keeps its clock: no device to align it with"))
    for name, piece in others:
        moved, said = piece.moved(origin_ns), piece.notes
        if devices[name].align:
            fitted, told = _aligned(devices[name], next(iter(placed.values())), moved, place.name)
            notes += told
            if fitted is None:
                continue
            moved = fitted
        _require_overlap(place.name, placed, name, moved)
        placed[name] = moved
        notes += said
        if devices[name].offset_s:
            told_s = devices[name].offset_s
            text = f"clock of '{name}' moved by {told_s:+.3f} s as described"
            notes.append(Note("clock_offset", "", told_s, "s", text))
    return placed, tuple(notes)


def _aligned(
    device: DeviceDescription, reference: Piece, piece: Piece, where: str
) -> tuple[Piece | None, tuple[Note, ...]]:
    """Return a piece on the clock of the reference; None if that cannot be told and it is to be dropped."""
    try:
        pair = _comparable(reference, piece)
        if pair is None:
            raise DataError("clocks must be compared by acceleration or angular rate of both devices",
                            f"neither in '{device.name}' and its reference", "Set align = false and give offset_s.")
        fit = estimate_clock(*pair, max_offset_s=device.max_offset_s)
    except DataError as err:
        if device.poor_alignment == "refuse":
            raise DataError(
                f"the clock of '{device.name}' must be told by the movement in '{where}': {err.rule}", err.got,
                f'{err.remedy} Or set poor_alignment = "drop" or "keep", or offset_s, for device \'{device.name}\'.',
            ) from err
        kept = device.poor_alignment == "keep"
        done = "its own clock was kept" if kept else "left out of this recording"
        text = f"'{device.name}' could not be aligned ({err.rule}: {err.got}): {done}"
        return piece if kept else None, (Note("not_aligned", "", float("nan"), "s", text),)
    streams = tuple(apply_clock(stream, fit) for stream in piece.streams)
    times_s = piece.label_times_s
    if times_s is not None:
        times_s = times_s + fit.offset_at(times_s)
    segments = tuple(
        Segment(float(start), float(stop), s.label)
        for s in piece.segments
        for start, stop in [np.array([s.start_s, s.stop_s]) + fit.offset_at(np.array([s.start_s, s.stop_s]))]
    )
    return replace(piece, streams=streams, label_times_s=times_s, segments=segments), clock_notes(fit, device.name)


def _comparable(reference: Piece, piece: Piece) -> tuple[Stream, Stream] | None:
    for modality in ("acc", "gyr"):
        pair = [next((s for s in of.streams if s.modality == modality), None) for of in (reference, piece)]
        if pair[0] is not None and pair[1] is not None:
            return pair[0], pair[1]
    return None


def _require_overlap(where: str, placed: Mapping[str, Piece], name: str, piece: Piece) -> None:
    first, other = next(iter(placed.items()))
    spans = [(p.start_s, max(float(np.nanmax(s.times_s)) for s in p.streams)) for p in (other, piece)]
    if spans[1][0] > spans[0][1] or spans[1][1] < spans[0][0]:
        raise DataError(
            f"the devices of '{where}' must have recorded at the same time",
            f"'{first}' from {spans[0][0]:.6g} to {spans[0][1]:.6g} s and '{name}' from {spans[1][0]:.6g} to "
            f"{spans[1][1]:.6g} s",
            f'If they began together, set clock = "start" for both; if the clock of \'{name}\' is off by a known '
            "time, offset_s. Check the units of both time columns.",
        )


def _tracks(pieces: Mapping[str, Piece], rates: Rates) -> tuple[tuple[Track, ...], tuple[Note, ...]]:
    tracks: dict[str, Track] = {}
    notes: list[Note] = []
    for device, piece in pieces.items():
        for stream in piece.streams:
            if stream.name in tracks:
                raise DataError("two files must not hold the same signal",
                                f"'{stream.name}' a second time in '{device}'",
                                "Give the devices different placements.")
            if len(stream.times_s) < 2:
                notes.append(Note("too_short", stream.name, float(len(stream.times_s)), "samples",
                                  "one sample only: the signal is left out"))
                continue
            track, said = regularise(stream, rates[stream.name])
            tracks[stream.name] = track
            notes += said
    if not tracks:
        raise DataError("a recording must have two samples or more", f"one row of '{', '.join(pieces)}'",
                        "Delete the file, or export it again.")
    order = [name for name in rates if name in tracks]
    return tuple(tracks[name] for name in order), tuple(notes)


def _segments(
    description: Description, group: Group, place: _Place, pieces: Mapping[str, Piece], reference: str,
    tracks: Sequence[Track],
) -> tuple[tuple[Segment, ...], tuple[Note, ...]]:  # fmt: skip
    labels, device = description.labels, description.label_device
    start_s, stop_s = min(t.start_s for t in tracks), max(t.stop_s for t in tracks)
    rows: list[tuple[float, float, str, str]] = []
    if group.field("label"):
        rows = [(start_s, stop_s, group.field("label"), f"the path of '{group.paths[0]}'")]
    elif labels.file and group.annotation:
        rows = _annotated_rows(description, group, place, pieces.get(device.name) or pieces[reference])
    elif labels.column and device.name in pieces:
        piece = pieces[device.name]
        assert piece.label_times_s is not None
        assert piece.labels is not None
        path = group.files[device.name][0]
        return segments_of_rows(piece.label_times_s, piece.labels, labels, path), ()
    elif device.name in pieces:
        where = f"'{group.files[device.name][0]}'"
        rows = [(s.start_s, s.stop_s, s.label, where) for s in pieces[device.name].segments]
    return settle_segments(description, rows, start_s, stop_s, place.name)


def _annotated_rows(
    description: Description, group: Group, place: _Place, piece: Piece
) -> list[tuple[float, float, str, str]]:
    """Return the rows of the annotation file that are of this recording, on its clock."""
    labels = description.labels
    assert group.annotation is not None
    annotation = read_annotation(description.folder / group.annotation, labels)
    own = annotation.of(place.subject, place.session)
    by_s, factor = _clock_of(description, place, piece, annotation.origin_ns)
    return [
        (float(annotation.start_s[row]) * factor + by_s, float(annotation.stop_s[row]) * factor + by_s,
         str(annotation.labels[row]), annotation.where[row])
        for row in own
    ]  # fmt: skip


def _clock_of(description: Description, place: _Place, piece: Piece, origin_ns: int) -> tuple[float, float]:
    """Return what to add to the times of an annotation, and what to multiply them by before."""
    labels, device = description.labels, description.label_device
    if labels.unit == "samples":
        rate_hz = device.rate_hz
        if rate_hz is None:
            steps = np.diff(piece.streams[0].times_s)
            rate_hz = float(1 / np.median(steps)) if len(steps) else 1.0
        return piece.start_s + origin_ns / _NS / rate_hz, 1 / rate_hz
    if labels.clock == "recording":
        return piece.start_s + origin_ns / _NS, 1.0
    recorded = place.pieces.get(device.name)
    if recorded is None:
        raise DataError(f"labels on the clock of '{device.name}' need its recording", f"none in '{place.name}'",
                        'Set labels.clock = "recording", or name another labels.device.')
    # The first sample of the device has one time on its own clock and another on the recording's.
    own_ns = recorded.origin_ns + round(recorded.start_s * _NS) - round(device.offset_s * _NS)
    return piece.start_s + (origin_ns - own_ns) / _NS, 1.0


def _described(device: DeviceDescription) -> Iterator[Signal]:
    """Yield the signals whose rate need not be looked up."""
    for signal in device.signals:
        rate_hz = signal.rate_hz or device.rate_hz
        if rate_hz and signal.columns:
            name, place = device.signal_name(signal), device.place_of(signal)
            ends = {1: ("",), 3: ("_x", "_y", "_z")}.get(len(signal.columns)) or tuple(
                f"_{number}" for number in range(len(signal.columns))
            )
            yield Signal(name, signal.modality, place, rate_hz, tuple(name + e for e in ends), signal.stored_unit)


def _all_described(device: DeviceDescription) -> bool:
    return bool(device.signals) and all((s.rate_hz or device.rate_hz) and s.columns for s in device.signals)


def _probed(description: Description, device: DeviceDescription, group: Group) -> Iterator[Signal]:
    """Yield the signals of one group as they come, at the rates of their files."""
    described = {signal.name for signal in _described(device)}
    wanted = {device.signal_name(s): s.rate_hz or device.rate_hz for s in device.signals}
    for piece in _read(description, device, group, labels=False).values():
        for stream in piece.streams:
            if stream.name in described or len(stream.times_s) < 2:
                continue
            rate_hz = wanted.get(stream.name) or device.rate_hz
            found = regularise(stream)[0].signal
            yield replace(found, rate_hz=rate_hz or found.rate_hz)


def _agreed(signals: Sequence[Signal]) -> Signal:
    """Return the signal that several files have, at the median of their rates, whole if it is nearly so."""
    first = signals[0]
    for other in signals[1:]:
        if (other.channels, other.unit) != (first.channels, first.unit):
            raise DataError(f"'{first.name}' must be alike in all files", f"{other.channels} [{other.unit}] and "
                            f"{first.channels} [{first.unit}]", "Give the devices different placements.")
    rate_hz = float(np.median([signal.rate_hz for signal in signals]))
    whole = round(rate_hz)
    if whole and abs(rate_hz / whole - 1) <= _WHOLE_HZ:
        rate_hz = float(whole)
    return replace(first, rate_hz=float(f"{rate_hz:.4g}"))


def _one(label: str | None) -> set[str]:
    return set() if label is None else {label}
