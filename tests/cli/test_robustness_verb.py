"""dcdp robustness: refuses what does not fit before anything slow, and prints what was found."""

import pytest

from dcdp.cli import main
from dcdp.cli.robustness import _print
from dcdp.evaluation import endurance_of


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "a run must have a result.json: got no file 'nowhere/result.json'"),
        (["nowhere", "--out", "x"], "a run folder keeps its own results: got --out or --only"),
        (["nowhere", "--corruptions", "nois"], "corruption must be one of"),
        (["grid.toml"], "grid.toml"),
        (["grid.toml", "--workers", "0"], "workers must be 1 or more: got 0"),
        (["grid.toml", "--corruptions", "noise"], "a grid meets every corruption: got --corruptions noise"),
    ],
)
def test_what_does_not_fit_is_one_plain_line(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["robustness", *words]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert message in said.err
    assert not list(tmp_path.iterdir())


def test_the_tables_hold_every_method_and_the_verdict(capsys):
    def result(method, clean, left):
        def scores(value):
            return {"macro_f1": {"by_subject": {"a": value, "b": value}}}

        return {"data": "hapt", "split": {"name": "arena"}, "method": method, "seed": 0, "test": scores(clean),
                "robustness": {"absent_modality": {"gyr": scores(left)}, "noise": {"0.5": scores(left)}}}  # fmt: skip

    _print(endurance_of([result("dcdp", 0.9, 0.88), result("forest", 0.8, 0.7)]))
    said = capsys.readouterr().out
    assert "hapt, arena: macro-F1 with one modality absent" in said
    assert "0.8800" in said
    assert "without gyr dcdp loses 0.020, forest 0.100: 0.20 times as much, less than half" in said
    assert "loss of macro-F1, mean over the severities" in said
