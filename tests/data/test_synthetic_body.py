from dataclasses import replace

import numpy as np
import pytest

from dcdp.data.synthetic import BodyConfig, synthetic_body
from dcdp.data.synthetic.activities import ACTIVITIES, JOINTS, offsets, swings
from dcdp.data.synthetic.config import RATES_HZ
from dcdp.errors import ConfigError

SMALL = BodyConfig(n_subjects=2, minutes_per_subject=4.0)


@pytest.fixture(scope="module")
def body():
    return synthetic_body(SMALL)


def same(one, other):
    return np.array_equal(one.values, other.values, equal_nan=True)


def test_tracks_have_their_rates_lengths_and_channels(body):
    assert len(body.recordings) == 4
    for recording in body.recordings:
        assert tuple(track.signal.name for track in recording.tracks) == body.spec.names
        for track in recording.tracks:
            assert track.signal.rate_hz == RATES_HZ[track.signal.modality]
            assert track.values.shape == (120 * track.signal.rate_hz, 1 if track.signal.modality == "hr" else 3)
            assert track.values.dtype == np.float32
            assert track.stop_s == 120


def test_the_spec_names_one_sensor_per_place_and_one_heart_rate(body):
    assert len(body.spec) == 3 * 3 + 1
    assert body.spec["chest_hr"].channels == ("chest_hr",)
    assert body.spec["wrist_acc"].channels == ("wrist_acc_x", "wrist_acc_y", "wrist_acc_z")
    assert [branch.name for branch in body.branches] == ["acc", "gyr", "mag", "hr"]
    assert body.branches[0].signals == ("wrist_acc", "chest_acc", "ankle_acc")
    assert [branch.encoder for branch in body.branches] == ["residual", "dense", "dense", "dense"]


def test_every_recording_holds_every_activity_once_inside_its_length(body):
    for recording in body.recordings:
        assert sorted(segment.label for segment in recording.segments) == sorted(body.labels.names)
        assert recording.segments[0].start_s >= 0
        assert recording.segments[-1].stop_s == pytest.approx(120)
        gaps = [b.start_s - a.stop_s for a, b in zip(recording.segments, recording.segments[1:], strict=False)]
        np.testing.assert_allclose(gaps, 2.4)
    orders = {tuple(segment.label for segment in recording.segments) for recording in body.recordings}
    assert len(orders) == len(body.recordings)


def test_signals_stay_in_plausible_ranges(body):
    limits = {"acc": (0.5, 80), "gyr": (1, 900), "mag": (10, 80), "hr": (45, 205)}
    for recording in body.recordings:
        for track in recording.tracks:
            strength = np.linalg.norm(track.values, axis=1)
            low, high = limits[track.signal.modality]
            assert np.nanmax(strength) < high
            assert np.nanmedian(strength) > low


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(body):
    again, other = synthetic_body(SMALL), synthetic_body(replace(SMALL, seed=1))
    for one, two, three in zip(body.recordings, again.recordings, other.recordings, strict=True):
        assert one.segments == two.segments
        assert one.segments != three.segments
        for a, b, c in zip(one.tracks, two.tracks, three.tracks, strict=True):
            assert same(a, b)
            assert not same(a, c)


def test_people_differ_and_a_person_stays_the_same_among_more_people(body):
    first, _, second, _ = body.recordings
    assert (first.subject, second.subject) == ("s01", "s02")
    assert not same(first.tracks[0], second.tracks[0])
    alone = synthetic_body(replace(SMALL, n_subjects=1))
    assert all(same(a, b) for a, b in zip(first.tracks, alone.recordings[0].tracks, strict=True))


def test_a_sensor_reads_the_same_whichever_others_are_worn(body):
    less = synthetic_body(replace(SMALL, placements=("ankle",), modalities=("mag", "hr")))
    assert less.spec.names == ("ankle_mag", "chest_hr")
    assert less.truth.carriers["turning_left"] == ()
    assert less.truth.pairs == {("reading", "watching"): "mag", ("cycling_easy", "cycling_hard"): "hr"}
    for full, part in zip(body.recordings, less.recordings, strict=True):
        for track in part.tracks:
            assert same(full.track(track.signal.name), track)


