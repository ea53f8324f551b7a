"""Let a process keep the memory that it frees, so that large arrays are not asked of the system again and again."""

from __future__ import annotations

import ctypes
import os
import sys

__all__ = ["keep_freed_memory"]

# Numbers of malloc.h. The last two are bytes: what lies free at the end of the heap beyond the second goes back.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
_MOST_KEPT, _GROWTH = 2**31 - 1, 2**26


def keep_freed_memory() -> None:
    """Tell the allocator of glibc to keep what this process frees, up to 2 GiB at the end of its heap.

    Left alone it gives every array above 32 MiB back to the system at once and asks for fresh pages for the next: the
    activations of one batch of 45 channels are such arrays, and a step would spend up to half of its time on page
    faults. No value changes. For a whole process, so the command line and the processes of a pool call it and the
    library does not. Nothing happens where the allocator is another (macOS, Windows, musl) or where ``MALLOC_*`` or
    ``GLIBC_TUNABLES`` in the environment say what the user wants.
    """
    if sys.platform != "linux" or any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for option, value in ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, _MOST_KEPT), (_TOP_PAD, _GROWTH)):
            mallopt(option, value)
