"""Choose the branches of recordings that declare none: by modality, each rate apart, as the public sets do."""

from __future__ import annotations

from collections.abc import Callable

from dcdp.records import Branch, Signal, SignalSpec

__all__ = ["default_branches"]


def default_branches(spec: SignalSpec) -> tuple[Branch, ...]:
    """Return a branch for each modality; by placement if there is one modality only.

    A further rate of a modality makes a branch of its own, such as ``acc_25hz``. Accelerations take the residual
    encoder, all others the dense one.

    Examples
    --------
    >>> phone = Signal("hip_acc", "acc", "hip", 100.0, ("x", "y", "z"), "m/s2")
    >>> watch = Signal("wrist_acc", "acc", "wrist", 50.0, ("x", "y", "z"), "m/s2")
    >>> [branch.name for branch in default_branches(SignalSpec((phone, watch)))]
    ['acc', 'acc_50hz']
    """
    branches = _grouped(spec, lambda signal: signal.modality)
    return branches if len(branches) > 1 else _grouped(spec, lambda signal: signal.placement)


def _grouped(spec: SignalSpec, key: Callable[[Signal], str]) -> tuple[Branch, ...]:
    groups: dict[str, list[Signal]] = {}
    for signal in spec:
        name = key(signal)
        if name in groups and groups[name][0].rate_hz != signal.rate_hz:
            name = f"{name}_{signal.rate_hz:g}hz"
        groups.setdefault(name, []).append(signal)
    return tuple(
        Branch(name, tuple(signal.name for signal in signals), "residual" if signals[0].modality == "acc" else "dense")
        for name, signals in groups.items()
    )
