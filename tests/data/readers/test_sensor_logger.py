"""Exports of Sensor Logger: signs and units by platform, gravity added, annotations."""

from __future__ import annotations

import json

import numpy as np
import pytest

from dcdp.errors import FormatError

CASES = [("ios", False), ("ios", True), ("android", False)]


@pytest.mark.parametrize(("platform", "standardised"), CASES)
def test_platforms_agree_in_sign_and_unit(made, read, stream_of, platform: str, standardised: bool) -> None:
    capture = read("a.zip", made.zipped(made.sensor_logger(platform, standardised=standardised)))
    assert [s.name for s in capture.streams] == [
        "phone_acc",
        "phone_gyr",
        "phone_mag",
        "wrist_acc",
        "wrist_gyr",
        "wrist_hr",
    ]
    truth = made.turning(300)
    for name in ("phone_acc", "wrist_acc"):
        np.testing.assert_allclose(stream_of(capture, name).values, made.G * truth, atol=1e-9)
        assert stream_of(capture, name).unit == "m/s2"
    np.testing.assert_allclose(stream_of(capture, "wrist_gyr").values, np.degrees(truth), atol=1e-9)
    np.testing.assert_allclose(stream_of(capture, "phone_mag").values, 30 * truth, atol=1e-9)
    assert stream_of(capture, "wrist_hr").values[:, 0].tolist() == [60, 61, 62, 63]
    assert {s.device for s in capture.streams} == {"phone", "watch"}


def test_axes_are_found_by_name_not_by_place(made, read, stream_of) -> None:
    capture = read("a.zip", made.zipped(made.sensor_logger("android")))
    np.testing.assert_allclose(stream_of(capture, "phone_gyr").values[7], np.degrees(made.turning(300)[7]))


def test_turned_axes_are_noted(made, read, note_of) -> None:
    capture = read("a.zip", made.zipped(made.sensor_logger("ios")))
    assert note_of(capture, "axes", "phone_acc").value == -1
    assert not [
        n for n in read("b.zip", made.zipped(made.sensor_logger("ios", standardised=True))).notes if n.kind == "axes"
    ]


def test_times_are_exact_seconds_since_1970(made, read) -> None:
    times_s = read("a.zip", made.zipped(made.sensor_logger())).streams[0].times_s
    np.testing.assert_allclose(times_s - made.T0, np.arange(300) / 100, atol=3e-7)


def test_annotations_become_segments(made, read) -> None:
    capture = read("a.zip", made.zipped(made.sensor_logger()))
    assert [(s.start_s - made.T0, s.stop_s - made.T0, s.label) for s in capture.segments] == [
        (0.5, 1.5, "walk"), (1.5, 2.5, "sit, calmly")]  # fmt: skip


def test_gravity_is_matched_by_time(made, read, stream_of, note_of) -> None:
    files = made.sensor_logger("android")
    del files["TotalAcceleration.csv"]
    gravity = made.turning(120) * made.G * [0, 1, 1]
    files["Gravity.csv"] = made.logger_table(gravity, rate_hz=50.0, start_s=made.T0 + 0.5)
    acc = stream_of(capture := read("a.zip", made.zipped(files)), "phone_acc")
    assert np.isnan(acc.values[:40]).all()  # no gravity within a tenth of a second
    assert not np.isnan(acc.values[40:289]).any()
    motion = made.G * (made.turning(300) * [1, 0, 0])
    np.testing.assert_allclose(acc.values[50:288:2], motion[50:288:2] + gravity[:119], atol=1e-6)
    np.testing.assert_allclose(acc.values[51], motion[51] + (gravity[0] + gravity[1]) / 2, atol=1e-6)
    assert note_of(capture, "gap", "phone_acc").value == 41  # and the last is .11 s behind


def test_no_gravity_at_all_is_another_signal(made, read) -> None:
    files = made.sensor_logger("ios")
    del files["Gravity.csv"]
    assert "phone_lin" in [stream.name for stream in read("a.zip", made.zipped(files)).streams]


def test_the_uncalibrated_accelerometer_is_the_last_resort(made, read, stream_of) -> None:
    """On iOS it counts in g, downwards."""
    files = {
        "AccelerometerUncalibrated.csv": made.logger_table(-made.turning(50)),
        "Metadata.csv": made.logger_metadata("ios"),
    }
    np.testing.assert_allclose(stream_of(read("a", files), "phone_acc").values, made.G * made.turning(50))


