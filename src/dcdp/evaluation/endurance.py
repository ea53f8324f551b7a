"""Compare what methods lose when sensors are absent or fail, and say whether ours loses less than half."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dcdp.errors import DataError
from dcdp.evaluation.robustness import CLEAN
from dcdp.evaluation.statistics import bootstrap_interval

__all__ = ["AbsenceVerdict", "Endurance", "absence_verdicts", "endurance_of"]

BySubject = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Endurance:
    """What one method keeps under each disturbance on one data set and split, its seeds averaged by subject.

    Attributes
    ----------
    data, split, method, seeds
        What was scored.
    clean
        Macro-F1 of each test subject with nothing disturbed.
    points
        Corruption -> severity -> macro-F1 of each test subject.
    sizes
        Corruption -> severity -> unit -> what the severity is in that unit, where it is a share of the spread.
    base
        What the method is a variant of; itself where it is none.
    """

    data: str
    split: str
    method: str
    seeds: tuple[int, ...]
    clean: BySubject
    points: Mapping[str, Mapping[str, BySubject]]
    sizes: Mapping[str, Mapping[str, Mapping[str, float]]]
    base: str

    @property
    def clean_mean(self) -> float:
        """Mean over subjects with nothing disturbed."""
        return _mean(self.clean)

    def mean(self, corruption: str, severity: str) -> float:
        """Mean over subjects under a disturbance."""
        return _mean(self.points[corruption][severity])

    def losses(self, corruption: str, severity: str) -> dict[str, float]:
        """Clean macro-F1 minus that under a disturbance, by subject."""
        return {name: self.clean[name] - left for name, left in self.points[corruption][severity].items()}

    def loss(self, corruption: str, severity: str) -> float:
        """Mean of `losses` over subjects."""
        return _mean(self.losses(corruption, severity))


@dataclass(frozen=True, slots=True)
class AbsenceVerdict:
    """One sensor absent: what our method loses, and what the best of the others does.

    Attributes
    ----------
    kind, absent
        ``absent_modality`` or ``absent_placement``, and its name.
    loss
        Of our method, clean minus absent.
    peer, peer_loss
        The other method that is best with all sensors, and what it loses.
    ratio
        ``loss / peer_loss``; None where the peer loses nothing.
    interval
        Bootstrap 95 % interval over subjects of ``loss - peer_loss / 2``; None for one subject. Below 0 the bar is met
        beyond chance.
    steadiest, steadiest_loss
        The other method that loses least, however good it is with all sensors.
    """

    kind: str
    absent: str
    loss: float
    peer: str
    peer_loss: float
    ratio: float | None
    interval: tuple[float, float] | None
    steadiest: str
    steadiest_loss: float

    @property
    def met(self) -> bool:
        """Whether our method loses less than half of what the best peer loses, or nothing."""
        return self.loss <= 0 or self.loss < self.peer_loss / 2


def endurance_of(results: Iterable[Mapping[str, Any]]) -> list[Endurance]:
    """Gather the ``robustness`` blocks of results by data set, split and method; results without one are left out.

    Parameters
    ----------
    results
        In the layout of ``result.json`` or ``robustness.json``. Seeds of one method are averaged over what they share;
        methods on one data set and split are cut down to the people and the severities that all of them met.

    Raises
    ------
    DataError
        If the methods of one data set and split share no test subject.
    """
    groups: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for result in results:
        if result.get("robustness"):
            groups.setdefault((result["data"], result["split"]["name"], result["method"]), []).append(result)
    found = [_endurance(key, group) for key, group in groups.items()]
    return [_on_common_ground(one, [other for other in found if _place(other) == _place(one)]) for one in found]


def absence_verdicts(methods: Iterable[Endurance], own: str = "dcdp") -> list[AbsenceVerdict]:
    """Hold our method against the others with each modality and each placement absent, on one data set and split.

    Parameters
    ----------
    methods
        On one data set and split, scored on the same subjects.
    own
        Name of our method. Variants of it are no peers.

    Returns
    -------
    list of AbsenceVerdict
        Empty where our method or every other is missing.

    Notes
    -----
    The best peer is chosen by its score with all sensors: of a poor one that loses little there is nothing to learn.
    """
    by_name = {one.method: one for one in methods}
    ours, others = by_name.pop(own, None), [one for one in by_name.values() if one.base != own]
    if ours is None:
        return []
    return [
        _verdict(kind, absent, ours, rivals)
        for kind, levels in ours.points.items()
        if kind.startswith("absent_")
        for absent in levels
        if (rivals := [one for one in others if absent in one.points.get(kind, {})])
    ]


def _verdict(kind: str, absent: str, ours: Endurance, rivals: list[Endurance]) -> AbsenceVerdict:
    best = max(rivals, key=lambda one: one.clean_mean)
    steadiest = min(rivals, key=lambda one: one.loss(kind, absent))
    own, theirs = ours.losses(kind, absent), best.losses(kind, absent)
    shared = [own[name] - theirs[name] / 2 for name in own if name in theirs]
    loss, peer_loss = _mean(own), _mean(theirs)
    return AbsenceVerdict(
        kind, absent, loss, best.method, peer_loss, loss / peer_loss if peer_loss > 0 else None,
        bootstrap_interval(shared) if len(shared) > 1 else None, steadiest.method, steadiest.loss(kind, absent),
    )  # fmt: skip


def _endurance(key: tuple[str, str, str], group: list[Mapping[str, Any]]) -> Endurance:
    first = group[0]["robustness"]
    disturbed = {kind: levels for kind, levels in first.items() if kind != CLEAN}
    points = {
        kind: {
            level: _over_seeds([r["robustness"][kind][level]["macro_f1"]["by_subject"] for r in group])
            for level in levels
            if all(level in r["robustness"].get(kind, {}) for r in group)
        }
        for kind, levels in disturbed.items()
    }
    sizes = {
        kind: {level: point.get("size", {}) for level, point in levels.items()} for kind, levels in disturbed.items()
    }
    clean = _over_seeds([_clean(r) for r in group])
    base = group[0].get("base", key[-1])
    return Endurance(*key, tuple(sorted({r["seed"] for r in group})), clean, points, sizes, base)


def _place(one: Endurance) -> tuple[str, str]:
    return one.data, one.split


def _on_common_ground(one: Endurance, methods: list[Endurance]) -> Endurance:
    """Keep the people and severities that all methods of a data set and split met; not all meet every corruption."""
    people = [name for name in one.clean if all(name in other.clean for other in methods)]
    if not people:
        raise DataError(
            "methods must be tested on the same people to be compared",
            f"{one.method} and others on {one.data}, which share none", "Compare results of the same folds.",
        )  # fmt: skip
    points = {
        kind: {
            level: {name: left[name] for name in people if name in left}
            for level, left in levels.items()
            if all(level in other.points[kind] for other in methods if kind in other.points)
        }
        for kind, levels in one.points.items()
    }
    kept = {kind: levels for kind, levels in points.items() if levels}
    return replace(one, clean={name: one.clean[name] for name in people}, points=kept)


def _clean(result: Mapping[str, Any]) -> BySubject:
    """Return what was scored undisturbed on the windows that were disturbed: in older results those were all."""
    robustness = result["robustness"]
    figures = robustness[CLEAN]["0"] if CLEAN in robustness else result["test"]
    by_subject: BySubject = figures["macro_f1"]["by_subject"]
    return by_subject


def _over_seeds(scores: list[BySubject]) -> dict[str, float]:
    shared = [name for name in scores[0] if all(name in other for other in scores)]
    return {name: float(np.mean([other[name] for other in scores])) for name in shared}


def _mean(values: BySubject) -> float:
    return float(np.mean(list(values.values())))
