"""``dcdp compare``: what it prints, what it refuses, and what it never loads."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from dcdp.cli import main
from dcdp.evaluation import PUBLISHED

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def bench(made_up, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for key, best in PUBLISHED.items():
        monkeypatch.setitem(PUBLISHED, key, replace(best, n_folds=4))  # as many as the made-up results have
    return made_up.make_benchmark(tmp_path / "bench", methods=("dcdp", "forest", "mlp_mixer@ours")).relative_to(
        tmp_path
    )


def said(capsys, *words):
    assert main(["compare", *map(str, words)]) == 0
    return capsys.readouterr().out


def refused(capsys, *words):
    assert main(["compare", *map(str, words)]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    return shown.err


def test_a_table_for_each_set_and_the_mean_ranks(bench, capsys):
    shown = said(capsys, bench)
    blocks = {text.splitlines()[0].split(",")[0]: text for text in shown.split("\n\n") if ": macro-F1 on" in text}
    assert list(blocks) == ["dsads", "hapt", "uschad"]
    assert "hapt, arena: macro-F1 on 12 test people, 4 folds" in shown
    rows = {line.split()[0]: line for line in blocks["hapt"].splitlines()[2:]}
    assert list(rows) == ["dcdp", "forest", "mlp_mixer@ours"]
    assert rows["dcdp"].split()[:3] == ["dcdp", "0,", "1"]
    assert rows["mlp_mixer@ours"].rstrip().endswith("behind")
    assert "published best, by group: 0.8480 (CNN-HAR" in shown
    assert "mean rank (1 is best)" in shown
    assert "over sets: Friedman p 0.050; mean ranks closer than 1.91 cannot be told apart (Nemenyi, 5 %)" in shown
    assert shown.rstrip().splitlines()[-1].startswith("over people: ")
    assert "this p is too small: read the order, not the p." in shown.rstrip().splitlines()[-1]


def without(folder, method, table):
    """Write into a method's results what is left of each person without each branch."""
    for path in folder.glob(f"hapt-arena/{method}/s*.json"):
        result = json.loads(path.read_text())
        people = result["test"]["macro_f1"]["by_subject"]
        result["test"]["absent"] = {
            branch: {"macro_f1": left, "by_subject": dict.fromkeys(people, left), "loss": 0.1}
            for branch, left in table.items()
        }
        path.write_text(json.dumps(result))


def test_absent_compares_what_is_left_without_a_branch(bench, capsys):
    hapt = bench / "hapt-arena"
    without(bench, "dcdp", {"acc": 0.5, "gyr": 0.7})
    without(bench, "forest", {"acc": 0.25, "gyr": 0.75})
    both = hapt / "dcdp", hapt / "forest"
    (table,) = json.loads(said(capsys, *both, "--absent", "gyr", "--json"))["tables"]
    assert [(row["method"], round(row["mean"], 9)) for row in table["rows"]] == [("forest", 0.75), ("dcdp", 0.7)]
    assert table["published"] is None
    assert [row["by_group"] for row in table["rows"]] == [None, None]
    shown = said(capsys, *both, "--absent", "any")
    assert "macro-F1 on 12 test people, 4 folds, one branch absent (mean)" in shown
    assert "forest  0, 1   0.500 ± 0.000" in shown
    assert "-0.100      [-0.100, -0.100]" in shown


def test_absent_refuses_what_no_result_tells(bench, capsys):
    assert "without each branch" in refused(capsys, bench / "hapt-arena", "--absent", "any")
    without(bench, "dcdp", {"acc": 0.5, "gyr": 0.7})
    error = refused(capsys, bench / "hapt-arena" / "dcdp", "--absent", "mag")
    assert "which tells ['acc', 'gyr']" in error
    assert "--absent acc" in refused(capsys, bench / "hapt-arena" / "dcdp", "--absent", "acc", "--html", "page.html")


def test_json_is_what_the_tables_show(bench, capsys):
    found = json.loads(said(capsys, bench, "--json", "--baseline", "forest"))
    assert [table["data"] for table in found["tables"]] == ["dsads", "hapt", "uschad"]
    row = found["tables"][1]["rows"][0]
    assert row["method"] == "dcdp"
    assert row["difference"]["verdict"] == "ahead"
    assert row["mean"] == pytest.approx(sum(row["by_subject"].values()) / 12)
    assert found["ranks"]["by_set"]["methods"][0] == "dcdp"


