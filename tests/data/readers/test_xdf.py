"""XDF files through pyxdf."""

from __future__ import annotations

import gzip
import struct
import sys

import numpy as np
import pytest

from dcdp.data.readers import xdf
from dcdp.errors import ConfigError, FormatError

pytest.importorskip("pyxdf", reason="the extra 'devices' is not installed")


def test_streams_come_by_sensor_in_our_units(made, read, stream_of) -> None:
    capture = read("a.xdf", made.xdf())
    acc, gyr = stream_of(capture, "left_wrist_acc"), stream_of(capture, "left_wrist_gyr")
    np.testing.assert_allclose(acc.values, made.turning(200) * made.G, atol=1e-5)
    np.testing.assert_allclose(gyr.values, 90 * made.turning(200), atol=1e-4)
    assert (acc.unit, gyr.unit, acc.rate_hz, acc.device) == ("m/s2", "deg/s", 50.0, "lab")


def test_clocks_are_put_together_and_it_is_said(made, read, note_of) -> None:
    capture = read("a.xdf", made.xdf(offset_s=2.0))
    np.testing.assert_allclose(capture.streams[0].times_s, 1002 + np.arange(200) / 50, atol=1e-6)
    assert note_of(capture, "clock_offset", "left_wrist").value == pytest.approx(2.0)
    assert note_of(capture, "clock_drift", "left_wrist").value == pytest.approx(0.0, abs=1e-6)


def test_markers_become_segments_on_the_same_clock(made, read) -> None:
    assert [(s.start_s, s.stop_s, s.label) for s in read("a.xdf", made.xdf()).segments] == [(1003.0, 1005.0, "walk")]


def test_a_packed_file_is_the_same(made, read) -> None:
    plain, packed = read("a.xdf", made.xdf()), read("a.xdfz", gzip.compress(made.xdf()))
    np.testing.assert_array_equal(plain.streams[0].values, packed.streams[0].values)


def test_a_tail_that_is_cut_short_is_left_out_and_noted(made, read, note_of) -> None:
    whole = made.xdf()
    capture = read("a.xdf", whole[: len(whole) // 2])
    assert note_of(capture, "damage").unit == "bytes"
    assert 0 < len(capture.streams[0].times_s) < 200


def test_an_irregular_stream_without_description(made, read, stream_of, note_of) -> None:
    data = b"XDF:" + made.xdf_header(1, "Polar H10", "HeartRate", 1, 0.0, "int16")
    data += made.xdf_samples(1, [10.0, 10.7, 11.9], [[60], [61], [62]], "int16")
    capture = read("a.xdf", data)
    hr = stream_of(capture, "polar_h10_hr")
    assert (hr.times_s.tolist(), hr.values[:, 0].tolist(), hr.rate_hz) == ([10.0, 10.7, 11.9], [60, 61, 62], None)
    assert "no unit: taken as bpm" in note_of(capture, "unit", "polar_h10_hr").text


def test_axes_are_ordered_by_their_labels(made, read) -> None:
    channels = [(f"acc_{axis}", "", "m/s^2") for axis in "zxy"]
    data = b"XDF:" + made.xdf_header(1, "Chest", "Accelerometer", 3, 10.0, "double64", channels)
    data += made.xdf_samples(1, [1.0], [[3.0, 1.0, 2.0]], "double64")
    assert read("a.xdf", data, "chest").streams[0].values.tolist() == [[1.0, 2.0, 3.0]]


def test_placement_names_the_one_stream_or_all(made, read) -> None:
    assert [s.name for s in read("a.xdf", made.xdf(), "wrist").streams] == ["wrist_acc", "wrist_gyr"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda _, data: data.replace(b"<channel_count>6<", b"<channel_count>0<"), "a stream of '0' channels"),
        (lambda _, data: data.replace(b"<nominal_srate>50.0", b"<nominal_srate>nan!"), "at 'nan!' Hz"),
        (lambda _, data: data.replace(b"float32", b"float16"), "'float16'"),
        (lambda made, data: data + made.xdf_chunk(3, struct.pack("<IBQ", 1, 8, 2**40)), "1099511627776 samples in"),
        (lambda made, data: data + made.xdf_chunk(3, struct.pack("<I5B", 1, 1, 1, 0, 1, 2)), "do not fit their chunk"),
        (lambda made, data: data + made.xdf_chunk(3, struct.pack("<I", 77)), "which is not declared"),
        (lambda made, data: data + made.xdf_chunk(4, struct.pack("<Idd", 1, np.nan, 0)), "offsets that cannot be"),
        (lambda made, data: data + made.xdf_chunk(2, struct.pack("<I", 9) + b"<info><name>x</info>"), "mismatched tag"),
        (lambda _, data: data.replace(b"\x01\x09walk stop", b"\x01\x08walk stop"), "1 bytes behind the samples"),
    ],
)  # fmt: skip
def test_what_does_not_add_up_never_reaches_the_library(made, read, monkeypatch, damage, message: str) -> None:
    monkeypatch.setattr(xdf, "_load", lambda *_: pytest.fail("reached"))
    with pytest.raises(FormatError, match=message):
        read("a.xdf", damage(made, made.xdf()))


def test_entities_are_refused(made, read) -> None:
    bomb = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><info><name>&b;</name></info>'
    with pytest.raises(FormatError, match="must not declare a document type"):
        read("a.xdf", b"XDF:" + made.xdf_chunk(2, struct.pack("<I", 1) + bomb))


def test_a_packed_bomb_is_refused(read) -> None:
    with pytest.raises(FormatError, match="may unpack to at most 200 times its size"):
        read("a.xdfz", gzip.compress(b"XDF:" + bytes(20_000_000)))


def test_clocks_that_jump_for_ever_are_refused(made, read) -> None:
    """pyxdf fits a line to each stretch between two jumps back, a thousand steps each."""
    jumps = b"".join(made.xdf_chunk(4, struct.pack("<Idd", 1, -float(i), 0.0)) for i in range(100))
    with pytest.raises(FormatError, match="clock offsets that cannot be"):
        read("a.xdf", made.xdf() + jumps)


def test_without_the_package_the_command_is_told(made, read, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pyxdf", None)
    with pytest.raises(ConfigError, match=r'pip install "dcdp\[devices\]"'):
        read("a.xdf", made.xdf())
