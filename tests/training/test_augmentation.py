"""Rotation and gain: physical, shared where sensors share a mounting, and reproducible."""

from __future__ import annotations

import math

import pytest
import torch

from dcdp.augmentation import AugmentConfig, augment, random_rotations
from dcdp.batches import Batch
from dcdp.errors import ConfigError
from dcdp.models.network import lay_out
from dcdp.records import Branch, Signal, SignalSpec


def signal(name, n_channels=3):
    placement, modality = name.split("_")
    return Signal(name, modality, placement, 20.0, tuple(f"{name}_{i}" for i in range(n_channels)), "1")


SPEC = SignalSpec(
    (signal("wrist_acc"), signal("wrist_gyr"), signal("ankle_acc"), signal("chest_hr", 1), signal("arm_emg", 2))
)
BY_MODALITY = (Branch("acc", ("wrist_acc", "ankle_acc")), Branch("gyr", ("wrist_gyr",)), Branch("hr", ("chest_hr",)))
MIXED = (Branch("emg_wrist", ("arm_emg", "wrist_acc", "chest_hr")), Branch("gyr", ("wrist_gyr",)))


def inputs_of(layouts, n_windows=7):
    generator = torch.Generator().manual_seed(1)
    return {
        lay.branch.name: torch.randn(n_windows, len(lay.channels), lay.n_samples, generator=generator)
        for lay in layouts
    }


def run(layouts, inputs, config, seed=0):
    torch.manual_seed(seed)
    return augment(batch_of(layouts, inputs), layouts, config).inputs


def batch_of(layouts, inputs):
    n_windows = len(next(iter(inputs.values())))
    present = torch.ones(n_windows, len(layouts), dtype=torch.bool)
    return Batch(inputs, present, torch.zeros(n_windows, dtype=torch.long))


def turn_of(before, after):
    """Solve for the (B, 3, 3) matrices that take (B, 3, T) to (B, 3, T)."""
    return torch.linalg.lstsq(before.mT, after.mT).solution.mT


