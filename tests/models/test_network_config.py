"""From a spec and a configuration to branches and their layouts, and what is refused on the way."""

from __future__ import annotations

import pytest

from dcdp.errors import ConfigError, DataError
from dcdp.models.network import PRESETS, NetworkConfig, branches_by, build_network, lay_out, resolve_network
from dcdp.records import Branch, Signal, SignalSpec


def signal(name, rate_hz=50.0, n_channels=3):
    placement, modality = name.split("_")
    return Signal(name, modality, placement, rate_hz, tuple(f"{name}_{i}" for i in range(n_channels)), "1")


NAMES = ("wrist_acc", "wrist_gyr", "ankle_acc", "ankle_gyr")
SPEC = SignalSpec(tuple(map(signal, NAMES)))


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_fills_everything(preset):
    full = resolve_network(NetworkConfig(preset))
    assert full == PRESETS[preset]
    assert None not in [getattr(full, name) for name in full.__slots__]


def test_what_is_given_wins_over_the_preset():
    full = resolve_network(NetworkConfig("tiny", width=7, dropout=0.0))
    assert (full.width, full.dropout, full.widths) == (7, 0.0, PRESETS["tiny"].widths)


@pytest.mark.parametrize("n_stages", [0, 1, 2, 3, 4])
def test_segments_follow_the_number_of_stages(n_stages):
    found = resolve_network(NetworkConfig("tiny", widths=(8,) * n_stages)).segments
    assert len(found) == max(n_stages, 1)
    assert found[-1] == 1  # the embedding has no time axis left


@pytest.mark.parametrize("preset", PRESETS)
def test_saying_what_the_preset_says_changes_nothing(preset):
    assert resolve_network(NetworkConfig(preset, widths=PRESETS[preset].widths)) == PRESETS[preset]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"widths": (), "statistics_width": 0}, "a branch must have a path"),
        ({"segments": (4, 1)}, r"network.segments must have 3 entries .*: got \(4, 1\)"),
        ({"widths": (8, 8), "segments": (4, 1, 1)}, "must have 2 entries"),
        ({"segments": (2, 1, 2)}, "the last of them 1"),
        ({"kernel": 4}, "network.kernel must be odd: got 4"),
        ({"branch_by": "color"}, "network.branch_by must be one of"),
        ({"dropout": 1.0}, r"network.dropout must be in \[0, 1\): got 1.0"),
        ({"branch_dropout": -0.1}, "network.branch_dropout"),
        ({"path_dropout": 2.0}, "network.path_dropout"),
        ({"waveform_dropout": 1.0}, "network.waveform_dropout"),
    ],
)
def test_a_network_that_cannot_be_is_refused(config, message):
    with pytest.raises(ConfigError, match=message):
        resolve_network(NetworkConfig("tiny", **config))


def test_the_paper_has_two_branches_accelerometers_residual_and_the_rest_dense():
    how = resolve_network(NetworkConfig("paper")).branch_by
    spec = SignalSpec((*SPEC.signals, signal("wrist_mag"), signal("chest_ecg", n_channels=1)))
    assert branches_by(spec, how, ()) == (
        Branch("residual", ("wrist_acc", "ankle_acc"), "residual"),
        Branch("dense", ("wrist_gyr", "ankle_gyr", "wrist_mag", "chest_ecg"), "dense"),
    )


def test_the_paper_reads_waveforms_alone():
    layouts = lay_out(SPEC, branches_by(SPEC, "paper", ()), 2.0)
    network = build_network(layouts, 3, NetworkConfig("paper"))
    assert all(encoder.statistics is None for encoder in network.encoders.values())


@pytest.mark.parametrize("places", [("wrist",), ("wrist", "ankle"), ("wrist", "ankle", "chest", "arm", "thigh")])
def test_the_more_places_the_more_often_waveforms_are_hidden(places):
    spec = SignalSpec(tuple(signal(f"{place}_{modality}") for modality in ("acc", "gyr") for place in places))
    layouts = lay_out(spec, branches_by(spec, "modality", ()), 2.0)
    network = build_network(layouts, 3, NetworkConfig(waveform_dropout=0.5))
    found = {encoder.waveform_dropout for encoder in network.encoders.values()}
    assert found == {0.5 * (1 - 1 / len(places))}


def test_branches_by_modality_and_by_placement():
    assert branches_by(SPEC, "modality", ()) == (
        Branch("acc", ("wrist_acc", "ankle_acc"), "residual"), Branch("gyr", ("wrist_gyr", "ankle_gyr"), "dense"),
    )  # fmt: skip
    assert branches_by(SPEC, "placement", ()) == (
        Branch("wrist", ("wrist_acc", "wrist_gyr"), "residual"),
        Branch("ankle", ("ankle_acc", "ankle_gyr"), "residual"),
    )  # fmt: skip


def test_another_rate_is_another_branch():
    spec = SignalSpec((signal("wrist_acc"), signal("chest_hr", 1.0, 1), signal("wrist_gyr"), signal("chest_ecg", 1.0)))
    found = branches_by(spec, "paper", ())
    assert [(branch.name, branch.signals) for branch in found] == [
        ("residual", ("wrist_acc",)), ("dense", ("chest_hr", "chest_ecg")), ("dense_50hz", ("wrist_gyr",)),
    ]  # fmt: skip
    lay_out(spec, found, 3.0)


def test_the_set_decides_by_default():
    declared = (Branch("b", ("wrist_gyr",)), Branch("a", ("wrist_acc",)))
    assert branches_by(SPEC, "set", declared) == declared


@pytest.mark.parametrize(
    ("how", "names"), [("modality", ("wrist_acc", "ankle_acc")), ("paper", ("wrist_gyr", "wrist_mag"))]
)
def test_one_branch_is_not_enough(how, names):
    with pytest.raises(ConfigError, match="at least two branches"):
        branches_by(SignalSpec(tuple(map(signal, names))), how, ())


def test_a_layout_stacks_the_channels_of_its_signals():
    spec = SignalSpec((signal("wrist_acc"), signal("chest_ecg", n_channels=1), signal("ankle_gyr")))
    branch = Branch("all", ("chest_ecg", "ankle_gyr", "wrist_acc"), "dense")
    (layout,) = lay_out(spec, [branch], 2.56)
    assert layout.channels == (*spec["chest_ecg"].channels, *spec["ankle_gyr"].channels, *spec["wrist_acc"].channels)
    assert (layout.n_samples, layout.rate_hz, layout.sizes) == (128, 50.0, (1, 3, 3))
    assert layout.vectors == ((1, "ankle"), (4, "wrist"))


def test_a_slow_sensor_has_one_sample_at_least():
    spec = SignalSpec((signal("chest_hr", 0.2, 1), signal("wrist_acc")))
    layouts = lay_out(spec, [Branch("hr", ("chest_hr",)), Branch("acc", ("wrist_acc",))], 3.0)
    assert [layout.n_samples for layout in layouts] == [1, 150]


def test_signals_of_one_branch_share_a_rate():
    spec = SignalSpec((signal("wrist_acc"), signal("wrist_gyr", 25.0)))
    with pytest.raises(DataError, match=r"signals of branch 'wrist' must share a rate: got \[25.0, 50.0\] Hz"):
        lay_out(spec, [Branch("wrist", ("wrist_acc", "wrist_gyr"))], 3.0)
