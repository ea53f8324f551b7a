from __future__ import annotations

import json
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import replace

import pytest

from dcdp.errors import DataError, FormatError, MissingError, SplitError
from dcdp.evaluation import (
    check_comparable,
    check_one_split,
    find_results,
    read_method_results,
    unique_results,
    with_absent,
)


@pytest.fixture
def two_results(made_up, tmp_path):
    """Return a function that changes the second of two results and gives the results of both."""

    def make(change, second="forest", seed=0):
        other = made_up.make_cell("hapt", second, seed)
        change(other)
        files = [made_up.write_cell(tmp_path / name, one) for name, one in
                 (("one", made_up.make_cell("hapt", "dcdp")), ("two", other))]  # fmt: skip
        return [one for file in files for one in read_method_results(file)]

    return make


def swap_people(result):
    one, other = (result["split"]["folds"][place]["test"] for place in (1, 2))
    one[0], other[0] = other[0], one[0]


def rename_fold(result):
    result["split"]["folds"][0]["fold"] = "other"
    result["leak_audit"]["folds"]["other"] = result["leak_audit"]["folds"].pop("s01+s05+s09")


def set_at(*keys, value):
    def change(result):
        for key in keys[:-1]:
            result = result[key]
        result[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (swap_people, r"fold s02\+s06\+s10, test 's02, s06, s10' in '.*one.*', 's03, s06, s10' in '.*two.*'"),
        (set_at("split", "folds", 0, "validation", value=["s03"]), r"fold s01\+s05\+s09, validation 's02"),
        (rename_fold, r"fold s01\+s05\+s09 there in '.*one.*', missing in"),
        (set_at("config", "windows", "stride_s", value=3.0), "windows, stride_s '1.5' in '.*one.*', '3.0' in '.*two"),
        (set_at("config", "windows", "gap_s", value=3.0), "windows, gap_s missing in '.*one.*', '3.0' in '.*two"),
        (
            set_at("labels", value=["walking", "up", "down", "sitting", "standing", "lying"]),
            "labels 'walking, walking_",
        ),
        (set_at("null_label", value="walking"), "null label 'None' in .*, 'walking' in"),
        (set_at("leak_audit", "passed", value=False), "passed its leak audit.* each fold: got passed: false in '.*two"),
        (set_at("leak_audit", "folds", "s01+s05+s09", "passed", value=False), r"fold s01\+.*, passed: false in '.*two"),
        (set_at("leak_audit", "folds", value={}), r"fold s01\+.*, passed: none in '.*two"),
        (set_at("test", "confusion", 1, 1, value=99), "windows of walking_upstairs '100' in '.*one.*', '99' in '.*two"),
        (
            set_at("leak_audit", "folds", "s01+s05+s09", "n_windows", "test", value=301),
            r"s09, test windows '300' in .*, '301'",
        ),
    ],
)
def test_other_conditions_are_refused_with_the_first_difference_and_both_files(two_results, change, message):
    with pytest.raises(SplitError, match=message):
        check_comparable(two_results(change))


def test_same_conditions_pass_whatever_else_differs(two_results):
    check_comparable(two_results(set_at("config", "training", "epochs", value=3)))
    check_comparable(two_results(set_at("machine", "cores", value=64)))


def test_two_synthetic_bodies_are_refused_and_real_people_have_none(two_results):
    def of(data, noise):
        one, other = two_results(set_at("config", "body", value={"noise": noise}), "dcdp", 1)
        one.result["config"]["body"] = {"noise": 1.0, "newer": 1}
        return [replace(each, data=data) for each in (one, other)]

    check_comparable(of("synthetic", 1.0))
    check_comparable(of("hapt", 2.0))
    with pytest.raises(SplitError, match=r"got body, noise '1.0' in '.*one.*', '2.0' in '.*two"):
        check_comparable(of("synthetic", 2.0))


def test_seeds_of_one_method_must_have_one_configuration(two_results):
    with pytest.raises(SplitError, match="every seed of dcdp must have one configuration: got config, training, ep"):
        check_comparable(two_results(set_at("config", "training", "epochs", value=3), "dcdp", 1))


@pytest.mark.parametrize(("name", "message"), [("tinyhar", "training, epochs '20' .* keeps its name"), ("forest", "")])
def test_peers_of_one_name_must_agree_in_what_they_read(made_up, tmp_path, name, message):
    results = []
    for seed, epochs in ((0, 20), (1, 3)):
        result = made_up.make_cell("hapt", "dcdp", seed) | {"method": f"dcdp {epochs}"}
        result["peers"] = {name: made_up.make_cell("hapt", "forest", seed)["test"] | {"seconds": 12.0}}
        result["config"] |= {"training": {"epochs": epochs}, "network": {"width": epochs}}
        results += read_method_results(made_up.write_cell(tmp_path, result))
    with pytest.raises(SplitError, match=message) if message else nullcontext():
        check_comparable(results)


def test_variants_of_two_methods_under_one_name_are_refused(two_results):
    one, other = two_results(set_at("base", value="lightgbm"), "dcdp", 1)
    one.result["base"] = "forest"
    with pytest.raises(SplitError, match=r"got base 'forest' in '.*one.*', 'lightgbm' in '.*two.*NAME=PATH"):
        check_comparable([one, other])


