"""The drawing sheet of all figures: colours, sizes in pixels, and the SVG that goes to disk and into the page."""

from __future__ import annotations

import html
import io
import re
import unicodedata
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "COLOURS",
    "GROUND",
    "INK",
    "RULE",
    "SERIES",
    "SOFT",
    "Drawing",
    "Sheet",
    "clean",
    "draw",
    "dress",
    "legend",
    "legend_height",
    "new_sheet",
    "shorten",
]

# name -> (on a light page, on a dark page). Okabe and Ito's colour-blind-safe hues, darkened or lightened until
# they are legible on the page's ground. The light ones are also markers: the page swaps them for CSS variables.
COLOURS = {
    "ink": ("#1b2530", "#e6ebf0"),
    "soft": ("#5c6773", "#9ba8b5"),
    "rule": ("#d8dee5", "#33404c"),
    "ground": ("#fefefe", "#161d24"),
    "blue": ("#0068ab", "#5fb3ee"),
    "red": ("#c94f01", "#ff9254"),
    "green": ("#01876c", "#43cba6"),
    "purple": ("#a0508a", "#e59fcb"),
    "gold": ("#b28001", "#efc453"),
    "sky": ("#3f9fd2", "#9ad8f9"),
    "stone": ("#6e7883", "#b4bfca"),
}
Grid = Literal["both", "x", "y"]
INK, SOFT, RULE, GROUND = (COLOURS[name][0] for name in ("ink", "soft", "rule", "ground"))
SERIES = tuple(COLOURS[name][0] for name in ("blue", "red", "green", "purple", "gold", "sky", "stone"))

# embeddings, overrides and isolates: with them a name could show its letters, and those after it, in another order
_TURNS = frozenset(map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A))))
_FONTS = "'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif"
_STYLE = {
    "axes.edgecolor": RULE,
    "axes.labelcolor": SOFT,
    "axes.labelsize": 12,
    "axes.labelpad": 6,
    "axes.titlesize": 13,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.facecolor": "none",
    "axes.unicode_minus": True,
    "figure.facecolor": "none",
    "font.size": 12,
    "grid.color": RULE,
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "legend.fontsize": 12,
    "lines.solid_capstyle": "round",
    "path.simplify": False,
    "svg.fonttype": "none",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": SOFT,
    "ytick.labelcolor": SOFT,
    "xtick.labelsize": 11.5,
    "ytick.labelsize": 11.5,
    "xtick.major.size": 3,
    "ytick.major.size": 0,
}


@dataclass(frozen=True, slots=True)
class Drawing:
    """A finished figure: ``svg`` for its own file, ``inline`` for the page."""

    name: str
    svg: str
    inline: str


@dataclass(slots=True)
class Sheet:
    """A figure whose unit is the pixel, and the tooltips of its parts."""

    figure: Figure
    width: int
    height: int
    tips: dict[str, str] = field(default_factory=dict)

    def axes(self, left: float, top: float, width: float, height: float, **options: Any) -> Axes:
        """Add axes by their place on the sheet, from the top left corner [px]."""
        bottom = self.height - top - height
        frame = (left / self.width, bottom / self.height, width / self.width, height / self.height)
        return self.figure.add_axes(frame, **options)

    def tip(self, artist: Any, text: str) -> None:
        """Show ``text`` while the pointer rests on the artist."""
        key = f"tip-{len(self.tips)}"
        artist.set_gid(key)
        self.tips[key] = text


