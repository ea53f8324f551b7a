"""Write recordings behind one another: one writer at a time, and nothing counts until the index names it.

The order is what makes a write safe at any moment: the values go into new files, or behind the last row that the index
knows; they are flushed to the disk; then the index is replaced in one step. Whoever was killed before leaves rows and
files that no index names: readers do not see them, and the next writer removes them.
"""

from __future__ import annotations

import math
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from dcdp.data.arrays import HEADER_BYTES, Values, write_header
from dcdp.data.index import INDEX_NAME, ArrayFile, RecordingEntry, StoreIndex, load_index, save_index
from dcdp.errors import DataError, FormatError, MissingError, StorageError
from dcdp.files import storage_errors
from dcdp.records import LabelSet, Recording, Signal, SignalSpec
from dcdp.signals.gaps import hold_last

if TYPE_CHECKING:
    from filelock import BaseFileLock

__all__ = ["append_recordings", "lay_recordings", "peek", "replace_recordings", "side_by_side", "write_lock"]

LOCK_NAME = ".lock"

Groups = tuple[tuple[str, ...], ...]
"""Names of the signals that lie side by side, for each array."""


@contextmanager
def write_lock(folder: Path, wait_s: float = 0.0, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Be the only writer of a store; the system lifts the lock when the process ends, however it ends.

    Parameters
    ----------
    wait_s
        How long to wait for another writer [s]; `math.inf` waits as long as it takes.
    waiting
        Called once if there is one to wait for.

    Raises
    ------
    StorageError
        If another process still writes, or the folder is not writable.
    """
    import filelock

    # One lock a folder in this process, so that a function may hold it around another that takes it. Without the
    # system's locks there would be a file that outlives a killed process: rather fail.
    lock = filelock.FileLock(folder / LOCK_NAME, is_singleton=True, fallback_to_soft=False)
    with storage_errors(folder):
        try:
            _acquire(lock, folder, 0)
        except filelock.Timeout:
            if waiting is not None:
                waiting()
            try:
                _acquire(lock, folder, -1 if math.isinf(wait_s) else wait_s)
            except filelock.Timeout as err:
                raise StorageError("a store must have one writer at a time", f"another process that writes '{folder}'",
                                   "Wait until it is done, or stop it.") from err
    try:
        yield
    finally:
        lock.release()


def _acquire(lock: BaseFileLock, folder: Path, timeout_s: float) -> None:
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=timeout_s)
        except FileNotFoundError:  # a writer that failed has just removed its folder
            continue
        return


def replace_recordings(
    folder: Path, spec: SignalSpec, labels: LabelSet, recordings: Iterable[Recording], gap_s: float,
    fingerprints: Mapping[str, str],
) -> None:
    """Write a store of these recordings; what was there stays until they are all written. Needs the lock."""
    with storage_errors(folder):
        try:
            old: tuple[ArrayFile, ...] = load_index(folder).files
        except (MissingError, FormatError):
            old = ()
        _clean(folder, old)
        names: list[Path] = []
        try:
            index = _write_files(folder, spec, labels, recordings, gap_s, fingerprints, names)
            save_index(folder, index)
            _flush_folder(folder)
        except BaseException:
            for path in names:
                path.unlink(missing_ok=True)
            if not old and not (folder / INDEX_NAME).exists():
                shutil.rmtree(folder, ignore_errors=True)
            raise
        _clean(folder, index.files)


def append_recordings(
    folder: Path, recordings: Iterable[Recording], gap_s: float, labels: LabelSet | None,
    fingerprints: Mapping[str, str],
) -> None:
    """Write recordings behind those of a store. Needs the lock."""
    with storage_errors(folder), ExitStack() as stack:
        index = load_index(folder)
        labels = _extended(index.labels, labels)
        _clean(folder, index.files)
        files = [stack.enter_context((folder / own.name).open("r+b")) for own in index.files]
        n_channels = [_n_channels(index.spec, own.signals) for own in index.files]
        for file, own, width in zip(files, index.files, n_channels, strict=True):
            file.truncate(HEADER_BYTES + 4 * own.n_rows * width)  # what a killed writer left
            file.seek(0, os.SEEK_END)
        known = {(entry.subject, entry.session, entry.name) for entry in index.recordings}
        entries, n_rows = lay_recordings(
            _new_only(recordings, known), index.spec, labels, tuple(own.signals for own in index.files),
            [own.n_rows for own in index.files], gap_s, lambda place, block: _write(files[place], block), fingerprints,
        )  # fmt: skip
        for file in files:
            _flush(file)
        grown = tuple(ArrayFile(own.name, own.signals, n) for own, n in zip(index.files, n_rows, strict=True))
        save_index(folder, StoreIndex(index.spec, labels, (*index.recordings, *entries), grown))
        _flush_folder(folder)
        for file, n, width in zip(files, n_rows, n_channels, strict=True):
            write_header(file, n, width)  # for those who read the file without the index


def side_by_side(spec: SignalSpec, first: Recording) -> Groups:
    """Group the signals of equal rate, start and length in the first recording: one device that samples them at once.

    A window of such a group is one piece of the disk. Other recordings need not agree: where a signal is shorter or
    absent, its place is NaN and belongs to no recording.
    """
    groups: dict[tuple[object, ...], list[str]] = {}
    for signal in spec:
        track = first.track(signal.name)
        key = (signal.name,) if track is None else (signal.rate_hz, track.start_s, len(track.values))
        groups.setdefault(key, []).append(signal.name)
    return tuple(tuple(names) for names in groups.values())


def lay_recordings(
    recordings: Iterable[Recording],
    spec: SignalSpec,
    labels: LabelSet,
    groups: Groups,
    n_rows: Sequence[int],
    gap_s: float,
    sink: Callable[[int, Values], None],
    fingerprints: Mapping[str, str],
) -> tuple[tuple[RecordingEntry, ...], list[int]]:
    """Hand the rows of each recording to ``sink(group, rows)``, behind the ``n_rows`` that each group has.

    Returns
    -------
    tuple
        Where each recording lies, and the rows that each group has now.

    Raises
    ------
    DataError
        If a recording has a signal or label that is not declared.
    """
    total, entries = list(n_rows), []
    for recording in recordings:
        _require_declared(recording, spec, labels)
        rows: dict[str, tuple[int, int]] = {}
        complete: list[str] = []
        for place, names in enumerate(groups):
            held = _held_tracks(recording, [spec[name] for name in names], gap_s)
            block = _block(held, [spec[name] for name in names])
            if block is not None:
                sink(place, block)
                complete += [name for name, own in zip(names, held, strict=True) if own is not None and _is_finite(own)]
                rows |= {name: (total[place], len(track.values)) for name in names if (track := recording.track(name))}
                total[place] += len(block)
        # In the order of the recording, whatever lies beside what.
        in_order = {track.signal.name: rows[track.signal.name] for track in recording.tracks}
        start_s = {track.signal.name: float(track.start_s) for track in recording.tracks}
        entries.append(
            RecordingEntry(
                recording.name, recording.subject, recording.session, recording.segments, in_order, start_s,
                recording.notes, fingerprints.get(recording.name, ""), tuple(complete),
            )
        )
    return tuple(entries), total


def peek(recordings: Iterable[Recording], spec: SignalSpec, labels: LabelSet) -> tuple[Recording, Iterator[Recording]]:
    """Return the first recording, and all of them.

    Raises
    ------
    DataError
        If there is none.
    """
    rest = iter(recordings)
    first = next(rest, None)
    if first is None:
        raise DataError("a store must hold a recording", "none", "Check that the data folder holds the set's files.")
    _require_declared(first, spec, labels)
    return first, chain([first], rest)


def _require_declared(recording: Recording, spec: SignalSpec, labels: LabelSet) -> None:
    """Refuse a recording with a signal or a label that the store does not declare.

    Raises
    ------
    DataError
        Naming it.
    """
    names = [track.signal.name for track in recording.tracks]
    strange = [track.signal.name for track in recording.tracks if track.signal not in spec.signals]
    if strange or len(set(names)) != len(names):
        raise DataError("a recording must have declared signals, once each",
                        f"{strange or names} in '{recording.name}'",
                        f"Use the signals {', '.join(spec.names)} as the spec declares them.")
    known = {*labels.names, labels.null_label}
    for segment in recording.segments:
        if segment.label not in known:
            raise DataError("a segment must have a declared label", f"'{segment.label}' in '{recording.name}'",
                            f"Use one of {', '.join(labels.names)}.")


def _write_files(
    folder: Path, spec: SignalSpec, labels: LabelSet, recordings: Iterable[Recording], gap_s: float,
    fingerprints: Mapping[str, str], names: list[Path],
) -> StoreIndex:
    """Write new files, whose paths go into ``names`` as they appear."""
    first, recordings = peek(recordings, spec, labels)
    groups = side_by_side(spec, first)
    with ExitStack() as stack:
        files: list[BinaryIO] = []
        for group in groups:
            names.append(_new_path(folder, group))
            files.append(stack.enter_context(names[-1].open("w+b")))
            write_header(files[-1], 0, _n_channels(spec, group))
        entries, n_rows = lay_recordings(
            recordings, spec, labels, groups, [0] * len(groups), gap_s,
            lambda place, block: _write(files[place], block), fingerprints,
        )  # fmt: skip
        for file, group, n in zip(files, groups, n_rows, strict=True):
            write_header(file, n, _n_channels(spec, group))
            _flush(file)
    _flush_folder(folder)
    kept = zip(names, groups, n_rows, strict=True)
    return StoreIndex(spec, labels, entries, tuple(ArrayFile(path.name, group, n) for path, group, n in kept))


def _new_path(folder: Path, group: tuple[str, ...]) -> Path:
    stem = group[0] + (f"+{len(group) - 1}" if len(group) > 1 else "")
    path = folder / f"{stem}.npy"
    return folder / f"{stem}.{secrets.token_hex(4)}.npy" if path.exists() else path


def _held_tracks(recording: Recording, signals: Sequence[Signal], gap_s: float) -> list[Values | None]:
    tracks = [recording.track(signal.name) for signal in signals]
    return [None if track is None else _held(track.values, track.signal, gap_s) for track in tracks]


def _block(held: Sequence[Values | None], signals: Sequence[Signal]) -> Values | None:
    """Return the rows of a group in one recording, NaN where a signal is shorter or absent; None if all are absent."""
    lengths = {len(values) for values in held if values is not None}
    if not lengths:
        return None
    if len(held) == 1:
        return held[0]
    block = np.full((max(lengths), sum(len(signal.channels) for signal in signals)), np.nan, np.float32)
    first = 0
    for signal, values in zip(signals, held, strict=True):
        if values is not None:
            block[: len(values), first : first + len(signal.channels)] = values
        first += len(signal.channels)
    return block


def _is_finite(values: Values) -> bool:
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(values.sum()))  # one fast pass: a sum hides no NaN and no infinity


def _held(values: Values, signal: Signal, gap_s: float) -> Values:
    """Bridge short gaps; return the values themselves where there is no gap."""
    if np.isnan(values).any():
        return hold_last(values, round(gap_s * signal.rate_hz))
    return values


def _extended(stored: LabelSet, asked: LabelSet | None) -> LabelSet:
    if asked is None:
        return stored
    if asked.names[: len(stored.names)] != stored.names or asked.null_label != stored.null_label:
        raise DataError("new labels must follow the stored ones", f"{', '.join(asked.names)}",
                        f"Begin with {', '.join(stored.names)}: their order is the order of the classes.")
    return asked


def _new_only(recordings: Iterable[Recording], known: set[tuple[str, str, str]]) -> Iterator[Recording]:
    for recording in recordings:
        key = (recording.subject, recording.session, recording.name)
        if key in known:
            raise DataError("a recording must be stored once", f"'{recording.name}' of '{recording.subject}' again",
                            "Leave it out, or give it another name.")
        known.add(key)
        yield recording


def _n_channels(spec: SignalSpec, names: Iterable[str]) -> int:
    return sum(len(spec[name].channels) for name in names)


def _write(file: BinaryIO, block: Values) -> None:
    file.write(np.ascontiguousarray(block, dtype="<f4").data)


def _flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    """Make renamed and new names last; not every system can."""
    with suppress(OSError):
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def _clean(folder: Path, files: Iterable[ArrayFile]) -> None:
    """Remove what no index names: left by killed writers, or replaced."""
    keep = {INDEX_NAME, LOCK_NAME, *(file.name for file in files)}
    for path in folder.iterdir():
        if path.name not in keep and path.is_file():
            path.unlink(missing_ok=True)
