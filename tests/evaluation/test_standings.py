from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dcdp.errors import ConfigError, DataError
from dcdp.evaluation import PUBLISHED, compare, holm, overall, read_method_results, standings
from dcdp.splits import make_folds


@pytest.fixture
def benchmark_of(made_up, tmp_path):
    """Return a function that writes made-up results and gives their results."""

    def make(**options):
        return read_method_results(made_up.make_benchmark(tmp_path / "bench", **options))

    return make


def test_seeds_are_averaged_by_subject_before_anything_else(benchmark_of):
    results = benchmark_of(sets=("uschad",), methods=("dcdp", "forest"), seeds=(0, 1, 2))  # groups of unequal size
    (table,) = standings(results)
    for row in table.rows:
        own = [one for one in results if one.method == row.method]
        by_subject = {s: np.mean([one.by_subject[s] for one in own]) for s in own[0].by_subject}
        values = np.array(list(by_subject.values()))
        assert row.by_subject == pytest.approx(by_subject)
        assert (row.seeds, row.n_folds) == ((0, 1, 2), 4)
        assert (row.mean, row.spread) == pytest.approx((values.mean(), values.std()))
        assert row.interval is not None
        assert row.interval[0] < row.mean < row.interval[1]
        assert row.by_group == pytest.approx(np.mean([list(one.by_fold.values()) for one in own]))
        means = [np.mean(list(one.by_subject.values())) for one in own]
        assert row.seed_spread == pytest.approx(np.std(means, ddof=1))


def test_the_difference_is_that_of_the_means_paired_by_person_and_corrected(benchmark_of):
    (table,) = standings(benchmark_of(sets=("uschad",)))
    base, *others = table.rows
    assert base.method == table.baseline == "dcdp"
    assert base.difference is None
    raw = [compare(row.by_subject, base.by_subject) for row in others]
    assert [row.difference for row in others] == raw
    assert [row.p_holm for row in others] == holm([one.p_value for one in raw])
    assert [row.difference.mean_difference for row in others] == pytest.approx([row.mean - base.mean for row in others])
    assert [row.mean for row in others] == sorted((row.mean for row in others), reverse=True)


@pytest.mark.parametrize(
    ("n_folds", "windows", "is_shown"),
    [
        (4, {}, True),
        (10, {}, False),
        (4, {"window_s": 2.0}, False),
        (4, {"stride_s": 3.0}, False),
        (4, {"null": "keep"}, False),
    ],
)
def test_the_published_best_is_that_of_all_folds_and_the_same_windows(
    benchmark_of, monkeypatch, n_folds, windows, is_shown
):
    best = replace(PUBLISHED["uschad", "arena"], n_folds=n_folds)
    monkeypatch.setitem(PUBLISHED, ("uschad", "arena"), best)
    results = benchmark_of(sets=("uschad",), methods=("dcdp", "forest"), seeds=(0,))
    for one in results:
        one.result["config"]["windows"] |= windows
    assert standings(results)[0].published == (best if is_shown else None)
    kept = {"by_fold": dict(list(results[0].by_fold.items())[:3])}
    assert standings([replace(results[0], **kept), *results[1:]])[0].published is None  # one method lacks a fold


@pytest.mark.parametrize(("data", "n_people"), [("dsads", 8), ("hapt", 30), ("uschad", 14)])
def test_a_published_figure_is_of_all_folds_of_the_split(data, n_people):
    assert PUBLISHED[data, "arena"].n_folds == len(make_folds("arena", [f"s{one}" for one in range(n_people)]))


def test_partial_rows_come_last_and_are_compared_on_their_people(made_up, tmp_path):
    made_up.make_benchmark(tmp_path, sets=("hapt",), methods=("mlp_mixer@ours", "dcdp"), seeds=(0,))
    made_up.write_cell(tmp_path, made_up.make_cell("hapt", "minirocket", n_folds=3))
    (table,) = standings(read_method_results(tmp_path))
    assert [row.method for row in table.rows] == ["dcdp", "mlp_mixer@ours", "minirocket"]
    partial, base = table.rows[-1], table.rows[0]
    assert len(partial.by_subject) == partial.difference.n_pairs == 9
    assert partial.difference.mean_difference == pytest.approx(
        partial.mean - np.mean([base.by_subject[one] for one in partial.by_subject])
    )
    assert "minirocket: tested on 3 of 4 folds, and compared on their people alone." in table.notes


def test_methods_of_overlapping_folds_are_all_partial_and_have_no_rank(made_up, tmp_path):
    made_up.make_benchmark(tmp_path, sets=("hapt",), methods=("dcdp", "forest"), seeds=(0,))
    first, second = read_method_results(tmp_path)
    folds = sorted(first.by_fold)

    def tested(one, kept):
        by_fold = {fold: one.by_fold[fold] for fold in kept}
        people = {person for fold in kept for person in fold.split("+")}
        return replace(one, by_fold=by_fold, by_subject={k: v for k, v in one.by_subject.items() if k in people})

    (table,) = tables = standings([tested(first, folds[:2]), tested(second, folds[1:3])])
    assert (table.n_folds, [row.n_folds for row in table.rows]) == (3, [2, 2])
    assert "dcdp, forest: tested on 2 of 3 folds, and compared on their people alone." in table.notes
    (forest,) = (row for row in table.rows if row.method == "forest")
    assert forest.difference.n_pairs == 3
    assert overall(tables).missing == {"dcdp": ("hapt",), "forest": ("hapt",)}


