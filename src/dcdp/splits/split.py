"""One fold as a record that cannot hold a shared subject, nor, where its authors split by session, a shared session."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dcdp.errors import SplitError
from dcdp.records import Windows

__all__ = ["Session", "Split"]

Session = tuple[str, str]
"""A subject and one of its sessions."""

_PARTS = ("train", "validation", "test")
_BY_SESSION = "official"
"""The only rule that may put sessions of one person into several parts: some authors published such a split."""


@dataclass(frozen=True, slots=True)
class Split:
    """One fold: the subjects of its three parts. One that shares a subject cannot be made.

    The one exception is a published split by session: it names its sessions, is called ``official``, may share people,
    never a session, and its audit says so.

    Attributes
    ----------
    name
        The rule that made it, such as ``arena``.
    fold
        Its held-out subjects joined by ``+``, or ``official``.
    train, validation, test
        Subjects of each part; none is empty.
    sessions
        None, or for each part the (subject, session) pairs that it consists of.

    Raises
    ------
    SplitError
        If a part is empty, names a subject or session twice, or shares one with another part.
    """

    name: str
    fold: str
    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]
    sessions: Mapping[str, tuple[Session, ...]] | None = field(default=None, hash=False)

    def __post_init__(self) -> None:
        for part, subjects in self.subjects.items():
            if not subjects or len(set(subjects)) != len(subjects):
                raise SplitError(f"{part} must name subjects, each once", f"{subjects} in fold '{self.fold}'",
                                 "Give every part at least one subject.")
        if self.sessions is not None:
            _require_sessions_apart(self, self.sessions)
            return
        for (part, subjects), (other, others) in combinations(self.subjects.items(), 2):
            if shared := sorted(set(subjects) & set(others)):
                raise SplitError(f"{part} and {other} must not share a subject", f"{', '.join(shared)} in both",
                                 "Put each subject into one part.")

    @property
    def subjects(self) -> dict[str, tuple[str, ...]]:
        """Subjects by part, in the order train, validation, test."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    @property
    def shared_people(self) -> tuple[str, ...]:
        """Subjects with sessions in more than one part, sorted: none, unless the split is by session."""
        pairs = combinations(self.subjects.values(), 2)
        return tuple(sorted(set().union(*(set(one) & set(other) for one, other in pairs))))

    def parts(self, windows: Windows) -> dict[str, NDArray[np.int64]]:
        """Return the indices of each part's windows, ascending. Windows of other subjects or sessions are in no part.

        Raises
        ------
        SplitError
            If the split is by session and the windows do not know theirs.
        """
        if self.sessions is None:
            return {part: np.flatnonzero(np.isin(windows.subject, names)) for part, names in self.subjects.items()}
        if windows.session is None:
            raise SplitError("windows of a split by session must know their session", "none", "Cut them from a store.")
        return {part: np.flatnonzero(_among(windows, self.sessions[part])) for part in _PARTS}

    def facts(self) -> dict[str, Any]:
        """Return the fold as ``result.json`` holds it; `from_facts` reads it."""
        facts: dict[str, Any] = {"fold": self.fold, **{part: list(names) for part, names in self.subjects.items()}}
        if self.sessions is not None:
            facts["sessions"] = {part: [list(pair) for pair in self.sessions[part]] for part in _PARTS}
        return facts

    @classmethod
    def from_facts(cls, name: str, facts: Mapping[str, Any]) -> Split:
        """Make the fold that `facts` describes.

        Raises
        ------
        SplitError
            If its parts share what they must not.
        """
        sessions = facts.get("sessions")
        if sessions is not None:
            sessions = {part: tuple((str(one), str(two)) for one, two in pairs) for part, pairs in sessions.items()}
        train, validation, test = (tuple(facts[part]) for part in _PARTS)
        return cls(name, facts["fold"], train, validation, test, sessions)


def _among(windows: Windows, sessions: tuple[Session, ...]) -> NDArray[np.bool_]:
    inside = np.zeros(len(windows), np.bool_)
    for subject, session in sessions:
        inside |= (windows.subject == subject) & (windows.session == session)
    return inside


def _require_sessions_apart(split: Split, sessions: Mapping[str, tuple[Session, ...]]) -> None:
    if split.name != _BY_SESSION:
        raise SplitError("only an official split may be by session", f"'{split.name}'",
                         "Split by subject: figures on known people say little about new ones.")
    if set(sessions) != set(_PARTS):
        raise SplitError(f"sessions must be given for {', '.join(_PARTS)}", f"{', '.join(sessions) or 'none'}",
                         "Name the sessions of every part.")
    for part, subjects in split.subjects.items():
        if len(set(sessions[part])) != len(sessions[part]) or {one for one, _ in sessions[part]} != set(subjects):
            raise SplitError(f"{part} must name sessions of its subjects, each once", f"{sessions[part]}",
                             "Give every subject of the part at least one session.")
    for part, other in combinations(_PARTS, 2):
        if shared := sorted(set(sessions[part]) & set(sessions[other])):
            raise SplitError(f"{part} and {other} must not share a session",
                             f"{', '.join(f'{one} {two}' for one, two in shared)} in both",
                             "Put each session into one part.")
