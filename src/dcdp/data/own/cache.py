"""Keep one's own recordings in the cache: what has not changed since is not read again."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dcdp.data.index import RecordingEntry
from dcdp.data.own.description import Description
from dcdp.data.own.description_file import load_description
from dcdp.data.own.plan import Group, plan_groups, refuse_copies
from dcdp.data.own.recordings import labels_in, read_group, settle_signals
from dcdp.data.registry import Progress, cache_folder
from dcdp.data.store import GAP_S, Store
from dcdp.errors import ConfigError, DataError, FormatError, MissingError
from dcdp.records import LabelSet, Recording, Track
from dcdp.signals.gaps import hold_last

__all__ = ["OwnSet", "open_own"]

_FORMAT = 1

Prints = Mapping[str, str]
"""Group -> hash of all that its recordings are made from: its files as they are now, and the description."""


@dataclass(frozen=True)
class OwnSet:
    """Recordings of one's own, stored.

    Attributes
    ----------
    description
        What they are.
    store
        The recordings.
    n_read
        Recordings that were read from their files now; the others were in the cache.
    """

    description: Description
    store: Store
    n_read: int


@dataclass(frozen=True)
class _Import:
    """One opening of a folder: what there is now, and what an earlier opening stored of it."""

    description: Description
    groups: Sequence[Group]
    prints: Prints
    known: Store | None
    gap_s: float
    progress: Progress | None

    @property
    def stored(self) -> dict[str, tuple[RecordingEntry, ...]]:
        """Return group -> its recordings in the store, of groups whose files are as they were."""
        by_print: dict[str, list[RecordingEntry]] = {}
        for entry in self.known.recordings if self.known else ():
            by_print.setdefault(entry.fingerprint, []).append(entry)
        return {key: tuple(by_print[mark]) for key, mark in self.prints.items() if mark in by_print}


def open_own(
    path: str | Path, cache: Path | None = None, *, gap_s: float = GAP_S, progress: Progress | None = None
) -> OwnSet:
    """Open the recordings that a description names; read those of new and changed files.

    Parameters
    ----------
    path
        TOML file, or the folder that holds ``dcdp.toml``.
    cache
        Where stores are kept. None is ``$DCDP_CACHE``, or ``~/.cache/dcdp``.
    gap_s
        Longest gap over which the last value is held [s].
    progress
        Called as ``progress(done, total, text)``.

    Raises
    ------
    DcdpError
        Naming file, line and column, or key, of what is wrong; nothing is stored then.
    """
    description = load_description(path)
    groups = plan_groups(description)
    if description.copies == "refuse":
        refuse_copies(description.folder, groups)
    _require_split(description)
    prints = {group.key: _fingerprint(description, group) for group in groups}
    folder = (cache or cache_folder()) / _folder_name(description, gap_s)
    job = _Import(description, groups, prints, _load_known(folder), gap_s, progress)
    stored = job.stored
    if job.known and len(stored) == len(groups) and sum(map(len, stored.values())) == len(job.known.recordings):
        return OwnSet(description, job.known, 0)
    n_read = _write(folder, job, stored)
    return OwnSet(description, Store.open(folder), n_read)


def _write(folder: Path, job: _Import, stored: Mapping[str, tuple[RecordingEntry, ...]]) -> int:
    """Bring the store up to date and return how many recordings were read for it.

    What is new is appended where a fresh import would put it, too: the order of recordings and labels is that of the
    files, not of their history. Otherwise the store is written anew, and takes what it can from the one before.
    """
    description, groups, known = job.description, job.groups, job.known
    spec = known.spec if known and stored and _rates_are_free(description) else settle_signals(description, groups)
    if known and spec != known.spec:
        stored = {}
    labels = _labels(description, [group for group in groups if group.key not in stored], stored)
    n_old = len(stored)
    appends = (
        known is not None and n_old > 0 and [group.key for group in groups[:n_old]] == list(stored)
        and sum(map(len, stored.values())) == len(known.recordings)
        and labels.names[: len(known.labels)] == known.labels.names and labels.null_label == known.labels.null_label
    )  # fmt: skip
    marks: dict[str, str] = {}
    recordings = _recordings(job, stored, {signal.name: signal.rate_hz for signal in spec}, marks, appends)
    if appends:
        Store.append(folder, recordings, 0, labels=labels, fingerprints=marks, wait_s=math.inf)
    else:
        Store.write(folder, spec, labels, recordings, 0, fingerprints=marks, wait_s=math.inf)
    return len(marks) - (0 if appends else sum(map(len, stored.values())))


def _recordings(
    job: _Import, stored: Mapping[str, tuple[RecordingEntry, ...]], rates: Mapping[str, float], marks: dict[str, str],
    appends: bool,
) -> Iterator[Recording]:  # fmt: skip
    """Yield what is to be written, and mark what each recording was made from."""
    told = _unique()
    for done, group in enumerate(job.groups):
        if job.progress is not None:
            job.progress(done, len(job.groups), f"{job.description.name}: {group.paths[0]}")
        if group.key not in stored:
            found = tuple(_held(r, job.gap_s) for r in read_group(job.description, group, rates))
        elif appends:
            continue
        else:
            assert job.known is not None
            found = tuple(_stored(job.known, entry) for entry in stored[group.key])
        for recording in found:
            marks[recording.name] = job.prints[group.key]
            yield told(recording)
    if job.progress is not None:
        job.progress(len(job.groups), len(job.groups), job.description.name)


def _rates_are_free(description: Description) -> bool:
    """Say whether the rates of new files need not be looked at: those that are stored already hold."""
    return all(device.signals for device in description.devices)


def _labels(
    description: Description, new: Sequence[Group], stored: Mapping[str, tuple[RecordingEntry, ...]]
) -> LabelSet:
    """Return the activities: in the order that is given, else those found, sorted."""
    declared = description.labels.order or tuple(dict.fromkeys(name for _, name in description.labels.names))
    if not declared:
        found = {label for group in new for label in labels_in(description, group)}
        found |= {segment.label for entries in stored.values() for entry in entries for segment in entry.segments}
        declared = tuple(sorted(found))
    names = tuple(name for name in declared if name != description.null_class)
    return LabelSet((*names, description.null_class) if description.null_class else names,
                    description.null_class or None)  # fmt: skip


def _require_split(description: Description) -> None:
    split = description.split
    parts = [] if split is None else [set(split.train), set(split.validation), set(split.test)]
    for one, other in ((0, 1), (0, 2), (1, 2)) if parts else ():
        shared = sorted(parts[one] & parts[other])
        if shared:
            raise ConfigError("the parts of [split] must not share a person", ", ".join(shared),
                              f"Correct [split] in '{description.path}'.")


def _unique() -> Callable[[Recording], Recording]:
    """Return a check that refuses a second recording of one name."""
    seen: set[str] = set()

    def check(recording: Recording) -> Recording:
        if recording.name in seen:
            raise DataError("recordings must have names of their own", f"'{recording.name}' twice",
                            "Tell them apart by {session} in files, or by session_column.")
        seen.add(recording.name)
        return recording

    return check


def _held(recording: Recording, gap_s: float) -> Recording:
    """Bridge short gaps now, so that what is kept from one store to the next is not bridged twice."""
    tracks = tuple(
        replace(track, values=hold_last(track.values, round(gap_s * track.signal.rate_hz)))
        if np.isnan(track.values).any() else track
        for track in recording.tracks
    )  # fmt: skip
    return replace(recording, tracks=tracks)


def _stored(store: Store, entry: RecordingEntry) -> Recording:
    """Return a recording as it lies in a store."""
    tracks = []
    for signal in store.spec:
        first, n_rows = entry.rows.get(signal.name, (0, 0))
        if n_rows:
            values = np.asarray(store.array(signal.name)[first : first + n_rows])
            tracks.append(Track(signal, values, entry.start_s[signal.name]))
    return Recording(entry.name, entry.subject, entry.session, tuple(tracks), entry.segments, entry.notes)


def _fingerprint(description: Description, group: Group) -> str:
    """Return a hash of how a group is read, and of path, size and time of change of its files."""
    told = replace(description, path=Path(), title="", branches=(), split=None)
    found: list[tuple[str, int, int]] = []
    for path in group.paths:
        place = description.folder / path
        for file in sorted(place.rglob("*")) if place.is_dir() else [place]:
            facts = file.stat()
            found.append((file.relative_to(description.folder).as_posix(), facts.st_size, facts.st_mtime_ns))
    return hashlib.sha256(f"{_FORMAT} {told!r} {json.dumps([group.fields, found])}".encode()).hexdigest()


def _folder_name(description: Description, gap_s: float) -> str:
    digest = hashlib.sha256(f"{description.path.resolve()} {gap_s}".encode()).hexdigest()[:12]
    return f"own-{description.name}-{digest}"


def _load_known(folder: Path) -> Store | None:
    """Return what an earlier import left, None if there is none or it is damaged."""
    try:
        return Store.open(folder)
    except (MissingError, FormatError):
        return None
