"""Merge windows of one activity into bouts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Bout", "merge_windows"]


@dataclass(frozen=True, slots=True)
class Bout:
    """A detected episode of one activity over ``[start_s, stop_s)`` on the recording's clock."""

    label: str
    start_s: float
    stop_s: float


def merge_windows(
    times_s: NDArray[np.float64], label: Sequence[str] | NDArray[np.str_], window_s: float, stride_s: float
) -> tuple[Bout, ...]:
    """Merge consecutive windows of one label.

    A window speaks for the time around its centre: where the label changes, the border lies midway between the two
    centres. Windows farther apart than one stride (a gap in the recording) are not consecutive. Beside a gap, and at
    both ends of the recording, a bout reaches to the edge of its outermost window.

    Parameters
    ----------
    times_s
        (N,) starts of the windows, increasing [s].
    label
        (N,) label of each.
    window_s, stride_s
        Length of a window and hop between two [s].

    Examples
    --------
    >>> merge_windows(np.array([0.0, 1.0, 2.0]), ["walk", "walk", "sit"], 3.0, 1.0)
    (Bout(label='walk', start_s=0.0, stop_s=3.0), Bout(label='sit', start_s=3.0, stop_s=5.0))
    """
    if not len(times_s):
        return ()
    names = np.asarray(label)
    apart = np.diff(times_s) > 1.5 * stride_s
    border = np.flatnonzero(apart | (names[1:] != names[:-1]))  # a bout ends after each of these windows
    midway = (times_s[border] + times_s[border + 1] + window_s) / 2
    stops = np.append(np.where(apart[border], times_s[border] + window_s, midway), times_s[-1] + window_s)
    starts = np.append(times_s[0], np.where(apart[border], times_s[border + 1], midway))
    first = np.append(0, border + 1)
    return tuple(Bout(str(names[i]), float(a), float(b)) for i, a, b in zip(first, starts, stops, strict=True))
