"""Signals as NumPy arrays: times, gaps, units, axes, resampling, and the cutting of windows."""

from dcdp.signals.alignment import ClockFit, apply_clock, clock_notes, estimate_clock
from dcdp.signals.clock import on_clock, regularise, sampling_rate, tidy_times
from dcdp.signals.frames import axes_matrix, remap_axes, rotate, rotation_matrix
from dcdp.signals.gaps import hold_last, nan_runs
from dcdp.signals.labels import majority_label
from dcdp.signals.resample import CausalResampler, resample
from dcdp.signals.units import check_gravity, check_turning, convert, gravity_mps2, list_units, settle_unit
from dcdp.signals.windows import WindowConfig, cut_windows, short_recordings

__all__ = [
    "CausalResampler",
    "ClockFit",
    "WindowConfig",
    "apply_clock",
    "axes_matrix",
    "check_gravity",
    "check_turning",
    "clock_notes",
    "convert",
    "cut_windows",
    "estimate_clock",
    "gravity_mps2",
    "hold_last",
    "list_units",
    "majority_label",
    "nan_runs",
    "on_clock",
    "regularise",
    "remap_axes",
    "resample",
    "rotate",
    "rotation_matrix",
    "sampling_rate",
    "settle_unit",
    "short_recordings",
    "tidy_times",
]
