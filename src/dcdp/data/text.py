"""Parse tables of numbers from text, fast; explain by file and line what cannot be parsed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from dcdp.errors import FormatError

if TYPE_CHECKING:
    import simdjson

__all__ = ["LARGEST", "parse_table"]

LARGEST = 1e30
"""A number beyond is damage, like an infinite one: recordings are kept as float32."""

_COMMAS = np.full(1 << 16, ord(","), np.uint8)


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
    lengths = tuple(_count_rows(body, separator, len(columns)) for body in bodies)
    if not min(lengths):
        bodies = [_tidy(body, separator) for body in bodies]
        lengths = tuple(_count_rows(body, separator, len(columns)) for body in bodies)
    if min(lengths) > 0 and (table := _parse_as_json(bodies, sum(lengths), len(columns))) is not None:
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


def _count_rows(body: bytes, separator: str, n_columns: int) -> int:
    """Count the rows of a text of digits in which every line has all of its separators; 0 if there is anything else."""
    line = separator.encode() * (n_columns - 1) + b"\n"
    marks = body.translate(None, b"0123456789.-eE")
    n_rows = len(marks) // n_columns
    return n_rows if marks == line * n_rows else 0


def _parse_as_json(bodies: Sequence[bytes], n_rows: int, n_columns: int) -> NDArray[np.float64] | None:
    """Return the stacked table, or None if a field is not written as JSON writes a number, or is too large.

    Once every separator is a comma, the numbers are a list of JSON, whose parsers are the fastest readers of digits.
    """
    import simdjson

    parser = simdjson.Parser()
    table, done = np.empty(n_rows * n_columns), 0
    try:
        for text in (text for body in bodies for text in _json_lists(body)):
            values = _parse_list(parser, text)
            if not values.all() and (b"-0," in text or b"-0]" in text):  # to JSON -0 is an integer, without a sign
                values = _parse_list(parser, text.replace(b"-0,", b"-0.0,").replace(b"-0]", b"-0.0]"))
            table[done : done + len(values)] = values
            done += len(values)
    except (ValueError, RuntimeError):  # RuntimeError: an integer of more than 64 bits
        return None
    if done < len(table) or max(table.max(), -table.min()) > LARGEST:  # fewer numbers than lines: an empty one
        return None
    return table.reshape(n_rows, n_columns)


def _parse_list(parser: simdjson.Parser, text: bytes) -> NDArray[np.float64]:
    numbers = cast("simdjson.Array", parser.parse(text))
    return np.frombuffer(numbers.as_buffer(of_type="d"))


def _json_lists(body: bytes) -> Iterator[bytes]:
    """Write some lines after the others, as many as stay in the processor's cache, as a list of JSON."""
    text, start = np.frombuffer(body, np.uint8), 0
    while start < len(body):
        stop = body.rfind(b"\n", start, start + len(_COMMAS)) + 1
        if not stop:
            raise ValueError("a line longer than a list may be")
        numbers = np.empty(stop - start + 1, np.uint8)
        # Of all characters that are left only separators come before the comma.
        np.maximum(text[start:stop], _COMMAS[: stop - start], out=numbers[1:])
        numbers[0], numbers[-1] = ord("["), ord("]")
        yield numbers.tobytes()
        start = stop


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
