"""Audit a split on the stored samples themselves: nothing of a part may be seen in another."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np

from dcdp.errors import DataError, SplitError
from dcdp.records import Signal, Windows
from dcdp.splits.copies import StoredRecordings, find_copies
from dcdp.splits.split import Split

__all__ = ["leak_audit", "require_classes", "require_no_leak"]

_SHARED = ("shared_subjects", "shared_recordings", "shared_samples", "identical_windows")


def leak_audit(windows: Windows, split: Split, store: StoredRecordings) -> dict[str, Any]:
    """Check on the stored samples that the parts of a split have nothing in common.

    Parameters
    ----------
    windows
        All windows of the store.
    store
        Where they were cut; subjects are read from its recordings, not from the windows.

    Returns
    -------
    dict
        Ready for JSON. ``n_windows``, ``n_subjects``, ``n_recordings`` by part; ``shared_subjects``,
        ``shared_recordings`` (counts); ``shared_samples`` (rows of any signal's array in windows of two parts);
        ``identical_windows`` (windows whose content occurs in another part), ``identical_examples`` (at most five)
        and ``compared_windows`` (how many could be compared); ``absent_classes`` (tested but never trained);
        ``passed``: nothing shared, nothing identical, no part without windows.
        Of a split by session also ``by`` (``session``), ``shared_people`` (names: these are allowed),
        ``people_never_seen`` (whether every tested person is new), ``shared_sessions`` (count) and
        ``missing_sessions`` (named by the split, not in the store).

    Notes
    -----
    Content is compared by a 64-bit fingerprint of a window's raw bytes against every position in the recordings of
    the other parts, so a recording stored under two subjects is found even when shifted by some rows. One signal per
    recording is compared, the one with the most values a second that is not too plain. Not found are: a copy of
    another signal alone; a copy that was scaled, filtered or resampled; windows with fewer than 16 changes from row
    to row, since a flat signal equals any other.
    """
    parts = {part: windows.take(index) for part, index in split.parts(windows).items()}
    recordings = {part: set(own.recording.tolist()) for part, own in parts.items()}
    subjects = {part: {store.recordings[number].subject for number in own} for part, own in recordings.items()}
    audit: dict[str, Any] = {
        "n_windows": {part: len(own) for part, own in parts.items()},
        "n_subjects": {part: len(own) for part, own in subjects.items()},
        "n_recordings": {part: len(own) for part, own in recordings.items()},
        "shared_subjects": _n_shared(subjects),
        "shared_recordings": _n_shared(recordings),
        "shared_samples": sum(_shared_rows(parts, column, signal) for column, signal in enumerate(store.spec)),
        **_compared(windows, split, store),
        "absent_classes": _absent_classes(parts),
    }
    if split.sessions is not None:
        audit |= _session_facts(split, recordings, subjects, store)
    audit["passed"] = all(audit["n_windows"].values()) and not any(audit[key] for key in _forbidden(audit))
    return audit


def require_no_leak(audit: Mapping[str, Any]) -> None:
    """Refuse a split that did not pass its audit.

    Raises
    ------
    SplitError
        With what the parts share.
    """
    if audit["passed"]:
        return
    empty = [f"no windows in {part}" for part, count in audit["n_windows"].items() if not count]
    found = [f"{audit[key]} {key.replace('_', ' ')}" for key in _forbidden(audit) if audit[key]]
    examples = f" (such as {audit['identical_examples'][0]})" if audit["identical_examples"] else ""
    raise SplitError(
        "the parts of a split must have windows and nothing in common", ", ".join(empty + found) + examples,
        "Leave copies out with drop_copies; look for recordings under two subjects and subjects without windows.",
    )


def require_classes(audit: Mapping[str, Any]) -> None:
    """Refuse a split whose test subjects do something that no training subject does.

    Raises
    ------
    DataError
        With the classes that are tested and absent from training.
    """
    if audit["absent_classes"]:
        raise DataError(
            "every tested class must occur in training", f"{', '.join(audit['absent_classes'])} absent",
            "Choose another split or leave these classes out of the data.",
        )


def _forbidden(audit: Mapping[str, Any]) -> tuple[str, ...]:
    """Name what the parts must not share; people they may where the authors split by session."""
    if audit.get("by") != "session":
        return _SHARED
    return ("shared_sessions", *(key for key in _SHARED if key != "shared_subjects"))


def _session_facts(
    split: Split, recordings: Mapping[str, set[int]], subjects: Mapping[str, set[str]], store: StoredRecordings
) -> dict[str, Any]:
    """Say of a split by session who is in several parts, as the store's own recordings tell."""
    stored = {(entry.subject, entry.session) for entry in store.recordings}
    named = sorted(pair for pairs in (split.sessions or {}).values() for pair in pairs)
    used = {
        part: {(store.recordings[number].subject, store.recordings[number].session) for number in own}
        for part, own in recordings.items()
    }
    return {
        "by": "session",
        "shared_people": sorted(_shared(subjects)),
        "people_never_seen": not subjects["test"] & (subjects["train"] | subjects["validation"]),
        "shared_sessions": _n_shared(used),
        "missing_sessions": [" ".join(pair) for pair in named if pair not in stored],
    }


def _n_shared(members: Mapping[str, set[Any]]) -> int:
    """Count what is in more than one part."""
    return len(_shared(members))


def _shared(members: Mapping[str, set[Any]]) -> set[Any]:
    return set().union(*(one & other for one, other in combinations(members.values(), 2)))


def _absent_classes(parts: Mapping[str, Windows]) -> list[str]:
    """Name the classes that are tested and never trained."""
    tested = parts["test"].label
    absent = np.setdiff1d(tested[tested >= 0], parts["train"].label)
    return [parts["test"].label_set.names[number] for number in absent]


def _shared_rows(parts: Mapping[str, Windows], column: int, signal: Signal) -> int:
    """Count the rows of one signal's array that lie in windows of more than one part."""
    begins = {part: own.rows[signal.name][own.present[:, column]] for part, own in parts.items()}
    n_samples = signal.n_samples(parts["train"].window_s)
    n_rows = int(max((rows.max() + n_samples for rows in begins.values() if len(rows)), default=0))
    n_parts = np.zeros(n_rows, np.int8)
    for rows in begins.values():
        depth = np.cumsum(np.bincount(rows, minlength=n_rows + 1) - np.bincount(rows + n_samples, minlength=n_rows + 1))
        n_parts += depth[:n_rows] > 0
    return int((n_parts > 1).sum())


def _compared(windows: Windows, split: Split, store: StoredRecordings) -> dict[str, Any]:
    """Count and describe the windows whose content occurs in another part."""
    names = list(split.subjects)
    part, compared, holder = find_copies(windows, split, store)
    found = np.flatnonzero((holder >= 0).any(axis=0))
    examples = [
        f"{names[part[number]]} '{store.recordings[windows.recording[number]].name}' at {windows.start_s[number]:g} s, "
        f"also in {names[holder[:, number].argmax()]} '{store.recordings[holder[:, number].max()].name}'"
        for number in found[:5]
    ]
    return {
        "identical_windows": len(found),
        "identical_examples": examples,
        "compared_windows": int(compared.sum()),
    }
