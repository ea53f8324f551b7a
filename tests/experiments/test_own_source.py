"""Described recordings as a source of data: branches, split, and a run that finds them again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

import dcdp
from dcdp.config import RunConfig
from dcdp.data.synthetic import BodyConfig, synthetic_body
from dcdp.errors import ConfigError, MissingError
from dcdp.experiments.finished_run import evaluate_run
from dcdp.experiments.run import train_run
from dcdp.experiments.run_folder import RunRequest
from dcdp.experiments.source import load
from dcdp.records import Branch

DESCRIPTION = """
name = "mine"
[[devices]]
name = "watch"
files = "{subject}.parquet"
placement = "wrist"
time = { column = "t" }
rate_hz = 50
[[devices.signals]]
modality = "acc"
columns = ["wrist_acc_x", "wrist_acc_y", "wrist_acc_z"]
[[devices.signals]]
modality = "gyr"
columns = ["wrist_gyr_x", "wrist_gyr_y", "wrist_gyr_z"]
[labels]
file = "{subject}.csv"
stop = "stop"
[split]
train = ["s01", "s02"]
validation = ["s03"]
test = ["s04"]
"""


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four people of the built-in body as tables of one's own. Copy before changing."""
    folder = tmp_path_factory.mktemp("own") / "mine"
    folder.mkdir()
    config = BodyConfig(n_subjects=4, minutes_per_subject=2.5, recordings_per_subject=1, placements=("wrist",),
                        modalities=("acc", "gyr"))  # fmt: skip
    for recording in synthetic_body(config).recordings:
        columns = {"t": [i / 50 for i in range(len(recording.tracks[0].values))]}
        for track in recording.tracks:
            columns |= {name: track.values[:, i] for i, name in enumerate(track.signal.channels)}
        pl.DataFrame(columns, nan_to_null=True).write_parquet(folder / f"{recording.subject}.parquet")
        rows = [(s.start_s, s.stop_s, s.label) for s in recording.segments]
        labels = pl.DataFrame(rows, schema=["start", "stop", "label"], orient="row")
        labels.write_csv(folder / f"{recording.subject}.csv")
    (folder / "dcdp.toml").write_text(DESCRIPTION, encoding="utf-8")
    return folder


def test_a_description_is_a_source(made: Path, tmp_path: Path) -> None:
    for name in (made, str(made), made / "dcdp.toml"):
        source = load(name, cache=tmp_path)
        assert (source.name, source.subjects) == ("mine", ("s01", "s02", "s03", "s04"))
    assert source.branches == (Branch("acc", ("wrist_acc",)), Branch("gyr", ("wrist_gyr",), "dense"))
    assert source.official == {"train": ("s01", "s02"), "validation": ("s03",), "test": ("s04",)}
    assert len(source.labels) == 10
    assert dcdp.cut_windows(dcdp.load(str(made), cache=tmp_path)).label_set == source.labels


def test_branches_may_be_given_and_a_split_must_not_share_people(made: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    shutil.copytree(made, folder)
    text = DESCRIPTION + '[[branches]]\nname = "all"\nsignals = ["wrist_acc", "wrist_gyr"]\n'
    (folder / "dcdp.toml").write_text(text, encoding="utf-8")
    assert load(folder, cache=tmp_path).branches == (Branch("all", ("wrist_acc", "wrist_gyr")),)
    (folder / "dcdp.toml").write_text(DESCRIPTION.replace('["s04"]', '["s04", "s01"]'), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"the parts of \[split\] must not share a person: got s01"):
        load(folder, cache=tmp_path)


def test_what_is_neither_a_set_nor_described_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="the description must exist"):
        load(tmp_path)
    with pytest.raises(ConfigError, match=r"data set must be one of .*got 'walks'"):
        load("walks")
    with pytest.raises(MissingError, match=r"the description must exist: got 'walks.toml'"):
        load("walks.toml")


@pytest.mark.slow
def test_a_run_finds_its_recordings_again_where_they_lie_now(
    made: Path, tmp_path: Path, make_config: Callable[..., RunConfig]
) -> None:
    folder, out = tmp_path / "mine", tmp_path / "run"
    shutil.copytree(made, folder)
    request = RunRequest(str(folder), out, split="official", cache=tmp_path / "cache", seed=5)
    result = train_run(request, make_config())
    assert result["data"] == "mine"
    assert result["split"]["folds"][0]["test"] == ["s04"]
    stored = json.loads((out / "result.json").read_text(encoding="utf-8"))
    assert stored["config"]["described"] == str(folder / "dcdp.toml")
    again = evaluate_run(out, cache=tmp_path / "cache")
    assert again["test"]["macro_f1"] == stored["test"]["macro_f1"]
    folder.rename(tmp_path / "moved")
    with pytest.raises(MissingError, match=r"--data says where it lies now"):
        evaluate_run(out, cache=tmp_path / "cache")
    moved = evaluate_run(out, tmp_path / "moved", cache=tmp_path / "cache")
    assert moved["test"]["macro_f1"] == stored["test"]["macro_f1"]
