"""Rows of a text file as time: where each lies on a regular clock, and what its label column says."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from dcdp.errors import FormatError
from dcdp.records import Note, Segment

__all__ = ["gap_notes", "label_runs", "place_rows", "spread"]

MAX_SHARE = 4
"""A recording may be this many times longer than its samples; beyond, a time stamp is damaged rather than a gap."""


def place_rows(times_s: NDArray[np.float64], rate_hz: float, path: str, first_line: int = 1) -> NDArray[np.int64]:
    """Return the sample number of each row (N,) on a clock of ``rate_hz`` that begins with the first row.

    Each step is rounded by itself, so that time stamps cut to whole milliseconds do not drift off the clock.

    Parameters
    ----------
    times_s
        (N,) time stamps in the order of the file [s].
    path, first_line
        File and line of the first row, for messages.

    Raises
    ------
    FormatError
        If time is missing, does not rise from row to row, or leaps so far that most of the recording would be a gap.

    Examples
    --------
    >>> place_rows(np.array([5.0, 5.01, 5.05]), 100.0, "a.dat").tolist()
    [0, 1, 5]
    """
    steps = np.diff(times_s, prepend=times_s[0] - 1 / rate_hz)
    wrong = np.flatnonzero(~(steps > 0))
    if len(wrong):
        row = int(wrong[0])
        raise FormatError("time must rise from line to line",
                          f"{times_s[row]:.10g} s in '{path}' line {first_line + row}",
                          "The file is damaged: fetch it again.")
    n_steps = np.maximum(1, np.rint(steps * rate_hz))
    if n_steps.sum() > MAX_SHARE * len(steps):
        row = int(n_steps.argmax())
        raise FormatError("time must not leap over most of a recording",
                          f"{steps[row]:.6g} s more in '{path}' line {first_line + row}",
                          "The file is damaged: fetch it again.")
    return np.cumsum(n_steps.astype(np.int64)) - 1


def spread(values: NDArray[np.floating], position: NDArray[np.int64]) -> NDArray[np.float32]:
    """Put rows (N, C) at their sample numbers: (position[-1] + 1, C), NaN where the file has no row."""
    if len(position) == position[-1] + 1:
        return values.astype(np.float32)
    full = np.full((position[-1] + 1, values.shape[1]), np.nan, np.float32)
    full[position] = values
    return full


def gap_notes(position: NDArray[np.int64], rate_hz: float) -> tuple[Note, ...]:
    """Tell that rows are missing, if any are: how long in all, and how often."""
    missing = np.diff(position) - 1
    if not missing.any():
        return ()
    total_s, count = float(missing.sum() / rate_hz), int((missing > 0).sum())
    return (Note("gap", "", total_s, "s", f"rows are missing {count} times, {total_s:g} s in all"),)


def label_runs(
    codes: NDArray[np.float64],
    names: Mapping[int, str | None],
    rate_hz: float,
    path: str,
    position: NDArray[np.int64] | None = None,
    first_line: int = 1,
) -> tuple[Segment, ...]:
    """Turn a column of label codes into segments; a run ends where the code changes or rows are missing.

    Parameters
    ----------
    codes
        (N,) code of each row.
    names
        Code -> activity, or None for the null class, which gets no segment.
    position
        (N,) sample number of each row; their order if not given.
    path, first_line
        File and line of the first row, for messages.

    Raises
    ------
    FormatError
        Naming file and line of a code that is not declared.

    Examples
    --------
    >>> for run in label_runs(np.array([0, 4, 4, 0, 1.0]), {0: None, 1: "lie", 4: "walk"}, 2.0, "a.dat"):
    ...     print(run.start_s, run.stop_s, run.label)
    0.5 1.5 walk
    2.0 2.5 lie
    """
    unknown = np.flatnonzero(~np.isin(codes, list(names)))
    if len(unknown):
        row = int(unknown[0])
        raise FormatError(f"label must be one of {', '.join(map(str, sorted(names)))}",
                          f"{codes[row]:g} in '{path}' line {first_line + row}", "Fetch the file again.")
    at = np.arange(len(codes)) if position is None else position
    begin = np.flatnonzero(np.concatenate([[True], (np.diff(codes) != 0) | (np.diff(at) > 1)]))
    last = np.append(begin[1:], len(codes)) - 1
    segments = []
    for label, start, stop in zip(codes[begin].astype(int).tolist(), at[begin], at[last] + 1, strict=True):
        name = names[label]
        if name is not None:
            segments.append(Segment(float(start / rate_hz), float(stop / rate_hz), name))
    return tuple(segments)