@pytest.mark.parametrize("deg", [1.0, 10.0, 90.0])
def test_rotations_are_rotations(deg):
    turns = random_rotations(500, deg).double()
    torch.testing.assert_close(turns @ turns.mT, torch.eye(3).double().expand(500, 3, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(torch.linalg.det(turns), torch.ones(500).double(), atol=1e-5, rtol=0)


def test_angles_spread_as_asked_about_uniform_axes():
    turns = random_rotations(4000, 10.0)
    cosine = (turns.diagonal(dim1=1, dim2=2).sum(1) - 1) / 2
    assert torch.rad2deg(cosine.clamp(-1, 1).acos()).square().mean().sqrt() == pytest.approx(10.0, rel=0.05)
    twist = turns - turns.mT
    axis = torch.stack([twist[:, 2, 1], twist[:, 0, 2], twist[:, 1, 0]], 1)
    torch.testing.assert_close(axis.mean(0) / axis.std(), torch.zeros(3), atol=0.06, rtol=0)
    assert axis.std(0).max() / axis.std(0).min() < 1.1


@pytest.mark.parametrize("branches", [BY_MODALITY, MIXED], ids=["vectors alone", "mixed"])
def test_norms_are_kept_and_windows_turn_differently(branches):
    layouts = lay_out(SPEC, branches, 2.0)
    inputs = inputs_of(layouts)
    found = run(layouts, inputs, AugmentConfig(20.0))
    turns = []
    for layout in layouts:
        for first, _ in layout.vectors:
            before, after = (x[layout.branch.name][:, first : first + 3] for x in (inputs, found))
            torch.testing.assert_close(after.norm(dim=1), before.norm(dim=1))
            turns.append(turn_of(before, after))
    assert not torch.allclose(turns[0][0], turns[0][1], atol=1e-2)


def test_sensors_of_one_placement_turn_together():
    layouts = lay_out(SPEC, BY_MODALITY, 2.0)
    inputs = inputs_of(layouts)
    found = run(layouts, inputs, AugmentConfig(20.0))
    wrist_acc = turn_of(inputs["acc"][:, :3], found["acc"][:, :3])
    ankle_acc = turn_of(inputs["acc"][:, 3:], found["acc"][:, 3:])
    wrist_gyr = turn_of(inputs["gyr"], found["gyr"])
    torch.testing.assert_close(wrist_acc, wrist_gyr, atol=1e-4, rtol=0)
    assert not torch.allclose(wrist_acc, ankle_acc, atol=1e-2)


@pytest.mark.parametrize("branches", [BY_MODALITY, MIXED], ids=["own branch", "mixed"])
def test_what_is_no_vector_is_not_turned(branches):
    layouts = lay_out(SPEC, branches, 2.0)
    inputs = inputs_of(layouts)
    found = run(layouts, inputs, AugmentConfig(45.0))
    for layout in layouts:
        name = layout.branch.name
        vector = {c for first, _ in layout.vectors for c in range(first, first + 3)}
        others = [c for c in range(len(layout.channels)) if c not in vector]
        assert torch.equal(found[name][:, others], inputs[name][:, others])


def test_a_body_without_vectors_is_left_alone():
    layouts = lay_out(SPEC, (Branch("hr", ("chest_hr",)), Branch("emg", ("arm_emg",))), 2.0)
    inputs = inputs_of(layouts)
    found = run(layouts, inputs, AugmentConfig(45.0))
    assert all(torch.equal(found[name], inputs[name]) for name in inputs)


def test_gain_is_one_factor_a_sensor_and_window():
    layouts = lay_out(SPEC, MIXED, 2.0)
    inputs = inputs_of(layouts, 300)
    found = run(layouts, inputs, AugmentConfig(0.0, gain=0.1))
    factors = []
    for layout in layouts:
        name, start = layout.branch.name, 0
        assert found[name].shape == inputs[name].shape
        for size in layout.sizes:
            ratio = (found[name] / inputs[name])[:, start : start + size].flatten(1)
            torch.testing.assert_close(ratio, ratio[:, :1].expand_as(ratio), atol=1e-4, rtol=1e-4)
            factors.append(ratio[:, 0])
            start += size
    assert torch.stack(factors).std() == pytest.approx(0.1, rel=0.1)
    assert not torch.allclose(factors[0], factors[1], atol=1e-3)


def test_the_seed_decides_and_the_originals_stay():
    layouts = lay_out(SPEC, BY_MODALITY, 2.0)
    inputs = inputs_of(layouts)
    kept = {name: x.clone() for name, x in inputs.items()}
    config = AugmentConfig(20.0, 0.1)
    first, again, other = (run(layouts, inputs, config, seed) for seed in (3, 3, 4))
    assert all(torch.equal(first[name], again[name]) for name in inputs)
    assert not torch.equal(first["hr"], other["hr"])
    assert not torch.equal(first["acc"], other["acc"])
    assert all(torch.equal(inputs[name], kept[name]) for name in inputs)


def test_nothing_asked_nothing_changed():
    layouts = lay_out(SPEC, BY_MODALITY, 2.0)
    inputs = inputs_of(layouts)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    batch = batch_of(layouts, inputs)
    found = augment(batch, layouts, AugmentConfig(0.0, 0.0))
    assert found is batch
    assert all(found.inputs[name] is inputs[name] for name in inputs)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rotation_deg": -1.0}, "augment values must be >= 0: got -1.0 for rotation_deg"),
        ({"gain": -0.1}, "augment values must be >= 0"),
        ({"jitter": math.nan}, "augment values must be >= 0: got nan for jitter"),
        ({"time_warp": math.inf}, "augment values must be >= 0"),
        ({"mixing": 1.5}, r"augment.mixing must be in \[0, 1\]: got 1.5"),
        ({"flip": 2.0}, r"augment.flip must be in \[0, 1\]"),
        ({"warp_knots": 1}, "augment.warp_knots must be from 2 to 64: got 1"),
    ],
)
def test_values_that_mean_nothing_are_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        AugmentConfig(**values)
