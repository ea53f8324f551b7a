"""Say which disturbances each method had met in training already, from the configurations of their results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dcdp.reports.ink import clean
from dcdp.reports.run_folder import mapping, numbers

__all__ = ["UNTOLD", "trained_with"]

_SAME = "Every method met the same disturbances."
UNTOLD = (
    f"{_SAME} In training dcdp hides branches and placements from some windows and turns windows a little, as its "
    "configuration says. Peers by our recipe are trained so too, those called @ours without hidden branches, trees and "
    "MiniRocket on undisturbed windows besides; other peers learn from undisturbed windows."
)
"""What is true of all results, where their configurations are not at hand."""

_READ = {"dcdp": ("network.", "augment."), "@ours": ("augment.",), "@hidden": ("network.branch_dropout", "augment.")}
"""Which settings act on a method, by the end of its base; on other peers none of them does."""

_HIDDEN = {
    "network.branch_dropout": "{} of branches",
    "network.channel_dropout": "{} of channels",
    "network.waveform_dropout": "up to {} of waveforms",  # times 1 - 1/P for P placements
    "augment.placement_dropout": "{} of placements",
    "augment.modality_dropout": "{} of modalities",
    "augment.signal_dropout": "{} of sensors",
    "augment.channel_dropout": "{} of recorded channels",
}
_VARIED = {
    "augment.rotation_deg": "sensors turned by angles with a standard deviation of {:g}°",
    "augment.flip": "sensors worn the other way round",
    "augment.gain": "errors of gain",
    "augment.vigour": "movement made weaker or stronger",
    "augment.jitter": "noise",
    "augment.jitter_mps2": "noise on accelerometers",
    "augment.jitter_dps": "noise on gyroscopes",
    "augment.drift_mps2": "accelerometers that drift",
    "augment.drift_dps": "gyroscopes that drift",
    "augment.time_warp": "time stretched",
    "augment.magnitude_warp": "gain that drifts",
    "augment.mixing": "levels mixed between people",
}
_OF_SEVERAL_PLACES = ("network.waveform_dropout", "augment.placement_dropout")  # idle where there is one placement


def trained_with(results: Iterable[Mapping[str, Any]]) -> str:
    """Return sentences that name every method once, those that were trained alike together.

    Parameters
    ----------
    results
        On one data set and split, each of its own method, with ``robustness``.
    """
    groups: dict[tuple[str, ...], dict[str, None]] = {}
    for result in results:
        met = _met(result)
        if met is None:
            return UNTOLD
        groups.setdefault(tuple(met), {})[clean(result["method"])] = None
    told = [f"{_listed(list(methods))} learned with {_listed(met)}" for met, methods in groups.items() if met]
    nothing = list(groups.get((), ()))
    told += [f"{_listed(nothing)} learned from undisturbed windows"] if nothing else []
    return f"{_SAME} {'; '.join(told)}." if told else _SAME


def _met(result: Mapping[str, Any]) -> list[str] | None:
    """Return what the windows of training went through, in words; None where the result does not tell."""
    base = str(result.get("base", result["method"]))
    read = next((keys for end, keys in _READ.items() if base.endswith(end)), ())
    if not read:
        return []
    config = mapping(result, "config")
    told = {f"{part}.{key}": value for part in ("network", "augment") for key, value in numbers(config, part).items()}
    if not all(any(key.startswith(start) for key in told) for start in read):  # left to a preset by an older result
        return None
    idle = () if mapping(result, "robustness", "absent_placement") else _OF_SEVERAL_PLACES
    acts = {key: value for key, value in told.items() if value and key.startswith(read) and key not in idle}
    hidden = [words.format(f"{100 * acts[key]:g} %") for key, words in _HIDDEN.items() if key in acts]
    varied = [words.format(acts[key]) for key, words in _VARIED.items() if key in acts]
    return [f"{_listed(hidden)} hidden", *varied] if hidden else varied


def _listed(words: Sequence[str]) -> str:
    """Return words as a list.

    Examples
    --------
    >>> _listed(["acc", "gyr", "mag"])
    'acc, gyr and mag'
    """
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
