"""Read columns of numbers from CSV, TSV or Parquet; explain by line and column what cannot be read."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dcdp.errors import FormatError, MissingError

__all__ = ["MAX_ROWS", "column_names", "read_columns"]

MAX_ROWS = 2**27
"""Rows beyond which a file is refused: two weeks at 100 Hz, and some gigabytes of memory."""

_MAX_HEADER_CHARACTERS = 2**20
_PARQUET = (".parquet", ".pq")
_TEXT = (".csv", ".tsv", ".tab", ".txt")
_MISSING = ("", "NA")  # other than nan: what spreadsheets and R write


def column_names(path: Path) -> tuple[str, ...]:
    """Return the header of a table; nothing else of the file is read.

    Raises
    ------
    MissingError
        If there is no such file.
    FormatError
        If it is no CSV, TSV or Parquet, or is damaged.
    """
    if not path.is_file():
        raise MissingError("the recording must exist", f"'{path}'", "Give the path of a CSV, TSV or Parquet file.")
    if path.suffix.lower() in _PARQUET:
        with _damage(path):
            return tuple(pl.scan_parquet(path, glob=False).collect_schema().names())
    if path.suffix.lower() not in _TEXT:
        raise FormatError(
            f"a recording must be a table ({', '.join((*_TEXT, *_PARQUET))})", f"'{path}'",
            "Export it as CSV or Parquet, with one column for each channel.",
        )  # fmt: skip
    return tuple(_header(path)[0])


def read_columns(path: Path, places: Sequence[int]) -> NDArray[np.float64]:
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
    names = column_names(path)
    frame = _load_parquet(path, names, places) if path.suffix.lower() in _PARQUET else _load_text(path, names, places)
    if len(frame) > MAX_ROWS:
        raise _too_many(path)
    values = np.empty((len(frame), len(places)))
    for column, place in enumerate(places):
        values[:, column] = _numbers(frame[str(place)], names[place], path)
    measured = np.flatnonzero(~np.isnan(values).all(axis=1))
    return values[: measured[-1] + 1 if len(measured) else 0]


def _load_parquet(path: Path, names: Sequence[str], places: Sequence[int]) -> pl.DataFrame:
    with _damage(path):
        table = pl.scan_parquet(path, glob=False)
        # Repeated values are packed so well that a small file can unpack to more than any memory: count first.
        if int(table.select(pl.len()).collect().item()) > MAX_ROWS:
            raise _too_many(path)
        return table.select(pl.col(names[place]).alias(str(place)) for place in places).collect()


def _load_text(path: Path, names: Sequence[str], places: Sequence[int]) -> pl.DataFrame:
    """Return the wanted columns as text; a line with too few or too many fields is told by its number."""
    fields = [str(place) for place in range(len(names))]
    separator = _header(path)[1]
    try:
        with _damage(path):
            frame = pl.scan_csv(
                path, separator=separator, has_header=False, skip_rows=1, schema=dict.fromkeys(fields, pl.String),
                infer_schema=False, n_rows=MAX_ROWS + 1, glob=False,
            ).select(sorted({*(str(place) for place in places), fields[-1]})).collect()  # fmt: skip
    except FormatError:
        _check_fields(path, separator, names)
        raise
    if frame[fields[-1]].null_count():  # a line with too few fields is filled up with nothing
        _check_fields(path, separator, names)
    return frame


def _numbers(column: pl.Series, name: str, path: Path) -> NDArray[np.float64]:
    """Return a column as numbers, NaN where nothing is given."""
    if not (column.dtype.is_numeric() or column.dtype in (pl.String, pl.Null)):
        raise FormatError(
            f"column '{name}' must hold numbers", f"{column.dtype} in '{path}'", "Write it as plain numbers."
        )
    text = column.str.strip_chars() if column.dtype == pl.String else column
    numbers = text.cast(pl.Float64, strict=False)
    wrong = numbers.is_infinite() | (numbers.is_null() & text.is_not_null())
    if text.dtype == pl.String:
        wrong &= ~text.is_in(_MISSING)
    if wrong.any():
        row = int(wrong.fill_null(False).arg_true()[0])
        raise FormatError(
            f"column '{name}' must hold numbers", f"'{column[row]}' in {_row_name(path, row)} of '{path}'",
            "Write numbers with a decimal point; leave the cell empty where nothing was measured.",
        )  # fmt: skip
    return numbers.fill_null(np.nan).to_numpy()


def _row_name(path: Path, row: int) -> str:
    return f"row {row + 1}" if path.suffix.lower() in _PARQUET else f"line {row + 2}"


def _header(path: Path) -> tuple[list[str], str]:
    """Return the names in the first line of a text table, and the separator: the most frequent of comma, ; and tab."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            line = file.readline(_MAX_HEADER_CHARACTERS)
    except UnicodeDecodeError as err:
        raise _damaged(path, "text that is not UTF-8") from err
    if not line.strip() or "\0" in line:
        raise _damaged(path, "no header in the first line")
    separator = max(",;\t", key=line.count)
    return [name.strip() for name in next(csv.reader([line], delimiter=separator))], separator


def _check_fields(path: Path, separator: str, names: Sequence[str]) -> None:
    """Refuse the first line whose number of fields is not that of the header."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file, delimiter=separator)
            for row in rows:
                if row and len(row) != len(names):
                    raise FormatError(
                        f"each line must have {len(names)} fields, as the header",
                        f"{len(row)} in line {rows.line_num} of '{path}'", "Mend that line, or export the file again.",
                    )  # fmt: skip
    except (UnicodeDecodeError, csv.Error) as err:
        raise _damaged(path, str(err)) from err


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    """Turn what polars says of a damaged file into a `FormatError`."""
    try:
        yield
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OverflowError) as err:
        raise _damaged(path, str(err).strip().split("\n")[0]) from err


def _damaged(path: Path, why: str) -> FormatError:
    return FormatError("a recording must be a whole table", f"'{path}' ({why})", "Export it again as CSV or Parquet.")


def _too_many(path: Path) -> FormatError:
    return FormatError(f"a recording must have at most {MAX_ROWS} rows", f"more in '{path}'", "Cut it into parts.")
