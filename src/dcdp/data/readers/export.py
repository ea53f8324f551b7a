"""Open what a recorder exported (a file, a folder or a zip) as named members, with every size bounded.

Nothing is unpacked to disk and nothing is read that no reader asks for, so that a recording may lie beside hours of
video. Links that leave the folder, pipes and devices, paths that climb, encrypted files and files that unpack to more
than two hundred times their size are refused.
"""

from __future__ import annotations

import io
import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from dcdp.errors import DcdpError, FormatError, MissingError, StorageError

__all__ = ["MAX_FILES", "MAX_FILE_BYTES", "Export", "not_this", "open_export"]

MAX_FILES = 10_000
"""Files in one folder or zip beyond which it is no recording."""

MAX_FILE_BYTES = 2**30
"""Bytes of one file that is read into memory: two days at 100 Hz in a text format."""

_MAX_TOTAL_BYTES = 2**32
_MAX_STREAMED_BYTES = 2**35
_MAX_DIRECTORY_BYTES = 2**22  # of a zip: about 90,000 entries, long before they would fill the memory
_MAX_RATIO = 200  # text of a recorder packs to a third or a tenth, repeated values to a fiftieth
_SMALL_BYTES = 2**20  # below this no ratio matters
_MAX_DEPTH = 4
_REMEDY = "Export the recording again."


class Export:
    """Named files of one export, read one at a time.

    Attributes
    ----------
    path
        The file or folder that was given.
    kind
        ``file``, ``folder`` or ``zip``.
    names
        Relative names with forward slashes, sorted; a single file has its own name.
    """

    def __init__(self, path: Path, kind: str, sizes: dict[str, int]) -> None:
        self.path, self.kind = path, kind
        self.names = tuple(sorted(sizes))
        self._sizes = sizes
        self._left = _MAX_TOTAL_BYTES

    def size(self, name: str) -> int:
        """Return the size that a file declares [bytes]."""
        return self._sizes[name]

    def where(self, name: str) -> str:
        """Say where a file lies, for an error message."""
        return repr(str(self.path)) if self.kind == "file" else f"'{name}' in '{self.path}'"

    def named(self, *suffixes: str) -> tuple[str, ...]:
        """Return the names that end in one of some suffixes, hidden files and the shadows of macOS left out."""
        return tuple(name for name in self.names if name.lower().endswith(suffixes) and not _is_shadow(name))

    def head(self, name: str, n_bytes: int = 8192) -> bytes:
        """Return the first bytes of a file.

        Raises
        ------
        FormatError
            If the archive is damaged there.
        """
        with self.open(name) as file:
            return file.read(n_bytes)

    def read(self, name: str) -> bytes:
        """Return a file.

        Raises
        ------
        FormatError
            If it is damaged, or larger than `MAX_FILE_BYTES`, or all files read are too large together.
        """
        if self._sizes[name] > min(MAX_FILE_BYTES, self._left):
            raise _too_large(self.where(name), self._sizes[name], min(MAX_FILE_BYTES, self._left))
        with self.open(name) as file:
            data = file.read(self._sizes[name] + 1)
        if len(data) != self._sizes[name]:
            raise FormatError("a file must have the size it declares", f"{len(data)} of {self._sizes[name]} bytes "
                              f"of {self.where(name)}", _REMEDY)
        self._left -= len(data)
        return data

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """Open a file as a stream of bytes.

        Raises
        ------
        FormatError
            If it is damaged, here or while it is read.
        StorageError
            If the disk does not give it.
        """
        if self._sizes[name] > _MAX_STREAMED_BYTES:
            raise _too_large(self.where(name), self._sizes[name], _MAX_STREAMED_BYTES)
        with _readable(self.path):
            if self.kind != "zip":
                with (self.path if self.kind == "file" else self.path / name).open("rb") as file:
                    yield file
                return
            with _zip(self.path) as archive, archive.open(_members(archive)[name]) as member:
                yield cast("BinaryIO", member)


def open_export(path: Path) -> Export:
    """List what there is to read; nothing is read but the directory.

    Raises
    ------
    MissingError
        If there is nothing at that path.
    FormatError
        If it is no file or folder, a damaged or hostile archive, or has more than `MAX_FILES` files.
    """
    path = Path(path)
    with _readable(path):
        try:
            mode = path.stat().st_mode
        except (FileNotFoundError, NotADirectoryError) as err:
            raise MissingError("the recording must exist", f"'{path}'",
                               "Give the file, the folder or the zip that the recorder exported.") from err
        except ValueError as err:  # a null character
            raise MissingError("a path must be one that the system knows", repr(str(path)), "Check the path.") from err
        if stat.S_ISDIR(mode):
            return Export(path, "folder", _walk(path))
        if not stat.S_ISREG(mode):
            raise FormatError("a recording must be a file or a folder", f"something else at '{path}'",
                              "Copy it to a plain file.")
        if _is_zip(path):
            with _zip(path) as archive:
                return Export(path, "zip", {name: info.file_size for name, info in _members(archive).items()})
        return Export(path, "file", {path.name: path.stat().st_size})


