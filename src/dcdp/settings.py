"""Turn plain mappings and TOML into frozen dataclasses and back, refusing what does not fit.

A configuration is a frozen dataclass beside the code that reads it. This module knows none of
them: it reads their type hints. Allowed are ``bool``, ``int``, ``float`` (an integer is accepted),
``str``, ``Path``, ``Literal``, tuples, ``X | None`` and further dataclasses.

TOML has no null. A key whose value is None is left out where None is its default, and written as
the word ``"none"`` where it is not; that word is read as None for every optional key.

Examples
--------
>>> from dataclasses import dataclass, field
>>> @dataclass(frozen=True)
... class Optimiser:
...     lr: float = 1e-3
>>> @dataclass(frozen=True)
... class Run:
...     epochs: int = 10
...     optimiser: Optimiser = field(default_factory=Optimiser)
>>> override(Run(), "optimiser.lr=0.1")
Run(epochs=10, optimiser=Optimiser(lr=0.1))
>>> build(Run, {"epoch": 3})
Traceback (most recent call last):
...
dcdp.errors.ConfigError: configuration key must be one of epochs, optimiser: got 'epoch'. Did you mean 'epochs'?
"""

from __future__ import annotations

import dataclasses
import tomllib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

import tomli_w

from dcdp.errors import ConfigError, DcdpError, FormatError, MissingError, unknown_name

__all__ = ["build", "from_toml", "load_toml", "merge", "override", "to_dict", "to_toml"]

T = TypeVar("T")


def build(cls: type[T], mapping: Mapping[str, Any], where: str = "") -> T:
    """Return ``cls`` filled from a mapping; keys left out keep their defaults.

    Parameters
    ----------
    cls
        A dataclass.
    mapping
        Key -> value, nested for nested dataclasses, as TOML or JSON gives it.
    where
        Dotted path of the mapping inside a larger configuration, for messages.

    Raises
    ------
    ConfigError
        On an unknown key (with the nearest one), a key that has no default and is not given, or a
        value of another type.
    """
    values = _fit_all(cls, mapping, where)
    for field in _fields(cls).values():
        if field.name not in values and _default(field) is dataclasses.MISSING:
            raise ConfigError(
                f"{_join(where, field.name)} must be given", "nothing", f"It is {_describe(_hints(cls)[field.name])}."
            )
    return cls(**values)


def merge(config: T, mapping: Mapping[str, Any], where: str = "") -> T:
    """Return a copy of ``config`` in which only the keys of ``mapping`` are replaced, at any depth.

    Raises
    ------
    ConfigError
        As in `build`.
    """
    cls: Any = type(config)
    nested = {
        key: merge(getattr(config, key), value, _join(where, key))
        for key, value in mapping.items()
        if isinstance(value, Mapping) and dataclasses.is_dataclass(getattr(config, key, None)) and key in _fields(cls)
    }
    plain = {key: value for key, value in mapping.items() if key not in nested}
    changed: T = dataclasses.replace(config, **(_fit_all(cls, plain, where) | nested))  # type: ignore[type-var]
    return changed


def override(config: T, *assignments: str) -> T:
    """Return a copy of ``config`` with some keys replaced, as on a command line.

    All at once: settings that only fit together may come in any order. Of two for one key the last counts.

    Parameters
    ----------
    config
        A dataclass instance.
    assignments
        ``"training.lr=1e-3"``. The value is read as TOML; a bare word is a string.

    Raises
    ------
    ConfigError
        If there is no ``=``, the key does not exist or names a group, or the value does not fit.
    """
    changes: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise ConfigError("an override must be key=value", f"'{assignment}'", "For example training.seed=3.")
        path = key.strip().split(".")
        group = changes
        for name in path[:-1]:
            group = group.setdefault(name, {})
        group[path[-1]] = _read(_kind_at(config, path), text.strip(), ".".join(path))
    return merge(config, changes)


def to_dict(config: Any) -> dict[str, Any]:
    """Return nested dictionaries, lists and plain values, ready for TOML or JSON."""
    plain: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if not field.init or (value is None and _default(field) is None):
            continue
        plain[field.name] = "none" if value is None else _plain(value)
    return plain


def to_toml(config: Any) -> str:
    """Return the configuration as TOML text; `from_toml` gives it back unchanged."""
    return tomli_w.dumps(to_dict(config))


def from_toml(cls: type[T], path: Path) -> T:
    """Read a dataclass from a TOML file.

    Raises
    ------
    MissingError
        If there is no such file.
    FormatError
        If it is not TOML.
    ConfigError
        As in `build`.
    """
    return build(cls, load_toml(path))


def load_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file into nested dictionaries.

    Raises
    ------
    MissingError
        If there is no such file.
    FormatError
        If it is not TOML.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingError("the configuration file must exist", f"'{path}'", "Check the path.")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as err:
        raise FormatError("a configuration file must be TOML", f"{err} in '{path}'", "Mend that line.") from err
    except RecursionError as err:
        raise FormatError("a configuration file must be TOML", f"brackets too deep in '{path}'", "Mend it.") from err


def _hints(cls: Any) -> dict[str, Any]:
    """Return the type hints of a dataclass, resolved from strings."""
    return typing.get_type_hints(cls)


def _fields(cls: Any) -> dict[str, dataclasses.Field[Any]]:
    """Fields that the constructor takes, by name."""
    return {field.name: field for field in dataclasses.fields(cls) if field.init}


