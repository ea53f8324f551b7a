"""Stretches in blocks against slow loops over single recordings."""

from itertools import groupby

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dcdp.data.quality.blocks import Block
from dcdp.data.quality.stretches import count_at_limits, merge_spans, missing_spans, stuck_spans

pieces = st.lists(
    st.lists(st.sampled_from([0.0, 1.0, 2.0, float("nan")]), min_size=1, max_size=14), min_size=1, max_size=5
)


def block_of(recordings):
    lengths = [len(values) for values in recordings]
    starts = np.cumsum(lengths) - lengths
    values = np.concatenate(recordings).astype(np.float32)[None]
    return Block(values, 0, np.arange(len(recordings)) + 3, starts, 0, 0)


def runs(values):
    """(start, stop, value) of equal neighbours; NaN equals nothing."""
    found, start = [], 0
    for _, group in groupby(enumerate(values), key=lambda item: item[1] if item[1] == item[1] else ("nan", item[0])):
        n = len(list(group))
        found.append((start, start + n, values[start]))
        start += n
    return found


@given(pieces, st.integers(2, 5))
@settings(max_examples=200, deadline=None)
def test_stuck_stretches(recordings, n_rows):
    expected = [
        [number + 3, start, stop]
        for number, values in enumerate(recordings)
        for start, stop, value in runs(values)
        if stop - start >= n_rows and value == value
    ]
    assert stuck_spans(block_of(recordings), 0, n_rows).tolist() == expected


@given(pieces)
@settings(max_examples=200, deadline=None)
def test_values_at_the_limits(recordings):
    low, high = (np.array([f(values) for values in recordings], np.float32) for f in (np.fmin.reduce, np.fmax.reduce))
    for found, level in zip(count_at_limits(block_of(recordings), 0, low, high), (low, high), strict=True):
        assert found.tolist() == [
            sum(stop - start for start, stop, value in runs(values) if stop - start >= 3 and value == level[i])
            for i, values in enumerate(recordings)
        ]


@given(pieces)
@settings(max_examples=200, deadline=None)
def test_missing_stretches(recordings):
    expected = [
        [number + 3, places[0], places[-1] + 1]
        for number, values in enumerate(recordings)
        for missing, group in groupby(range(len(values)), key=lambda i, own=values: own[i] != own[i])
        if missing and (places := list(group))
    ]
    assert missing_spans(block_of(recordings)).tolist() == expected


spans = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 20), st.integers(1, 9)), max_size=12)


@given(spans)
@settings(max_examples=200, deadline=None)
def test_merging_covers_the_same_rows(drawn):
    table = np.array([(number, start, start + n) for number, start, n in drawn], np.int64).reshape(-1, 3)
    merged = merge_spans(table)
    covered = {(number, row) for number, start, stop in table.tolist() for row in range(start, stop)}
    assert {(number, row) for number, start, stop in merged.tolist() for row in range(start, stop)} == covered
    assert sum(stop - start for _, start, stop in merged.tolist()) == len(covered)
    assert merged.tolist() == sorted(merged.tolist())
