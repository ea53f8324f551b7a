from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as oracle

from dcdp.errors import DataError
from dcdp.evaluation import (
    accuracy,
    balanced_accuracy,
    confusion_matrix,
    expected_calibration_error,
    macro_f1,
    per_class_f1,
    reliability_table,
    weighted_f1,
)

N_CLASSES = 5
pairs = st.lists(st.tuples(st.integers(0, N_CLASSES - 1), st.integers(0, N_CLASSES - 1)), min_size=1, max_size=40).map(
    lambda rows: np.array(rows).T
)


@given(pairs)
def test_confusion_matrix_is_scikit_learns(rows):
    truth, predicted = rows
    expected = oracle.confusion_matrix(truth, predicted, labels=range(N_CLASSES))
    np.testing.assert_array_equal(confusion_matrix(truth, predicted, N_CLASSES), expected)


@given(pairs)
def test_figures_are_scikit_learns(rows):
    truth, predicted = rows
    counts = confusion_matrix(truth, predicted, N_CLASSES)
    true_classes = np.unique(truth)
    expected = {
        macro_f1: oracle.f1_score(truth, predicted, average="macro", zero_division=0),
        weighted_f1: oracle.f1_score(truth, predicted, average="weighted", zero_division=0),
        accuracy: oracle.accuracy_score(truth, predicted),
        balanced_accuracy: oracle.recall_score(truth, predicted, labels=true_classes, average="macro", zero_division=0),
    }
    for figure, value in expected.items():
        assert figure(counts) == pytest.approx(value), figure.__name__


@given(pairs)
def test_per_class_f1_is_scikit_learns_and_nan_for_unseen_classes(rows):
    truth, predicted = rows
    expected = oracle.f1_score(truth, predicted, labels=range(N_CLASSES), average=None, zero_division=0)
    unseen = ~np.isin(np.arange(N_CLASSES), rows)
    expected[unseen] = np.nan
    np.testing.assert_allclose(per_class_f1(confusion_matrix(truth, predicted, N_CLASSES)), expected)


def test_class_absent_from_truth_and_prediction_is_left_out():
    counts = confusion_matrix([0, 0, 1, 1], [0, 1, 1, 1], n_classes=3)
    assert macro_f1(counts) == pytest.approx(0.7333, abs=1e-4)  # and not .489, the mean over three


def test_class_predicted_but_never_true_counts_as_zero():
    counts = confusion_matrix([0, 0, 1, 1], [0, 0, 1, 2], n_classes=3)
    assert macro_f1(counts) == pytest.approx((1 + 2 / 3 + 0) / 3)


@given(pairs, pairs)
def test_stacked_counts_give_the_figure_of_each(first, second):
    counts = np.stack([confusion_matrix(*rows, N_CLASSES) for rows in (first, second)])
    for figure in (macro_f1, weighted_f1, accuracy, balanced_accuracy):
        np.testing.assert_allclose(figure(counts), [figure(counts[0]), figure(counts[1])])


def slow_calibration_error(label, probability, n_bins):
    bins = [[] for _ in range(n_bins)]
    for truth, row in zip(label, probability, strict=True):
        top = row.max()
        for b in range(n_bins):
            if (b / n_bins < top or b == 0) and (top <= (b + 1) / n_bins or b == n_bins - 1):
                bins[b].append((top, row.argmax() == truth))
                break
    total = 0.0
    for rows in bins:
        if rows:
            confidence, correct = np.array(rows, dtype=float).T
            total += len(rows) / len(label) * abs(correct.mean() - confidence.mean())
    return total


@given(st.integers(0, 10_000), st.integers(1, 60), st.sampled_from([3, 15]))
def test_calibration_error_is_that_of_a_slow_loop(seed, n_windows, n_bins):
    generator = np.random.default_rng(seed)
    probability = generator.dirichlet(np.ones(4) * 0.5, size=n_windows)
    label = generator.integers(4, size=n_windows)
    expected = slow_calibration_error(label, probability, n_bins)
    assert expected_calibration_error(reliability_table(label, probability, n_bins)) == pytest.approx(expected)


def test_calibration_error_of_certain_predictions_is_their_error():
    label, probability = [0, 1, 1, 1], np.eye(2)[[0, 0, 0, 1]]
    assert expected_calibration_error(reliability_table(label, probability)) == pytest.approx(0.5)


def test_confidence_on_an_edge_belongs_to_the_bin_below():
    table = reliability_table([0, 0], [[0.5, 0.5], [1.0, 0.0]], n_bins=2)
    np.testing.assert_array_equal(table, [[1, 1], [0.5, 1.0], [1, 1]])


def test_reliability_tables_add_up():
    generator = np.random.default_rng(0)
    probability, label = generator.dirichlet(np.ones(3), size=50), generator.integers(3, size=50)
    parts = [reliability_table(label[part], probability[part]) for part in (slice(20), slice(20, None))]
    np.testing.assert_allclose(sum(parts), reliability_table(label, probability))


@pytest.mark.parametrize(
    ("label", "prediction", "message"),
    [
        ([0, -1], [0, 0], r"label must lie in \[0, 2\): got -1 to 0"),
        ([0, 1], [0, 2], r"prediction must lie in \[0, 2\): got 0 to 2"),
        ([0, 1], [0], "2 labels, 1 predictions"),
        ([], [], "label must be a list of class indices"),
        ([0.5], [0], "label must be a list of class indices"),
    ],
)
def test_bad_indices_are_refused(label, prediction, message):
    with pytest.raises(DataError, match=message):
        confusion_matrix(label, prediction, n_classes=2)


@pytest.mark.parametrize("row", [[2.0, -1.0], [0.5, 0.6], [np.nan, 1.0], [np.inf, 0.0]])
def test_logits_are_not_probabilities(row):
    with pytest.raises(DataError, match="Apply a softmax to logits first"):
        reliability_table([0], [row])


def test_labels_and_probabilities_must_be_of_the_same_windows():
    with pytest.raises(DataError, match="2 labels, 1 rows"):
        reliability_table([0, 1], [[0.5, 0.5]])


def test_empty_counts_have_no_figure():
    with pytest.raises(DataError, match="confusion must count a window"):
        macro_f1(np.zeros((2, 3, 3)))
    with pytest.raises(DataError, match=r"confusion must be \(\.\.\., K, K\)"):
        accuracy(np.ones((2, 3)))
