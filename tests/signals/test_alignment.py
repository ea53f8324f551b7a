"""The clocks of two devices on one body are found; between strangers none is invented."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from dcdp.data.synthetic import BodyConfig, synthetic_body
from dcdp.errors import ConfigError, DataError
from dcdp.records import Recording, Stream
from dcdp.signals import apply_clock, clock_notes, estimate_clock

MINUTES = 6
PEOPLE = (0, 2, 4)  # first recording of each


@cache
def body(seed: int) -> tuple[Recording, ...]:
    config = BodyConfig(seed=seed, n_subjects=3, minutes_per_subject=2 * MINUTES, modalities=("acc", "gyr"),
                        dropout_rate=0.0)
    return synthetic_body(config).recordings


def device(
    recording: int, signal: str, rate_hz: float, offset_s: float = 0.0, drift_ppm: float = 0.0, noise: float = 0.1,
    seed: int = 0, body_seed: int = 1,
) -> Stream:
    """Return what a device of its own rate and clock would write; it adds its own noise, and jitter of 0.5 ms.

    The true time is its time, stretched by the drift, plus the offset.
    """
    rng = np.random.default_rng(seed)
    track = body(body_seed)[recording].track(signal)
    assert track is not None
    known_s = np.arange(len(track.values)) / track.signal.rate_hz
    true_s = np.arange(0, known_s[-1], 1 / rate_hz)
    values = CubicSpline(known_s, track.values.astype(float))(true_s) + rng.normal(0, noise, (len(true_s), 3))
    times_s = (true_s - offset_s) / (1 + 1e-6 * drift_ppm) + rng.normal(0, 5e-4, len(true_s))
    modality = track.signal.modality
    return Stream(signal, modality, signal, ("x", "y", "z"), track.signal.unit, times_s, values, "device")


def worst_error_s(reference: Stream, other: Stream, offset_s: float, drift_ppm: float) -> float:
    fit = estimate_clock(reference, other)
    ends_s = other.times_s[[0, -1]]
    return float(np.abs(fit.offset_at(ends_s) - (offset_s + 1e-6 * drift_ppm * ends_s)).max())


@pytest.mark.parametrize("person", PEOPLE)
@pytest.mark.parametrize(
    ("offset_s", "drift_ppm", "rate_hz"), [(29.3, 200.0, 31.25), (-28.7, -200.0, 100.0), (0.0, 0.0, 20.0)]
)
def test_two_devices_at_one_place_agree_to_10_ms(
    person: int, offset_s: float, drift_ppm: float, rate_hz: float
) -> None:
    reference = device(person, "wrist_acc", 50.0, noise=0.3)
    other = device(person, "wrist_acc", rate_hz, offset_s, drift_ppm, noise=0.3, seed=1)
    assert worst_error_s(reference, other, offset_s, drift_ppm) < 0.010
    fit = estimate_clock(reference, other)
    assert fit.drift_ppm == pytest.approx(drift_ppm, abs=40)
    assert fit.correlation > 0.7
    assert fit.residual_s < 0.01
    assert 5 <= fit.n_agree >= fit.n_pieces - 1


@pytest.mark.parametrize("person", [0, 4])  # the other is refused: his steps are too even
def test_two_places_on_one_body_agree_to_60_ms(person: int) -> None:
    reference = device(person, "chest_acc", 50.0)
    other = device(person, "wrist_acc", 31.25, -17.4, 120.0, seed=1)
    assert worst_error_s(reference, other, -17.4, 120.0) < 0.06


def test_gyroscopes_alone_will_do() -> None:
    reference, other = device(0, "wrist_gyr", 50.0), device(0, "wrist_gyr", 40.0, 12.5, -80.0, seed=1)
    assert worst_error_s(reference, other, 12.5, -80.0) < 0.02


def test_gaps_and_lost_ends_do_not_matter() -> None:
    reference, other = device(0, "wrist_acc", 50.0), device(0, "wrist_acc", 50.0, 8.0, 100.0, seed=1)
    kept = np.flatnonzero((np.arange(len(other.times_s)) % 3000 > 300) & (other.times_s > 60))
    cut = Stream("wrist_acc", "acc", "wrist", ("x", "y", "z"), "m/s2", other.times_s[kept], other.values[kept])
    assert worst_error_s(reference, cut, 8.0, 100.0) < 0.015


def test_clocks_with_different_zeros() -> None:
    reference, other = device(0, "wrist_acc", 50.0), device(0, "wrist_acc", 50.0, 1.7e9, seed=1)
    with pytest.raises(DataError, match="two devices must have recorded at the same time"):
        estimate_clock(reference, other)
    assert estimate_clock(reference, other, max_offset_s=np.inf).offset_s == pytest.approx(1.7e9, abs=0.01)


def strangers() -> list[tuple[int, int]]:
    return [(one, two) for one in range(6) for two in range(6) if one < two]


@pytest.mark.parametrize(("one", "two"), strangers())
@pytest.mark.parametrize("place", ["wrist_acc", "chest_acc"])
def test_no_offset_is_invented_for_unrelated_recordings(one: int, two: int, place: str) -> None:
    """Other people, and the same person another time: all walk, sit and run alike, in their own order."""
    with pytest.raises(DataError, match=r"must show the same movement|must fit better|must agree|must tell one offset"):
        estimate_clock(device(one, place, 50.0), device(two, place, 50.0, 3.0, seed=1))


@pytest.mark.parametrize("person", PEOPLE)
@pytest.mark.parametrize("place", ["wrist_acc", "chest_acc"])
def test_limbs_that_swing_in_turn_are_refused_rather_than_half_a_stride_off(person: int, place: str) -> None:
    for one, two in (("ankle_acc", place), (place, "ankle_acc")):
        with pytest.raises(DataError, match=r"must show the same movement|must fit better") as caught:
            estimate_clock(device(person, one, 50.0), device(person, two, 50.0, 5.0, seed=1))
        assert "by hand, or shake both devices" in caught.value.remedy


def shaken(stream: Stream, axis: int, at_s: float) -> Stream:
    """Return the stream with five jolts, as when both devices are held in one hand and shaken."""
    since_s = stream.times_s[:, None] - at_s - np.array([0.0, 0.9, 2.1, 2.9, 4.3])
    values = stream.values.copy()
    values[:, axis] += 25 * np.exp(-0.5 * (since_s / 0.15) ** 2).sum(axis=1)
    return Stream(stream.name, "acc", stream.placement, stream.channels, "m/s2", stream.times_s, values)


def test_shaking_both_devices_makes_a_refused_pair_clear() -> None:
    reference, other = device(2, "chest_acc", 50.0), device(2, "wrist_acc", 31.25, -17.4, 120.0, seed=1)
    with pytest.raises(DataError, match="must fit better"):
        estimate_clock(reference, other)
    for true_s in (10.0, 340.0):
        reference, other = shaken(reference, 0, true_s), shaken(other, 2, (true_s + 17.4) / (1 + 120e-6))
    assert worst_error_s(reference, other, -17.4, 120.0) < 0.05


def test_shaking_makes_even_limbs_that_swing_in_turn_clear() -> None:
    reference, other = device(0, "wrist_acc", 50.0, body_seed=0), device(0, "ankle_acc", 31.25, -17.4, body_seed=0)
    with pytest.raises(DataError):
        estimate_clock(reference, other)
    for true_s in (10.0, 340.0):
        reference, other = shaken(reference, 0, true_s), shaken(other, 2, true_s + 17.4)
    assert worst_error_s(reference, other, -17.4, 0.0) < 0.05


@pytest.mark.parametrize(("one", "two"), [(0, 2), (1, 3), (2, 4), (3, 5), (4, 0), (5, 1)])
def test_two_strangers_who_each_shake_a_device_are_no_pair(one: int, two: int) -> None:
    first = shaken(device(one, "wrist_acc", 50.0, body_seed=0), 0, 50.0)
    second = shaken(device(two, "wrist_acc", 50.0, body_seed=0, seed=1), 2, 71.0)
    with pytest.raises(DataError, match=r"must show the same movement|must agree on the offset"):
        estimate_clock(first, second)


@pytest.mark.parametrize("person", PEOPLE)
def test_a_drift_that_may_be_chance_is_none(person: int) -> None:
    other = device(person, "wrist_acc", 20.0, noise=0.3, seed=1)
    fit = estimate_clock(device(person, "wrist_acc", 50.0, noise=0.3), other)
    assert fit.drift_ppm == 0.0
    assert 1 < fit.drift_error_ppm < 40


def test_an_offset_beyond_the_largest_is_not_hidden() -> None:
    reference, other = device(0, "wrist_acc", 50.0), device(0, "wrist_acc", 50.0, 25.0, seed=1)
    with pytest.raises(DataError, match=r"an offset must be within max_offset_s: got 2[45]\.\d+ s .* to 3\d"):
        estimate_clock(reference, other, max_offset_s=10.0)


def test_a_drift_beyond_the_largest_is_refused() -> None:
    reference, other = device(0, "wrist_acc", 50.0), device(0, "wrist_acc", 50.0, 1.0, 900.0, seed=1)
    with pytest.raises(DataError, match=r"the drift of a clock must be within max_drift_ppm: got (8|9)\d\d ppm"):
        estimate_clock(reference, other)
    assert estimate_clock(reference, other, max_drift_ppm=2000.0).drift_ppm == pytest.approx(900, abs=30)


def test_applying_a_fit_brings_the_times_together_and_says_so() -> None:
    reference, other = device(0, "wrist_acc", 50.0), device(0, "wrist_acc", 50.0, 7.0, 150.0, seed=1)
    fit = estimate_clock(reference, other)
    moved = apply_clock(other, fit)
    np.testing.assert_allclose(moved.times_s, other.times_s * (1 + 150e-6) + 7.0, atol=0.01)
    np.testing.assert_array_equal(moved.values, other.values)
    again = estimate_clock(reference, moved)
    assert again.offset_s == pytest.approx(0, abs=0.003)
    offset, drift = clock_notes(fit, "phone")
    assert (offset.kind, offset.value, offset.unit) == ("clock_offset", fit.offset_s, "s")
    assert (drift.kind, drift.value, drift.unit) == ("clock_drift", fit.drift_ppm, "ppm")
    assert f"clock of 'phone' moved by {fit.offset_s:+.3f} s: {fit.n_agree} of {fit.n_pieces} pieces" in offset.text


def test_the_whole_body_is_still_in_both() -> None:
    reference = device(0, "wrist_acc", 50.0)
    still = Stream("a", "acc", "a", ("x", "y", "z"), "m/s2", np.arange(6000) / 50, np.tile([0, 0, 9.8], (6000, 1)))
    for one, two in ((reference, still), (still, reference), (still, still)):
        with pytest.raises(DataError, match="must show the same movement"):
            estimate_clock(one, two)


def test_senseless_comparisons_are_refused() -> None:
    reference = device(0, "wrist_acc", 50.0)
    short = Stream("a", "acc", "a", ("x", "y", "z"), "m/s2", np.arange(500) / 50, reference.values[:500])
    with pytest.raises(DataError, match=r"clocks need 32 s of both devices to be compared: got 10 s"):
        estimate_clock(reference, short)
    with pytest.raises(DataError, match="clocks must be compared by signals of one modality"):
        estimate_clock(reference, device(0, "wrist_gyr", 50.0))
    for options in ({"max_offset_s": 0.0}, {"max_offset_s": np.nan}, {"max_drift_ppm": -1.0}):
        with pytest.raises(ConfigError, match="max_offset_s must be positive"):
            estimate_clock(reference, reference, **options)


@pytest.mark.slow
def test_figures_of_the_docs() -> None:
    """Offsets within 30 s, drifts within 200 ppm, three bodies of three people in two recordings each."""
    rng = np.random.default_rng(0)
    for one, two, bounds in (
        ("wrist_acc", "wrist_acc", (0.9, 0.003, 0.010)), ("chest_acc", "wrist_acc", (0.5, 0.015, 0.05))
    ):  # fmt: skip
        errors_s, n_pairs = [], 0
        for seed in (1, 2, 3):
            for recording in range(6):
                offset_s, drift_ppm = rng.uniform(-30, 30), rng.uniform(-200, 200)
                other = device(recording, two, 31.25, offset_s, drift_ppm, seed=1, body_seed=seed)
                reference = device(recording, one, 50.0, body_seed=seed)
                n_pairs += 1
                try:
                    errors_s.append(worst_error_s(reference, other, offset_s, drift_ppm))
                except DataError:
                    continue
        print(one, two, len(errors_s), "of", n_pairs, np.median(errors_s), max(errors_s))  # noqa: T201  for docs/time.md
        least, median_s, worst_s = bounds
        assert len(errors_s) >= least * n_pairs
        assert np.median(errors_s) < median_s
        assert max(errors_s) < worst_s
