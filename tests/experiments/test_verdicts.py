"""Verdicts and readings from made-up results: who is paired with whom, and what is said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from dcdp.experiments.components import Component
from dcdp.experiments.readings import read_alignment, read_balance, read_stability
from dcdp.experiments.verdicts import EARNS, HARMS, OFF, TIE, judge, judge_all

PART = Component("brake", "It brakes.", "left out", "whole", "lacking")


def made_up(scores: Sequence[float], variance: Sequence[float] = (0.2,), **test: Any) -> dict[str, Any]:
    people = {f"s{place}": score for place, score in enumerate(scores)}
    return {
        "branches": ["acc", "gyr"],
        "test": {"macro_f1": {"mean": sum(scores) / len(scores), "by_subject": people}, **test},
        "training": {f"fold {place}": {"loss_step_variance": one} for place, one in enumerate(variance)},
    }


@pytest.mark.parametrize(
    ("gains", "verdict", "sentence"),
    [
        ((0.02, 0.03, 0.04, 0.03, 0.02, 0.05), EARNS, "earns its place; costs 25% of the time of a step"),
        ((-0.02, -0.03, -0.04, -0.03, -0.02, -0.05), HARMS, "harms; costs 25% of the time of a step"),
        ((-0.02, 0.03, -0.04, 0.03, -0.02, 0.03), TIE, "tie; costs 25% of the time of a step"),
    ],
)
def test_a_verdict_follows_the_interval(gains: Sequence[float], verdict: str, sentence: str) -> None:
    whole = {0: made_up([0.8 + gain for gain in gains])}
    found = judge(PART, whole, {0: made_up([0.8] * 6)}, {"whole": 0.05, "lacking": 0.04})
    assert (found["verdict"], found["sentence"]) == (verdict, sentence)
    assert found["difference"] == pytest.approx(sum(gains) / 6)
    assert found["interval"][0] <= found["difference"] <= found["interval"][1]


def test_seeds_are_averaged_by_person_before_they_are_paired() -> None:
    whole = {0: made_up([0.9, 0.7]), 1: made_up([0.7, 0.9])}
    lacking = {0: made_up([0.7, 0.7]), 1: made_up([0.7, 0.7]), 2: made_up([0.0, 0.0])}  # a seed that only it has
    found = judge(PART, whole, lacking, {})
    assert found["interval"] == pytest.approx([0.1, 0.1])  # both people gain .1 on average
    assert found["n_people"] == 2
    assert found["seeds"] == [0, 1]
    assert found["by_seed"] == pytest.approx({"0": 0.1, "1": 0.1})


def test_a_part_is_judged_with_a_branch_absent_too() -> None:
    def absent(*scores: float) -> dict[str, Any]:
        table = {f"s{place}": score for place, score in enumerate(scores)}
        return {"absent": {"acc": {"by_subject": table}, "gyr": {"by_subject": dict.fromkeys(table, 0.4)}}}

    whole = {0: made_up([0.8, 0.8]), 1: made_up([0.8, 0.8], **absent(0.8, 0.7))}
    lacking = {0: made_up([0.8, 0.8]), 1: made_up([0.8, 0.8], **absent(0.6, 0.5))}
    found = judge(PART, whole, lacking, {})["absent"]
    assert found["difference"] == pytest.approx(0.1)  # .2 without acc, 0 without gyr
    assert (found["verdict"], found["seeds"]) == (EARNS, [1])
    assert judge(PART, whole, {0: lacking[0]}, {})["absent"] is None


def test_variants_that_share_no_seed_are_not_judged() -> None:
    assert judge_all([PART], {"whole": {0: made_up([0.8, 0.7])}, "lacking": {1: made_up([0.8, 0.7])}}, {}) == []


def test_one_training_for_both_means_that_the_part_is_off() -> None:
    same = {0: made_up([0.8, 0.7])}
    found = judge(PART, same, same, {})
    assert (found["verdict"], found["difference"]) == (OFF, None)


def test_a_time_that_does_not_show_is_not_told_as_a_cost() -> None:
    one = {0: made_up([0.8, 0.7])}
    found = judge(PART, one, {0: made_up([0.8, 0.7])}, {"whole": 0.0405, "lacking": 0.04})
    assert found["sentence"] == "tie; its time does not show; few people"
    assert judge(PART, one, {0: made_up([0.8, 0.7])}, {"whole": 0.04})["cost"] is None


def test_one_person_tells_nothing() -> None:
    found = judge(PART, {0: made_up([0.9])}, {0: made_up([0.8])}, {})
    assert (found["verdict"], found["sentence"]) == (TIE, "one person tells nothing")


def test_p_is_corrected_over_all_parts_that_were_tested() -> None:
    better = {0: made_up([0.8 + 0.01 * k for k in range(1, 9)])}
    variants = {"whole": better, "lacking": {0: made_up([0.8] * 8)}, "other": better, "third": {0: made_up([0.7] * 8)}}
    parts = [
        PART,
        Component("second", "", "left out", "whole", "third"),
        Component("off", "", "left out", "whole", "other"),
        Component("unknown", "", "left out", "whole", "never_run"),
    ]
    told = judge_all(parts, variants, {})
    assert [one["component"] for one in told] == ["brake", "second", "off"]
    assert told[0]["p_value"] == pytest.approx(2 / 2**8)
    assert [one["p_holm"] for one in told] == [pytest.approx(4 / 2**8), pytest.approx(4 / 2**8), None]


def test_a_part_told_twice_is_tested_once() -> None:
    variants = {"whole": {0: made_up([0.8 + 0.01 * k for k in range(1, 9)])}, "lacking": {0: made_up([0.8] * 8)}}
    told = judge_all([PART, Component("brake", "", "left out", "whole", "lacking")], variants, {})
    assert [one["p_holm"] for one in told] == [pytest.approx(2 / 2**8)] * 2


def test_a_verdict_that_correction_denies_is_called_a_hint() -> None:
    people = {"whole": {0: made_up([0.85, 0.84, 0.83, 0.82, 0.81])}, "lacking": {0: made_up([0.8] * 5)}}
    (found,) = judge_all([PART], people, {})
    assert (found["verdict"], found["p_holm"]) == (EARNS, pytest.approx(0.0625))
    assert found["sentence"] == "a hint, no proof: earns its place; few people"


def test_alignment_is_read_stage_by_stage_as_means_over_seeds() -> None:
    def aligned(recall: float) -> dict[str, Any]:
        return made_up([0.8], alignment={"stage_1": {"retrieval_window": recall, "cka": None}})

    rows = read_alignment({0: aligned(0.6), 1: aligned(0.8)}, {0: aligned(0.1), 1: aligned(0.3)})
    assert rows[0] == {"stage": "stage_1", "measure": "retrieval_window", "with": pytest.approx(0.7),
                       "without": pytest.approx(0.2)}  # fmt: skip
    assert rows[1]["with"] is None


def test_balance_is_read_from_heads_shares_and_branches_alone() -> None:
    def balanced(acc: float, gyr: float, share: float) -> dict[str, Any]:
        heads = {"acc": {"accuracy": acc}, "gyr": {"accuracy": gyr}}
        return made_up([0.8], by_branch=heads, shapley={"acc": share, "gyr": 1 - share})

    alone = made_up([0.8], utilisation={"acc": {"alone": 0.9, "gap": 0.0}, "gyr": {"alone": 0.7, "gap": 0.0}})
    rows = read_balance({0: balanced(0.9, 0.65, 0.6)}, {0: balanced(0.9, 0.5, 0.8)}, {0: alone})
    table = {(row["branch"], row["measure"]): (row["with"], row["without"]) for row in rows}
    assert table["gyr", "head accuracy"] == pytest.approx((0.65, 0.5))
    assert table["gyr", "utilisation gap"] == pytest.approx((0.05, 0.2))
    assert table["gyr", "Shapley share"] == pytest.approx((0.4, 0.2))
    assert table["all", "spread of shares"] == pytest.approx((0.1, 0.3))
    plain = {0: balanced(0.9, 0.5, 0.8)}
    assert "utilisation gap" not in {row["measure"] for row in read_balance(plain, plain)}


def test_stability_is_the_spread_over_seeds_and_the_variance_between_steps() -> None:
    steady = {0: made_up([0.8], variance=[0.1, 0.1]), 1: made_up([0.82], variance=[0.2, 0.2])}
    shaky = {0: made_up([0.7], variance=[0.2, 0.2]), 1: made_up([0.9], variance=[0.4, 0.4])}
    told = read_stability(steady, shaky)
    assert told["seed_spread"] == pytest.approx({"with": 0.02 / 2**0.5, "without": 0.2 / 2**0.5})
    assert told["step_variance"] == pytest.approx({"with": 0.15, "without": 0.3})
    assert told["steadier"] == pytest.approx(0.5)
    assert told["interval"] == pytest.approx([0.5, 0.5])
    assert told["note"] == "2 seeds; a claim needs 5"
    assert read_stability({0: steady[0]}, {0: shaky[0]})["seed_spread"] == {"with": None, "without": None}


def test_seeds_of_a_fold_do_not_count_as_so_many_folds() -> None:
    varied, plain = made_up([0.8], variance=[0.1, 0.3, 0.2, 0.5]), made_up([0.8], variance=[0.2] * 4)
    one = read_stability({0: varied}, {0: plain})
    many = read_stability(dict.fromkeys(range(9), varied), dict.fromkeys(range(9), plain))
    assert many["interval"] == pytest.approx(one["interval"])
    assert read_stability({0: made_up([0.8], variance=[0.1])}, {0: plain})["interval"] is None


def test_twice_as_steady_and_half_as_steady_are_no_change() -> None:
    told = read_stability({0: made_up([0.8], variance=[0.1, 0.4])}, {0: made_up([0.8], variance=[0.2, 0.2])})
    assert told["steadier"] == pytest.approx(0)
    assert told["interval"][0] < 0 < told["interval"][1] < 1
