"""A moderate fuzz of every reader; ``studies/fuzz_readers.py`` runs many more inputs under limits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dcdp.data.readers import read_capture
from dcdp.errors import DcdpError

KINDS = [
    "androsensor",
    "apple_health",
    "axivity",
    "gt3x",
    "phyphox",
    "sensor_logger",
    "sensor_logger_json",
    "sensorlog",
    "xdf",
]

SETTINGS = settings(
    deadline=None, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip


@pytest.fixture(scope="session")
def valid(made) -> dict[str, tuple[str, bytes, Callable[[bytes], bytes]]]:
    """Kind -> file name, what is damaged, and what seals it again."""
    phyphox, logger = made.phyphox(n=20), made.sensor_logger("ios", 20)
    return {
        "androsensor": ("a.csv", made.androsensor(10), bytes),
        "apple_health": ("export.xml", made.health(), bytes),
        "axivity": ("a.cwa", made.cwa("ax6", 2), bytes),
        "gt3x": (
            "a.gt3x",
            made.gt3x_imu_log(1),
            lambda log: made.zipped({"info.txt": made.gt3x_info(), "log.bin": log}),
        ),
        "phyphox": ("a.zip", phyphox["Gyroscope.csv"], lambda data: made.zipped({**phyphox, "Gyroscope.csv": data})),
        "sensor_logger": ("a.zip", logger["Gravity.csv"], lambda data: made.zipped({**logger, "Gravity.csv": data})),
        "sensor_logger_json": ("a.json", made.sensor_logger_json(10), bytes),
        "sensorlog": ("a.csv", made.sensorlog(10), bytes),
        "xdf": ("a.xdf", made.xdf(20), bytes),
    }


TEXTS = ["nan", "inf", "1e999", "", ",", '"', "\n", "-", "9" * 30]


def damage(whole: bytes) -> st.SearchStrategy[bytes]:
    """Cut, flip a bit, put other bytes or a word in place of some, or bytes without sense."""
    place = st.integers(0, len(whole))
    byte = st.tuples(st.integers(0, len(whole) - 1), st.integers(0, 7))
    return st.one_of(
        place.map(lambda stop: whole[:stop]),
        byte.map(lambda at: whole[: at[0]] + bytes([whole[at[0]] ^ 1 << at[1]]) + whole[at[0] + 1 :]),
        st.builds(lambda i, j, piece: whole[:i] + piece + whole[j:], place, place, st.binary(max_size=40)),
        st.builds(lambda i, text: whole[:i] + text.encode() + whole[i + 1 :], place, st.sampled_from(TEXTS)),
        st.binary(max_size=300),
    )


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@settings(SETTINGS, max_examples=200)
def test_only_our_errors_come_out(kind: str, valid, tmp_path: Path, data) -> None:
    name, whole, seal = valid[kind]
    damaged = data.draw(damage(whole))
    path = tmp_path / name
    path.write_bytes(seal(damaged))
    try:
        capture = read_capture(path)
    except DcdpError:
        return
    assert all(len(stream.times_s) == len(stream.values) > 0 for stream in capture.streams)


@given(
    data=st.binary(max_size=2000),
    mark=st.sampled_from(
        [
            b"",
            b"PK\x03\x04",
            b"XDF:",
            b"MD\xfc\x03",
            b"\x1f\x8b",
            b"<HealthData>",
            b'[{"sensor": "A", "seconds_elapsed": 1',
        ]
    ),
)
@settings(SETTINGS, max_examples=300)
def test_bytes_without_sense_are_refused(tmp_path: Path, data: bytes, mark: bytes) -> None:
    for name in ("a.csv", "a.json"):
        (tmp_path / name).write_bytes(mark + data)
        with pytest.raises(DcdpError):
            read_capture(tmp_path / name)
