"""Parse the text tables that recorders write: any of the usual separators, a decimal point or comma, quotes."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dcdp.data.readers.export import Export
from dcdp.errors import FormatError

__all__ = ["MAX_CELLS", "Columns", "header_of", "parse_columns", "read_columns"]

MAX_CELLS = 2**27
"""Cells of one table beyond which it is refused: a week at 50 Hz with four columns, and some gigabytes of memory."""

_MAX_COLUMNS = 512
_MAX_HEADER_BYTES = 2**16
_MAX_NAME = 300
_MISSING = ("", "nan", "na", "null", "none", "\ufffd")  # U+FFFD: how some versions of Java write NaN


@dataclass(frozen=True, slots=True)
class Columns:
    """Columns of a table as text, numbers on demand.

    Attributes
    ----------
    where
        The file, for error messages.
    names
        The header in order, without blanks around the names.
    texts
        Place in the header -> the cells (N) of the columns that were asked for.
    first_line
        Line of the file in which the first row stands.
    decimal_comma
        Whether numbers are written 0,5.
    """

    where: str
    names: tuple[str, ...]
    texts: dict[int, Any]
    n_rows: int
    first_line: int
    decimal_comma: bool

    def place(self, name: str) -> int | None:
        """Return the place of a column by its name, upper and lower case alike, or None."""
        wanted = name.lower()
        return next((place for place, known in enumerate(self.names) if known.lower() == wanted), None)

    def numbers(self, place: int) -> NDArray[np.float64]:
        """Return a column (N,) as numbers, NaN where nothing is given.

        Raises
        ------
        FormatError
            Naming the line: text in a number, an infinite number.
        """
        import polars as pl

        text = self.texts[place]
        if self.decimal_comma:
            text = text.str.replace(",", ".", literal=True)
        numbers = text.cast(pl.Float64, strict=False)
        wrong = (numbers.is_null() & ~text.str.to_lowercase().is_in(_MISSING)) | numbers.is_infinite()
        self._refuse(wrong, text, place)
        return np.asarray(numbers.fill_null(np.nan).to_numpy(), dtype=np.float64)

    def integers(self, place: int) -> NDArray[np.int64]:
        """Return a column (N,) of whole numbers, exact to the last digit.

        Raises
        ------
        FormatError
            Naming the line of what is no whole number.
        """
        import polars as pl

        text = self.texts[place]
        numbers = text.cast(pl.Int64, strict=False)
        self._refuse(numbers.is_null(), text, place)
        return np.asarray(numbers.to_numpy(), dtype=np.int64)

    def strings(self, place: int) -> list[str]:
        """Return a column (N,) as text."""
        return [str(text or "") for text in self.texts[place].to_list()]

    def _refuse(self, wrong: Any, text: Any, place: int) -> None:
        rows = wrong.fill_null(False).arg_true()
        if len(rows):
            row = int(rows[0])
            raise FormatError(f"column '{self.names[place]}' must hold numbers",
                              f"{str(text[row])[:40]!r} in line {self.first_line + row} of {self.where}",
                              "Export the recording again.")


def header_of(head: bytes) -> tuple[tuple[str, ...], str, int]:
    """Return the names in the header of a table, its separator, and the bytes before the first row.

    A first line ``sep=;``, which tells a spreadsheet what separates the columns, is passed over.

    Parameters
    ----------
    head
        The first bytes of the file.

    Returns
    -------
    names, separator, n_bytes
        No names if there is no header.
    """
    start = 3 if head.startswith(b"\xef\xbb\xbf") else 0
    stop = _line_end(head, start)
    if head[start:stop].strip().lower().startswith(b"sep="):
        start, stop = stop, _line_end(head, stop)
    line = _decode(head[start:stop])
    if not line.strip() or "\0" in line:
        return (), ",", stop
    separator = max("\t;,", key=line.count)
    try:
        names = next(csv.reader([line.strip("\r\n")], delimiter=separator))
    except csv.Error:
        return (), ",", stop
    # no name is that long, and a pattern may take a time that grows with the square of the length
    return tuple(name.strip()[:_MAX_NAME] for name in names), separator, stop


def read_columns(export: Export, name: str, places: Sequence[int] | None = None) -> Columns:
    """Read some columns of a table (all of them if None).

    Raises
    ------
    FormatError
        If there is no header, a line has the wrong number of fields, or there are more than `MAX_CELLS` cells.
    """
    return parse_columns(export.read(name), export.where(name), places)


def parse_columns(data: bytes, where: str, places: Sequence[int] | None = None) -> Columns:
    """Parse a table that lies in memory; see `read_columns`."""
    import polars as pl

    names, separator, start = header_of(data[:_MAX_HEADER_BYTES])
    if not names or len(names) > _MAX_COLUMNS:
        raise FormatError(f"a table must begin with a header of up to {_MAX_COLUMNS} names",
                          f"{len(names)} in {where}", "Export the recording again.")
    n_lines = data.count(b"\n", start) + 1
    if n_lines * len(names) > MAX_CELLS:
        raise FormatError(f"a table may have at most {MAX_CELLS} cells", f"{n_lines} lines of {len(names)} in {where}",
                          "Cut the recording into shorter ones.")
    first_line = data.count(b"\n", 0, start) + 1
    wanted = sorted({*(range(len(names)) if places is None else places), len(names) - 1})
    body = data[start:]
    if not body.strip():
        empty: dict[int, Any] = {place: pl.Series(str(place), [], dtype=pl.String) for place in wanted}
        return Columns(where, names, empty, 0, first_line, False)
    try:
        frame = pl.scan_csv(
            io.BytesIO(body), has_header=False, separator=separator, infer_schema=False,
            schema={str(place): pl.String for place in range(len(names))},
        ).select(str(place) for place in wanted).collect()  # fmt: skip
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OverflowError) as err:
        _check_fields(body, separator, len(names), where, first_line)
        raise FormatError("a table must be whole", f"{where} ({str(err).strip().split(chr(10))[0]})",
                          "Export the recording again.") from err
    if frame[str(len(names) - 1)].null_count():  # nothing there, or a line that is cut short
        _check_fields(body, separator, len(names), where, first_line)
    texts: dict[int, Any] = {place: frame[str(place)].fill_null("").str.strip_chars() for place in wanted}
    comma = separator != "," and _has_decimal_commas(body)
    return Columns(where, names, texts, len(frame), first_line, comma)


def _has_decimal_commas(body: bytes) -> bool:
    """Say whether the numbers of the first lines have a comma where others have a point."""
    lines = body[:_MAX_HEADER_BYTES]
    return lines.count(b",") > lines.count(b".")


def _check_fields(body: bytes, separator: str, n_fields: int, where: str, first_line: int) -> None:
    """Refuse the first row whose number of fields is not that of the header."""
    text = io.TextIOWrapper(io.BytesIO(body), encoding="utf-8", errors="replace", newline="")
    rows = csv.reader(text, delimiter=separator)
    try:
        for row in rows:
            if row and len(row) != n_fields:
                raise FormatError(f"each line must have {n_fields} fields, as the header",
                                  f"{len(row)} in line {first_line - 1 + rows.line_num} of {where}",
                                  "The file is cut short or altered: export the recording again.")
    except csv.Error as err:
        raise FormatError("a table must be whole", f"{where} ({err})", "Export the recording again.") from err


def _line_end(data: bytes, start: int) -> int:
    found = data.find(b"\n", start)
    return len(data) if found < 0 else found + 1


def _decode(line: bytes) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("latin-1")  # what older apps write: every byte is a character
