"""dcdp features: a table of the windows of the built-in body."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from dcdp.cli import main
from dcdp.data import memory_store
from dcdp.data.synthetic import BodyConfig, synthetic_body
from dcdp.experiments.source import DataSource
from dcdp.models.features import extract_features
from dcdp.signals.windows import WindowConfig, cut_windows


@pytest.fixture(autouse=True)
def small_body(monkeypatch: pytest.MonkeyPatch) -> DataSource:
    made = synthetic_body(BodyConfig(n_subjects=2, minutes_per_subject=3))
    source = DataSource("synthetic", memory_store(made.spec, made.labels, made.recordings), made.branches)
    monkeypatch.setattr("dcdp.experiments.source.load", lambda *_, **__: source)
    return source


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_the_table_holds_who_where_what_and_the_features(
    suffix: str, tmp_path: Path, small_body: DataSource, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / f"table.{suffix}"
    assert main(["features", "synthetic", "--out", str(out), "--stride-s", "3"]) == 0
    table = pl.read_parquet(out) if suffix == "parquet" else pl.read_csv(out, infer_schema_length=None)
    windows = cut_windows(small_body.store, WindowConfig(3.0, 3.0))
    values, names = extract_features(small_body.store, windows)
    assert table.columns == ["subject", "recording", "start_s", "label", *names]
    assert table["subject"].to_list() == windows.subject.tolist()
    assert table["start_s"].to_list() == windows.start_s.tolist()
    assert table["label"].to_list() == [windows.label_set.names[i] for i in windows.label]
    names_of = [entry.name for entry in small_body.store.recordings]
    assert table["recording"].to_list() == [names_of[i] for i in windows.recording]
    assert len(set(table["recording"])) > 1
    np.testing.assert_allclose(table.select(names).to_numpy(), values, rtol=1e-6)
    assert f"{len(windows)} windows, {len(names)} features" in capsys.readouterr().out


def test_windows_and_statistics_are_those_asked_for(tmp_path: Path) -> None:
    tables = {}
    for statistics, window_s in (("base", "3"), ("extended", "6")):
        out = tmp_path / f"{statistics}.parquet"
        words = ["--statistics", statistics, "--window-s", window_s, "--stride-s", window_s]
        assert main(["features", "synthetic", "--out", str(out), *words]) == 0
        tables[statistics] = pl.read_parquet(out)
    assert set(tables["base"].columns) < set(tables["extended"].columns)
    assert len(tables["base"]) > 1.4 * len(tables["extended"])


def test_a_file_is_not_written_over_unless_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "table.parquet"
    out.write_bytes(b"mine")
    assert main(["features", "synthetic", "--out", str(out)]) == 2
    assert "a table must be a new file" in capsys.readouterr().err
    assert out.read_bytes() == b"mine"
    assert main(["features", "synthetic", "--out", str(out), "--force"]) == 0
    assert pl.read_parquet(out).height > 0


def test_a_kind_of_file_that_is_not_known_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["features", "synthetic", "--out", str(tmp_path / "table.xlsx")]) == 2
    assert "a table must end in .parquet or .csv" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


