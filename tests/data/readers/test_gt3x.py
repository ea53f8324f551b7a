"""ActiGraph GT3X: packed numbers, scales, gaps, checksums."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from dcdp.data.readers import gt3x
from dcdp.errors import FormatError

# The worked example of ActiGraph's documentation of ACTIVITY, and what it says the samples are [g].
DOCUMENTED = bytes.fromhex("006008EBD007009EBF007008EBF0")
DOCUMENTED_XYZ = [[0.023, 0.018, -0.947], [0.026, 0.021, -0.941], [0.023, 0.021, -0.941]]
# That of PARAMETERS: ACCEL_SCALE is 256.
DOCUMENTED_PARAMETERS = bytes.fromhex("0000370000004009")


@pytest.mark.parametrize(
    ("code", "number"),  # the first three are in the documentation
    [(0x03419581, 4.1), (0x05418937, 16.384), (0x036D3A07, 6.827), (0x00C00000, -0.5), (0xFF400000, 0.25), (0, 0.0)],
)
def test_numbers_of_a_fraction_and_an_exponent(code: int, number: float) -> None:
    assert gt3x._decimal(code) == pytest.approx(number, abs=2e-3)


@pytest.mark.parametrize("kind", ["activity", "activity2"])
def test_both_packings_give_the_acceleration(made, read, stream_of, kind: str) -> None:
    capture = read("a.gt3x", made.gt3x(kind))
    acc = stream_of(capture, "body_acc")
    kept = np.r_[0:90, 120:240]  # the device slept through the fourth second
    np.testing.assert_allclose(acc.values, np.round(made.turning(240, 30) * 256)[kept] / 256 * made.G, atol=1e-9)
    np.testing.assert_allclose(acc.times_s - made.T0, kept / 30, rtol=0, atol=1e-6)
    assert (acc.unit, acc.rate_hz, acc.device) == ("m/s2", 30.0, "actigraph")


def test_sleep_is_a_gap(made, read, note_of) -> None:
    assert note_of(read("a.gt3x", made.gt3x()), "gap", "body_acc").value == 1.0


def test_the_documented_example_is_unpacked_as_documented(made, read, stream_of) -> None:
    log = made.gt3x_record(0, int(made.T0), DOCUMENTED)
    files = {"info.txt": made.gt3x_info("NEO1C16110020"), "log.bin": log}
    values = stream_of(read("a.gt3x", made.zipped(files)), "body_acc").values / made.G
    np.testing.assert_allclose(np.round(values, 3), DOCUMENTED_XYZ, atol=1e-9)


@pytest.mark.parametrize(
    ("serial", "parameters", "more", "scale"),
    [("TAS1", DOCUMENTED_PARAMETERS, {"Acceleration Scale": "128"}, 256.0), ("NEO1", b"", {}, 341.0),
     ("CLE2", b"", {}, 341.0), ("MOS2", b"", {}, 256.0), ("XYZ1", b"", {"Acceleration Scale": "128.0"}, 128.0)],
)  # fmt: skip
def test_the_scale_is_that_of_the_file_else_of_the_device(made, read, serial, parameters, more, scale) -> None:
    log = made.gt3x_record(21, int(made.T0), parameters) if parameters else b""
    log += made.gt3x_record(26, int(made.T0), struct.pack("<6h", 0, 0, 512, 0, 0, 512))
    capture = read("a.gt3x", made.zipped({"info.txt": made.gt3x_info(serial, **more), "log.bin": log}))
    assert capture.streams[0].values[0, 2] == pytest.approx(512 / scale * made.G)


def test_an_unknown_device_without_a_scale_is_refused(made, read) -> None:
    log = made.gt3x_record(26, int(made.T0), struct.pack("<6h", 0, 0, 512, 0, 0, 512))
    with pytest.raises(FormatError, match="must tell the scale"):
        read("a.gt3x", made.zipped({"info.txt": made.gt3x_info("XYZ"), "log.bin": log}))


def test_the_motion_unit_is_read_by_its_schema(made, read, stream_of) -> None:
    files = {"info.txt": made.gt3x_info(Limb="Wrist"), "log.bin": made.gt3x_imu_log()}
    gyr = stream_of(read("a.gt3x", made.zipped(files)), "wrist_gyr")
    np.testing.assert_allclose(gyr.values[:100], np.round(made.turning(100) * 1638.4) / 16.384, rtol=1e-5)
    assert (gyr.unit, gyr.rate_hz, len(gyr.times_s)) == ("deg/s", 100.0, 300)


def test_heart_rate_of_one_byte_and_of_two(made, read, stream_of) -> None:
    log = made.gt3x_log() + made.gt3x_record(14, int(made.T0) + 9, bytes([1, 44, 1])) \
        + made.gt3x_record(14, int(made.T0) + 10, bytes([0, 0]))  # fmt: skip
    hr = stream_of(read("a.gt3x", made.zipped({"info.txt": made.gt3x_info(), "log.bin": log})), "body_hr")
    np.testing.assert_array_equal(hr.values[:, 0], [74, 300, np.nan])
    assert stream_of(read("b.gt3x", made.gt3x()), "body_hr").values[:, 0].tolist() == [72]


def test_placement_is_that_of_the_file_unless_given(made, read) -> None:
    assert read("a.gt3x", made.gt3x(Limb="Waist")).streams[0].placement == "waist"
    assert read("a.gt3x", made.gt3x(Limb="Waist"), "ankle").streams[0].placement == "ankle"


def test_the_clock_is_told(made, read, note_of) -> None:
    assert "zone 01:00:00" in note_of(read("a.gt3x", made.gt3x()), "clock").text


def test_a_record_with_a_wrong_checksum_is_left_out_and_noted(made, read, note_of) -> None:
    log = bytearray(b"".join(made.gt3x_record(26, int(made.T0) + i, bytes(180)) for i in range(40)))
    log[20] ^= 1
    capture = read("a.gt3x", made.zipped({"info.txt": made.gt3x_info(), "log.bin": bytes(log)}))
    assert note_of(capture, "damage").value == 1
    assert len(capture.streams[0].times_s) == 39 * 30


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda log: log[:-3], "cut short"),
        (lambda log: log + b"\x1e\x00", "the last record is cut short"),
        (lambda log: b"\x07" + log, "no record at byte 0"),
        (lambda log: bytes(b ^ 0xFF if i % 189 == 100 else b for i, b in enumerate(log)), "wrong checksum"),
    ],
)
def test_a_damaged_log_is_refused(made, read, change, message: str) -> None:
    log = change(made.gt3x_log())
    with pytest.raises(FormatError, match=message):
        read("a.gt3x", made.zipped({"info.txt": made.gt3x_info(), "log.bin": log}))


def test_the_older_format_is_told_apart(made, read) -> None:
    with pytest.raises(FormatError, match="older format"):
        read("a.gt3x", made.zipped({"info.txt": made.gt3x_info(), "activity.bin": b"123"}))


def test_a_rate_that_is_none_is_refused(made, read) -> None:
    files = {"info.txt": made.gt3x_info().replace(b"Sample Rate: 30", b"Sample Rate: fast"), "log.bin": made.gt3x_log()}
    with pytest.raises(FormatError, match="Sample Rate must be a number of Hz up to 1000: got 'fast'"):
        read("a.gt3x", made.zipped(files))


def test_more_samples_than_the_rate_gives_stay_in_their_second(made, read) -> None:
    log = made.gt3x_record(26, int(made.T0), bytes(6 * 32)) + made.gt3x_record(26, int(made.T0) + 1, bytes(6 * 30))
    times_s = read("a.gt3x", made.zipped({"info.txt": made.gt3x_info(), "log.bin": log})).streams[0].times_s
    assert (np.diff(times_s) > 0).all()
