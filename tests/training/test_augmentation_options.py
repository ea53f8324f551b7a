"""Every option of the augmentation: what it keeps, what it may change, that the seed decides, and that off is off."""

from __future__ import annotations

import signal as signal_module
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dcdp.augmentation import AugmentConfig, augment
from dcdp.augmentation.mixing import partners
from dcdp.augmentation.warp import smooth_curves, time_maps
from dcdp.batches import Batch
from dcdp.errors import ConfigError
from dcdp.models.network import lay_out
from dcdp.records import Branch, Signal, SignalSpec
from dcdp.training import fit


def signal(name, rate_hz, n_channels=3, unit="1"):
    placement, modality = name.split("_")
    return Signal(name, modality, placement, rate_hz, tuple(f"{name}_{i}" for i in range(n_channels)), unit)


SPEC = SignalSpec(
    (
        signal("wrist_acc", 20.0, unit="m/s2"), signal("wrist_mag", 20.0), signal("wrist_gyr", 12.5, unit="deg/s"),
        signal("ankle_acc", 20.0, unit="m/s2"), signal("chest_hr", 1.0, 1, "bpm"),
    )
)  # fmt: skip
BRANCHES = (
    Branch("wrist", ("wrist_acc", "wrist_mag")), Branch("gyr", ("wrist_gyr",)), Branch("ankle", ("ankle_acc",)),
    Branch("hr", ("chest_hr",)),
)  # fmt: skip
LAYOUTS = lay_out(SPEC, BRANCHES, 3.0)
NAMES = tuple(layout.branch.name for layout in LAYOUTS)
OFF = AugmentConfig(0.0)
ON = {
    "rotation_deg": 20.0, "gain": 0.1, "flip": 0.6, "jitter": 0.2, "jitter_mps2": 0.3, "jitter_dps": 2.0,
    "drift_mps2": 0.3, "drift_dps": 2.0,
    "time_warp": 0.5, "magnitude_warp": 0.3, "channel_dropout": 0.3, "signal_dropout": 0.4, "modality_dropout": 0.4,
    "vigour": 0.3,
    "placement_dropout": 0.4,
    "mixing": 0.8,
}  # fmt: skip
EVERYTHING = replace(OFF, **ON)
EACH = pytest.mark.parametrize("option", ON)
quick = settings(max_examples=25, deadline=None, derandomize=True)
seeds = st.integers(0, 2**31)


def batch_of(n_windows=12, seed=0, absent=0.0):
    """Return windows with an offset in every channel, of three subjects and two labels, some branches absent."""
    generator = torch.Generator().manual_seed(seed)
    present = torch.rand(n_windows, len(LAYOUTS), generator=generator) >= absent
    present[:, 2] |= ~present.any(1)
    inputs = {}
    for m, layout in enumerate(LAYOUTS):
        shape = (n_windows, len(layout.channels), layout.n_samples)
        x = torch.randn(shape, generator=generator) + 3 * torch.randn(*shape[:2], 1, generator=generator)
        inputs[layout.branch.name] = x.masked_fill(~present[:, m].view(-1, 1, 1), torch.nan)
    return Batch(inputs, present, torch.randint(0, 2, (n_windows,), generator=generator))


def subjects_of(batch):
    return np.array(["ann", "bob", "cyd"])[np.arange(len(batch)) % 3]


def run(batch, config, seed=0):
    torch.manual_seed(seed)
    return augment(batch, LAYOUTS, config, subjects_of(batch))


def same(one, other):
    return torch.equal(one.present, other.present) and all(same_values(one.inputs[n], other.inputs[n]) for n in NAMES)


def same_values(one, other):
    return torch.equal(one.isnan(), other.isnan()) and torch.equal(one.nan_to_num(), other.nan_to_num())


def copied(batch):
    return Batch({n: x.clone() for n, x in batch.inputs.items()}, batch.present.clone(), batch.label.clone())


@EACH
def test_the_seed_decides_both_ways_and_the_original_stays(option):
    batch, config = batch_of(32, absent=0.2), replace(OFF, **{option: ON[option]})
    before = copied(batch)
    first, again, other = (run(batch, config, seed) for seed in (3, 3, 4))
    assert same(first, again)
    assert not same(first, other)
    assert not same(first, batch)
    assert same(batch, before)


