"""Read tar and zip archives front to back, in memory, and refuse what no data set needs.

Nothing is unpacked to disk, so no member can land outside a folder. Links, devices and paths that climb
are refused rather than skipped: an archive that holds them is not the one that was published.

Archives inside archives are opened in memory as well, where the layout knows them, to a small depth. A member of one
has its path behind that of the archive (``proband1/data/acc_walking_csv.zip/acc_walking_chest.csv``), so that a
set is the same whether its inner archives were unpacked or not. All levels together stay within one `Budget`.
"""

from __future__ import annotations

import bz2
import errno
import gzip
import io
import lzma
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from dcdp.data.layout import Layout
from dcdp.errors import DcdpError, FormatError

__all__ = ["ARCHIVE_SUFFIXES", "Budget", "opens_in_folder", "read_archive", "special_file", "too_large"]

ARCHIVE_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".zip")
_DEPTH = 3
_MEMBERS = 10  # a set has other files beside those that are read: readmes, pictures, what an operating system leaves
_END_BYTES = 1 << 17  # a zip file ends with its end record (22, before it 76 of zip64) and a comment of up to 64 KiB
_ENTRY_BYTES = 1024  # of a member in the table of contents of a zip file: 46, its path, its time stamps

Members = Generator[tuple[str, bytes], None, None]
"""Name and bytes of each member that is wanted."""

_FETCH = "The archive is truncated or altered: fetch it again."


class Budget:
    """What may still be read of a set, over all archives in it.

    Attributes
    ----------
    layout
        Sets the limits.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._bytes = layout.total_bytes
        # Headers and padding of tar files come on top of the files; 4 KiB a file is ample.
        self._stream = layout.total_bytes + 4096 * (layout.n_files + 1000)
        self._members = _MEMBERS * (layout.n_files + 1000)

    def take(self, n_bytes: int, path: Path) -> None:
        """Count one member of so many bytes.

        Raises
        ------
        FormatError
            If these are more bytes, or more members, than a set may have.
        """
        self._bytes -= n_bytes
        self._members -= 1
        if self._bytes < 0:
            total = self.layout.total_bytes
            raise too_large("the archive", total - self._bytes, total, path)
        if self._members < 0:
            raise self._too_many(path)

    def take_directory(self, n_bytes: int, path: Path) -> None:
        """Refuse the table of contents of a zip file before it is read, if it must list too many members."""
        if n_bytes > _ENTRY_BYTES * self._members:
            raise self._too_many(path)

    def _too_many(self, path: Path) -> FormatError:
        return FormatError("a set must have no more members than its files explain",
                           f"more than {_MEMBERS * (self.layout.n_files + 1000)} in '{path}'",
                           "This is not the known archive; fetch it from its original place.")

    def read(self, file: io.BufferedIOBase, size: int, path: Path) -> bytes:
        """Read from a decompressed stream, which refuses to grow beyond the limit, whatever asks for more."""
        data = file.read(min(size, self._stream + 1))
        self._stream -= len(data)
        if self._stream < 0:
            raise too_large("the archive", self.layout.total_bytes + 1, self.layout.total_bytes, path)
        return data


def read_archive(
    path: Path, layout: Layout, budget: Budget | None = None, prefix: str = ""
) -> Iterator[tuple[str, bytes]]:
    """Yield ``(relative path, bytes)`` of the files that a layout reads, in the order of the archive.

    Parameters
    ----------
    path
        Of the archive.
    layout
        Of the set.
    budget
        Shared with other archives of the set. None is a whole one.
    prefix
        Path of the archive below its data folder, if paths continue from there.

    Raises
    ------
    FormatError
        For damage, links and special files, paths that climb, files beyond the layout's limits, archives in archives
        deeper than any set has them.
    """
    with path.open("rb") as file:
        yield from _read_members(file, path, prefix, budget or Budget(layout), 1 if prefix else 0)


def opens_in_folder(path: str, layout: Layout) -> bool:
    """Say whether an archive below a data folder holds files of the set."""
    return layout.nested is not None and path.endswith(ARCHIVE_SUFFIXES) and _ends_in(path, layout.nested)


def _opens_in_archive(path: str, layout: Layout) -> bool:
    return opens_in_folder(path, layout) or (
        path.endswith(ARCHIVE_SUFFIXES) and PurePosixPath(path).name in layout.archives
    )


def _ends_in(path: str, pattern: re.Pattern[str]) -> bool:
    match = pattern.search(path)
    return match is not None and (match.start() == 0 or path[match.start() - 1] == "/")


def _read_members(
    file: BinaryIO, path: Path, prefix: str, budget: Budget, depth: int
) -> Iterator[tuple[str, bytes]]:
    """Yield what the layout reads of an archive and of those in it.

    Parameters
    ----------
    path
        For messages.
    prefix
        Of the paths inside.
    depth
        Archives around this one.
    """
    if depth > _DEPTH:
        raise FormatError(f"archives may lie at most {_DEPTH} deep in each other", f"'{path}'",
                          "Do not use this archive; fetch it from its original place.")
    members = _zip_members if path.suffix == ".zip" else _tar_members
    layout = budget.layout
    with _damage(path), closing(members(file, path, prefix, budget)) as read:
        for name, data in read:
            inside = f"{prefix}/{name}" if prefix else name
            if (relative := layout.relative(inside)) is not None:
                yield relative, data
            else:
                yield from _read_members(io.BytesIO(data), path / name, inside, budget, depth + 1)


def _wanted(name: str, prefix: str, layout: Layout) -> bool:
    inside = f"{prefix}/{name}" if prefix else name
    return layout.relative(inside) is not None or _opens_in_archive(inside, layout)


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    """Turn what the decompressors raise on damaged bytes into one error that names the file."""
    try:
        yield
    except DcdpError:
        raise
    except OSError as err:
        # The disk's own errors speak for themselves. Damage in gzip and bz2 has no number, and a damaged place in
        # a zip sends the reader before the file's start (EINVAL).
        if err.errno not in (None, errno.EINVAL):
            raise
        raise FormatError("an archive must be whole", f"'{path}' ({err})", _FETCH) from err
    except (tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, zlib.error, struct.error, EOFError, OverflowError,
            RuntimeError, ValueError) as err:  # RuntimeError: damage that reads as a password or an unknown method
        raise FormatError("an archive must be whole", f"'{path}' ({err})", _FETCH) from err


def _safe_name(name: str, path: Path) -> str:
    """Return a member's name if it stays below the archive's root.

    Raises
    ------
    FormatError
        If it is absolute, climbs, or hides a drive or a backslash.
    """
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts or "\\" in name or "\0" in name or re.match(r"[A-Za-z]:", name):
        raise FormatError("a path must stay inside its archive", f"'{name}' in '{path}'",
                          "Do not use this archive; fetch it from its original place.")
    return str(pure)


def special_file(name: str, kind: str, path: Path) -> FormatError:
    """Return the error for what is not a plain file."""
    return FormatError("a data set must consist of plain files", f"{kind} '{name}' in '{path}'",
                       "Do not use this archive; fetch it from its original place.")


def too_large(name: str, n_bytes: int, limit: int, path: Path) -> FormatError:
    """Return the error for a file, or all of them, beyond the declared limit."""
    return FormatError(f"'{name}' may unpack to at most {limit} bytes", f"{n_bytes} or more in '{path}'",
                       "This is not the known archive; fetch it from its original place.")


class _Bounded:
    """A decompressed stream within a budget."""

    def __init__(self, file: io.BufferedIOBase, budget: Budget, path: Path) -> None:
        self._file, self._budget, self._path = file, budget, path

    def read(self, size: int) -> bytes:
        return self._budget.read(self._file, size, self._path)


def _decompressed(file: BinaryIO) -> io.BufferedIOBase:
    """Open a tar file's bytes, by what the file is rather than what it is called."""
    magic = file.read(6)
    file.seek(0)
    if magic.startswith(b"\xfd7zXZ"):
        return lzma.LZMAFile(file)
    if magic.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=file)
    if magic.startswith(b"BZh"):
        return bz2.BZ2File(file)
    return file  # type: ignore[return-value]  # read() is all that is asked of it


