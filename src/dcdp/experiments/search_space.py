"""What a search may vary: for each configuration key an interval or a list of choices."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dcdp.config import RunConfig
from dcdp.errors import ConfigError
from dcdp.models.network import resolve_network
from dcdp.settings import build, override

if TYPE_CHECKING:
    from optuna.trial import Trial

__all__ = ["DEFAULT_SPACE", "Choices", "Interval", "Space", "default_point", "make_space", "suggest"]

DEFAULT_SPACE: dict[str, Any] = {
    "training.learning_rate": {"low": 5e-4, "high": 8e-3, "log": True},
    "network.dropout": {"low": 0.2, "high": 0.7},
    "network.path_dropout": {"low": 0.0, "high": 0.5},
    "augment.rotation_deg": {"low": 0.0, "high": 45.0},
    "objective.contrast": [0.0, 0.1, 0.3],
    "modulation.alpha": [0.0, 1.0, 3.0],
}
_FIXED = ("windows", "body")  # they say what is scored: under other windows a score is another figure


@dataclass(frozen=True, slots=True)
class Interval:
    """Numbers from ``low`` to ``high``, drawn evenly, or on a logarithmic scale; whole ones where the key is."""

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ConfigError("an interval must have low < high", f"{self.low} and {self.high}", "Swap or widen them.")
        if self.log and self.low <= 0:
            raise ConfigError("a logarithmic interval must be positive", self.low, "Raise low, or leave out log.")


Choices = tuple[str, ...]
"""Values as JSON text, which is also how they stand in an assignment ``key=value``."""

Space = Mapping[str, Interval | Choices]


def make_space(declared: Mapping[str, Any], config: RunConfig) -> Space:
    """Read a search space, and check it against the configuration that the search starts from.

    Parameters
    ----------
    declared
        As a TOML file gives it: key -> a list of choices, or ``{low, high, log}``. Tables may be nested
        (``[training]``) or dotted (``"training.learning_rate"``).
    config
        The default, which must lie inside: then the search can only find something better.

    Raises
    ------
    ConfigError
        If a key does not exist, may not be searched, or a value does not fit it; if the default is not in the space.

    Examples
    --------
    >>> make_space({"training": {"epochs": {"low": 5, "high": 30}}}, RunConfig())
    {'training.epochs': Interval(low=5.0, high=30.0, log=False)}
    """
    space = {key: _read(key, value, config) for key, value in _leaves(declared)}
    if not space:
        raise ConfigError("a search space must name a key", "none", 'For example "network.dropout" = [0.3, 0.5].')
    for key, allowed in space.items():
        _require_inside(key, allowed, _value(config, key))
    return space


def default_point(space: Space, config: RunConfig) -> dict[str, Any]:
    """Return the default of every key, as the search holds its values."""
    values = {key: _value(config, key) for key in space}
    return {key: value if isinstance(space[key], Interval) else _text(value) for key, value in values.items()}


def suggest(trial: Trial, space: Space, config: RunConfig) -> tuple[str, ...]:
    """Let a trial choose from the space; return assignments ``key=value``, as ``--set`` takes them."""
    return tuple(f"{key}={_suggest_one(trial, key, allowed, config)}" for key, allowed in space.items())


def _suggest_one(trial: Trial, key: str, allowed: Interval | Choices, config: RunConfig) -> object:
    if not isinstance(allowed, Interval):
        return trial.suggest_categorical(key, allowed)
    if isinstance(_value(config, key), int):
        return trial.suggest_int(key, round(allowed.low), round(allowed.high), log=allowed.log)
    drawn = trial.suggest_float(key, allowed.low, allowed.high, log=allowed.log)
    return min(max(float(f"{drawn:.5g}"), allowed.low), allowed.high)  # short enough to be typed again


def _leaves(declared: Mapping[str, Any], where: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in declared.items():
        key = f"{where}.{name}" if where else name
        if isinstance(value, Mapping) and not value.keys() & {"low", "high"}:
            yield from _leaves(value, key)
        else:
            yield key, value


def _read(key: str, value: Any, config: RunConfig) -> Interval | Choices:
    if key.partition(".")[0] in _FIXED:
        raise ConfigError(
            f"a search must not vary {' or '.join(_FIXED)}", f"'{key}'",
            "Its scores would not compare; set it for the whole search with --set.",
        )  # fmt: skip
    if isinstance(value, Mapping):
        interval = build(Interval, value, key)
        for edge in ("low", "high"):
            override(config, f"{key}={value[edge]}")
        return interval
    if not isinstance(value, list) or not value:
        raise ConfigError(f"{key} must be given a list of choices, or low and high", repr(value), "Mend the space.")
    return tuple(_text(_value(override(config, f"{key}={_text(choice)}"), key)) for choice in value)


def _require_inside(key: str, allowed: Interval | Choices, default: Any) -> None:
    if isinstance(allowed, Interval):
        if isinstance(default, bool) or not isinstance(default, (int, float)):
            raise ConfigError(f"{key} must be given choices", "low and high", "Give a list of values.")
        inside, shown = allowed.low <= default <= allowed.high, f"{allowed.low:g} to {allowed.high:g}"
    else:
        inside, shown = _text(default) in allowed, ", ".join(allowed)
    if not inside:
        raise ConfigError(f"the space of {key} must hold its default {_text(default)}", shown,
                          "Widen it, or move the default with --set.")


def _value(config: RunConfig, key: str) -> Any:
    """Return what a key stands at; of the network, what its preset fills in."""
    section, _, rest = key.partition(".")
    value: Any = getattr(config, section)
    for name in rest.split("."):
        value = getattr(value, name)
    if value is None and section == "network":
        value = getattr(resolve_network(config.network), rest)
    return value


def _text(value: Any) -> str:
    try:
        return json.dumps(value)
    except TypeError as err:  # a date, which TOML knows and no key takes
        raise ConfigError("a choice must be a number, text, truth value or list", repr(value), "Mend it.") from err
