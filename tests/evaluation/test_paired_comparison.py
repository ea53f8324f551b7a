from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from dcdp.errors import DataError
from dcdp.evaluation import bootstrap_interval, compare, holm, smallest_p


def made_pairs(n_pairs, shift, seed=0):
    generator = np.random.default_rng(seed)
    theirs = {f"s{i}": value for i, value in enumerate(generator.normal(0.8, 0.1, n_pairs))}
    return {key: value + generator.normal(shift, 0.02) for key, value in theirs.items()}, theirs


def scipys_interval(values):
    """SciPy's percentile interval, stretched about the mean as few values call for."""
    found = stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=10_000, rng=np.random.default_rng(1)
    ).confidence_interval
    n, mean = len(values), np.mean(values)
    stretch = np.sqrt(n / (n - 1)) * stats.t.ppf(0.975, n - 1) / stats.norm.ppf(0.975)
    return mean - (mean - found.low) * stretch, mean + (found.high - mean) * stretch


@pytest.mark.parametrize("shift", [-0.01, 0.0, 0.02])
def test_p_and_interval_are_scipys(shift):
    ours, theirs = made_pairs(20, shift)
    result = compare(ours, theirs)
    difference = np.array([ours[key] - theirs[key] for key in ours])
    assert result.mean_difference == pytest.approx(difference.mean())
    assert result.p_value == pytest.approx(stats.wilcoxon(difference).pvalue)
    assert result.interval == pytest.approx(scipys_interval(difference), abs=6e-4)  # two draws of 10 000


@pytest.mark.parametrize(("shift", "verdict"), [(0.05, "ahead"), (-0.05, "behind"), (0.0, "tie")])
def test_verdict_is_by_the_interval(shift, verdict):
    result = compare(*made_pairs(12, shift))
    assert result.verdict == verdict
    assert (result.p_value < 0.05) == (verdict != "tie")
    assert result.note == ""


@pytest.mark.parametrize("sign", [1, -1])
def test_one_large_difference_is_no_lead(sign):
    differences = sign * np.array([0.5, -0.01, -0.02, 0.01, -0.015, -0.01, 0.02, -0.01])
    result = compare(dict(enumerate(differences)), dict.fromkeys(range(8), 0.0))
    assert result.mean_difference * sign > 0.05
    assert result.verdict == "tie"


def test_pairs_are_matched_by_name_and_not_by_order():
    ours, theirs = made_pairs(10, 0.02)
    shuffled = {key: theirs[key] for key in sorted(theirs, reverse=True)}
    assert compare(ours, shuffled) == compare(ours, theirs)


def test_swapping_the_methods_swaps_the_sign():
    ours, theirs = made_pairs(10, 0.02)
    forth, back = compare(ours, theirs), compare(theirs, ours)
    assert forth.p_value == pytest.approx(back.p_value)
    assert forth.mean_difference == pytest.approx(-back.mean_difference)
    assert forth.interval == pytest.approx((-back.interval[1], -back.interval[0]), abs=1e-3)


def test_seed_fixes_the_interval():
    ours, theirs = made_pairs(10, 0.02)
    assert compare(ours, theirs, seed=1) == compare(ours, theirs, seed=1)
    assert compare(ours, theirs, seed=1).interval != compare(ours, theirs, seed=2).interval


def test_few_pairs_cannot_be_significant_and_it_says_so():
    result = compare({s: 0.9 + s / 100 for s in range(5)}, dict.fromkeys(range(5), 0.1))
    assert result.p_value == pytest.approx(0.0625)
    assert "only 5 pairs differ: p cannot go below 0.0625" in result.note
    assert compare({s: 0.9 + s / 100 for s in range(6)}, dict.fromkeys(range(6), 0.1)).note == ""


def test_pairs_that_do_not_differ_do_not_count():
    ours = {s: 0.5 + (s < 3) * (s + 1) / 10 for s in range(10)}
    assert "only 3 pairs differ" in compare(ours, dict.fromkeys(range(10), 0.5)).note


