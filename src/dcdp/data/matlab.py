"""Read one matrix of numbers from a MATLAB file of version 5.

Ours and not SciPy's: a damaged file can bring SciPy's reader down with the whole process, and a data set's files are
hostile until checked.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dcdp.errors import FormatError

__all__ = ["read_matrix"]

Order = Literal["<", ">"]

_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_MATRIX, _COMPRESSED = 14, 15
_FLOAT_CLASSES = (6, 7)  # double and single
_COMPLEX = 0x0800
_HEADER_BYTES = 128


class _Damage(Exception):  # noqa: N818 - never leaves this module
    """What is wrong, in words."""


def read_matrix(path: str, data: bytes, name: str, max_bytes: int) -> NDArray[np.float64] | None:
    """Return a real matrix of floating point numbers, or None if the file holds none of this name.

    Parameters
    ----------
    path
        Of the file, for messages.
    data
        Its bytes.
    name
        Of the variable.
    max_bytes
        No variable may unpack to more than this [bytes].

    Returns
    -------
    NDArray
        In the shape that the file declares.

    Raises
    ------
    FormatError
        If the file is damaged, not of version 5, or the variable is no such matrix.

    References
    ----------
    MathWorks: "MAT-File Format" (level 5): header, tags, small elements, compressed elements, array flags.
    """
    try:
        order = _byte_order(data)
        for kind, body in _elements(memoryview(data)[_HEADER_BYTES:], order):
            if kind == _COMPRESSED:
                kind, body = _unpacked(body, order, max_bytes)
            if kind == _MATRIX and (found := _matrix(body, order, name)) is not None:
                return found
    except (_Damage, struct.error, zlib.error) as err:
        raise FormatError("a file must be a MATLAB file of version 5", f"'{path}' ({err})",
                          "The file is damaged: fetch it again.") from err
    return None


def _byte_order(data: bytes) -> Order:
    mark = data[126:128]
    if len(data) < _HEADER_BYTES or mark not in (b"IM", b"MI"):
        raise _Damage("no header of version 5")
    order: Order = "<" if mark == b"IM" else ">"
    (version,) = struct.unpack_from(f"{order}H", data, 124)
    if version != 0x0100:
        raise _Damage(f"version {version:#06x}")
    return order


def _elements(data: memoryview, order: Order) -> Iterator[tuple[int, memoryview]]:
    """Yield type and body of the elements that follow one another."""
    at = 0
    while at < len(data):
        kind, n_bytes = struct.unpack_from(f"{order}II", data, at)
        if kind >> 16:  # a small element: its size and type share a word, its body follows at once
            kind, n_bytes, start, step = kind & 0xFFFF, kind >> 16, at + 4, 8
            if n_bytes > 4:
                raise _Damage("a small element of more than 4 bytes")
        else:
            start, step = at + 8, 8 + (n_bytes if kind == _COMPRESSED else -(-n_bytes // 8) * 8)
        if start + n_bytes > len(data):
            raise _Damage("an element is cut short")
        yield kind, data[start : start + n_bytes]
        at += step


def _unpacked(body: memoryview, order: Order, max_bytes: int) -> tuple[int, memoryview]:
    unpacking = zlib.decompressobj()
    plain = memoryview(unpacking.decompress(body, max_bytes + 64))
    if len(plain) > max_bytes or not unpacking.eof:
        raise _Damage("a variable is cut short or too large")
    return next(_elements(plain, order), (0, plain))


def _matrix(body: memoryview, order: Order, name: str) -> NDArray[np.float64] | None:
    """Return the numbers of an array element if it has this name."""
    parts = _elements(body, order)
    head = [part for _, part in zip(range(3), parts, strict=False)]
    if len(head) < 3:
        raise _Damage("a variable without a name")
    (_, flags), (_, size), (_, called) = head
    if bytes(called) != name.encode():
        return None
    (flag,) = struct.unpack_from(f"{order}I", flags)
    shape = struct.unpack(f"{order}{len(size) // 4}i", size)
    if flag & 0xFF not in _FLOAT_CLASSES or flag & _COMPLEX:
        raise _Damage(f"'{name}' is no real matrix of floating point numbers")
    kind, numbers = next(parts, (0, memoryview(b"")))
    if kind not in _NUMBERS:  # whole numbers may be stored small
        raise _Damage(f"'{name}' holds no numbers")
    kept = np.dtype(_NUMBERS[kind]).newbyteorder(order)
    if len(shape) != 2 or min(shape) < 0 or math.prod(shape) * kept.itemsize != len(numbers):
        raise _Damage(f"'{name}' has {len(numbers) // kept.itemsize} numbers for a matrix of {shape}")
    return np.frombuffer(numbers, kept).reshape(shape, order="F").astype(np.float64)
