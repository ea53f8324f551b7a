"""Parse tables of numbers of which one column holds the name of an activity."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from dcdp.data.text import LARGEST, parse_table
from dcdp.errors import FormatError

__all__ = ["parse_labelled", "require_header"]


def parse_labelled(
    path: str,
    data: bytes,
    columns: Sequence[str],
    codes: Mapping[str, int],
    *,
    header_lines: int = 0,
    empty: Sequence[str] = (),
) -> NDArray[np.float64]:
    r"""Parse one comma-separated file.

    Parameters
    ----------
    columns
        A name for every field; the one called ``label`` holds text.
    codes
        Text -> the number that stands for it in the table.
    header_lines
        Lines at the top that are not parsed.
    empty
        Columns that may be empty: NaN in the table.

    Returns
    -------
    NDArray
        (T, C).

    Raises
    ------
    FormatError
        Naming file and line: a wrong number of fields, text in a number, an infinite or absurd number, a label that
        is not known, an empty file.

    Examples
    --------
    >>> parse_labelled("a.csv", b"1,walk,2\n3,sit,4\n", ("x", "label", "y"), {"walk": 0, "sit": 1}).tolist()
    [[1.0, 0.0, 2.0], [3.0, 1.0, 4.0]]
    """
    body = data.split(b"\n", header_lines)[-1] if header_lines else data
    table = _parse_fast(body, columns, codes, empty)
    if table is not None:
        return table
    encoded = _encoded(path, data, columns, codes, header_lines, empty)
    return parse_table([(path, encoded)], ",", columns, header_lines)[0]


def _parse_fast(
    body: bytes, columns: Sequence[str], codes: Mapping[str, int], empty: Sequence[str]
) -> NDArray[np.float64] | None:
    """Return the table, or None if anything in it is unusual."""
    import polars as pl

    schema = {name: pl.String if name == "label" else pl.Float64 for name in columns}
    try:
        frame = pl.read_csv(io.BytesIO(body), has_header=False, schema=schema, quote_char=None)
        frame = frame.with_columns(pl.col("label").replace_strict(codes, default=None, return_dtype=pl.Float64))
    except pl.exceptions.PolarsError:
        return None
    if any(frame[name].null_count() for name in columns if name not in empty):
        return None
    table = np.ascontiguousarray(frame.to_numpy())  # null becomes NaN
    n_lines = body.count(b"\n") + (not body.endswith(b"\n"))
    return None if len(table) != n_lines or (np.abs(table) > LARGEST).any() else table


def _encoded(
    path: str,
    data: bytes,
    columns: Sequence[str],
    codes: Mapping[str, int],
    header_lines: int,
    empty: Sequence[str],
) -> bytes:
    """Put the code for the label in every line that has all of its fields; the others are told by `parse_table`."""
    place, blanks = columns.index("label"), [columns.index(name) for name in empty]
    lines = data.decode("utf-8", errors="replace").splitlines()
    for number, line in enumerate(lines[header_lines:], header_lines + 1):
        fields = line.split(",")
        if len(fields) != len(columns):
            continue
        label = fields[place].strip()
        if label not in codes:
            raise FormatError(f"a label must be one of {', '.join(codes)}", f"'{label[:40]}' in '{path}' line {number}",
                              "The file is damaged: fetch it again.")
        fields[place] = str(codes[label])
        for blank in blanks:
            fields[blank] = fields[blank].strip() or "nan"
        lines[number - 1] = ",".join(fields)
    return "\n".join(lines).encode()


def require_header(path: str, data: bytes, columns: Sequence[str], line: int = 1) -> None:
    """Refuse a file whose line of column names is not the documented one; blank and quoted names are no matter.

    Raises
    ------
    FormatError
        Naming file, line and the first column that differs.
    """
    lines = data.split(b"\n", line)
    text = lines[line - 1].decode("utf-8-sig", errors="replace") if len(lines) > line else ""
    found = [name.strip().strip('"') for name in text.split(",")] if text else []
    for number, name in enumerate(columns):
        if name and (number >= len(found) or found[number].lower() != name.lower()):
            got = f"'{found[number][:40]}'" if number < len(found) else "nothing"
            raise FormatError(f"column {number + 1} must be '{name}'", f"{got} in '{path}' line {line}",
                              "This is not the documented file, or it is damaged: fetch it again.")
    if len(found) != len(columns):
        raise FormatError(f"a file must have {len(columns)} columns", f"{len(found)} in '{path}' line {line}",
                          "This is not the documented file, or it is damaged: fetch it again.")