def test_a_seed_that_lacks_folds_is_told_and_its_spread_is_over_the_people_of_all_seeds(benchmark_of):
    results = benchmark_of(sets=("hapt",), methods=("dcdp", "forest"), seeds=(0, 1))
    kept = sorted(results[0].by_fold)[:2]
    people = {person for fold in kept for person in fold.split("+")}

    def cut(one):
        by_fold = {fold: one.by_fold[fold] for fold in kept}
        return replace(one, by_fold=by_fold, by_subject={k: v for k, v in one.by_subject.items() if k in people})

    (table,) = standings([cut(one) if (one.method, one.seed) == ("forest", 1) else one for one in results])
    row, whole = (next(row for row in table.rows if row.method == name) for name in ("forest", "dcdp"))
    first, second = (one for one in results if one.method == "forest")
    assert (row.n_folds, row.folds_by_seed, whole.folds_by_seed) == (4, {0: 4, 1: 2}, {0: 4, 1: 4})
    for person, value in row.by_subject.items():
        both = [first.by_subject[person], second.by_subject[person]]
        assert value == pytest.approx(np.mean(both) if person in people else both[0])
    means = [np.mean([one.by_subject[person] for person in people]) for one in (first, second)]
    assert row.seed_spread == pytest.approx(np.std(means, ddof=1))
    note = "forest: seed 1 has 2 of 4 folds; a person has the mean of the seeds that tested them."
    assert [one for one in table.notes if "a person has" in one] == [note]


def test_few_people_against_many_comparisons_are_told(benchmark_of):
    dsads, hapt, _ = standings(benchmark_of(seeds=(0,)))
    assert hapt.notes == () or "people and" not in hapt.notes[-1]
    assert not any("no p can be below" in note for note in dsads.notes)  # 5 * 2 / 2**8 = .039
    few = standings(benchmark_of(sets=("dsads",), seeds=(0,)), "forest")[0]
    assert few.rows[0].method == "dcdp"  # best first, whatever the baseline


def test_eight_people_and_seven_comparisons_cannot_be_significant(made_up, tmp_path):
    made_up.make_benchmark(tmp_path, sets=("dsads",), seeds=(0,))
    for name in ("x", "y"):
        made_up.write_cell(tmp_path, made_up.make_cell("dsads", "forest") | {"method": name})
    (table,) = standings(read_method_results(tmp_path))
    assert "8 people and 7 comparisons: once corrected, no p can be below 0.055" in table.notes[-1]
    assert min(row.p_holm for row in table.rows if row.p_holm is not None) >= 7 * 2 / 2**8


def test_interval_of_few_people_stays_where_scores_can_be(made_up, tmp_path):
    cell = made_up.make_cell("hapt", "dcdp")
    people = list(cell["test"]["macro_f1"]["by_subject"])
    scores = dict(zip(people, [1.0, 0.0, *[1.0] * (len(people) - 2)], strict=True))
    (one,) = read_method_results(made_up.write_cell(tmp_path, cell))
    (table,) = standings([replace(one, by_subject=scores)])
    assert table.rows[0].interval[1] == 1.0


def test_one_person_has_no_interval_and_no_comparison(made_up, tmp_path):
    for method in ("dcdp", "forest"):
        one = made_up.make_cell("hapt", method)
        one["split"]["folds"] = [{"fold": "s01", "test": ["s01"], "validation": ["s02"], "train": ["s03"]}]
        for figure in one["test"].values():
            if "by_subject" in figure:
                value = figure["by_subject"]["s01"]
                figure |= {"by_subject": {"s01": value}, "by_fold": {"s01": value}, "mean": value}
        made_up.write_cell(tmp_path, one)
    (table,) = standings(read_method_results(tmp_path))
    assert [(row.interval, row.difference, row.p_holm) for row in table.rows] == [(None, None, None)] * 2


def test_a_missing_baseline_is_told_here_and_refused_everywhere(made_up, tmp_path):
    made_up.make_benchmark(tmp_path, sets=("hapt",), methods=("forest", "dcdp"), seeds=(0,))
    made_up.make_benchmark(tmp_path, sets=("dsads",), methods=("forest",), seeds=(0,))
    dsads, hapt = standings(read_method_results(tmp_path))
    assert (dsads.baseline, hapt.baseline) == (None, "dcdp")
    assert dsads.notes == ("dcdp was not run here: nothing to compare with.",)
    with pytest.raises(ConfigError, match=r"baseline must be one of dcdp, forest: got 'dcpd'. Did you mean 'dcdp'"):
        standings(read_method_results(tmp_path), "dcpd")
    with pytest.raises(DataError, match="there must be a result"):
        standings([])


def test_ranks_are_over_the_methods_common_to_all_sets(made_up, tmp_path):
    made_up.make_benchmark(tmp_path, methods=("dcdp", "forest", "mlp_mixer@ours"), seeds=(0,))
    made_up.make_benchmark(tmp_path, sets=("dsads",), methods=("minirocket",), seeds=(0,))
    made_up.write_cell(tmp_path, made_up.make_cell("hapt", "mlp_mixer@ours", n_folds=2))
    found = overall(standings(read_method_results(tmp_path)))
    assert found.missing == {"minirocket": ("hapt", "uschad"), "mlp_mixer@ours": ("hapt",)}
    assert set(found.by_set.methods) == set(found.by_subject.methods) == {"dcdp", "forest"}
    assert (found.by_set.n_blocks, found.by_subject.n_blocks) == (3, 8 + 12 + 14)


def test_one_method_alone_has_no_rank(benchmark_of):
    found = overall(standings(benchmark_of(methods=("dcdp",), seeds=(0,))))
    assert (found.by_set, found.by_subject, found.missing) == (None, None, {})
