"""Axes are turned without a change of size, back again exactly, and never mirrored by mistake."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dcdp.errors import ConfigError
from dcdp.signals import axes_matrix, remap_axes, rotate, rotation_matrix

triads = arrays(np.float64, st.tuples(st.integers(0, 9), st.just(3)), elements=st.floats(-100, 100))
angles = st.tuples(*[st.floats(-360, 360)] * 3)
signs = st.tuples(*[st.sampled_from(["", "-", "+"])] * 3)
maps = st.tuples(st.permutations("xyz"), signs).map(
    lambda both: ",".join(sign + axis for axis, sign in zip(*both, strict=True))
)


def determinant(axes: str) -> float:
    return float(np.linalg.det(axes_matrix(axes, mirror=True)))


@given(triads, angles)
def test_a_rotation_keeps_norms_and_angles(values: np.ndarray, degrees: tuple[float, float, float]) -> None:
    turned = rotate(values, degrees)
    np.testing.assert_allclose(turned @ turned.T, values @ values.T, atol=1e-8)
    np.testing.assert_allclose(np.linalg.det(rotation_matrix(degrees)), 1.0)


@given(triads, angles)
def test_a_rotation_is_undone_by_its_transpose(values: np.ndarray, degrees: tuple[float, float, float]) -> None:
    back = rotate(rotate(values, degrees), rotation_matrix(degrees).T)
    np.testing.assert_allclose(back, values, atol=1e-9)


@given(triads, maps)
def test_a_map_of_axes_is_undone_by_its_inverse(values: np.ndarray, axes: str) -> None:
    inverse = axes_matrix(axes, mirror=True).T
    names = ",".join(("-" if row.sum() < 0 else "") + "xyz"[int(np.abs(row).argmax())] for row in inverse)
    there = remap_axes(values, axes, mirror=True)
    np.testing.assert_array_equal(remap_axes(there, names, mirror=True), values)
    np.testing.assert_array_equal(there, values @ axes_matrix(axes, mirror=True).T)


@given(maps)
def test_only_mirrors_are_refused(axes: str) -> None:
    if determinant(axes) > 0:
        np.testing.assert_array_equal(axes_matrix(axes), axes_matrix(axes, mirror=True))
    else:
        with pytest.raises(ConfigError, match="a map of axes must not mirror"):
            axes_matrix(axes)


def test_the_turns_are_about_x_then_y_then_z() -> None:
    assert rotate(np.array([0.0, 1.0, 0.0]), "90,0,0").round(9).tolist() == [0, 0, 1]
    assert rotate(np.array([0.0, 0.0, 1.0]), (0, 90, 0)).round(9).tolist() == [1, 0, 0]
    assert rotate(np.array([1.0, 0.0, 0.0]), [0, 0, 90]).round(9).tolist() == [0, 1, 0]
    assert rotate(np.array([0.0, 1.0, 0.0]), "90,90,0").round(9).tolist() == [1, 0, 0]


def test_a_matrix_is_made_a_true_rotation() -> None:
    written = rotation_matrix("10,20,30").round(4)
    found = rotation_matrix(written)
    np.testing.assert_allclose(found @ found.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(found, written, atol=1e-4)
    np.testing.assert_allclose(rotation_matrix(written.tolist()), found)


def test_the_dtype_stays_and_missing_axes_stay_missing() -> None:
    values = np.array([[1.0, np.nan, 3.0], [1.0, 2.0, 3.0]], np.float32)
    mapped = remap_axes(values, "z,x,y")
    assert mapped.dtype == rotate(values, "0,0,90").dtype == np.float32
    np.testing.assert_array_equal(mapped, np.array([[3, 1, np.nan], [3, 1, 2]], np.float32))
    assert np.isnan(rotate(values, "0,0,45")).tolist() == [[True] * 3, [False] * 3]


@pytest.mark.parametrize("axes", ["x,y", "x,y,y", "x,y,z,x", "a,b,c", "--x,y,z", "", "x y z"])
def test_a_map_that_is_none_is_refused(axes: str) -> None:
    with pytest.raises(ConfigError, match="a map of axes must name x, y and z once each"):
        axes_matrix(axes)


@pytest.mark.parametrize("rotation", ["1,2", "a,b,c", [1.0, np.nan, 2.0], np.eye(2), [[1, 0], [0]], "0,0,inf"])
def test_a_rotation_that_is_none_is_refused(rotation: object) -> None:
    with pytest.raises(ConfigError, match="a rotation must be a 3 x 3 matrix or three angles"):
        rotation_matrix(rotation)  # type: ignore[arg-type]


def test_what_stretches_or_mirrors_is_refused() -> None:
    with pytest.raises(ConfigError, match="the rows of a rotation must be unit vectors"):
        rotation_matrix(np.diag([1.0, 1.0, 1.1]))
    with pytest.raises(ConfigError, match="a rotation must not mirror"):
        rotation_matrix(np.diag([1.0, 1.0, -1.0]))
    np.testing.assert_allclose(rotate(np.ones(3), np.diag([1.0, 1.0, -1.0]), mirror=True), [1, 1, -1])
    np.testing.assert_allclose(remap_axes(np.arange(3.0), "x,y,-z", mirror=True), [0, 1, -2])


def test_only_triads_are_turned() -> None:
    for turn in (lambda values: rotate(values, "0,0,0"), lambda values: remap_axes(values, "x,y,z")):
        with pytest.raises(ConfigError, match=r"axes can be turned of a triad alone: got shape \(4, 2\)"):
            turn(np.zeros((4, 2)))
