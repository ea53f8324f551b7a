"""Check, write and read ``result.json``: the one file that holds what a run found."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

import dcdp
from dcdp.errors import FormatError, MissingError
from dcdp.evaluation.schema import check_result
from dcdp.files import write_text

__all__ = ["FORMAT", "assemble_result", "environment", "read_result", "write_result"]

FORMAT = 1
_LINE = 120
_PACKAGES = ("lightgbm", "numpy", "polars", "scikit-learn", "scipy", "torch")


def assemble_result(parts: Mapping[str, Any], device: str = "cpu") -> dict[str, Any]:
    """Add the format number and the environment to the parts of a result, and check the whole.

    Parameters
    ----------
    parts
        The other keys of ``result.json``; NumPy values, tuples and paths are turned into plain ones.
    device
        What the run computed on.

    Raises
    ------
    FormatError
        If a key is missing or holds something else than it must.
    """
    result: dict[str, Any] = _plain({"format": FORMAT, **environment(device), **parts})
    check_result(result)
    return result


def write_result(path: Path, result: Mapping[str, Any]) -> None:
    """Check a result and write it atomically.

    Raises
    ------
    FormatError
        If a key is missing or holds something else than it must: nothing is written then.
    StorageError
        If the disk is full or not writable.
    """
    plain = _plain(result)
    check_result(plain)
    write_text(Path(path), _compact(plain) + "\n")


def read_result(path: Path) -> dict[str, Any]:
    """Read a result and check it.

    Raises
    ------
    MissingError
        If there is no such file.
    FormatError
        If it is not a result, or one of another format.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingError("a run must have a result.json", f"no file '{path}'", "Give the folder of a finished run.")
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as err:
        raise FormatError("a result must be JSON", f"'{path}' ({err})", "Run the evaluation again.") from err
    if not isinstance(result, dict) or result.get("format") != FORMAT:
        found = result.get("format") if isinstance(result, dict) else type(result).__name__
        raise FormatError(
            f"a result must have format {FORMAT}",
            f"{found} in '{path}'",
            "Read it with the version of dcdp that wrote it, or run again.",
        )
    try:
        check_result(result)
    except FormatError as err:
        raise FormatError(err.rule, f"{err.got} in '{path}'", err.remedy) from None
    return result


def environment(device: str = "cpu") -> dict[str, dict[str, Any]]:
    """Name what a run stood on: ``versions`` of packages, and the ``machine``. Imports none of them."""
    versions = {"dcdp": dcdp.__version__, "python": platform.python_version()}
    return {
        "versions": versions | {name: _version(name) for name in _PACKAGES},
        "machine": {
            "cores": _usable_cores(),
            "processor": _processor(),
            "system": f"{platform.system()} {platform.release()}",
            "device": device,
        },
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _processor() -> str:
    """Return the processor's name; Linux hides it from `platform`."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _compact(value: Any, indent: str = "") -> str:
    """Return JSON in which a list, or a table that fits a line, is one line: small, and changes are seen in place."""
    line = json.dumps(value, ensure_ascii=False, allow_nan=False)
    if not isinstance(value, Mapping) or len(line) <= _LINE:
        return line
    inner = indent + " "
    items = (f"{inner}{json.dumps(key, ensure_ascii=False)}: {_compact(item, inner)}" for key, item in value.items())
    return "{\n" + ",\n".join(items) + f"\n{indent}}}"


def _plain(value: Any) -> Any:
    """Turn NumPy values, tuples and paths into what JSON knows."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (np.generic, np.ndarray)):
        return _plain(value.tolist()) if isinstance(value, np.ndarray) else value.item()
    return str(value) if isinstance(value, Path) else value
