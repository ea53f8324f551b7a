"""Read tar and zip archives front to back, in memory, and refuse what no data set needs.

Nothing is unpacked to disk, so no member can land outside a folder. Links, devices and paths that climb
are refused rather than skipped: an archive that holds them is not the one that was published.
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
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from dcdp.data.layout import Layout
from dcdp.errors import DcdpError, FormatError

__all__ = ["ARCHIVE_SUFFIXES", "read_archive", "special_file", "too_large"]

ARCHIVE_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".zip")
_FETCH = "The archive is truncated or altered: fetch it again."


def read_archive(path: Path, layout: Layout) -> Iterator[tuple[str, bytes]]:
    """Yield ``(relative path, bytes)`` of the files that a layout reads, in the order of the archive.

    Raises
    ------
    FormatError
        For damage, links and special files, paths that climb, files beyond the layout's limits.
    """
    if path.suffix == ".zip":
        return _read_zip(path, layout)
    return _read_tar(path, layout)


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
    """A decompressed stream that refuses to grow beyond a limit, whatever asks for more."""

    def __init__(self, file: io.BufferedIOBase, limit: int, path: Path) -> None:
        self._file, self._left, self._limit, self._path = file, limit, limit, path

    def read(self, size: int) -> bytes:
        data = self._file.read(min(size, self._left + 1))
        self._left -= len(data)
        if self._left < 0:
            raise too_large("the archive", self._limit + 1, self._limit, self._path)
        return data


def _decompressed(path: Path) -> io.BufferedIOBase:
    """Open a tar file's bytes, by what the file is rather than what it is called."""
    with path.open("rb") as file:
        magic = file.read(6)
    if magic.startswith(b"\xfd7zXZ"):
        return lzma.LZMAFile(path)
    if magic.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(path)
    if magic.startswith(b"BZh"):
        return bz2.BZ2File(path)
    return path.open("rb")


def _read_tar(path: Path, layout: Layout) -> Iterator[tuple[str, bytes]]:
    # Headers and padding come on top of the files; 4 KiB a file is ample, and every link in the chain stays bounded.
    limit = layout.total_bytes + 4096 * (layout.n_files + 1000)
    with _damage(path), _decompressed(path) as raw:
        stream = _Bounded(raw, limit, path)
        with tarfile.open(fileobj=stream, mode="r|", bufsize=1 << 20) as archive:  # type: ignore[call-overload]
            for member in archive:
                relative = _tar_member(member, path, layout)
                if relative is not None:
                    file = archive.extractfile(member)
                    data = b"" if file is None else file.read()
                    if len(data) != member.size:
                        raise FormatError("an archive must be whole", f"'{member.name}' cut short in '{path}'", _FETCH)
                    yield relative, data
        while stream.read(1 << 20):  # to the end: the checksum of the compressed stream comes last
            pass


def _tar_member(member: tarfile.TarInfo, path: Path, layout: Layout) -> str | None:
    """Check one member; return the path under which it is read, or None if it is not."""
    name = _safe_name(member.name, path)
    if member.isdir():
        return None
    if not member.isfile() or member.issparse():
        kind = "a link" if member.issym() or member.islnk() else "a special file"
        raise special_file(name, kind, path)
    if member.size > layout.file_bytes:
        raise too_large(name, member.size, layout.file_bytes, path)
    return layout.relative(name)


def _read_zip(path: Path, layout: Layout) -> Iterator[tuple[str, bytes]]:
    left = layout.total_bytes
    with _damage(path), zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            relative = _zip_member(member, path, layout)
            left -= member.file_size
            if left < 0:
                raise too_large("the archive", layout.total_bytes - left, layout.total_bytes, path)
            if relative is not None:
                # zipfile never returns more than the declared size, which the limits above have seen
                yield relative, archive.read(member)


def _zip_member(member: zipfile.ZipInfo, path: Path, layout: Layout) -> str | None:
    """Check one member; return the path under which it is read, or None if it is not."""
    name = _safe_name(member.orig_filename, path)
    if member.is_dir():
        return None
    mode = member.external_attr >> 16
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        raise special_file(name, "a link or special file", path)
    if member.flag_bits & 1:
        raise special_file(name, "the encrypted file", path)
    if member.file_size > layout.file_bytes:
        raise too_large(name, member.file_size, layout.file_bytes, path)
    return layout.relative(name)
