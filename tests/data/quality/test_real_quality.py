"""What is known of the real sets is found, and nothing else is taken for a fault."""

import pytest

from dcdp.data import get_set, open_set
from dcdp.data.archive import open_source
from dcdp.data.quality import judge, measure_store, require_trainable, verdict
from dcdp.errors import MissingError

pytestmark = pytest.mark.data

TORSO_AND_LIMBS = 15  # signals of DSADS


def open_real(name, data_dir, cache):
    try:
        open_source(data_dir, get_set(name).layout)
    except MissingError as err:
        pytest.skip(f"no real {name}: {err}")
    return open_set(name, data_dir, cache)


def facts(findings):
    return [(odd.severity, odd.where, odd.value) for odd in findings]


def test_hapt(data_dir, real_cache):
    store = open_real("hapt", data_dir, real_cache)
    quality = measure_store(store)
    assert facts(judge(quality)) == [("note", "s28", "none of lie_to_sit, stand_to_lie")]
    acc, gyr = quality.signals
    assert 9.8 < acc.rest < 10.2
    assert acc.rest_problem is None
    assert max(frame.angle_deg for frame in acc.frames) < 30  # every phone sat the same way
    assert (gyr.channels[2].low, gyr.channels[2].at_low) == (pytest.approx(-573.44), 17)  # its range: 10 rad/s
    assert quality.copies == ()
    require_trainable(store)


def test_uschad(data_dir, real_cache):
    quality = measure_store(open_real("uschad", data_dir, real_cache))
    (copy,) = quality.copies  # the end of one trial is the start of the next
    assert (copy.recording, copy.other, copy.start_s, copy.other_start_s) == ("s11_a01_t4", "s11_a01_t5", 116.0, 0.0)
    assert (copy.length_s, copy.signals) == (4.0, ("hip_acc", "hip_gyr"))
    found = judge(quality)
    assert verdict(found).word == "fit for training"
    assert facts(found) == [
        ("note", "s11_a01_t4 and s11_a01_t5", "4.0 s of s11, at 116.0 s and at 0.0 s, 1 windows"),
    ]


@pytest.mark.slow
def test_dsads(data_dir, real_cache):
    quality = measure_store(open_real("dsads", data_dir, real_cache))
    shifted = [(copy.recording, copy.other, copy.start_s, copy.other_start_s, round(copy.length_s, 3))
               for copy in quality.copies]  # fmt: skip
    assert shifted == [("a17_p4", "a17_p8", 0.0, 0.4, 299.6), ("a18_p4", "a18_p8", 0.0, 0.4, 299.6)]
    assert {len(copy.signals) for copy in quality.copies} == {TORSO_AND_LIMBS}
    assert quality.n_shared_windows == 4 * 198
    found = judge(quality)
    assert verdict(found).word == "fit with care"
    assert {odd.rule for odd in found} == {"two people never give the same values"}
