import datetime
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from dcdp.errors import ConfigError, MissingError, SplitError
from dcdp.evaluation import PUBLISHED, Ranking, overall, read_method_results, standings
from dcdp.reports.benchmark import draw_benchmark, write_benchmark_report
from dcdp.reports.benchmark_costs import Cost, costs_of
from dcdp.reports.benchmark_plots import by_mean, draw_activities, draw_means, looks_of
from dcdp.reports.benchmark_ranks import draw_costs, draw_ranks

DAY = datetime.date(2026, 11, 26)


@pytest.fixture(scope="module")
def bench(made_up, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    methods = ("dcdp", "forest", "minirocket", "mlp_mixer@ours")
    return made_up.make_benchmark(folder, sets=("dsads", "hapt"), methods=methods, robust=True)


@pytest.fixture(scope="module")
def page(bench, tmp_path_factory):
    out = tmp_path_factory.mktemp("page") / "benchmark.html"
    assert write_benchmark_report(bench, out, title="Arena", made=DAY) == out
    return out.read_text(encoding="utf-8")


class Text(HTMLParser):
    """The page as a reader sees it, and every table row."""

    def __init__(self, page):
        super().__init__()
        self.rows, self.inside = [], False
        self.feed(page)

    def handle_starttag(self, tag, _):
        self.inside = tag in ("td", "th") or (self.inside and tag not in ("tr", "table"))
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th") and self.rows:
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        self.inside = self.inside and tag not in ("td", "th")

    def handle_data(self, data):
        if self.inside:
            self.rows[-1][-1] += data


def test_the_tables_hold_the_figures_of_the_standings(bench, page):
    rows = {(place, row[0]): row for place, row in enumerate(Text(page).rows) if row}
    for table in standings(read_method_results(bench)):
        for own in table.rows:
            shown = [
                row for row in rows.values() if row[0] == own.method and f"{own.mean:.3f} ± {own.spread:.3f}" in row[2]
            ]
            assert len(shown) == 1
            assert shown[0][1] == "0, 1"
            assert shown[0][3] == f"{own.interval[0]:.3f} to {own.interval[1]:.3f}"
            assert shown[0][4] == f"{own.by_group:.3f}"
            if own.difference is not None:
                assert shown[0][5] == f"{own.difference.mean_difference:+.3f}".replace("-", "\N{MINUS SIGN}")
                assert shown[0][8] == own.difference.verdict


def test_the_published_best_stands_beside_results_of_its_folds_alone(made_up, tmp_path, monkeypatch):
    made_up.make_benchmark(tmp_path, sets=("hapt",), methods=("dcdp", "forest"), seeds=(0,))
    shown = []
    for n_folds in (4, 10):
        monkeypatch.setitem(PUBLISHED, ("hapt", "arena"), replace(PUBLISHED["hapt", "arena"], n_folds=n_folds))
        shown.append(write_benchmark_report(tmp_path, tmp_path / "x.html").read_text(encoding="utf-8"))
    assert ["published best: CNN-HAR" in text for text in shown] == [True, False]


def test_the_summary_counts_verdicts_as_the_baseline_sees_them(bench, page):
    rows = [row for table in standings(read_method_results(bench)) for row in table.rows if row.difference]
    verdicts = [row.difference.verdict for row in rows]
    assert f"ahead {verdicts.count('behind')}<" in page
    assert f"tie {verdicts.count('tie')}<" in page
    assert verdicts.count("behind") > 0
    small = sum(row.difference.verdict == "behind" and row.p_holm <= 0.05 for row in rows)
    assert f"Once corrected, p is .05 or less in {small} of {verdicts.count('behind')} ahead and in 0 of" in page
    assert small > 0


def test_the_summary_says_that_no_verdict_of_few_people_is_proven(made_up, tmp_path):
    made_up.make_benchmark(tmp_path, sets=("dsads",), seeds=(0,))
    for name in ("x", "y"):  # seven comparisons of eight people
        made_up.write_cell(tmp_path, made_up.make_cell("dsads", "mlp_mixer@ours") | {"method": name})
    text = write_benchmark_report(tmp_path, tmp_path / "x.html").read_text(encoding="utf-8")
    assert re.search(r"p is \.05 or less in 0 of [1-9] ahead", text)


def test_the_page_needs_nothing_from_outside(page):
    assert re.findall(r'(?:src|href)="(?!#|data:)[^"]*"', page) == []
    assert "<script" not in page
    assert "@import" not in page
    assert "url(http" not in page


def test_every_figure_is_there_once_and_well_formed(bench, page):
    results = read_method_results(bench)
    tables = standings(results)
    drawings = draw_benchmark(results, tables, looks_of(by_mean(tables), "dcdp"))
    assert set(drawings) == {"means", "ranks-sets", "ranks-people", "costs"} | {
        f"{kind}-{data}, arena" for kind in ("people", "activities", "robustness") for data in ("dsads", "hapt")
    }
    for drawing in drawings.values():
        ElementTree.fromstring(drawing.svg[drawing.svg.index("<svg") :])
        assert page.count(drawing.inline) == 1
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert sorted(ids) == sorted(set(ids))  # a clash would show one figure's marks in another


def test_each_person_is_a_row_and_each_method_a_dot(bench, page):
    for one in read_method_results(bench):
        if one.data == "hapt" and one.method == "forest" and one.seed == 0:
            other = next(c for c in read_method_results(bench) if (c.data, c.method, c.seed) == ("hapt", "forest", 1))
            for person, value in one.by_subject.items():
                assert f"{person}: forest {(value + other.by_subject[person]) / 2:.3f}" in page


def test_absent_sensors_are_a_table_of_what_is_left_and_lost(bench, page):
    row = next(row for row in Text(page).rows if row[:1] == ["gyr"])
    own = [one for one in read_method_results(bench) if (one.data, one.method) == ("dsads", "dcdp")]
    left = sum(sum(one.by_subject.values()) / len(one.by_subject) for one in own) / 2 - 0.07
    assert row[1] == f"{left:.3f} (\N{MINUS SIGN}0.070)"


def test_same_files_give_the_same_bytes(bench, page, tmp_path):
    again = write_benchmark_report(bench, tmp_path / "again.html", title="Arena", made=DAY)
    assert again.read_text(encoding="utf-8") == page


def test_names_from_files_are_escaped(made_up, tmp_path):
    for method in ("dcdp", "<b>bold</b>"):
        one = made_up.make_cell("hapt", "dcdp") | {"method": method}
        one["labels"][0] = "<i>walking</i>"
        one["test"]["per_class_f1"]["<i>walking</i>"] = 0.5
        (tmp_path / f"{len(method)}-s0.json").write_text(json.dumps(one))
    text = write_benchmark_report(tmp_path, tmp_path / "x.html").read_text(encoding="utf-8")
    assert "<b>bold" not in text
    assert "<i>" not in text
    assert "&lt;b&gt;bold&lt;/b&gt;" in text


def test_what_the_results_lack_is_left_out(made_up, tmp_path):
    one = made_up.make_cell("hapt", "forest", cost=False)
    one["training"] = {name: {"epochs": 0, "best_epoch": 0, "steps": 0} for name in one["training"]}
    path = made_up.write_cell(tmp_path, one)
    text = write_benchmark_report([path], tmp_path / "x.html", made=DAY).read_text(encoding="utf-8")
    assert "Macro-F1 of forest" in text  # the baseline where dcdp was not run
    for section in ("ranks", "cost", "robustness", "training"):
        assert f'id="{section}"' not in text


def test_settings_that_differ_from_the_baselines_are_named(made_up, tmp_path):
    made_up.make_benchmark(tmp_path, sets=("hapt",), methods=("dcdp",))
    changed = made_up.make_cell("hapt", "forest")
    changed["config"]["training"]["epochs"] = 7
    made_up.write_cell(tmp_path, changed)
    text = write_benchmark_report(tmp_path, tmp_path / "x.html").read_text(encoding="utf-8")
    assert "<code>training.epochs = 7</code>" in text
    assert text.count("<code>training.") == 1
    assert str(tmp_path) not in text
    assert "dcdp/s0.json" in text


def test_files_may_be_given_from_the_root_and_from_here(made_up, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one, other = (made_up.write_cell(Path("here"), made_up.make_cell("hapt", name)) for name in ("dcdp", "forest"))
    text = write_benchmark_report([one, other.resolve()], Path("x.html")).read_text(encoding="utf-8")
    files = [cell for row in Text(text).rows for cell in row if cell.endswith(".json")]
    assert files == ["dcdp/s0.json", "forest/s0.json"]


def test_validation_curves_are_read_from_beside_a_run(made_up, tmp_path):
    run = tmp_path / "run"
    for fold in ("s01+s05+s09", "s02+s06+s10"):
        (run / "folds" / fold).mkdir(parents=True)
        lines = [{"kind": "epoch", "epoch": e, "validation": {"macro_f1": 0.5 + 0.1 * e}} for e in range(4)]
        (run / "folds" / fold / "history.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (run / "result.json").write_text(json.dumps(made_up.make_cell("hapt", "dcdp")))
    text = write_benchmark_report([run], tmp_path / "x.html").read_text(encoding="utf-8")
    assert 'id="training"' in text
    assert "dcdp: mean of 2 trainings" in text


def test_a_split_by_session_claims_no_new_people(made_up, tmp_path):
    one = made_up.make_cell("hapt", "dcdp")
    one["leak_audit"]["folds"]["s01+s05+s09"]["shared_people"] = ["s01"]
    text = write_benchmark_report([made_up.write_cell(tmp_path, one)], tmp_path / "x.html").read_text(encoding="utf-8")
    assert "On hapt the split is by session" in text
    assert "on whom it was not trained" not in text


def test_two_splits_of_one_set_are_two_tables(made_up, tmp_path):
    made_up.make_benchmark(tmp_path, sets=("hapt",), methods=("dcdp", "forest"), seeds=(0,))
    for method in ("dcdp", "forest"):
        one = made_up.make_cell("hapt", method)
        one["split"]["name"] = "official"
        made_up.write_cell(tmp_path, one)
    text = write_benchmark_report(tmp_path, tmp_path / "x.html").read_text(encoding="utf-8")
    assert "Table 1. hapt, arena" in text
    assert "Table 2. hapt, official" in text


def test_what_cannot_be_compared_is_refused_before_anything_is_written(made_up, tmp_path):
    out = tmp_path / "x.html"
    with pytest.raises(MissingError, match="a folder must hold results"):
        write_benchmark_report(tmp_path, out)
    made_up.make_benchmark(tmp_path, sets=("hapt",), methods=("dcdp", "forest"), seeds=(0,))
    with pytest.raises(ConfigError, match="Did you mean 'forest'"):
        write_benchmark_report(tmp_path, out, baseline="forst")
    odd = made_up.make_cell("hapt", "forest", 1)
    odd["leak_audit"]["passed"] = False
    made_up.write_cell(tmp_path, odd)
    with pytest.raises(SplitError, match="must have passed its leak audit"):
        write_benchmark_report(tmp_path, out)
    assert not out.exists()


def test_forty_methods_have_forty_looks():
    names = [f"m{place}" for place in range(40)]
    looks = looks_of(names, "m7")
    assert next(iter(looks)) == "m7"
    assert len({(look.colour, look.marker, look.is_baseline) for look in looks.values()}) == 40
    assert [name for name, look in looks.items() if look.is_baseline] == ["m7"]


def test_the_rank_diagram_names_who_cannot_be_told_apart(bench):
    ranks = overall(standings(read_method_results(bench))).by_subject
    assert isinstance(ranks, Ranking)
    drawing = draw_ranks("people", ranks, looks_of(ranks.methods, "dcdp"))
    assert f"critical difference {ranks.critical_difference:.2f}" in drawing.svg
    assert re.findall(r"<title>cannot be told apart: ([^<]+)", drawing.svg) == [", ".join(g) for g in ranks.groups]
    for method, rank in zip(ranks.methods, ranks.mean_ranks, strict=True):
        assert f"<title>{method}: mean rank {rank:.2f}" in drawing.svg


def test_a_cost_of_another_machine_is_hollow_and_says_where_it_was_measured(made_up, tmp_path):
    made_up.make_benchmark(tmp_path, sets=("hapt",), methods=("dcdp", "forest", "minirocket"), seeds=(0,))
    one = made_up.write_cell(tmp_path, made_up.make_cell("hapt", "forest"))
    alone = write_benchmark_report(tmp_path, tmp_path / "one.html").read_text(encoding="utf-8")
    assert "<th>machine</th>" not in alone
    assert "Hollow" not in alone
    result = json.loads(one.read_text())
    result["machine"] |= {"processor": "another", "device": "cuda"}
    one.write_text(json.dumps(result))
    text = write_benchmark_report(tmp_path, tmp_path / "two.html").read_text(encoding="utf-8")
    assert "Hollow: measured on another machine than dcdp, not to be compared in time." in text
    rows = {row[0]: row for row in Text(text).rows if len(row) > 1 and row[1] in ("another, cuda", "made-up, cpu")}
    assert {name: row[1] for name, row in rows.items()} == {
        "dcdp": "made-up, cpu", "forest": "another, cuda", "minirocket": "made-up, cpu",
    }  # fmt: skip


def test_dots_of_another_machine_are_hollow_and_all_others_filled(bench):
    tables = standings(read_method_results(bench))
    looks = looks_of(by_mean(tables), "dcdp")

    def filled(method, elsewhere=()):
        rows = [(table.data, table.split, row.method) for table in tables for row in table.rows]
        costs = {key: Cost({"latency_ms": 1.0}, "any", key[2] not in elsewhere) for key in rows}
        svg = draw_costs(tables, costs, looks).svg
        dot = re.search(rf"<title>{method}: .*?<use [^>]*?/>", svg, flags=re.DOTALL)
        return f"fill: {looks[method].colour}" in dot[0]

    assert [filled(method) for method in ("dcdp", "minirocket", "forest")] == [True, False, False]
    told = [filled(method, ["forest"]) for method in ("dcdp", "minirocket", "forest")]
    assert told == [True, True, False]


def test_times_of_two_machines_are_never_averaged(made_up, tmp_path):
    for method, seed, device, seconds in (
        ("dcdp", 0, "cpu", 10.0), ("forest", 0, "cuda", 1.0), ("forest", 1, "cpu", 20.0),
        ("minirocket", 0, "cuda", 3.0), ("minirocket", 1, "other", 5.0),
    ):  # fmt: skip
        one = made_up.make_cell("hapt", method, seed)
        one["machine"]["device"] = device
        one["cost"]["train_seconds"] = seconds
        made_up.write_cell(tmp_path, one)
    costs = costs_of(read_method_results(tmp_path), "dcdp")
    told = {key[2]: (cost.spent["train_seconds"], cost.machine, cost.is_at_home) for key, cost in costs.items()}
    assert told == {
        "dcdp": (10.0, "made-up, cpu", True),
        "forest": (20.0, "made-up, cpu", True),
        "minirocket": (3.0, "made-up, cuda", False),
    }


def test_only_settings_that_both_have_are_listed(made_up, tmp_path):
    for method, network in (("dcdp", {"width": 64, "kernel": 5}), ("forest", {})):
        one = made_up.make_cell("hapt", method)
        one["config"]["network"] = network
        one["config"]["training"]["epochs"] = {"dcdp": 20, "forest": 5}[method]
        made_up.write_cell(tmp_path, one)
    row = next(
        row for row in Text(write_benchmark_report(tmp_path, tmp_path / "x.html").read_text(encoding="utf-8")).rows
        if row[:2] == ["forest", "0"] and row[2].endswith(".json")
    )  # fmt: skip
    assert row[3] == "training.epochs = 5; none of the further network settings"


def test_the_page_says_what_each_method_met_in_training(made_up, tmp_path):
    for method in ("dcdp", "forest"):
        one = made_up.make_cell("hapt", method, robust=True)
        one["config"] |= {"network": {"branch_dropout": 0.1}, "augment": {"rotation_deg": 10.0}}
        made_up.write_cell(tmp_path, one)
    text = write_benchmark_report(tmp_path, tmp_path / "x.html").read_text(encoding="utf-8")
    assert "none saw them in training" not in text
    assert "dcdp learned with 10 % of branches hidden and sensors turned by angles" in text
    assert "forest learned from undisturbed windows" in text


def test_names_that_cannot_be_drawn_are_replaced(made_up, tmp_path):
    for method in ("dcdp", "forest"):
        one = made_up.make_cell("hapt", method, robust=True)
        one["data"] = "ha\ud800pt"
        one["split"]["name"] = "\u202earena\u2069"
        (tmp_path / f"{method}-s0.json").write_text(json.dumps(one))
    text = write_benchmark_report(tmp_path, tmp_path / "x.html").read_text(encoding="utf-8")
    assert "ha\ufffdpt, \ufffdarena\ufffd" in text
    assert not set(text) & set("\u202e\u2069")


def test_a_narrow_cell_has_no_number(bench):
    (table, *_) = standings(read_method_results(bench))
    for n_methods, numbers in ((4, 4), (40, 0)):
        rows = [replace(table.rows[0], method=f"m{place}") for place in range(n_methods)]
        f1 = {row.method: {"sitting": 0.875} for row in rows}
        svg = draw_activities(replace(table, rows=tuple(rows)), ["sitting"], f1).svg
        assert len(re.findall(r"<text[^>]*>\.875</text>", svg)) == numbers
        assert svg.count("F1 0.875</title>") == n_methods + numbers


def test_a_mean_without_a_score_by_group_is_drawn(bench):
    tables = [replace(table, rows=tuple(replace(row, by_group=None) for row in table.rows), published=None)
              for table in standings(read_method_results(bench))]  # fmt: skip
    svg = draw_means(tables, looks_of(by_mean(tables), "dcdp")).svg
    assert "by group" not in svg
    assert f"<title>dcdp: {tables[0].rows[0].mean:.3f} by subject" in svg


@pytest.mark.parametrize(("high", "expected"), [
    (30.0, ["2", "5", "10", "20"]), (150.0, ["2", "5", "10", "20", "50", "100", "200"]),
    (5000.0, ["10", "100", "1 k"]),
])  # fmt: skip
def test_a_cost_axis_has_several_ticks(bench, high, expected):
    (table, *_) = standings(read_method_results(bench))
    costs = {(table.data, table.split, row.method): Cost({"latency_ms": 2.5}, "any", True) for row in table.rows}
    costs[table.data, table.split, "dcdp"] = Cost({"latency_ms": high}, "any", True)
    svg = draw_costs([table], costs, looks_of(by_mean([table]), "dcdp")).svg
    assert [text for text in re.findall(r"<text[^>]*>([^<]+)</text>", svg) if text in expected] == expected


def test_a_method_stands_on_one_line_with_its_whole_name_at_hand(page):
    names = re.findall(r'<span class="named" title="([^"]+)"><span class="swatch"[^>]*></span>([^<]+)</span>', page)
    assert {"dcdp", "mlp_mixer@ours"} <= {name for name, _ in names}
    assert all(title == name for title, name in names)
