import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dcdp.data import text
from dcdp.data.text import parse_table
from dcdp.errors import FormatError

NAMES = ("x", "y", "z")


@settings(deadline=None)  # the first call imports polars
@given(
    st.lists(arrays(np.float64, st.tuples(st.integers(1, 5), st.just(3)), elements=st.floats(-1e6, 1e6)), min_size=1),
    st.sampled_from([" ", ","]),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
)
def test_what_is_written_is_read(tables, separator, newline, last_newline):
    files = []
    for i, table in enumerate(tables):
        text = newline.join(separator.join(map(repr, row)) for row in table.tolist()) + newline * last_newline
        files.append((f"f{i}", text.encode()))
    found, lengths = parse_table(files, separator, NAMES)
    assert found.tobytes() == np.concatenate(tables).tobytes()
    assert lengths == tuple(map(len, tables))


DIGITS = st.from_regex(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,17})?([eE][+-]?[0-9]{1,2})?", fullmatch=True)
ODD = st.sampled_from(
    ["+1", ".5", "1.", "01", "-0", "-", "nan", "1e5e", "1-2", "1+2", "[1]", "1,2", "true", "{}", "1_0", "0x1", "1e400"]
) | st.sampled_from(["--1", "1e31", "é", "1\x002"])
LONG = st.just("9" * 25)


def outcome(parse):
    """Return the numbers, or what the error says."""
    try:
        return np.array(parse()).tolist()
    except FormatError as err:
        return str(err)


@settings(deadline=None, max_examples=300)
@given(
    st.lists(st.lists(DIGITS | ODD | LONG, min_size=1, max_size=4), min_size=1, max_size=6), st.sampled_from([" ", ","])
)
def test_the_fast_ways_read_what_the_slow_way_reads(rows, separator):
    data = "\n".join(map(separator.join, rows)).encode()
    found = outcome(lambda: parse_table([("a", data)], separator, NAMES)[0])
    np.testing.assert_equal(found, outcome(lambda: text._parse_lines("a", data, separator, NAMES, 1)))


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
@pytest.mark.parametrize("separator", [b" ", b",", b"\t", b"   "])
def test_plain_numbers_take_the_fastest_way(newline, separator, monkeypatch):
    monkeypatch.setattr(text, "_parse_as_csv", None)
    rows = [b"%d" % i + separator + b"-0" + separator + b"-1.25e-003" for i in range(50)]
    for ending in (newline, b""):
        data = newline.join(rows) + ending
        table, lengths = parse_table([("a", data), ("b", data)], separator.decode()[0], NAMES)
        assert lengths == (50, 50)
        np.testing.assert_array_equal(table[50:], np.stack([np.arange(50), np.zeros(50), np.full(50, -0.00125)], 1))
        assert np.signbit(table[:, 1]).all()


def test_lines_of_unlike_lengths_do_not_make_up_for_each_other():
    with pytest.raises(FormatError, match=r"3 fields: got 2 in 'a' line 1"):
        parse_table([("a", b"1 2\n3 4 5 6\n")], " ", NAMES)


def test_stray_blanks_are_accepted():
    found, lengths = parse_table([("a", b"1 2 3\n"), ("b", b" 4  5\t6 \n")], " ", NAMES)
    assert found.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert lengths == (1, 1)


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"1 2 3\n4 5\n", r"3 fields: got 2 in 'b' line 2"),
        (b"1 2 3\n4 5 6 7\n", r"3 fields: got 4 in 'b' line 2"),
        (b"1 2 3\n\n4 5 6\n", r"3 fields: got 0 in 'b' line 2"),
        (b"1 2 3\n4 five 6\n", r"got 'five' in 'b' line 2, field y"),
        (b"1 2 3\n4 5 -inf\n", r"got '-inf' in 'b' line 2, field z"),
        (b"1 2 3\n4 5 1e31\n", r"got '1e31' in 'b' line 2, field z"),
        (b'1 2 3\n4 "5" 6\n', r"got '\"5\"' in 'b' line 2, field y"),
        (b"1,2,3\n", r"3 fields: got 1 in 'b' line 1"),
        (b"\xff\xfe\x00 2 3\n", r"in 'b' line 1, field x"),
        (b"", r"'b' without a line"),
    ],
)
def test_errors_name_file_and_line(data, match):
    with pytest.raises(FormatError, match=match):
        parse_table([("a", b"1 2 3\n"), ("b", data), ("c", b"1 2 3\n")], " ", NAMES)


def test_header_lines_are_left_out_and_counted():
    table, lengths = parse_table([("a.txt", b"# x\nnames\n1 2\n3 4\n")], " ", "ab", 2)
    assert table.tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert lengths == (2,)
    with pytest.raises(FormatError, match=r"'x' in 'a.txt' line 4, field b"):
        parse_table([("a.txt", b"# x\nnames\n1 2\n3 x\n")], " ", "ab", 2)


@pytest.mark.parametrize("data", [b"", b"# x", b"# x\nnames", b"# x\nnames\n"])
def test_a_header_alone_is_no_table(data):
    with pytest.raises(FormatError, match=r"hold a sample: got 'a.txt' without a line"):
        parse_table([("a.txt", data)], " ", "ab", 2)


@pytest.mark.parametrize("data", [b"", b"\n"])
def test_a_single_column_without_a_number_is_no_table(data):
    with pytest.raises(FormatError, match=r"'a'"):
        parse_table([("a", data)], " ", ["x"])
