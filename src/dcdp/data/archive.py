"""Read the files of a data set from its folder or its archive, without writing or leaving it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from dcdp.data.layout import Layout
from dcdp.data.unpack import ARCHIVE_SUFFIXES, Budget, opens_in_folder, read_archive, special_file, too_large
from dcdp.errors import DcdpError, FormatError, MissingError, StorageError

__all__ = ["Source", "open_source"]


@dataclass(frozen=True, slots=True)
class Source:
    """The files of one set: iterate for ``(relative path, bytes)`` in the order of the archive.

    A folder is read in sorted order.

    Raises
    ------
    FormatError
        While iterating: damage, a link, a path that climbs, a file beyond the limits, a file twice.
    StorageError
        While iterating: a file that the disk does not give.
    """

    path: Path
    layout: Layout

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        seen: set[str] = set()
        for path, data in _readable(self.path, self._read()):
            if path in seen:
                raise FormatError("a data set must hold each file once", f"'{path}' twice in '{self.path}'",
                                  "Keep one copy of the set in the folder.")
            seen.add(path)
            yield path, data

    def _read(self) -> Iterator[tuple[str, bytes]]:
        if self.path.is_dir():
            return _read_folder(self.path, self.layout)
        return read_archive(self.path, self.layout)


def open_source(path: Path, layout: Layout) -> Source:
    """Find a set: its archive, its folder, or a folder that holds either (unpacked files first).

    Raises
    ------
    MissingError
        If none of them is there; it names what was looked for.
    """
    path = Path(path)
    if path.is_file():
        if not path.name.endswith(ARCHIVE_SUFFIXES):
            raise FormatError("an archive must be a tar or zip file", f"'{path}'",
                              f"Give a folder, or a file that ends in one of {', '.join(ARCHIVE_SUFFIXES)}.")
        return Source(path, layout)
    for folder in layout.folders:
        if (path / folder / layout.landmark).is_dir() or _holds_files(path / folder, layout):
            return Source(path / folder, layout)
    for name in layout.archives:
        if (path / name).is_file():
            return Source(path / name, layout)
    wanted = [str(PurePosixPath(folder) / layout.landmark) + "/" for folder in layout.folders]
    state = "none of them" if path.is_dir() else "no such folder"
    raise MissingError(
        f"'{path}' must hold one of {', '.join([*layout.archives, *wanted])}", state,
        "Download the set and give its archive or folder as the data folder (--data).",
    )


def _holds_files(folder: Path, layout: Layout) -> bool:
    """Tell whether files of the set lie in a folder itself, without the folder that it is known by."""
    return folder.is_dir() and any(layout.relative(path.name) for path in folder.iterdir())


def _readable(path: Path, files: Iterator[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
    """Say that it is the reading of the data, not the writing of a store, that failed."""
    try:
        yield from files
    except OSError as err:
        if isinstance(err, DcdpError):
            raise
        raise StorageError("the data must be readable", f"'{path}' ({err})",
                           "Check the disk and its permissions.") from err


def _read_folder(root: Path, layout: Layout) -> Iterator[tuple[str, bytes]]:
    budget = Budget(layout)
    for path in _walk(root):
        place = path.relative_to(root).as_posix()
        relative = layout.relative(place)
        is_archive = relative is None and opens_in_folder(place, layout)
        if relative is None and not is_archive:
            continue
        _stay_inside(path, root)
        info = path.stat()
        if not stat.S_ISREG(info.st_mode):
            raise special_file(place, "a special file", root)
        if info.st_size > layout.file_bytes:
            raise too_large(place, info.st_size, layout.file_bytes, root)
        budget.take(info.st_size, root)
        if relative is None:
            yield from read_archive(path, layout, budget, place)
        else:
            yield relative, path.read_bytes()


def _walk(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):  # does not follow links to folders
        folders.sort()
        for name in sorted(files):
            yield Path(folder) / name


def _stay_inside(path: Path, root: Path) -> None:
    if path.is_symlink() and not path.resolve().is_relative_to(root.resolve()):
        raise FormatError("a file must lie inside its data folder", f"'{path}' links to '{path.resolve()}'",
                          "Replace the link by the file.")
