"""Signals as NumPy arrays: gaps, units, resampling, and the cutting of windows."""

from dcdp.signals.gaps import hold_last, nan_runs
from dcdp.signals.labels import majority_label
from dcdp.signals.resample import resample
from dcdp.signals.units import check_gravity, convert, gravity_mps2, list_units
from dcdp.signals.windows import WindowConfig, cut_windows, short_recordings

__all__ = [
    "WindowConfig",
    "check_gravity",
    "convert",
    "cut_windows",
    "gravity_mps2",
    "hold_last",
    "list_units",
    "majority_label",
    "nan_runs",
    "resample",
    "short_recordings",
]
