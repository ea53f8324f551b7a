"""Lay the quality of recordings out as one self-contained HTML page, in the style of the run report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dcdp.data.quality import Finding, Quality, group_findings, note_table, verdict
from dcdp.data.quality.figures import Copy, RecordingFigures, SignalFigures
from dcdp.files import write_text
from dcdp.reports.ink import COLOURS, clean
from dcdp.reports.quality_plots import draw_quality

__all__ = ["render_quality", "write_quality"]

N_PLACES = 8
N_COPIES = 50
N_RECORDINGS = 30
_MANNER = {"fit for training": "passed", "fit with care": "care", "not fit": "failed"}


def write_quality(path: Path, name: str, quality: Quality, findings: Sequence[Finding]) -> Path:
    """Write the page; the same figures give the same bytes.

    Parameters
    ----------
    name
        Of the data set, as in its title.

    Raises
    ------
    StorageError
        If the disk is full or not writable.
    """
    write_text(Path(path), render_quality(name, quality, findings))
    return Path(path)


def render_quality(name: str, quality: Quality, findings: Sequence[Finding]) -> str:
    """Return the page as HTML; every name that comes from files is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    pages = Environment(
        loader=PackageLoader("dcdp.reports", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters.update(clean=clean, count=_count, span=_span, share=_share, brief=_brief)
    light, dark = (" ".join(f"--{key}: {pair[i]};" for key, pair in COLOURS.items()) for i in (0, 1))
    style = pages.get_template("report.css").render(light=light, dark=dark)
    # Markup is text that is not escaped again: our own style, and SVG whose labels matplotlib has escaped
    svgs = {key: Markup(drawing.inline) for key, drawing in draw_quality(quality).items()}
    return pages.get_template("quality.html").render(
        style=Markup(style),
        svg=svgs,
        name=name,
        **_context(quality, findings),
    )


def _context(quality: Quality, findings: Sequence[Finding]) -> dict[str, Any]:
    found = verdict(findings)
    coverage = quality.coverage
    recorded_s = sum(coverage.recorded_s)
    return {
        "verdict": found,
        "manner": _MANNER[found.word],
        "n": {kind: sum(odd.severity == kind for odd in findings) for kind in ("error", "warning", "note")},
        "groups": group_findings(findings),
        "n_places": N_PLACES,
        "coverage": coverage,
        "recorded_s": recorded_s,
        "labelled": sum(map(sum, coverage.labelled_s)) / recorded_s if recorded_s else 0.0,
        "n_windows": sum(map(sum, coverage.windows)),
        "quality": quality,
        "signals": [_signal_row(quality, signal) for signal in quality.signals],
        "missing": _missing(quality),
        "copies": [_copy_row(copy) for copy in quality.copies[:N_COPIES]],
        "notes": note_table(quality),
        "worst": _worst(quality.recordings),
        "n_recordings": len(quality.recordings),
    }


def _signal_row(quality: Quality, signal: SignalFigures) -> dict[str, Any]:
    return {
        "figures": signal,
        "stuck_s": quality.stuck_s(signal),
        "n_absent": len(quality.recordings) - signal.n_recordings,
    }


def _missing(quality: Quality) -> float:
    """Return the share of values that are missing, over all signals."""
    lost = sum(one.missing_share * signal.n_rows for signal in quality.signals for one in signal.channels)
    values = sum(signal.n_rows * len(signal.channels) for signal in quality.signals)
    return lost / values if values else 0.0


def _copy_row(copy: Copy) -> dict[str, Any]:
    return {"figures": copy, "between": copy.subject != copy.other_subject, "n_signals": len(copy.signals)}


def _worst(recordings: Sequence[RecordingFigures]) -> list[dict[str, Any]]:
    """Return the recordings with most gaps, a row each."""
    rows: list[dict[str, Any]] = [
        {
            "figures": one,
            "n_gaps": sum(gaps.n for gaps in one.gaps.values()),
            "longest_s": max((gaps.longest_s for gaps in one.gaps.values()), default=0.0),
            "total_s": max((gaps.total_s for gaps in one.gaps.values()), default=0.0),
            "stuck_s": max(one.flat_s.values(), default=0.0),
        }
        for one in recordings
        if one.gaps or one.flat_s
    ]
    rows.sort(key=lambda row: max(row["total_s"], row["stuck_s"]), reverse=True)
    return rows[:N_RECORDINGS]


def _count(value: float) -> str:
    return f"{value:,.0f}".replace(",", "\u202f")


def _span(seconds: float) -> str:
    """Return a length of time in the unit that suits it.

    Examples
    --------
    >>> _span(0.42), _span(75.0), _span(5400.0)
    ('0.42 s', '1.2 min', '1.5 h')
    """
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"


def _share(value: float) -> str:
    """Return a share in per cent, with as many digits as a small one needs; a dash for none.

    Examples
    --------
    >>> _share(0.5), _share(0.00042), _share(1 / 3e6)
    ('50.0%', '0.042%', '< 0.0001%')
    """
    if not value:
        return "\N{EN DASH}"
    if value < 1e-6:
        return "< 0.0001%"
    return f"{value:.1%}" if value >= 0.001 else f"{100 * value:.2g}%"


def _brief(value: float | None) -> str:
    return "\N{EN DASH}" if value is None else f"{value:.3g}"
