from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from dcdp.errors import DataError
from dcdp.evaluation import (
    expected_calibration_error,
    pool_folds,
    reliability_table,
    score,
    score_branches,
    subject_macro_f1,
)

LABELS = ("lie", "sit", "walk")


def made_windows(subjects, seed=0, n_each=30):
    generator = np.random.default_rng(seed)
    subject = np.repeat(subjects, n_each)
    generator.shuffle(subject)
    label = generator.integers(3, size=len(subject))
    probability = generator.dirichlet(np.ones(3), size=len(subject)) + np.eye(3)[label] * 0.4
    return label, probability / probability.sum(axis=1, keepdims=True), subject


def test_mean_is_over_subjects_and_not_over_windows():
    label, probability, subject = made_windows(["s1", "s2", "s2"])  # s2 has twice the windows
    scores = score(label, probability, subject, LABELS)
    expected = {
        name: f1_score(label[subject == name], probability[subject == name].argmax(axis=1), average="macro")
        for name in ("s1", "s2")
    }
    assert scores["macro_f1"]["by_subject"] == pytest.approx(expected)
    assert scores["macro_f1"]["mean"] == pytest.approx(np.mean(list(expected.values())))
    assert scores["macro_f1"]["std"] == pytest.approx(np.std(list(expected.values())))
    pooled = f1_score(label, probability.argmax(axis=1), average="macro")
    assert scores["macro_f1"]["pooled"] == pytest.approx(pooled)
    assert abs(pooled - scores["macro_f1"]["mean"]) > 1e-4  # else this test could not tell them apart
    assert subject_macro_f1(label, probability, subject) == scores["macro_f1"]["mean"]


def test_calibration_is_measured_by_subject_and_pooled():
    label, probability, subject = made_windows(["s1", "s2"])
    scores = score(label, probability, subject, LABELS)["calibration_error"]
    mine = subject == "s2"
    expected = expected_calibration_error(reliability_table(label[mine], probability[mine]))
    assert scores["by_subject"]["s2"] == pytest.approx(expected)
    assert scores["pooled"] == pytest.approx(expected_calibration_error(reliability_table(label, probability)))


def test_class_that_never_occurs_has_no_f1():
    scores = score([0, 1], np.eye(3)[[0, 1]], ["s1", "s1"], LABELS)
    assert scores["per_class_f1"] == {"lie": 1.0, "sit": 1.0, "walk": None}
    assert scores["macro_f1"]["mean"] == 1.0


def test_pooling_folds_is_scoring_all_windows_at_once():
    folds = {"s1+s2": made_windows(["s1", "s2"], seed=1), "s3": made_windows(["s3"], seed=2)}
    pooled = pool_folds({name: score(*windows, LABELS) for name, windows in folds.items()}, LABELS)
    at_once = score(*(np.concatenate(parts) for parts in zip(*folds.values(), strict=True)), LABELS)
    for name in ("macro_f1", "accuracy", "weighted_f1", "balanced_accuracy", "calibration_error"):
        by_fold = pooled[name].pop("by_fold")
        assert list(by_fold) == ["s1+s2", "s3"]
        assert by_fold["s3"] == pytest.approx(at_once[name]["by_subject"]["s3"])
        assert pooled[name].pop("by_subject") == pytest.approx(at_once[name].pop("by_subject"))
        assert pooled[name] == pytest.approx(at_once[name])
    assert pooled["confusion"] == at_once["confusion"]
    assert pooled["per_class_f1"] == pytest.approx(at_once["per_class_f1"])


def test_by_fold_is_from_all_windows_of_the_fold():
    label, probability, subject = made_windows(["s1", "s2", "s2"])
    pooled = pool_folds({"s1+s2": score(label, probability, subject, LABELS)}, LABELS)
    assert pooled["accuracy"]["by_fold"]["s1+s2"] == pytest.approx(accuracy_score(label, probability.argmax(axis=1)))


def test_other_figures_are_averaged_by_number_of_subjects():
    two, one = (score(*made_windows(names), LABELS) for names in (["s1", "s2"], ["s3"]))
    two |= {"shapley": {"acc": 0.3, "gyr": 0.7}, "alignment": {"stage_1": {"cka": None}}}
    one |= {"shapley": {"acc": 0.6, "gyr": 0.4}, "alignment": {"stage_1": {"cka": 0.5}}}
    pooled = pool_folds({"a": two, "b": one}, LABELS)
    assert pooled["shapley"] == pytest.approx({"acc": 0.4, "gyr": 0.6})
    assert pooled["alignment"] == {"stage_1": {"cka": 0.5}}
    one["alignment"] = {"stage_1": {"cka": None}}
    assert pool_folds({"a": two, "b": one}, LABELS)["alignment"] == {"stage_1": {"cka": None}}


def test_scores_are_plain_json():
    scores = pool_folds({"s1": score(*made_windows(["s1"]), LABELS)}, LABELS)
    assert json.loads(json.dumps(scores, allow_nan=False)) == scores


def test_folds_that_cannot_be_pooled_are_refused():
    scores = score(*made_windows(["s1"]), LABELS)
    with pytest.raises(DataError, match="got 's1' in 'a' and 'b'"):
        pool_folds({"a": scores, "b": scores}, LABELS)
    with pytest.raises(DataError, match="there must be a fold to pool"):
        pool_folds({}, LABELS)
    other = score(*made_windows(["s2"]), LABELS)
    with pytest.raises(DataError, match="same figures in 'shapley'"):
        pool_folds({"a": scores | {"shapley": {"acc": 1.0}}, "b": other}, LABELS)


def test_branch_is_scored_where_it_is_present():
    label, subject = np.array([0, 1, 0, 1]), np.array(["s1", "s1", "s2", "s2"])
    right, wrong = np.eye(2)[label], np.eye(2)[1 - label]
    probability = np.stack([right, wrong, np.full_like(right, np.nan)], axis=1)
    probability[3, 0] = np.nan  # not present, so not read
    present = np.array([[1, 1, 0], [1, 1, 0], [1, 1, 0], [0, 1, 0]], dtype=bool)
    table = score_branches(label, probability, present, subject, ("acc", "gyr", "mag"))
    assert table == {
        "acc": {"macro_f1": 1.0, "accuracy": 1.0},
        "gyr": {"macro_f1": 0.0, "accuracy": 0.0},
        "mag": {"macro_f1": None, "accuracy": None},
    }


def test_arrays_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match="3 columns, 2 labels"):
        score([0], np.eye(3)[[0]], ["s1"], ("lie", "sit"))
    with pytest.raises(DataError, match="each window must have a subject"):
        score([0, 1], np.eye(3)[[0, 1]], ["s1"], LABELS)
