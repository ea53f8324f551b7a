"""Exports of Apple Health, SensorLog and AndroSensor."""

from __future__ import annotations

import time

import numpy as np
import pytest

from dcdp.errors import FormatError


@pytest.mark.parametrize("name", ["export.xml", "Exportación.xml", "export.zip"])
def test_heart_rate_of_a_health_export_is_sorted_by_time(made, read, name: str) -> None:
    """The document type of some versions of iOS is broken; an export may have a translated name."""
    data = made.health()
    capture = read(name, made.zipped({"apple_health_export/导出.xml": data}) if name.endswith("zip") else data)
    (hr,) = capture.streams
    assert (hr.name, hr.unit) == ("wrist_hr", "bpm")
    assert (hr.times_s - made.T0).tolist() == [0.0, 3.0, 6.0]
    assert hr.values[:, 0].tolist() == [64.0, 71.0, 80.5]


def test_beats_a_second_are_beats_a_minute(made, read) -> None:
    data = made.health(((0.0, 1.5),)).replace(b'unit="count/min"', b'unit="count/s"')
    assert read("export.xml", data).streams[0].values[0, 0] == 90.0


def test_control_characters_are_passed_over(made, read) -> None:
    assert len(read("export.xml", made.health().replace(b"Watch", b"Wa\x0btch")).streams[0].times_s) == 3


BOMB = '<!DOCTYPE HealthData [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>\n'


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda made: made.health(doctype=BOMB), "must not declare entities"),
        (lambda made: made.health(doctype="").replace(b"Watch", b"&b;"), "undefined entity"),
        (lambda made: made.health()[:-30], "a Health export must be whole"),
        (lambda made: made.health().replace(b'value="71"', b'value="many"'), "heart rate 'many' 'count/min'"),
        (lambda made: made.health().replace(b"count/min", b"furlongs"), "'furlongs'"),
        (lambda made: made.health().replace(b'startDate="2023-', b'startDate="20x3-'), "date '20x3-"),
        (lambda made: made.health().replace(b"<Me ", b"<x>" * 50 + b"<Me "), "nested too deeply"),
        (lambda made: made.health().replace(b"Watch", b"W" * 3_000_000), "an element of more than"),
    ],
)
def test_a_hostile_or_damaged_health_export_is_refused(made, read, damage, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        read("export.xml", damage(made))


def test_sensorlog_counts_gravity_upwards_here(made, read, stream_of, note_of) -> None:
    capture = read("log.csv", made.sensorlog())
    np.testing.assert_allclose(stream_of(capture, "phone_acc").values, made.G * made.turning(200), atol=1e-9)
    np.testing.assert_allclose(stream_of(capture, "phone_gyr").values, np.degrees(made.turning(200)), atol=1e-9)
    assert note_of(capture, "axes", "phone_acc").value == -1


def test_sensorlog_has_one_offset_for_all_clocks_and_drops_repeated_samples(made, read, stream_of) -> None:
    capture = read("log.csv", made.sensorlog())
    np.testing.assert_allclose(stream_of(capture, "phone_acc").times_s - made.T0, np.arange(200) / 50, atol=1e-3)
    np.testing.assert_allclose(stream_of(capture, "phone_mag").times_s - made.T0, np.arange(40) / 10, atol=1e-3)


def test_sensorlog_labels_and_watch(made, read) -> None:
    capture = read("my_Watch.csv", made.sensorlog())
    assert [(round(s.start_s - made.T0, 2), s.label) for s in capture.segments] == [(0.0, "1"), (2.0, "2")]
    assert {(s.placement, s.device) for s in capture.streams} == {("wrist", "watch")}


def test_sensorlog_adds_gravity_where_there_is_no_accelerometer(made, read, stream_of) -> None:
    data = (
        made.sensorlog()
        .replace(b"accelerometerAcceleration", b"motionGravity")
        .replace(b"motionRotationRate", b"motionUserAcceleration")
        .replace(b"(rad/s)", b"(G)")
    )
    acc = stream_of(read("log.csv", data), "phone_acc")
    np.testing.assert_allclose(acc.values, np.zeros((200, 3)), atol=1e-9)  # the one is the other with its sign turned


def test_sensorlog_needs_dates_it_can_read(made, read) -> None:
    with pytest.raises(FormatError, match=r"column 'loggingTime\(txt\)' must hold dates: got 'yesterday' in line 2"):
        read("log.csv", made.sensorlog(2).replace(b"2023-11-14T22:13:20.000+00:00", b"yesterday"))


@pytest.mark.parametrize(
    ("separator", "encoding", "decimal"), [(";", "utf-8", "."), (",", "latin-1", "."), (";", "utf-8", ",")]
)
def test_androsensor_is_read_in_its_dialects(
    made, read, stream_of, separator: str, encoding: str, decimal: str
) -> None:
    capture = read("a.csv", made.androsensor(200, separator, encoding, decimal))
    assert [s.name for s in capture.streams] == ["phone_acc", "phone_lin", "phone_gyr", "phone_mag"]
    np.testing.assert_allclose(stream_of(capture, "phone_acc").values, made.G * made.turning(200), atol=1e-4)
    np.testing.assert_allclose(stream_of(capture, "phone_gyr").values, np.degrees(made.turning(200)), atol=0.01)
    np.testing.assert_allclose(stream_of(capture, "phone_acc").times_s - made.T0, np.arange(200) / 50, atol=1e-6)


def test_androsensor_without_a_date_counts_from_the_start(made, read, note_of) -> None:
    capture = read("a.csv", made.androsensor().replace(b"YYYY-MO-DD", b"WHEN"))
    assert capture.streams[0].times_s[0] == 0.0
    assert "since the start" in note_of(capture, "clock").text


def test_androsensor_needs_a_time_in_each_row(made, read) -> None:
    data = made.androsensor(3).replace(b";20;", b";;")
    with pytest.raises(FormatError, match="each row must have a time: got none in line 4"):
        read("a.csv", data)


def test_a_date_that_does_not_exist_is_refused(made, read) -> None:
    with pytest.raises(FormatError, match="a date must exist: got '2023-13-14"):
        read("a.csv", made.androsensor(3).replace(b"2023-11-14", b"2023-13-14"))


@pytest.mark.parametrize(
    ("stamp", "seconds"),
    [("2023-11-14 22:13:20.500 +0000", 0.5), ("2023-11-14 23:13:20.500 +0100", 0.5), ("2023-11-14T22:13:20.500", 0.5)],
)
def test_sensorlog_times_of_day(made, read, monkeypatch, stamp: str, seconds: float) -> None:
    """The zone of this machine does not matter."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    data = made.sensorlog(1).replace(b"2023-11-14T22:13:20.000+00:00", stamp.encode())
    assert read("log.csv", data).streams[0].times_s[0] - made.T0 == pytest.approx(seconds, abs=1e-6)


@pytest.fixture(autouse=True)
def zone(monkeypatch):
    yield
    monkeypatch.undo()
    time.tzset()
