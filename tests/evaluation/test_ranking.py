from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from dcdp.errors import DataError
from dcdp.evaluation import critical_difference, rank_methods

DEMSAR = {2: 1.960, 3: 2.343, 4: 2.569, 5: 2.728, 6: 2.850, 7: 2.949, 8: 3.031, 9: 3.102, 10: 3.164}
"""Critical values q of the two-tailed Nemenyi test at .05, table 5 of Demsar (2006)."""


def blocks_of(table):
    return {i: dict(zip("abcdefgh", row, strict=False)) for i, row in enumerate(np.asarray(table).tolist())}


scores = st.sampled_from([0.5, 0.6, 0.7, 0.8, 0.9])
tables = st.integers(3, 5).flatmap(
    lambda k: st.lists(
        st.lists(st.sampled_from([0.5, 0.6, 0.7, 0.8, 0.9]), min_size=k, max_size=k), min_size=2, max_size=9
    )
)


@given(tables)
def test_ranks_are_those_of_a_slow_loop(table):
    found = rank_methods(blocks_of(table))
    for name, rank in zip(found.methods, found.mean_ranks, strict=True):
        own = [row["abcde".index(name)] for row in table]
        slow = [sum(x > y for x in row) + (sum(x == y for x in row) + 1) / 2 for row, y in zip(table, own, strict=True)]
        assert rank == pytest.approx(np.mean(slow))
    assert list(found.mean_ranks) == sorted(found.mean_ranks)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("decimals", [1, 6])  # 1: many ties
def test_friedman_is_scipys(seed, decimals):
    table = np.round(np.random.default_rng(seed).random((12, 4)) + np.arange(4) / 10, decimals)
    found, theirs = rank_methods(blocks_of(table)), stats.friedmanchisquare(*table.T)
    assert found.statistic == pytest.approx(theirs.statistic)
    assert found.p_value == pytest.approx(theirs.pvalue)


def test_friedman_by_hand():
    # ranks 1 2 3 in all of 4 blocks: 12 / (4 * 3 * 4) * (4**2 + 8**2 + 12**2) - 3 * 4 * 4 = 8
    found = rank_methods(blocks_of([[0.9, 0.8, 0.7]] * 4))
    assert found.statistic == pytest.approx(8.0)
    assert found.mean_ranks == (1.0, 2.0, 3.0)


def test_methods_that_never_differ_are_one_group():
    found = rank_methods(blocks_of([[0.1 + 0.2, 0.3, 0.3]] * 3))  # the first is .30000000000000004
    assert (found.statistic, found.p_value, found.mean_ranks) == (0.0, 1.0, (2.0, 2.0, 2.0))
    assert found.groups == (("a", "b", "c"),)


@pytest.mark.parametrize(("n_methods", "q"), DEMSAR.items())
def test_critical_difference_is_that_of_the_published_table(n_methods, q):
    expected = q * np.sqrt(n_methods * (n_methods + 1) / (6 * 14))
    assert critical_difference(n_methods, 14) == pytest.approx(expected, rel=6e-4)


def test_groups_are_the_longest_runs_within_the_critical_difference():
    table = np.random.default_rng(0).normal(0, 0.5, (40, 6)) + np.array([3, 2.9, 2, 1.9, 1.8, 0])
    found = rank_methods(blocks_of(table))
    ranks = dict(zip(found.methods, found.mean_ranks, strict=True))
    assert found.groups
    for group in found.groups:
        assert ranks[group[-1]] - ranks[group[0]] < found.critical_difference
    together = {(a, b) for group in found.groups for a in group for b in group}
    for a in ranks:
        for b in ranks:
            if a != b:
                assert ((a, b) in together) == (abs(ranks[a] - ranks[b]) < found.critical_difference)
    assert not any(set(one) < set(other) for one in found.groups for other in found.groups)


def test_few_blocks_say_so():
    two = {"x": 0.9, "y": 0.8}
    assert "3 blocks cannot tell 2 methods apart" in rank_methods(dict.fromkeys("abc", two)).note
    assert "are few" in rank_methods(dict.fromkeys("abcdefg", two)).note
    assert rank_methods(dict.fromkeys(range(10), two)).note == ""


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ({}, "two methods to rank: got 0"),
        ({"a": {"x": 1.0}}, "two methods to rank: got 1"),
        ({"a": {"x": 1.0, "y": 0.0}, "b": {"x": 1.0}}, "'b' differs in y"),
        ({"a": {"x": 1.0, "y": float("nan")}}, "scores must be finite"),
    ],
)
def test_what_cannot_be_ranked_is_refused(scores, message):
    with pytest.raises(DataError, match=message):
        rank_methods(scores)
