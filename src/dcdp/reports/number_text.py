"""Write numbers as all pages show them: true minus signs, no minus zero, small p as "< .001"."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["NONE", "count", "percent", "plain", "plain_p", "signed", "signed_range"]

NONE = "\N{EN DASH}"
"""What stands for a number that is not known."""

_MINUS = "\N{MINUS SIGN}"


def plain(value: float | None, digits: int = 3) -> str:
    """Return a number with so many decimals.

    Examples
    --------
    >>> plain(0.8216), plain(-0.0002), plain(None) == NONE
    ('0.822', '0.000', True)
    """
    return NONE if value is None else _without_minus_zero(f"{value:.{digits}f}")


def signed(value: float | None, digits: int = 3) -> str:
    """Return a difference with its sign; what rounds to 0 has none.

    Examples
    --------
    >>> signed(0.0139), signed(-0.0002)
    ('+0.014', '0.000')
    """
    return NONE if value is None else _without_minus_zero(f"{value:+.{digits}f}")


def signed_range(ends: Sequence[float] | None) -> str:
    """Return the interval of a difference.

    Examples
    --------
    >>> signed_range((0.0047, 0.0229))
    '+0.005 to +0.023'
    """
    return NONE if ends is None else f"{signed(ends[0])} to {signed(ends[1])}"


def percent(share: float | None) -> str:
    """Return a relative difference as a percentage with its sign.

    Examples
    --------
    >>> percent(0.139), percent(-0.001)
    ('+14 %', '0 %')
    """
    return NONE if share is None else f"{signed(100 * share, 0)} %"


def plain_p(value: float | None) -> str:
    """Return a p value.

    Examples
    --------
    >>> plain_p(0.0002), plain_p(0.136)
    ('< .001', '0.136')
    """
    return "< .001" if value is not None and value < 0.001 else plain(value)


def count(value: float | None) -> str:
    """Return a whole number in groups of three digits.

    Examples
    --------
    >>> count(2174892) == "2\N{NARROW NO-BREAK SPACE}174\N{NARROW NO-BREAK SPACE}892"
    True
    """
    return NONE if value is None else f"{value:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def _without_minus_zero(text: str) -> str:
    zero = not text.strip("+-0.")
    return text.lstrip("+-") if zero else text.replace("-", _MINUS)
