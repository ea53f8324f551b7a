"""Know a data set by the hashes of its files: one sha256 for each group (a subject, a part of the set, the labels)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Literal

from dcdp.data.declaration import Files, subject_name
from dcdp.data.layout import Layout
from dcdp.errors import FormatError

__all__ = ["TreeDigest", "check_digests"]

SHARED_GROUP = "labels"
"""Group of the files that belong to no single subject and no part of the set."""


class TreeDigest:
    r"""Hash files while they pass by on their way to a parser.

    Examples
    --------
    >>> import re
    >>> layout = Layout(re.compile(r"s(?P<subject>\d)\.txt\Z"), "", (), (), 1, 9, 9)
    >>> tree = TreeDigest(layout)
    >>> list(tree.watch([("s1.txt", b"1 2")]))
    [('s1.txt', b'1 2')]
    >>> tree.digests()["s01"][:8]
    '6fb0544d'
    """

    def __init__(self, layout: Layout, file_hash: Literal["sha256", "git_blob_sha1"] = "sha256") -> None:
        self._layout = layout
        self._hash = _sha256 if file_hash == "sha256" else _git_blob_sha1
        self._hashes: dict[str, dict[str, str]] = {}

    def watch(self, files: Files) -> Iterator[tuple[str, bytes]]:
        """Pass files through, hashing each."""
        for path, data in files:
            named = self._named(path)
            if not named.get("unverified"):
                self._hashes.setdefault(_group(named), {})[path] = self._hash(data)
            yield path, data

    def digests(self) -> dict[str, str]:
        """Return group -> sha256 over its sorted lines of path, NUL, hash of the file, newline."""
        return {group: _tree_digest(self._hashes[group]) for group in sorted(self._hashes)}

    def _named(self, path: str) -> dict[str, str | None]:
        match = self._layout.pattern.search(path)
        return match.groupdict() if match else {}


def _group(named: Mapping[str, str | None]) -> str:
    if (subject := named.get("subject")) is not None:
        return subject_name(subject)
    return named.get("part") or SHARED_GROUP


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _git_blob_sha1(data: bytes) -> str:
    """Hash a file as git names its content; enough to tell damage, not forgery."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _tree_digest(hashes: Mapping[str, str]) -> str:
    lines = "".join(f"{path}\0{hashes[path]}\n" for path in sorted(hashes))
    return hashlib.sha256(lines.encode()).hexdigest()


def check_digests(found: Mapping[str, str], expected: Mapping[str, str]) -> None:
    """Refuse files that are not the known ones.

    Raises
    ------
    FormatError
        Naming the groups with missing, surplus or altered files.
    """
    altered = sorted(group for group in {*found, *expected} if found.get(group) != expected.get(group))
    if not altered:
        return
    raise FormatError("the files must be the known ones", f"altered, missing or surplus files of {', '.join(altered)}",
                      "Fetch the set again, or pass verify=False (--unverified) if you trust these files.")
