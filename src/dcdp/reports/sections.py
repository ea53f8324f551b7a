"""Lay tables and figures out under headings, as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dcdp.reports.ink import COLOURS, Drawing, clean
from dcdp.reports.number_text import NONE, plain

if TYPE_CHECKING:
    from markupsafe import Markup

__all__ = ["Figure", "Named", "Page", "Section", "Table", "render_sections"]


@dataclass(frozen=True, slots=True)
class Named:
    """A name, and in small letters below it what it is."""

    name: str
    about: str


Plain = float | int | str | None
Cell = Plain | Named


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of plain values; None is a dash. Floats get three decimals, text stands as it is.

    ``numeric`` names columns of text that is a number all the same, such as "+14 %": they stand at the right, too.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""
    numeric: Sequence[str] = ()

    def is_numeric(self, column: int) -> bool:
        """Whether a column holds numbers alone."""
        known = [row[column] for row in self.rows if row[column] is not None]
        numbers = bool(known) and all(isinstance(value, (int, float)) for value in known)
        return numbers or self.columns[column] in self.numeric


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawing and what it shows."""

    drawing: Drawing
    caption: str


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, the question that it answers, and its tables and figures."""

    title: str
    lead: str
    items: Sequence[Table | Figure]


@dataclass(frozen=True, slots=True)
class Page:
    """A page: ``kind`` stands small above the title, ``facts`` are (name, value) below it."""

    kind: str
    title: str
    facts: Sequence[tuple[str, object]]
    sections: Sequence[Section]
    foot: str = "Made by dcdp."


def render_sections(page: Page, pills: Mapping[str, str] | None = None) -> str:
    """Return the page as HTML; everything but the drawings is escaped.

    Parameters
    ----------
    pills
        Cells to set off, such as verdicts -> their style: ``ahead`` (good), ``behind`` (bad), or empty.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    pages = Environment(
        loader=PackageLoader("dcdp.reports", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters.update(clean=clean, cell=_cell, inline=_inline)
    light, dark = (" ".join(f"--{key}: {pair[i]};" for key, pair in COLOURS.items()) for i in (0, 1))
    style = Markup(pages.get_template("report.css").render(light=light, dark=dark))
    return pages.get_template("sections.html").render(style=style, page=page, pills=pills or {})


def _inline(drawing: Drawing) -> Markup:
    from markupsafe import Markup

    return Markup(drawing.inline)  # our own SVG, whose labels matplotlib has escaped


def _cell(value: Plain) -> str:
    if value is None or isinstance(value, str):
        return NONE if value is None else clean(value)
    return plain(value, 3 if isinstance(value, float) else 0)