def _default(field: dataclasses.Field[Any]) -> Any:
    """Return the default value of a field, or ``dataclasses.MISSING``."""
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _fit_all(cls: Any, mapping: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Fit every value of ``mapping`` to the field of that name."""
    known = _fields(cls)
    for key in mapping:
        if key not in known:
            raise unknown_name("configuration key", _join(where, key), [_join(where, name) for name in known])
    return {key: _fit(_hints(cls)[key], value, _join(where, key)) for key, value in mapping.items()}


def _fit(kind: Any, value: Any, key: str) -> Any:
    """Return ``value`` as ``kind`` or raise `ConfigError` naming the key, the value and what is expected."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (Union, types.UnionType):
        return _fit_union(args, value, key, kind)
    if origin is Literal:
        return _fit_literal(args, value, key)
    if origin is tuple and isinstance(value, (list, tuple)):
        return _fit_tuple(args, value, key, kind)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        if isinstance(value, kind):
            return value
        if isinstance(value, Mapping):
            return build(kind, value, key)
    if kind is float and type(value) is int:
        return float(value)
    if kind is Path and isinstance(value, (str, Path)):
        return Path(value)
    # type(), not isinstance: True is no integer here
    if kind in (bool, int, float, str) and type(value) is kind:
        return value
    raise _misfit(kind, value, key)


def _fit_union(kinds: tuple[Any, ...], value: Any, key: str, whole: Any) -> Any:
    if types.NoneType in kinds and (value is None or value == "none"):
        return None
    members = [kind for kind in kinds if kind is not types.NoneType]
    if len(members) == 1:  # keeps the more precise message of the only member
        return _fit(members[0], value, key)
    # an exact type first, so that 1 stays an int under int | float
    for kind in sorted(members, key=lambda kind: type(value) is not kind):
        try:
            return _fit(kind, value, key)
        except ConfigError:
            continue
    raise _misfit(whole, value, key)


def _fit_literal(choices: tuple[Any, ...], value: Any, key: str) -> Any:
    for choice in choices:
        if type(value) is type(choice) and value == choice:
            return choice
    if isinstance(value, str):
        raise unknown_name(key, value, map(str, choices))
    raise _misfit(Literal[choices], value, key)


def _fit_tuple(args: tuple[Any, ...], value: Any, key: str, whole: Any) -> tuple[Any, ...]:
    kinds = args[:1] * len(value) if args[-1:] == (Ellipsis,) else args
    if len(kinds) != len(value):
        raise _misfit(whole, value, key)
    pairs = enumerate(zip(kinds, value, strict=True))
    return tuple(_fit(kind, item, f"{key}[{place}]") for place, (kind, item) in pairs)


def _misfit(kind: Any, value: Any, key: str) -> DcdpError:
    return ConfigError(f"{key} must be {_describe(kind)}", repr(value), "Change the value.")


def _describe(kind: Any) -> str:
    """Say a type in words that a user of TOML knows."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (Union, types.UnionType):
        words = [_describe(arg) for arg in args if arg is not types.NoneType]
        return " or ".join([*words, "left out"] if types.NoneType in args else words)
    if origin is Literal:
        return "one of " + ", ".join(map(str, args))
    if origin is tuple and args[-1:] == (Ellipsis,):
        return f"a list, each item {_describe(args[0])}"
    if origin is tuple:
        return f"a list of {len(args)} ({', '.join(map(_describe, args))})"
    if dataclasses.is_dataclass(kind):
        return "a table with the keys " + ", ".join(_fields(kind))
    names = {bool: "true or false", int: "an integer", float: "a number", str: "text", Path: "a path"}
    return names.get(kind, str(kind))


def _join(where: str, key: str) -> str:
    return f"{where}.{key}" if where else str(key)


def _kind_at(config: Any, path: list[str]) -> Any:
    """Return the type of the value at a path; refuse one that ends on a group of keys or goes on behind a value."""
    holder: Any = None
    for depth, name in enumerate(path):
        where = ".".join(path[:depth])
        if not dataclasses.is_dataclass(config):
            raise ConfigError(f"{where} must be a single value", f"'{'.'.join(path)}'", f"Write {where}=value.")
        if name not in _fields(config):
            raise unknown_name("configuration key", _join(where, name), [_join(where, key) for key in _fields(config)])
        holder, config = config, getattr(config, name)
    if dataclasses.is_dataclass(config):
        keys = ", ".join(f"{'.'.join(path)}.{key}" for key in _fields(config))
        raise ConfigError("an override must name a single key", f"'{'.'.join(path)}'", f"Give one of {keys}.")
    return _hints(type(holder))[path[-1]]


def _read(kind: Any, text: str, key: str) -> Any:
    """Read a value of a type from a command line."""
    value = _parse(text)
    try:
        return _fit(kind, value, key)
    except ConfigError:
        if value == text:
            raise
        try:  # a word that happens to read as a number or date ("01", "2024-05-01") may be meant as text
            return _fit(kind, text, key)
        except ConfigError:
            pass
        raise


def _parse(text: str) -> Any:
    """Read a TOML value; what is not one is a bare word."""
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (tomllib.TOMLDecodeError, RecursionError):
        return text
    return parsed["value"] if len(parsed) == 1 else text


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return to_dict(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value
