"""Axivity CWA files through cwa-reader-rs."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from dcdp.data.readers import axivity
from dcdp.errors import ConfigError, FormatError

pytest.importorskip("cwa_reader_rs", reason="the extra 'devices' is not installed")


@pytest.mark.parametrize(("kind", "n", "per_g"), [("ax3", 480, 256), ("ax3_packed", 720, 256), ("ax6", 240, 4096)])
def test_every_packing_gives_the_acceleration(made, read, stream_of, kind: str, n: int, per_g: int) -> None:
    acc = stream_of(read("a.cwa", made.cwa(kind)), "body_acc")
    assert (acc.unit, acc.rate_hz, acc.values.shape) == ("m/s2", 100.0, (n, 3))
    # a packed sample drops up to three bits, as the device does
    np.testing.assert_allclose(
        acc.values, made.turning(n, 100.0) * made.G, atol=(8.5 if "packed" in kind else 0.6) / per_g * made.G
    )


@pytest.mark.parametrize("kind", ["ax3", "ax3_packed", "ax6"])
def test_times_follow_the_stamps_of_the_blocks(made, read, kind: str) -> None:
    """The stamp of a block is a whole second, a fraction, and a place that readers without fractions can use."""
    times_s = read("a.cwa", made.cwa(kind)).streams[0].times_s
    np.testing.assert_allclose(times_s - made.T0, np.arange(len(times_s)) / 100, rtol=0, atol=4e-5)


def test_the_ax6_has_a_gyroscope(made, read, stream_of) -> None:
    gyr = stream_of(read("a.cwa", made.cwa("ax6"), "wrist"), "wrist_gyr")
    # the code of its range is 2: 8000 / 2^2 deg/s in 32768 steps
    np.testing.assert_allclose(gyr.values, np.round(made.turning(240, 100.0) * 1000) * 2000 / 32768, atol=1e-3)
    assert gyr.unit == "deg/s"


def test_the_clock_is_told(made, read, note_of) -> None:
    assert "local time" in note_of(read("a.cwa", made.cwa()), "clock").text


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[:1024], "it holds no block of samples"),
        (lambda data: data[:1024] + bytes(512 * 3), "blocks are damaged"),
        (
            lambda data: bytes(b ^ (i % 512 == 100 and i > 1024) for i, b in enumerate(data)),
            "6 of 6 blocks are damaged",
        ),
    ],
)
def test_damage_is_refused_before_the_library_sees_it(made, read, monkeypatch, damage, message: str) -> None:
    monkeypatch.setattr(axivity, "_library", lambda: pytest.fail("reached"))
    with pytest.raises(FormatError, match=message):
        read("a.cwa", damage(made.cwa()))


def test_a_cut_file_is_read_as_far_as_it_goes(made, read, note_of) -> None:
    capture = read("a.cwa", made.cwa()[: 1024 + 512 * 4 + 99])
    assert len(capture.streams[0].times_s) == 320
    assert note_of(capture, "damage").unit == "bytes"


def test_a_damaged_block_is_left_out_and_noted(made, read, note_of) -> None:
    data = bytearray(made.cwa(n_blocks=20))
    data[1024 + 5 * 512 + 100] ^= 1
    capture = read("a.cwa", bytes(data))
    assert note_of(capture, "damage").value == 1
    assert note_of(capture, "gap").value == pytest.approx(0.8, abs=1e-4)
    kept = np.r_[0:400, 480:1600]
    np.testing.assert_allclose(capture.streams[0].times_s - made.T0, kept / 100, rtol=0, atol=4e-5)
    np.testing.assert_allclose(
        capture.streams[0].values, made.G * np.round(made.turning(1600, 100.0) * 256)[kept] / 256, atol=1e-4
    )


def test_a_sensor_that_runs_faster_than_its_rate_has_even_times(made, read) -> None:
    """Blocks come every .776 s in place of .8."""
    blocks = [made.cwa_header(0x4A, is_ax6=False)]
    for i in range(10):
        whole, fraction = divmod(made.T0 + 0.776 * i, 1.0)
        blocks.append(made.cwa_block(i, whole, fraction, 0x4A, np.zeros((80, 3), dtype=np.int16), 0x32, 0))
    times_s = read("a.cwa", b"".join(blocks)).streams[0].times_s
    np.testing.assert_allclose(np.diff(times_s[:720]), 0.0097, rtol=0, atol=2e-6)


def test_a_panic_of_the_library_is_an_error_of_ours(made, read, monkeypatch) -> None:
    class Panic(BaseException):
        pass

    def panic(*_: object, **__: object) -> None:
        raise Panic("index out of bounds")

    monkeypatch.setattr(axivity, "_library", lambda: panic)
    with pytest.raises(FormatError, match="Panic: index out of bounds"):
        read("a.cwa", made.cwa())


def test_an_interruption_is_not_taken_for_damage(made, read, monkeypatch) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(axivity, "_library", lambda: stop)
    with pytest.raises(KeyboardInterrupt):
        read("a.cwa", made.cwa())


def test_without_the_package_the_command_is_told(made, read, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "cwa_reader_rs", None)
    with pytest.raises(ConfigError, match=r'pip install "dcdp\[devices\]"'):
        read("a.cwa", made.cwa())


def test_a_block_with_a_date_that_is_none_is_left_out(made, read, note_of) -> None:
    """The library would refuse the whole file for it."""
    data = bytearray(made.cwa(n_blocks=20))
    block = data[1024 + 512 : 1024 + 1024]
    block[14:18] = bytes(4)
    data[1024 + 512 : 1024 + 1024] = made.cwa_sealed(block)
    capture = read("a.cwa", bytes(data))
    assert note_of(capture, "damage").value == 1
    assert len(capture.streams[0].times_s) == 19 * 80


def test_a_block_is_not_spread_over_a_restart(made, read) -> None:
    samples = np.zeros((80, 3), dtype=np.int16)
    parts = [
        made.cwa_header(0x4A, is_ax6=False),
        made.cwa_block(7, made.T0, 0.0, 0x4A, samples, 0x32, 0),
        made.cwa_block(0, made.T0, 0.85, 0x4A, samples, 0x32, 0),  # numbers begin anew, 50 ms late
    ]
    times_s = read("a.cwa", b"".join(parts)).streams[0].times_s - made.T0
    np.testing.assert_allclose(times_s[[0, 79, 80]], [0.0, 0.79, 0.85], rtol=0, atol=4e-5)


def test_a_library_that_decodes_less_is_not_believed(made, read, monkeypatch) -> None:
    load = axivity._library()
    monkeypatch.setattr(axivity, "_library", lambda: lambda *args, **options: load(*args, **options).iloc[:-1])
    with pytest.raises(FormatError, match="479 of 480 samples decoded"):
        read("a.cwa", made.cwa())
