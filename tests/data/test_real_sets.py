"""The loaders on the real files: counts, labels, units, digests (which the opening verifies)."""

import dataclasses
import re

import numpy as np
import pytest

from dcdp.data import check_store, get_set, list_sets, open_set, registry
from dcdp.data.archive import open_source
from dcdp.errors import MissingError

pytestmark = pytest.mark.data

COUNTS = {  # recordings, segments, labelled samples, all samples
    "hapt": (61, 1_214, 815_614, 1_122_772),
    "uschad": (840, 840, 2_811_490, 2_811_490),
    "dsads": (152, 152, 9_120 * 125, 9_120 * 125),
}


@pytest.fixture(params=["hapt", "uschad", pytest.param("dsads", marks=pytest.mark.slow)])
def data_set(request):
    return get_set(request.param)


@pytest.fixture
def store(data_set, data_dir, real_cache):
    try:
        open_source(data_dir, data_set.layout)
    except MissingError as err:
        pytest.skip(f"no real {data_set.name}: {err}")
    return open_set(data_set.name, data_dir, real_cache)


def test_counts_of_the_documentation(data_set, store):
    n_recordings, n_segments, n_labelled, n_samples = COUNTS[data_set.name]
    rate_hz = data_set.spec.signals[0].rate_hz
    segments = [segment for entry in store.recordings for segment in entry.segments]
    labelled = sum(round((segment.stop_s - segment.start_s) * rate_hz) for segment in segments)
    assert len(store.recordings) == data_set.n_recordings == n_recordings
    assert len(segments) == n_segments
    for signal in store.spec:
        values = store.array(signal.name)
        assert len(values) == n_samples
        assert np.isfinite(values.sum(dtype=np.float64))
    assert labelled == n_labelled
    assert store.subjects == data_set.subjects
    assert {segment.label for segment in segments} == set(data_set.labels.names)


def test_the_second_opening_does_not_parse_again(data_set, store, data_dir, real_cache, monkeypatch):
    monkeypatch.setattr(registry, "write_set", lambda *_, **__: pytest.fail("parsed again"))
    assert open_set(data_set.name, data_dir, real_cache).recordings == store.recordings


def test_official_split_of_hapt_is_the_one_in_its_files(data_dir):
    data_set = get_set("hapt")
    source = _try_source(data_set, data_dir)
    pattern = re.compile(r"(?:Train|Test)/subject_id_(?P<part>train|test)\.txt\Z")
    users = {}
    for path, data in dataclasses.replace(source, layout=dataclasses.replace(data_set.layout, pattern=pattern)):
        users[pattern.search(path)["part"]] = tuple(f"s{user:02d}" for user in sorted(set(map(int, data.split()))))
    assert users == data_set.official


def _try_source(data_set, data_dir):
    try:
        return open_source(data_dir, data_set.layout)
    except MissingError as err:
        pytest.skip(f"no real {data_set.name}: {err}")


DOCUMENTED = tuple(name for name in list_sets() if get_set(name).tested_on != "real files")


@pytest.mark.slow
@pytest.mark.parametrize("name", DOCUMENTED)
def test_a_set_that_was_written_from_documentation_holds_what_it_declares(name, data_dir, real_cache):
    data_set = get_set(name)
    _try_source(data_set, data_dir)
    store = open_set(name, data_dir, real_cache)
    assert data_set.n_recordings in (None, len(store.recordings))
    assert store.subjects == data_set.subjects
    labels = {segment.label for entry in store.recordings for segment in entry.segments}
    assert labels == set(data_set.labels.names)
    assert [finding for finding in check_store(store) if finding.severity == "error"] == []


def test_every_set_is_tested_here():
    assert {*COUNTS, *DOCUMENTED} == set(list_sets())