@EACH
def test_each_option_is_off_by_default_and_then_draws_nothing(option):
    assert getattr(AugmentConfig(), option) == (10.0 if option == "rotation_deg" else 0.0)
    batch = batch_of()
    torch.manual_seed(0)
    before = torch.get_rng_state()
    assert augment(batch, LAYOUTS, replace(EVERYTHING, **dict.fromkeys(ON, 0.0))) is batch
    assert torch.equal(torch.get_rng_state(), before)


@quick
@given(seed=seeds, names=st.sets(st.sampled_from(sorted(ON)), min_size=1), absent=st.sampled_from([0.0, 0.5]))
def test_labels_shapes_types_and_absence_are_kept(seed, names, absent):
    batch = batch_of(9, seed % 97, absent)
    found = run(batch, replace(OFF, **{name: ON[name] for name in names}), seed)
    assert found.label is batch.label
    assert not (found.present & ~batch.present).any()  # what was absent stays absent
    assert found.present.any(1).all()  # and something is left
    for m, name in enumerate(NAMES):
        x = found.inputs[name]
        assert (x.shape, x.dtype) == (batch.inputs[name].shape, torch.float32)
        gone = x.isnan()
        assert torch.equal(gone.any(-1), gone.all(-1))  # a channel is whole or absent
        assert x[~gone].isfinite().all()
        assert gone[~batch.present[:, m]].all()
        assert not x.requires_grad


@quick
@given(seed=seeds, rotation_deg=st.sampled_from([0.0, 15.0, 120.0]))
def test_turning_keeps_norms_and_the_angles_between_sensors_of_one_placement(seed, rotation_deg):
    batch = batch_of(seed=seed % 89)
    found = run(batch, replace(OFF, rotation_deg=rotation_deg, flip=0.5), seed)
    before, after = batch.inputs["wrist"], found.inputs["wrist"]
    acc, mag = slice(0, 3), slice(3, 6)
    torch.testing.assert_close(after[:, acc].norm(dim=1), before[:, acc].norm(dim=1))
    products = [(x[:, acc] * x[:, mag]).sum(1) for x in (before, after)]
    torch.testing.assert_close(products[1], products[0], rtol=1e-4, atol=1e-4)
    assert torch.equal(found.inputs["hr"], batch.inputs["hr"])


def test_a_flip_turns_two_axes_round_and_hits_as_often_as_asked():
    batch = batch_of(3000)
    found = run(batch, replace(OFF, flip=0.4))
    sign = torch.sign(found.inputs["ankle"] * batch.inputs["ankle"])
    assert torch.equal(sign, sign[..., :1].expand_as(sign))
    assert (sign[..., 0].prod(1) == 1).all()  # a turn, no mirror
    kinds, counts = sign[..., 0].unique(dim=0, return_counts=True)
    assert len(kinds) == 4
    turned = (kinds < 0).any(1)
    assert counts[turned].sum().item() / 3000 == pytest.approx(0.4, abs=0.03)
    assert counts[turned].min() / counts[turned].max() > 0.8
    torch.testing.assert_close(found.inputs["ankle"].abs(), batch.inputs["ankle"].abs())
    wrist = [torch.sign(found.inputs[n] * batch.inputs[n])[:, :3, 0] for n in ("wrist", "gyr")]
    assert torch.equal(*wrist)  # of one placement, though in two branches


@quick
@given(seed=seeds, strength=st.floats(0.01, 3.0), n_knots=st.integers(2, 12))
def test_time_maps_rise_from_begin_to_end(seed, strength, n_knots):
    torch.manual_seed(seed)
    maps = time_maps(5, strength, n_knots)
    assert (maps.diff(dim=1) >= 0).all()
    assert torch.equal(maps[:, 0], torch.zeros(5))
    torch.testing.assert_close(maps[:, -1], torch.ones(5))


@quick
@given(seed=seeds, strength=st.floats(0.01, 3.0))
def test_a_time_warp_keeps_the_range_and_the_order(seed, strength):
    batch = batch_of(seed=seed % 83)
    config = replace(OFF, time_warp=strength)
    found = run(batch, config, seed)
    for name in NAMES:
        low, high = torch.aminmax(batch.inputs[name], dim=-1, keepdim=True)
        assert (found.inputs[name] >= low - 1e-5).all()
        assert (found.inputs[name] <= high + 1e-5).all()
    ramps = {lay.branch.name: torch.arange(lay.n_samples).float().expand(12, len(lay.channels), -1) for lay in LAYOUTS}
    warped = run(Batch(ramps, batch.present, batch.label), config, seed)
    assert all((x.diff(dim=-1) >= 0).all() for x in warped.inputs.values())


