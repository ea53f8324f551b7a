"""``dcdp data describe``: write a first description of a folder of recordings."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

__all__ = ["describe"]


def describe(
    folder: Path, /, *, out: Path | None = None, force: Annotated[bool, Parameter(negative="")] = False
) -> None:
    """Look at a folder of recordings and write a first description of it, marked where it guesses.

    Parameters
    ----------
    folder
        Folder with CSV, TSV, Parquet or Feather files, or with the files of a recorder.
    out
        TOML file to write; FOLDER/dcdp.toml if left out. It must lie in the folder, or above it.
    force
        Replace a description that is there.
    """
    from dcdp.cli.summary import print_lines, print_table
    from dcdp.data.own import DESCRIPTION_NAME
    from dcdp.data.own.draft import describe as draft_of
    from dcdp.errors import ConfigError
    from dcdp.files import write_text

    path = out or folder / DESCRIPTION_NAME
    if path.suffix != ".toml":
        raise ConfigError("a description must be a TOML file", f"'{path}'", "Give a name that ends in .toml.")
    if path.resolve().parent != folder.resolve():
        raise ConfigError("a description lies in the folder that it describes", f"'{path}'", "Leave --out out.")
    if path.exists() and not force:
        raise ConfigError("a description must not be overwritten", f"'{path}'", "Replace it with --force.")
    draft = draft_of(folder)
    print_table(["device", "files", "rate", "signals"], draft.devices)
    if draft.unsure:
        print_lines("Unsure (marked in the file):", *(f"  {doubt}" for doubt in draft.unsure), "")
    if draft.left_out:
        print_lines("Not described:", *(f"  {reason}" for reason in draft.left_out), "")
    write_text(path, draft.toml)
    again = shlex.quote(str(path))
    print_lines(f"wrote {path}", "", "Read it, correct it, then:", f"  dcdp data info {again}",
                f"  dcdp data check {again}", f"  dcdp train {again}")
