"""Gather what each method of a benchmark cost, on one machine as far as there are results from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dcdp.evaluation import MethodResult

__all__ = ["Cost", "Key", "costs_of"]

Key = tuple[str, str, str]
"""Data set, split and method."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a method cost on a data set and split.

    Attributes
    ----------
    spent
        Cost by name (see `dcdp.evaluation.MethodResult`), median over seeds.
    machine
        Processor and device that it was measured on.
    is_at_home
        Whether that is the machine of the baseline: elsewhere times cannot be compared.
    """

    spent: Mapping[str, float]
    machine: str
    is_at_home: bool


def costs_of(results: Sequence[MethodResult], baseline: str) -> dict[Key, Cost]:
    """Return the costs of each method; seeds of another machine than the baseline's count only if there are no others.

    Times of two machines must not meet in one median either, so of several other machines the first counts.
    """
    groups: dict[Key, list[MethodResult]] = {}
    for one in results:
        groups.setdefault((one.data, one.split, one.method), []).append(one)
    homes = {key[:2]: _machine(own[0]) for key, own in groups.items() if key[2] == baseline}
    anywhere = next(iter(homes.values()))  # for a data set on which the baseline was not run
    return {key: _cost(own, homes.get(key[:2], anywhere)) for key, own in groups.items()}


def _cost(results: Sequence[MethodResult], home: str) -> Cost:
    machines = [_machine(one) for one in results]
    machine = home if home in machines else machines[0]
    spent: dict[str, list[float]] = {}
    for one in (one for one, where in zip(results, machines, strict=True) if where == machine):
        for name, value in one.cost.items():
            spent.setdefault(name, []).append(value)
    medians = {name: float(np.median(values)) for name, values in spent.items()}
    return Cost(medians, machine, machine == home)


def _machine(one: MethodResult) -> str:
    return ", ".join(str(one.result["machine"].get(name, "unknown")) for name in ("processor", "device"))
