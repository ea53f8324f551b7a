"""On real recordings: clocks are found between any two places on a body, and gravity tells the unit of gyroscopes."""

from __future__ import annotations

from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pytest

from dcdp.data import get_set
from dcdp.data.archive import open_source
from dcdp.errors import DataError, MissingError
from dcdp.experiments.source import load
from dcdp.records import Stream
from dcdp.signals import check_turning, estimate_clock

pytestmark = [pytest.mark.data, pytest.mark.slow]

PLACES = ("torso", "right_arm", "left_arm", "right_leg", "left_leg")


def store_of(name, data_dir, real_cache):
    try:
        open_source(data_dir, get_set(name).layout)
    except MissingError as err:
        pytest.skip(f"no real {name}: {err}")
    return load(name, data_dir, cache=real_cache).store


def rows_of(store, entry, signal: str) -> np.ndarray:
    first, n_rows = entry.rows[signal]
    return np.asarray(store.array(signal)[first : first + n_rows], np.float64)


def device(values: np.ndarray, rate_hz: float, offset_s: float, drift_ppm: float) -> Stream:
    """Sample a recording of 25 Hz at another rate, with stamps of a clock that is off."""
    true_s = np.arange(0, (len(values) - 1) / 25, 1 / rate_hz)
    sampled = np.column_stack([np.interp(true_s, np.arange(len(values)) / 25, axis) for axis in values.T])
    times_s = (true_s - offset_s) / (1 + 1e-6 * drift_ppm)
    return Stream("acc", "acc", "body", ("x", "y", "z"), "m/s2", times_s, sampled)


def day(store, subject: str, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return the first minute of eight activities of a person in a drawn order, by place."""
    entries = [entry for entry in store.recordings if entry.subject == subject]
    drawn = rng.permutation(len(entries))[:8]
    return {
        place: np.concatenate([rows_of(store, entries[number], f"{place}_acc")[:1500] for number in drawn])
        for place in PLACES
    }


def test_clocks_of_dsads(data_dir, real_cache):
    store = store_of("dsads", data_dir, real_cache)
    rng = np.random.default_rng(0)
    error_s, n_strangers = [], 0
    days = [day(store, subject, rng) for subject in sorted({entry.subject for entry in store.recordings})]
    for number, of_person in enumerate(days):
        for one, two in combinations(PLACES, 2):
            offset_s, drift_ppm = rng.uniform(-30, 30), rng.uniform(-200, 200)
            other = device(of_person[two], 20.0, offset_s, drift_ppm)
            try:
                fit = estimate_clock(device(of_person[one], 25.0, 0.0, 0.0), other)
            except DataError:
                continue
            error_s.append(abs(fit.offset_s - (offset_s + 1e-6 * drift_ppm * fit.origin_s)))
        for place in PLACES:
            stranger = device(days[number - 1][place], 20.0, 3.0, 0.0)
            with pytest.raises(DataError):
                estimate_clock(device(of_person[place], 25.0, 0.0, 0.0), stranger)
            n_strangers += 1
    figures = SimpleNamespace(told=len(error_s), median=np.median(error_s), worst=max(error_s), refused=n_strangers)
    print(figures)  # noqa: T201  shown by pytest -s, for docs/time.md
    assert figures.told >= 0.6 * 80
    assert figures.median < 0.02
    assert figures.worst < 0.12
    assert figures.refused == 40


@pytest.mark.parametrize(("name", "places"), [("dsads", PLACES), ("hapt", ("waist",)), ("uschad", ("hip",))])
def test_gyroscopes_are_in_the_unit_that_gravity_tells(data_dir, real_cache, name, places):
    store = store_of(name, data_dir, real_cache)
    n_told = n_all = 0
    for place in places:
        rate_hz = store.spec[f"{place}_gyr"].rate_hz
        for entry in store.recordings:
            turning, pull = rows_of(store, entry, f"{place}_gyr"), rows_of(store, entry, f"{place}_acc")
            n_rows = min(len(turning), len(pull))
            said = [check_turning(turning[:n_rows], pull[:n_rows], rate_hz, unit) for unit in ("deg/s", "rad/s")]
            assert said[0] is None
            n_told += said[1] is not None
            n_all += 1
    print(f"{name}: told in {n_told} of {n_all}")  # noqa: T201  shown by pytest -s, for docs/time.md
    assert n_told >= 3
