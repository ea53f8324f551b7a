"""Read tables of people's own making: CSV, TSV, Parquet, Feather; explain by line and column what cannot be read."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dcdp.data.arrow import arrow_damage
from dcdp.data.frame import Table, damage, damaged
from dcdp.errors import ConfigError, FormatError, MissingError

__all__ = [
    "MAX_BYTES",
    "MAX_ROWS",
    "SUFFIXES",
    "Dialect",
    "column_names",
    "read_columns",
    "read_head",
    "read_table",
    "read_text_column",
]

MAX_BYTES = 2**33
"""Size beyond which a file is refused [bytes]."""

MAX_ROWS = 2**27
"""Rows beyond which a file is refused: two weeks at 100 Hz, and some gigabytes of memory."""

_MAX_HEADER_CHARACTERS = 2**20
_MAX_COLUMNS = 4096
_PARQUET = (".parquet", ".pq")
_ARROW = (".feather", ".arrow", ".ipc")
_TEXT = (".csv", ".tsv", ".tab", ".txt")
SUFFIXES = (*_TEXT, *_PARQUET, *_ARROW)
"""Endings of the files that are read as tables."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a text table is written; binary tables say it themselves.

    Attributes
    ----------
    separator
        One character between fields; None finds comma, semicolon or tab. With a blank, runs of blanks count as one.
    decimal
        ``.`` or ``,``.
    header
        False names the columns ``column_1``, ``column_2``, ...
    skip_lines
        Lines before the header, or before the first row where there is none.
    """

    separator: str | None = None
    decimal: str = "."
    header: bool = True
    skip_lines: int = 0

    def __post_init__(self) -> None:
        if self.separator is not None and (len(self.separator) != 1 or self.separator in '"\n\r'):
            raise ConfigError("separator must be one character", repr(self.separator), "Give for example ';'.")
        if self.decimal not in (".", ",") or self.decimal == self.separator:
            raise ConfigError("decimal must be a point or a comma, other than the separator", repr(self.decimal),
                              "Give '.' or ','.")  # fmt: skip
        if self.skip_lines < 0:
            raise ConfigError("skip_lines must not be negative", self.skip_lines, "Give 0 to skip nothing.")


_PLAIN = Dialect()


def column_names(path: Path, dialect: Dialect = _PLAIN) -> tuple[str, ...]:
    """Return the header of a table; nothing else of the file is read.

    Raises
    ------
    MissingError
        If there is no such file.
    FormatError
        If it is no CSV, TSV, Parquet or Feather, too large, or damaged.
    """
    _require_table(path)
    if path.suffix.lower() in (*_PARQUET, *_ARROW):
        with damage(path):
            return tuple(_scan_binary(path).collect_schema().names())
    return tuple(_header(path, dialect)[0])


def read_columns(path: Path, places: Sequence[int], dialect: Dialect = _PLAIN) -> NDArray[np.float64]:
    """Read some columns of a table as numbers.

    Parameters
    ----------
    path
        As `column_names` has accepted it.
    places
        W places of columns in its header.

    Returns
    -------
    NDArray
        (N, W), NaN where a cell is empty, ``NA`` or ``nan``. Empty rows at the end are left out.

    Raises
    ------
    FormatError
        Naming line and column: text in a number, an infinite number, a wrong number of fields; a damaged file, or one
        of more than `MAX_ROWS` rows.
    """
    table = read_table(path, places, dialect)
    values = np.empty((len(table), len(places)))
    for column, place in enumerate(places):
        values[:, column] = table.numbers(place)
    measured = np.flatnonzero(~np.isnan(values).all(axis=1))
    return values[: measured[-1] + 1 if len(measured) else 0]


def read_text_column(path: Path, place: int, dialect: Dialect = _PLAIN) -> NDArray[np.str_]:
    """Read one column of a table as text, ``""`` where a cell is empty; empty cells at the end are left out.

    Raises
    ------
    FormatError
        As `read_columns`.
    """
    return read_table(path, (place,), dialect).strings(place)


def read_table(path: Path, places: Sequence[int] | None = None, dialect: Dialect = _PLAIN) -> Table:
    """Read some columns of a table, all of them if None; rows at the end with nothing in these columns are left out.

    Raises
    ------
    FormatError
        If a line has a wrong number of fields, or the file is damaged, too large, or not UTF-8.
    """
    names = column_names(path, dialect)
    wanted = tuple(range(len(names))) if places is None else tuple(dict.fromkeys(places))
    if path.suffix.lower() in (*_PARQUET, *_ARROW):
        return _trimmed(Table(path, names, _load_binary(path, names, wanted), None))
    first_line = dialect.skip_lines + 1 + dialect.header
    frame = _load_text(path, names, wanted, dialect, MAX_ROWS + 1)
    if len(frame) > MAX_ROWS:
        raise _too_many(path)
    return _trimmed(Table(path, names, frame, first_line, dialect.decimal == ","))


def read_head(path: Path, n_rows: int, dialect: Dialect = _PLAIN) -> Table:
    """Read all columns of the first rows of a table.

    Raises
    ------
    FormatError
        As `read_table`.
    """
    names = column_names(path, dialect)
    wanted = tuple(range(len(names)))
    if path.suffix.lower() in (*_PARQUET, *_ARROW):
        return Table(path, names, _load_binary(path, names, wanted, n_rows), None)
    first_line = dialect.skip_lines + 1 + dialect.header
    return _trimmed(Table(path, names, _load_text(path, names, wanted, dialect, n_rows), first_line,
                          dialect.decimal == ","))  # fmt: skip


def _require_table(path: Path) -> None:
    if not path.is_file():
        raise MissingError("the recording must exist", f"'{path}'",
                           "Give the path of a CSV, TSV, Parquet or Feather file.")  # fmt: skip
    if path.suffix.lower() not in SUFFIXES:
        raise FormatError(
            f"a recording must be a table ({', '.join(SUFFIXES)})", f"'{path}'",
            "Export it as CSV or Parquet, with one column for each channel.",
        )  # fmt: skip
    if path.stat().st_size > MAX_BYTES:
        raise FormatError(f"a recording must have at most {MAX_BYTES} bytes", f"{path.stat().st_size} in '{path}'",
                          "Cut it into parts.")  # fmt: skip


def _scan_binary(path: Path) -> pl.LazyFrame:
    if path.suffix.lower() in _PARQUET:
        return pl.scan_parquet(path, glob=False)
    if why := arrow_damage(path):
        raise damaged(path, why)
    return pl.scan_ipc(path, glob=False)


def _load_binary(path: Path, names: Sequence[str], places: Sequence[int], n_rows: int | None = None) -> pl.DataFrame:
    with damage(path):
        table = _scan_binary(path)
        # Repeated values are packed so well that a small file can unpack to more than any memory: count first.
        if n_rows is None and int(table.select(pl.len()).collect().item()) > MAX_ROWS:
            raise _too_many(path)
        wanted = table.select(pl.col(f"^{re.escape(names[place])}$").alias(str(place)) for place in places)
        return (wanted if n_rows is None else wanted.head(n_rows)).collect()


def _load_text(
    path: Path, names: Sequence[str], places: Sequence[int], dialect: Dialect, n_rows: int
) -> pl.DataFrame:
    """Return the wanted columns as text; a line with too few or too many fields is told by its number."""
    fields = [str(place) for place in range(len(names))]
    separator = _header(path, dialect)[1]
    skip = dialect.skip_lines + dialect.header
    source: Any = path
    if separator == " ":
        lines = path.read_bytes().split(b"\n")[skip:]
        source, skip = io.BytesIO(b"\n".join(b" ".join(line.split()) for line in lines if line.strip())), 0
        if not source.getbuffer().nbytes:
            return pl.DataFrame({str(place): pl.Series([], dtype=pl.String) for place in places})
    try:
        with damage(path):
            frame = pl.scan_csv(
                source, separator=separator, has_header=False, skip_lines=skip, schema=dict.fromkeys(fields, pl.String),
                infer_schema=False, n_rows=n_rows, glob=False,
            ).select(sorted({*(str(place) for place in places), fields[-1]})).collect()  # fmt: skip
    except FormatError:
        _check_fields(path, separator, names, dialect)
        raise
    if frame[fields[-1]].null_count():  # a line with too few fields is filled up with nothing
        _check_fields(path, separator, names, dialect)
    return frame.select(str(place) for place in places)


def _trimmed(table: Table) -> Table:
    """Leave out the rows at the end in which every cell is empty."""
    frame = table.frame
    if not len(frame) or not frame.width:
        return table
    filled = [
        pl.col(name).is_not_null() & (pl.col(name).str.strip_chars() != "") if kind == pl.String
        else pl.col(name).is_not_null() for name, kind in frame.schema.items()
    ]  # fmt: skip
    tail = frame.tail(1).select(pl.any_horizontal(filled)).item()
    if tail:
        return table
    rows = frame.select(pl.any_horizontal(filled)).to_series().arg_true()
    last = int(rows[-1]) + 1 if len(rows) else 0
    return Table(table.path, table.names, frame.head(last), table.first_line, table.decimal_comma)


def _header(path: Path, dialect: Dialect) -> tuple[list[str], str]:
    """Return the names of the columns of a text table, and its separator: the most frequent of comma, ; and tab."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for _ in range(dialect.skip_lines):
                file.readline(_MAX_HEADER_CHARACTERS)
            line = file.readline(_MAX_HEADER_CHARACTERS)
    except UnicodeDecodeError as err:
        raise damaged(path, "text that is not UTF-8: save it as UTF-8") from err
    if not line.strip() or "\0" in line:
        raise damaged(path, "no header in the first line")
    separator = dialect.separator or max(",;\t", key=line.count)
    if separator == " ":
        names = line.split()
    else:
        try:
            names = [name.strip() for name in next(csv.reader([line], delimiter=separator))]
        except csv.Error as err:
            raise damaged(path, str(err)) from err
    if len(names) > _MAX_COLUMNS:
        raise FormatError(f"a table may have at most {_MAX_COLUMNS} columns", f"{len(names)} in '{path}'",
                          "Leave out what is no signal.")  # fmt: skip
    if not dialect.header:
        names = [f"column_{place + 1}" for place in range(len(names))]
    return names, separator


def _check_fields(path: Path, separator: str, names: Sequence[str], dialect: Dialect) -> None:
    """Refuse the first line whose number of fields is not that of the header."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for _ in range(dialect.skip_lines):
                file.readline(_MAX_HEADER_CHARACTERS)
            rows = csv.reader(file, delimiter=separator, skipinitialspace=separator == " ")
            for row in rows:
                fields = [field for field in row if field] if separator == " " else row
                if fields and len(fields) != len(names):
                    raise FormatError(
                        f"each line must have {len(names)} fields, as the first",
                        f"{len(fields)} in line {rows.line_num + dialect.skip_lines} of '{path}'",
                        "Mend that line, or export the file again.",
                    )
    except (UnicodeDecodeError, csv.Error) as err:
        why = "text that is not UTF-8: save it as UTF-8" if isinstance(err, UnicodeDecodeError) else str(err)
        raise damaged(path, why) from err


def _too_many(path: Path) -> FormatError:
    return FormatError(f"a recording must have at most {MAX_ROWS} rows", f"more in '{path}'", "Cut it into parts.")
