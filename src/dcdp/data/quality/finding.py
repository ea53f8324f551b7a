"""What a rule says, and the verdict that all of them come to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

__all__ = ["SEVERITIES", "Finding", "Group", "Verdict", "group_findings", "verdict"]

SEVERITIES = ("error", "warning", "note")
_N_REMEDIES = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """Something odd in a store.

    Attributes
    ----------
    severity
        ``error`` forbids training, ``warning`` needs a look, ``note`` is good to know.
    rule, where, value, remedy
        The rule that is broken, the place, the value that breaks it, what to do.
    """

    severity: Literal["error", "warning", "note"]
    rule: str
    where: str
    value: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the findings come to.

    Attributes
    ----------
    word
        ``fit for training``, ``fit with care`` (there are warnings) or ``not fit`` (there are errors).
    remedies
        What to do first: at most three, for errors and warnings alone.
    """

    word: Literal["fit for training", "fit with care", "not fit"]
    remedies: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Findings of one rule that ask for the same: ``places`` are (where, value)."""

    severity: Literal["error", "warning", "note"]
    rule: str
    remedy: str
    places: tuple[tuple[str, str], ...]


def group_findings(findings: Iterable[Finding]) -> tuple[Group, ...]:
    """Put findings of one severity, rule and remedy together, in the order in which each first appears.

    Examples
    --------
    >>> odd = [Finding("note", "a channel should vary", name, "0", "Look.") for name in ("x", "y")]
    >>> group_findings(odd)[0].places
    (('x', '0'), ('y', '0'))
    """
    places: dict[tuple[Literal["error", "warning", "note"], str, str], list[tuple[str, str]]] = {}
    for odd in findings:
        places.setdefault((odd.severity, odd.rule, odd.remedy), []).append((odd.where, odd.value))
    return tuple(Group(*key, tuple(found)) for key, found in places.items())


def verdict(findings: Iterable[Finding]) -> Verdict:
    """Sum findings up; they stand in order of weight, as `dcdp.data.quality.judge` returns them.

    Examples
    --------
    >>> verdict([]).word
    'fit for training'
    """
    serious = [group for group in group_findings(findings) if group.severity != "note"]
    remedies = tuple(f"{_places(group)}: {group.remedy}" for group in serious[:_N_REMEDIES])
    if any(group.severity == "error" for group in serious):
        return Verdict("not fit", remedies)
    return Verdict("fit with care" if serious else "fit for training", remedies)


def _places(group: Group) -> str:
    places = list(dict.fromkeys(where for where, _ in group.places))
    return ", ".join(places[:3]) + (f" and {len(places) - 3} more" if len(places) > 3 else "")
