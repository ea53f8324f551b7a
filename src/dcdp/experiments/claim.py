"""Be alone in a folder: of two processes that write into one, neither would leave what it says."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dcdp.errors import StorageError
from dcdp.files import storage_errors

__all__ = ["claimed_folder", "empty_claimed", "is_vacant"]

_LOCK = ".lock"


@contextmanager
def claimed_folder(folder: Path, taken: StorageError) -> Iterator[None]:
    """Make a folder, and be the only process in it; the system lifts the claim when the process ends, however it ends.

    Parameters
    ----------
    folder
        What is claimed, for this process and those that it starts.
    taken
        Raised if another process has claimed it.

    Raises
    ------
    StorageError
        Also if the disk is full or not writable.
    """
    import filelock

    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        # Without the system's locks there would be a file that outlives a killed process: rather fail.
        lock = filelock.FileLock(folder / _LOCK, fallback_to_soft=False)
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout as err:
            raise taken from err
        try:
            yield
        finally:
            with suppress(OSError):  # Windows removes no open file
                (folder / _LOCK).unlink()  # while it is held: who has opened it meanwhile finds it gone and asks anew
            lock.release()


def empty_claimed(folder: Path) -> None:
    """Remove everything in a claimed folder but the claim."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != _LOCK:
            path.unlink()


def is_vacant(folder: Path) -> bool:
    """Return whether a folder is not there or holds nothing; the claim of a process that was killed is nothing."""
    return not folder.is_dir() or all(path.name == _LOCK for path in folder.iterdir())
