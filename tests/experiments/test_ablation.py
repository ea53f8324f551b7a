"""An ablation as a whole: what it trains, that one training serves all variants that are it, and what it tells."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dcdp.errors import ConfigError, FormatError, MissingError
from dcdp.experiments.ablation import ALONE, Ablation, _by_set, ablate, make_ablation
from dcdp.experiments.step_time import step_seconds
from dcdp.reports.ablation import write_ablation

SMALL = (
    "network.preset=tiny", "training.epochs=1", "training.batch_size=24", "body.n_subjects=4",
    "body.recordings_per_subject=1", "body.minutes_per_subject=2.5", 'body.modalities=["acc", "gyr"]',
)  # fmt: skip
OF_SEVERAL_PLACES = ["no_waveform_dropout", "no_placement_dropout"]


def declared(**cell: Any) -> dict[str, Any]:
    return {"cells": [{"data": ["synthetic"], **cell}], "settings": {"set": list(SMALL)}}


def trained(ablation: Ablation) -> list[str]:
    return [cell.method.name for cell in ablation.grid.cells]


def test_variants_of_one_configuration_are_trained_once() -> None:
    ablation = make_ablation(declared(), "here")
    runs_as = {cell.method.name: first.method.name for cell, first in ablation.cells}
    assert runs_as["modulation"] == "dcdp"  # momentum is off by default
    assert runs_as["no_modulation"] == "contrast"
    assert set(trained(ablation)) == set(ablation.variants) - {"modulation", "no_modulation", "no_trees"}
    assert ablation.grid.out == Path("runs/here")


def test_with_momentum_in_the_full_method_the_same_variants_are_others() -> None:
    mapping = declared()
    mapping["settings"]["set"].append("modulation.momentum=0.5")
    runs_as = {cell.method.name: first.method.name for cell, first in make_ablation(mapping, "here").cells}
    assert runs_as["momentum"] == "dcdp"
    assert runs_as["modulation"] == "modulation"


def test_branches_alone_are_a_cell_of_their_own_where_asked_for() -> None:
    ablation = make_ablation(declared(methods=["dcdp", "plain"], seeds=[0, 1]), "here", alone=True)
    assert trained(ablation) == ["dcdp", "dcdp", "plain", "plain", ALONE, ALONE]
    assert [cell.seed for cell in ablation.grid.cells if cell.method.alone] == [0, 1]


def test_every_seed_of_a_variant_counts_though_it_is_another_training_s_in_some() -> None:
    cells = [
        {"data": ["hapt"], "methods": ["dcdp", "contrast", "no_modulation"]},
        {"data": ["hapt"], "methods": ["dcdp", "no_modulation"], "seeds": [1]},
    ]
    ablation = make_ablation({"cells": cells}, "here")
    results = [
        {"data": "hapt", "split": {"name": cell.split}, "method": cell.method.name, "seed": cell.seed}
        for cell in ablation.grid.cells
    ]
    (variants,) = _by_set(ablation, results).values()
    assert {name: sorted(found) for name, found in variants.items()} == {
        "dcdp": [0, 1], "contrast": [0], "no_modulation": [0, 1],
    }  # fmt: skip
    assert variants["no_modulation"][0] is variants["contrast"][0]


@pytest.mark.parametrize(("data", "same"), [("hapt", True), ("dsads", False)])
def test_what_cannot_act_on_a_set_is_not_trained_again(data: str, same: bool) -> None:
    ablation = make_ablation({"cells": [{"data": [data], "methods": ["dcdp", *OF_SEVERAL_PLACES]}]}, "here")
    assert trained(ablation) == (["dcdp"] if same else ["dcdp", *OF_SEVERAL_PLACES])


def test_settings_hold_for_every_variant() -> None:
    ablation = make_ablation(declared(), "here")
    assert {cell.config.training.batch_size for cell in ablation.grid.cells} == {24}


def test_settings_given_by_hand_take_the_place_of_those_of_some_cells() -> None:
    mapping = declared(set=["training.steps_per_subject=25", "training.max_steps=90"])
    ablation = make_ablation(mapping, "here", settings=("training.steps_per_subject=5",))
    training = [cell.config.training for cell in ablation.grid.cells]
    assert {(one.steps_per_subject, one.max_steps) for one in training} == {(5, 90)}


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        (declared() | {"methods": {"mine": {}}}, r"the variants of an ablation are its own: got \[methods\] mine"),
        (declared() | {"methods": 3}, r"the variants of an ablation are its own: got \[methods\] 3"),
        (declared(methods=["no_contrasts"]), "variant must be one of .* Did you mean 'no_contrast'"),
        (declared(methods=["forest", "dcdp"]), "variant must be one of .* got 'forest'"),
        (declared(set=["objective.contrast=0.3"]), "some cells must not set what a variant changes"),
        ({"cells": {"data": ["hapt"]}}, "cells"),
        (declared() | {"settings": ["training.epochs=1"]}, "settings"),
        (
            {"cells": [{"data": ["hapt"], "folds": "1"}, {"data": ["hapt"], "folds": "2", "seeds": [1]}]},
            "all cells of a split must have the same folds: got others for 'hapt-arena/dcdp/s1'",
        ),
    ],
)
def test_what_cannot_be_judged_is_refused(mapping: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_ablation(mapping, "here")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ablation, dict[str, Any]]:
    out = tmp_path_factory.mktemp("ablation")
    variants = ["dcdp", "no_contrast", "modulation", "momentum"]
    ablation = make_ablation(declared(methods=variants, folds="1,2"), "here", alone=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dcdp.experiments.step_time._STEPS", 1)
        patch.setattr("dcdp.experiments.ablation.step_seconds", partial(step_seconds, rounds=1))
        return out, ablation, ablate(ablation, out, device="cpu")


def test_it_tells_verdicts_and_readings(finished: tuple[Path, Ablation, dict[str, Any]]) -> None:
    out, _, result = finished
    assert result == json.loads((out / "ablation.json").read_text(encoding="utf-8"))
    (one,) = result["sets"].values()
    judged = {(row["group"], row["component"]): row for row in one["components"]}
    assert set(judged) == {("left out", "contrast"), ("added", "momentum of gradients")}
    row = judged["left out", "contrast"]
    scores = [one["variants"][name]["macro_f1"] for name in ("dcdp", "no_contrast")]
    assert row["difference"] == pytest.approx(scores[0] - scores[1])
    assert row["n_people"] == 2
    step_s = [one["variants"][name]["step_s"] for name in ("dcdp", "no_contrast")]
    assert row["cost"] == pytest.approx(step_s[0] / step_s[1] - 1)
    assert one["variants"]["modulation"] == one["variants"]["dcdp"]  # one training
    assert {row["stage"] for row in one["readings"]["alignment"]} == {"stage_1", "stage_2", "stage_3"}
    assert one["readings"]["stability"]["step_variance"]["with"] > 0
    assert one["readings"]["stability"]["note"] == "1 seed; a claim needs 5"


def test_it_goes_on_without_training_anything_again(
    finished: tuple[Path, Ablation, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, ablation, result = finished
    times = {name: facts["step_s"] for one in result["sets"].values() for name, facts in one["variants"].items()}
    monkeypatch.setattr("dcdp.experiments.ablation._time", lambda *_: times)
    monkeypatch.setattr(
        "dcdp.experiments.benchmark.run_jobs", lambda _, jobs, *__, **___: pytest.fail("again") if jobs else None
    )
    assert ablate(ablation, out, device="cpu")["sets"] == result["sets"]


def test_branches_alone_are_in_the_result_of_their_cell(finished: tuple[Path, Ablation, dict[str, Any]]) -> None:
    out, _, _ = finished
    (cell,) = out.glob(f"*/{ALONE}/s0.json")
    result = json.loads(cell.read_text(encoding="utf-8"))
    used = result["test"]["utilisation"]
    assert list(used) == result["branches"]
    assert all(branch["alone"] is not None for branch in used.values())


def test_the_page_shows_every_part(finished: tuple[Path, Ablation, dict[str, Any]]) -> None:
    out, _, _ = finished
    page = (out / "ablation.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 1
    for words in ("momentum of gradients", "Alignment", "Stability", "objective.contrast=0", "arena: verdicts"):
        assert words in page


def test_a_page_needs_a_whole_ablation(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"an ablation must have an ablation.json"):
        write_ablation(tmp_path)
    (tmp_path / "ablation.json").write_text('{"sets": 3}', encoding="utf-8")
    with pytest.raises(FormatError, match=r"ablation.json must hold an ablation"):
        write_ablation(tmp_path)