def not_this(where: str, what: str, why: str, remedy: str = _REMEDY) -> FormatError:
    """Return the error for a file that is not what its format says."""
    return FormatError(f"{what} must be whole", f"{where} ({why})", remedy)


def _is_shadow(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))


def _walk(root: Path) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for folder, folders, files in os.walk(root):  # does not follow links to folders
        here = Path(folder)
        folders[:] = sorted(folders) if len(here.relative_to(root).parts) < _MAX_DEPTH else []
        for name in sorted(files):
            file = here / name
            if not file.exists() or not stat.S_ISREG(file.stat().st_mode):
                continue  # a pipe would wait for ever
            if file.is_symlink() and not file.resolve().is_relative_to(root.resolve()):
                raise FormatError("a file must lie inside its folder", f"'{file}' links to '{file.resolve()}'",
                                  "Replace the link by the file.")
            sizes[file.relative_to(root).as_posix()] = file.stat().st_size
            _check_count(len(sizes), root)
    return sizes


def _members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Return the files of a zip by name; refuse the archive for what no recorder writes."""
    path = Path(str(archive.filename or "archive"))
    found: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        name = _safe_name(info.orig_filename, path)
        if info.is_dir():
            continue
        if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
            raise FormatError("an archive must consist of plain files", f"a link or special file '{name}' in '{path}'",
                              "Do not use this archive.")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise FormatError("an archive must be packed by deflate", f"method {info.compress_type} for '{name}' in "
                              f"'{path}'", "Pack it again as an ordinary zip.")
        if name in found:
            raise FormatError("an archive must hold each file once", f"'{name}' twice in '{path}'", _REMEDY)
        if info.file_size > max(_SMALL_BYTES, _MAX_RATIO * info.compress_size):
            raise FormatError(f"a file may unpack to at most {_MAX_RATIO} times its size",
                              f"{info.compress_size} -> {info.file_size} bytes of '{name}' in '{path}'",
                              "Do not use this archive.")
        found[name] = info
        _check_count(len(found), path)
    return found


def _safe_name(name: str, path: Path) -> str:
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts or "\\" in name or "\0" in name or re.match(r"[A-Za-z]:", name):
        raise FormatError("a path must stay inside its archive", f"{name!r} in '{path}'", "Do not use this archive.")
    return str(pure)


def _check_count(n_files: int, path: Path) -> None:
    if n_files > MAX_FILES:
        raise FormatError(f"a recording must have at most {MAX_FILES} files", f"more in '{path}'",
                          "Give the file or folder of one recording.")


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) in (b"PK\x03\x04", b"PK\x05\x06")


class _Modest(io.BufferedReader):
    """A file that gives no more at once than a zip's directory may have, until that is read."""

    limited = True

    def read(self, size: int | None = -1, /) -> bytes:
        if not self.limited:
            return super().read(size)
        asked = _MAX_DIRECTORY_BYTES + 1 if size is None or size < 0 else min(size, _MAX_DIRECTORY_BYTES + 1)
        data = super().read(asked)
        if len(data) > _MAX_DIRECTORY_BYTES:
            raise zipfile.BadZipFile("a directory that is too large")
        return data


@contextmanager
def _zip(path: Path) -> Iterator[zipfile.ZipFile]:
    with _Modest(io.FileIO(path)) as file, zipfile.ZipFile(file) as archive:
        file.limited = False
        archive.filename = str(path)
        yield archive


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn what the disk and the decompressors raise into errors that name the file."""
    try:
        yield
    except DcdpError:
        raise
    except OSError as err:
        if err.errno not in (None, 22):  # EINVAL: a damaged place in a zip sends the reader before the file's start
            raise StorageError("the recording must be readable", f"'{path}' ({err.strerror})",
                               "Check the disk and its permissions.") from err
        raise not_this(f"'{path}'", "an archive", str(err)) from err
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OverflowError, NotImplementedError,
            UnicodeDecodeError, RuntimeError) as err:  # RuntimeError: a password
        raise not_this(f"'{path}'", "an archive", str(err)) from err


def _too_large(where: str, n_bytes: int, limit: int) -> FormatError:
    return FormatError(f"a recording's file may have at most {limit} bytes", f"{n_bytes} of {where}",
                       "Cut the recording into shorter ones.")
