"""Checkpoints: all of the state comes back, and what is damaged or of another run is refused."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dcdp.balance import ModulationConfig
from dcdp.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from dcdp.errors import BundleError, StorageError
from dcdp.training import fit

STATE = Checkpoint(3, 70, 2, {"macro_f1": 0.1 + 0.2}, {"branches": {"acc": 1 / 3}}, True, False, 1234, 5.5, "abc")


def tensors():
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(3, 4, generator=generator)
    return {
        "network": {"a.weight": weight, "count": torch.tensor(7), "odd/name": weight.T},
        "mean": {"a.weight": weight},  # shares memory with the network's
        "best": {},
        "modulator": {"base_lr": torch.tensor([0.1], dtype=torch.float64)},
        "optimizer": {"0.step": torch.tensor(70.0), "0.exp_avg": weight.bfloat16()},
    }


def test_everything_comes_back_to_the_bit(tmp_path):
    save_checkpoint(tmp_path / "c.safetensors", STATE, tensors())
    state, found = load_checkpoint(tmp_path / "c.safetensors")
    assert state == STATE
    expected = tensors()
    assert found.keys() == expected.keys()
    for group, own in expected.items():
        assert found[group].keys() == own.keys()
        for name, tensor in own.items():
            assert found[group][name].dtype == tensor.dtype
            assert torch.equal(found[group][name], tensor)


def test_the_old_checkpoint_stays_until_the_new_one_is_whole(tmp_path, monkeypatch):
    path = tmp_path / "c.safetensors"
    save_checkpoint(path, STATE, tensors())
    before = path.read_bytes()

    def fill_the_disk(file, content):
        with file.open("wb") as half:
            half.write(content[: len(content) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fill_the_disk)
    with pytest.raises(StorageError, match="the disk must have room"):
        save_checkpoint(path, replace(STATE, step=99), tensors())
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def cut(data):
    return data[:-10]


def flip(data):
    return data[:-5] + bytes([data[-5] ^ 1]) + data[-4:]


@pytest.mark.parametrize(
    "spoil",
    [cut, flip, lambda _: b"", lambda data: data[:40], lambda _: b"PK\x03\x04 something else", bytes.swapcase],
    ids=["cut", "one bit", "empty", "header only", "another file", "header spoiled"],
)
def test_a_damaged_file_is_refused(spoil, tmp_path):
    path = tmp_path / "c.safetensors"
    save_checkpoint(path, STATE, tensors())
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(BundleError, match=r"a checkpoint must be whole: got '.*c\.safetensors"):
        load_checkpoint(path)


def test_a_model_file_is_no_checkpoint(tmp_path):
    from safetensors.torch import save_file

    save_file({"network/a": torch.zeros(2)}, tmp_path / "c.safetensors", metadata={"dcdp": "{}"})
    with pytest.raises(BundleError, match="a checkpoint must be whole"):
        load_checkpoint(tmp_path / "c.safetensors")


def test_training_refuses_a_damaged_checkpoint(make_network, batches, method, tmp_path):
    fit(make_network(), batches, *method(epochs=1), folder=tmp_path)
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(flip(path.read_bytes()))
    history = (tmp_path / "history.jsonl").read_bytes()
    with pytest.raises(BundleError, match="a checkpoint must be whole"):
        fit(make_network(), batches, *method(epochs=1), folder=tmp_path, resume=True)
    assert (tmp_path / "history.jsonl").read_bytes() == history


@pytest.mark.parametrize(
    ("training", "options"),
    [
        ({"epochs": 3}, {}),
        ({"optimizer": "sgd"}, {}),
        ({"modulation": ModulationConfig(alpha=0.3)}, {}),
        ({}, {"seed": 1}),
        ({}, {"branch_dropout": 0.5}),
    ],
    ids=["epochs", "optimizer", "modulation", "seed", "branch dropout"],
)
def test_training_goes_on_with_its_own_configuration_alone(
    training, options, make_network, batches, method, tmp_path
):
    fit(make_network(), batches, *method(), folder=tmp_path, stop_epoch=1)
    with pytest.raises(BundleError, match="training must go on with the configuration it began with"):
        fit(make_network(), batches, *method(**training), folder=tmp_path, resume=True, **options)


def test_a_checkpoint_of_another_network_is_refused(make_network, batches, method, tmp_path):
    fit(make_network(), batches, *method(), folder=tmp_path, stop_epoch=1)
    other = make_network()
    other.joint[1] = torch.nn.Linear(other.joint[1].in_features, 5)
    with pytest.raises(BundleError, match="training must go on with the configuration it began with"):
        fit(other, batches, *method(), folder=tmp_path, resume=True)


def test_a_fresh_start_forgets_the_old_run(make_network, batches, method, tmp_path):
    fit(make_network(), batches, *method(), folder=tmp_path)

    def stop(*_):
        raise RuntimeError("stopped in the first step")

    with pytest.raises(RuntimeError, match="first step"):
        fit(make_network(), batches, *method(), folder=tmp_path, progress=stop)
    assert not (tmp_path / "checkpoint.safetensors").exists()
    assert (tmp_path / "history.jsonl").read_text().count("\n") <= 1


def test_a_finished_training_only_hands_over_its_weights(make_network, batches, method, tmp_path):
    first = make_network()
    result = fit(first, batches, *method(), folder=tmp_path)
    history = (tmp_path / "history.jsonl").read_bytes()
    again = make_network(seed=8)
    repeated = fit(again, batches, *method(), folder=tmp_path, resume=True, progress=lambda *_: pytest.fail("trained"))
    assert (repeated.epochs, repeated.best_epoch, repeated.steps) == (result.epochs, result.best_epoch, result.steps)
    assert all(torch.equal(a, b) for a, b in zip(first.state_dict().values(), again.state_dict().values(), strict=True))
    assert (tmp_path / "history.jsonl").read_bytes() == history
