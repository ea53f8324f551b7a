"""The robustness page: every method, every disturbance, a verdict, and nothing that is not in the results."""

import re

import pytest

from dcdp.evaluation import endurance_of
from dcdp.reports import robustness
from dcdp.reports.benchmark_plots import looks_of
from dcdp.reports.robustness import absence_table, draw_curves, loss_table, write_robustness
from dcdp.signals.corruptions import CORRUPTIONS


def result(method, clean, slope, data="hapt", kinds=tuple(CORRUPTIONS)):
    def scores(value):
        return {"macro_f1": {"by_subject": {"a": value - 0.01, "b": value + 0.01}}}

    block = {"absent_modality": {"acc": scores(clean - 2 * slope), "gyr": scores(clean - slope)}}
    for kind in kinds:
        share = CORRUPTIONS[kind].unit.startswith("share")
        block[kind] = {
            f"{level:g}": scores(clean - slope * place) | ({"size": {"m/s2": 3.0 * level, "1": 1.0}} if share else {})
            for place, level in enumerate(CORRUPTIONS[kind].severities, 1)
        }
    return {"data": data, "split": {"name": "arena"}, "method": method, "seed": 0, "test": scores(clean),
            "robustness": block}  # fmt: skip


@pytest.fixture
def methods():
    return endurance_of([result("forest", 0.8, 0.1), result("dcdp", 0.9, 0.02), result("<b>", 0.7, 0.05)])


def test_the_page_shows_ours_first_with_every_loss_and_a_verdict(tmp_path, methods):
    page = write_robustness(tmp_path / "page.html", methods).read_text()
    rows = re.findall(r"<tr>\s*<td class=\"name\">(.*?)</td>", page)
    assert rows[:5] == ["dcdp", "forest", "&lt;b&gt;", "acc", "gyr"]
    assert "<b>\n" not in page
    assert "Does dcdp lose less than half" in page
    assert page.count('class="pill ahead"') == 2
    assert page == write_robustness(tmp_path / "again.html", methods).read_text()
    assert "http://" not in page


def test_a_single_method_has_curves_and_no_verdict(tmp_path):
    page = write_robustness(tmp_path / "page.html", endurance_of([result("dcdp", 0.9, 0.02)])).read_text()
    assert "less than half" not in page
    assert "<svg" in page
    assert "Loss of macro-F1" in page


def test_data_sets_have_sections_of_their_own_and_a_baseline_may_be_missing(tmp_path):
    found = endurance_of([result("forest", 0.8, 0.1), result("tinyhar", 0.7, 0.1, "dsads", ("noise",))])
    page = write_robustness(tmp_path / "page.html", found).read_text()
    assert re.findall(r"<h2[^>]*>(.*?)</h2>", page) == ["hapt, arena", "dsads, arena"]
    assert page.count("<svg") == 2


def test_curves_have_a_panel_a_corruption_and_a_line_a_method(methods):
    drawing = draw_curves("x", methods, looks_of([one.method for one in methods], "dcdp"))
    assert drawing.svg.count("<title>forest, ") == len(CORRUPTIONS)
    assert "<title>dcdp, 0: 0.900, 0.1: 0.880, 0.25: 0.860, 0.5: 0.840, 1: 0.820</title>" in drawing.svg
    assert "share of training spread (1: 3 m/s²)" in drawing.svg
    for corruption in CORRUPTIONS:
        assert f">{corruption}<" in drawing.svg


def test_tables_hold_what_is_left_and_what_is_lost(methods):
    columns, rows = absence_table(methods, "absent_modality")
    assert columns == ["method", "all", "no acc", "loss", "no gyr", "loss"]
    assert rows[1] == ["dcdp", *map(pytest.approx, (0.9, 0.86, 0.04, 0.88, 0.02))]
    assert absence_table(methods, "absent_placement") == (["method", "all"], [])
    columns, rows = loss_table(methods)
    assert columns == ["corruption", "forest", "dcdp", "<b>"]
    assert dict(zip(columns, rows[0], strict=True)) == {
        "corruption": "noise", "forest": pytest.approx(0.25), "dcdp": pytest.approx(0.05), "<b>": pytest.approx(0.125),
    }  # fmt: skip


def test_without_corruptions_there_are_no_curves():
    only = endurance_of([result("dcdp", 0.9, 0.02, kinds=())])
    assert draw_curves("x", only, looks_of(["dcdp"], "dcdp")) is None
    assert loss_table(only)[1] == []


def test_all_panels_have_one_scale(methods, monkeypatch):
    limits = []
    dress = robustness.dress
    monkeypatch.setattr(robustness, "dress", lambda axes, *a, **k: (limits.append(axes), dress(axes, *a, **k))[1])
    draw_curves("x", methods, looks_of([one.method for one in methods], "dcdp"))
    ranges = {axes.get_ylim() for axes in limits}
    assert len(limits) == len(CORRUPTIONS)
    assert len(ranges) == 1
    ((low, high),) = ranges
    assert low < 0.4 < 0.9 < high  # from the forest under the worst noise to dcdp undisturbed


def test_the_page_says_what_was_met_in_training_and_writes_true_minus_signs(tmp_path, methods):
    page = write_robustness(tmp_path / "page.html", methods).read_text()
    assert "none saw them in training" not in page
    assert "dcdp hides branches and placements from some windows" in page
    assert re.search(r'<td class="n">\N{MINUS SIGN}0\.\d{3} to \N{MINUS SIGN}0\.\d{3}</td>', page)
