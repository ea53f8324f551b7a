"""Tell how a text table is written: separator, decimal sign, header."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from dcdp.data.tables import Dialect

__all__ = ["sniff"]

_HEAD_BYTES = 2**16
_SNIFFED_LINES = 50


def sniff(path: Path) -> Dialect:
    """Guess how a text table is written: lines before the header, separator, decimal sign, and whether it has a header.

    Raises
    ------
    UnicodeDecodeError
        If it is not UTF-8.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    text = head.decode("utf-8-sig") if len(head) < _HEAD_BYTES else _decoded(head)
    lines = text.splitlines()[:_SNIFFED_LINES]
    skip = 0
    while skip < len(lines) and (not lines[skip].strip() or re.match(r"\s*(#|%|//|sep=)", lines[skip])):
        skip += 1
    lines = lines[skip:] if len(lines) - skip < _SNIFFED_LINES else lines[skip:-1]
    if not lines:
        return Dialect()
    first, last = lines[0], lines[-1]
    usual = max(",;\t", key=first.count)  # what is taken where no separator is given
    separator = max(",;\t", key=lambda sign: (last.count(sign) > 0 and first.count(sign) > 0, first.count(sign)))
    if separator == ",":  # the commas may be in the numbers
        better = [sign for sign in ";\t" if all(re.fullmatch(r"\s*-?\d+,\d+\s*|\s*-?\d+\s*", cell)
                                                for cell in last.split(sign)) and sign in last]  # fmt: skip
        separator = better[0] if better else separator
    decimal = "."
    if not first.count(separator):
        separator = " " if len(first.split()) > 1 else ","
    elif separator != ",":
        cells = [cell for line in lines[1:] or lines for cell in line.split(separator)]
        commas = sum(bool(re.fullmatch(r"\s*[+-]?\d*,\d+(e[+-]?\d+)?\s*", cell, re.IGNORECASE)) for cell in cells)
        points = sum(bool(re.fullmatch(r"\s*[+-]?\d*\.\d+\s*", cell)) for cell in cells)
        decimal = "," if commas > points else "."
    cells = first.split() if separator == " " else next(csv.reader([first], delimiter=separator))
    header = not all(_is_number(cell.replace(",", ".") if decimal == "," else cell) for cell in cells)
    told = None if separator == usual else separator
    return Dialect(told, decimal, header, skip)


def _decoded(head: bytes) -> str:
    """Decode the beginning of a file, which may end within a letter."""
    for cut in range(4):
        try:
            return head[: len(head) - cut].decode("utf-8-sig")
        except UnicodeDecodeError:
            continue
    return head.decode("utf-8-sig")


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
