"""Name the activities in a recording that is not part of a data set: a file, or a record in memory."""

from dcdp.prediction.bouts import Bout, merge_windows
from dcdp.prediction.fitting import fit_recording, whole_branches
from dcdp.prediction.predict import Prediction, predict_file, predict_recording
from dcdp.prediction.recording_file import read_recording

__all__ = [
    "Bout",
    "Prediction",
    "fit_recording",
    "merge_windows",
    "predict_file",
    "predict_recording",
    "read_recording",
    "whole_branches",
]
