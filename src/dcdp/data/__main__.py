"""Print the digests of a set, as its declaration holds them: ``python -m dcdp.data NAME FOLDER_OR_ARCHIVE``."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from dcdp.data.archive import open_source
from dcdp.data.digests import TreeDigest
from dcdp.data.registry import get_set
from dcdp.errors import ConfigError

__all__ = ["main"]


def main(arguments: Iterable[str]) -> str:
    """Return the digests of the set NAME in FOLDER_OR_ARCHIVE as lines of a Python dictionary."""
    words = list(arguments)
    if len(words) != 2:
        raise ConfigError("arguments must be NAME FOLDER_OR_ARCHIVE", " ".join(words) or "nothing",
                          "For example: hapt ../shared/data.")
    data_set = get_set(words[0])
    tree = TreeDigest(data_set.layout, data_set.file_hash)
    for _ in tree.watch(open_source(Path(words[1]), data_set.layout)):
        pass
    return "\n".join(f'    "{group}": "{digest}",' for group, digest in tree.digests().items())


if __name__ == "__main__":
    sys.stdout.write(main(sys.argv[1:]) + "\n")
