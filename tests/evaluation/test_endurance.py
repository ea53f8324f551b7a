"""What a sensor's absence costs: pooled over folds, averaged over seeds, and held against the best of the others."""

import numpy as np
import pytest

from dcdp.errors import DataError
from dcdp.evaluation import (
    absence_verdicts,
    bootstrap_interval,
    endurance_of,
    macro_f1_by_subject,
    pool_robustness,
    score,
    score_robustness_point,
)


def result(method, clean, left, seed=0, data="hapt"):
    """Return what `endurance_of` reads: clean scores by subject, and those without a modality."""
    scored = {"macro_f1": {"by_subject": left}}
    return {
        "data": data, "split": {"name": "arena"}, "method": method, "seed": seed,
        "test": {"macro_f1": {"by_subject": clean}}, "robustness": {"absent_modality": {"gyr": scored}},
    }  # fmt: skip


def test_figures_by_subject_are_those_of_the_scores():
    rng = np.random.default_rng(0)
    label, subject = rng.integers(0, 3, 60), np.repeat(["b", "a", "c"], 20)
    probability = rng.dirichlet(np.ones(3), 60)
    expected = score(label, probability, subject, ["x", "y", "z"])["macro_f1"]["by_subject"]
    assert macro_f1_by_subject(label, probability, subject) == pytest.approx(expected)
    assert score_robustness_point(label, probability, subject)["by_subject"] == pytest.approx(expected, abs=1e-5)


def test_folds_are_joined_by_subject_and_compared_with_the_clean_mean():
    folds = {
        "a": {
            "clean": {"0": {"by_subject": {"a": 0.6}}},
            "noise": {"0.5": {"by_subject": {"a": 0.5}, "size": {"m/s2": 1.0}}},
        },
        "b+c": {
            "clean": {"0": {"by_subject": {"b": 0.9, "c": 0.6}}},
            "noise": {"0.5": {"by_subject": {"b": 0.8, "c": 0.2}, "size": {"m/s2": 3.0}}},
        },
    }
    block = pool_robustness(folds)["noise"]["0.5"]
    assert block["macro_f1"]["by_subject"] == {"a": 0.5, "b": 0.8, "c": 0.2}
    assert block["macro_f1"]["mean"] == pytest.approx(0.5)
    assert block["loss"] == pytest.approx(0.2)
    assert block["size"] == {"m/s2": 2.0}


def test_folds_that_do_not_fit_are_refused():
    point, clean = {"by_subject": {"a": 0.5}}, {"clean": {"0": {"by_subject": {"a": 0.6}}}}
    with pytest.raises(DataError, match="every fold must meet the same disturbances: got others in 'two'"):
        pool_robustness({"one": clean | {"noise": {"1": point}}, "two": clean | {"noise": {"2": point}}})
    with pytest.raises(DataError, match="every fold must meet the same disturbances"):
        pool_robustness({"one": {"noise": {"1": point}}})
    with pytest.raises(DataError, match=r"must be those of the clean subjects: got \['b'\]"):
        pool_robustness({"one": {"clean": {"0": {"by_subject": {"a": 0.5, "b": 0.5}}}, "noise": {"1": point}}})


def test_seeds_of_a_method_are_averaged_by_subject():
    (one,) = endurance_of([
        result("dcdp", {"a": 0.9, "b": 0.7}, {"a": 0.8, "b": 0.6}),
        result("dcdp", {"a": 0.7, "b": 0.9}, {"a": 0.4, "b": 0.8}, seed=1),
    ])  # fmt: skip
    assert one.seeds == (0, 1)
    assert one.clean == pytest.approx({"a": 0.8, "b": 0.8})
    assert one.losses("absent_modality", "gyr") == pytest.approx({"a": 0.2, "b": 0.1})
    assert one.loss("absent_modality", "gyr") == pytest.approx(0.15)


def test_what_is_disturbed_is_held_against_the_same_windows_undisturbed():
    whole = result("dcdp", {"a": 0.9}, {"a": 0.8})
    whole["robustness"]["clean"] = {"0": {"macro_f1": {"by_subject": {"a": 0.95}}}}
    (one,) = endurance_of([whole])
    assert one.clean == {"a": 0.95}
    assert one.loss("absent_modality", "gyr") == pytest.approx(0.15)
    assert list(one.points) == ["absent_modality"]


