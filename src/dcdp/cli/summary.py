"""Print what a run came to: macro-F1 by held-out subject, absent sensors, files, what to try next."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["next_commands", "print_lines", "print_result", "print_table"]


def print_result(result: Mapping[str, Any], run: Path) -> None:
    """Print the figures of a result, where its files lie, and three commands to try next.

    Parameters
    ----------
    result
        As in ``result.json``; see ``docs/conventions.md``.
    run
        Run folder.
    """
    scores = {result.get("method", "dcdp"): result["test"]["macro_f1"]}
    scores |= {name: peer["macro_f1"] for name, peer in result.get("peers", {}).items()}
    _print_subjects(scores)
    _print_absent(result["test"])
    bundles = _bundles(result, run)
    more = {1: "", 2: "  (and 1 more fold)"}.get(len(bundles), f"  (and {len(bundles) - 1} more folds)")
    print_lines(
        f"model   {bundles[0]}{more}",
        f"report  {run / 'report.html'}",
        f"result  {run / 'result.json'}",
        "",
        "Next:",
        *(f"  {command}" for command in next_commands(result, run, bundles[0])),
    )


def next_commands(result: Mapping[str, Any], run: Path, bundle: Path) -> tuple[str, str, str]:
    """Return the three commands that a reader of this result would try next."""
    folder, model = shlex.quote(str(run)), shlex.quote(str(bundle))
    last = "dcdp data list" if result["data"] == "synthetic" else f"dcdp predict {model} recording.csv"
    return f"dcdp evaluate {folder}", f"dcdp info {model}", last


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], title: str = "") -> None:
    """Print rows of plain values under a title; every column but the first is right-aligned if numeric.

    The first column names its row, and is not broken over lines unless a name has more than 40 characters.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for place, column in enumerate(columns):
        numeric = place > 0 and all(isinstance(row[place], (int, float)) for row in rows)
        whole = place == 0 and all(len(str(row[0])) <= 40 for row in rows)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold", no_wrap=whole)
    for row in rows:
        table.add_row(*(Text(f"{cell:.4f}" if isinstance(cell, float) else str(cell)) for cell in row))
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)  # a pipe has no width to keep to
    with console.capture() as shown:  # rich would answer a closed pipe with exit code 1
        if title:  # the table's own title would be broken at the table's width
            console.print(Text(title, style="bold"))
        console.print(table)
    print_lines(shown.get())


def print_lines(*lines: str) -> None:
    """Print lines as they are: no markup, no wrapping of paths."""
    for line in lines:
        print(line)  # noqa: T201  the command line's own output


def _print_subjects(scores: Mapping[str, Mapping[str, Any]]) -> None:
    first = next(iter(scores.values()))
    rows: list[list[object]] = [
        [subject, *(_figure(score["by_subject"].get(subject)) for score in scores.values())]
        for subject in sorted(first["by_subject"])
    ]
    rows.append(["mean", *(_figure(score["mean"]) for score in scores.values())])
    rows.append(["std", *(_figure(score["std"]) for score in scores.values())])
    print_table(["subject", *scores], rows, "macro-F1 by held-out subject")


def _print_absent(test: Mapping[str, Any]) -> None:
    absent = test.get("absent") or {}
    if absent:
        rows = [[branch, _figure(score["macro_f1"]), _figure(score["loss"])] for branch, score in absent.items()]
        print_table(["without", "macro-F1", "loss"], rows, "macro-F1 with one branch of sensors absent")


def _bundles(result: Mapping[str, Any], run: Path) -> list[Path]:
    return [run / "folds" / fold["fold"] / "bundle.safetensors" for fold in result["split"]["folds"]]


def _figure(value: float | None) -> object:
    """Return a score as a float, or a dash where there is none (a class-less subject, a peer left out)."""
    return "-" if value is None else float(value)
