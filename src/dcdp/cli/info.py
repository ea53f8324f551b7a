"""``dcdp info``: say what a model file reads, knows and was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

__all__ = ["info"]


def info(bundle: Path, /) -> None:
    """Say what a model file reads, knows and was trained on.

    Parameters
    ----------
    bundle
        Model file that dcdp train wrote.
    """
    from dcdp.bundle import load_bundle
    from dcdp.cli.summary import print_lines, print_table

    model = load_bundle(bundle)
    branch_of = {signal: branch.name for branch in model.branches for signal in branch.signals}
    print_table(
        ["signal", "branch", "rate [Hz]", "unit", "channels"],
        [[s.name, branch_of.get(s.name, "-"), f"{s.rate_hz:g}", s.unit, ", ".join(s.channels)] for s in model.spec],
        f"{bundle} reads",
    )
    print_lines(
        f"activities  {', '.join(model.labels.names)}",
        f"null class  {model.labels.null_label or 'none'}",
        f"window      {model.windows.window_s:g} s every {model.windows.stride_s:g} s",
        *(f"{key:<11} {_flat(value)}" for key, value in model.provenance.items()),
    )


def _flat(value: object) -> str:
    """Write nested lists and tables of the provenance in one line."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_flat(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_flat, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)
