"""Say what went wrong so that the reader can mend it: one small exception tree.

::

    DcdpError                      everything that dcdp raises on purpose
    ├── ConfigError    ValueError  an option, key or name that does not exist or does not fit
    ├── DataError      ValueError  recordings that break a rule (constant channel, one subject only)
    │   ├── FormatError            a file that is not what its format says (truncated, altered, text in a number)
    │   └── MismatchError          a recording that does not fit a bundle (channels, units, rates)
    ├── SplitError     ValueError  parts of a split that share a subject or a sample
    ├── BundleError    ValueError  a model file or checkpoint that cannot be trusted
    ├── MissingError   FileNotFoundError  a file or folder that is not there
    ├── NetworkError   ConnectionError  an address that cannot be reached, or does not give what was asked for
    └── StorageError   OSError     the disk refuses (no space, no permission)
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "BundleError",
    "ConfigError",
    "DataError",
    "DcdpError",
    "FormatError",
    "MismatchError",
    "MissingError",
    "NetworkError",
    "SplitError",
    "StorageError",
    "require_seed",
    "unknown_name",
]

_LARGEST_SEED = 2**31 - 1


class DcdpError(Exception):
    """The rule that was broken, the value that broke it, and the remedy.

    Parameters
    ----------
    rule
        The rule, as a short statement (``"window must fit the recording"``).
    got
        The value that broke it.
    remedy
        What to do, as one or more full sentences.

    Examples
    --------
    >>> print(DcdpError("window_s must be positive", "-3", "Give seconds, for example 3.0."))
    window_s must be positive: got -3. Give seconds, for example 3.0.
    """

    def __init__(self, rule: str, got: object, remedy: str) -> None:
        super().__init__(f"{rule}: got {got}. {remedy}")
        self.rule, self.got, self.remedy = rule, str(got), remedy

    def __reduce__(self) -> tuple[type[DcdpError], tuple[str, str, str]]:
        # Exceptions are rebuilt from their message by default; ours have three parts.
        return type(self), (self.rule, self.got, self.remedy)


class ConfigError(DcdpError, ValueError):
    """An option, key or name that does not exist or does not fit."""


class DataError(DcdpError, ValueError):
    """Recordings that break a rule."""


class FormatError(DataError):
    """A file that is not what its format says."""


class MismatchError(DataError):
    """A recording that does not fit a bundle."""


class SplitError(DcdpError, ValueError):
    """Parts of a split that share a subject or a sample, or lack one."""


class BundleError(DcdpError, ValueError):
    """A model file or checkpoint that cannot be trusted."""


class MissingError(DcdpError, FileNotFoundError):
    """A file or folder that is not there."""


class NetworkError(DcdpError, ConnectionError):
    """An address that cannot be reached, or does not give what was asked for."""


class StorageError(DcdpError, OSError):
    """The disk refuses: no space left, no permission."""


def require_seed(seed: int) -> None:
    """Refuse a seed that is negative, or larger than every generator takes.

    Raises
    ------
    ConfigError
        Always for one.
    """
    if seed < 0:
        raise ConfigError("a seed must not be negative", seed, "Give a whole number from 0.")
    if seed > _LARGEST_SEED:
        raise ConfigError(f"a seed must not be above {_LARGEST_SEED}", seed, "Give a smaller one.")


def unknown_name(kind: str, name: str, choices: Iterable[str]) -> ConfigError:
    """Return the error for a name that no registry knows, with the nearest one.

    Examples
    --------
    >>> print(unknown_name("data set", "hatp", ["dsads", "hapt"]))
    data set must be one of dsads, hapt: got 'hatp'. Did you mean 'hapt'?
    """
    known = sorted(choices)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    remedy = f"Did you mean '{near[0]}'?" if near else "Choose one of these."
    return ConfigError(f"{kind} must be one of {', '.join(known)}", f"'{name}'", remedy)
