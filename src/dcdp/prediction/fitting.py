"""Bring a recording to the channels, units and rates of a bundle, or say why that cannot be done."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from dcdp.bundle import Bundle
from dcdp.errors import ConfigError, MismatchError
from dcdp.records import Recording, Signal, Track
from dcdp.signals import check_gravity, convert, resample

__all__ = ["fit_recording", "whole_branches"]

_LOWEST_SHARE = 0.5


def whole_branches(
    bundle: Bundle, channels: Mapping[str, Collection[str]]
) -> tuple[tuple[Signal, ...], tuple[str, ...]]:
    """Find the branches all of whose signals were recorded.

    Parameters
    ----------
    bundle
        Declares branches and channels.
    channels
        Signal name -> the channels that were recorded.

    Returns
    -------
    signals, notes
        The signals of the whole branches, in the order of the spec, and a note on each other branch.

    Raises
    ------
    MismatchError
        Naming the missing channels: if a signal was recorded in part, or no branch is whole.
    """
    read = {name for branch in bundle.branches for name in branch.signals}
    signals = [signal for signal in bundle.spec if signal.name in read]
    lacking = {s.name: [c for c in s.channels if c not in channels.get(s.name, ())] for s in signals}
    for signal in signals:
        if 0 < len(lacking[signal.name]) < len(signal.channels):
            raise MismatchError(
                f"signal '{signal.name}' must have all its channels", f"no {', '.join(lacking[signal.name])}",
                "Add these columns, or leave the whole signal out.",
            )  # fmt: skip
    wanted: set[str] = set()
    notes = []
    for branch in bundle.branches:
        absent = [name for name in branch.signals if lacking[name]]
        if absent:
            notes.append(f"branch '{branch.name}' is absent: no {', '.join(absent)}")
        else:
            wanted.update(branch.signals)
    if not wanted:
        missing = [c for branch in bundle.branches for name in branch.signals for c in lacking[name]]
        raise MismatchError(
            "a recording must have every channel of at least one branch", f"no {', '.join(dict.fromkeys(missing))}",
            "Name the columns as the model does (see dcdp info).",
        )  # fmt: skip
    return tuple(signal for signal in signals if signal.name in wanted), tuple(notes)


def fit_recording(bundle: Bundle, recording: Recording) -> tuple[Recording, tuple[str, ...]]:
    """Return the recording as the network reads it: known channels in order, units converted, rates changed.

    Labels are dropped: they need not be those of the bundle.

    Returns
    -------
    recording, notes
        Tracks of the whole branches alone; what was absent or converted.

    Raises
    ------
    MismatchError
        If channels are missing, a unit is of another quantity or looks wrong, or a rate is too low.
    """
    channels = {track.signal.name: track.signal.channels for track in recording.tracks}
    signals, notes = whole_branches(bundle, channels)
    tracks = []
    for signal in signals:
        track = recording.track(signal.name)
        assert track is not None
        fitted, more = _fit_track(track, signal)
        tracks.append(fitted)
        notes += more
    return Recording(recording.name, recording.subject, recording.session, tuple(tracks)), notes


def _fit_track(track: Track, signal: Signal) -> tuple[Track, tuple[str, ...]]:
    has = track.signal
    notes = []
    values = track.values[:, [has.channels.index(channel) for channel in signal.channels]]
    if has.unit != signal.unit:
        values = _converted(values, has.unit, signal)
        notes.append(f"{signal.name}: converted from {has.unit} to {signal.unit}")
    if signal.modality == "acc" and len(signal.channels) == 3 and signal.unit == "m/s2":
        notes += _check_rest(values, signal)
    if has.rate_hz < _LOWEST_SHARE * signal.rate_hz:
        raise MismatchError(
            f"'{signal.name}' must be recorded at {_LOWEST_SHARE * signal.rate_hz:g} Hz or more",
            f"{has.rate_hz:.4g} Hz, the model reads {signal.rate_hz:g} Hz",
            "Record faster, or leave the signal out; check that time_s is in seconds.",
        )
    if has.rate_hz != signal.rate_hz:
        values = resample(values, has.rate_hz, signal.rate_hz)
        notes.append(f"{signal.name}: resampled from {has.rate_hz:.6g} Hz to {signal.rate_hz:g} Hz")
    return Track(signal, values, track.start_s), tuple(notes)


def _converted(values: NDArray[np.float32], unit: str, signal: Signal) -> NDArray[np.float32]:
    try:
        return convert(values, unit, signal.unit).astype(np.float32)
    except ConfigError as err:
        raise MismatchError(
            f"the unit of '{signal.name}' must convert to {signal.unit}", f"'{unit}'", f"{err.rule}. {err.remedy}"
        ) from err


def _check_rest(acceleration: NDArray[np.float32], signal: Signal) -> list[str]:
    """Refuse an acceleration (T, 3) that is in g rather than m/s2; note anything else that is odd at rest."""
    odd = check_gravity(acceleration)
    if odd is None:
        return []
    for unit in ("g", "mg"):
        if check_gravity(acceleration, unit) is None:
            raise MismatchError(
                f"'{signal.name}' must be in {signal.unit}", odd,
                f"If it is in {unit}, say so in the header: {signal.channels[0]} [{unit}].",
            )  # fmt: skip
    return [f"{signal.name}: {odd}"]
