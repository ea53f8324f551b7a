"""Whether a finished fold can be read back, and whether it is of the people that its split has today."""

from __future__ import annotations

import json

import numpy as np
import pytest

from dcdp.evaluation import score
from dcdp.experiments.fold_file import DONE, PREDICTIONS, devices_of, read_finished, split_differences
from dcdp.splits import Split

SCORES = score([0, 1], np.eye(2), ["s1", "s1"], ["sit", "walk"])
FOLD = Split("arena", "s1", train=("s3", "s4"), validation=("s2",), test=("s1",))


@pytest.fixture
def folder(tmp_path):
    """Return the folder of a finished fold."""
    (tmp_path / DONE).write_text(json.dumps({"scores": SCORES}))
    np.savez_compressed(tmp_path / PREDICTIONS, label=np.arange(900), probability=np.random.default_rng(0).random(900))
    return tmp_path


def test_a_whole_fold_is_read(folder):
    assert read_finished(folder) == {"scores": SCORES}
    assert read_finished(folder, ["seconds"]) is None


@pytest.mark.parametrize(
    "left", ['{"scores": {"macro', "{}", "[]", "", "\x00\x00", '{"scores": {}}', '{"scores": 1}', None]
)
def test_a_fold_without_scores_is_not_finished(left, folder):
    (folder / DONE).unlink()
    if left is not None:
        (folder / DONE).write_text(left)
    assert read_finished(folder) is None


@pytest.mark.parametrize("harm", ["cut", "empty", "missing", "other", "one byte"])
def test_a_fold_whose_predictions_do_not_open_is_not_finished(harm, folder):
    path = folder / PREDICTIONS
    whole = path.read_bytes()
    if harm == "missing":
        path.unlink()
    elif harm == "one byte":  # in the midst of the last array
        middle = len(whole) // 2
        path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :])
    else:
        path.write_bytes({"cut": whole[:500], "empty": b"", "other": b"text"}[harm])
    assert read_finished(folder) is None


def test_other_people_are_named_by_part_whatever_their_order():
    assert split_differences(None, FOLD) == []
    assert split_differences(FOLD.facts() | {"train": ["s4", "s3"]}, FOLD) == []
    other = {"train": ["s3", "s5"], "validation": ["s2", "s4"], "test": ["s1"]}
    assert split_differences(other, FOLD) == ["train with s5 and without s4", "validation with s4"]


def test_other_sessions_of_the_same_people_are_a_difference():
    sessions = {"train": (("s1", "1"),), "validation": (("s1", "2"),), "test": (("s1", "3"),)}
    fold = Split("official", "test", ("s1",), ("s1",), ("s1",), sessions)
    facts = json.loads(json.dumps(fold.facts()))
    assert split_differences(facts, fold) == []
    facts["sessions"]["test"] = [["s1", "4"]]
    assert split_differences(facts, fold) == ["test with s1 4 and without s1 3"]


def test_several_devices_are_all_named():
    assert devices_of([{"device": "cuda"}, {"device": "cpu"}, {}], "cpu") == "cpu+cuda"
    assert devices_of([{}, {}], "cuda") == "cuda"
