"""Recordings of one's own: a folder of files, and a TOML file that says what is in them."""

from __future__ import annotations

from dcdp.data.own.branches import default_branches
from dcdp.data.own.cache import OwnSet, open_own
from dcdp.data.own.description import DESCRIPTION_NAME, Description
from dcdp.data.own.description_file import description_path, is_description, load_description
from dcdp.data.own.like import read_like, read_named
from dcdp.data.own.notes import summarise_notes
from dcdp.data.own.recordings import read_own

__all__ = [
    "DESCRIPTION_NAME",
    "Description",
    "OwnSet",
    "default_branches",
    "description_path",
    "is_description",
    "load_description",
    "open_own",
    "read_like",
    "read_named",
    "read_own",
    "summarise_notes",
]
