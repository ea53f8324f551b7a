from __future__ import annotations

import json
import subprocess
import sys
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest

import dcdp.evaluation
from dcdp.errors import FormatError, MissingError
from dcdp.evaluation import (
    absent_table,
    alignment_table,
    assemble_result,
    environment,
    pool_folds,
    read_result,
    score,
    score_branches,
    write_result,
)

LABELS, BRANCHES = ("sit", "walk"), ("acc", "gyr")


def made_fold(subject):
    generator = np.random.default_rng(0)
    label, present = np.tile([0, 1], 5), np.ones((10, 2), bool)
    probability, names = generator.dirichlet(np.ones(2), size=10), np.full(10, subject)
    heads = generator.dirichlet(np.ones(2), size=(10, 2))
    scores = score(label, probability, names, LABELS)
    scores["by_branch"] = score_branches(label, heads, present, names, BRANCHES)
    scores["alignment"] = alignment_table([generator.normal(size=(10, 2, 4))], present, label)
    return scores | absent_table(lambda _: probability, label, names, BRANCHES)


@pytest.fixture
def parts():
    test = pool_folds({"s1": made_fold("s1"), "s2": made_fold("s2")}, LABELS)
    fold = {"fold": "s1", "train": ("s3",), "validation": ("s4",), "test": ("s1",)}
    return {
        "data": "hapt",
        "method": "dcdp",
        "seed": np.int64(0),
        "split": {"name": "arena", "folds": [fold, fold | {"fold": "s2", "test": ("s2",)}]},
        "leak_audit": {"passed": True, "folds": {"s1": {}, "s2": {}}},
        "config": {"training": {"lr": 1e-3}},
        "seconds": {"total": 2.0, "train": np.float32(1.5), "evaluate": 0.5},
        "labels": LABELS,
        "null_label": None,
        "branches": BRANCHES,
        "test": test,
        "validation": {"s1": {"macro_f1": 0.5}},
        "training": {"s1": {"epochs": 3, "best_epoch": 1, "steps": 30}},
        "peers": {"forest": {"macro_f1": test["macro_f1"], "seconds": 1.0}},
    }


def test_result_survives_the_disk(tmp_path, parts):
    result = assemble_result(parts)
    write_result(tmp_path / "run" / "result.json", result)
    assert read_result(tmp_path / "run" / "result.json") == result
    assert result["format"] == 1
    assert result["seed"] == 0
    assert result["labels"] == ["sit", "walk"]
    assert result["versions"]["numpy"] == np.__version__


