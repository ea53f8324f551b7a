"""``dcdp features``: write the statistics of every window as a table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from dcdp.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dcdp.data import Store
    from dcdp.records import Windows

__all__ = ["features"]

_SUFFIXES = (".parquet", ".csv")


def features(
    name: str,
    /,
    *,
    out: Path = Path("features.parquet"),
    data: Path | None = None,
    window_s: float = 3.0,
    stride_s: float = 1.5,
    null: Literal["drop", "keep"] = "drop",
    statistics: Literal["base", "extended"] = "extended",
    force: Annotated[bool, Parameter(negative="")] = False,
    unverified: Annotated[bool, Parameter(negative="")] = False,
    cache: Path | None = None,
) -> None:
    """Write subject, recording, start, label and named statistics of every window as a table.

    Parameters
    ----------
    name
        Data set (see dcdp data list), description of own recordings (FILE.toml), or synthetic.
    out
        File to write, Parquet or CSV. A statistic of a sensor that is absent from a window is NaN.
    data
        Folder with the archives, or with the unpacked data set.
    window_s
        Length of a window [s].
    stride_s
        Hop between the starts of two windows [s].
    null
        Whether windows of no activity are dropped, or kept as a class of their own.
    statistics
        base: what the network reads; extended: with kurtosis, energy, correlations between sensors and others.
    force
        Replace the file if it is there.
    unverified
        Accept files whose hashes are not the known ones.
    cache
        Folder for parsed recordings.
    """
    _require_new(out, force)

    from rich.console import Console
    from rich.progress import Progress

    from dcdp.cli.summary import print_lines
    from dcdp.experiments.source import load
    from dcdp.models.features import extract_features
    from dcdp.signals.windows import WindowConfig, cut_windows

    config = WindowConfig(window_s=window_s, stride_s=stride_s, null=null)
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"reading {name}", total=None)

        def report(done: int, total: int, text: str) -> None:
            bar.update(task, completed=done, total=total, description=text)

        source = load(name, data, cache=cache, verify=not unverified, progress=report)
        windows = cut_windows(source.store, config, progress=report)
        values, names = extract_features(source.store, windows, statistics, progress=report)
    write_table(out, source.store, windows, values, names)
    print_lines(f"{len(windows)} windows, {len(names)} features", f"table  {out}")


def write_table(
    path: Path, store: Store, windows: Windows, values: NDArray[np.float32], names: tuple[str, ...]
) -> None:
    """Write one row for each window, atomically.

    Raises
    ------
    StorageError
        If the disk is full or not writable.
    """
    import numpy as np
    import polars as pl

    from dcdp.files import atomic_path

    recordings = np.array([entry.name for entry in store.recordings])
    labels = np.array([*windows.label_set.names, None], dtype=object)  # -1, unknown, is the last
    facts = {
        "subject": windows.subject,
        "recording": recordings[windows.recording],
        "start_s": windows.start_s,
        "label": pl.Series(labels[windows.label].tolist(), dtype=pl.String),
    }
    table = pl.DataFrame(facts).hstack(pl.from_numpy(values, schema=list(names), orient="row"))
    with atomic_path(path) as temporary:
        if path.suffix == ".csv":
            table.write_csv(temporary)
        else:
            table.write_parquet(temporary)


def _require_new(path: Path, force: bool) -> None:
    """Refuse, before anything slow starts, a file that cannot or should not be written."""
    if path.suffix not in _SUFFIXES:
        raise ConfigError(f"a table must end in {' or '.join(_SUFFIXES)}", f"'{path}'", "Choose another with --out.")
    if path.exists() and not force:
        raise ConfigError("a table must be a new file", f"'{path}'", "Replace it (--force) or choose another (--out).")
