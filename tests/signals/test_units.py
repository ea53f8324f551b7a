"""Units convert both ways, and gravity tells what unit an acceleration has."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcdp.errors import ConfigError
from dcdp.signals import check_gravity, convert, gravity_mps2, list_units


@pytest.mark.parametrize(
    ("value", "unit", "other", "expected"),
    [
        (1.0, "g", "m/s2", 9.80665),
        (1000.0, "mg", "g", 1.0),
        (np.pi, "rad/s", "deg/s", 180.0),
        (1.0, "G", "uT", 100.0),
        (0.05, "mT", "uT", 50.0),
        (72.0, "bpm", "Hz", 1.2),
        (2.0, "1", "1", 2.0),
    ],
)
def test_known_conversions(value: float, unit: str, other: str, expected: float) -> None:
    assert convert(np.array([value]), unit, other) == pytest.approx(expected)


@given(st.sampled_from(list_units()), st.data(), st.floats(-1e3, 1e3))
def test_there_and_back(unit: str, data: st.DataObject, value: float) -> None:
    other = data.draw(st.sampled_from(companions(unit)))
    there = convert(np.array([value]), unit, other)
    assert convert(there, other, unit) == pytest.approx(value, rel=1e-12)


def companions(unit: str) -> list[str]:
    """Units that ``unit`` converts to, as the error for a wrong one tells them."""
    with pytest.raises(ConfigError, match="must be converted to one of") as caught:
        convert(np.zeros(1), unit, "g" if unit in ("bpm", "Hz") else "bpm")
    return caught.value.rule.split(" one of ")[1].split(", ")


def test_the_dtype_and_the_source_stay() -> None:
    values = np.array([1.0, np.nan], np.float32)
    assert convert(values, "g", "m/s2").dtype == np.float32
    convert(values, "g", "g")[0] = 7.0
    assert values[0] == 1.0


def test_an_unknown_unit_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'rad/s'"):
        convert(np.zeros(2), "deg/s", "rads/s")
    with pytest.raises(ConfigError, match="Did you mean 'm/s2'"):
        convert(np.zeros(2), "m/s^2", "g")


def test_another_quantity_names_the_choices() -> None:
    with pytest.raises(ConfigError, match="'g' must be converted to one of g, m/s2, mg: got 'deg/s'"):
        convert(np.zeros(2), "g", "deg/s")


def walk_and_rest(scale: float) -> np.ndarray:
    """Mostly violent motion around 2 g, with a quarter of rest at 1 g."""
    rng = np.random.default_rng(0)
    moving = rng.normal([0.0, 0.0, 2.0], 1.0, (960, 3))
    resting = rng.normal([0.6, 0.0, 0.8], 0.01, (352, 3))
    return scale * np.concatenate([moving, resting])


def test_gravity_is_read_at_rest() -> None:
    assert gravity_mps2(walk_and_rest(9.80665)) == pytest.approx(9.80665, rel=0.01)


def test_gravity_skips_missing_stretches() -> None:
    values = walk_and_rest(9.80665)
    values[::64] = np.nan
    assert gravity_mps2(values) == pytest.approx(9.80665, rel=0.05)
    assert np.isnan(gravity_mps2(np.full((100, 3), np.nan)))
    assert np.isnan(gravity_mps2(np.zeros((5, 3))))


@pytest.mark.parametrize(
    ("scale", "unit", "says"),
    [
        (9.80665, "m/s2", None),
        (1.0, "g", None),
        (1.0, "m/s2", "looks like g"),
        (1000.0, "m/s2", "looks like mg"),
        (9.80665, "g", "looks like m/s2"),
        (0.05, "m/s2", "looks like acceleration without gravity"),
        (40.0, "m/s2", "fits no known unit"),
    ],
)
def test_gravity_tells_the_unit(scale: float, unit: str, says: str | None) -> None:
    told = check_gravity(walk_and_rest(scale), unit)
    assert told is None if says is None else says in str(told)


def test_gravity_of_too_little_is_said() -> None:
    assert "no stretch" in str(check_gravity(np.zeros((3, 3))))
