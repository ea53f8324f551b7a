"""``dcdp report``: write the HTML report of a run again, from its result files."""

from __future__ import annotations

from pathlib import Path

__all__ = ["report"]


def report(run: Path, /) -> None:
    """Write the HTML report of a run again, from its result files.

    Parameters
    ----------
    run
        Folder that dcdp train wrote.
    """
    from dcdp.cli.summary import print_lines
    from dcdp.reports import write_report

    print_lines(f"report  {write_report(run)}")
