"""Quality of a store: measured in numbers, judged by rules, summed up in a verdict."""

from __future__ import annotations

from dcdp.data.quality.figures import Quality, to_plain
from dcdp.data.quality.finding import Finding, Group, Verdict, group_findings, verdict
from dcdp.data.quality.measure import measure_store
from dcdp.data.quality.note_rules import note_table
from dcdp.data.quality.rules import judge
from dcdp.data.quality.trainable import require_trainable
from dcdp.data.store import Store

__all__ = [
    "Finding",
    "Group",
    "Quality",
    "Verdict",
    "check_store",
    "group_findings",
    "judge",
    "measure_store",
    "note_table",
    "require_trainable",
    "to_plain",
    "verdict",
]


def check_store(store: Store) -> list[Finding]:
    """Return what is odd in a store, the worst first: `measure_store`, then `judge`."""
    return list(judge(measure_store(store)))
