"""Statistics that are computed once are those of each window, and never those of another store."""

from __future__ import annotations

from copy import copy
from dataclasses import replace

import numpy as np
import pytest

from dcdp.experiments import feature_table
from dcdp.experiments.classical_peers import window_features
from dcdp.experiments.feature_table import FeatureTable
from dcdp.experiments.source import load
from dcdp.models.network import lay_out
from dcdp.signals.windows import cut_windows


@pytest.fixture(scope="module")
def body(make_config):
    """Return store, windows and layouts of a body."""
    config = make_config()
    source = load("synthetic", body=config.body)
    return source.store, cut_windows(source.store, config.windows), lay_out(source.spec, source.branches, 3.0)


@pytest.fixture
def described(monkeypatch):
    """Return how many windows were described in each call."""
    calls = []

    def spy(store, windows, *rest):
        calls.append(len(windows))
        return window_features(store, windows, *rest)

    monkeypatch.setattr(feature_table, "window_features", spy)
    return calls


@pytest.mark.parametrize("extended", [False, True])
def test_rows_are_looked_up_in_any_order(body, described, extended):
    store, windows, layouts = body
    table = FeatureTable(store, windows, layouts)
    for seed in range(3):
        some = windows.take(np.random.default_rng(seed).permutation(len(windows))[:40])
        expected = window_features(store, some, layouts, extended)
        np.testing.assert_allclose(table(store, some, layouts, extended), expected, rtol=1e-4, atol=1e-4)
    assert described == [len(windows)]


def test_what_is_not_in_the_table_is_described_anew(body, described):
    store, windows, layouts = body
    table = FeatureTable(store, windows.take(np.arange(50)), layouts)
    some = windows.take(np.arange(20))
    blind = replace(some, present=some.present & np.array([True, False]))
    assert np.isnan(table(store, blind, layouts)).any()
    table(copy(store), some, layouts)
    table(store, windows.take(np.arange(45, 55)), layouts)
    table(store, some, layouts[:1])
    table(store, replace(some, window_s=2.0), lay_out(store.spec, [lay.branch for lay in layouts], 2.0))
    assert described == [20, 20, 10, 20, 20]
    table(store, some, layouts)
    assert described[-1] == 50


def test_a_stopwatch_with_what_is_owed_shows_what_the_rows_cost(body, monkeypatch):
    store, windows, layouts = body
    clock = iter([0.0, 10.0])
    monkeypatch.setattr(feature_table.time, "perf_counter", lambda: next(clock))
    table = FeatureTable(store, windows, layouts)
    half = windows.take(np.arange(len(windows) // 2))
    table(store, half, layouts)
    share = 10 * len(half) / len(windows)
    assert table.owed_s == pytest.approx(share - 10)  # all was spent, a half was needed
    table(store, half, layouts)
    assert table.owed_s == pytest.approx(2 * share - 10)  # nothing was spent