def with_change(result, path, value):
    changed = deepcopy(result)
    *parents, last = path.split(".")
    place = changed
    for key in parents:
        place = place[int(key)] if isinstance(place, list) else place[key]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return changed


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("data", None, "a result must have 'data'"),
        ("test.macro_f1.by_fold", None, r"a result must have 'test.macro_f1.by_fold'"),
        ("test.macro_f1.mean", "0.9", r"'test.macro_f1.mean' must be int or float: got str '0.9'"),
        ("test.macro_f1.mean", 0.99, "'test.macro_f1.mean' must be the mean over subjects"),
        ("test.macro_f1.by_subject", {}, "must name test subjects of the split"),
        ("test.accuracy.by_subject.s1", 85.3, "'test.accuracy.by_subject' must hold shares from 0 to 1: got 85.3"),
        ("test.macro_f1.by_fold", {}, "'test.macro_f1.by_fold' must hold shares from 0 to 1: got none"),
        ("peers.forest.macro_f1.by_subject.s1", -0.1, "'peers.forest.macro_f1.by_subject' must hold shares"),
        ("peers.forest.macro_f1.by_fold", None, "a result must have 'peers.forest.macro_f1.by_fold'"),
        ("peers.forest.macro_f1.mean", 0.99, "'peers.forest.macro_f1.mean' must be the mean over subjects"),
        ("peers.forest.accuracy", {"mean": 0.5}, "a result must have 'peers.forest.accuracy.std'"),
        ("peers.forest.per_class_f1", [0.5], "'peers.forest.per_class_f1' must be dict: got list"),
        ("peers.forest.confusion", [[1, 2]], "'peers.forest.confusion' must be 2 x 2"),
        ("test.confusion", [[-1, 2], [1, 2]], "must not be negative: got -1"),
        ("labels", ["sit", "sit"], "labels must differ"),
        ("cost", {"parameters": 10**400, "bytes": 1, "train_seconds": 1, "train_windows_per_s": 1,
                  "windows_per_s": 1, "latency_ms": 1}, "must be finite: got 1000.* at 'cost.parameters'"),
        ("robustness", {"noise": {"0.1": 3}}, "'robustness.noise.0.1' must be dict: got int"),
        ("robustness", {"noise": []}, "'robustness.noise' must be dict"),
        ("training.s1.windows_per_s", "fast", "'training.s1.windows_per_s' must be int or float or NoneType"),
        ("leak_audit.folds.s1.n_windows", [1], "'leak_audit.folds.s1.n_windows' must be dict"),
        ("test.macro_f1.by_subject.s3", 0.5, "must name test subjects of the split"),
        ("test.accuracy.std", float("nan"), "must be finite: got nan at 'test.accuracy.std'"),
        ("config.rate", float("inf"), "must be finite: got inf at 'config.rate'"),
        ("test.confusion", [[1, 2]], "'test.confusion' must be 2 x 2"),
        ("test.confusion", [[1.5, 2], [1, 2]], r"'test.confusion\[0\]\[0\]' must be int"),
        ("split.folds.0.test", "s1", r"'split.folds\[0\].test' must be list"),
        ("leak_audit.passed", 1, "'leak_audit.passed' must be bool"),
        ("seed", True, "'seed' must be int: got bool"),
        ("test.absent.acc", {"macro_f1": 0.5}, "a result must have 'test.absent.acc.loss'"),
        ("labels.0", 7, r"'labels\[0\]' must be str"),
    ],
)
def test_wrong_result_is_not_written(tmp_path, parts, path, value, message):
    if path == "labels.0":
        changed = assemble_result(parts) | {"labels": [7, "walk"]}
    else:
        changed = with_change(assemble_result(parts), path, value)
    with pytest.raises(FormatError, match=message):
        write_result(tmp_path / "result.json", changed)
    assert list(tmp_path.iterdir()) == []


def test_assembling_checks_too(parts):
    del parts["leak_audit"]
    with pytest.raises(FormatError, match="a result must have 'leak_audit'"):
        assemble_result(parts)


def test_file_that_is_no_result_is_refused(tmp_path, parts):
    path = tmp_path / "result.json"
    with pytest.raises(MissingError, match="Give the folder of a finished run"):
        read_result(path)
    path.write_text("{")
    with pytest.raises(FormatError, match="a result must be JSON"):
        read_result(path)
    path.write_text("[" * 100_000)
    with pytest.raises(FormatError, match="a result must be JSON"):
        read_result(path)
    path.write_text("[]")
    with pytest.raises(FormatError, match="must have format 1: got list"):
        read_result(path)
    path.write_text(json.dumps(assemble_result(parts) | {"format": 2}))
    with pytest.raises(FormatError, match="must have format 1: got 2"):
        read_result(path)


def test_a_wrong_result_among_many_is_named(tmp_path, parts):
    path = tmp_path / "s0.json"
    path.write_text(json.dumps(with_change(assemble_result(parts), "data", None)))
    with pytest.raises(FormatError, match=r"a result must have 'data': got .* in '.*s0\.json'"):
        read_result(path)


def test_environment_names_versions_and_machine():
    found = environment(device="cuda:0")
    assert found["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["versions"]["dcdp"] == dcdp.__version__
    assert found["machine"]["cores"] >= 1
    assert found["machine"]["processor"]
    assert found["machine"]["device"] == "cuda:0"


def test_evaluation_needs_neither_torch_nor_scipy_to_be_imported():
    program = (
        "import sys, dcdp.evaluation; dcdp.evaluation.environment();"
        "print([name for name in ('torch', 'scipy', 'sklearn') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_public_names_are_sorted_and_exist():
    assert dcdp.evaluation.__all__ == sorted(
        dcdp.evaluation.__all__, key=lambda name: (not name.isupper(), not name[0].isupper(), name)
    )
    assert all(hasattr(dcdp.evaluation, name) for name in dcdp.evaluation.__all__)
    assert Path(dcdp.evaluation.__file__).name == "__init__.py"
