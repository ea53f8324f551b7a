"""Convert units, and notice an acceleration or an angular rate whose unit is not what its file says."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from dcdp.errors import ConfigError, DataError, unknown_name
from dcdp.records import Note

__all__ = [
    "STANDARD_GRAVITY_MPS2",
    "check_gravity",
    "check_turning",
    "convert",
    "gravity_mps2",
    "list_units",
    "settle_unit",
]

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

# Turning is judged by its slow part. In DSADS, HAPT and USC-HAD no recording with such a correlation is off by more
# than a factor of 2.5; the nearest wrong unit is off by 6, the usual one by 57.
_TURN_S = 0.5
_TURN_CORRELATION = 0.7
_TURN_FACTOR = 3.0
_NEAR_GRAVITY = 0.3

_POLICIES = ("convert", "keep", "refuse")


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
    return _judge_gravity(acceleration, unit)[1]


def _judge_gravity(acceleration: NDArray[np.floating], unit: str) -> tuple[str, str | None]:
    """Return the unit that the values look like (the declared one if none fits better), and what is odd."""
    at_rest = gravity_mps2(acceleration)
    units = _compatible(unit)
    if math.isnan(at_rest):
        return unit, "acceleration has no stretch to judge its gravity by"
    looks = [name for name, size in units.items() if abs(at_rest * size / STANDARD_GRAVITY_MPS2 - 1) < _TOLERANCE]
    if unit in looks:
        return unit, None
    if looks:
        guess = f"looks like {looks[0]}"
    else:
        without = at_rest * units[unit] < 0.1 * STANDARD_GRAVITY_MPS2
        guess = "looks like acceleration without gravity" if without else "fits no known unit"
    return looks[0] if looks else unit, f"acceleration at rest is {at_rest:.3g} {unit}, which {guess}"


def check_turning(
    angular_rate: NDArray[np.floating], acceleration: NDArray[np.floating], rate_hz: float, unit: str = "deg/s"
) -> str | None:
    """Say in words what is odd about an angular rate, or None.

    When a sensor turns slowly, gravity turns in its frame just as fast the other way. So the accelerometer tells the
    size of the angular rate, whatever the person does; the size of the angular rate alone would not, for who sits
    still turns slowly in any unit.

    Parameters
    ----------
    angular_rate
        (T, 3) in ``unit``, NaN where nothing was measured.
    acceleration
        (T, 3) of the same device at the same times, gravity included, in any unit.
    rate_hz
        Of both [Hz].

    Returns
    -------
    str or None
        None also where nothing can be told: the direction of gravity hardly changes, or does not follow.

    Notes
    -----
    Both are averaged over 0.5 s. With the direction of gravity u and the angular rate w, du/dt is fitted by
    -k w x u by least squares, over the times when the acceleration is within 30 % of its median. Where the two
    correlate by 0.7 or more, w is in radians per second if k is 1.

    Examples
    --------
    >>> time_s = np.arange(500) / 50
    >>> turning = np.outer(np.cos(time_s), [1.0, 0.0, 0.0])
    >>> gravity = np.column_stack([0 * time_s, np.sin(np.sin(time_s)), np.cos(np.sin(time_s))])
    >>> check_turning(turning, gravity, 50.0, "rad/s") is None
    True
    >>> check_turning(turning, gravity, 50.0, "deg/s")
    'angular rate is a factor of 57 off the turning of gravity, if it is in deg/s; it looks like rad/s'
    """
    return _judge_turning(angular_rate, acceleration, rate_hz, unit)[1]


def _judge_turning(
    angular_rate: NDArray[np.floating], acceleration: NDArray[np.floating], rate_hz: float, unit: str
) -> tuple[str, str | None]:
    units = _compatible(unit)
    factor = _turn_factor(np.radians(angular_rate.astype(np.float64)), acceleration.astype(np.float64), rate_hz)
    if factor is None:
        return unit, None
    off = {name: abs(math.log(factor / size)) for name, size in units.items()}
    if off[unit] <= math.log(_TURN_FACTOR):
        return unit, None
    best = min(off, key=lambda name: off[name])
    fits = off[best] <= math.log(_TURN_FACTOR)
    text = (
        f"angular rate is a factor of {math.exp(off[unit]):.2g} off the turning of gravity, if it is in {unit}; "
        f"it {f'looks like {best}' if fits else 'fits no known unit'}"
    )
    return best if fits else unit, text


def _turn_factor(
    angular_rate: NDArray[np.float64], acceleration: NDArray[np.float64], rate_hz: float
) -> float | None:
    """Return by what to multiply an angular rate so that gravity turns with it; None if that cannot be told."""
    n_mean = max(1, round(_TURN_S * rate_hz))
    n_rows = len(acceleration) - n_mean + 1
    if n_rows < n_mean or acceleration.shape[1:] != (3,) or angular_rate.shape != acceleration.shape:
        return None
    # A sum that runs over NaN keeps it, so each row is averaged on its own; means of blocks would miss slow turns.
    windows = np.lib.stride_tricks.sliding_window_view
    pull, rate = (windows(values, n_mean, axis=0).mean(axis=-1) for values in (acceleration, angular_rate))
    size = np.linalg.norm(pull, axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        up = pull / size
        turned = np.gradient(up, 1 / rate_hz, axis=0)
        foreseen = -np.cross(rate, up)
        known = np.isfinite(turned).all(axis=1) & np.isfinite(foreseen).all(axis=1)
        known[known] &= np.abs(size[known, 0] / np.median(size[known]) - 1) < _NEAR_GRAVITY
    if known.sum() < n_mean:
        return None
    common = float((turned[known] * foreseen[known]).sum())
    of_turned, of_foreseen = float((turned[known] ** 2).sum()), float((foreseen[known] ** 2).sum())
    if not common > _TURN_CORRELATION * math.sqrt(of_turned * of_foreseen):
        return None
    return common / of_foreseen


def settle_unit(
    values: NDArray[np.floating],
    declared: str,
    policy: str = "refuse",
    signal: str = "",
    acceleration: NDArray[np.floating] | None = None,
    rate_hz: float | None = None,
) -> tuple[NDArray[np.floating], tuple[Note, ...]]:
    """Convert values to the unit that is used inside, once it is settled which unit they really have.

    The unit of an acceleration (T, 3) is told by the size of gravity (`check_gravity`), that of an angular rate by
    how gravity turns (`check_turning`), if the acceleration is given. Other values are taken at their word.

    Parameters
    ----------
    values
        (T, C) in the unit that is declared.
    declared
        One of `list_units`.
    policy
        What to do with values that look like another unit: ``refuse``; ``convert`` from that unit; ``keep`` to the
        declared one.
    signal
        Name for notes and errors.
    acceleration, rate_hz
        Of the same device at the same times as an angular rate.

    Returns
    -------
    values, notes
        (T, C) in the first unit of the quantity (m/s2, deg/s, uT, bpm, mV, hPa); notes of kind ``unit`` on a
        conversion and ``unit_doubt`` on what looks odd and was left so.

    Raises
    ------
    ConfigError
        If the unit or the policy is unknown.
    DataError
        If the values look like another unit and ``policy`` is ``refuse``.

    Examples
    --------
    >>> values, notes = settle_unit(np.tile([0.0, 0.6, 0.8], (64, 1)), "m/s2", "convert")
    >>> float(np.linalg.norm(values[0]).round(3)), notes[0].text
    (9.807, 'converted from g to m/s2: acceleration at rest is 1 m/s2, which looks like g')
    """
    if policy not in _POLICIES:
        raise unknown_name("policy", policy, _POLICIES)
    units = _compatible(declared)
    found, odd = declared, None
    if units is _QUANTITIES["acceleration"] and values.shape[1:] == (3,):
        found, odd = _judge_gravity(values, declared)
    elif units is _QUANTITIES["angular rate"] and acceleration is not None and rate_hz is not None:
        found, odd = _judge_turning(values, acceleration, rate_hz, declared)
    if found != declared and policy == "refuse":
        raise DataError(
            f"'{signal or 'a signal'}' must be in the unit that is declared for it, {declared}", odd,
            f"Declare {found}, or choose to convert it or to keep it.",
        )  # fmt: skip
    unit = found if policy == "convert" else declared
    target = next(iter(units))
    notes = []
    if unit != target:
        because = f": {odd}" if odd and unit != declared else ""
        notes.append(Note("unit", signal, units[unit], target, f"converted from {unit} to {target}{because}"))
    elif unit != declared:
        notes.append(Note("unit", signal, units[unit], target, f"taken to be in {unit}, not {declared}: {odd}"))
    if odd and unit == declared:
        notes.append(Note("unit_doubt", signal, units[unit], target, f"{odd}; taken to be in {unit}"))
    return convert(values, unit, target), tuple(notes)


def _compatible(unit: str) -> dict[str, float]:
    """Return the units of the quantity that ``unit`` measures."""
    for units in _QUANTITIES.values():
        if unit in units:
            return units
    raise unknown_name("unit", unit, list_units())