def test_all_branches_of_a_window_share_one_clock():
    batch = batch_of()
    clock = {
        lay.branch.name: (torch.arange(lay.n_samples) / lay.rate_hz).expand(12, len(lay.channels), -1)
        for lay in LAYOUTS
    }
    found = run(Batch(clock, batch.present, batch.label), replace(OFF, time_warp=0.4)).inputs
    fast, slow = found["wrist"][:, 0], found["hr"][:, 0]  # at 20 Hz and at 1 Hz: each value is the time it is read at
    torch.testing.assert_close(fast[:, [0, 20]], slow[:, [0, 1]], atol=1e-4, rtol=0)
    both = found["gyr"][:, 0, [0, 5, 10, 15, 20]]  # 12.5 Hz: 0, 0.4, 0.8 s ...
    torch.testing.assert_close(found["ankle"][:, 0, [0, 8, 16, 24, 32]], both, atol=1e-4, rtol=0)
    assert (fast - clock["wrist"][:, 0]).abs().mean() > 0.05
    assert not torch.allclose(fast[0], fast[1], atol=1e-2)


def test_a_window_begins_and_ends_where_it_did_and_a_faint_warp_is_none():
    layouts = lay_out(SignalSpec((signal("arm_emg", 100.0, 2), signal("chest_hr", 1.0, 1))), (
        Branch("emg", ("arm_emg",)), Branch("hr", ("chest_hr",)),
    ), 3.0)  # fmt: skip
    clock = {lay.branch.name: (torch.arange(lay.n_samples) / lay.rate_hz).expand(50, 2, -1) for lay in layouts}
    batch = Batch(clock, torch.ones(50, 2, dtype=torch.bool), torch.zeros(50, dtype=torch.long))
    for strength, apart_s in ((0.3, 0.03), (1e-6, 1e-4)):
        torch.manual_seed(0)
        found = augment(batch, layouts, replace(OFF, time_warp=strength)).inputs["emg"]
        ends = (found - clock["emg"])[..., [0, -1]].abs().max()
        assert ends < apart_s
    torch.testing.assert_close(found, clock["emg"], atol=1e-4, rtol=0)


def test_the_pace_spreads_as_asked():
    torch.manual_seed(0)
    pace = (time_maps(4000, 0.2, 2).diff(dim=1) * 128).log()
    ends = pace[:, 0] - pace[:, -1]  # the stretch to the whole window drops out: two knots, sqrt(2) * 0.2
    assert ends.std().item() == pytest.approx(0.2 * 2**0.5, rel=0.05)


def test_curves_pass_their_knots_and_stay_between_them():
    knots = torch.randn(50, 5, generator=torch.Generator().manual_seed(0))
    assert torch.equal(smooth_curves(knots, torch.linspace(0, 1, 5)), knots)
    curve = smooth_curves(knots, torch.linspace(0, 1, 81))
    for k in range(4):
        part, ends = curve[:, 20 * k : 20 * k + 21], knots[:, k : k + 2]
        assert (part >= ends.amin(1, keepdim=True) - 1e-5).all()
        assert (part <= ends.amax(1, keepdim=True) + 1e-5).all()
    assert curve.diff(n=2, dim=1).abs().max() < 0.05  # no corners