def test_heart_rate_alone_needs_no_placement_sensor():
    body = synthetic_body(BodyConfig(n_subjects=1, minutes_per_subject=3, modalities=("hr",)))
    assert body.spec.names == ("chest_hr",)


def test_a_dead_signal_is_stuck_and_the_others_are_as_before(body):
    dead = synthetic_body(replace(SMALL, dead_signal="wrist_gyr"))
    assert dead.truth.dead_signal == "wrist_gyr"
    for alive, stuck in zip(body.recordings, dead.recordings, strict=True):
        for before, after in zip(alive.tracks, stuck.tracks, strict=True):
            if before.signal.name == "wrist_gyr":
                assert (np.ptp(after.values, axis=0) == 0).all()
                assert np.ptp(before.values[~np.isnan(before.values).any(axis=1)], axis=0).min() > 10
            else:
                assert same(before, after)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3])
def test_dropouts_lose_the_share_that_was_asked_for(share):
    body = synthetic_body(replace(SMALL, dropout_rate=share))
    lost = {s.modality: [] for s in body.spec}
    for recording in body.recordings:
        for track in recording.tracks:
            lost[track.signal.modality].append(np.isnan(track.values).mean())
    for modality, shares in lost.items():
        assert np.mean(shares) == pytest.approx(share, abs=0.02), modality


def test_without_noise_every_sensor_obeys_physics():
    body = synthetic_body(replace(SMALL, n_subjects=1, noise=0.0, dropout_rate=0.0))
    for recording in body.recordings:
        for track in recording.tracks:
            if track.signal.modality == "mag":
                np.testing.assert_allclose(np.linalg.norm(track.values, axis=1), np.hypot(20, 44), rtol=1e-5)
        lying = next(segment for segment in recording.segments if segment.label == "lying")
        rows = slice(round(lying.start_s * 50) + 1, round(lying.stop_s * 50) - 1)
        strength = np.linalg.norm(recording.track("chest_acc").values[rows], axis=1)
        np.testing.assert_allclose(strength, 9.81, atol=0.25)


def test_twins_are_declared_to_move_alike():
    names = [activity.name for activity in ACTIVITIES]
    for first, second in synthetic_body(SMALL).truth.pairs:
        one, two = names.index(first), names.index(second)
        np.testing.assert_array_equal(offsets()[one], offsets()[two])
        np.testing.assert_array_equal(swings()[one], swings()[two])
        assert ACTIVITIES[one].cadence_hz == ACTIVITIES[two].cadence_hz
    assert all(set(activity.rest) | set(activity.swing) <= set(JOINTS) for activity in ACTIVITIES)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n_subjects": 0}, r"n_subjects must lie in \[1, 10000\]: got 0"),
        ({"seed": -1}, "seed must lie in"),
        ({"dominance": 1.5}, r"dominance must lie in \[0, 1\]: got 1.5"),
        ({"dropout_rate": 0.9}, "dropout_rate must lie in"),
        ({"noise": float("nan")}, "noise must lie in .*: got nan"),
        ({"minutes_per_subject": 1.0}, "minutes per recording must lie in .*: got 0.5"),
        ({"recordings_per_subject": 0}, "recordings_per_subject must lie in"),
        ({"placements": ("wrst",)}, "placement must be one of .* Did you mean 'wrist'"),
        ({"modalities": ()}, "each modality must be named once, and at least one"),
        ({"modalities": ("acc", "acc")}, "each modality must be named once"),
        ({"dominant": "ac"}, "dominant modality must be one of .* Did you mean 'acc'"),
        ({"dominant": "mag", "dominance": 0.5, "modalities": ("acc", "gyr")}, "dominant modality must be one of"),
        ({"dominant": "hr"}, "dominant modality must be one of acc, gyr, mag"),
        ({"dominance": 0.5, "modalities": ("hr",)}, "dominant modality must be one of"),
        ({"dead_signal": "wrist_gry"}, "dead signal must be one of .* Did you mean 'wrist_gyr'"),
    ],
)
def test_a_wrong_knob_is_refused(wrong, message):
    with pytest.raises(ConfigError, match=message):
        BodyConfig(**wrong)