def test_two_runs_of_one_method_are_told_apart_by_name(made_up, tmp_path, capsys):
    for name, epochs in (("a", 20), ("b", 5)):
        one = made_up.make_cell("hapt", "dcdp", 0 if name == "a" else 1)
        one["config"]["training"]["epochs"] = epochs
        (tmp_path / name).mkdir()
        (tmp_path / name / "result.json").write_text(json.dumps(one))
    a, b = tmp_path / "a", tmp_path / "b"
    assert "every seed of dcdp must have one configuration" in refused(capsys, a, b)
    shown = said(capsys, f"long={a}", f"short={b}", "--baseline", "short")
    assert "minus short" in shown
    assert {line.split()[0] for line in shown.splitlines()[2:4]} == {"long", "short"}


def test_html_is_written_beside_the_tables(bench, capsys, tmp_path):
    shown = said(capsys, bench / "hapt-arena", "--html", tmp_path / "page.html")
    assert shown.splitlines()[-1] == f"report  {tmp_path / 'page.html'}"
    assert "<svg" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_other_splits_are_refused_with_both_files(made_up, bench, capsys):
    other = made_up.make_cell("hapt", "lightgbm")
    other["split"]["folds"][0]["train"].pop()
    path = made_up.write_cell(bench, other)
    error = refused(capsys, bench)
    assert "fold s01+s05+s09, train 's03, s04, s07, s08, s11, s12' in 'bench/hapt-arena/dcdp/s0.json'" in error
    assert f"'s03, s04, s07, s08, s11' in '{path}'" in error
    assert "dcdp, forest" not in error


def test_two_splits_of_one_set_need_a_choice(made_up, bench, capsys):
    other = made_up.make_cell("hapt", "dcdp")
    other["split"]["name"] = "official"
    made_up.write_cell(bench, other)
    assert "results of hapt must come from one split" in refused(capsys, bench)
    assert "hapt, arena" in said(capsys, bench, "--split", "arena")
    assert "got 'loso'. There are results of arena, official." in refused(capsys, bench, "--split", "loso")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "there must be a result to compare: got none"),
        (["nothing"], "no file or folder 'nothing'"),
        (["new="], "a result must have a path: got 'new='. Give PATH or NAME=PATH."),
        ([""], "a result must have a path: got ''."),
        (["bench", "--baseline", "dcpd"], "Did you mean 'dcdp'?"),
        (["bench", "--basline", "dcdp"], "basline"),
    ],
)
@pytest.mark.usefixtures("bench")
def test_bad_input_is_answered_in_one_line(words, message, capsys):
    assert message in refused(capsys, *words)


def test_partial_results_are_shown_when_asked_for(made_up, bench, capsys):
    made_up.write_cell(bench, made_up.make_cell("hapt", "minirocket", n_folds=2))
    assert "--partial" in refused(capsys, bench)
    shown = said(capsys, bench, "--partial")
    assert "minirocket: tested on 2 of 4 folds" in shown
    assert "minirocket has no rank: not run on dsads, hapt, uschad, or not on all folds." in shown


def test_one_fold_is_no_folds(made_up, bench, capsys):
    made_up.write_cell(bench, made_up.make_cell("hapt", "minirocket", n_folds=1))
    assert "0 (1 fold) " in said(capsys, bench / "hapt-arena", "--partial")


def test_it_needs_no_torch(bench):
    code = f"import sys\nfrom dcdp.cli import main\nmain(['compare', '{bench}'])\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(done.stdout.splitlines()[-1].split()) & {"torch", "polars", "sklearn", "matplotlib"}


def test_the_documentation_shows_what_it_prints(capsys, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    page = (REPOSITORY / "docs" / "compare.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"^```text\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    files = sorted(Path("results").glob("hapt-official-s*.json"))
    assert [line.rstrip() for line in said(capsys, *files).strip().splitlines()] == shown.splitlines()
    (example,) = re.findall(r"^```python\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    exec(compile(example, "compare.md", "exec"), {})  # our own text, read from this repository
    assert capsys.readouterr().out == "dcdp tie\n"
