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
        A named group ``subject`` says whose file it is, or else ``part`` to which part of the set it belongs. A group
        ``unverified`` marks a file whose hash is not published: it is read, and compared with nothing.
    landmark
        A folder by which the unpacked set is known.
    folders
        Where that landmark may lie below the folder that a user gives.
    archives
        File names of the archive below that folder.
    n_files
        Files of the whole set that match; 0 where it is not documented.
    file_bytes, total_bytes
        No file, and not all files together, may unpack to more than this [bytes]. Archives inside archives count,
        and what is in them as well.
    nested
        Matches the end of the path of archives below the folder, or inside the archive, that hold files of the set.
        Inside an archive those that are called like one of ``archives`` are opened as well.
    """

    pattern: re.Pattern[str]
    landmark: str
    folders: tuple[str, ...]
    archives: tuple[str, ...]
    n_files: int
    file_bytes: int
    total_bytes: int
    nested: re.Pattern[str] | None = None

    def relative(self, path: str) -> str | None:
        """Return the part of a path that the pattern knows, or None for a file that is not read."""
        match = self.pattern.search(path)
        if match is None or (match.start() and path[match.start() - 1] != "/"):
            return None
        return match.group()
