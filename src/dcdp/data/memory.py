"""Find how much memory this process may have, from all that limits it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["memory_limit"]

_PROC_CGROUP = Path("/proc/self/cgroup")
_CGROUPS = Path("/sys/fs/cgroup")


def memory_limit() -> int:
    """Return the least of physical memory, the limit on address space and the limits of control groups [bytes]."""
    return min([*_physical(), *_address_space(), *_control_groups()], default=1 << 32)


def _physical() -> Iterator[int]:
    try:
        yield os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not on this system
        return


def _address_space() -> Iterator[int]:
    try:
        import resource
    except ImportError:  # not on this system
        return
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY:
        yield soft


def _control_groups() -> Iterator[int]:
    """Yield the limits of the group and of those above it, of either version of the interface."""
    try:
        lines = _PROC_CGROUP.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers in ("", "memory"):
            root, name = (_CGROUPS, "memory.max") if not controllers else (
                _CGROUPS / "memory", "memory.limit_in_bytes")  # fmt: skip
            folder = root / path.lstrip("/")
            for own in (folder, *folder.parents):
                if own.is_relative_to(root):
                    yield from _number(own / name)


def _number(file: Path) -> Iterator[int]:
    try:
        text = file.read_text().strip()
    except OSError:
        return
    if text.isdigit():  # "max" is no limit
        yield int(text)
