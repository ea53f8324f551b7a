"""Figures and the HTML report of a run, made from its result files alone."""

from dcdp.reports.report import write_report

__all__ = ["write_report"]
