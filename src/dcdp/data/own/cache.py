"""Keep one's own recordings in the cache: what has not changed since is not read again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dcdp.data.index import INDEX_NAME, RecordingEntry
from dcdp.data.own.description import Description, load_description
from dcdp.data.own.plan import Group, plan_groups, refuse_copies
from dcdp.data.own.recordings import labels_in, read_group, settle_signals
from dcdp.data.registry import Progress, cache_folder
from dcdp.data.store import GAP_S, Store
from dcdp.errors import ConfigError, DataError, FormatError, MissingError
from dcdp.files import write_text
from dcdp.records import LabelSet, Recording, Track
from dcdp.signals.gaps import hold_last

__all__ = ["OwnSet", "open_own"]

_FORMAT = 1
_MEMORY = "sources.json"

Fingerprint = list[list[str | int]]
"""Path, size and time of change of each file of a group."""


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
class _Known:
    """What an earlier import left: its store, and from which files each recording came."""

    store: Store
    groups: Mapping[str, tuple[Fingerprint, tuple[str, ...]]]


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
    prints = {group.key: _fingerprint(description, group) for group in groups}
    folder = (cache or cache_folder()) / _folder_name(description, gap_s)
    known = _load_known(folder, description)
    if known and {key: files for key, (files, _) in known.groups.items()} == prints:
        return OwnSet(description, known.store, 0)
    return _import(description, groups, prints, folder, known, gap_s, progress)


def _import(
    description: Description, groups: Sequence[Group], prints: Mapping[str, Fingerprint], folder: Path,
    known: _Known | None, gap_s: float, progress: Progress | None,
) -> OwnSet:  # fmt: skip
    """Read what is new or changed, take the rest from the store before, and write a store of all."""
    kept = {
        group.key: known.groups[group.key][1]
        for group in groups
        if known and group.key in known.groups and known.groups[group.key][0] == prints[group.key]
    }
    spec = known.store.spec if known and kept and _rates_are_free(description) else settle_signals(description, groups)
    if known and spec != known.store.spec:
        kept = {}
    labels = _labels(description, [group for group in groups if group.key not in kept], known, kept)
    _require_split(description)
    names: dict[str, tuple[str, ...]] = dict(kept)
    rates = {signal.name: signal.rate_hz for signal in spec}

    def recordings() -> Iterator[Recording]:
        told = _unique()
        for done, group in enumerate(groups):
            if progress is not None:
                progress(done, len(groups), f"{description.name}: {group.paths[0]}")
            if group.key in kept:
                assert known is not None
                found = tuple(_stored(known.store, name) for name in kept[group.key])
            else:
                found = tuple(_held(recording, gap_s) for recording in read_group(description, group, rates))
                names[group.key] = tuple(recording.name for recording in found)
            for recording in found:
                yield told(recording)
        if progress is not None:
            progress(len(groups), len(groups), description.name)

    Store.write(folder, spec, labels, recordings(), gap_s=0)
    _remember(folder, description, {key: (prints[key], names[key]) for key in prints})
    store = Store.open(folder)
    return OwnSet(description, store, len(store.recordings) - sum(map(len, kept.values())))


def _rates_are_free(description: Description) -> bool:
    """Say whether the rates of new files need not be looked at: those that are stored already hold."""
    return all(device.signals for device in description.devices)


def _labels(
    description: Description, new: Sequence[Group], known: _Known | None, kept: Mapping[str, tuple[str, ...]]
) -> LabelSet:
    """Return the activities: in the order that is given, else those found, sorted."""
    declared = description.labels.order or tuple(dict.fromkeys(name for _, name in description.labels.names))
    if not declared:
        found = {label for group in new for label in labels_in(description, group)}
        if known and kept:
            stored = {name for names in kept.values() for name in names}
            entries = [entry for entry in known.store.recordings if entry.name in stored]
            found |= {segment.label for entry in entries for segment in entry.segments}
        declared = tuple(sorted(found - {description.null_class}))
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


def _stored(store: Store, name: str) -> Recording:
    """Return a recording as it lies in a store."""
    entry: RecordingEntry = next(entry for entry in store.recordings if entry.name == name)
    tracks = []
    for signal in store.spec:
        first, n_rows = entry.rows.get(signal.name, (0, 0))
        if n_rows:
            values = store.array(signal.name)[first : first + n_rows]
            tracks.append(Track(signal, values, entry.start_s[signal.name]))
    return Recording(entry.name, entry.subject, entry.session, tuple(tracks), entry.segments, entry.notes)


def _fingerprint(description: Description, group: Group) -> Fingerprint:
    found: Fingerprint = []
    for path in group.paths:
        place = description.folder / path
        files = sorted(place.rglob("*")) if place.is_dir() else [place]
        for file in files:
            facts = file.stat()
            if file.is_file():
                found.append([file.relative_to(description.folder).as_posix(), facts.st_size, facts.st_mtime_ns])
    return found


def _folder_name(description: Description, gap_s: float) -> str:
    digest = hashlib.sha256(f"{description.path.resolve()} {gap_s}".encode()).hexdigest()[:12]
    return f"own-{description.name}-{digest}"


def _digest(description: Description) -> str:
    """Return a hash of all that decides how files are read: comments, titles, branches and splits do not."""
    told = replace(description, path=Path(), title="", branches=(), split=None)
    return hashlib.sha256(f"{_FORMAT} {told!r}".encode()).hexdigest()


def _load_known(folder: Path, description: Description) -> _Known | None:
    """Return what an earlier import left, None if there is none, or it is of another description or not whole."""
    memory = folder.with_name(f"{folder.name}.{_MEMORY}")
    try:
        plain: dict[str, Any] = json.loads(memory.read_text(encoding="utf-8"))
        if plain["description"] != _digest(description) or plain["index"] != _index_digest(folder):
            return None
        groups = {key: (files, tuple(names)) for key, (files, names) in plain["groups"].items()}
        return _Known(Store.open(folder), groups)
    except (MissingError, FormatError, OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _remember(
    folder: Path, description: Description, groups: Mapping[str, tuple[Fingerprint, tuple[str, ...]]]
) -> None:
    """Write what each recording came from, bound to the index: a store without its own memory is read anew."""
    plain = {"description": _digest(description), "index": _index_digest(folder), "groups": groups}
    write_text(folder.with_name(f"{folder.name}.{_MEMORY}"), json.dumps(plain))


def _index_digest(folder: Path) -> str:
    return hashlib.sha256((folder / INDEX_NAME).read_bytes()).hexdigest()
