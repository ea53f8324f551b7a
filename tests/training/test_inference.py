"""One pass over many windows: in order, whole, and enough to take branches away afterwards."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from dcdp.inference import infer, softmax


@pytest.fixture
def network(make_network, every_window):
    network = make_network(dropout=True)
    batch = every_window.gather(np.arange(len(every_window)))
    for m, (name, encoder) in enumerate(network.encoders.items()):
        encoder.fit(batch.inputs[name][batch.present[:, m]])
    return network


def test_it_is_the_network_itself_in_order(network, every_window):
    found = infer(network.train(), every_window, contrast=True)
    assert not network.training
    batch = every_window.gather(np.arange(len(every_window)))
    with torch.no_grad():
        outputs = network(batch.inputs, batch.present, contrast=True)
    np.testing.assert_allclose(found.joint, outputs.joint, atol=1e-5)
    np.testing.assert_allclose(found.branch, outputs.branch, atol=1e-5)
    np.testing.assert_allclose(found.embedding, outputs.embedding, atol=1e-5)
    assert [stage.shape for stage in found.stages] == [tuple(stage.shape) for stage in outputs.stages]
    np.testing.assert_array_equal(found.present, every_window.present)
    assert infer(network, every_window).stages == ()


def test_the_batch_size_bounds_memory_not_the_result(network, every_window):
    whole, parts = infer(network, every_window), infer(network, every_window, batch_size=7)
    np.testing.assert_allclose(parts.joint, whole.joint, atol=1e-5)
    np.testing.assert_allclose(parts.embedding, whole.embedding, atol=1e-5)


def test_taking_branches_away_is_running_without_them(network, every_window):
    found = infer(network, every_window)
    batch = every_window.gather(np.arange(len(every_window)))
    for used in product((False, True), repeat=3):
        present = batch.present & torch.tensor(used)
        with torch.no_grad():
            expected = network(batch.inputs, present).joint.softmax(-1)
        expected[~present.any(1)] = 1 / 3
        np.testing.assert_allclose(found.without(network, np.array(used)), expected, atol=1e-5)


def test_temperature_flattens_and_keeps_the_order(network, every_window):
    found = infer(network, every_window)
    sharp, flat = found.probability(0.5), found.probability(4.0)
    np.testing.assert_array_equal(sharp.argmax(1), found.joint.argmax(1))
    np.testing.assert_array_equal(flat.argmax(1), found.joint.argmax(1))
    assert (sharp.max(1) >= flat.max(1)).all()
    np.testing.assert_allclose(found.without(network, np.ones(3, bool), 0.5), sharp, atol=1e-5)


def test_softmax_survives_large_logits():
    found = softmax(np.array([[1e4, 0.0], [-1e4, -1e4]]))
    np.testing.assert_array_equal(found, np.array([[1, 0], [0.5, 0.5]], np.float32))
    assert found.dtype == np.float32
