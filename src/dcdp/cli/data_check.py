"""``dcdp data check``: measure recordings, judge them, and report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

if TYPE_CHECKING:
    from dcdp.data.quality import Finding, Quality

__all__ = ["check"]

N_PLACES = 6


def check(
    name: str,
    /,
    *,
    data: Path | None = None,
    cache: Path | None = None,
    unverified: Annotated[bool, Parameter(negative="")] = False,
    out: Path | None = None,
    json: Path | None = None,
) -> None:
    """Check recordings before training: dead sensors, gaps, clipping, clocks, labels, balance, copies.

    Exit code 0 if they are fit (with care or without), 2 if something forbids training.

    Parameters
    ----------
    name
        Data set (see dcdp data list), folder with a dcdp.toml, or FILE.toml.
    data
        Folder with the archives, or with the unpacked data set.
    cache
        Folder for parsed recordings.
    unverified
        Accept files whose hashes are not the known ones.
    out
        Write the whole report as one HTML page, with figures.
    json
        Write every figure as JSON.
    """
    from dcdp.cli.summary import print_lines
    from dcdp.errors import DataError
    from dcdp.experiments.quality import check_data, write_quality_json
    from dcdp.reports.quality import write_quality

    checked = check_data(name, data, cache, verify=not unverified)
    print_lines(f"{name}: {checked.verdict.word}", _extent(checked.quality), "")
    _print_findings(checked.findings)
    _print_signals(checked.quality)
    if out is not None:
        print_lines(f"report  {write_quality(out, name, checked.quality, checked.findings)}")
    if json is not None:
        print_lines(f"figures {write_quality_json(json, checked)}")
    n_errors = sum(odd.severity == "error" for odd in checked.findings)
    if n_errors:
        raise DataError("recordings must have no errors", f"{n_errors} in '{name}'", "They stand first in the list.")


def _extent(quality: Quality) -> str:
    coverage = quality.coverage
    people = f"{len(coverage.subjects)} {'person' if len(coverage.subjects) == 1 else 'people'}"
    n_windows = sum(map(sum, coverage.windows))
    return (
        f"{len(quality.recordings)} recordings of {people}, {sum(coverage.recorded_s) / 3600:.1f} hours, "
        f"{len(coverage.classes)} activities, {n_windows} windows of {coverage.window_s:g} s"
    )


def _print_findings(findings: Sequence[Finding]) -> None:
    from dcdp.cli.summary import print_lines
    from dcdp.data.quality import group_findings

    if not findings:
        print_lines("nothing odd found", "")
    for group in group_findings(findings):
        print_lines(f"{group.severity:<8} {group.rule}")
        print_lines(*(f"           {where}: {value}" for where, value in group.places[:N_PLACES]))
        if len(group.places) > N_PLACES:
            print_lines(f"           and {len(group.places) - N_PLACES} more")
        print_lines(f"         {group.remedy}", "")


def _print_signals(quality: Quality) -> None:
    from dcdp.cli.summary import print_table

    columns = ["signal", "Hz", "unit", "missing", "gaps", "longest, s", "stuck, s", "at limit", "at rest"]
    rows = [
        [
            signal.name, f"{signal.rate_hz:g}", signal.unit, _per_cent(signal.missing_share), str(signal.gaps.n or "-"),
            _number(signal.gaps.longest_s, 1), _number(quality.stuck_s(signal), 1), _per_cent(signal.at_limit_share),
            _number(signal.rest or 0.0, 2),
        ]
        for signal in quality.signals
    ]  # fmt: skip
    print_table(columns, rows)


def _number(value: float, n_digits: int) -> str:
    return f"{value:.{n_digits}f}" if value else "-"


def _per_cent(share: float) -> str:
    return "-" if share < 5e-5 else f"{share:.2%}"
