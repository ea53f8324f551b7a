"""Name the activity of each window of a recording, and the bouts they make."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dcdp.batches import Batches
from dcdp.bundle import Bundle, load_bundle
from dcdp.data.store import memory_store
from dcdp.errors import DataError
from dcdp.inference import Inferred, infer
from dcdp.prediction.bouts import Bout, merge_windows
from dcdp.prediction.fitting import fit_recording
from dcdp.prediction.recording_file import read_recording
from dcdp.records import Recording
from dcdp.signals import cut_windows

__all__ = ["Prediction", "predict_file", "predict_recording"]


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What a model says of a recording, in N windows.

    Attributes
    ----------
    times_s
        (N,) float64, starts of the windows on the recording's clock [s].
    label
        (N,) str, the most probable activity.
    probability
        (N,) float32, of that activity, calibrated.
    probabilities
        (N, K) float32, of all activities, in the order of the bundle's labels.
    bouts
        The windows merged; see `merge_windows`.
    branches_used
        Branches that were whole in at least one window.
    notes
        What was absent, left out or converted, one sentence each.
    """

    times_s: NDArray[np.float64]
    label: NDArray[np.str_]
    probability: NDArray[np.float32]
    probabilities: NDArray[np.float32]
    bouts: tuple[Bout, ...]
    branches_used: tuple[str, ...]
    notes: tuple[str, ...]


def predict_file(
    bundle: str | Path,
    file: str | Path,
    rate_hz: float | None = None,
    *,
    like: str | Path | None = None,
    recording: str = "",
) -> Prediction:
    """Name the activities in a file.

    Parameters
    ----------
    bundle
        Model file.
    file
        CSV, TSV or Parquet: a column for each channel, named as in the bundle, maybe with a unit
        (``waist_acc_x [g]``), and ``time_s`` [s]. Or what a phone recorder wrote (see ``dcdp data show``). Or a
        description of one's own recordings, or a folder that holds its ``dcdp.toml``.
    rate_hz
        Rate of the rows, if there is no ``time_s`` [Hz].
    like
        Description whose files this one, or those in this folder, are like.
    recording
        Which recording of a description.

    Raises
    ------
    MissingError
        If a file is not there.
    BundleError
        If the model file cannot be trusted.
    FormatError
        If the recording is damaged; the message names line and column where it can.
    MismatchError
        If its channels, units or rates do not fit, and cannot be converted.
    DataError
        If it is shorter than a window, or has gaps everywhere.
    """
    model = load_bundle(bundle)
    read, notes = read_recording(Path(file), model, rate_hz, like=like, name=recording)
    prediction = predict_recording(model, read)
    return replace(prediction, notes=tuple(dict.fromkeys((*notes, *prediction.notes))))


def predict_recording(bundle: Bundle, recording: Recording) -> Prediction:
    """Name the activities in a recording in memory; its tracks may have units and rates of their own.

    Raises
    ------
    MismatchError
        If its channels, units or rates do not fit, and cannot be converted.
    DataError
        If it is shorter than a window, or has gaps everywhere.
    """
    fitted, notes = fit_recording(bundle, recording)
    _require_window(bundle, fitted)
    store = memory_store(bundle.spec, bundle.labels, [fitted], bundle.windows.gap_s)
    windows = cut_windows(store, bundle.windows, labelled=False)
    batches = Batches(store, windows, bundle.layouts, next(bundle.network.parameters()).device).usable()
    if not len(batches):
        raise DataError(
            "a window must have a branch without gaps", f"none in '{recording.name}'",
            f"Record {bundle.windows.window_s:g} s or more without gaps in all signals of a branch.",
        )  # fmt: skip
    inferred = infer(bundle.network, batches)
    _require_finite(inferred, recording)
    return _prediction(bundle, batches, inferred, notes)


def _prediction(bundle: Bundle, batches: Batches, inferred: Inferred, notes: tuple[str, ...]) -> Prediction:
    probabilities = inferred.probability(bundle.temperature)
    label = np.array(bundle.labels.names)[probabilities.argmax(1)]
    times_s = batches.windows.start_s
    windows = bundle.windows
    return Prediction(
        times_s,
        label,
        probabilities.max(1),
        probabilities,
        merge_windows(times_s, label, windows.window_s, windows.stride_s),
        tuple(branch.name for branch, used in zip(bundle.branches, batches.present.T, strict=True) if used.any()),
        notes,
    )


def _require_window(bundle: Bundle, recording: Recording) -> None:
    window_s = bundle.windows.window_s
    if not any(len(track.values) >= track.signal.n_samples(window_s) for track in recording.tracks):
        longest_s = max(len(track.values) / track.signal.rate_hz for track in recording.tracks)
        raise DataError(
            "a recording must be as long as a window",
            f"{longest_s:.3g} s in '{recording.name}', the model reads {window_s:g} s",
            f"Record at least {window_s:g} s.",
        )


def _require_finite(inferred: Inferred, recording: Recording) -> None:
    n_lost = int((~np.isfinite(inferred.joint).all(1)).sum())
    if n_lost:
        raise DataError(
            "values must be of a size that a sensor can measure",
            f"{n_lost} windows of '{recording.name}' beyond what the network can compute",
            "Look for outliers and wrong units.",
        )
