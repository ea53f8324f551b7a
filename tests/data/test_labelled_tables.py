import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcdp.data import labelled
from dcdp.data.labelled import parse_labelled, require_header
from dcdp.errors import FormatError

NAMES = ("x", "gap", "label", "y")
CODES = {"walk": 0, "sit": 1, "sti": 1}


def _parse(data, **options):
    return parse_labelled("f.csv", data, NAMES, CODES, empty=("gap",), **options)


@settings(deadline=None)  # the first call imports polars
@given(
    st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6) | st.none(), st.sampled_from(sorted(CODES)),
                       st.floats(-1e6, 1e6)), min_size=1),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
    st.integers(0, 2),
)
def test_what_is_written_is_read(rows, newline, last_newline, header_lines):
    lines = [f"{x!r},{'' if gap is None else repr(gap)},{label},{y!r}" for x, gap, label, y in rows]
    text = newline.join(["a,b"] * header_lines + lines) + newline * last_newline
    expected = np.array([(x, np.nan if gap is None else gap, CODES[label], y) for x, gap, label, y in rows])
    np.testing.assert_allclose(_parse(text.encode(), header_lines=header_lines), expected, rtol=1e-14)


def test_both_ways_of_parsing_agree(monkeypatch):
    data = b"1,2,walk,3\n4,,sit,5\n6,nan,sti,7e-1\n"
    fast = _parse(data)
    monkeypatch.setattr(labelled, "_parse_fast", lambda *_: None)
    np.testing.assert_array_equal(_parse(data), fast)


def test_stray_blanks_are_accepted():
    assert _parse(b" 1 , 2,walk ,3\n").tolist() == [[1, 2, 0, 3]]


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"1,2,walk,3\n1,2,walk\n", r"4 fields: got 3 in 'f\.csv' line 3"),
        (b"1,2,walk,3\n1,2,walk,3,4\n", r"4 fields: got 5 in 'f\.csv' line 3"),
        (b"1,2,walk,3\n\n1,2,walk,3\n", r"4 fields: got 1 in 'f\.csv' line 3"),
        (b"1,2,fly,3\n", r"label must be one of walk, sit, sti: got 'fly' in 'f\.csv' line 2"),
        (b"1,2,walk,3\n,2,walk,3\n", r"got '' in 'f\.csv' line 3, field x"),
        (b"1,2,walk,1e31\n", r"finite number or nan: got '1e31' in 'f\.csv' line 2, field y"),
        (b"1,2,walk,-inf\n", r"got '-inf' in 'f\.csv' line 2, field y"),
        (b"", r"'f\.csv' without a line"),
    ],
)
def test_errors_name_file_and_line(data, match):
    with pytest.raises(FormatError, match=match):
        _parse(b"header\n" + data, header_lines=1)


def test_headers():
    require_header("f", b"no matter\nx,\"gap\",LABEL,anything\r\n1", ("x", "gap", "label", ""), line=2)
    require_header("f", b"\xef\xbb\xbfx,y\n", ("x", "y"))
    for data in (b"", b"x,y"):
        with pytest.raises(FormatError, match=r"column 1 must be 'x': got nothing in 'f' line 1"):
            require_header("f", data, ("x", "y"))
    with pytest.raises(FormatError, match=r"2 columns: got 3 in 'f' line 1"):
        require_header("f", b"x,y,z\n", ("x", "y"))
