from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcdp.errors import DataError
from dcdp.evaluation import (
    absent_table,
    non_empty_subsets,
    score,
    shapley_shares,
    shapley_values,
    utilisation_gap,
)


def random_game(n_branches, seed):
    generator = np.random.default_rng(seed)
    return {subset: generator.random() for subset in non_empty_subsets(n_branches)}


def slow_shapley(game, n_branches, empty):
    values = np.zeros(n_branches)
    orders = list(permutations(range(n_branches)))
    for order in orders:
        inside = [False] * n_branches
        before = empty
        for m in order:
            inside[m] = True
            values[m] += game[tuple(inside)] - before
            before = game[tuple(inside)]
    return values / len(orders)


@given(st.integers(1, 5), st.integers(0, 1000), st.floats(-1, 1))
def test_values_are_means_over_all_orders(n_branches, seed, empty):
    game = random_game(n_branches, seed)
    values = shapley_values(game.__getitem__, n_branches, empty=empty)
    np.testing.assert_allclose(values, slow_shapley(game, n_branches, empty), atol=1e-12)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 8), st.integers(0, 1000), st.floats(-1, 1))
def test_values_sum_to_the_worth_of_all(n_branches, seed, empty):
    game = random_game(n_branches, seed)
    values = shapley_values(game.__getitem__, n_branches, empty=empty, n_permutations=3, seed=seed)
    assert values.sum() == pytest.approx(game[(True,) * n_branches] - empty)


def test_sampled_values_are_near_the_exact_ones():
    game = random_game(8, seed=0)
    sampled = shapley_values(game.__getitem__, 8, n_permutations=500, seed=1)
    np.testing.assert_allclose(sampled, slow_shapley(game, 8, 0.0), atol=0.03)
    np.testing.assert_array_equal(sampled, shapley_values(game.__getitem__, 8, n_permutations=500, seed=1))


def test_six_and_seven_branches_are_exact():
    for n_branches in (6, 7):
        game = random_game(n_branches, seed=3)
        exact = slow_shapley(game, n_branches, 0.0)
        np.testing.assert_allclose(shapley_values(game.__getitem__, n_branches), exact, atol=1e-12)


def test_each_subset_is_asked_for_once():
    asked = []
    shapley_values(lambda subset: asked.append(subset) or float(sum(subset)), 4)
    assert sorted(asked) == sorted(non_empty_subsets(4))


def test_useless_branch_gets_nothing_and_twins_share():
    values = shapley_values(lambda subset: float(subset[0] or subset[1]), 3)
    np.testing.assert_allclose(values, [0.5, 0.5, 0.0], atol=1e-12)
    np.testing.assert_allclose(shapley_shares(3 * values), [0.5, 0.5, 0.0], atol=1e-12)
    assert np.isnan(shapley_shares(np.zeros(2))).all()


def test_utilisation_gap_is_what_the_branch_could_do_alone():
    assert utilisation_gap({"acc": 0.8, "gyr": 0.5}, {"gyr": 0.7, "acc": 0.75}) == pytest.approx(
        {"acc": -0.05, "gyr": 0.2}
    )
    with pytest.raises(DataError, match="same branches"):
        utilisation_gap({"acc": 0.8}, {"gyr": 0.7})


class Recogniser:
    """Knows class m only where branch m may be used; else it says the next class."""

    def __init__(self, label):
        self.label, self.asked = label, []

    def __call__(self, present):
        self.asked.append(tuple(present.tolist()))
        n_classes = len(present)
        return np.eye(n_classes)[np.where(present[self.label], self.label, (self.label + 1) % n_classes)]


def test_absent_table_scores_each_subset_once():
    label, subject = np.tile([0, 1, 2], 6), np.repeat(["s1", "s2"], 9)
    branches = ("acc", "gyr", "mag")
    predict = Recogniser(label)
    table = absent_table(predict, label, subject, branches)
    assert sorted(predict.asked) == sorted(non_empty_subsets(3))
    assert list(table["subsets"]) == ["acc", "gyr", "mag", "acc+gyr", "acc+mag", "gyr+mag", "acc+gyr+mag"]
    assert table["subsets"]["acc+gyr+mag"] == 1.0
    without_gyr = score(label, predict(np.array([True, False, True])), subject, branches)["macro_f1"]
    assert table["absent"]["gyr"] == {
        "macro_f1": pytest.approx(without_gyr["mean"]), "loss": pytest.approx(1 - without_gyr["mean"]),
        "by_subject": without_gyr["by_subject"],
    }  # fmt: skip
    assert sum(table["shapley"].values()) == pytest.approx(1)
    assert table["shapley"]["acc"] == pytest.approx(1 / 3)


def test_absent_table_finds_the_branch_that_carries_everything():
    label, subject = np.tile([0, 1], 5), np.full(10, "s1")
    right, wrong = np.eye(2)[label], np.eye(2)[1 - label]
    table = absent_table(lambda present: right if present[0] else wrong, label, subject, ("acc", "gyr"))
    assert table["shapley"] == pytest.approx({"acc": 1.0, "gyr": 0.0})
    assert table["absent"]["acc"]["loss"] == 1.0
    assert table["absent"]["gyr"]["loss"] == 0.0


def test_worthless_branches_have_no_share():
    label, subject = np.array([0, 1]), np.array(["s1", "s1"])
    table = absent_table(lambda _: np.eye(2)[1 - label], label, subject, ("acc", "gyr"))
    assert table["shapley"] == {"acc": None, "gyr": None}


def test_single_branch_cannot_be_taken_away():
    label = np.array([0, 1])
    table = absent_table(lambda _: np.eye(2)[label], label, ["s1", "s1"], ("acc",))
    assert table == {"absent": {}, "shapley": {"acc": 1.0}, "subsets": {"acc": 1.0}}
    with pytest.raises(DataError, match="there must be a branch"):
        absent_table(lambda _: np.eye(2)[label], label, ["s1", "s1"], ())
