"""Refuse settings outside their range."""

from __future__ import annotations

import math

from dcdp.errors import ConfigError

__all__ = ["require_not_negative", "require_share"]


def require_not_negative(name: str, value: float) -> None:
    """Refuse a value that is negative or not finite."""
    if not 0 <= value < math.inf:
        raise ConfigError(f"{name} must be finite and not negative", value, "0 turns it off.")


def require_share(name: str, value: float) -> None:
    """Refuse a value outside ``[0, 1)``."""
    if not 0 <= value < 1:
        raise ConfigError(f"{name} must lie in [0, 1)", value, "0 turns it off.")
