"""Arrays on disk that only grow: mapped where memory has ample room for them, else read piece by piece."""

from __future__ import annotations

import os
import weakref
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from dcdp.errors import DataError, FormatError

__all__ = ["HEADER_BYTES", "DiskArray", "Values", "columns_of", "gather_rows", "open_array", "write_header"]

HEADER_BYTES = 128
"""Length of the header of an npy file of two axes, whatever its number of rows."""

Values = NDArray[np.float32]


def write_header(file: BinaryIO, n_rows: int, n_channels: int) -> None:
    """Write the header of an array (n_rows, n_channels); one small write, so that no reader sees half of it."""
    header = {"descr": "<f4", "fortran_order": False, "shape": (n_rows, n_channels)}
    file.seek(0)
    np.lib.format.write_array_header_1_0(file, header)
    file.flush()


def open_array(path: Path, n_rows: int, n_channels: int, mapped: bool) -> Values | DiskArray:
    """Open the first ``n_rows`` rows of an array, read-only; nothing of them is read.

    Parameters
    ----------
    mapped
        True maps the file; False reads what is asked for, when it is asked for.

    Raises
    ------
    ValueError
        If the file is shorter, or holds something else.
    """
    n_bytes = HEADER_BYTES + 4 * n_rows * n_channels
    size = path.stat().st_size if path.is_file() else 0
    if size < n_bytes:
        raise ValueError(f"{size} of {n_bytes} bytes")
    with path.open("rb") as file:
        if np.lib.format.read_magic(file) != (1, 0):
            raise ValueError("another version of the npy format")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
        if (shape[1:], fortran, dtype, file.tell()) != ((n_channels,), False, np.dtype("<f4"), HEADER_BYTES):
            raise ValueError(f"{dtype} {shape} in place of float32 {(n_rows, n_channels)}")
    if not n_rows:
        return np.empty((0, n_channels), np.float32)
    if mapped or not hasattr(os, "preadv"):
        return np.memmap(path, np.dtype("<f4"), "r", HEADER_BYTES, (n_rows, n_channels))
    return DiskArray(path, n_rows, n_channels)


def columns_of(array: Values | DiskArray, first: int, stop: int) -> Values | DiskArray:
    """Return some columns of an array, without copying."""
    return array.columns(first, stop) if isinstance(array, DiskArray) else array[:, first:stop]


class _File:
    """A file that stays open from now on, since a store may be replaced while it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.number = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        weakref.finalize(self, os.close, self.number)
        if hasattr(os, "posix_fadvise"):  # pieces come from anywhere: reading ahead would be for nothing
            os.posix_fadvise(self.number, 0, 0, os.POSIX_FADV_RANDOM)


class DiskArray:
    """An array (N, C) of which only what is asked for is read: ``array[first:stop]`` is a new plain array.

    Memory mapped by a process counts as its own once it was touched, and needs as much address space as the file is
    long; this needs neither. What an `numpy.ndarray` offers beyond slices, indices and `numpy.asarray` is missing on
    purpose: it would read everything.
    """

    dtype = np.dtype(np.float32)
    ndim = 2

    def __init__(
        self, path: Path, n_rows: int, n_total: int, columns: tuple[int, int] | None = None, file: _File | None = None
    ) -> None:
        self._n_total, self._columns = n_total, columns or (0, n_total)
        self.shape = (n_rows, self._columns[1] - self._columns[0])
        self._file = file or _File(path)

    def __reduce__(self) -> tuple[type[DiskArray], tuple[Any, ...]]:
        return DiskArray, (self._file.path, self.shape[0], self._n_total, self._columns)

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def nbytes(self) -> int:
        """Bytes of all values."""
        return 4 * self.shape[0] * self.shape[1]

    def columns(self, first: int, stop: int) -> DiskArray:
        """Return some of the columns."""
        begin = self._columns[0]
        return DiskArray(self._file.path, len(self), self._n_total, (begin + first, begin + stop), self._file)

    def __getitem__(self, key: Any) -> Any:
        rows, others = (key[0], key[1:]) if isinstance(key, tuple) else (key, ())
        if isinstance(rows, slice):
            start, stop, step = rows.indices(len(self))
            if step < 0:
                return np.asarray(self)[key]
            picked = self._read(start, max(stop, start))[::step]
        elif np.ndim(rows) == 0:
            row = range(len(self))[int(rows)]
            return self._read(row, row + 1)[(0, *others)]
        else:
            index = np.arange(len(self))[np.asarray(rows)]
            picked = self.gather(index.ravel(), 1).reshape(*index.shape, self.shape[1])
        return picked[(slice(None), *others)] if others else picked

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        del copy  # always one
        return self._read(0, len(self)).astype(dtype or self.dtype, copy=False)

    def gather(self, rows: NDArray[np.integer], n_samples: int) -> Values:
        """Read ``n_samples`` rows from each of ``rows``: (B,) -> (B, n_samples, C)."""
        out = np.empty((len(rows), n_samples, self._n_total), np.float32)
        step = 4 * self._n_total
        for piece, row in zip(out.reshape(len(rows), n_samples * self._n_total), rows.tolist(), strict=True):
            self._fill(piece, HEADER_BYTES + row * step)
        return out[:, :, slice(*self._columns)]

    def _read(self, start: int, stop: int) -> Values:
        whole = self._columns == (0, self._n_total)
        out: Values = np.empty((stop - start, self.shape[1]), np.float32)
        if stop == start:  # an empty buffer cannot be filled
            return out
        n_rows = stop - start if whole else max(1, (1 << 22) // self._n_total)
        for first in range(start, stop, n_rows):  # some columns only: never hold much of the others
            last = min(first + n_rows, stop)
            piece = out if whole else np.empty((last - first, self._n_total), np.float32)
            self._fill(piece.reshape(-1), HEADER_BYTES + 4 * first * self._n_total)
            if not whole:
                out[first - start : last - start] = piece[:, slice(*self._columns)]
        return out

    def _fill(self, values: Values, offset: int) -> None:
        view = values.data.cast("B")
        done = os.preadv(self._file.number, [view], offset)
        while done < len(view):  # a signal, or more than the system gives at once
            more = os.preadv(self._file.number, [view[done:]], offset + done)
            if not more:
                raise FormatError("a store must be whole", f"the end of '{self._file.path}' at byte {offset + done}",
                                  f"Delete '{self._file.path.parent}' and open the data set again.")
            done += more


def gather_rows(array: Values | DiskArray, rows: NDArray[np.integer], n_samples: int, name: str) -> Values:
    """Copy ``n_samples`` rows from each of ``rows``: (B,), at least one -> (B, n_samples, C).

    Raises
    ------
    DataError
        If they reach beyond the array.
    """
    n_channels, last = array.shape[1], len(array) - n_samples
    if rows.min() < 0 or rows.max() > last:
        raise DataError(f"a window must lie inside '{name}'", f"rows {rows.min()} to {rows.max()} of {len(array)}",
                        "Cut the windows from this store.")
    if isinstance(array, DiskArray):
        return array.gather(rows, n_samples)
    if not array.flags.c_contiguous:  # some columns of a wider array
        some: Values = np.asarray(array)[rows[:, None] + np.arange(n_samples)]
        return some
    # Seen as overlapping rows of T * C numbers, each window is one contiguous piece: as fast as a plain copy.
    shape, strides = (last + 1, n_samples * n_channels), (array.strides[0], array.itemsize)
    flat = as_strided(np.asarray(array), shape, strides, writeable=False)
    picked: Values = flat[rows]
    return picked.reshape(len(rows), n_samples, n_channels)
