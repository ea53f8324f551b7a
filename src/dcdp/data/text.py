"""Parse tables of numbers from text, fast; explain by file and line what cannot be parsed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from dcdp.errors import FormatError

__all__ = ["LARGEST", "parse_table"]

LARGEST = 1e30
"""A number beyond is damage, like an infinite one: recordings are kept as float32."""


def parse_table(
    files: Sequence[tuple[str, bytes]], separator: str, columns: Sequence[str], header_lines: int = 0
) -> tuple[NDArray[np.float64], tuple[int, ...]]:
    """Parse files of numbers as one table.

    Parameters
    ----------
    files
        ``(path, bytes)`` of each, to be stacked in this order.
    separator
        One character between fields. With a blank, runs of blanks count as one.
    columns
        A name for every field, for the error messages.
    header_lines
        Lines at the top of each file that are not parsed.

    Returns
    -------
    table, lengths
        The numbers (T, C), NaN where the text says ``nan``, and the rows that each file gave.

    Raises
    ------
    FormatError
        Naming file and line: a wrong number of fields, text in a number, an infinite or absurd number, an empty file.
    """
    if header_lines:
        files = [(path, _below(data, header_lines)) for path, data in files]
    bodies = [data if data.endswith(b"\n") else data + b"\n" for _, data in files]
    for prepare in (bytes, partial(_tidy, separator=separator)):
        bodies = [prepare(body) for body in bodies]
        lengths = tuple(map(_count_lines, bodies))
        if (table := _parse_plain(bodies, lengths, separator, len(columns))) is not None:
            return table, lengths
    table, lengths = _parse_as_csv(bodies, separator, len(columns)), tuple(map(_count_lines, bodies))
    if table is not None and len(table) == sum(lengths) and min(lengths) > 0:
        return table, lengths
    # Something is unusual: go line by line, which is slow but accepts stray blanks and can say what is wrong where.
    parts = [_parse_lines(path, data, separator, columns, header_lines + 1) for path, data in files]
    return np.concatenate(parts), tuple(len(part) for part in parts)


def _below(data: bytes, n_lines: int) -> bytes:
    parts = data.split(b"\n", n_lines)
    return parts[n_lines] if len(parts) > n_lines else b""


def _tidy(body: bytes, separator: str) -> bytes:
    """End every line with a line feed alone and, where blanks separate, leave one blank between two fields."""
    body = body.replace(b"\r\n", b"\n")
    if separator == " ":
        body = body.replace(b"\t", b" ")
        while b"  " in body:
            body = body.replace(b"  ", b" ")
        body = body.replace(b"\n ", b"\n").replace(b" \n", b"\n").removeprefix(b" ")
    return body


def _parse_plain(
    bodies: Sequence[bytes], lengths: Sequence[int], separator: str, n_columns: int
) -> NDArray[np.float64] | None:
    """Return the stacked table, or None if a line is not made of plain numbers with one separator between two."""
    from dcdp.data.decimals import parse_rows  # the compiler takes a second to import

    if any(2 * n_columns * n_rows > len(body) for body, n_rows in zip(bodies, lengths, strict=True)):
        return None  # a number and what ends it take two characters: no table is made for a file of empty lines
    table, stops = np.empty(sum(lengths) * n_columns), np.cumsum(lengths) * n_columns
    parts = np.split(table, stops[:-1])
    for body, part in zip(bodies, parts, strict=True):
        if not parse_rows(np.frombuffer(body, np.uint8), ord(separator), n_columns, part):
            return None
    return table.reshape(-1, n_columns)


def _count_lines(body: bytes) -> int:
    # Where every line is short this is several times as fast as bytes.count.
    return int(np.count_nonzero(np.frombuffer(body, np.uint8) == 0x0A))


def _parse_as_csv(bodies: Sequence[bytes], separator: str, n_columns: int) -> NDArray[np.float64] | None:
    """Return the stacked table, or None if any field is missing, surplus, not a number or too large."""
    import polars as pl

    schema = {f"c{i}": pl.Float64 for i in range(n_columns)}
    try:
        frame = pl.read_csv(b"".join(bodies), has_header=False, separator=separator, schema=schema, quote_char=None)
    except pl.exceptions.PolarsError:
        return None
    if any(column.null_count() for column in frame.iter_columns()):
        return None
    table = np.ascontiguousarray(frame.to_numpy(order="c"))
    return None if (np.abs(table) > LARGEST).any() else table


def _parse_lines(
    path: str, data: bytes, separator: str, columns: Sequence[str], first_line: int
) -> NDArray[np.float64]:
    """Parse one file line by line."""
    lines = data.decode("utf-8", errors="replace").splitlines()
    rows = [_parse_line(line, f"'{path}' line {i}", separator, columns) for i, line in enumerate(lines, first_line)]
    if not rows:
        raise FormatError("a file must hold a sample", f"'{path}' without a line", "Fetch the file again.")
    return np.array(rows, dtype=np.float64)


def _parse_line(line: str, where: str, separator: str, columns: Sequence[str]) -> list[float]:
    fields = line.split() if separator == " " else line.strip().split(separator)
    if len(fields) != len(columns):
        raise FormatError(f"a line must have {len(columns)} fields", f"{len(fields)} in {where}",
                          "The file is damaged: fetch it again.")
    return [_parse_number(text, f"{where}, field {name}") for text, name in zip(fields, columns, strict=True)]


def _parse_number(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.inf
    if abs(value) > LARGEST:
        raise FormatError("a field must be a finite number or nan", f"'{text[:40]}' in {where}",
                          "The file is damaged: fetch it again.")
    return value
