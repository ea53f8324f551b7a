"""Exports of Phyphox."""

from __future__ import annotations

import numpy as np
import pytest

from dcdp.errors import DataError, FormatError

GYROSCOPE = b'"Time (s)","Gyroscope x (rad/s)","Gyroscope y (rad/s)","Gyroscope z (rad/s)"\n'
DIALECTS = [(",", "."), (";", "."), ("\t", "."), (";", ","), ("\t", ",")]


@pytest.mark.parametrize(("separator", "decimal"), DIALECTS)
@pytest.mark.parametrize("form", ["folder", "zip"])
def test_every_dialect_gives_the_same_streams(made, read, stream_of, separator: str, decimal: str, form: str) -> None:
    files = made.phyphox(separator, decimal)
    capture = read("export", files if form == "folder" else made.zipped(files))
    assert [(s.name, s.unit, s.device) for s in capture.streams] == [
        ("phone_acc", "m/s2", "phone"),
        ("phone_gyr", "deg/s", "phone"),
    ]
    np.testing.assert_allclose(stream_of(capture, "phone_acc").values, made.turning(200) * made.G, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(
        stream_of(capture, "phone_gyr").values, np.degrees(made.turning(200)), rtol=1e-6, atol=1e-7
    )
    assert stream_of(capture, "phone_acc").channels == ("phone_acc_x", "phone_acc_y", "phone_acc_z")


def test_pauses_move_the_times_to_the_clock_of_the_phone(made, read, note_of) -> None:
    capture = read("a.zip", made.zipped(made.phyphox()))
    times_s = capture.streams[0].times_s
    expected = np.arange(200) / 50 + np.where(np.arange(200) >= 100, 10.0, 0.0)
    np.testing.assert_allclose(times_s - made.T0, expected, rtol=0, atol=1e-6)
    assert note_of(capture, "gap").value == pytest.approx(10.0)


def test_samples_before_the_start_take_its_clock(made, read) -> None:
    triad = made.phyphox_triad("Acceleration", "m/s^2", made.turning(10))
    triad["Time (s)"] = [-0.004, *triad["Time (s)"][1:]]
    files = {"Raw Data.csv": made.phyphox_table(triad), "meta/time.csv": made.phyphox_times([("START", 0.0, made.T0)])}
    assert read("export", files).streams[0].times_s[0] - made.T0 == pytest.approx(-0.004, abs=1e-6)


def test_of_two_tables_of_one_sensor_the_longer_is_kept(made, read, note_of) -> None:
    short, whole = (made.phyphox_table(made.phyphox_triad("Gyroscope", "rad/s", made.turning(n))) for n in (10, 30))
    capture = read("export", {"A.csv": short, "B.csv": whole})
    assert [len(stream.times_s) for stream in capture.streams] == [30]
    assert note_of(capture, "not_read", "phone_gyr").value == 10


def test_a_single_file_has_no_time_of_day(made, read, note_of) -> None:
    capture = read("raw.csv", made.phyphox()["Gyroscope.csv"])
    assert capture.streams[0].times_s[:2].tolist() == [0.0, 0.02]
    assert "no meta/time.csv" in note_of(capture, "clock").text


def test_a_clock_that_was_set_while_recording_is_noted(made, read, note_of) -> None:
    files = made.phyphox()
    files["meta/time.csv"] = made.phyphox_times([("START", 0.0, made.T0), ("PAUSE", 4.0, made.T0 + 7)])
    assert note_of(read("export", files), "clock_offset").value == pytest.approx(3.0)


def test_acceleration_without_gravity_is_another_signal(made, read, note_of) -> None:
    capture = read("a.csv", made.phyphox_table(made.phyphox_triad("Linear Acceleration", "m/s^2", made.turning(50))))
    assert [stream.name for stream in capture.streams] == ["phone_lin"]
    assert "without gravity" in note_of(capture, "gravity", "phone_lin").text


def test_shorter_columns_are_filled_with_nan_and_not_read_as_samples(made, read, stream_of) -> None:
    columns = made.phyphox_triad("Acceleration", "m/s^2", made.turning(40))
    slow = {
        name.replace("Time", "Time mag"): values
        for name, values in made.phyphox_triad("Field", "µT", 40 * made.turning(10)).items()
    }
    capture = read("both.csv", made.phyphox_table({**columns, **slow}))
    assert len(stream_of(capture, "phone_acc").times_s) == 40
    assert stream_of(capture, "phone_mag").values.shape == (10, 3)
    assert stream_of(capture, "phone_mag").unit == "uT"


def test_other_sensors_are_named_as_not_read(made, read, note_of) -> None:
    files = {**made.phyphox(), "Light.csv": b'"Time (s)","Illuminance (lx)"\n0.0,100\n'}
    assert "Illuminance (lx)" in note_of(read("export", files), "not_read").text


def test_placement_is_where_the_phone_was(made, read) -> None:
    assert read("a.zip", made.zipped(made.phyphox()), "pocket").streams[0].name == "pocket_acc"


def test_gravity_that_does_not_fit_its_unit_is_noted(made, read, note_of) -> None:
    capture = read("a.csv", made.phyphox_table(made.phyphox_triad("Acceleration", "m/s^2", made.turning(100))))
    assert "looks like g" in note_of(capture, "gravity", "phone_acc").text


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("Gyroscope.csv", GYROSCOPE + b'0,1,2\n',
         "must have 4 fields, as the header: got 3 in line 2"),
        ("Gyroscope.csv", GYROSCOPE + b'0,1,2,3\n1,a,2,3\n',
         "must hold numbers: got 'a' in line 3"),
        ("Gyroscope.csv", GYROSCOPE + b'0,1,2,inf\n',
         "must hold numbers: got 'inf' in line 2"),
        ("Gyroscope.csv", GYROSCOPE + b'NaN,1,2,3\n',
         "each sample must have a time: got none in line 2"),
        ("meta/time.csv", b'"event","system time"\n"START",1\n', "the times of an export must be whole"),
        ("meta/time.csv", b'"event","experiment time","system time"\n"START",1,2\n"PAUSE",0,3\n', "runs backwards"),
    ],
)  # fmt: skip
def test_damage_is_named_by_file_and_line(made, read, name: str, data: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        read("export", {**made.phyphox(), name: data})


def test_two_exports_in_one_folder_are_refused(made, read) -> None:
    files = made.phyphox()
    with pytest.raises(FormatError, match=r"must be one export: got 2 files meta/time\.csv"):
        read("both", {**{f"a/{k}": v for k, v in files.items()}, **{f"b/{k}": v for k, v in files.items()}})


def test_a_recording_without_samples_is_refused(read) -> None:
    with pytest.raises(DataError, match="must hold samples of a known sensor"):
        read("empty.csv", GYROSCOPE)