def test_results_without_the_block_and_other_sets_stay_apart():
    bare = result("forest", {"a": 0.9}, {"a": 0.8}) | {"robustness": {}}
    found = endurance_of([bare, result("dcdp", {"a": 0.9}, {"a": 0.8}), result("dcdp", {"a": 1.0}, {"a": 0.8}, 0, "b")])
    assert [(one.data, one.method) for one in found] == [("hapt", "dcdp"), ("b", "dcdp")]


def test_ours_is_held_against_the_peer_that_is_best_with_all_sensors():
    methods = endurance_of([
        result("dcdp", {"a": 0.90, "b": 0.90}, {"a": 0.86, "b": 0.86}),
        result("forest", {"a": 0.88, "b": 0.88}, {"a": 0.68, "b": 0.78}),
        result("steady", {"a": 0.50, "b": 0.50}, {"a": 0.50, "b": 0.50}),
    ])  # fmt: skip
    (verdict,) = absence_verdicts(methods)
    assert (verdict.kind, verdict.absent, verdict.peer, verdict.steadiest) == (
        "absent_modality", "gyr", "forest", "steady",
    )  # fmt: skip
    assert (verdict.loss, verdict.peer_loss) == pytest.approx((0.04, 0.15))
    assert verdict.ratio == pytest.approx(0.04 / 0.15)
    assert verdict.interval == pytest.approx(bootstrap_interval([0.04 - 0.10, 0.04 - 0.05]))
    assert verdict.met
    assert verdict.steadiest_loss == 0


@pytest.mark.parametrize(
    ("left", "peer_left", "met"), [(0.79, 0.7, False), (0.85, 0.7, True), (0.95, 0.9, True), (0.89, 0.95, False)]
)
def test_the_bar_is_less_than_half(left, peer_left, met):
    methods = endurance_of([result("dcdp", {"a": 0.9}, {"a": left}), result("forest", {"a": 0.9}, {"a": peer_left})])
    (verdict,) = absence_verdicts(methods)
    assert verdict.met is met
    assert verdict.interval is None
    assert (verdict.ratio is None) == (peer_left >= 0.9)


def test_without_ours_or_without_others_there_is_no_verdict():
    alone = endurance_of([result("dcdp", {"a": 0.9}, {"a": 0.8})])
    assert absence_verdicts(alone) == []
    assert absence_verdicts(alone, "forest") == []


def test_a_variant_of_ours_is_no_peer():
    variant = result("no_trees", {"a": 0.95}, {"a": 0.95}) | {"base": "dcdp"}
    tuned = result("hidden", {"a": 0.8}, {"a": 0.7}) | {"base": "cnn_har@hidden"}
    ours = result("dcdp", {"a": 0.9}, {"a": 0.88}) | {"base": "dcdp"}
    assert absence_verdicts(endurance_of([ours, variant])) == []
    (verdict,) = absence_verdicts(endurance_of([ours, variant, tuned]))
    assert (verdict.peer, verdict.steadiest) == ("hidden", "hidden")


def test_methods_are_held_against_each_other_on_common_ground():
    """A method tested on more people, or under other severities, would be given another mean of what it lost."""
    ours, peer = result("dcdp", {"a": 0.9, "b": 0.5}, {"a": 0.8, "b": 0.1}), result("forest", {"a": 0.8}, {"a": 0.6})
    for one, levels in ((ours, ("0.1", "0.5")), (peer, ("0.5", "1"))):
        one["robustness"]["noise"] = {
            level: {"macro_f1": {"by_subject": one["test"]["macro_f1"]["by_subject"]}} for level in levels
        }
    first, second = endurance_of([ours, peer])
    assert first.clean == {"a": 0.9}
    assert first.loss("absent_modality", "gyr") == pytest.approx(0.1)
    assert first.points["noise"].keys() == second.points["noise"].keys() == {"0.5"}


def test_methods_without_a_common_person_are_refused():
    with pytest.raises(DataError, match="must be tested on the same people to be compared"):
        endurance_of([result("dcdp", {"a": 0.9}, {"a": 0.8}), result("forest", {"b": 0.8}, {"b": 0.6})])
