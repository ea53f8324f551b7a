"""How a data set lies on disk."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Layout"]


@dataclass(frozen=True, slots=True)
class Layout:
    """How a data set lies on disk.

    Attributes
    ----------
    pattern
        Matches the end of the path of each file that the loader reads, and begins where the paths of
        every distribution agree (``RawData/acc_exp01_user01.txt``, whatever folder it is in).
        A named group ``subject`` says whose file it is.
    landmark
        A folder by which the unpacked set is known.
    folders
        Where that landmark may lie below the folder that a user gives.
    archives
        File names of the archive below that folder.
    n_files
        Files of the whole set that match.
    file_bytes, total_bytes
        No file, and not all files together, may unpack to more than this [bytes].
    """

    pattern: re.Pattern[str]
    landmark: str
    folders: tuple[str, ...]
    archives: tuple[str, ...]
    n_files: int
    file_bytes: int
    total_bytes: int

    def relative(self, path: str) -> str | None:
        """Return the part of a path that the pattern knows, or None for a file that is not read."""
        match = self.pattern.search(path)
        if match is None or (match.start() and path[match.start() - 1] != "/"):
            return None
        return match.group()
