"""A disturbed store: the right signals, by the right amount, whoever asks in whatever order."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcdp.data.corrupted import PACKET_S, CorruptedStore, devices_of
from dcdp.data.declaration import inertial_signal
from dcdp.data.store import Store, memory_store
from dcdp.errors import ConfigError
from dcdp.records import LabelSet, Recording, Segment, Signal, SignalSpec, Track
from dcdp.signals.corruptions import CORRUPTIONS
from dcdp.signals.windows import WindowConfig, cut_windows

SPEC = SignalSpec((
    inertial_signal("wrist", "acc", 20.0),
    inertial_signal("wrist", "gyr", 20.0),
    inertial_signal("chest", "acc", 10.0),
    Signal("chest_hr", "hr", "chest", 1.0, ("chest_hr",), "bpm"),
))  # fmt: skip
LABELS = LabelSet(("walk",), "null")
SPREAD = {signal.name: np.full(len(signal.channels), 2.0) for signal in SPEC}
NAMES = sorted(CORRUPTIONS)


def recording(number, subject, seconds=60, signals=SPEC.signals, gap=None):
    rng, tracks = np.random.default_rng(number), []
    for signal in signals:
        values = rng.normal(size=(round(seconds * signal.rate_hz), len(signal.channels))).astype(np.float32)
        if gap is not None and signal.name == "chest_acc":
            values[slice(*gap)] = np.nan
        tracks.append(Track(signal, values))
    return Recording(f"r{number}", subject, "1", tuple(tracks), (Segment(0.0, seconds, "walk"),))


@pytest.fixture(scope="module")
def store():
    return memory_store(SPEC, LABELS, [
        recording(1, "a"), recording(2, "b", gap=(200, 240)), recording(3, "a", signals=SPEC.signals[:2]),
    ])  # fmt: skip


@pytest.fixture(scope="module")
def windows(store):
    return cut_windows(store, WindowConfig(window_s=3.0, stride_s=1.5))


def corrupted(store, name, severity=None, **options):
    severity = CORRUPTIONS[name].severities[-1] if severity is None else severity
    return CorruptedStore(store, name, severity, **{"spread": SPREAD} | options)


def everything(store, windows):
    return store.gather(windows, np.arange(len(windows)))


@pytest.mark.parametrize("name", NAMES)
def test_severity_0_is_the_store_bit_for_bit(name, store, windows):
    clean, same = everything(store, windows), everything(corrupted(store, name, 0.0), windows)
    assert all(same[signal].tobytes() == clean[signal].tobytes() for signal in SPEC.names)
    assert corrupted(store, name, 0.0).mark_absent(windows) is windows


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=15)
@given(order=st.randoms(use_true_random=False), size=st.integers(1, 40))
def test_any_order_and_size_of_batches_gives_the_same_windows(name, store, windows, order, size):
    disturbed = corrupted(store, name, seed=4)
    whole = everything(disturbed, windows)
    index = list(range(len(windows)))
    order.shuffle(index)
    again = corrupted(store, name, seed=4)
    for start in range(0, len(index), size):
        part = np.array(index[start : start + size])
        batch = again.gather(windows, part)
        for signal in SPEC.names:
            np.testing.assert_array_equal(batch[signal], whole[signal][part])
    half = windows.take(np.arange(0, len(windows), 2))  # other windows of the same places, too
    for signal, values in everything(corrupted(store, name, seed=4), half).items():
        np.testing.assert_array_equal(values, whole[signal][::2])
    marked = disturbed.mark_absent(windows)
    np.testing.assert_array_equal(disturbed.mark_absent(half).present, marked.present[::2])


@pytest.mark.parametrize("name", NAMES)
def test_only_the_named_signals_are_touched(name, store, windows):
    clean = everything(store, windows)
    disturbed = corrupted(store, name, signals=["chest_acc"])
    found = everything(disturbed, windows)
    for signal in ("wrist_acc", "wrist_gyr", "chest_hr"):
        np.testing.assert_array_equal(found[signal], clean[signal])
    assert not np.array_equal(found["chest_acc"], clean["chest_acc"])
    marked = disturbed.mark_absent(windows)
    np.testing.assert_array_equal(marked.present[:, [0, 1, 3]], windows.present[:, [0, 1, 3]])
    np.testing.assert_array_equal(marked.label, windows.label)
    np.testing.assert_array_equal(marked.subject, windows.subject)


@pytest.mark.parametrize("name", NAMES)
def test_the_store_beneath_and_absent_signals_stay_as_they_are(name, windows, tmp_path):
    recordings = [recording(1, "a"), recording(2, "b", gap=(200, 240)), recording(3, "a", signals=SPEC.signals[:2])]
    Store.write(tmp_path / "store", SPEC, LABELS, recordings)
    files = {path: path.read_bytes() for path in sorted((tmp_path / "store").iterdir())}
    beneath = Store.open(tmp_path / "store")
    clean = everything(beneath, windows)
    found = everything(corrupted(beneath, name), windows)
    assert {path: path.read_bytes() for path in sorted((tmp_path / "store").iterdir())} == files
    assert all((everything(beneath, windows)[signal] == clean[signal]).all() for signal in SPEC.names)
    for column, signal in enumerate(SPEC.names):
        absent = ~windows.present[:, column]
        assert (found[signal][absent] == clean[signal][absent]).all()
    assert (~windows.present[:, 2]).any()


@pytest.mark.parametrize("name", [name for name in NAMES if name != "rate"])
def test_another_seed_draws_other_disturbances(name, store, windows):
    one, other = (everything(corrupted(store, name, seed=seed), windows) for seed in (0, 1))
    assert any(not np.array_equal(one[signal], other[signal]) for signal in SPEC.names)
    again = everything(corrupted(store, name, seed=0), windows)
    assert all(np.array_equal(one[signal], again[signal]) for signal in SPEC.names)


@pytest.mark.parametrize("name", ["noise", "lost"])
def test_windows_that_share_samples_share_what_happened_to_them(name, store, windows):
    found = everything(corrupted(store, name), windows)["wrist_acc"]
    one, next_ = 0, 1
    assert windows.recording[one] == windows.recording[next_]
    shared = (one, slice(30, None)), (next_, slice(None, 30))
    if name == "noise":
        np.testing.assert_array_equal(found[shared[0]], found[shared[1]])
    else:  # what the second holds at its beginning is all that differs
        assert (found[shared[0]][10:] == found[shared[1]][10:]).all()


def test_noise_bias_and_drift_are_a_share_of_the_training_spread(store, windows):
    whole = windows.take(windows.present.all(1))
    clean = everything(store, whole)
    noise = everything(corrupted(store, "noise", 0.5), whole)["wrist_gyr"] - clean["wrist_gyr"]
    assert noise.std() == pytest.approx(1.0, rel=0.05)
    spread = SPREAD | {"wrist_acc": np.array([1.0, 2.0, 4.0])}
    bias = everything(corrupted(store, "bias", 0.25, spread=spread), whole)["wrist_acc"] - clean["wrist_acc"]
    np.testing.assert_allclose(np.abs(bias).mean((0, 1)), [0.25, 0.5, 1.0], rtol=1e-4)
    drift = everything(corrupted(store, "drift", 1.0), whole)["wrist_gyr"] - clean["wrist_gyr"]
    assert drift[:, -1].std() == pytest.approx(2.0, rel=0.25)


def test_bias_and_mounting_belong_to_a_person(store, windows):
    clean = everything(store, windows)["wrist_acc"]
    bias = everything(corrupted(store, "bias"), windows)["wrist_acc"][:, 0] - clean[:, 0]
    by_person = {person: bias[windows.subject == person] for person in ("a", "b")}
    assert all(np.ptp(rows, axis=0).max() < 1e-5 for rows in by_person.values())
    assert not np.allclose(by_person["a"][0], by_person["b"][0])


def test_all_vectors_of_one_placement_turn_together():
    same = np.random.default_rng(0).normal(size=(1200, 3)).astype(np.float32)
    tracks = [Track(SPEC[name], same[: round(60 * SPEC[name].rate_hz)]) for name in SPEC.names[:3]]
    made = memory_store(SPEC, LABELS, [Recording("r", "a", "1", tuple(tracks), (Segment(0.0, 60.0, "walk"),))])
    cut = cut_windows(made, WindowConfig(window_s=3.0, stride_s=3.0))
    found = everything(corrupted(made, "rotation", 45.0), cut)
    np.testing.assert_array_equal(found["wrist_acc"], found["wrist_gyr"])
    clean = everything(made, cut)
    wrist, *_ = np.linalg.lstsq(clean["wrist_acc"].reshape(-1, 3), found["wrist_acc"].reshape(-1, 3), rcond=None)
    chest, *_ = np.linalg.lstsq(clean["chest_acc"].reshape(-1, 3), found["chest_acc"].reshape(-1, 3), rcond=None)
    for matrix in (wrist, chest):  # one rotation for all windows: the fit is exact
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-4)
    assert not np.allclose(wrist, chest, atol=0.05)


def test_rotation_leaves_what_is_no_vector(store, windows):
    found = everything(corrupted(store, "rotation"), windows)
    np.testing.assert_array_equal(found["chest_hr"], everything(store, windows)["chest_hr"])


@pytest.mark.parametrize("offset_s", [0.5, 1.0])
def test_clocks_are_apart_by_the_stated_time(offset_s, store, windows):
    found = everything(corrupted(store, "clock", offset_s), windows)
    clean = everything(store, windows)
    for signal in ("wrist_acc", "wrist_gyr"):  # the first device keeps the time
        np.testing.assert_array_equal(found[signal], clean[signal])
    shift = round(offset_s * 10.0)
    inside = (windows.recording == 0) & (windows.start_s > offset_s) & (windows.start_s < 55)
    first = store.recordings[0].rows["chest_acc"][0]
    values = store.array("chest_acc")
    signs = set()
    for n in np.flatnonzero(inside):
        row = windows.rows["chest_acc"][n]
        late, early = values[row + shift : row + shift + 30], values[row - shift : row - shift + 30]
        assert row - shift >= first
        signs.add(1 if np.array_equal(found["chest_acc"][n], late) else -1)
        assert np.array_equal(found["chest_acc"][n], late if max(signs) == 1 else early)
    assert len(signs) == 1  # a person's clock is off in one direction


def test_clocks_never_read_beyond_a_recording_or_into_a_gap(store, windows):
    found = everything(corrupted(store, "clock", 30.0), windows)
    assert all(np.isfinite(values).all() for values in found.values())
    values, n = store.array("chest_acc"), len(windows)
    for place in range(n):
        if windows.present[place, 2]:
            first, n_rows = store.recordings[windows.recording[place]].rows["chest_acc"]
            own = values[first : first + n_rows]
            assert np.isin(found["chest_acc"][place], own).all()


@pytest.mark.parametrize("percent", [5.0, 30.0])
def test_the_share_of_lost_samples_is_as_stated_and_held(percent, store, windows):
    whole = windows.take(windows.present[:, 0])
    found = everything(corrupted(store, "lost", percent), whole)["wrist_acc"]
    clean = everything(store, whole)["wrist_acc"]
    lost = (found != clean).any(2)
    assert 100 * lost[:, 1:].mean() == pytest.approx(percent, rel=0.15)
    for window, t in np.argwhere(lost & ~lost[:, :1])[:50]:
        before = np.flatnonzero(~lost[window, :t])[-1]
        np.testing.assert_array_equal(found[window, t], clean[window, before])


def test_packets_that_are_lost_make_a_signal_absent_and_the_devices_lose_their_own(store):
    dense = cut_windows(store, WindowConfig(window_s=3.0, stride_s=0.25)).take(np.arange(220))
    marked = corrupted(store, "packets", 10.0).mark_absent(dense)
    gone = dense.present & ~marked.present
    assert (gone[:, 0] == gone[:, 1]).all()  # one radio
    assert 0.1 < gone[:, 0].mean() < 0.9
    assert (gone[:, 0] != gone[:, 2]).any()
    assert (corrupted(store, "packets", 100.0).mark_absent(dense).present == 0).all()


def test_short_gaps_are_held_and_long_ones_absent_as_in_the_store(store):
    """Lose the same samples for good, store them, and compare with what the disturbed store says."""
    config = WindowConfig(window_s=3.0, stride_s=0.7)  # windows end with gaps that are just short enough
    windows, disturbed = cut_windows(store, config), corrupted(store, "packets", 10.0)
    marked = disturbed.mark_absent(windows)
    found = everything(disturbed, marked)["wrist_acc"]
    entry = store.recordings[0]
    first, n_rows = entry.rows["wrist_acc"]
    clean = np.array(store.array("wrist_acc")[first : first + n_rows])
    at = cut_windows(store, WindowConfig(window_s=PACKET_S, stride_s=PACKET_S)).take(np.arange(120))
    lost = disturbed.mark_absent(at).present[:, 0] == 0  # a window of one packet is absent if that one is lost
    broken = clean.copy()
    for packet in np.flatnonzero(lost):
        broken[packet * 10 : packet * 10 + 10] = np.nan
    track = Track(SPEC["wrist_acc"], broken)
    again = memory_store(SPEC, LABELS, [Recording("r1", "a", "1", (track,), entry.segments)], gap_s=0.2)
    cut = cut_windows(again, config)
    here = windows.recording == 0
    kept = marked.present[here, 0]
    assert cut.start_s.tolist() == windows.start_s[here][kept].tolist()
    np.testing.assert_array_equal(everything(again, cut)["wrist_acc"], found[here][kept])


def test_devices_are_placements_or_else_modalities():
    assert devices_of(SPEC) == {"wrist_acc": "wrist", "wrist_gyr": "wrist", "chest_acc": "chest", "chest_hr": "chest"}
    assert devices_of(SignalSpec(SPEC.signals[:2])) == {"wrist_acc": "acc", "wrist_gyr": "gyr"}


def test_what_does_not_fit_is_refused(store):
    with pytest.raises(ConfigError, match="Did you mean 'bias'"):
        CorruptedStore(store, "biass", 1.0)
    with pytest.raises(ConfigError, match=r"noise must know the training spread of each signal: got none of"):
        CorruptedStore(store, "noise", 1.0)
    with pytest.raises(ConfigError, match="severity of lost must fit its unit"):
        CorruptedStore(store, "lost", 101.0)
    with pytest.raises(ConfigError, match=r"severity of rate must fit its unit \(halvings\): got 0.5"):
        CorruptedStore(store, "rate", 0.5)
    with pytest.raises(ConfigError, match="severity of bias must fit"):
        CorruptedStore(store, "bias", float("nan"), spread=SPREAD)
    with pytest.raises(ConfigError, match="Did you mean 'chest_acc'"):
        CorruptedStore(store, "lost", 1.0, signals=["chest_ac"])


def test_values_as_recorded_are_still_at_hand(store):
    disturbed = corrupted(store, "noise")
    assert disturbed.array("wrist_acc") is not None
    np.testing.assert_array_equal(disturbed.array("wrist_acc"), store.array("wrist_acc"))
    assert disturbed.subjects == store.subjects
