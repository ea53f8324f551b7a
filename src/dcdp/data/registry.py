"""Name the data sets, and open them: parsed once into a cache, only mapped from then on."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from dcdp.data.archive import Source, open_source
from dcdp.data.declaration import DataSet, Files
from dcdp.data.digests import TreeDigest, check_digests
from dcdp.data.sets import (
    DSADS,
    HAPT,
    HUGADB,
    MHEALTH,
    MOTIONSENSE,
    OPPORTUNITY_GESTURES,
    OPPORTUNITY_LOCOMOTION,
    PAMAP2,
    REALWORLD,
    SHOAIB,
    UCIHAR,
    USCHAD,
    WISDM,
)
from dcdp.data.store import GAP_S, Store
from dcdp.data.writer import write_lock
from dcdp.errors import FormatError, MissingError, unknown_name
from dcdp.records import Recording

__all__ = ["Progress", "cache_folder", "data_folder", "get_set", "list_sets", "open_set", "write_set"]

SETS = (
    DSADS,
    HAPT,
    HUGADB,
    MHEALTH,
    MOTIONSENSE,
    OPPORTUNITY_GESTURES,
    OPPORTUNITY_LOCOMOTION,
    PAMAP2,
    REALWORLD,
    SHOAIB,
    UCIHAR,
    USCHAD,
    WISDM,
)

Progress = Callable[[int, int, str], None]
"""Called with (files done, files in all, what is being done)."""


def list_sets() -> tuple[str, ...]:
    """Return the names of the data sets, sorted."""
    return tuple(sorted(data_set.name for data_set in SETS))


def get_set(name: str) -> DataSet:
    """Return the declaration of a data set.

    Raises
    ------
    ConfigError
        If there is none of this name.
    """
    for data_set in SETS:
        if data_set.name == name:
            return data_set
    raise unknown_name("data set", name, list_sets())


def open_set(
    name: str,
    data: Path | None = None,
    cache: Path | None = None,
    *,
    verify: bool = True,
    gap_s: float = GAP_S,
    progress: Progress | None = None,
) -> Store:
    """Open a data set; the first time, parse its files into the cache.

    Parameters
    ----------
    data
        The archive, the unpacked folder, or a folder that holds either. None looks in `data_folder` and, once
        the set is cached, is enough.
    cache
        Where stores are kept. None is ``$DCDP_CACHE``, or ``~/.cache/dcdp``.
    verify
        False takes files that are not the known ones; they get a store of their own.
    gap_s
        Longest gap over which the last value is held [s].

    Raises
    ------
    ConfigError
        If the name is unknown.
    MissingError
        If the set is neither in the cache nor in ``data``.
    FormatError
        If the files are damaged, or not the known ones.
    StorageError
        If the cache has no room or is not writable.
    """
    data_set = get_set(name)
    if data is None and data_folder().exists():
        data = data_folder()
    folder = (cache or cache_folder()) / _cache_key(data_set, data, verify, gap_s)
    try:
        return Store.open(folder)
    except (MissingError, FormatError):  # not parsed yet, or damaged since
        if data is None:
            raise _no_data(data_set) from None
    source = open_source(data, data_set.layout)

    def waiting() -> None:
        if progress is not None:
            progress(0, data_set.layout.n_files, f"waiting for another process that reads {name}")

    with write_lock(folder, math.inf, waiting):
        with suppress(MissingError, FormatError):  # another process may have made it meanwhile
            return Store.open(folder)
        write_set(folder, data_set, source, verify=verify, gap_s=gap_s, progress=progress)
        return Store.open(folder)


def write_set(
    folder: Path,
    data_set: DataSet,
    source: Source,
    *,
    verify: bool = True,
    gap_s: float = GAP_S,
    progress: Progress | None = None,
) -> None:
    """Parse the files of a set into a store; nothing remains if they turn out to be damaged or unknown.

    Raises
    ------
    FormatError, StorageError
        As `open_set`.
    """
    recordings = _verified(data_set, source, verify, progress)
    Store.write(folder, data_set.spec, data_set.labels, recordings, gap_s)


def data_folder() -> Path:
    """Return the folder of the original archives: ``$DCDP_DATA``, or ``original`` below the cache."""
    return Path(os.environ.get("DCDP_DATA") or cache_folder() / "original")


def cache_folder() -> Path:
    """Return the folder of the stores: ``$DCDP_CACHE``, or ``~/.cache/dcdp``."""
    return Path(os.environ.get("DCDP_CACHE") or Path.home() / ".cache" / "dcdp")


def _verified(data_set: DataSet, source: Source, verify: bool, progress: Progress | None) -> Iterator[Recording]:
    """Yield the parsed recordings; raise after the last if the files were not the known ones."""
    if not (verify and data_set.digests):
        yield from data_set.parse(_counted(source, data_set, progress))
        return
    tree = TreeDigest(data_set.layout, data_set.file_hash)
    yield from data_set.parse(tree.watch(_counted(source, data_set, progress)))
    check_digests(tree.digests(), data_set.digests)


def _counted(files: Files, data_set: DataSet, progress: Progress | None) -> Iterator[tuple[str, bytes]]:
    for done, file in enumerate(files, 1):
        yield file
        if progress is not None:
            progress(done, max(done, data_set.layout.n_files), f"reading {data_set.name}")


def _cache_key(data_set: DataSet, data: Path | None, verify: bool, gap_s: float) -> str:
    """Name a store by all that decides what is in it."""
    if verify and data_set.digests:
        known = "".join(f"{group}{digest}" for group, digest in sorted(data_set.digests.items()))
        state = "verified"
    else:
        known = str(data.resolve() if data else None)
        state = "unverified"
    digest = hashlib.sha256(f"{known} {gap_s}".encode()).hexdigest()[:12]
    return f"{data_set.name}-v{data_set.version}-{state}-{digest}"


def _no_data(data_set: DataSet) -> MissingError:
    return MissingError(
        f"'{data_set.name}' must be in the cache or in a data folder",
        f"neither in '{cache_folder()}' nor a data folder",
        f"Download it from {data_set.urls[0]} and give its folder or archive (--data, or $DCDP_DATA).",
    )
