"""Training that was killed, at any moment and however often, ends where undisturbed training ends: to the bit."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from dcdp.augmentation import AugmentConfig
from dcdp.balance import ModulationConfig
from dcdp.checkpoint import load_checkpoint
from dcdp.inference import infer
from dcdp.interruption import Interruption
from dcdp.training import fit

N_EPOCHS = 4
N_STEPS = 5  # an epoch
METHODS = {  # optimiser and modulation, each with all of its memory in use
    "update": ("adamw", ModulationConfig(momentum=0.5, beta=0.5)),
    "own": ("adamw", ModulationConfig(momentum=0.5, momentum_on="coefficient", beta=0.5, acts_on="own")),
    "gradient": ("sgd", ModulationConfig(alpha=2.0, momentum=0.5)),
}


@pytest.fixture
def train(make_network, batches, method):
    """Return ``train(folder, ...)``: everything that is drawn at random is on; gives network and result."""

    def run(folder, how, **options):
        network = make_network(dropout=True)
        optimizer, modulation = METHODS[how]
        settings = method(
            epochs=N_EPOCHS, batch_size=len(batches) // N_STEPS, average=0.9, optimizer=optimizer,
            augment=AugmentConfig(10.0, 0.05), modulation=modulation,
        )  # fmt: skip

        def validate(net):
            right = infer(net, batches).joint.argmax(1) == batches.windows.label
            return {"macro_f1": float(right.mean())}

        result = fit(
            network, batches, *settings, branch_dropout=0.2, seed=3, folder=folder, validate=validate, **options
        )
        return network, result

    return run


def history(folder):
    """Return the lines but for their times."""
    lines = map(json.loads, (folder / "history.jsonl").read_text().splitlines())
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


def assert_same(first, second):
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    assert first.keys() == second.keys()


@pytest.mark.parametrize(
    ("how", "stops"),
    [("update", (1, N_STEPS, 19)), ("own", (3, 4, 2 * N_STEPS)), ("gradient", (N_STEPS + 2, N_STEPS * N_EPOCHS))],
)
def test_stopped_on_request_after_any_step_it_goes_on_to_the_same_end(how, stops, train, tmp_path):
    network, result = train(tmp_path / "whole", how)
    for number, stop in enumerate(stops):
        def ask(done, _total, _text, stop=stop, name=signal.SIGTERM if number % 2 else signal.SIGINT):
            if done == stop:
                os.kill(os.getpid(), name)

        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / "stopped", how, resume=True, progress=ask)
        state, _ = load_checkpoint(tmp_path / "stopped" / "checkpoint.safetensors")
        assert state.step == stop  # the step at hand was finished, no other was begun
    again, resumed = train(tmp_path / "stopped", how, resume=True)
    assert_same(network.state_dict(), again.state_dict())
    assert (resumed.epochs, resumed.steps, resumed.validation) == (result.epochs, result.steps, result.validation)
    assert history(tmp_path / "stopped") == history(tmp_path / "whole")


def test_a_request_during_the_last_validation_is_heard(make_network, batches, method, tmp_path):
    def validate(_network):
        os.kill(os.getpid(), signal.SIGTERM)
        return {"macro_f1": 0.5}

    with pytest.raises(KeyboardInterrupt):
        fit(make_network(), batches, *method(epochs=1), folder=tmp_path, validate=validate)
    result = fit(make_network(), batches, *method(epochs=1), folder=tmp_path, validate=validate, resume=True)
    assert (result.epochs, result.validation) == (1, {"macro_f1": 0.5})


# One process trains; it tells its steps, so that it can be killed between and inside of them.
SCRIPT = """
import sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from dcdp.config import RunConfig
from dcdp.data.synthetic import BodyConfig
from dcdp.experiments.fold_request import FoldRequest
from dcdp.experiments.fold_training import train_fold
from dcdp.experiments.source import load
from dcdp.models.network import NetworkConfig
from dcdp.signals.windows import cut_windows
from dcdp.splits import make_folds
from dcdp.training import TrainingConfig

def train(folder, progress=None):
    body = BodyConfig(
        3, minutes_per_subject=1.5, recordings_per_subject=1, placements=("wrist",), modalities=("acc", "hr")
    )
    config = RunConfig(body=body, network=NetworkConfig("tiny"), training=TrainingConfig(epochs=6, batch_size=12))
    source = load("synthetic", body=body)
    windows = cut_windows(source.store, config.windows)
    fold = make_folds("arena", source.subjects)[0]
    return train_fold(FoldRequest(source, windows, fold, config, 1, "cpu", folder), resume=True, progress=progress)

if __name__ == "__main__":
    train(Path(sys.argv[1]), lambda done, total, _: print(done, total, flush=True))
"""


def kill_at_random(folder: Path, dice: random.Random) -> int:
    """Start training, kill it without warning some random steps and milliseconds later; return steps reached."""
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(folder)], stdout=subprocess.PIPE, text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert process.stdout is not None
    reached, patience = 0, dice.randrange(1, 14)
    for _, line in zip(range(patience), process.stdout, strict=False):
        reached = int(line.split()[0])
    time.sleep(dice.uniform(0, 0.08))
    process.send_signal(signal.SIGKILL)
    process.stdout.close()
    assert process.wait() in (-signal.SIGKILL, 0)  # 0: it was quicker
    return reached


@pytest.mark.slow
def test_killed_without_warning_it_goes_on_to_the_same_end(tmp_path):
    scope = {"__name__": "script"}
    exec(SCRIPT, scope)
    whole, result = scope["train"](tmp_path / "whole")
    dice = random.Random(7)
    reached = [kill_at_random(tmp_path / "killed", dice) for _ in range(3)]
    assert max(reached) > 0
    bundle, resumed = scope["train"](tmp_path / "killed")
    assert_same(whole.network.state_dict(), bundle.network.state_dict())
    assert whole.temperature == bundle.temperature
    assert (resumed.steps, resumed.best_epoch) == (result.steps, result.best_epoch)
    lines = history(tmp_path / "killed")
    assert lines == history(tmp_path / "whole")
    assert [line["step"] for line in lines if line["kind"] == "step"] == list(range(result.steps))
    assert [line["epoch"] for line in lines if line["kind"] == "epoch"] == list(range(result.epochs))
    first, second = (load_file(tmp_path / run / "checkpoint.safetensors") for run in ("whole", "killed"))
    assert_same(first, second)


def test_signals_are_only_noted_and_handlers_come_back():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with Interruption() as interruption:
        assert not interruption.asked
        os.kill(os.getpid(), signal.SIGTERM)
        assert interruption.asked
        os.kill(os.getpid(), signal.SIGTERM)  # a machine that asks twice still gets its checkpoint
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_a_second_ctrl_c_interrupts_at_once():
    with Interruption() as interruption:
        os.kill(os.getpid(), signal.SIGINT)
        assert interruption.asked
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_in_another_thread_nothing_is_changed():
    before, found = signal.getsignal(signal.SIGTERM), []

    def enter():
        with Interruption() as interruption:
            found.append((interruption.asked, signal.getsignal(signal.SIGTERM)))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert found == [(False, before)]
