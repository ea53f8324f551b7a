"""The reader of MATLAB files: the same numbers as SciPy, and nothing but our errors on damage."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.io import loadmat, savemat

from dcdp.data.matlab import read_matrix
from dcdp.errors import FormatError


def mat(compressed=True, **variables):
    file = io.BytesIO()
    savemat(file, variables, do_compression=compressed)
    return file.getvalue()


def big_endian(values):
    """Return a file as a machine with the other byte order writes it."""

    def element(kind, body):
        return np.array([kind, len(body)], ">u4").tobytes() + body + bytes(-len(body) % 8)

    parts = [
        element(6, np.array([6, 0], ">u4").tobytes()), element(5, np.array(values.shape, ">i4").tobytes()),
        element(1, b"readings"), element(3, values.astype(">i2").tobytes("F")),
    ]  # fmt: skip
    return b"MATLAB".ljust(124) + b"\x01\x00MI" + element(14, b"".join(parts))


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("kind", ["f8", "f4"])
def test_the_numbers_are_those_of_scipy(compressed, kind):
    values = np.random.default_rng(0).normal(size=(50, 6)).astype(kind)
    data = mat(compressed, title="walking", other=np.ones((2, 2)), x=values, one=np.ones((1, 1)))
    np.testing.assert_array_equal(read_matrix("a.mat", data, "x", 10_000), values)
    np.testing.assert_array_equal(read_matrix("a.mat", data, "one", 10_000), loadmat(io.BytesIO(data))["one"])
    assert read_matrix("a.mat", data, "y", 10_000) is None


def test_whole_numbers_stored_small_and_the_other_byte_order():
    values = np.arange(-6, 6).reshape(4, 3)
    data = big_endian(values)
    np.testing.assert_array_equal(loadmat(io.BytesIO(data))["readings"], values)
    np.testing.assert_array_equal(read_matrix("a.mat", data, "readings", 10_000), values)


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "no header of version 5"),
        (b"MATLAB".ljust(124) + b"\x00\x02IM", "version 0x0200"),
        (mat(x=np.ones((9, 9)))[:-5], "cut short"),
        (mat(False, x=np.ones((9, 9)))[:-8], "cut short"),
        (mat(x=np.ones((99, 99))), "too large"),
        (mat(x=np.ones((2, 2), "i4")), "no real matrix"),
        (mat(x=np.ones((2, 2)) * 1j), "no real matrix"),
        (mat(x="text"), "no real matrix"),
        (mat(x=np.ones((2, 2, 2))), "8 numbers for a matrix of"),
    ],
)
def test_damage_is_named(data, match):
    with pytest.raises(FormatError, match=rf"MATLAB file of version 5: got 'a.mat' \(.*{match}"):
        read_matrix("a.mat", data, "x", 10_000)


@given(st.data())
def test_flipped_bytes_raise_nothing_but_our_errors(drawn):
    data = bytearray(mat(drawn.draw(st.booleans()), x=np.arange(12.0).reshape(4, 3)))
    for _ in range(drawn.draw(st.integers(1, 4))):
        data[drawn.draw(st.integers(100, len(data) - 1))] = drawn.draw(st.integers(0, 255))
    try:
        found = read_matrix("a.mat", bytes(data), "x", 10_000)
    except FormatError:
        return
    assert found is None or found.size <= 10_000
