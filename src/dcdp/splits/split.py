"""One fold as a record that cannot hold a shared subject."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from dcdp.errors import SplitError
from dcdp.records import Windows

__all__ = ["Split"]


@dataclass(frozen=True, slots=True)
class Split:
    """One fold: the subjects of its three parts. One that shares a subject cannot be made.

    Attributes
    ----------
    name
        The rule that made it, such as ``arena``.
    fold
        Its held-out subjects joined by ``+``, or ``official``.
    train, validation, test
        Subjects of each part; none is empty.

    Raises
    ------
    SplitError
        If a part is empty, names a subject twice, or shares a subject with another part.
    """

    name: str
    fold: str
    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]

    def __post_init__(self) -> None:
        for part, subjects in self.subjects.items():
            if not subjects or len(set(subjects)) != len(subjects):
                raise SplitError(f"{part} must name subjects, each once", f"{subjects} in fold '{self.fold}'",
                                 "Give every part at least one subject.")
        for (part, subjects), (other, others) in combinations(self.subjects.items(), 2):
            if shared := sorted(set(subjects) & set(others)):
                raise SplitError(f"{part} and {other} must not share a subject", f"{', '.join(shared)} in both",
                                 "Put each subject into one part.")

    @property
    def subjects(self) -> dict[str, tuple[str, ...]]:
        """Subjects by part, in the order train, validation, test."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    def parts(self, windows: Windows) -> dict[str, NDArray[np.int64]]:
        """Return the indices of each part's windows, ascending. Windows of other subjects are in no part."""
        return {part: np.flatnonzero(np.isin(windows.subject, names)) for part, names in self.subjects.items()}
