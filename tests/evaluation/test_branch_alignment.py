from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ortho_group

from dcdp.errors import DataError
from dcdp.evaluation import alignment_table, linear_cka, retrieval


def slow_retrieval(embedding, present, label):
    n_windows, n_branches = present.shape
    by_window, by_activity = [], []
    for asked in range(n_branches):
        for gallery in range(n_branches):
            usable = [i for i in range(n_windows) if present[i, asked] and present[i, gallery]]
            if asked == gallery or not usable:
                continue
            hits, same = 0, 0
            for i in usable:
                query = embedding[i, asked]
                cosine = [
                    query @ embedding[j, gallery] / np.linalg.norm(query) / np.linalg.norm(embedding[j, gallery])
                    for j in usable
                ]
                nearest = usable[int(np.argmax(cosine))]
                hits += nearest == i
                same += label[nearest] == label[i]
            by_window.append(hits / len(usable))
            by_activity.append(same / len(usable))
    return np.mean(by_window), np.mean(by_activity)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 25), st.integers(2, 4), st.integers(1, 30))
def test_retrieval_is_that_of_a_slow_loop(seed, n_windows, n_branches, chunk):
    generator = np.random.default_rng(seed)
    shared = generator.normal(size=(n_windows, 1, 6))
    embedding = (shared + generator.normal(size=(n_windows, n_branches, 6))).astype(np.float32)
    label = generator.integers(3, size=n_windows)
    present = generator.random((n_windows, n_branches)) < 0.7
    present[0] = True
    assert retrieval(embedding, present, label, chunk=chunk) == pytest.approx(slow_retrieval(embedding, present, label))


def test_branches_that_agree_find_each_other():
    embedding = np.random.default_rng(0).normal(size=(50, 1, 8)).repeat(3, axis=1)
    assert retrieval(embedding, np.ones((50, 3), bool), np.arange(50)) == (1.0, 1.0)


def test_collapsed_embeddings_find_nothing():
    label = np.repeat([0, 1], 20)
    window, activity = retrieval(np.ones((40, 2, 8)), np.ones((40, 2), bool), label)
    assert window == pytest.approx(1 / 40)
    assert activity == pytest.approx(0.5)


def test_segments_are_compared_in_their_order():
    embedding = np.zeros((2, 2, 2, 2))
    forward = np.eye(2)
    embedding[0], embedding[1] = forward, forward[::-1]  # the same two segments, swapped in time
    assert retrieval(embedding, np.ones((2, 2), bool), np.arange(2)) == (1.0, 1.0)


def slow_cka(first, second):
    n_windows = len(first)
    centre = np.eye(n_windows) - 1 / n_windows
    kernels = [centre @ (x @ x.T) @ centre for x in (first, second)]
    return np.trace(kernels[0] @ kernels[1]) / np.prod([np.linalg.norm(kernel) for kernel in kernels])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.integers(3, 30), st.integers(2, 6), st.floats(0.1, 10))
def test_cka_is_that_of_the_kernels_and_ignores_rotation_scale_and_shift(seed, n_windows, width, scale):
    generator = np.random.default_rng(seed)
    first, second = generator.normal(size=(n_windows, width)), generator.normal(size=(n_windows, 4))
    value = linear_cka(first, second)
    assert value == pytest.approx(slow_cka(first, second))
    assert 0 <= value <= 1 + 1e-9
    assert linear_cka(second, first) == pytest.approx(value)
    turned = scale * first @ ortho_group.rvs(width, random_state=seed) + 3
    assert linear_cka(turned, second) == pytest.approx(value)
    assert linear_cka(first, turned) == pytest.approx(1)


def test_cka_of_a_constant_feature_is_unknown():
    varied = np.random.default_rng(0).normal(size=(10, 3)).astype(np.float32)
    assert np.isnan(linear_cka(varied, np.full((10, 2), 0.1)))  # its mean is not quite 0.1


def test_table_names_stages_and_leaves_absent_pairs_out():
    generator = np.random.default_rng(0)
    shared = generator.normal(size=(30, 1, 4)).repeat(3, axis=1)
    shared[:, 2] = np.nan  # the third branch is never present
    present = np.tile([True, True, False], (30, 1))
    unaligned = generator.normal(size=(30, 3, 5, 4))
    table = alignment_table([shared, unaligned], present, np.arange(30))
    assert list(table) == ["stage_1", "stage_2"]
    assert table["stage_1"] == pytest.approx({"retrieval_window": 1, "retrieval_activity": 1, "cka": 1})
    assert table["stage_2"]["retrieval_window"] < 0.3
    assert table["stage_2"]["cka"] < 0.9
    alone = alignment_table([shared], np.tile([True, False, False], (30, 1)), np.arange(30))
    assert alone["stage_1"] == {"retrieval_window": None, "retrieval_activity": None, "cka": None}


def test_table_takes_evenly_spaced_windows():
    collapsed = np.ones((100, 2, 3))
    table = alignment_table([collapsed], np.ones((100, 2), bool), np.zeros(100, int), max_windows=10)
    assert table["stage_1"]["retrieval_window"] == pytest.approx(1 / 10)


def test_arrays_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match=r"shapes \(4, 2, 3\), \(4, 3\), \(4,\)"):
        retrieval(np.ones((4, 2, 3)), np.ones((4, 3), bool), np.zeros(4, int))
    with pytest.raises(DataError, match="must be finite"):
        retrieval(np.full((4, 2, 3), np.nan), np.ones((4, 2), bool), np.zeros(4, int))
