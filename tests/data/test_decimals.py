import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dcdp.data.decimals import parse_rows

FLOATS = st.floats(-1e9, 1e9).map(repr)
DIGITS = st.from_regex(r"-?[0-9]{1,10}(\.[0-9]{1,9})?([eE][+-]?[0-9])?", fullmatch=True)


@st.composite
def long_numbers(draw):
    """As many digits as are read, with a point somewhere."""
    digits = str(draw(st.integers(10**17, 10**19 - 1)))
    point = draw(st.integers(1, len(digits) - 1))
    return f"{digits[:point]}.{digits[point:]}"


@st.composite
def near_ties(draw):
    """A number halfway between two floats, or one unit of the last digit beside it."""
    halfway = 2 * draw(st.integers(2**52, 2**53 - 1)) + 1
    decimals = draw(st.integers(0, 3))
    digits = str(halfway * 5**decimals + draw(st.integers(-1, 1)))
    return f"{digits[: len(digits) - decimals]}.{digits[len(digits) - decimals :]}" if decimals else digits


def parsed(text, n_columns=1):
    out = np.full(text.count(b"\n") * n_columns, np.nan)
    done = parse_rows(np.frombuffer(text, np.uint8), ord(","), n_columns, out)
    return out if done else None


@settings(deadline=None, max_examples=500)  # the first call compiles
@given(st.lists(FLOATS | DIGITS | long_numbers() | near_ties(), min_size=1, max_size=20))
@example(["-0", "0.0", "0e5", "0.000000000000000000000001e-3"])
@example(["9007199254740993", "9007199254740991.5", "18446744073709551615e-19"])
def test_every_number_is_rounded_as_python_rounds_it(numbers):
    found = parsed("".join(f"{number}\n" for number in numbers).encode())
    read = [number for number in numbers if parsed(f"{number}\n".encode()) is not None]
    if len(read) < len(numbers):
        assert found is None
        assert all(len(number) > 19 or "e" in number.lower() for number in set(numbers) - set(read))
    for number in read:
        np.testing.assert_array_equal(
            parsed(f"{number}\n".encode()).view(np.uint64), np.array([float(number)]).view(np.uint64)
        )
    if found is not None:
        assert found.tobytes() == np.array([float(number) for number in numbers]).tobytes()


def test_a_million_numbers_are_those_of_python():
    rng = np.random.default_rng(0)
    values = rng.normal(size=10**6) * 10.0 ** rng.integers(-3, 6, 10**6)
    text = "".join(f"{value!r}\n" for value in values.tolist()).encode()
    assert parsed(text).tobytes() == values.tobytes()


@pytest.mark.parametrize(
    "line",
    [
        "3", "3,4,5", "1 ,2", "1,,2", ",1", "1,", "", "1, 2", "1;2", "+1,2", ".5,2", "1.,2", "-,2", "--1,2", "1e,2",
        "1e+,2", "1e99,2", "1e-40,2", "nan,2", "inf,2", "12345678901234567890,2", "1,2\r", "\x00,1", "1,2\xff",
        "1.2.3,4",
    ],
)  # fmt: skip
def test_what_is_not_plain_is_refused(line):
    assert parsed(b"1,2\n", 2) is not None
    assert parsed(f"1,2\n{line}\n".encode("latin-1"), 2) is None


@pytest.mark.parametrize("n", [1, 3])
def test_the_number_of_rows_must_be_known(n):
    assert not parse_rows(np.frombuffer(b"1\n2\n", np.uint8), ord(","), 1, np.empty(n))


def test_leading_zeros_do_not_count_as_digits():
    assert parsed(b"-0.0001234567890123456789\n") is not None
    assert parsed(b"0.00012345678901234567891\n") is None