def _tar_members(file: BinaryIO, path: Path, prefix: str, budget: Budget) -> Members:
    stream = _Bounded(_decompressed(file), budget, path)
    with tarfile.open(fileobj=stream, mode="r|", bufsize=1 << 20) as archive:  # type: ignore[call-overload]
        for member in archive:
            name = _tar_name(member, path, budget)
            if name is not None and _wanted(name, prefix, budget.layout):
                opened = archive.extractfile(member)
                data = b"" if opened is None else opened.read()
                if len(data) != member.size:
                    raise FormatError("an archive must be whole", f"'{member.name}' cut short in '{path}'", _FETCH)
                yield name, data
    while stream.read(1 << 20):  # to the end: the checksum of the compressed stream comes last
        pass


def _tar_name(member: tarfile.TarInfo, path: Path, budget: Budget) -> str | None:
    """Check one member; return its name, or None for a folder."""
    name = _safe_name(member.name, path)
    if not member.isdir() and (not member.isfile() or member.issparse()):
        kind = "a link" if member.issym() or member.islnk() else "a special file"
        raise special_file(name, kind, path)
    return _counted(name, member.size, path, budget, is_folder=member.isdir())


def _zip_members(file: BinaryIO, path: Path, prefix: str, budget: Budget) -> Members:
    budget.take_directory(_directory_bytes(file), path)
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            name = _zip_name(member, path, budget)
            if name is not None and _wanted(name, prefix, budget.layout):
                # zipfile never returns more than the declared size, which the limits above have seen
                yield name, archive.read(member)


def _directory_bytes(file: BinaryIO) -> int:
    """Return the size of a zip file's table of contents, of which zipfile makes objects all at once."""
    end = file.seek(0, io.SEEK_END)
    file.seek(max(0, end - _END_BYTES))
    tail = file.read()
    file.seek(0)
    place = tail.rfind(b"PK\x05\x06")
    if place < 0 or place + 22 > len(tail):
        return 0  # no zip file, as zipfile is about to say
    (n_bytes,) = struct.unpack_from("<L", tail, place + 12)
    if place >= 76 and tail.startswith(b"PK\x06\x07", place - 20):  # zip64: the true size stands further up
        (n_bytes,) = struct.unpack_from("<Q", tail, place - 36)
    return int(n_bytes)


def _zip_name(member: zipfile.ZipInfo, path: Path, budget: Budget) -> str | None:
    """Check one member; return its name, or None for a folder."""
    name = _safe_name(member.orig_filename, path)
    if not member.is_dir():
        mode = member.external_attr >> 16
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
            raise special_file(name, "a link or special file", path)
        if member.flag_bits & 1:
            raise special_file(name, "the encrypted file", path)
    return _counted(name, member.file_size, path, budget, is_folder=member.is_dir())


def _counted(name: str, n_bytes: int, path: Path, budget: Budget, *, is_folder: bool) -> str | None:
    if not is_folder and n_bytes > budget.layout.file_bytes:
        raise too_large(name, n_bytes, budget.layout.file_bytes, path)
    budget.take(n_bytes, path)
    return None if is_folder else name