def test_a_setting_that_only_a_later_version_knows_is_no_difference(two_results):
    def forget(result):
        del result["config"]["training"]["learning_rate"]
        result["config"]["newer"] = {"key": 1}

    old, new = two_results(forget, "dcdp", 1)
    check_comparable([old, new])
    other = replace(new, seed=2, result=deepcopy(new.result))
    other.result["config"]["newer"]["key"] = 2  # the oldest does not know it, but the other does
    with pytest.raises(SplitError, match="config, newer, key '1'"):
        check_comparable([old, new, other])


def test_some_folds_are_refused_unless_asked_for(made_up, tmp_path):
    made_up.write_cell(tmp_path, made_up.make_cell("hapt", "dcdp"))
    half = made_up.make_cell("hapt", "forest", n_folds=2)
    half["test"]["confusion"][0][0] = 50  # of half the windows
    made_up.write_cell(tmp_path, half)
    results = read_method_results(tmp_path)
    with pytest.raises(SplitError, match=r"fold s03.* there in .*, missing in .* --partial"):
        check_comparable(results)
    check_comparable(results, partial=True)


def test_folds_that_partial_results_share_must_be_the_same(made_up, tmp_path):
    shared = made_up.make_cell("hapt", "lightgbm", n_folds=2)
    shared["leak_audit"]["folds"]["s02+s06+s10"]["n_windows"]["test"] = 7
    first = made_up.make_cell("hapt", "dcdp", n_folds=1)
    for one in (first, made_up.make_cell("hapt", "forest", n_folds=2), shared):
        made_up.write_cell(tmp_path, one)
    with pytest.raises(SplitError, match=r"test windows '300' in .*forest.*, '7' in .*lightgbm"):
        check_comparable(read_method_results(tmp_path), partial=True)


def test_two_splits_of_one_set_are_refused(two_results):
    results = two_results(set_at("split", "name", value="official"))
    check_comparable(results)  # two tables
    with pytest.raises(SplitError, match=r"of hapt must come from one split: got 'arena' in .*, 'official' in"):
        check_one_split(results)


def test_peers_of_a_result_are_cells_of_their_own(made_up, tmp_path):
    result = made_up.make_cell("hapt", "dcdp", cost=False)
    peer = made_up.make_cell("hapt", "forest")["test"]
    result["peers"] = {"forest": peer | {"seconds": 12.0, "parameters": 400, "windows_per_s": 9.0}}
    own, forest = read_method_results(made_up.write_cell(tmp_path, result), "mine")
    assert (own.method, own.is_peer, own.cost["train_seconds"]) == ("mine", False, 100.0)  # of each of 4 folds
    assert (forest.method, forest.is_peer) == ("forest", True)
    assert forest.cost == {"train_seconds": 3.0, "parameters": 400.0, "windows_per_s": 9.0}
    assert forest.by_subject == peer["macro_f1"]["by_subject"]
    assert forest.test["per_class_f1"] == peer["per_class_f1"]


def test_results_are_found_in_runs_and_folders(made_up, tmp_path):
    made_up.make_benchmark(tmp_path / "bench", sets=("hapt",), methods=("dcdp", "forest"))
    (tmp_path / "bench" / "benchmark.json").write_text("{}")
    run = tmp_path / "run"
    run.mkdir()
    (run / "result.json").write_text(json.dumps(made_up.make_cell()))
    assert [path.relative_to(tmp_path).as_posix() for path in find_results(tmp_path)] == [
        *(f"bench/hapt-arena/{method}/s{seed}.json" for method in ("dcdp", "forest") for seed in (0, 1)),
        "run/result.json",
    ]
    assert find_results(run) == find_results(run / "result.json") == [run / "result.json"]


def test_what_is_not_there_or_no_result_is_told(tmp_path):
    with pytest.raises(MissingError, match=r"no file or folder '.*nothing'"):
        find_results(tmp_path / "nothing")
    with pytest.raises(MissingError, match="a folder must hold results"):
        find_results(tmp_path)
    (tmp_path / "s0.json").write_text("[]")
    with pytest.raises(FormatError, match="format 1"):
        read_method_results(tmp_path)


def test_a_result_given_twice_counts_once_and_two_that_differ_are_refused(made_up, tmp_path):
    one = made_up.make_cell()
    once = read_method_results(made_up.write_cell(tmp_path / "a", one))
    again = read_method_results(made_up.write_cell(tmp_path / "b", one))
    assert unique_results(once + again) == once
    other = deepcopy(one)
    other["test"]["macro_f1"]["by_subject"] = {s: v - 0.1 for s, v in one["test"]["macro_f1"]["by_subject"].items()}
    other["test"]["macro_f1"]["mean"] -= 0.1
    with pytest.raises(DataError, match=r"two of dcdp, seed 0, on hapt: '.*a/.*' and '.*c/.*'"):
        unique_results(once + read_method_results(made_up.write_cell(tmp_path / "c", other)))


def test_a_mean_over_absent_branches_is_over_the_same_ones(two_results):
    def tell(*branches):
        return {name: {"macro_f1": 0.5, "loss": 0.1, "by_subject": {"s01": 0.5}} for name in branches}

    one, other = two_results(set_at("test", "absent", value=tell("acc")))
    one = replace(one, test={**one.test, "absent": tell("acc", "gyr")})
    assert [each.by_subject for each in with_absent([one, other], "acc")] == [{"s01": 0.5}] * 2
    with pytest.raises(DataError, match=r"over the same ones for all methods: got \['acc'\] in '.*two.*'"):
        with_absent([one, other])
