"""Say of each part of the method whether it earns its place: paired by person, seeds averaged, with its cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dcdp.evaluation import compare, holm
from dcdp.experiments.components import Component

__all__ = ["EARNS", "HARMS", "OFF", "TIE", "Results", "by_person", "judge", "judge_all"]

EARNS, TIE, HARMS, OFF = "earns its place", "tie", "harms", "off"

Results = Mapping[int, Mapping[str, Any]]
"""Results of one variant on one data set and split, by seed."""

_VERDICTS = {"ahead": EARNS, "behind": HARMS, "tie": TIE}
_LEAST_COST = 0.1  # shares of a step: beside other jobs two timings of one training differ by as much
_LEVEL = 0.05


def judge_all(
    components: Sequence[Component], variants: Mapping[str, Results], step_s: Mapping[str, float]
) -> list[dict[str, Any]]:
    """Judge every component whose two variants share a seed; p is corrected over all of them (Holm).

    Parameters
    ----------
    step_s
        Variant -> time of a step of training [s], where it is known.
    """
    none: Results = {}
    known = [
        one for one in components
        if variants.get(one.with_part, none).keys() & variants.get(one.without_part, none).keys()
    ]  # fmt: skip
    told = [judge(one, variants[one.with_part], variants[one.without_part], step_s) for one in known]
    tests = {(one["with"], one["without"]): one["p_value"] for one in told if one["p_value"] is not None}
    corrected = dict(zip(tests, holm(list(tests.values())), strict=True))  # a part told twice is tested once
    for one in told:
        one["p_holm"] = corrected.get((one["with"], one["without"]))
        if one["verdict"] in (EARNS, HARMS) and one["p_holm"] is not None and one["p_holm"] > _LEVEL:
            one["sentence"] = f"a hint, no proof: {one['sentence']}"
    return told


def judge(
    component: Component, with_part: Results, without_part: Results, step_s: Mapping[str, float]
) -> dict[str, Any]:
    """Compare two variants that differ in one component.

    Parameters
    ----------
    with_part, without_part
        Results by seed; the seeds that both have, one at least, are compared. The very same results mean that the
        component is off.
    step_s
        As in `judge_all`.

    Returns
    -------
    dict
        ``difference`` of macro-F1 (with minus without) and its ``interval``, over people, seeds averaged; ``by_seed``:
        the difference for each; ``n_people``, ``seeds``, ``p_value``, ``p_holm``; ``cost``: how much longer a step of
        training takes, as a share; ``verdict`` (``earns its place``, ``tie``, ``harms``, ``off``) and ``sentence``,
        which tells it in words; ``note`` on what to keep in mind; ``absent``: ``difference``, ``interval``,
        ``p_value``, ``verdict`` and ``seeds`` again, of the macro-F1 with one branch absent at test, mean over
        branches. Unknown figures are None.
    """
    facts: dict[str, Any] = {
        "component": component.name, "group": component.group, "about": component.sentence,
        "with": component.with_part, "without": component.without_part,
        "difference": None, "interval": None, "p_value": None, "p_holm": None, "by_seed": {}, "cost": None, "note": "",
        "absent": None,
    }  # fmt: skip
    seeds = sorted(with_part.keys() & without_part.keys())
    if all(with_part[seed] is without_part[seed] for seed in seeds):
        told = "the same training with and without it"
        return facts | {"seeds": seeds, "n_people": 0, "verdict": OFF, "sentence": told}
    ours, theirs = by_person(with_part, seeds), by_person(without_part, seeds)
    facts |= {
        "seeds": seeds,
        "n_people": len(ours),
        "by_seed": {str(seed): _mean(with_part, seed) - _mean(without_part, seed) for seed in seeds},
        "cost": _cost(step_s.get(component.with_part), step_s.get(component.without_part)),
    }
    if len(ours) < 2:
        return facts | {"verdict": TIE, "sentence": "one person tells nothing", "note": "Test more people."}
    found = compare(ours, theirs)
    verdict = _VERDICTS[found.verdict]
    return facts | {
        "difference": found.mean_difference,
        "interval": list(found.interval),
        "p_value": found.p_value,
        "note": found.note,
        "verdict": verdict,
        "sentence": _sentence(verdict, facts["cost"]) + ("; few people" if found.note else ""),
        "absent": _judge_absent(with_part, without_part),
    }


def _judge_absent(with_part: Results, without_part: Results) -> dict[str, Any] | None:
    """Compare two variants by what is left when a branch is absent at test; None where no result tells by person."""
    both = with_part.keys() & without_part.keys()
    seeds = sorted(seed for seed in both if _tells_absent(with_part[seed]) and _tells_absent(without_part[seed]))
    if not seeds:
        return None
    found = compare(*(_absent_by_person(results, seeds) for results in (with_part, without_part)))
    return {
        "difference": found.mean_difference, "interval": list(found.interval), "p_value": found.p_value,
        "verdict": _VERDICTS[found.verdict], "seeds": seeds,
    }  # fmt: skip


def _tells_absent(result: Mapping[str, Any]) -> bool:
    absent = result["test"].get("absent") or {}
    return bool(absent) and all("by_subject" in figures for figures in absent.values())


def _absent_by_person(results: Results, seeds: Sequence[int]) -> dict[str, float]:
    """Return the macro-F1 of each person, averaged over the absent branch and over seeds."""
    tables = [figures["by_subject"] for seed in seeds for figures in results[seed]["test"]["absent"].values()]
    return {person: float(np.mean([table[person] for table in tables])) for person in tables[0]}


def by_person(results: Results, seeds: Sequence[int]) -> dict[str, float]:
    """Return the macro-F1 of each test person, averaged over seeds.

    Seeds of one person are no independent pairs: an interval over (person, seed) would be too narrow.
    """
    tables = [results[seed]["test"]["macro_f1"]["by_subject"] for seed in seeds]
    return {person: float(np.mean([table[person] for table in tables])) for person in tables[0]}


def _mean(results: Results, seed: int) -> float:
    return float(results[seed]["test"]["macro_f1"]["mean"])


def _cost(with_part_s: float | None, without_part_s: float | None) -> float | None:
    """Return by which share the part makes a step of training longer."""
    return with_part_s / without_part_s - 1 if with_part_s and without_part_s else None


def _sentence(verdict: str, cost: float | None) -> str:
    if cost is None:
        return verdict
    if abs(cost) < _LEAST_COST:
        return f"{verdict}; its time does not show"
    return f"{verdict}; {'costs' if cost > 0 else 'saves'} {abs(cost):.0%} of the time of a step"
