"""Tables of people's own making: exact times, dates, text, dialects, binary kinds, and where they are wrong."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dcdp.data import tables
from dcdp.data.frame import Times
from dcdp.data.tables import (
    SUFFIXES,
    Dialect,
    column_names,
    read_columns,
    read_head,
    read_table,
    read_text_column,
)
from dcdp.errors import ConfigError, DcdpError, FormatError, MissingError

EASY = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
FRAME = pl.DataFrame({"t": [0, 20, 40], "x": [1.5, None, -3.0], "who": ["ann", "", "bob"]})


def write(path: Path, frame: pl.DataFrame) -> Path:
    suffix = path.suffix
    if suffix in (".parquet", ".pq"):
        frame.write_parquet(path)
    elif suffix in (".feather", ".arrow", ".ipc"):
        frame.write_ipc(path)
    else:
        frame.write_csv(path, separator="\t" if suffix in (".tsv", ".tab") else ",")
    return path


def times_of(path: Path, unit: str, place: int = 0) -> Times:
    table = read_table(path, [place])
    return table.times(place, unit)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_kind_of_file_gives_the_same_columns(suffix: str, tmp_path: Path) -> None:
    path = write(tmp_path / f"a{suffix}", FRAME)
    assert column_names(path) == ("t", "x", "who")
    assert read_columns(path, [1, 0]).tolist()[::2] == [[1.5, 0.0], [-3.0, 40.0]]
    assert np.isnan(read_columns(path, [1])[1, 0])
    assert read_text_column(path, 2).tolist() == ["ann", "", "bob"]
    assert read_head(path, 2).strings(2).tolist() == ["ann", ""]
    assert times_of(path, "ms").since_s.tolist() == [0.0, 0.02, 0.04]


@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "a.feather"])
@pytest.mark.parametrize("unit", ["ns", "us", "ms", "s"])
def test_whole_times_lose_nothing(name: str, unit: str, tmp_path: Path) -> None:
    per_s = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    first = 1_700_000_000 * per_s + 1
    path = write(tmp_path / name, pl.DataFrame({"t": [first, first + 1, first + 3]}))
    found = times_of(path, unit)
    assert found.origin_ns == first * (10**9 // per_s)
    assert found.since_s.tolist() == [0.0, 1 / per_s, 3 / per_s]


def test_fractions_of_seconds_keep_their_digits(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("t\n1700000000.25\n1700000000.5\n", encoding="utf-8")
    found = times_of(tmp_path / "a.csv", "s")
    assert (found.origin_ns, found.since_s.tolist()) == (1_700_000_000 * 10**9, [0.25, 0.5])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-05-01T12:00:00Z", datetime(2024, 5, 1, 12, tzinfo=UTC)),
        ("2024-05-01 12:00:00.5", datetime(2024, 5, 1, 12, 0, 0, 500_000, tzinfo=UTC)),
        ("2024/05/01 12:00:00,25", datetime(2024, 5, 1, 12, 0, 0, 250_000, tzinfo=UTC)),
        ("2024-05-01T14:30:00+02:30", datetime(2024, 5, 1, 12, tzinfo=UTC)),
        ("2024-05-01T07:00-0500", datetime(2024, 5, 1, 12, tzinfo=UTC)),
        ("1969-12-31 23:59:59.75", datetime(1969, 12, 31, 23, 59, 59, 750_000, tzinfo=UTC)),
    ],
)
def test_dates_are_read(text: str, expected: datetime, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f't\n"{text}"\n', encoding="utf-8")
    found = times_of(tmp_path / "a.csv", "iso")
    assert found.origin_ns == round(expected.timestamp() * 1000) * 10**6
    assert found.since_s.tolist() == [0.0]


def test_nanoseconds_of_dates_are_kept(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("t\n2024-05-01T12:00:00.000000001Z\n2024-05-01T12:00:00.000000004Z\n")
    found = times_of(tmp_path / "a.csv", "iso")
    assert found.origin_ns % 10**9 == 1
    assert found.since_s.tolist() == [0.0, 3e-9]


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_dates_of_binary_tables_need_no_unit(unit: str, tmp_path: Path) -> None:
    stamps = pl.Series([1_700_000_000_000, 1_700_000_000_020]).cast(pl.Datetime("ms")).cast(pl.Datetime(unit))
    path = write(tmp_path / "a.parquet", pl.DataFrame({"t": stamps}))
    for said in ("s", "iso"):
        found = times_of(path, said)
        assert (found.origin_ns, found.since_s.tolist()) == (1_700_000_000 * 10**9, [0.0, 0.02])


@pytest.mark.parametrize(
    ("text", "unit", "message"),
    [
        ("t\n1\n\n3\n", "s", r"'t' must hold a time in each row: got nothing in line 3 of '.*a.csv'"),
        ("t\n1\nsoon\n", "s", r"column 't' must hold numbers: got 'soon' in line 3"),
        ("t\n1\n1e300\n", "s", r"must hold a time in each row: got '1e300' in line 3"),
        ("t\n2024-05-01 12:00:00\n01.05.2024 12:00\n", "iso", r"a time in each row: got '01.05.2024 12:00' in line 3"),
        ("t\n2024-13-01 12:00:00\n", "iso", r"got '2024-13-01 12:00:00' in line 2"),
        ("t\n2024-05-01 25:00:00\n", "iso", r"got '2024-05-01 25:00:00' in line 2"),
        ("t\n9223372036854775807\n", "ns", r"must hold a time in each row"),
    ],
)
def test_what_is_no_time_is_told_by_line(text: str, unit: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    with pytest.raises(FormatError, match=message):
        times_of(tmp_path / "a.csv", unit)


@pytest.mark.parametrize(
    ("text", "dialect"),
    [
        ("t;x\n0;1,5\n20;-3,0\n", Dialect(decimal=",")),
        ("0,1.5\n20,-3\n", Dialect(header=False)),
        ("made by hand\n\nt,x\n0,1.5\n20,-3\n", Dialect(skip_lines=2)),
        ("t|x\n0|1.5\n20|-3\n", Dialect(separator="|")),
        ("  t   x\n  0   1.5\n\n 20\t-3  \n", Dialect(separator=" ")),
        ("\ufefft,x\r\n0,1.5\r\n20,-3\r\n,\r\n", Dialect()),
    ],
    ids=["comma", "no header", "preamble", "bar", "blanks", "BOM"],
)
def test_dialects(text: str, dialect: Dialect, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text, encoding="utf-8")
    assert column_names(path, dialect) == (("t", "x") if dialect.header else ("column_1", "column_2"))
    assert read_columns(path, [0, 1], dialect).tolist() == [[0, 1.5], [20, -3]]


@pytest.mark.parametrize(
    ("text", "dialect", "message"),
    [
        ("a;b\n1;2\n3;x\n", Dialect(), r"column 'b' must hold numbers: got 'x' in line 3"),
        ("1;2\n3;x\n", Dialect(header=False), r"column 'column_2' must hold numbers: got 'x' in line 2"),
        ("no\na;b\n1;2\n3;x\n", Dialect(skip_lines=1), r"got 'x' in line 4"),
        ("a;b\n1;2,5\n", Dialect(), r"column 'b' must hold numbers: got '2,5' in line 2"),
        ("no\na,b\n1,2\n3\n", Dialect(skip_lines=1), r"each line must have 2 fields, as the first: got 1 in line 4"),
        ("a  b\n1  2\n3\n", Dialect(separator=" "), r"each line must have 2 fields, as the first: got 1 in line 3"),
    ],
)
def test_wrong_cells_are_told_by_line_in_every_dialect(
    text: str, dialect: Dialect, message: str, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    with pytest.raises(FormatError, match=message):
        read_columns(tmp_path / "a.csv", [0, 1], dialect)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"separator": ";;"}, "separator must be one character: got ';;'"),
        ({"separator": "\n"}, "separator must be one character"),
        ({"decimal": "x"}, "decimal must be a point or a comma"),
        ({"separator": ",", "decimal": ","}, "other than the separator"),
        ({"skip_lines": -1}, "skip_lines must not be negative"),
    ],
)
def test_a_dialect_must_make_sense(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Dialect(**options)  # type: ignore[arg-type]


def test_a_missing_column_is_told_with_the_nearest(tmp_path: Path) -> None:
    table = read_table(write(tmp_path / "a.csv", FRAME))
    assert table.place("who") == 2
    with pytest.raises(FormatError, match=r"must have the column 'whom': got none of this name. Did you mean 'who'"):
        table.place("whom")
    (tmp_path / "b.csv").write_text("x,x\n1,2\n", encoding="utf-8")
    with pytest.raises(FormatError, match="columns must be named once each: got 'x' twice"):
        read_table(tmp_path / "b.csv").place("x")


def test_what_is_too_large_or_no_table_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.csv", FRAME)
    monkeypatch.setattr(tables, "MAX_BYTES", 10)
    with pytest.raises(FormatError, match="at most 10 bytes"):
        column_names(path)
    monkeypatch.undo()
    (tmp_path / "wide.csv").write_text(",".join("a" * 5000) + "\n", encoding="utf-8")
    with pytest.raises(FormatError, match="at most 4096 columns: got 5000"):
        column_names(tmp_path / "wide.csv")
    (tmp_path / "a.feather").write_bytes(b"FEA1 of another age")
    with pytest.raises(FormatError, match="not an Arrow file of version 2"):
        column_names(tmp_path / "a.feather")
    with pytest.raises(MissingError, match="must exist"):
        column_names(tmp_path / "nowhere.csv")


@pytest.mark.parametrize("share", [0.001, 0.2, 0.5, 0.9, 0.999])
def test_a_cut_feather_file_is_refused(share: float, tmp_path: Path) -> None:
    content = write(tmp_path / "whole.feather", FRAME).read_bytes()
    (tmp_path / "cut.feather").write_bytes(content[: int(share * len(content))])
    with pytest.raises(FormatError, match=r"whole table: got .*cut\.feather"):
        read_table(tmp_path / "cut.feather")


@EASY
@given(st.data())
def test_noise_gives_a_table_or_a_plain_refusal(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / data.draw(st.sampled_from(["a.csv", "a.parquet", "a.feather"]))
    content = bytearray(write(path, FRAME).read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=5)):
        content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content))
    with suppress(DcdpError):
        table = read_table(path)
        for place in range(len(table.names)):
            assert len(table.strings(place)) == len(table)
