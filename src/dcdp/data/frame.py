"""Some columns of a table in memory: as numbers, text or exact times; explain by line and column what is none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dcdp.errors import FormatError

__all__ = ["TIME_UNITS", "Table", "Times", "damage", "damaged"]

_MAX_SHOWN = 40
_MISSING = ("", "NA")  # other than nan: what spreadsheets and R write
_NS = 1_000_000_000
_PER_SECOND = {"s": 1, "ms": 1000, "us": 1_000_000, "ns": _NS}
TIME_UNITS = (*_PER_SECOND, "iso")
"""Units of a column of times; ``iso`` is dates as in ISO 8601."""

_ISO = (
    r"^(\d{4}[-/]\d{2}[-/]\d{2})[T ]+(\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9})\d*)?)?"
    r"\s*(?:Z|UTC|([+-])(\d{2}):?(\d{2})?)?$"
)


@dataclass(frozen=True, slots=True)
class Times:
    """Times of rows: ``origin_ns`` (whole nanoseconds) and what has passed since, (N,) float64 [s].

    Nanoseconds since 1970 do not fit a float64, what has passed since the first row does.
    """

    origin_ns: int
    since_s: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Table:
    """Some columns of a file, as text or as the file's own kinds.

    Attributes
    ----------
    path
        The file, for error messages.
    names
        The whole header in order.
    frame
        The columns that were asked for, by their place in the header.
    first_line
        Line of the file in which the first row stands; None where rows are counted.
    decimal_comma
        Whether numbers are written 0,5.
    """

    path: Path
    names: tuple[str, ...]
    frame: pl.DataFrame
    first_line: int | None
    decimal_comma: bool = False

    def __len__(self) -> int:
        return len(self.frame)

    def place(self, name: str) -> int:
        """Return the place of a column.

        Raises
        ------
        FormatError
            If there is none of this name, with the nearest one, or several.
        """
        places = [place for place, known in enumerate(self.names) if known == name]
        if len(places) > 1:
            raise FormatError("columns must be named once each", f"'{name}' twice in '{self.path}'", "Leave one out.")
        if not places:
            raise _no_column(name, self.names, self.path)
        return places[0]

    def numbers(self, place: int) -> NDArray[np.float64]:
        """Return a column (N,) as numbers, NaN where a cell is empty, ``NA`` or ``nan``.

        Raises
        ------
        FormatError
            Naming line and column of text in a number, or of an infinite one.
        """
        column = self.frame[str(place)]
        if not (column.dtype.is_numeric() or column.dtype in (pl.String, pl.Null)):
            raise FormatError(
                f"column '{self.names[place]}' must hold numbers", f"{column.dtype} in '{self.path}'",
                "Write it as plain numbers.",
            )  # fmt: skip
        text = column.str.strip_chars() if column.dtype == pl.String else column
        pointed = text
        if self.decimal_comma and text.dtype == pl.String:
            pointed = text.str.replace(",", ".", literal=True)
        numbers = pointed.cast(pl.Float64, strict=False)
        wrong = numbers.is_infinite() | (numbers.is_null() & text.is_not_null())
        if text.dtype == pl.String:
            wrong &= ~text.is_in(_MISSING)
        if wrong.any():
            row = int(wrong.fill_null(False).arg_true()[0])
            raise FormatError(
                f"column '{self.names[place]}' must hold numbers", f"'{_shown(column[row])}' in {self.where(row)}",
                "Write numbers with a decimal point; leave the cell empty where nothing was measured.",
            )  # fmt: skip
        return numbers.fill_null(np.nan).to_numpy()

    def strings(self, place: int) -> NDArray[np.str_]:
        """Return a column (N,) as text without blanks around it, ``""`` where a cell is empty."""
        column = self.frame[str(place)]
        with damage(self.path):
            text = column.cast(pl.String, strict=False).fill_null("").str.strip_chars()
        return np.array(text.to_list(), dtype=np.str_) if len(text) else np.empty(0, np.str_)

    def times(self, place: int, unit: str) -> Times:
        """Return a column of times, exact to the nanosecond where the file is.

        Parameters
        ----------
        unit
            One of `TIME_UNITS`. Dates of a binary table need none: what is a date is read as one.

        Raises
        ------
        FormatError
            Naming line and column of what is no time, or of an empty cell.
        """
        column = self.frame[str(place)]
        if isinstance(column.dtype, pl.Datetime):
            return self._checked(place, column.dt.epoch("ns"), 1)
        if column.dtype in (pl.Date, pl.Duration, pl.Time):
            return self._checked(place, column.cast(pl.Datetime("ns") if column.dtype == pl.Date else pl.Duration("ns"))
                                 .to_physical(), 1)  # fmt: skip
        if unit == "iso":
            return self._checked(place, _iso_ns(column.cast(pl.String, strict=False)), 1)
        whole = column.cast(pl.Int64, strict=False) if not column.dtype.is_float() else None
        if whole is not None and not len(column):
            return Times(0, np.empty(0))
        if whole is not None and not whole.null_count():
            return self._checked(place, whole, _NS // _PER_SECOND[unit])
        return self._fractional(place, unit)

    def where(self, row: int) -> str:
        """Say where a row stands: ``line 4 of 'a.csv'``, or ``row 3`` where a file has no lines."""
        named = f"row {row + 1}" if self.first_line is None else f"line {row + self.first_line}"
        return f"{named} of '{self.path}'"

    def _checked(self, place: int, column: pl.Series, factor_ns: int) -> Times:
        """Return whole numbers, each ``factor_ns`` nanoseconds, as times."""
        self._refuse_missing(place, column.is_null())
        if not len(column):
            return Times(0, np.empty(0))
        whole: NDArray[np.int64] = column.to_numpy().astype(np.int64)
        first = int(whole[0])
        if max(abs(int(whole.min())), abs(int(whole.max()))) > 2**62:
            self._refuse_missing(place, column.abs() > 2**62)
        return Times(first * factor_ns, (whole - first).astype(np.float64) / (_NS // factor_ns))

    def _fractional(self, place: int, unit: str) -> Times:
        numbers = self.numbers(place)
        self._refuse_missing(place, pl.Series(np.isnan(numbers) | (np.abs(numbers) > 2**62)))
        whole = np.floor(numbers[0])
        return Times(int(whole) * (_NS // _PER_SECOND[unit]), (numbers - whole) / _PER_SECOND[unit])

    def _refuse_missing(self, place: int, missing: pl.Series) -> None:
        if missing.any():
            row = int(missing.arg_true()[0])
            cell = self.frame[str(place)][row]
            raise FormatError(
                f"column '{self.names[place]}' must hold a time in each row",
                f"{repr(_shown(cell)) if cell not in (None, '') else 'nothing'} in {self.where(row)}",
                "Write a number or a date such as 2024-05-01T12:00:00.250Z, and say which: its unit.",
            )


def _iso_ns(text: pl.Series) -> pl.Series:
    """Return dates as whole nanoseconds since 1970, null where a text is no date. Without a zone UTC is meant."""
    parts = text.str.strip_chars().str.extract_groups(_ISO).struct.unnest()
    names = ("day", "hour", "minute", "second", "fraction", "sign", "zone_hour", "zone_minute")
    parts.columns = list(names)
    number = {name: pl.col(name).cast(pl.Int64, strict=False).fill_null(0) for name in names[1:5] + names[6:]}
    number["fraction"] = pl.col("fraction").fill_null("0").str.pad_end(9, "0").cast(pl.Int64, strict=False)
    day = pl.col("day").str.replace_all("/", "-").str.to_date("%Y-%m-%d", strict=False).cast(pl.Int32).cast(pl.Int64)
    east = pl.when(pl.col("sign") == "-").then(-1).otherwise(1)
    zone_s = (number["zone_hour"] * 3600 + number["zone_minute"] * 60) * east
    seconds = day * 86_400 + number["hour"] * 3600 + number["minute"] * 60 + number["second"] - zone_s
    in_range = (number["minute"] < 60) & (number["second"] < 61) & (number["hour"] < 25)
    whole = pl.when(in_range).then(seconds * _NS + number["fraction"])
    return parts.select(whole.alias("ns"))["ns"]


def _no_column(name: str, names: Sequence[str], path: Path) -> FormatError:
    import difflib

    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    known = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
    remedy = f"Did you mean '{near[0]}'?" if near else f"It has {known}."
    return FormatError(f"'{path}' must have the column '{name}'", "none of this name", remedy)


def _shown(cell: object) -> str:
    text = str(cell)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."


@contextmanager
def damage(path: Path) -> Iterator[None]:
    """Turn what polars says of a damaged file into a `FormatError`."""
    try:
        yield
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OverflowError) as err:
        raise damaged(path, str(err).strip().split("\n")[0]) from err
    except OSError as err:
        # Of a damaged Arrow file polars says "failed to fill whole buffer" or "invalid argument"; what the disk refuses
        # (no permission, no such file) has a class of its own.
        if type(err) is not OSError:
            raise
        raise damaged(path, str(err).strip().split("\n")[0]) from err


def damaged(path: Path, why: str) -> FormatError:
    """Return the error of a table that is not whole."""
    return FormatError("a recording must be a whole table", f"'{path}' ({why})", "Export it again as CSV or Parquet.")
