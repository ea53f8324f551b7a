"""Match the paths of a folder against patterns that name what their parts mean: ``{subject}/phone_{session}.csv``."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from dcdp.errors import ConfigError, FormatError, MissingError

__all__ = ["MAX_PATHS", "Match", "list_paths", "match_path", "match_paths", "pattern_fields"]

MAX_PATHS = 200_000
"""Files and folders below one folder beyond which it is refused."""

_TOKEN = re.compile(r"\{([^{}]*)\}|(\*\*/)|(\*\*)|(\*)|(\?)")
_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Match:
    """A path, relative to its folder with forward slashes, and what its parts say: field -> text."""

    path: str
    fields: Mapping[str, str]


def pattern_fields(pattern: str) -> tuple[str, ...]:
    """Return the fields that a pattern names, in order.

    Raises
    ------
    ConfigError
        If the pattern leaves its folder, or a field has no plain name.

    Examples
    --------
    >>> pattern_fields("{subject}/*_{session}.csv")
    ('subject', 'session')
    """
    parts = pattern.split("/")
    if not pattern or ".." in parts or "\\" in pattern or re.match(r"[/~]|[A-Za-z]:", pattern):
        raise ConfigError("a path must lie inside the folder of the description", f"'{pattern}'",
                          "Give it relative to that folder, with forward slashes.")
    names = [match[1] for match in _TOKEN.finditer(pattern) if match[1] is not None]
    for name in names:
        if not _NAME.fullmatch(name):
            raise ConfigError("a field of a path must have a plain name", f"'{{{name}}}' in '{pattern}'",
                              "Write for example {subject}, in small letters.")
    if re.search(r"[{}]", _TOKEN.sub("", pattern)):
        raise ConfigError("the braces of a path must come in pairs", f"'{pattern}'", "Write for example {subject}.")
    return tuple(dict.fromkeys(names))


def list_paths(folder: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return files and folders below a folder, sorted, as relative paths; hidden ones are left out.

    Raises
    ------
    MissingError
        If there is no such folder.
    FormatError
        If there are more than `MAX_PATHS`.
    """
    if not folder.is_dir():
        raise MissingError("the folder of recordings must exist", f"'{folder}'", "Check the path.")
    files: list[str] = []
    folders: list[str] = []
    for here, below, names in os.walk(folder):
        below[:] = sorted(name for name in below if not name.startswith("."))
        base = Path(here).relative_to(folder).as_posix()
        start = "" if base == "." else f"{base}/"
        folders += [start + name for name in below]
        files += [start + name for name in names if not name.startswith(".")]
        if len(files) + len(folders) > MAX_PATHS:
            raise FormatError(f"a folder of recordings may hold at most {MAX_PATHS} files", f"more in '{folder}'",
                              "Give a folder that holds the recordings alone.")
    return tuple(sorted(files)), tuple(sorted(folders))


def match_paths(folder: Path, pattern: str, paths: tuple[str, ...]) -> Iterator[Match]:
    """Yield the paths that fit a pattern.

    Raises
    ------
    FormatError
        If a path is a link that leaves the folder.
    """
    root = folder.resolve()
    for path in paths:
        fields = match_path(pattern, path)
        if fields is None:
            continue
        if not (folder / path).resolve().is_relative_to(root):
            raise FormatError("a recording must lie inside the folder of its description",
                              f"the link '{folder / path}'", "Copy the file there.")
        yield Match(path, fields)


def match_path(pattern: str, path: str) -> dict[str, str] | None:
    """Return what the parts of a path say, or None if it does not fit.

    Examples
    --------
    >>> match_path("{subject}/phone_{session}.csv", "s01/phone_2.csv")
    {'subject': 's01', 'session': '2'}
    """
    found = _compiled(pattern).fullmatch(path)
    return None if found is None else found.groupdict()


@lru_cache(maxsize=64)
def _compiled(pattern: str) -> re.Pattern[str]:
    """Return a pattern as a regular expression: ``*`` within a name, ``**`` across folders, ``{x}`` as a group."""
    pattern_fields(pattern)
    built, last = [], 0
    seen: set[str] = set()
    for token in _TOKEN.finditer(pattern):
        built.append(re.escape(pattern[last : token.start()]))
        last = token.end()
        if token[1] is not None:
            built.append(f"(?P={token[1]})" if token[1] in seen else f"(?P<{token[1]}>[^/]+?)")
            seen.add(token[1])
        elif token[2]:
            built.append("(?:[^/]+/)*")
        else:
            built.append({"**": ".*", "*": "[^/]*", "?": "[^/]"}[token[0]])
    return re.compile("".join(built) + re.escape(pattern[last:]), re.DOTALL)
