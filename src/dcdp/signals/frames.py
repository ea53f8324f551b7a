"""Turn the axes of a sensor: by name where they point elsewhere, by a rotation where it was mounted askew."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dcdp.errors import ConfigError

__all__ = ["axes_matrix", "remap_axes", "rotate", "rotation_matrix"]

_AXES = "xyz"
_TOLERANCE = 1e-3  # of a matrix that was written down with four digits
_REMEDY_MIRROR = "Turn one sign, or allow it with mirror=True if the sensor's axes are left-handed."


def axes_matrix(axes: str, mirror: bool = False) -> NDArray[np.float64]:
    """Return the matrix of a map of axes.

    Parameters
    ----------
    axes
        Where each new axis comes from: ``"x,-z,y"`` makes x of the old x, y of the old -z, z of the old y.
    mirror
        Allow a map that turns a right-handed frame into a left-handed one.

    Returns
    -------
    NDArray
        (3, 3), to be multiplied with a column of old values.

    Raises
    ------
    ConfigError
        If the three axes are not each named once, or the map mirrors and must not.

    Examples
    --------
    >>> axes_matrix("y,-x,z").tolist()
    [[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    names = [part.strip() for part in axes.split(",")]
    if sorted(name.lstrip("+-") for name in names) != list(_AXES) or any(len(name) > 2 for name in names):
        raise ConfigError("a map of axes must name x, y and z once each", f"'{axes}'", "Write it as 'x,-z,y'.")
    matrix = np.zeros((3, 3))
    for row, name in enumerate(names):
        matrix[row, _AXES.index(name[-1])] = -1.0 if name[0] == "-" else 1.0
    if np.linalg.det(matrix) < 0 and not mirror:
        raise ConfigError("a map of axes must not mirror", f"'{axes}'", _REMEDY_MIRROR)
    return matrix


def remap_axes(values: NDArray[np.floating], axes: str, mirror: bool = False) -> NDArray[np.floating]:
    """Name the axes of a sensor anew; see `axes_matrix`.

    Parameters
    ----------
    values
        (..., 3), NaN where nothing was measured.
    axes, mirror
        As of `axes_matrix`.

    Returns
    -------
    NDArray
        (..., 3), a new array of the same dtype; no value changes but its sign, and NaN stays with its axis.

    Raises
    ------
    ConfigError
        If there are not three axes, or the map is not one.

    Examples
    --------
    >>> remap_axes(np.array([[1.0, 2.0, 3.0]]), "x,-z,y").tolist()
    [[1.0, -3.0, 2.0]]
    """
    _require_triad(values)
    matrix = axes_matrix(axes, mirror)
    source = np.abs(matrix).argmax(axis=1)
    named: NDArray[np.floating] = values[..., source] * matrix.sum(axis=1).astype(values.dtype)
    return named


def rotation_matrix(
    rotation: str | Sequence[float] | NDArray[np.floating], mirror: bool = False
) -> NDArray[np.float64]:
    """Return the matrix of a rotation.

    Parameters
    ----------
    rotation
        (3, 3), nested or as an array; or roll, pitch and yaw in degrees, as three numbers or as ``"roll,pitch,yaw"``:
        the turns about x, then y, then z, all of the fixed axes.
    mirror
        Allow a matrix that turns a right-handed frame into a left-handed one.

    Raises
    ------
    ConfigError
        If it is neither, its numbers are not finite, it stretches or skews, or it mirrors and must not.

    Examples
    --------
    >>> rotation_matrix("0,0,90").round(3).tolist()
    [[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    try:
        given = np.array(rotation.split(",") if isinstance(rotation, str) else rotation, dtype=np.float64)
    except ValueError:
        given = np.full(0, np.nan)
    if given.shape not in ((3,), (3, 3)) or not np.isfinite(given).all():
        raise ConfigError("a rotation must be a 3 x 3 matrix or three angles", f"{rotation!r}",
                          "Give roll, pitch and yaw in degrees, such as '0,0,90'.")
    if given.shape == (3,):
        return _by_angles(*np.radians(given))
    if not np.allclose(given @ given.T, np.eye(3), rtol=0, atol=_TOLERANCE):
        raise ConfigError("the rows of a rotation must be unit vectors at right angles", given.tolist(),
                          "Give the matrix of a rotation, with four digits or more.")
    if np.linalg.det(given) < 0 and not mirror:
        raise ConfigError("a rotation must not mirror", given.tolist(), _REMEDY_MIRROR)
    # The nearest true rotation: the digits that were left out must not stretch anything.
    left, _, right = np.linalg.svd(given)
    return np.asarray(left @ right, np.float64)


def rotate(
    values: NDArray[np.floating], rotation: str | Sequence[float] | NDArray[np.floating], mirror: bool = False
) -> NDArray[np.floating]:
    """Rotate triads from the frame of a sensor as it was mounted to another.

    Parameters
    ----------
    values
        (..., 3), NaN where nothing was measured.
    rotation, mirror
        As of `rotation_matrix`; it is multiplied with each triad as a column.

    Returns
    -------
    NDArray
        (..., 3), a new array of the same dtype. A triad with one missing axis is missing whole.

    Raises
    ------
    ConfigError
        If there are not three axes, or the rotation is not one.

    Examples
    --------
    >>> rotate(np.array([[1.0, 0.0, 9.8]]), "0,0,90").round(3).tolist()
    [[0.0, 1.0, 9.8]]
    """
    _require_triad(values)
    return (values.astype(np.float64) @ rotation_matrix(rotation, mirror).T).astype(values.dtype)


def _require_triad(values: NDArray[np.floating]) -> None:
    if values.ndim < 1 or values.shape[-1] != 3:
        raise ConfigError("axes can be turned of a triad alone", f"shape {values.shape}", "Give columns x, y and z.")


def _by_angles(roll: float, pitch: float, yaw: float) -> NDArray[np.float64]:
    def about(axis: int, angle: float) -> NDArray[np.float64]:
        matrix = np.eye(3)
        one, two = (axis + 1) % 3, (axis + 2) % 3
        matrix[one, one] = matrix[two, two] = math.cos(angle)
        matrix[two, one], matrix[one, two] = math.sin(angle), -math.sin(angle)
        return matrix

    return about(2, yaw) @ about(1, pitch) @ about(0, roll)
