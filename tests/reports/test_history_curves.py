import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcdp.errors import FormatError, MissingError
from dcdp.reports.curves import Curve, mean_curve, names_of, read_history, series, smooth, thin


def step(number, **loss):
    return json.dumps({"kind": "step", "epoch": 0, "step": number, "loss": loss})


@pytest.fixture
def history(tmp_path):
    def write(text):
        path = tmp_path / "history.jsonl"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_history(path)

    return write


@pytest.mark.parametrize("cut", [1, 9, 30])
def test_half_written_last_line_is_left_out(history, cut):
    found = history(f"{step(0, total=2.0)}\n{step(1, total=1.0)}\n{step(2, total=0.5)[:-cut]}")
    assert [record["step"] for record in found.steps] == [0, 1]
    assert found.n_damaged == 1


def test_line_cut_inside_a_character_is_left_out(history):
    last = json.dumps({"kind": "step", "step": 1, "loss": {"é": 1.0}}, ensure_ascii=False).encode()
    assert len(history(step(0).encode() + b"\n" + last[: last.index("é".encode()) + 1]).steps) == 1


def test_resumed_run_replaces_the_steps_that_it_repeats(history):
    half = step(2, total=9.0)[:20]
    found = history(f"{step(0, total=2.0)}\n{step(1, total=7.0)}\n{half}{step(5, total=1.0)}\n{step(1, total=1.5)}\n")
    assert series(found.steps, "step", "loss", "total").y.tolist() == [2.0, 1.5]


def test_steps_and_epochs_are_told_apart_and_sorted(history):
    epoch = json.dumps({"kind": "epoch", "epoch": 0, "step": 9})
    found = history(f"{step(1)}\n{epoch}\n\n{step(0)}\n[]\n{{}}\n")
    assert [record["step"] for record in found.steps] == [0, 1]
    assert len(found.epochs) == 1
    assert found.n_damaged == 2


def test_empty_history_has_no_records(history):
    assert history("") == history("\n\n")


def test_file_without_any_record_is_refused(history):
    with pytest.raises(FormatError, match="one JSON object a line"):
        history("<html>not a history</html>\n")


def test_missing_history_is_refused(tmp_path):
    with pytest.raises(MissingError, match="a history must exist"):
        read_history(tmp_path / "history.jsonl")


def test_series_leaves_out_what_is_no_finite_number():
    values = [1.0, float("nan"), None, "x", True, float("inf"), 2]
    records = [{"step": place, "loss": {"total": value}} for place, value in enumerate(values)] + [
        {"step": 9, "loss": 3}
    ]
    curve = series(records, "step", "loss", "total")
    assert curve.x.tolist() == [0.0, 6.0]
    assert curve.y.tolist() == [1.0, 2.0]


def test_names_keep_the_order_of_appearance():
    records = [{"confidence": {"gyr": 1}}, {}, {"confidence": {"acc": 1, "gyr": 1}}]
    assert names_of(records, "confidence") == ("gyr", "acc")


values = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=200)


@given(values, st.integers(1, 50))
def test_thinned_curve_is_short_and_stays_within_its_range(y, n_points):
    curve = thin(Curve(np.arange(len(y), dtype=float), np.array(y)), n_points)
    assert len(curve) == min(len(y), n_points)
    assert np.all(np.diff(curve.x) > 0)
    assert min(y) - 1e-6 <= curve.y.min() <= curve.y.max() <= max(y) + 1e-6


@given(values, st.integers(1, 60))
def test_smoothing_is_a_centred_mean(y, span):
    curve = smooth(Curve(np.arange(len(y), dtype=float), np.array(y)), span)
    half = min(span, len(y)) // 2
    for place in range(len(y)):
        reach = min(half, place, len(y) - 1 - place)
        assert curve.y[place] == pytest.approx(np.mean(y[place - reach : place + reach + 1]), abs=1e-3)


def test_mean_curve_stops_where_most_folds_have_stopped():
    def constant(n, value):
        return Curve(np.arange(n, dtype=float), np.full(n, float(value)))

    mean = mean_curve([constant(10, 1), constant(20, 3), constant(100, 50), Curve(np.empty(0), np.empty(0))])
    assert mean.x[-1] == 19
    assert mean.y[0] == pytest.approx(18)
    assert mean.y[-1] == pytest.approx(26.5)


def test_mean_of_no_curves_is_empty():
    assert len(mean_curve([])) == 0
