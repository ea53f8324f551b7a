"""Convert units, and notice an acceleration whose unit is not what its file says."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from dcdp.errors import ConfigError, unknown_name

__all__ = ["STANDARD_GRAVITY_MPS2", "check_gravity", "convert", "gravity_mps2", "list_units"]

STANDARD_GRAVITY_MPS2 = 9.80665

# Quantity -> unit -> how many of the quantity's first unit one of it is.
_QUANTITIES: dict[str, dict[str, float]] = {
    "acceleration": {"m/s2": 1.0, "g": STANDARD_GRAVITY_MPS2, "mg": STANDARD_GRAVITY_MPS2 / 1000},
    "angular rate": {"deg/s": 1.0, "rad/s": 180 / math.pi, "mdeg/s": 1e-3, "rpm": 6.0},
    "magnetic field": {"uT": 1.0, "nT": 1e-3, "mT": 1e3, "T": 1e6, "G": 100.0, "mG": 0.1},
    "heart rate": {"bpm": 1.0, "Hz": 60.0},
    "voltage": {"mV": 1.0, "uV": 1e-3, "V": 1e3},
    "pressure": {"hPa": 1.0, "Pa": 0.01, "kPa": 10.0, "mbar": 1.0},
    "plain number": {"1": 1.0},
}

_BLOCK_SAMPLES = 32
_QUIET_SHARE = 0.25
_TOLERANCE = 0.15  # sensors at rest read up to about a tenth off without calibration


def list_units() -> tuple[str, ...]:
    """Return the units that `convert` knows, sorted."""
    return tuple(sorted(unit for units in _QUANTITIES.values() for unit in units))


def convert(values: NDArray[np.floating], from_unit: str, to_unit: str) -> NDArray[np.floating]:
    """Convert values of any shape between two units of one quantity; the dtype stays.

    Raises
    ------
    ConfigError
        If a unit is unknown, or the two measure different quantities.

    Examples
    --------
    >>> convert(np.array([1.0, 2.0]), "rpm", "deg/s").tolist()
    [6.0, 12.0]
    """
    units = _compatible(from_unit)
    if to_unit not in units:
        _compatible(to_unit)  # an unknown unit is told with its nearest name
        raise ConfigError(
            f"'{from_unit}' must be converted to one of {', '.join(sorted(units))}", f"'{to_unit}'",
            "Check the unit that the file declares.",
        )
    if from_unit == to_unit:
        return values.copy()
    return values * values.dtype.type(units[from_unit] / units[to_unit])


def gravity_mps2(acceleration: NDArray[np.floating]) -> float:
    """Estimate the magnitude that an accelerometer shows at rest, in the unit of its values.

    The recording is cut into blocks of 32 samples; the answer is the median magnitude over the quietest quarter of
    them. It is about 9.81 if the values really are m/s2 and include gravity.

    Parameters
    ----------
    acceleration
        (T, 3), NaN where nothing was measured.

    Returns
    -------
    float
        NaN if there is not one whole block without NaN.
    """
    n_blocks = len(acceleration) // _BLOCK_SAMPLES
    magnitude = np.linalg.norm(acceleration[: n_blocks * _BLOCK_SAMPLES].astype(np.float64), axis=1)
    blocks = magnitude.reshape(n_blocks, _BLOCK_SAMPLES)
    blocks = blocks[np.isfinite(blocks).all(axis=1)]
    if not len(blocks):
        return math.nan
    n_quiet = math.ceil(_QUIET_SHARE * len(blocks))
    return float(np.median(blocks[np.argsort(blocks.std(axis=1), kind="stable")[:n_quiet]]))


def check_gravity(acceleration: NDArray[np.floating], unit: str = "m/s2") -> str | None:
    """Say what is odd about the gravity in an acceleration, or None if it fits its unit.

    Parameters
    ----------
    acceleration
        (T, 3) in ``unit``.

    Examples
    --------
    >>> check_gravity(np.tile([0.0, 0.6, 0.8], (64, 1)))
    'acceleration at rest is 1 m/s2, which looks like g'
    """
    at_rest = gravity_mps2(acceleration)
    units = _compatible(unit)
    if math.isnan(at_rest):
        return "acceleration has no stretch to judge its gravity by"
    looks = [name for name, size in units.items() if abs(at_rest * size / STANDARD_GRAVITY_MPS2 - 1) < _TOLERANCE]
    if unit in looks:
        return None
    if looks:
        guess = f"looks like {looks[0]}"
    else:
        without = at_rest * units[unit] < 0.1 * STANDARD_GRAVITY_MPS2
        guess = "looks like acceleration without gravity" if without else "fits no known unit"
    return f"acceleration at rest is {at_rest:.3g} {unit}, which {guess}"


def _compatible(unit: str) -> dict[str, float]:
    """Return the units of the quantity that ``unit`` measures."""
    for units in _QUANTITIES.values():
        if unit in units:
            return units
    raise unknown_name("unit", unit, list_units())
