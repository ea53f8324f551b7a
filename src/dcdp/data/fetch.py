"""Fetch a data set's archive from its official address: resumed, verified, and moved into place only when whole.

The only module that talks to the network.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPHandler, HTTPRedirectHandler, HTTPSHandler, OpenerDirector, ProxyHandler, Request

from filelock import FileLock, Timeout

from dcdp.data.declaration import DataSet, Download
from dcdp.data.digests import TreeDigest, check_digests
from dcdp.data.unpack import read_archive
from dcdp.errors import FormatError, MissingError, NetworkError, StorageError
from dcdp.files import storage_errors, write_text

__all__ = ["Fetched", "fetch_set"]

Progress = Callable[[int, int | None, str], None]
"""Called with (bytes done, bytes in all or None, what is being done)."""

_BLOCK = 1 << 18
_TIMEOUT_S = 60.0
_ATTEMPTS = 5
_SLACK_BYTES = 1 << 24  # an archive may be a little larger than its files: headers, files that are not read
_AGAIN = (429, 500, 502, 503, 504)


@dataclass(frozen=True, slots=True)
class Fetched:
    """An archive in place.

    Attributes
    ----------
    path
        Of the archive.
    sha256
        Of the archive.
    known
        True if its files were compared with known hashes; False where the set has none.
    fresh
        False if it was there already.
    """

    path: Path
    sha256: str
    known: bool
    fresh: bool


@dataclass(frozen=True, slots=True)
class _Version:
    """What the server said of the file that was begun: only the same one is gone on with."""

    url: str
    etag: str | None = None
    last_modified: str | None = None
    n_bytes: int | None = None

    @property
    def validator(self) -> str | None:
        """What ``If-Range`` compares; a weak tag does not promise the same bytes."""
        return self.etag if self.etag and not self.etag.startswith("W/") else self.last_modified


def fetch_set(
    data_set: DataSet, folder: Path, *, pause_s: float = 1.0, progress: Progress | None = None
) -> Fetched:
    """Fetch the archive of a data set into a folder, or verify the one that is there.

    What was fetched so far stays beside it under a hidden name, and the next call goes on from there. Of two calls at
    a time the second is refused.

    Parameters
    ----------
    data_set
        Declares the address, the files and their hashes.
    folder
        Where the archive goes; made if need be.
    pause_s
        Wait before the second attempt, doubled before each further one [s].
    progress
        Called while it is fetched and while it is verified.

    Raises
    ------
    MissingError
        If the set has no address: it has to be fetched by hand.
    NetworkError
        If the address cannot be reached; the message says where a file fetched by hand belongs.
    FormatError
        If the archive is damaged, or its files are not the known ones; it is removed.
    StorageError
        If the disk is full or not writable, or another process is fetching the same file.
    """
    download = data_set.download
    if download is None:
        raise MissingError(f"'{data_set.name}' must have an address to be fetched from", "none",
                           f"Fetch it by hand from {data_set.urls[0]} and put it into '{folder}' ({_names(data_set)}).")
    path = folder / download.filename
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder / f".{path.name}.lock", path):
            if path.exists():
                return _verified(path, data_set, download, progress, fresh=False)
            part = folder / f".fetching.{path.name}"
            _download(data_set, download, part, pause_s, progress)
            try:
                found = _verified(part, data_set, download, progress, fresh=True)
            except FormatError:
                _forget(part)
                raise
            part.replace(path)
            _flush_folder(folder)
            _forget(part)
    return Fetched(path, found.sha256, found.known, fresh=True)


def _verified(
    path: Path, data_set: DataSet, download: Download, progress: Progress | None, *, fresh: bool
) -> Fetched:
    """Read the whole archive; compare it, and the files in it, with what is known."""
    layout = data_set.layout
    tree, n_files = TreeDigest(layout, data_set.file_hash), 0
    for n_files, _ in enumerate(tree.watch(read_archive(path, layout)), start=1):
        if progress is not None:
            progress(n_files, layout.n_files, "verifying")
    if not n_files:
        raise FormatError(f"the archive must hold the files of '{data_set.name}'", f"none in '{path.name}'",
                          f"The address may have moved: see {data_set.urls[0]}.")
    if data_set.digests:
        check_digests(tree.digests(), data_set.digests)
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    if download.sha256 and sha256 != download.sha256:
        raise FormatError("the archive must be the known one", f"sha256 {sha256} of '{path.name}'",
                          "Fetch it again; if it stays so, the published archive has changed.")
    return Fetched(path, sha256, bool(data_set.digests or download.sha256), fresh)


def _download(
    data_set: DataSet, download: Download, part: Path, pause_s: float, progress: Progress | None
) -> None:
    """Fetch what is missing of ``part``; an attempt that got further does not count against the number of attempts."""
    limit = data_set.layout.total_bytes + _SLACK_BYTES
    failed = 0
    while True:
        before = _size(part)
        try:
            _fetch_rest(download.url, part, limit, progress)
            return
        except HTTPError as err:
            err.close()
            reason: Exception = err
            if err.code not in _AGAIN:
                raise _unreachable(data_set, download, part, f"HTTP {err.code} {err.reason}") from err
        except (URLError, HTTPException, TimeoutError, ConnectionError) as err:
            reason = err
            if isinstance(getattr(err, "reason", None), (socket.gaierror, ssl.SSLCertVerificationError)):
                failed = _ATTEMPTS  # offline, or somebody else's server: waiting mends neither
        failed = 1 if _size(part) > before and failed < _ATTEMPTS else failed + 1
        if failed >= _ATTEMPTS:
            raise _unreachable(data_set, download, part, str(getattr(reason, "reason", reason)) or repr(reason))
        time.sleep(min(pause_s * 2 ** (failed - 1), 60.0))


def _fetch_rest(url: str, part: Path, limit: int, progress: Progress | None) -> None:
    begun = _read_version(part)
    have = _size(part) if begun is not None and begun.url == url and begun.validator else 0
    headers = {"User-Agent": "dcdp", "Accept-Encoding": "identity"}
    if have and begun is not None and begun.validator:
        headers |= {"Range": f"bytes={have}-", "If-Range": begun.validator}
    try:
        response = _opener().open(Request(url, headers=headers), timeout=_TIMEOUT_S)
    except HTTPError as err:
        if err.code != 416:  # we have all of it, or more than there is: begin again
            raise
        err.close()
        _forget(part)
        return _fetch_rest(url, part, limit, progress)
    with response:
        start, total = _place(response, have)
        if total is not None and total > limit:
            raise _too_large(f"'{url}'", limit, str(total))
        if start == 0:
            version = _Version(url, response.headers["ETag"], response.headers["Last-Modified"], total)
            write_text(_version_path(part), json.dumps(asdict(version)))
        _append(response, part, start, total, limit, progress)
    return None


def _too_large(what: str, limit: int, got: str) -> FormatError:
    return FormatError(f"{what} may have at most {limit} bytes", got, "This is not the known archive.")


def _place(response: Any, have: int) -> tuple[int, int | None]:
    """Return at which byte the answer begins, and how many the whole file has."""
    if response.status == 206:
        told = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers["Content-Range"] or "")
        if told is None or int(told[1]) != have:
            raise HTTPException(f"asked from byte {have}, got '{response.headers['Content-Range']}'")
        return have, None if told[2] == "*" else int(told[2])
    length = response.headers["Content-Length"]
    return 0, int(length) if length and length.isdecimal() else None


def _append(
    response: Any, part: Path, start: int, total: int | None, limit: int, progress: Progress | None
) -> None:
    with part.open("r+b" if part.exists() else "wb") as file:
        file.truncate(start)
        file.seek(start)
        done = start
        while block := _read(response):
            done += len(block)
            if done > limit:
                raise _too_large(f"'{part.name}'", limit, "more")
            file.write(block)
            if progress is not None:
                progress(done, total, "fetching")
        file.flush()
        os.fsync(file.fileno())
    if total is not None and done != total:
        raise HTTPException(f"{done} of {total} bytes came")


def _read(response: Any) -> bytes:
    """Read a block; a broken connection is told from a full disk, which is an `OSError` as well."""
    try:
        block: bytes = response.read(_BLOCK)
    except OSError as err:
        raise HTTPException(str(err) or repr(err)) from err
    return block


class _NoDowngrade(HTTPRedirectHandler):
    """Follow redirections, but never from https to plain http or to another scheme."""

    def redirect_request(self, req: Request, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Request | None:
        allowed = ("https",) if urlsplit(req.full_url).scheme == "https" else ("http", "https")
        if urlsplit(newurl).scheme not in allowed:
            raise URLError(f"redirected to '{newurl}', which is not allowed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> OpenerDirector:
    """Return an opener for http and https alone: no files, no ftp, whatever a server says."""
    from urllib.request import HTTPDefaultErrorHandler, HTTPErrorProcessor

    opener = OpenerDirector()
    for handler in (ProxyHandler(), HTTPHandler(), HTTPSHandler(), _NoDowngrade(), HTTPDefaultErrorHandler(),
                    HTTPErrorProcessor()):
        opener.add_handler(handler)
    return opener


@contextmanager
def _alone(lock: Path, path: Path) -> Iterator[None]:
    """Hold the lock of a download; it falls when its process ends, however it ends."""
    try:
        with FileLock(lock, timeout=0):
            yield
    except Timeout as err:
        raise StorageError("a file is fetched by one process at a time", f"another one at work on '{path}'",
                           "Wait until it has finished.") from err


def _version_path(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _read_version(part: Path) -> _Version | None:
    try:
        return _Version(**json.loads(_version_path(part).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _size(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    _version_path(part).unlink(missing_ok=True)


def _flush_folder(folder: Path) -> None:
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _names(data_set: DataSet) -> str:
    return " or ".join(f"'{name}'" for name in data_set.layout.archives)


def _unreachable(data_set: DataSet, download: Download, part: Path, reason: str) -> NetworkError:
    so_far = f" What came so far ({_size(part) / 1e6:.1f} MB) is kept, and gone on with." if _size(part) else ""
    return NetworkError(
        f"'{data_set.name}' must be reachable at {download.url}", reason,
        f"Try again later, or fetch it by hand (see {data_set.urls[0]}) and put it at "
        f"'{part.parent / download.filename}'.{so_far}",
    )
