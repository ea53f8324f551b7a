"""What a rule says, and the verdict that all of them come to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

__all__ = ["SEVERITIES", "Finding", "Verdict", "verdict"]

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


def verdict(findings: Iterable[Finding]) -> Verdict:
    """Sum findings up; they stand in order of weight, as `dcdp.data.quality.judge` returns them.

    Examples
    --------
    >>> verdict([]).word
    'fit for training'
    """
    serious = [odd for odd in findings if odd.severity != "note"]
    by_remedy: dict[tuple[str, str], list[Finding]] = {}
    for odd in serious:
        by_remedy.setdefault((odd.severity, odd.remedy), []).append(odd)
    remedies = tuple(f"{_places(group)}: {remedy}" for (_, remedy), group in by_remedy.items())[:_N_REMEDIES]
    if any(odd.severity == "error" for odd in serious):
        return Verdict("not fit", remedies)
    return Verdict("fit with care" if serious else "fit for training", remedies)


def _places(group: list[Finding]) -> str:
    places = list(dict.fromkeys(odd.where for odd in group))
    return ", ".join(places[:3]) + (f" and {len(places) - 3} more" if len(places) > 3 else "")
