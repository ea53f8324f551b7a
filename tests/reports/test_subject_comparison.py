import numpy as np
import pytest

from dcdp.evaluation import bootstrap_interval
from dcdp.reports.subjects import compare, interval


def test_a_report_has_the_interval_of_every_other_table():
    values = np.random.default_rng(1).normal(0.8, 0.05, 12)
    assert interval(values) == pytest.approx(bootstrap_interval(values), abs=1e-9)


def test_comparison_is_paired_by_subject():
    ours = {f"s{place}": 0.5 + 0.05 * place for place in range(8)}
    gap = compare(ours, {name: score - 0.01 for name, score in ours.items()} | {"other": 0.0})
    assert gap is not None
    assert gap.verdict == "ahead"  # unpaired, 0.01 would drown in the spread over subjects
    assert (gap.n_ahead, gap.n) == (8, 8)
    assert gap.mean == pytest.approx(0.01)


@pytest.mark.parametrize(("shift", "verdict"), [(0.2, "ahead"), (-0.2, "behind"), (0.0, "tie")])
def test_verdict_is_a_tie_where_the_interval_holds_zero(shift, verdict):
    noise = [-0.02, 0.02, -0.01, 0.01, 0.005, -0.005]
    gap = compare({str(place): 0.5 + shift + error for place, error in enumerate(noise)}, dict.fromkeys("012345", 0.5))
    assert gap is not None
    assert gap.verdict == verdict


def test_four_people_are_too_few_for_a_verdict():
    gap = compare(dict.fromkeys("0123", 0.9), dict.fromkeys("0123", 0.1))
    assert gap is not None
    assert gap.verdict == "open"


def test_one_shared_subject_is_no_comparison():
    assert compare({"a": 0.5, "b": 0.6}, {"a": 0.4, "c": 0.1}) is None
