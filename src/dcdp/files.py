"""Write files so that nothing half-written is ever seen: temporary name, flush, then rename."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dcdp.errors import StorageError

__all__ = ["atomic_path", "storage_errors", "write_text"]


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn a full or forbidden disk into a `StorageError` that names the path and the remedy."""
    try:
        yield
    except OSError as err:
        if err.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise StorageError("the disk must have room", f"no space left for '{path}'",
                               "Free some space or choose another folder.") from err
        if err.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
            raise StorageError("the folder must be writable", f"no permission for '{path}'",
                               "Choose a folder that you may write to.") from err
        raise


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it into place on success, remove it on failure.

    Raises
    ------
    StorageError
        If the disk is full or not writable.
    """
    path = Path(path)
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}{path.suffix}")
        temporary.touch(exist_ok=False)
        try:
            yield temporary
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
