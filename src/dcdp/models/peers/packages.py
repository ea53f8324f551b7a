"""Say which package a peer lacks, and how to install it."""

from __future__ import annotations

from importlib.util import find_spec

from dcdp.errors import ConfigError

__all__ = ["require_package"]


def require_package(peer: str, package: str) -> None:
    """Refuse a peer whose package is not installed, without importing it.

    Raises
    ------
    ConfigError
        With the command that installs it.
    """
    if find_spec(package) is None:
        raise ConfigError(
            f"peer '{peer}' needs the package {package}", "none installed",
            f'Install it with: pip install "dcdp[peers]", or: pip install {package}.',
        )  # fmt: skip
