"""Bring the rows of a recording into the order of their times, one row a time, and say what was wrong."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dcdp.errors import FormatError
from dcdp.records import Note

__all__ = ["part_of_rows", "require_finite_times", "tidy_times"]

_SET_BACK_ROWS = 16
_SET_BACK_S = 1.0


def tidy_times(
    times_s: NDArray[np.float64], values: NDArray[np.float64], signal: str
) -> tuple[NDArray[np.float64], NDArray[np.float64], tuple[Note, ...]]:
    """Sort rows by time, and keep one row for each time.

    Parameters
    ----------
    times_s
        (N,) [s].
    values
        (N, C), NaN where nothing was measured.
    signal
        Name for the notes.

    Returns
    -------
    times_s, values, notes
        Strictly increasing times (M,), M <= N, the values (M, C), and a note of kind ``out_of_order`` and
        ``duplicate_times`` where there were such rows. Of rows with equal times the first in the file stays; its
        missing cells are taken from the next that has them.

    Raises
    ------
    FormatError
        If a time is not finite, or the clock was set back: 16 rows or more, over a second or more, have times among
        those of rows before them, so that sorting would shuffle two stretches into one.

    Examples
    --------
    >>> values = np.array([[0.0], [2.0], [1.0], [9.0]])
    >>> times_s, values, notes = tidy_times(np.array([0.0, 2.0, 1.0, 1.0]), values, "hr")
    >>> times_s.tolist(), values.ravel().tolist()
    ([0.0, 1.0, 2.0], [0.0, 1.0, 2.0])
    >>> [note.text for note in notes]
    ['2 of 4 rows (50 %) were out of order and were sorted by time', '1 of 4 rows (25 %) had the time of another']
    """
    require_finite_times(times_s, signal)
    n_late = int((times_s < np.maximum.accumulate(times_s)).sum()) if len(times_s) else 0
    notes = []
    if n_late:
        _refuse_set_back(times_s, signal)
        order = np.argsort(times_s, kind="stable")
        times_s, values = times_s[order], values[order]
        told = f"{part_of_rows(n_late, len(times_s))} were out of order and were sorted by time"
        notes.append(Note("out_of_order", signal, float(n_late), "rows", told))
    first = np.diff(times_s, prepend=-np.inf) > 0
    n_twins = int((~first).sum())
    if n_twins:
        told = f"{part_of_rows(n_twins, len(times_s))} had the time of another"
        notes.append(Note("duplicate_times", signal, float(n_twins), "rows", told))
        values = _merged(values, np.cumsum(first) - 1)
        times_s = times_s[first]
    return times_s, values, tuple(notes)


def require_finite_times(times_s: NDArray[np.float64], signal: str) -> None:
    """Raise FormatError if a time (N,) is not finite."""
    wrong = ~np.isfinite(times_s)
    if wrong.any():
        raise FormatError(
            f"the times of '{signal}' must be finite",
            f"{part_of_rows(int(wrong.sum()), len(times_s))} without, the first is row {int(wrong.argmax()) + 1}",
            "Drop these rows, or fill in their times.",
        )


def _merged(values: NDArray[np.float64], group: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return for each group of consecutive rows and each channel the first value that is not missing."""
    merged = np.full((int(group[-1]) + 1, values.shape[1]), np.nan)
    for channel, column in enumerate(values.T):
        rows = np.flatnonzero(~np.isnan(column))[::-1]  # written backwards, so that the first of a group comes last
        merged[group[rows], channel] = column[rows]
    return merged


def _refuse_set_back(times_s: NDArray[np.float64], signal: str) -> None:
    """Raise if a run of increasing times lies, row by row, among times that were there before it.

    Late rows and blocks in the wrong order fill holes; a clock that was set back runs through known time again.
    """
    _, place = np.unique(times_s, return_inverse=True)
    start = np.flatnonzero(np.diff(times_s, prepend=-np.inf) < 0)
    late = times_s < np.maximum.accumulate(times_s)
    stop = np.append(start[1:], len(times_s))
    n_late = np.add.reduceat(late, start, dtype=np.int64)  # the late rows of a run are its first
    n_late = np.minimum(n_late, stop - start)
    last = start + n_late - 1
    n_foreign = place[last] - place[start] + 1 - n_late
    back = (n_late >= _SET_BACK_ROWS) & (n_foreign >= _SET_BACK_ROWS) & (times_s[last] - times_s[start] >= _SET_BACK_S)
    if back.any():
        row = int(start[back.argmax()])
        raise FormatError(
            f"the clock of '{signal}' must not be set back",
            f"{times_s[row]:.10g} s after {times_s[:row].max():.10g} s in row {row + 1}",
            "Split the recording at that row, or correct its times.",
        )


def part_of_rows(n: int, of: int) -> str:
    """Say in words how many rows, and which share of them.

    Examples
    --------
    >>> part_of_rows(3, 40)
    '3 of 40 rows (7.5 %)'
    """
    return f"{n} of {of} rows ({100 * n / of:.3g} %)"