def test_a_magnitude_warp_is_one_smooth_positive_gain_a_sensor():
    batch = batch_of(200)
    found = run(batch, replace(OFF, magnitude_warp=0.3))
    ratio = found.inputs["wrist"] / batch.inputs["wrist"]
    assert (ratio > 0).all()
    for sensor in (slice(0, 3), slice(3, 6)):
        torch.testing.assert_close(ratio[:, sensor], ratio[:, sensor][:, :1].expand(-1, 3, -1), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(ratio[:, 0], ratio[:, 3], atol=0.05)
    assert ratio.log().diff(dim=-1).abs().max() < 0.3
    assert ratio[..., 0].log().std().item() == pytest.approx(0.3, rel=0.1)


def test_vigour_scales_the_movement_and_leaves_posture_and_pulse():
    batch = batch_of(300)
    found = run(batch, replace(OFF, vigour=0.3))
    swing, before = (b.inputs["ankle"] - b.inputs["ankle"].mean(-1, keepdim=True) for b in (found, batch))
    factor = swing.std(-1) / before.std(-1)
    torch.testing.assert_close(factor, factor[:, :1].expand_as(factor), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(found.inputs["ankle"].mean(-1), batch.inputs["ankle"].mean(-1), rtol=1e-4, atol=1e-4)
    assert factor[:, 0].log().std().item() == pytest.approx(0.3, rel=0.15)
    gyr = found.inputs["gyr"].std(-1) / batch.inputs["gyr"].std(-1)
    torch.testing.assert_close(gyr[:, 0], factor[:, 0], rtol=1e-3, atol=1e-3)  # one factor for the whole body
    assert torch.equal(found.inputs["hr"], batch.inputs["hr"])


def test_jitter_follows_the_spread_of_the_channel():
    batch = batch_of(3000)
    batch.inputs["ankle"] *= torch.tensor([0.01, 1.0, 100.0]).view(1, 3, 1)
    batch.inputs["gyr"][:] = 5.0  # stands still
    found = run(batch, replace(OFF, jitter=0.2))
    noise = (found.inputs["ankle"] - batch.inputs["ankle"]).std(-1) / batch.inputs["ankle"].std(-1)
    torch.testing.assert_close(noise.square().mean(0).sqrt(), torch.full((3,), 0.2), rtol=0.05, atol=0)
    one, other = (noise / 0.2)[:, :2].T.numpy()  # one strength a window, |n|
    assert np.corrcoef(one, other)[0, 1] > 0.9
    assert stats.kstest(one, stats.halfnorm.cdf).statistic < 0.04
    assert torch.equal(found.inputs["gyr"], batch.inputs["gyr"])


def test_jitter_in_units_goes_to_the_sensors_of_that_unit():
    batch = batch_of(3000)
    found = run(batch, replace(OFF, jitter_mps2=0.5))
    noise = {name: (found.inputs[name] - batch.inputs[name]).std().item() for name in NAMES}
    assert noise["ankle"] == pytest.approx(0.5, rel=0.05)
    assert (noise["gyr"], noise["hr"]) == (0, 0)
    wrist = (found.inputs["wrist"] - batch.inputs["wrist"]).std((0, 2))
    torch.testing.assert_close(wrist[:3], torch.full((3,), 0.5), rtol=0.05, atol=0)
    torch.testing.assert_close(wrist[3:], torch.zeros(3), rtol=0, atol=1e-6)
    found = run(batch, replace(OFF, jitter_dps=3.0))
    assert (found.inputs["gyr"] - batch.inputs["gyr"]).std().item() == pytest.approx(3.0, rel=0.05)
    assert torch.equal(found.inputs["ankle"], batch.inputs["ankle"])


def test_drift_begins_at_nothing_and_ends_as_far_off_as_asked():
    batch = batch_of(3000)
    found = run(batch, replace(OFF, drift_mps2=0.5))
    error = found.inputs["ankle"] - batch.inputs["ankle"]
    torch.testing.assert_close(error[..., 0], torch.zeros(3000, 3), rtol=0, atol=1e-5)
    torch.testing.assert_close(error[..., -1].std(0), torch.full((3,), 0.5), rtol=0.08, atol=0)
    assert error.diff(dim=-1).abs().max() < 0.25 * error.abs().max()  # slow
    one, other = error[:, 0, -1], error[:, 1, -1]  # each axis for itself, in a window that drifts much or little
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.1
    assert np.corrcoef(one.abs(), other.abs())[0, 1] > 0.2
    assert all(torch.equal(found.inputs[name], batch.inputs[name]) for name in ("gyr", "hr"))
    assert torch.equal(found.inputs["wrist"][:, 3:], batch.inputs["wrist"][:, 3:])
    found = run(batch, replace(OFF, drift_dps=3.0))
    assert (found.inputs["gyr"] - batch.inputs["gyr"])[..., -1].std().item() == pytest.approx(3.0, rel=0.08)
    assert torch.equal(found.inputs["ankle"], batch.inputs["ankle"])


def test_a_lost_branch_is_absent_and_its_channels_are_nan():
    batch = batch_of(400, absent=0.2)
    found = run(batch, replace(OFF, signal_dropout=0.3))
    ankle = NAMES.index("ankle")
    lost = batch.present[:, ankle] & ~found.present[:, ankle]
    assert found.inputs["ankle"][lost].isnan().all()
    kept = found.present[:, ankle]
    assert torch.equal(found.inputs["ankle"][kept], batch.inputs["ankle"][kept])
    assert lost.sum() / batch.present[:, ankle].sum() == pytest.approx(0.3, abs=0.06)


def test_half_a_branch_may_go_without_the_branch():
    batch = batch_of(400)
    found = run(batch, replace(OFF, signal_dropout=0.3))
    still = found.inputs["wrist"].isnan().all(-1)
    acc, mag = still[:, :3].all(1), still[:, 3:].all(1)
    assert torch.equal(still[:, :3].any(1), acc)  # a sensor goes as a whole
    assert (acc & ~mag).any()
    assert (mag & ~acc).any()
    assert found.present[:, 0][acc ^ mag].all()
    assert not found.present[:, 0][acc & mag].any()


def test_a_modality_goes_everywhere_at_once():
    batch = batch_of(400)
    found = run(batch, replace(OFF, modality_dropout=0.3))
    wrist_acc, ankle = (found.inputs[n][:, :3].isnan().all((1, 2)) for n in ("wrist", "ankle"))
    assert torch.equal(wrist_acc, ankle)
    assert 0.2 < wrist_acc.float().mean() < 0.4


def test_a_placement_goes_with_all_of_its_sensors():
    batch = batch_of(400)
    found = run(batch, replace(OFF, placement_dropout=0.3))
    gone = {layout.branch.name: found.inputs[layout.branch.name].isnan().all(-1) for layout in LAYOUTS}
    seen: dict[str, list[torch.Tensor]] = {}
    for layout in LAYOUTS:
        first = 0
        for placement, size in zip(layout.placements, layout.sizes, strict=True):
            seen.setdefault(placement, []).extend(gone[layout.branch.name][:, first : first + size].unbind(1))
            first += size
    assert len(seen) > 1
    for channels in seen.values():
        assert all(torch.equal(channels[0], other) for other in channels)
        assert 0.2 < channels[0].float().mean() < 0.4


def test_a_window_that_would_lose_everything_keeps_everything():
    batch = batch_of(50, absent=0.5)
    found = run(batch, replace(OFF, signal_dropout=1.0))
    assert same(found, batch)


def test_single_channels_fall_silent_without_a_branch_going():
    batch = batch_of(500)
    found = run(batch, replace(OFF, channel_dropout=0.25))
    assert torch.equal(found.present, batch.present)
    still = found.inputs["wrist"].isnan().all(-1)
    assert still.float().mean().item() == pytest.approx(0.25, abs=0.03)
    assert not torch.equal(still[:, 0], still[:, 1])


def test_partners_do_the_same_thing_and_are_someone_else():
    batch = batch_of(300)
    subject = subjects_of(batch)
    torch.manual_seed(0)
    other = partners(batch.label, subject, 0.7)
    mixed = other >= 0
    assert mixed.float().mean().item() == pytest.approx(0.7, abs=0.08)
    assert torch.equal(batch.label[other[mixed]], batch.label[mixed])
    assert (subject[other[mixed].numpy()] != subject[mixed.numpy()]).all()
    assert len(other[mixed].unique()) > 80  # not always the same one


def test_who_is_alone_with_an_activity_stays_as_it_is():
    batch = batch_of(8)
    batch.label[:] = torch.tensor([0, 0, 1, 1, 1, 1, 1, 1])
    subject = np.array(["ann", "ann", "ann", "bob", "ann", "bob", "ann", "bob"])
    torch.manual_seed(0)
    found = augment(batch, LAYOUTS, replace(OFF, mixing=1.0), subject)
    for name in NAMES:
        assert torch.equal(found.inputs[name][:2], batch.inputs[name][:2])
    assert not torch.equal(found.inputs["ankle"][2:], batch.inputs["ankle"][2:])


def test_mixing_moves_level_and_spread_between_two_people_and_keeps_the_course():
    batch = batch_of(2)
    batch.label[:] = 1
    torch.manual_seed(5)
    found = augment(batch, LAYOUTS, replace(OFF, mixing=1.0), np.array(["ann", "bob"]))
    x, y = batch.inputs["wrist"], found.inputs["wrist"]
    share = (y.mean(-1) - x.mean(-1)) / (x.flip(0).mean(-1) - x.mean(-1))
    assert (share > 0).all()
    assert (share < 1).all()
    torch.testing.assert_close(share, share[:, :1].expand_as(share), rtol=1e-2, atol=1e-2)  # one weight a window
    expected = x.std(-1) + share * (x.flip(0).std(-1) - x.std(-1))
    torch.testing.assert_close(y.std(-1), expected, rtol=1e-3, atol=1e-3)
    course = [(z - z.mean(-1, keepdim=True)) / z.std(-1, keepdim=True) for z in (x, y)]
    torch.testing.assert_close(*course, rtol=1e-3, atol=1e-3)


def test_the_weight_of_the_partner_is_uniform():
    batch = batch_of(400)
    batch.label[:] = 0
    subject = np.repeat(["ann", "bob"], 200)
    level = torch.from_numpy(subject == "bob").float().view(-1, 1, 1)
    batch.inputs["ankle"] = batch.inputs["ankle"] * 0 + level
    torch.manual_seed(0)
    moved = (augment(batch, LAYOUTS, replace(OFF, mixing=1.0), subject).inputs["ankle"] - level)[:, 0, 0].abs()
    assert stats.kstest(moved.numpy(), "uniform").pvalue > 0.01


def test_mixing_does_not_blow_up_the_noise_of_a_still_sensor():
    batch = batch_of(2)
    batch.label[:] = 1
    batch.inputs["ankle"][0] *= 1e-4
    found = run(batch, replace(OFF, mixing=1.0))
    assert found.inputs["ankle"][0].std(-1).max() < 1e-3


def test_mixing_leaves_a_branch_that_either_lacks():
    batch = batch_of(2)
    batch.label[:] = 1
    batch.present[1, 0] = False
    found = run(batch, replace(OFF, mixing=1.0))
    assert torch.equal(found.inputs["wrist"], batch.inputs["wrist"])
    assert not torch.equal(found.inputs["ankle"], batch.inputs["ankle"])


def test_mixing_without_subjects_is_refused():
    with pytest.raises(ConfigError, match="mixing needs the subjects: got none"):
        augment(batch_of(), LAYOUTS, replace(OFF, mixing=0.5))


@pytest.mark.parametrize("option", [name for name in ON if name != "mixing" and not name.endswith("dropout")])
def test_a_window_does_not_depend_on_the_values_of_the_others(option):
    config = replace(OFF, **{option: ON[option]})
    batch = batch_of()
    changed = copied(batch)
    for x in changed.inputs.values():
        x[1:] *= -3
    one, other = (run(each, config) for each in (batch, changed))
    assert all(torch.equal(one.inputs[n][0], other.inputs[n][0]) for n in NAMES)


def test_a_training_with_everything_on_repeats_itself_and_ignores_the_micro_batches(make_network, batches, method):
    everything = AugmentConfig(**ON)
    weights = []
    for accumulate, seed in ((1, 3), (1, 3), (4, 3), (1, 4)):
        network = make_network()
        fit(network, batches, *method(augment=everything, accumulate=accumulate, optimizer="sgd"), seed=seed)
        weights.append(torch.cat([p.flatten() for p in network.parameters()]).detach())
    assert torch.equal(weights[0], weights[1])
    torch.testing.assert_close(weights[2], weights[0], rtol=1e-3, atol=1e-5)
    assert not torch.allclose(weights[3], weights[0], rtol=1e-3, atol=1e-5)


def test_training_tells_who_each_window_is_from(make_network, batches, method, monkeypatch):
    told = []

    def watch(batch, layouts, config, subject):
        told.append((batch.label.numpy(), subject))
        return augment(batch, layouts, config, subject)

    monkeypatch.setattr("dcdp.training.loop.augment", watch)
    fit(make_network(), batches, *method(epochs=1), seed=2)
    order = np.random.default_rng((2, 0)).permutation(len(batches))[: 24 * len(told)]
    assert len(told) == len(batches) // 24
    np.testing.assert_array_equal(np.concatenate([label for label, _ in told]), batches.windows.label[order])
    np.testing.assert_array_equal(np.concatenate([who for _, who in told]), batches.windows.subject[order])


def test_a_broken_training_with_everything_on_goes_on_to_the_bit(make_network, batches, method, tmp_path):
    options = method(augment=AugmentConfig(**ON), epochs=2)
    whole = make_network(dropout=True)
    fit(whole, batches, *options, seed=1)

    def break_off(done, *_):
        if done == 2:
            signal_module.raise_signal(signal_module.SIGINT)

    broken = make_network(dropout=True)
    with pytest.raises(KeyboardInterrupt):
        fit(broken, batches, *options, seed=1, folder=tmp_path, progress=break_off)
    again = make_network(dropout=True)
    fit(again, batches, *options, seed=1, folder=tmp_path, resume=True)
    found, expected = again.state_dict(), whole.state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
