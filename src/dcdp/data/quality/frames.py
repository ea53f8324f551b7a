"""How accelerometers sit in the field of gravity, subject by subject."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dcdp.data.quality.figures import FrameFigures
from dcdp.data.quality.scan import RUN_ROWS, Scan
from dcdp.data.store import Store
from dcdp.records import Signal
from dcdp.signals.units import gravity_mps2

__all__ = ["frames_of"]

_FEWEST_OTHERS = 3
_FEWEST_RUNS = 3


def frames_of(store: Store, signal: Signal, scan: Scan) -> tuple[FrameFigures, ...]:
    """Return how an accelerometer sits on each subject that has it.

    Subjects do different things for different times, so directions are compared within each activity: the angle of a
    subject is the median, over activities, of the angle between its mean acceleration and that of the others.
    """
    names, code = np.unique([entry.subject for entry in store.recordings], return_inverse=True)
    subjects = code[scan.run_recordings]
    mean = scan.runs.mean(axis=1, dtype=np.float64)
    usable = np.isfinite(mean).all(axis=1)
    classes = _classes(store, signal, scan)
    directions: dict[int, dict[int, NDArray[np.float64]]] = {}
    for label in np.unique(classes[classes >= 0]).tolist():
        of_class = usable & (classes == label)
        shown, counts = np.unique(subjects[of_class], return_counts=True)
        directions[label] = {
            one: _unit(mean[of_class & (subjects == one)].mean(axis=0))
            for one in shown[counts >= _FEWEST_RUNS].tolist()
        }
    frames = []
    for one in np.unique(subjects).tolist():
        own = subjects == one
        rest = float(gravity_mps2(scan.runs[own].reshape(-1, 3)))
        vectors = mean[own & usable]
        direction = tuple(_unit(vectors.mean(axis=0)).tolist()) if len(vectors) else ()
        angle_deg = _angle(one, directions)
        frames.append(FrameFigures(str(names[one]), rest if np.isfinite(rest) else None, direction, angle_deg))
    return tuple(frames)


def _angle(name: int, directions: dict[int, dict[int, NDArray[np.float64]]]) -> float | None:
    """Return the median angle to the others, over the activities that enough of them show [deg]."""
    angles = []
    for of_class in directions.values():
        others = [vector for subject, vector in of_class.items() if subject != name]
        if name in of_class and len(others) >= _FEWEST_OTHERS:
            # the component-wise median is not drawn along by one other sensor that is upside down
            middle = _unit(np.median(others, axis=0))
            angles.append(np.degrees(np.arccos(np.clip(of_class[name] @ middle, -1, 1))))
    return float(np.median(angles)) if angles else None


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    length = float(np.linalg.norm(vector))
    return vector / length if length > 0 else np.zeros_like(vector)


def _classes(store: Store, signal: Signal, scan: Scan) -> NDArray[np.int64]:
    """Return the class in which the middle of each run lies, -1 outside all activities."""
    classes = np.full(len(scan.run_rows), -1)
    code = {label: place for place, label in enumerate(store.labels.names) if label != store.labels.null_label}
    order = np.argsort(scan.run_recordings, kind="stable")
    numbers, first = np.unique(scan.run_recordings[order], return_index=True)
    for number, own in zip(numbers, np.split(order, first[1:]), strict=True):
        entry = store.recordings[number]
        if not entry.segments:
            continue
        middle_s = entry.start_s[signal.name] + (scan.run_rows[own] + RUN_ROWS / 2) / signal.rate_hz
        place = np.searchsorted([segment.start_s for segment in entry.segments], middle_s, side="right") - 1
        inside = (place >= 0) & (middle_s < np.array([segment.stop_s for segment in entry.segments])[place])
        codes = np.array([code.get(segment.label, -1) for segment in entry.segments])
        classes[own] = np.where(inside, codes[place], -1)
    return classes
