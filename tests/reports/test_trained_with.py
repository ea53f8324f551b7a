"""What the page says of training: what each method had met of the disturbances, and never what it had not."""

import pytest

from dcdp.reports.trained_with import UNTOLD, trained_with

AUGMENT = {"rotation_deg": 10.0, "placement_dropout": 0.3, "vigour": 0.0, "warp_knots": 4}
NETWORK = {"preset": "base", "branch_dropout": 0.1, "channel_dropout": 0.0, "waveform_dropout": 0.75}


def result(method, *, base=None, places=True, network=NETWORK, augment=AUGMENT):
    robustness = {"absent_modality": {"acc": {}}} | ({"absent_placement": {"wrist": {}}} if places else {})
    config = {"network": network, "augment": augment}
    return {"method": method, "base": base or method, "config": config, "robustness": robustness}


def test_each_method_is_told_once_by_what_acts_on_it():
    results = [result(name) for name in ("dcdp", "tinyhar@ours", "tinyhar@hidden", "tinyhar", "forest", "dcdp")]
    turned = "sensors turned by angles with a standard deviation of 10°"
    assert trained_with(results) == (
        "Every method met the same disturbances. "
        f"dcdp learned with 10 % of branches, up to 75 % of waveforms and 30 % of placements hidden and {turned}; "
        f"tinyhar@ours learned with 30 % of placements hidden and {turned}; "
        f"tinyhar@hidden learned with 10 % of branches and 30 % of placements hidden and {turned}; "
        "tinyhar and forest learned from undisturbed windows."
    )


def test_where_there_is_one_placement_none_was_hidden():
    told = trained_with([result("other name", base="dcdp", places=False)])
    assert "other name learned with 10 % of branches hidden and sensors turned" in told
    assert "placements" not in told
    assert "waveforms" not in told


def test_a_method_without_any_is_said_to_have_none():
    assert trained_with([result("dcdp", network={"branch_dropout": 0.0}, augment={"rotation_deg": 0.0})]).endswith(
        " dcdp learned from undisturbed windows."
    )


@pytest.mark.parametrize("change", [{"network": {"preset": "base"}}, {"augment": {}}])
def test_what_a_result_does_not_tell_is_said_in_general(change):
    assert trained_with([result("forest"), result("dcdp", **change)]) == UNTOLD
    assert trained_with([result("forest", **change)]) != UNTOLD  # it reads neither
