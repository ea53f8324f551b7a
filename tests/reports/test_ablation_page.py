"""The ablation page from its JSON alone: signs, alignment, and words that are true of the numbers."""

import json
import re

import pytest

from dcdp.reports.ablation import write_ablation

MINUS = "\N{MINUS SIGN}"


def component(name, difference, p_holm=0.5, **more):
    edges = None if difference is None else [difference - 0.01, difference + 0.01]
    known = {
        "component": name, "group": "added", "about": "What it is.", "with": "dcdp", "without": "plain",
        "difference": difference, "interval": edges, "p_holm": p_holm, "by_seed": {}, "cost": None, "note": "",
        "absent": None, "seeds": [0, 1], "n_people": 8, "verdict": "tie", "sentence": "tie",
    }  # fmt: skip
    return known | more


def written(tmp_path, components, *, stability=None, split="arena"):
    variant = {"runs_as": "dcdp", "macro_f1": 0.8, "std": 0.1, "by_seed": {"0": 0.8}, "parameters": 2174892,
               "step_s": 0.1}  # fmt: skip
    one = {"data": "hapt", "split": split, "components": components, "variants": {"dcdp": variant},
           "readings": {"stability": stability} if stability else {}}  # fmt: skip
    result = {"sets": {f"hapt-{split}": one}, "settings": {"dcdp": []}, "failures": {},
              "machine": {"processor": "x"}, "versions": {"dcdp": "0.1.0"}}  # fmt: skip
    (tmp_path / "ablation.json").write_text(json.dumps(result), encoding="utf-8")
    return write_ablation(tmp_path).read_text(encoding="utf-8")


def cells(page, name):
    row = re.search(rf'<tr>\s*<td class="name">({name}<small>.*?)</tr>', page, flags=re.DOTALL)
    return re.findall(r'<td class="(\w+)">(?:<span[^>]*>)?([^<]*)', row[1])


def test_differences_have_signs_like_their_intervals_and_stand_at_the_right(tmp_path):
    absent = {"difference": 0.02, "interval": [-0.01, 0.05]}
    page = written(tmp_path, [component("momentum", -0.0002, 0.0001, cost=0.139, absent=absent),
                              component("idle", None, None, verdict="off")])  # fmt: skip
    assert cells(page, "momentum") == [
        ("n", "0, 1"), ("n", "0.000"), ("n", f"{MINUS}0.010 to +0.010"), ("n", "&lt; .001"),
        ("n", "+14 %"), ("text", "tie"), ("n", "+0.020"), ("n", f"{MINUS}0.010 to +0.050"),
    ]  # fmt: skip
    assert cells(page, "idle")[1:5] == [("n", "\N{EN DASH}")] * 4
    columns = re.findall(r"<th(?: [^>]*)?>([^<]*)", page)[:9]
    assert columns == ["part", "seeds", "difference", "95 % interval", "p (Holm)", "step", "verdict", "a branch absent",
                           "its 95 % interval"]  # fmt: skip
    assert not re.search(r"[> ]-\d", re.sub(r"<(svg|style).*?</\1>", "", page, flags=re.DOTALL))  # no ASCII minus


@pytest.mark.parametrize(("steadier", "words"), [
    (-0.067, f"varies 7 % more from step to step (95 % interval of the change {MINUS}2 % to +15 %, over folds"),
    (0.07, "varies 7 % less from step to step"),
])  # fmt: skip
def test_the_loss_varies_more_or_less(tmp_path, steadier, words):
    both = {"with": 0.0069, "without": 0.0065}
    told = {"seeds": [0], "seed_spread": {"with": None, "without": None}, "step_variance": both, "steadier": steadier,
            "interval": [-0.153, 0.018], "note": "1 seeds; a claim needs 5"}  # fmt: skip
    page = written(tmp_path, [component("momentum", 0.01)], stability=told)
    assert words in page
    assert "1 seed; a claim needs 5." in page


def test_a_split_that_may_be_by_session_claims_no_new_people(tmp_path):
    assert "on 8 people never seen" in written(tmp_path, [component("momentum", 0.01)])
    page = written(tmp_path, [component("momentum", 0.01)], split="official")
    assert "never seen" not in page
    assert "on 8 test people" in page