def test_headphones_have_gravity_in_other_units(made, read, stream_of) -> None:
    turning = made.turning(50)
    gravity = turning * [0, 1, 1]
    values = np.concatenate([-(turning - gravity), -made.G * gravity], axis=1)
    names = [f"{part}{axis}" for part in ("acceleration", "gravity") for axis in "XYZ"]
    files = {"Headphone.csv": made.logger_table(values, names), "Metadata.csv": made.logger_metadata("ios")}
    np.testing.assert_allclose(stream_of(read("a", files), "head_acc").values, made.G * turning)


def test_the_size_of_gravity_tells_the_unit_of_a_watch(made, read, stream_of) -> None:
    files = made.sensor_logger("android")
    files["WristMotion.csv"] = made.sensor_logger("ios")["WristMotion.csv"]  # in g, and counted downwards
    np.testing.assert_allclose(stream_of(read("a", files), "wrist_acc").values, -made.G * made.turning(300), atol=1e-9)


def test_wear_os_writes_files_like_the_phone(made, read, stream_of) -> None:
    files = {"WatchAccelerometer.csv": made.logger_table(made.turning(50) * made.G * [1, 0, 0]),
             "WatchGravity.csv": made.logger_table(made.turning(50) * made.G * [0, 1, 1]),
             "WatchGyroscope.csv": made.logger_table(made.turning(50)),
             "Metadata.csv": made.logger_metadata("android")}  # fmt: skip
    capture = read("a", files)
    np.testing.assert_allclose(stream_of(capture, "wrist_acc").values, made.G * made.turning(50))
    assert [stream.device for stream in capture.streams] == ["watch", "watch"]


def test_json_gives_what_the_tables_give(made, read, stream_of) -> None:
    capture = read("a.json", made.sensor_logger_json())
    np.testing.assert_allclose(stream_of(capture, "phone_acc").values, made.G * made.turning(200))
    np.testing.assert_allclose(stream_of(capture, "phone_gyr").values, np.degrees(made.turning(200)))
    assert [s.label for s in capture.segments] == ["run"]


def test_a_single_file_is_known_by_its_name(made, read, note_of) -> None:
    capture = read("Gyroscope.csv", made.sensor_logger()["Gyroscope.csv"])
    assert [s.name for s in capture.streams] == ["phone_gyr"]
    assert "no platform" in note_of(capture, "axes").text
    with pytest.raises(FormatError, match="must keep its name: got columns time, seconds_elapsed, z, y, x"):
        read("renamed.csv", made.sensor_logger()["Gyroscope.csv"])


def test_placement_is_that_of_the_phone(made, read) -> None:
    names = {s.name for s in read("a.zip", made.zipped(made.sensor_logger()), "pocket").streams}
    assert {"pocket_acc", "wrist_acc"} <= names


def test_a_folder_in_the_zip_does_not_matter(made, read) -> None:
    files = {f"2023-11-14/{name}": data for name, data in made.sensor_logger().items()}
    assert len(read("a.zip", made.zipped({**files, "__MACOSX/2023-11-14/._Gyroscope.csv": b"x"})).streams) == 6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Gyroscope.csv": b"time,seconds_elapsed,z,y\n1700000000000000000,0,1,2\n"}, "must have a column 'x'"),
        ({"Gyroscope.csv": b"time,seconds_elapsed,z,y,x\n1700000000.5,0,1,2,3\n"}, "column 'time' must hold numbers"),
        (
            {"Gyroscope.csv": b"time,seconds_elapsed,z,y,x\n9100000000000000000,0,1,2,3\n"},
            "times must be nanoseconds since 1970",
        ),
        ({"other/Gyroscope.csv": b"time,seconds_elapsed,z,y,x\n1,0,1,2,3\n"}, "must be one export: got 2 folders"),
    ],
)
def test_damage_is_named(made, read, change: dict[str, bytes], message: str) -> None:
    with pytest.raises(FormatError, match=message):
        read("a", {**made.sensor_logger(), **change})


@pytest.mark.parametrize(
    "text",
    ['[{"sensor": "Gyroscope", "time": "1", "seconds_elapsed": "0"', '{"sensor": 1, "seconds_elapsed": 2}',
     '[{"sensor": "Gyroscope", "seconds_elapsed": "0"}, 3]', '[{"sensor": "x", "seconds_elapsed": ' + "[" * 100_000],
)  # fmt: skip
def test_json_that_is_no_list_of_rows_is_refused(read, text: str) -> None:
    with pytest.raises(FormatError, match="a JSON export must be whole"):
        read("a.json", text.encode())


def test_a_json_of_numbers_is_read_as_one_of_texts(made, read) -> None:
    rows = [{**row, "time": int(row["time"]), "x": float(row["x"])} if "x" in row else row
            for row in json.loads(made.sensor_logger_json(20))]  # fmt: skip
    assert len(read("a.json", json.dumps(rows).encode()).streams) == 2
