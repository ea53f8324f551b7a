"""A batch in parts gives the gradient of the whole, contrast between windows included."""

from __future__ import annotations

import json

import pytest
import torch

from dcdp.balance import ModulationConfig
from dcdp.batches import Batch
from dcdp.objectives import ObjectiveConfig
from dcdp.training import fit


class DoubleBatches:
    """The same windows in double precision, so that what differs is the mathematics and not the rounding."""

    def __init__(self, batches):
        self.batches, self.layouts, self.device = batches, batches.layouts, batches.device
        self.windows = batches.windows

    def __len__(self):
        return len(self.batches)

    def gather(self, index):
        batch = self.batches.gather(index)
        return Batch({name: x.double() for name, x in batch.inputs.items()}, batch.present, batch.label)


@pytest.mark.parametrize(
    ("accumulate", "optimizer", "acts_on"),
    [(2, "sgd", "gradient"), (4, "adamw", "update"), (5, "adamw", "own"), (100, "sgd", "own")],
)
def test_parts_train_like_the_whole(accumulate, optimizer, acts_on, make_network, batches, method):
    found = {}
    for parts in (1, accumulate):
        settings = method(
            objective=ObjectiveConfig(contrast=1.0),
            modulation=ModulationConfig(alpha=2.0, beta=0.5, momentum=0.5, acts_on=acts_on),
            epochs=1, batch_size=18, accumulate=parts, optimizer=optimizer,
        )  # fmt: skip
        network = make_network().double()
        fit(network, DoubleBatches(batches), *settings)
        found[parts] = network.state_dict()
    for name, expected in found[1].items():
        torch.testing.assert_close(found[accumulate][name], expected, rtol=1e-6, atol=1e-7, msg=name)


def test_contrast_still_sees_the_whole_batch(make_network, batches, method, tmp_path):
    losses = []
    for parts in (1, 6):
        folder = tmp_path / str(parts)
        settings = method(objective=ObjectiveConfig(contrast=1.0), epochs=1, batch_size=24, accumulate=parts)
        fit(make_network(), batches, *settings, folder=folder)
        losses.append(json.loads((folder / "history.jsonl").read_text().splitlines()[0])["loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_both_passes_over_a_part_hide_the_same(make_network, batches, method):
    """With dropout the second pass must draw what the first one drew, or the gradient belongs to other outputs."""
    network, outputs = make_network(dropout=True), []
    network.register_forward_hook(lambda _, __, out: outputs.append(out.joint.detach()) if network.training else None)
    fit(network, batches, *method(epochs=1, batch_size=90, accumulate=3))
    first, second = outputs[:3], outputs[3:]
    assert len(second) == 3
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
