"""Fill a folder under another name and rename it when it is whole."""

from __future__ import annotations

import os
import platform
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dcdp.files import storage_errors

__all__ = ["atomic_folder", "clean_partial"]

_SUFFIX = ".partial"


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``path``; rename it into place on success, remove it on failure.

    What killed runs left beside ``path`` is removed first. A folder that is already there is replaced.

    Raises
    ------
    StorageError
        If the disk is full or not writable.
    """
    path = Path(path)
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        clean_partial(path)
        temporary = path.with_name(f".{path.name}.{_machine()}.{os.getpid()}.{secrets.token_hex(4)}{_SUFFIX}")
        temporary.mkdir()
        try:
            yield temporary
            for file in temporary.iterdir():
                _flush(file)
            _replace(temporary, path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def clean_partial(path: Path) -> None:
    """Remove the temporary folders of ``path`` whose process on this machine no longer runs."""
    for left in path.parent.glob(f".{path.name}.{_machine()}.*{_SUFFIX}"):
        if not _runs(int(left.name.split(".")[-3])):
            shutil.rmtree(left, ignore_errors=True)


def _machine() -> str:
    return "".join(letter for letter in platform.node() if letter.isalnum()) or "local"


def _runs(process: int) -> bool:
    if os.name != "posix":  # elsewhere signal 0 is not a question
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _flush(file: Path) -> None:
    with file.open("rb") as opened:
        os.fsync(opened.fileno())


def _replace(temporary: Path, path: Path) -> None:
    """Rename over a folder: a folder that holds files cannot be renamed over, so it steps aside first."""
    aside = temporary.with_name(temporary.name.removesuffix(_SUFFIX) + "0" + _SUFFIX)
    if path.exists():
        path.rename(aside)
    temporary.rename(path)
    shutil.rmtree(aside, ignore_errors=True)
