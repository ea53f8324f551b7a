"""Say which package a method lacks, and how to install it."""

from __future__ import annotations

from importlib.util import find_spec

from dcdp.errors import ConfigError

__all__ = ["require_package"]


def require_package(who: str, package: str) -> None:
    """Refuse a method (``peer 'minirocket'``) that needs a package that is not installed; nothing is imported.

    Raises
    ------
    ConfigError
        With the command that installs it.
    """
    if find_spec(package) is None:
        raise ConfigError(
            f"{who} needs the package {package}", "none installed",
            f'Install it with: pip install "dcdp[peers]", or: pip install {package}.',
        )  # fmt: skip
