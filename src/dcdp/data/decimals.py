"""Turn decimal digits into float64, correctly rounded: the compiled heart of `dcdp.data.text`.

References
----------
Lemire: "Number parsing at a gigabyte per second". Software: Practice and Experience 51(8), 2021, arXiv 2101.11408.
Clinger: "How to read floating point numbers accurately". PLDI 1990.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["parse_rows"]

_LEAST, _MOST = -27, 10
"""Exponents of ten that are read here: with at most 19 digits no number reaches `dcdp.data.text.LARGEST`."""

_MOST_DIGITS = 19
_EXACT_POWERS = 10.0 ** np.arange(23)
_EXACT_WHOLE = np.uint64(1 << 53)
_ZERO, _NINE, _TEN = np.uint64(ord("0")), np.uint64(9), np.uint64(10)
_POINT, _MINUS, _PLUS, _SMALL_E, _LARGE_E, _NEWLINE = (ord(sign) for sign in ".-+eE\n")
_LOW_HALF, _HALF = np.uint64(0xFFFF_FFFF), np.uint64(32)
_ONE, _SIGN = np.uint64(1), np.uint64(1 << 63)


def _five_to(exponent: int) -> int:
    """Return the leading 128 bits of a power of five; of a negative one the next larger number."""
    power: int = 5 ** abs(exponent)
    if exponent >= 0:
        return power << (128 - power.bit_length())
    return (1 << (power.bit_length() + 127)) // power + 1


_FIVES = [_five_to(exponent) for exponent in range(_LEAST, _MOST + 1)]
_FIVES_HIGH = np.array([five >> 64 for five in _FIVES], np.uint64)
_FIVES_LOW = np.array([five & (1 << 64) - 1 for five in _FIVES], np.uint64)


def _compiled(function: Any) -> Any:
    try:
        return njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:  # neither this folder nor the user's cache can be written: compiled anew by every process
        return njit(nogil=True, error_model="numpy")(function)


def parse_rows(text: NDArray[np.uint8], separator: int, n_columns: int, out: NDArray[np.float64]) -> bool:
    """Parse a text that is as plain as can be; say False if it is not, or holds too few or too many rows.

    Parameters
    ----------
    text
        Characters; the last one is a line feed.
    separator
        The character that stands once between two numbers of a line.
    n_columns
        Numbers in every line.
    out
        (T * C,) is filled with what ``float`` would make of each number. Its content means nothing where the answer is
        False: of a number with more than 19 digits, of ``nan``, of a blank too many.
    """
    found: int = _parse(text, separator, n_columns, out.view(np.uint64))
    return found == len(out)


@_compiled
def _parse(text: Any, separator: Any, n_columns: Any, out: Any) -> Any:
    """Fill ``out`` with the bits of the numbers; return how many there are, or -1."""
    i, found, column = 0, 0, 0
    while i < len(text):
        negative = text[i] == _MINUS
        i += negative
        first, whole = i, np.uint64(0)
        i, whole = _digits(text, i, whole)
        n_digits, n_decimals = i - first, 0
        if n_digits == 0:
            return -1
        if text[i] == _POINT:
            start = i + 1
            i, whole = _digits(text, start, whole)
            n_decimals = i - start
            if n_decimals == 0:
                return -1
        if n_digits + n_decimals > _MOST_DIGITS and n_digits + n_decimals - _idle(text, first) > _MOST_DIGITS:
            return -1
        exponent = 0
        if text[i] == _SMALL_E or text[i] == _LARGE_E:
            i, exponent = _exponent(text, i + 1)
        exponent -= n_decimals
        if whole and (exponent < _LEAST or exponent > _MOST):
            return -1
        column += 1
        end = _NEWLINE if column == n_columns else separator
        if text[i] != end or found == len(out):
            return -1
        i += 1
        if column == n_columns:
            column = 0
        bits = _bits(whole, exponent)
        out[found] = bits | _SIGN if negative else bits
        found += 1
    return found


@_compiled
def _digits(text: Any, i: Any, whole: Any) -> Any:
    """Read digits on to the end of a whole number; return the place behind them, and the number."""
    digit = np.uint64(text[i]) - _ZERO  # of what is no digit far above nine, or wrapped around to there
    while digit <= _NINE:
        whole = whole * _TEN + digit
        i += 1
        digit = np.uint64(text[i]) - _ZERO
    return i, whole


@_compiled
def _idle(text: Any, i: Any) -> Any:
    """Count the zeros before the first digit that is none."""
    n = 0
    while text[i] == _ZERO or text[i] == _POINT:
        n += text[i] == _ZERO
        i += 1
    return n


@_compiled
def _exponent(text: Any, i: Any) -> Any:
    """Read what follows an e; an exponent out of all bounds if nothing does."""
    negative = text[i] == _MINUS
    i += negative or text[i] == _PLUS
    start, exponent = i, 0
    while ord("0") <= text[i] <= ord("9"):
        exponent = min(10 * exponent + text[i] - ord("0"), 9999)
        i += 1
    if i == start:
        return i, 9999
    return i, -exponent if negative else exponent


@_compiled
def _bits(whole: Any, exponent: Any) -> Any:
    """Return the float64 nearest to ``whole * 10 ** exponent``, as its bits, ties to even."""
    if whole == 0:
        return np.uint64(0)
    if whole > _EXACT_WHOLE or exponent < -22:
        return _nearest(whole, exponent)
    # Both are float64 without an error, so that one division or product is rounded once (Clinger).
    if exponent < 0:
        return np.float64(np.float64(whole) / _EXACT_POWERS[-exponent]).view(np.uint64)
    return np.float64(np.float64(whole) * _EXACT_POWERS[exponent]).view(np.uint64)


@_compiled
def _nearest(whole: Any, exponent: Any) -> Any:
    """Multiply by 128 bits of a power of five, as many as decide the rounding (Lemire, algorithm 1)."""
    n_empty = 0
    for step in (32, 16, 8, 4, 2, 1):
        if whole < _ONE << np.uint64(64 - step):
            whole <<= np.uint64(step)
            n_empty += step
    high, low = _product(whole, _FIVES_HIGH[exponent - _LEAST])
    if high & np.uint64(0x1FF) == np.uint64(0x1FF):  # what is left out might carry into the bits that count
        carry, _ = _product(whole, _FIVES_LOW[exponent - _LEAST])
        low += carry
        if low < carry:
            high += _ONE
    shift = np.uint64(9) + (high >> np.uint64(63))
    mantissa = high >> shift
    binary = ((217706 * exponent) >> 16) + 63 + np.int64(high >> np.uint64(63)) - n_empty + 1023
    halfway = low <= _ONE and exponent >= -4 and mantissa & np.uint64(3) == _ONE and mantissa << shift == high
    if not halfway:
        mantissa += mantissa & _ONE
    mantissa >>= _ONE
    if mantissa >> np.uint64(53):
        mantissa >>= _ONE
        binary += 1
    return (mantissa & ((_ONE << np.uint64(52)) - _ONE)) | np.uint64(binary) << np.uint64(52)


@_compiled
def _product(a: Any, b: Any) -> Any:
    """Return the upper and the lower 64 bits of a product."""
    a_high, a_low, b_high, b_low = a >> _HALF, a & _LOW_HALF, b >> _HALF, b & _LOW_HALF
    lowest, left, right = a_low * b_low, a_high * b_low, a_low * b_high
    middle = (lowest >> _HALF) + (left & _LOW_HALF) + (right & _LOW_HALF)
    high = a_high * b_high + (left >> _HALF) + (right >> _HALF) + (middle >> _HALF)
    return high, (middle << _HALF) | (lowest & _LOW_HALF)
