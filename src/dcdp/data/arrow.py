"""Look an Arrow file over before polars reads it: every batch and buffer must lie inside the file.

polars panics on offsets that point outside, in threads of its own, and may then wait for ever.

References
----------
Apache Arrow columnar format: IPC file format (footer, blocks, messages), `File.fbs`, `Message.fbs`; FlatBuffers
internals (tables, vtables, vectors).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

__all__ = ["arrow_damage"]

_MAGIC = b"ARROW1"
_FOOTER_DICTIONARIES, _FOOTER_BATCHES = 2, 3
_MESSAGE_KIND, _MESSAGE_HEADER = 1, 2
_DICTIONARY, _BATCH = 2, 3
_BUFFERS, _DICTIONARY_DATA = 2, 1
_MAX_FOOTER_BYTES = 2**26


class _Outside(Exception):  # noqa: N818 - never leaves this module
    """What points outside, in words."""


class _Buffer:
    """A flatbuffer whose reads are checked."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def number(self, form: str, at: int) -> int:
        if not 0 <= at <= len(self._data) - struct.calcsize(form):
            raise _Outside("an offset of the table of contents")
        value: int = struct.unpack_from(form, self._data, at)[0]
        return value

    def root(self) -> int:
        return self.number("<I", 0)

    def field(self, table: int, index: int) -> int | None:
        """Return where a field of a table lies, or None where it is left out."""
        vtable = table - self.number("<i", table)
        if self.number("<H", vtable) < 4 + 2 * (index + 1):
            return None
        offset = self.number("<H", vtable + 4 + 2 * index)
        return table + offset if offset else None

    def target(self, at: int) -> int:
        """Return what an offset at ``at`` points to."""
        return at + self.number("<I", at)

    def structs(self, table: int, index: int, n_bytes: int) -> Iterator[int]:
        """Yield where the structs of a vector lie."""
        at = self.field(table, index)
        if at is None:
            return
        vector = self.target(at)
        count = self.number("<I", vector)
        if vector + 4 + count * n_bytes > len(self._data):
            raise _Outside("a vector of the table of contents")
        yield from range(vector + 4, vector + 4 + count * n_bytes, n_bytes)


def arrow_damage(path: Path) -> str | None:
    """Say what is wrong with the table of contents of an Arrow file (Feather version 2), or None.

    Contents are not read: values may still be damaged.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     arrow_damage(Path(file.name))
    'not an Arrow file of version 2'
    """
    try:
        _check(path)
    except _Outside as err:
        return str(err)
    return None


def _check(path: Path) -> None:
    size = path.stat().st_size
    with path.open("rb") as file:
        if size < 20 or file.read(6) != _MAGIC:
            raise _Outside("not an Arrow file of version 2")
        file.seek(size - 10)
        tail = file.read(10)
        (length,) = struct.unpack_from("<i", tail)
        if tail[4:] != _MAGIC or not 0 < length <= min(size - 18, _MAX_FOOTER_BYTES):
            raise _Outside("no table of contents at its end")
        file.seek(size - 10 - length)
        footer = _Buffer(file.read(length))
        for index in (_FOOTER_DICTIONARIES, _FOOTER_BATCHES):
            for block in footer.structs(footer.root(), index, 24):
                start, head, body = (footer.number(form, block + at) for form, at in (("<q", 0), ("<i", 8), ("<q", 16)))
                if start < 8 or head < 8 or body < 0 or start + head + body > size - 10 - length:
                    raise _Outside("a batch outside the file")
                file.seek(start)
                _check_message(file.read(head), body)


def _check_message(head: bytes, body: int) -> None:
    """Check that the buffers of a batch lie inside its body."""
    message = _Buffer(head[8:] if head[:4] == b"\xff\xff\xff\xff" else head[4:])
    root = message.root()
    kind, header = message.field(root, _MESSAGE_KIND), message.field(root, _MESSAGE_HEADER)
    if kind is None or header is None:
        raise _Outside("a message without a header")
    batch = message.target(header)
    if message.number("<B", kind) == _DICTIONARY:
        inner = message.field(batch, _DICTIONARY_DATA)
        if inner is None:
            raise _Outside("a dictionary without values")
        batch = message.target(inner)
    elif message.number("<B", kind) != _BATCH:
        raise _Outside("a batch of an unknown kind")
    for buffer in message.structs(batch, _BUFFERS, 16):
        start, n_bytes = message.number("<q", buffer), message.number("<q", buffer + 8)
        if start < 0 or n_bytes < 0 or start + n_bytes > body:
            raise _Outside("a buffer outside its batch")