@contextmanager
def _our_style() -> Iterator[None]:
    from matplotlib import style

    with style.context(["default", _STYLE]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # the reader's browser has the glyph
        yield


@contextmanager
def new_sheet(width: int, height: int) -> Iterator[Sheet]:
    """Yield an empty sheet; draw on it, and turn it into an SVG, inside the context."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with _our_style():
        figure = Figure(figsize=(width / 72, height / 72), dpi=72)
        FigureCanvasSVG(figure)
        yield Sheet(figure, width, height)


def draw(name: str, sheet: Sheet) -> Drawing:
    """Turn a sheet into SVG text: the same sheet gives the same bytes."""
    import matplotlib as mpl

    buffer = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with mpl.rc_context({"svg.hashsalt": f"dcdp-{clean(name)}"}):  # salted by name: ids must not clash in the page
        sheet.figure.savefig(buffer, format="svg", metadata=nothing)
    svg = _lighten(_with_tips(buffer.getvalue(), sheet.tips))
    return Drawing(name, svg, _inline(svg, sheet.width))


def _with_tips(svg: str, tips: dict[str, str]) -> str:
    def title(match: re.Match[str]) -> str:
        text = tips.get(match[1])
        return match[0] if text is None else f"{match[0]}<title>{html.escape(clean(text))}</title>"

    return re.sub(r'<g id="(tip-\d+)"[^>]*>', title, svg)


def _lighten(svg: str) -> str:
    """Drop ids that nothing refers to, and decimals that nobody sees."""
    used = set(re.findall(r'(?:href="|url\()#([^")]+)', svg))

    def tag(match: re.Match[str]) -> str:
        text = re.sub(r'\sid="([^"]*)"', lambda found: found[0] if found[1] in used else "", match[0])
        text = re.sub(r"-?\d+\.\d{3,}", lambda found: f"{float(found[0]):.2f}".rstrip("0").rstrip("."), text)
        text = re.sub(r"(font: [^;\"]*?[\d.]+px) [^;\"]*", rf"\1 {_FONTS}", text)
        return re.sub(r"\s*\n\s*", " ", text)

    svg = re.sub(r"<[^>]+>", tag, svg)  # inside tags only: text is escaped, so a label cannot open one
    return re.sub(r">\s*\n\s*<", ">\n<", svg)


def _inline(svg: str, width: int) -> str:
    """Return the SVG element alone, its colours as CSS variables and its type left to the page."""

    def tag(match: re.Match[str]) -> str:
        text = match[0]
        for name, (light, _) in COLOURS.items():
            text = text.replace(light, f"var(--{name})")
        return text.replace(f" {_FONTS}", " var(--sans)").replace("xlink:href=", "href=")

    head, rest = re.sub(r"<[^>]+>", tag, svg[svg.index("<svg") :]).split(">", 1)
    head = re.sub(r'\s(?:xmlns(?::\w+)?|version|width|height)="[^"]*"', "", head)
    size = "wide" if width > 700 else "half"
    return f'{head} class="{size}" style="width:{width}px">{rest}'.strip()


def clean(text: object) -> str:
    """Return the text on one line, without characters that an XML file may not hold, or that turn its direction."""
    line = " ".join(str(text).split())
    return "".join("\ufffd" if _is_unfit(char) else char for char in line)


def _is_unfit(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cs", "Cn") or char in _TURNS


def shorten(text: object, n_chars: int = 24) -> str:
    """Return the text in at most ``n_chars`` characters, start and end kept: long names often differ at the end.

    Examples
    --------
    >>> shorten("moving around in an elevator", 18)
    'moving ar…elevator'
    """
    line = clean(text)
    tail = (n_chars - 1) // 2
    return line if len(line) <= n_chars else f"{line[: n_chars - 1 - tail].rstrip()}…{line[-tail:].lstrip()}"


def dress(axes: Axes, title: str = "", x: str = "", y: str = "", grid: Grid = "y") -> None:
    """Give axes a title, units and a quiet grid (lines across ``x``, ``y`` or both)."""
    axes.set_title(clean(title), fontweight="bold")
    axes.set_xlabel(clean(x))
    axes.set_ylabel(clean(y))
    axes.grid(visible=True, axis=grid)
    axes.spines["left" if grid == "y" else "bottom"].set_visible(False)
    axes.tick_params(axis="both", length=0, pad=6)


def _legend_columns(names: Sequence[str], room: float) -> int:
    longest = max(map(len, names), default=1)
    return max(1, min(len(names), int(room / (40 + 7.2 * longest))))


def legend_height(names: Sequence[str], room: float) -> int:
    """Return the height of a legend of these names that may be ``room`` wide [px]; 0 if there are none."""
    return 18 * -(-len(names) // _legend_columns(names, room)) if names else 0


def legend(sheet: Sheet, handles: Sequence[Any], names: Sequence[str], left: float, room: float) -> None:
    """Put a legend at the top of the sheet, ``left`` from its edge and at most ``room`` wide [px]."""
    sheet.figure.legend(
        handles,
        names,
        loc="upper left",
        ncols=_legend_columns(names, room),
        borderaxespad=0,
        borderpad=0,
        bbox_to_anchor=(left / sheet.width, 1 - 4 / sheet.height),
        handlelength=1.4,
        columnspacing=1.6,
        handletextpad=0.6,
        labelspacing=0.35,
        labelcolor=INK,
    )
