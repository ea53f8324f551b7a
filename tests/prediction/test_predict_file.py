"""Prediction from files: the same whatever the format; what fits is converted, what does not is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dcdp.bundle import Bundle
from dcdp.data import tables
from dcdp.errors import ConfigError, DataError, DcdpError, FormatError, MismatchError, MissingError
from dcdp.prediction import Prediction, predict_file, predict_recording
from dcdp.records import Recording, Segment, Track
from dcdp.signals import convert

Table = pl.DataFrame
ACC = ["wrist_acc_x", "wrist_acc_y", "wrist_acc_z"]
GYR = ["wrist_gyr_x", "wrist_gyr_y", "wrist_gyr_z"]
EASY = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def predict(bundle_file: Path, tmp_path: Path) -> Callable[..., Prediction]:
    def run(table: Table | str | bytes, name: str = "recording.csv", rate_hz: float | None = None) -> Prediction:
        path = tmp_path / name
        if isinstance(table, (str, bytes)):
            path.write_bytes(table.encode() if isinstance(table, str) else table)
        elif path.suffix in (".parquet", ".pq"):
            table.write_parquet(path)
        else:
            table.write_csv(path, separator="\t" if path.suffix == ".tsv" else ",")
        return predict_file(bundle_file, path, rate_hz)

    return run


def same(one: Prediction, other: Prediction) -> bool:
    return (
        np.array_equal(one.times_s, other.times_s)
        and np.array_equal(one.probabilities, other.probabilities)
        and np.array_equal(one.label, other.label)
        and (one.bouts, one.branches_used) == (other.bouts, other.branches_used)
    )


def close(one: Prediction, other: Prediction, atol: float) -> bool:
    return np.allclose(one.times_s, other.times_s) and np.allclose(one.probabilities, other.probabilities, atol=atol)


# What comes out


def test_the_prediction_is_that_of_the_network(bundle: Bundle, recording: Recording) -> None:
    found = predict_recording(bundle, recording)
    assert found.times_s.tolist() == list(range(19))
    for i in (0, 7, 18):
        inputs = {
            branch.name: torch.from_numpy(
                track.values[round(i * track.signal.rate_hz) :][: round(2 * track.signal.rate_hz)].T[None].copy()
            )
            for branch, track in zip(bundle.branches, recording.tracks, strict=True)
        }
        with torch.inference_mode():
            joint = bundle.network(inputs, torch.ones(1, 3, dtype=torch.bool)).joint
        expected = (joint / bundle.temperature).softmax(1)[0].numpy()
        assert found.probabilities[i] == pytest.approx(expected, abs=1e-5)
    assert found.label.tolist() == [bundle.labels.names[i] for i in found.probabilities.argmax(1)]
    assert np.array_equal(found.probability, found.probabilities.max(1))
    assert len(set(found.label)) > 1
    assert found.branches_used == ("acc", "gyr", "hr")
    assert found.notes == ()
    assert (found.bouts[0].start_s, found.bouts[-1].stop_s) == (0, 20)


def test_a_file_gives_what_its_recording_gives(
    predict: Callable[..., Prediction], table: Table, bundle: Bundle, recording: Recording
) -> None:
    assert same(predict(table), predict_recording(bundle, recording))


@EASY
@given(st.data())
def test_format_order_and_extra_columns_do_not_matter(
    predict: Callable[..., Prediction], table: Table, bundle: Bundle, recording: Recording, data: st.DataObject
) -> None:
    odd = data.draw(st.lists(st.sampled_from(["remark", "subject", "wrist_mag_x", "Unnamed: 0"]), unique=True))
    more = table.with_columns(pl.lit("a, b;\t\"c\"").alias(name) for name in odd)
    order = data.draw(st.permutations(more.columns))
    name = data.draw(st.sampled_from(["a.csv", "a.tsv", "a.parquet", "a.TXT"]))
    found = predict(more.select(order), name)
    assert same(found, predict_recording(bundle, recording))
    assert found.notes == ((f"columns not read: {', '.join(sorted(odd))}",) if odd else ())


@pytest.mark.parametrize("start_s", [0.0, 100.0, 1.7e9])
def test_the_clock_of_the_file_is_kept(predict: Callable[..., Prediction], table: Table, start_s: float) -> None:
    shifted = predict(table.with_columns(pl.col("time_s") + start_s))
    assert shifted.times_s == pytest.approx(start_s + np.arange(19), abs=1e-6)
    assert close(replace(shifted, times_s=shifted.times_s - start_s), predict(table), 1e-6)


def test_a_rate_replaces_the_times(predict: Callable[..., Prediction], table: Table) -> None:
    assert same(predict(table.drop("time_s"), rate_hz=50), predict(table))


@pytest.mark.parametrize(
    "write",
    [
        lambda text: text.replace(",", ";"),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "\ufeff" + text,
        lambda text: text + "\n\n",
        lambda text: text.replace(",", " , "),
        lambda text: text.rstrip("\n"),
        lambda text: "\n".join(",".join(cell or "NA" for cell in line.split(",")) for line in text.split("\n")[:-1]),
    ],
    ids=["semicolons", "windows", "byte order mark", "empty lines", "blanks", "no last newline", "NA"],
)
def test_dialects_of_csv_are_read(
    predict: Callable[..., Prediction], table: Table, write: Callable[[str], str]
) -> None:
    assert same(predict(write(table.write_csv())), predict(table))


def test_integers_and_text_in_parquet_are_read(predict: Callable[..., Prediction], table: Table) -> None:
    whole = table.with_columns(pl.col(name).round() for name in GYR)
    mixed = whole.with_columns(*(pl.col(name).cast(pl.Int32) for name in GYR), pl.col(ACC[0]).cast(pl.String))
    assert close(predict(mixed, "a.parquet"), predict(whole), 1e-6)


# What is converted


def test_units_in_the_header_are_converted(predict: Callable[..., Prediction], table: Table) -> None:
    in_g = table.with_columns(pl.Series(name, convert(table[name].to_numpy(), "m/s2", "g")) for name in ACC)
    found = predict(in_g.rename({name: f"{name} [g]" for name in ACC} | {"chest_hr": "chest_hr[bpm]"}))
    assert close(found, predict(table), 1e-4)
    assert found.notes == ("wrist_acc: converted from g to m/s2",)


@pytest.mark.parametrize("spelling", ["m/s2", "m/s^2", "m/s²", ""])
def test_spellings_of_the_models_own_unit_are_known(
    spelling: str, predict: Callable[..., Prediction], table: Table
) -> None:
    found = predict(table.rename({name: f"{name} [{spelling}]" for name in ACC}))
    assert same(found, predict(table))
    assert found.notes == ()


def test_another_rate_is_resampled(predict: Callable[..., Prediction], table: Table) -> None:
    smooth = table.with_columns(pl.col(name).rolling_mean(9, min_samples=1, center=True) for name in (*ACC, *GYR))
    dense_s = np.arange(2 * len(table) - 1) / 100
    dense = Table({"time_s": dense_s} | {
        name: np.interp(dense_s, smooth["time_s"], smooth[name]) for name in (*ACC, *GYR)
    })  # fmt: skip
    found, expected = predict(dense), predict(smooth.drop("chest_hr"))
    assert found.notes[-2:] == (
        "wrist_acc: resampled from 100 Hz to 50 Hz", "wrist_gyr: resampled from 100 Hz to 50 Hz",
    )  # fmt: skip
    assert len(found.times_s) == 19
    assert np.abs(found.probabilities - expected.probabilities).mean() < 0.05


def test_a_rate_below_half_of_the_models_is_refused(predict: Callable[..., Prediction], table: Table) -> None:
    with pytest.raises(MismatchError, match=r"'wrist_acc' must be recorded at 25 Hz or more: got 16.67 Hz, the model"):
        predict(table.drop("chest_hr")[::3])
    assert "wrist_acc: resampled from 25 Hz to 50 Hz" in predict(table.drop("chest_hr")[::2]).notes


def test_milliseconds_are_not_taken_for_seconds(predict: Callable[..., Prediction], table: Table) -> None:
    with pytest.raises(MismatchError, match="check that time_s is in seconds"):
        predict(table.drop("chest_hr").with_columns(pl.col("time_s") * 1000))
    with pytest.raises(MismatchError, match=r"'time_s' must be in seconds: got \[ms\]"):
        predict(table.rename({"time_s": "time_s [ms]"}))


@EASY
@given(st.integers(0, 2**32), st.floats(0, 0.2))
def test_jitter_of_the_clock_changes_little(
    predict: Callable[..., Prediction], table: Table, seed: int, jitter: float
) -> None:
    smooth = table.with_columns(pl.col(name).rolling_mean(15, min_samples=1, center=True) for name in (*ACC, *GYR))
    moved = np.random.default_rng(seed).uniform(-jitter, jitter, len(table)) / 50
    moved[0] = 0
    found = predict(smooth.with_columns(pl.col("time_s") + moved))
    expected = predict(smooth)
    assert np.allclose(found.times_s, expected.times_s, atol=0.01)
    assert (found.label == expected.label).mean() > 0.8


# What is absent


@pytest.mark.parametrize("left", [["acc"], ["hr"], ["gyr", "hr"]])
def test_an_absent_signal_leaves_its_branch_out(
    left: list[str], predict: Callable[..., Prediction], table: Table, bundle: Bundle, recording: Recording
) -> None:
    keep = {"acc": ACC, "gyr": GYR, "hr": ["chest_hr"]}
    found = predict(table.select("time_s", *(name for branch in left for name in keep[branch])))
    tracks = tuple(track for track in recording.tracks if track.signal.modality in left)
    assert same(found, predict_recording(bundle, replace(recording, tracks=tracks)))
    assert found.branches_used == tuple(left)
    signals = {"acc": "wrist_acc", "gyr": "wrist_gyr", "hr": "chest_hr"}
    assert found.notes == tuple(f"branch '{b}' is absent: no {s}" for b, s in signals.items() if b not in left)


def test_a_signal_without_values_is_absent(predict: Callable[..., Prediction], table: Table) -> None:
    found = predict(table.with_columns(pl.lit(None).alias(name) for name in GYR))
    assert same(found, predict(table.drop(GYR)))
    assert found.notes == ("signal 'wrist_gyr' has no values", "branch 'gyr' is absent: no wrist_gyr")


def test_part_of_a_signal_is_refused(predict: Callable[..., Prediction], table: Table) -> None:
    with pytest.raises(MismatchError, match="'wrist_gyr' must have all its channels: got no wrist_gyr_y, wrist_gyr_z"):
        predict(table.drop(GYR[1:]))


def test_no_branch_at_all_is_refused_with_every_channel(predict: Callable[..., Prediction], table: Table) -> None:
    with pytest.raises(MismatchError, match=f"at least one branch: got no {', '.join([*ACC, *GYR, 'chest_hr'])}"):
        predict(table.select("time_s"))


def test_a_short_gap_is_bridged_and_a_long_one_costs_its_windows(
    predict: Callable[..., Prediction], table: Table
) -> None:
    time = pl.col("time_s")
    table = table.drop("chest_hr")  # a slow sensor has no gap here, and would carry the windows
    whole = predict(table)
    assert predict(table.filter(~time.is_between(5.01, 5.15))).times_s.tolist() == whole.times_s.tolist()
    for spoilt in (
        table.filter(~time.is_between(5.11, 6.49)),
        table.with_columns(pl.when(time.is_between(5.11, 6.49)).then(None).otherwise(pl.col(c)).alias(c) for c in ACC),
        table.with_columns(
            pl.when(time.is_between(5.11, 6.49)).then(np.nan).otherwise(pl.col(c)).alias(c) for c in ACC[:1]
        ),
    ):
        found = predict(spoilt.drop(GYR))
        assert found.times_s.tolist() == [t for t in whole.times_s.tolist() if t not in (4, 5, 6)]
        assert all(bout.stop_s <= 5 or bout.start_s >= 7 for bout in found.bouts)


def test_one_gap_leaves_the_other_branches(predict: Callable[..., Prediction], table: Table) -> None:
    time = pl.col("time_s")
    spoilt = table.with_columns(pl.when(time > 5).then(None).otherwise(pl.col(c)).alias(c) for c in ACC)
    found, whole, without = predict(spoilt), predict(table), predict(table.drop(ACC))
    assert np.allclose(found.probabilities[:3], whole.probabilities[:3], atol=1e-6)
    assert np.allclose(found.probabilities[6:], without.probabilities[6:], atol=1e-6)


# What is refused


@pytest.mark.parametrize(
    ("unit", "message"),
    [
        ("deg/s", r"the unit of 'wrist_acc' must convert to m/s2: got 'deg/s'"),
        ("furlong", r"the unit of 'wrist_acc' must convert to m/s2: got 'furlong'"),
        ("mg", "fits|share"),
    ],
)
def test_a_unit_that_cannot_be_converted_is_refused(
    unit: str, message: str, predict: Callable[..., Prediction], table: Table
) -> None:
    names = ACC if unit != "mg" else ACC[:1]
    with pytest.raises(MismatchError, match=message):
        predict(table.rename({name: f"{name} [{unit}]" for name in names}))


@pytest.mark.parametrize(("unit", "size"), [("g", 1 / 9.80665), ("mg", 1000 / 9.80665)])
def test_an_acceleration_in_g_that_does_not_say_so_is_refused(
    unit: str, size: float, predict: Callable[..., Prediction], table: Table
) -> None:
    with pytest.raises(MismatchError, match=rf"say so in the header: wrist_acc_x \[{unit}\]"):
        predict(table.with_columns(pl.col(name) * size for name in ACC))


def test_an_acceleration_without_gravity_is_noted(predict: Callable[..., Prediction], table: Table) -> None:
    found = predict(table.with_columns(pl.col("wrist_acc_z") - 9.81))
    assert any("without gravity" in note for note in found.notes)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda t: t.with_columns(pl.lit(0.0).alias("time_s")), r"'time_s' must increase .*got 0 after 0 in row 2"),
        (lambda t: t.reverse(), r"must increase .*got 19.96 after 19.98 in row 2"),
        (lambda t: pl.concat([t[:7], t[6:]]), r"got 0.12 after 0.12 in row 8"),
        (lambda t: t.with_columns(pl.col("time_s").replace(0.1, None)), r"got nan after 0.08 in row 6"),
        (lambda t: t.with_columns(pl.lit("soon").alias("time_s")), r"column 'time_s' must hold numbers: got 'soon' in"),
        (lambda t: t.with_columns(pl.col("time_s") ** 3), "time_s must have regular steps"),
        (lambda t: t.with_columns(pl.col("time_s") + pl.when(pl.col("time_s") > 19).then(1e9).otherwise(0)), "gap"),
    ],
    ids=["all equal", "reversed", "repeated", "empty", "text", "irregular", "far away"],
)  # fmt: skip
@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_times_that_are_no_clock_are_refused(
    spoil: Callable[[Table], Table], message: str, name: str, predict: Callable[..., Prediction], table: Table
) -> None:
    with pytest.raises(FormatError, match=message):
        predict(spoil(table), name)


def edit(row: int, text: str) -> Callable[[str], str]:
    def change(content: str) -> str:
        lines = content.split("\n")
        lines[row] = text
        return "\n".join(lines)

    return change


ROW = "0.04,1,2,3,4,5,6,"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (edit(3, "0.04,1,2,x7,4,5,6,"), r"column 'wrist_acc_z' must hold numbers: got 'x7' in line 4"),
        (edit(3, '0.04,1,2,"3,5",4,5,6,'), r"column 'wrist_acc_z' must hold numbers: got '3,5' in line 4"),
        (edit(3, "0.04,inf,2,3,4,5,6,"), r"column 'wrist_acc_x' must hold numbers: got 'inf' in line 4"),
        (edit(3, "0.04,1e999,2,3,4,5,6,"), "column 'wrist_acc_x' must hold numbers"),
        (edit(3, "0.04,1,2"), r"each line must have 8 fields.*got 3 in line 4"),
        (edit(1, "0.0,1,2"), r"each line must have 8 fields.*got 3 in line 2"),
        (edit(3, ROW + "7,8"), r"each line must have 8 fields.*got 9 in line 4"),
        (edit(900, ROW + "7,8"), r"each line must have 8 fields.*got 9 in line 901"),
        (edit(0, "time_s,wrist_acc_x,wrist_acc_x,c,d,e,f,g"), "columns must be named once each: got 'wrist_acc_x'"),
        (edit(0, "time_s,wrist_acc_x,wrist_acc_x [g],c,d,e,f,g"), "columns must be named once each"),
        (edit(0, ""), "no header"),
        (lambda _: "", "no header"),
        (lambda text: text.encode().replace(b"0.04,", b"\xff\xfe,"), "whole table|UTF-8"),
        (lambda _: bytes(range(256)) * 100, "UTF-8|no header"),
        (lambda _: b"\0" * 4096, "no header"),
    ],
)
def test_a_damaged_text_table_is_refused_by_line(
    change: Callable[[str], Any], message: str, predict: Callable[..., Prediction], table: Table
) -> None:
    with pytest.raises(FormatError, match=message):
        predict(change(table.write_csv()))


@pytest.mark.parametrize("share", [0, 0.001, 0.2, 0.5, 0.9, 0.9999])
def test_a_cut_parquet_file_is_refused(
    share: float, predict: Callable[..., Prediction], table: Table, tmp_path: Path
) -> None:
    table.write_parquet(tmp_path / "whole.parquet")
    content = (tmp_path / "whole.parquet").read_bytes()
    with pytest.raises(FormatError, match=r"whole table: got .*cut\.parquet"):
        predict(content[: int(share * len(content))], "cut.parquet")


@pytest.mark.parametrize("dtype", [pl.List(pl.Float64), pl.Boolean, pl.Date])
def test_a_column_of_another_kind_is_refused(dtype: Any, predict: Callable[..., Prediction], table: Table) -> None:
    with pytest.raises(FormatError, match="column 'wrist_acc_x' must hold numbers"):
        predict(table.with_columns(pl.Series(ACC[0], [None] * len(table), dtype=dtype)), "a.parquet")


def test_only_tables_are_read(predict: Callable[..., Prediction], bundle_file: Path, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"must be a table \(\.csv.*got .*a\.mat"):
        predict(b"MATLAB", "a.mat")
    for path in (tmp_path, tmp_path / "nowhere.csv", Path("/dev/zero")):
        with pytest.raises(MissingError, match="the recording must exist"):
            predict_file(bundle_file, path)


def test_a_table_beyond_memory_is_refused_unread(
    predict: Callable[..., Prediction], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = tmp_path / "packed.parquet"
    pl.DataFrame({name: np.ones(10**6) for name in ACC}).write_parquet(packed)
    monkeypatch.setattr(tables, "MAX_ROWS", 10**6 - 1)
    with pytest.raises(FormatError, match="at most 999999 rows"):
        predict(packed.read_bytes(), "a.parquet", 50)
    monkeypatch.setattr(tables, "MAX_ROWS", 999)
    with pytest.raises(FormatError, match="at most 999 rows"):
        predict(pl.read_parquet(packed).head(1000), "a.csv", 50)


def test_a_rate_must_be_given_once_and_make_sense(predict: Callable[..., Prediction], table: Table) -> None:
    with pytest.raises(MismatchError, match=r"no column 'time_s'.*sampling rate \(--rate-hz\)"):
        predict(table.drop("time_s"))
    with pytest.raises(MismatchError, match="rate_hz must agree with 'time_s': got 100 Hz, the rows are 50 Hz"):
        predict(table, rate_hz=100)
    assert same(predict(table, rate_hz=50), predict(table))
    for rate in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ConfigError, match="rate_hz must be positive"):
            predict(table, rate_hz=rate)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda t: t.head(99).drop("chest_hr"), r"as long as a window: got 1.98 s in 'recording', the model reads 2 s"),
        (lambda t: t.head(1), "must hold values"),
        (lambda t: t.head(0), "must hold values"),
        (lambda t: t.with_columns(pl.lit(None).alias(c) for c in (*ACC, *GYR, "chest_hr")), "must hold values"),
        (
            lambda t: t.select("time_s", *(pl.lit(None).alias(c) if c == ACC[2] else c for c in ACC)),
            "a window must have a branch without gaps",
        ),
        (lambda t: t.select("time_s", *(pl.lit(1e30).alias(c) for c in ACC)), "a sensor can measure"),
        (lambda t: t.select("time_s", *(pl.lit(1e300).alias(c) for c in ACC)), "without gaps"),
    ],
    ids=["short", "one row", "no row", "no value", "no whole triad", "huge", "beyond float32"],
)
@pytest.mark.parametrize("name", ["recording.csv", "recording.parquet"])
def test_a_recording_that_says_nothing_is_refused(
    spoil: Callable[[Table], Table], message: str, name: str, predict: Callable[..., Prediction], table: Table
) -> None:
    with pytest.raises(DataError, match=message):
        predict(spoil(table), name)


@EASY
@given(st.data())
def test_noise_in_a_file_gives_an_answer_or_a_plain_refusal(
    predict: Callable[..., Prediction], table: Table, tmp_path: Path, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(["a.csv", "a.parquet"]))
    small = table.head(150)
    if name == "a.csv":
        content = bytearray(small.write_csv().encode())
    else:
        small.write_parquet(tmp_path / "whole.parquet")
        content = bytearray((tmp_path / "whole.parquet").read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=5)):
        content[place] = data.draw(st.integers(0, 255))
    with suppress(DcdpError):
        assert np.isfinite(predict(bytes(content), name).probabilities).all()


# Recordings in memory


def test_a_recording_with_its_own_units_order_and_labels_is_fitted(bundle: Bundle, recording: Recording) -> None:
    acc = recording.tracks[0]
    signal = replace(acc.signal, unit="g", channels=acc.signal.channels[::-1])
    turned = Track(signal, convert(acc.values[:, ::-1], "m/s2", "g").astype(np.float32), acc.start_s)
    other = replace(recording, tracks=(*recording.tracks[1:], turned), segments=(Segment(0, 5, "a label of its own"),))
    found = predict_recording(bundle, other)
    assert close(found, predict_recording(bundle, recording), 1e-4)
    assert found.notes == ("wrist_acc: converted from g to m/s2",)


def test_a_recording_of_unknown_signals_is_refused(bundle: Bundle, recording: Recording) -> None:
    acc = recording.tracks[0]
    other = Track(replace(acc.signal, name="ankle_acc", channels=("a", "b", "c")), acc.values)
    with pytest.raises(MismatchError, match="at least one branch: got no wrist_acc_x"):
        predict_recording(bundle, replace(recording, tracks=(other,)))
