from dataclasses import replace

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import f1_score

from dcdp.data.synthetic import BodyConfig, synthetic_body
from dcdp.data.synthetic.activities import CARRIERS, PAIRS
from dcdp.data.synthetic.config import MODALITIES

WINDOW_S, STRIDE_S = 3.0, 3.0
CONFIG = BodyConfig(dropout_rate=0.0)


def window_statistics(body):
    """Mean and spread of each channel in each window: modality -> (N, F); labels and subjects (N,)."""
    features = {modality: [] for modality in MODALITIES}
    labels, subjects = [], []
    for recording in body.recordings:
        for segment in recording.segments:
            for start_s in np.arange(segment.start_s, segment.stop_s - WINDOW_S, STRIDE_S):
                labels.append(segment.label)
                subjects.append(recording.subject)
                for modality, rows in features.items():
                    rows.append(
                        np.concatenate(
                            [
                                statistic(cut(track, start_s), axis=0)
                                for track in recording.tracks
                                if track.signal.modality == modality
                                for statistic in (np.mean, np.std)
                            ]
                        )
                    )
    return {name: np.array(rows) for name, rows in features.items()}, np.array(labels), np.array(subjects)


def cut(track, start_s):
    first = round(start_s * track.signal.rate_hz)
    return track.values[first : first + round(WINDOW_S * track.signal.rate_hz)]


def macro_f1_on_new_people(make_classifier, features, labels, subjects, n_groups=4):
    group = np.array([int(subject[1:]) % n_groups for subject in subjects])
    predicted = np.empty_like(labels)
    for held_out in range(n_groups):
        test = group == held_out
        predicted[test] = make_classifier().fit(features[~test], labels[~test]).predict(features[test])
    return f1_score(labels, predicted, average="macro")


def linear():
    return LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.1)


def forest():
    return RandomForestClassifier(40, random_state=0)


@pytest.fixture(scope="module")
def plain():
    return window_statistics(synthetic_body(CONFIG))


@pytest.fixture(scope="module")
def dominated():
    return {
        strength: window_statistics(synthetic_body(replace(CONFIG, dominance=strength)))
        for strength in (0.5, 1.0)
    }


@pytest.mark.parametrize(("pair", "carrier"), PAIRS.items())
def test_one_modality_tells_a_pair_apart_and_the_others_do_not(plain, pair, carrier):
    features, labels, subjects = plain
    chosen = np.isin(labels, pair)
    found = {
        modality: macro_f1_on_new_people(linear, rows[chosen], labels[chosen], subjects[chosen])
        for modality, rows in features.items()
    }
    assert found.pop(carrier) > 0.8
    assert max(found.values()) < 0.65, found


@pytest.mark.parametrize("activity", [name for name in CARRIERS if not any(name in pair for pair in PAIRS)])
def test_its_carriers_tell_an_activity_from_all_others(plain, activity):
    features, labels, subjects = plain
    carried = np.hstack([features[modality] for modality in CARRIERS[activity]])
    assert macro_f1_on_new_people(forest, carried, labels == activity, subjects) > 0.85


def test_all_modalities_together_are_neither_easy_nor_hopeless_and_beat_each_alone(plain):
    features, labels, subjects = plain
    together = macro_f1_on_new_people(forest, np.hstack(list(features.values())), labels, subjects)
    assert 0.85 < together < 0.97
    for rows in features.values():
        assert 0.2 < macro_f1_on_new_people(forest, rows, labels, subjects) < together - 0.1


def in_sample_accuracy(rows, labels):
    return linear().fit(rows, labels).score(rows, labels)


def test_dominance_lifts_the_dominant_modality_and_lowers_the_weak_ones(plain, dominated):
    courses = [plain, *dominated.values()]
    found = {m: [in_sample_accuracy(f[m], labels) for f, labels, _ in courses] for m in MODALITIES}
    assert found["acc"][-1] > found["acc"][0] + 0.15
    for weak in ("gyr", "mag", "hr"):
        assert found[weak][-1] < found[weak][0], (weak, found[weak])
        assert (np.diff(np.subtract(found["acc"], found[weak])) > 0.02).all(), (weak, found)


def test_the_dominant_modality_is_complete_on_known_people_and_wanting_on_new_ones(dominated):
    features, labels, subjects = dominated[1.0]
    half = np.arange(len(labels)) % 2 == 0
    known = forest().fit(features["acc"][half], labels[half]).score(features["acc"][~half], labels[~half])
    new = macro_f1_on_new_people(forest, features["acc"], labels, subjects)
    assert known > 0.95
    assert new < known - 0.1
    together = macro_f1_on_new_people(forest, np.hstack(list(features.values())), labels, subjects)
    assert together > new + 0.04


@pytest.mark.parametrize("dominant", ["gyr", "mag"])
def test_another_modality_can_dominate(plain, dominant):
    body = synthetic_body(replace(CONFIG, dominance=1.0, dominant=dominant))
    assert body.truth.dominant == dominant
    features, labels, _ = window_statistics(body)
    found = {modality: in_sample_accuracy(rows, labels) for modality, rows in features.items()}
    led = found.pop(dominant)
    assert led > in_sample_accuracy(plain[0][dominant], labels) + 0.05
    assert led > max(found.values()) + 0.07, found


@pytest.mark.parametrize("weak", ["gyr", "mag"])
def test_the_weak_cue_is_a_phase_between_channels_shared_by_all_people(weak):
    config = replace(CONFIG, n_subjects=2, noise=0.0)
    plain, strong = synthetic_body(config), synthetic_body(replace(config, dominance=1.0))
    lags = {}
    for before, after in zip(plain.recordings, strong.recordings, strict=True):
        wave = after.track(f"wrist_{weak}").values - before.track(f"wrist_{weak}").values
        rate_hz = after.track(f"wrist_{weak}").signal.rate_hz
        for segment in after.segments:
            part = wave[round(segment.start_s * rate_hz) + 1 : round(segment.stop_s * rate_hz) - 1]
            np.testing.assert_allclose(part.std(axis=0), part.std(), rtol=0.1)  # as loud everywhere
            lags.setdefault(segment.label, []).append(np.corrcoef(part.T)[np.triu_indices(3, 1)].round() + 0.0)
    assert all((np.array(seen) == seen[0]).all() for seen in lags.values())
    assert len({tuple(seen[0]) for seen in lags.values()}) > 3


def test_without_dominance_nothing_dominates():
    assert synthetic_body(BodyConfig(n_subjects=1, minutes_per_subject=3)).truth.dominant is None
