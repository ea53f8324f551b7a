"""Arrow files are looked over before polars reads them."""

import struct

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dcdp.data.arrow import arrow_damage


def frame(n_rows=300):
    texts = pl.Series("t", ["walk", "sit"] * (n_rows // 2), dtype=pl.Categorical)
    return pl.DataFrame({"a": range(n_rows), "b": [0.5] * n_rows, "c": ["x"] * n_rows}).with_columns(texts)


@pytest.fixture
def arrow(tmp_path):
    frame().write_ipc(tmp_path / "a.feather")
    return tmp_path / "a.feather"


@pytest.mark.parametrize("compression", ["uncompressed", "lz4", "zstd"])
@pytest.mark.parametrize("n_rows", [0, 2, 1000])
def test_whole_files_pass(tmp_path, compression, n_rows):
    frame(n_rows).write_ipc(tmp_path / "a.feather", compression=compression)
    assert arrow_damage(tmp_path / "a.feather") is None


@pytest.mark.parametrize(
    ("cut", "what"),
    [(slice(0, -1), "no table of contents"), (slice(1, None), "not an Arrow file"), (slice(0, 10), "not an Arrow file"),
     (slice(0, 200), "no table of contents")],
)  # fmt: skip
def test_a_cut_file_is_damage(arrow, cut, what):
    arrow.write_bytes(arrow.read_bytes()[cut])
    assert what in arrow_damage(arrow)


def test_a_piece_cut_from_the_middle_is_damage(arrow):
    whole = arrow.read_bytes()
    arrow.write_bytes(whole[:200] + whole[1200:])
    assert arrow_damage(arrow) is not None


def test_a_footer_longer_than_the_file_is_damage(arrow):
    whole = arrow.read_bytes()
    arrow.write_bytes(whole[:-10] + struct.pack("<i", 2**30) + b"ARROW1")
    assert arrow_damage(arrow) == "no table of contents at its end"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_damage_gives_an_answer(arrow, drawn):
    whole = bytearray(arrow.read_bytes())
    kept = bytes(whole)
    for _ in range(drawn.draw(st.integers(1, 5))):
        whole[drawn.draw(st.integers(0, len(whole) - 1))] = drawn.draw(st.integers(0, 255))
    try:
        arrow.write_bytes(whole)
        assert arrow_damage(arrow) is None or isinstance(arrow_damage(arrow), str)
    finally:
        arrow.write_bytes(kept)
