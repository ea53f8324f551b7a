"""Find and read the TOML file that describes a folder of recordings, strictly."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from dcdp.data.own.description import (
    DESCRIPTION_NAME,
    Description,
    DeviceDescription,
    LabelDescription,
    SignalDescription,
)
from dcdp.errors import ConfigError, DcdpError, FormatError, MissingError
from dcdp.settings import build

__all__ = ["description_path", "is_description", "load_description"]

_MAX_TOML_BYTES = 2**20


def is_description(name: str | Path) -> bool:
    """Say whether a name means recordings of one's own: a TOML file, or a folder that holds `DESCRIPTION_NAME`."""
    path = Path(name)
    return path.suffix.lower() == ".toml" or (path / DESCRIPTION_NAME).is_file()


def description_path(name: str | Path) -> Path:
    """Return the TOML file of what `is_description` accepts."""
    path = Path(name)
    return path if path.suffix.lower() == ".toml" else path / DESCRIPTION_NAME


def load_description(path: str | Path) -> Description:
    """Read a description.

    Parameters
    ----------
    path
        TOML file, or the folder that holds ``dcdp.toml``.

    Raises
    ------
    MissingError
        If there is none.
    FormatError
        If it is not TOML; the message names the line.
    ConfigError
        If a key is unknown or does not fit; the message names file, key and remedy.
    """
    path = description_path(path)
    mapping = _load_toml(path)
    if "path" in mapping:  # a field of the record, but no key
        raise ConfigError(f"in '{path}': a description must not name its own path", "the key 'path'", "Leave it out.")
    try:
        described = build(Description, _with_pairs(mapping) | {"path": path})
    except DcdpError as err:
        where = f"'{path}'{'' if 'devices[' in err.rule else _place(mapping)}"
        raise type(err)(f"in {where}: {err.rule.removeprefix('configuration ')}", err.got, err.remedy) from err
    return described if described.name else replace(described, name=_name(path))


def _place(mapping: Mapping[str, Any]) -> str:
    """Say which device and signal is wrong by itself, or nothing if each fits alone."""
    devices = mapping.get("devices")
    for number, device in enumerate(devices if isinstance(devices, list) else []):
        named = f", device '{device.get('name', number + 1)}'" if isinstance(device, Mapping) else ""
        signals = device.get("signals") if isinstance(device, Mapping) else None
        for signal in signals if isinstance(signals, list) else []:
            if not _fits(SignalDescription, signal):
                word = signal.get("modality", "?") if isinstance(signal, Mapping) else "?"
                return f"{named}, signal '{word}'"
        if not _fits(DeviceDescription, device):
            return named
    labels = _with_pairs(mapping).get("labels")
    return "" if labels is None or _fits(LabelDescription, labels) else ", [labels]"


def _fits(kind: type[Any], mapping: Any) -> bool:
    try:
        build(kind, mapping)
    except (DcdpError, AttributeError, TypeError):
        return False
    return True


def _load_toml(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise MissingError("the description must exist", f"'{path}'",
                           "Check the path (--data says where it lies now), or write a draft with: dcdp data describe "
                           "FOLDER.")
    if path.stat().st_size > _MAX_TOML_BYTES:
        raise FormatError(f"a description may have at most {_MAX_TOML_BYTES} bytes", f"{path.stat().st_size} in "
                          f"'{path}'", "It names recordings and does not hold them.")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except tomllib.TOMLDecodeError as err:
        raise FormatError("a description must be TOML", f"{err} in '{path}'", "Mend that line.") from err
    except RecursionError as err:
        raise FormatError("a description must be TOML", f"brackets too deep in '{path}'", "Mend it.") from err
    except UnicodeDecodeError as err:
        raise FormatError("a description must be UTF-8", f"'{path}' ({err.reason} at byte {err.start})",
                          "Save it as UTF-8.") from err


def _with_pairs(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Turn ``labels.names``, whose keys are anybody's, into pairs."""
    plain = dict(mapping)
    labels = plain.get("labels")
    if isinstance(labels, Mapping) and isinstance(labels.get("names"), Mapping):
        plain["labels"] = {**labels, "names": [[str(key), value] for key, value in labels["names"].items()]}
    return plain


def _name(path: Path) -> str:
    """Return the name of a description that gives none: that of its file, or of its folder."""
    text = path.resolve().parent.name if path.name == DESCRIPTION_NAME else path.stem
    return re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-_") or "own"