def p_by_all_signs(differences):
    """The share of all ways to sign the differences whose rank sum is as far from the middle."""
    sizes = np.abs(differences[differences != 0])
    ranks = stats.rankdata(np.round(sizes, 12))
    sums = np.array([np.dot(signs, ranks) for signs in itertools.product((-1, 1), repeat=len(ranks))])
    return np.mean(np.abs(sums) >= abs(np.dot(np.sign(differences[differences != 0]), ranks)) - 1e-9)


@given(st.lists(st.integers(-3, 4), min_size=2, max_size=9))
def test_p_is_exact_with_ties_and_equal_pairs(tenths):
    ours = {i: (5 + tenth) / 10 for i, tenth in enumerate(tenths)}  # .6 - .5 and .5 - .4 differ in the last digit
    result = compare(ours, dict.fromkeys(ours, 0.5), n_resamples=2)
    assert result.p_value == pytest.approx(p_by_all_signs(np.array(tenths)))
    assert result.p_value >= smallest_p(np.count_nonzero(tenths)) * (1 - 1e-12)


def test_equal_methods_tie():
    scores = {"s1": 0.1 + 0.2, "s2": 0.5}
    result = compare(scores, {"s1": 0.3, "s2": 0.5})  # 0.1 + 0.2 - 0.3 is rounding
    assert (result.p_value, result.interval, result.verdict) == (1.0, (0.0, 0.0), "tie")
    assert result.note == "no pair differs"


def test_pairs_that_cannot_be_compared_are_refused():
    with pytest.raises(DataError, match=r"2 without a partner \(s1, s3\)"):
        compare({"s1": 1.0, "s2": 1.0}, {"s2": 1.0, "s3": 1.0})
    with pytest.raises(DataError, match="there must be two pairs"):
        compare({"s1": 1.0}, {"s1": 0.5})
    with pytest.raises(DataError, match="scores must be finite"):
        compare({"s1": float("nan"), "s2": 1.0}, {"s1": 0.5, "s2": 0.5})


def test_interval_of_a_mean_is_scipys_and_of_one_seed():
    values = np.random.default_rng(3).normal(0.8, 0.1, 15)
    assert bootstrap_interval(values) == pytest.approx(scipys_interval(values), abs=3e-3)  # two draws of 10 000
    assert bootstrap_interval(values) == bootstrap_interval(values.tolist())


@pytest.mark.parametrize("n_people", [3, 4, 8, 30])
def test_interval_misses_the_mean_of_few_people_no_more_often_than_it_says(n_people):
    generator = np.random.default_rng(0)
    intervals = [bootstrap_interval(generator.normal(size=n_people), n_resamples=600) for _ in range(600)]
    missed = np.mean([low > 0 or high < 0 for low, high in intervals])
    assert 0.02 < missed < 0.08  # the plain percentile interval: .20 of four people, .11 of eight


def holm_by_rejection(p_values):
    """The smallest level at which the step-down procedure, read literally, rejects each hypothesis."""
    n = len(p_values)

    def rejected(level):
        found = set()
        for step, place in enumerate(sorted(range(n), key=lambda i: p_values[i])):
            if p_values[place] * (n - step) > level:
                break
            found.add(place)
        return found

    levels = sorted({min(1.0, p * factor) for p in p_values for factor in range(1, n + 1)} | {1.0})
    return [next((level for level in levels if i in rejected(level)), 1.0) for i in range(n)]


@given(st.lists(st.sampled_from([0.001, 0.004, 0.01, 0.02, 0.02, 0.04, 0.3, 0.9, 1.0]), max_size=6))
def test_holm_is_the_level_at_which_the_procedure_rejects(p_values):
    assert holm(p_values) == pytest.approx(holm_by_rejection(p_values))


def test_holm_by_hand():
    assert holm([0.01, 0.02, 0.03, 0.5]) == pytest.approx([0.04, 0.06, 0.06, 0.5])


@pytest.mark.parametrize("n_pairs", [1, 2, 5, 8])
def test_smallest_p_is_that_of_the_best_of_all_signs(n_pairs):
    sums = [sum(i + 1 for i, up in enumerate(signs) if up) for signs in itertools.product((0, 1), repeat=n_pairs)]
    best = n_pairs * (n_pairs + 1) // 2
    assert smallest_p(n_pairs) == min(1.0, 2 * sums.count(best) / len(sums))
