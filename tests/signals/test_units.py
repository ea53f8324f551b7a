"""Units convert both ways, and gravity tells what unit an acceleration has."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcdp.errors import ConfigError, DataError
from dcdp.signals import check_gravity, check_turning, convert, gravity_mps2, list_units, settle_unit


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


def swaying(rate_hz: float = 50.0, seconds: float = 30.0, noise: float = 0.02) -> tuple[np.ndarray, np.ndarray]:
    """Angular rate [deg/s] and acceleration [m/s2] of a sensor that is turned to and fro about its x axis."""
    rng = np.random.default_rng(0)
    time_s = np.arange(round(rate_hz * seconds)) / rate_hz
    angle, rate = np.sin(1.5 * time_s), 1.5 * np.cos(1.5 * time_s)
    gravity = 9.80665 * np.column_stack([0 * angle, np.sin(angle), np.cos(angle)])
    turning = np.degrees(np.column_stack([rate, 0 * rate, 0 * rate]))
    return turning + rng.normal(0, noise, turning.shape), gravity + rng.normal(0, noise, gravity.shape)


@pytest.mark.parametrize(
    ("scale", "unit", "says"),
    [
        (1.0, "deg/s", None),
        (np.pi / 180, "rad/s", None),
        (np.pi / 180, "deg/s", "factor of 57 .* it looks like rad/s"),
        (1.0, "rad/s", "factor of 57 .* it looks like deg/s"),
        (1000.0, "deg/s", "it looks like mdeg/s"),
        (2.0, "deg/s", None),
        (1e7, "deg/s", "fits no known unit"),
    ],
)
def test_turning_gravity_tells_the_unit_of_an_angular_rate(scale: float, unit: str, says: str | None) -> None:
    turning, gravity = swaying()
    told = check_turning(scale * turning, gravity, 50.0, unit)
    assert told is None if says is None else re.search(says, str(told))


def test_what_does_not_turn_tells_nothing() -> None:
    rng = np.random.default_rng(0)
    turning, gravity = swaying()
    assert check_turning(rng.normal(0, 1, (1500, 3)), np.tile([0, 0, 9.8], (1500, 1)), 50.0, "rad/s") is None
    assert check_turning(rng.permutation(turning), gravity, 50.0, "rad/s") is None
    assert check_turning(turning[:10], gravity[:10], 50.0, "rad/s") is None
    assert check_turning(turning[:, :2], gravity[:, :2], 50.0, "rad/s") is None


def test_gaps_do_not_hide_the_unit_of_an_angular_rate() -> None:
    turning, gravity = swaying()
    turning[200:400] = np.nan
    gravity[900] = np.nan
    assert "rad/s" in str(check_turning(np.radians(turning), gravity, 50.0))
    assert check_turning(turning, gravity, 50.0) is None


def test_a_right_unit_is_converted_under_every_policy() -> None:
    for policy in ("refuse", "convert", "keep"):
        settled, notes = settle_unit(walk_and_rest(1.0), "g", policy, "wrist_acc")
        assert settled == pytest.approx(9.80665 * walk_and_rest(1.0))
        assert [(note.kind, note.signal, note.text) for note in notes] == [
            ("unit", "wrist_acc", "converted from g to m/s2")
        ]
    assert settle_unit(walk_and_rest(9.80665), "m/s2")[1] == ()


def test_a_wrong_unit_is_refused_converted_or_kept() -> None:
    in_g = walk_and_rest(1.0)
    with pytest.raises(DataError, match=r"'wrist_acc' must be in the unit .* m/s2: got .* looks like g\. Declare g,"):
        settle_unit(in_g, "m/s2", signal="wrist_acc")
    settled, notes = settle_unit(in_g, "m/s2", "convert")
    assert settled == pytest.approx(9.80665 * in_g)
    assert notes[0].text.startswith("converted from g to m/s2: acceleration at rest is")
    settled, notes = settle_unit(in_g, "m/s2", "keep")
    assert settled == pytest.approx(in_g)
    assert [note.kind for note in notes] == ["unit_doubt"]
    settled, notes = settle_unit(9.80665 * in_g, "g", "convert")
    assert settled == pytest.approx(9.80665 * in_g)
    assert notes[0].text.startswith("taken to be in m/s2, not g: ")


def test_what_fits_no_unit_is_kept_with_a_doubt() -> None:
    for policy in ("refuse", "convert", "keep"):
        settled, notes = settle_unit(walk_and_rest(40.0), "m/s2", policy)
        assert settled == pytest.approx(walk_and_rest(40.0))
        assert [note.kind for note in notes] == ["unit_doubt"]
        assert "fits no known unit; taken to be in m/s2" in notes[0].text


def test_an_angular_rate_is_settled_beside_its_acceleration() -> None:
    turning, gravity = swaying()
    in_rad = np.radians(turning)
    with pytest.raises(DataError, match=r"'a signal' must be in the unit that is declared for it, deg/s: got .*rad/s"):
        settle_unit(in_rad, "deg/s", acceleration=gravity, rate_hz=50.0)
    settled, notes = settle_unit(in_rad, "deg/s", "convert", acceleration=gravity, rate_hz=50.0)
    assert settled == pytest.approx(turning)
    assert notes[0].kind == "unit"
    settled, notes = settle_unit(in_rad, "deg/s")  # nothing to tell it by
    assert settled == pytest.approx(in_rad)
    assert notes == ()


def test_other_quantities_are_taken_at_their_word() -> None:
    settled, notes = settle_unit(np.full((9, 3), 0.5), "G", signal="wrist_mag")
    assert settled == pytest.approx(np.full((9, 3), 50.0))
    assert [note.kind for note in notes] == ["unit"]


def test_an_unknown_policy_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'convert'"):
        settle_unit(np.zeros((3, 3)), "g", "convrt")
