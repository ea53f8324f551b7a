"""Which reader fits; what hostile paths, folders and archives come to."""

from __future__ import annotations

import io
import os
import stat
import zipfile
from pathlib import Path

import numpy as np
import pytest

from dcdp.data.readers import export, list_readers, read_capture, recognise
from dcdp.data.readers.columns import header_of, parse_columns
from dcdp.data.readers.streams import clean, segments_of
from dcdp.errors import ConfigError, FormatError, MissingError, StorageError


@pytest.fixture
def one_of_each(made) -> dict[str, list[tuple[str, object]]]:
    return {
        "androsensor": [("a", made.androsensor(5))],
        "apple_health": [("b", made.health()), ("b2", made.zipped({"x/export.xml": made.health()}))],
        "axivity": [("c", made.cwa())],
        "gt3x": [("d", made.gt3x()), ("d2", {"info.txt": made.gt3x_info(), "log.bin": made.gt3x_log()})],
        "phyphox": [("e", made.phyphox()), ("e2", made.phyphox()["Gyroscope.csv"])],
        "sensor_logger": [("f", made.sensor_logger()), ("f.json", made.sensor_logger_json(3))],
        "sensorlog": [("g", made.sensorlog(5))],
        "xdf": [("h", made.xdf(5))],
    }


def test_every_reader_is_listed_and_known_by_content(made, one_of_each, tmp_path: Path) -> None:
    assert [reader.name for reader in list_readers()] == list(one_of_each)
    for name, samples in one_of_each.items():
        for file, content in samples:
            path = tmp_path / file
            made.put(path, content) if isinstance(content, dict) else path.write_bytes(content)
            assert recognise(path) == name


@pytest.mark.parametrize(
    "data", [b"", b"a,b\n1,2\n", b"time_s,wrist_acc_x\n0,1\n", b"PK\x03\x04 not really", bytes(4096)]
)
def test_other_files_are_no_recording(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(data)
    assert recognise(path) is None
    with pytest.raises(FormatError):
        read_capture(path)


def test_an_unknown_file_names_the_known_kinds(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"a,b\n1,2\n")
    with pytest.raises(
        FormatError, match=r"of a known kind \(androsensor, .*xdf\): got .*x.csv'. For a table of your own"
    ):
        read_capture(tmp_path / "x.csv")


@pytest.mark.parametrize("kind", ["xls", "xlsx"])
def test_a_workbook_is_to_be_exported_as_csv(made, tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    path.write_bytes(
        made.zipped({"[Content_Types].xml": b"<a/>"}) if kind == "xlsx" else b"\xd0\xcf\x11\xe0" + bytes(100)
    )
    with pytest.raises(FormatError, match=r"must not be a workbook: got .*Export it as CSV"):
        read_capture(path)


def test_nothing_there(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path / "a\0b"):
        with pytest.raises(MissingError):
            read_capture(path)


def test_a_pipe_is_refused_and_not_waited_for(made, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(FormatError, match="must be a file or a folder"):
        read_capture(tmp_path / "pipe.csv")
    made.put(tmp_path, made.phyphox())
    assert len(read_capture(tmp_path).streams) == 2  # a pipe in a folder is passed over


def test_a_link_out_of_the_folder_is_refused(made, tmp_path: Path) -> None:
    made.put(tmp_path / "in", made.phyphox())
    (tmp_path / "secret.csv").write_bytes(b"x")
    (tmp_path / "in" / "link.csv").symlink_to(tmp_path / "secret.csv")
    with pytest.raises(FormatError, match="must lie inside its folder"):
        read_capture(tmp_path / "in")


def zip_with(info: zipfile.ZipInfo | str, data: bytes, **more: object) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(info, data, **more)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "message"),
    [("../a.csv", "must stay inside its archive"), ("/etc/a.csv", "must stay inside"),
     ("a\\..\\b.csv", "must stay inside"), ("C:a.csv", "must stay inside")],
)  # fmt: skip
def test_paths_that_climb_are_refused(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "a.zip").write_bytes(zip_with(name, b"x"))
    with pytest.raises(FormatError, match=message):
        read_capture(tmp_path / "a.zip")


def test_a_link_in_an_archive_is_refused(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("a.csv")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    (tmp_path / "a.zip").write_bytes(zip_with(info, b"/etc/passwd"))
    with pytest.raises(FormatError, match=r"a link or special file 'a\.csv'"):
        read_capture(tmp_path / "a.zip")


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(zip_with("Accelerometer.csv", bytes(50_000_000)))
    with pytest.raises(FormatError, match="may unpack to at most 200 times its size"):
        read_capture(tmp_path / "a.zip")


def test_other_methods_of_packing_are_refused(tmp_path: Path) -> None:
    """Their decompressors may ask for as much memory as the file says."""
    (tmp_path / "a.zip").write_bytes(zip_with("a.csv", b"x" * 99, compress_type=zipfile.ZIP_LZMA))
    with pytest.raises(FormatError, match="must be packed by deflate: got method 14"):
        read_capture(tmp_path / "a.zip")


def test_a_directory_that_never_ends_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "_MAX_DIRECTORY_BYTES", 100_000)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for i in range(2000):
            archive.writestr(f"{i:040d}", b"")
    (tmp_path / "a.zip").write_bytes(buffer.getvalue())
    with pytest.raises(FormatError, match="a directory that is too large"):
        read_capture(tmp_path / "a.zip")


def test_the_limit_of_the_directory_is_not_one_of_the_files(made, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(export, "_MAX_DIRECTORY_BYTES", 2000)
    (tmp_path / "a.zip").write_bytes(made.zipped(made.sensor_logger("ios", 2000)))
    assert len(read_capture(tmp_path / "a.zip").streams) == 6


def test_counts_and_sizes_are_limited(made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made.put(tmp_path / "in", made.phyphox())
    monkeypatch.setattr(export, "MAX_FILES", 3)
    with pytest.raises(FormatError, match="must have at most 3 files"):
        read_capture(tmp_path / "in")
    monkeypatch.setattr(export, "MAX_FILES", 4)
    monkeypatch.setattr(export, "MAX_FILE_BYTES", 1000)
    with pytest.raises(FormatError, match=r"may have at most 1000 bytes: got .* of 'Accelerometer.csv'"):
        read_capture(tmp_path / "in")


def test_all_files_together_are_limited(made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made.put(tmp_path / "in", made.phyphox())
    monkeypatch.setattr(export, "_MAX_TOTAL_BYTES", 20_000)
    with pytest.raises(FormatError, match=r"of 'Gyroscope\.csv'"):
        read_capture(tmp_path / "in")


def test_hours_of_video_beside_a_recording_do_not_matter(made, tmp_path: Path) -> None:
    path = tmp_path / "in"
    made.put(path, made.sensor_logger())
    with (path / "Camera.mp4").open("wb") as file:
        file.truncate(2**34)
    assert len(read_capture(path).streams) == 6


@pytest.mark.parametrize("place", [0.3, 0.6, 0.95])
def test_a_zip_cut_short_is_refused(made, tmp_path: Path, place: float) -> None:
    data = made.zipped(made.sensor_logger())
    (tmp_path / "a.zip").write_bytes(data[: int(place * len(data))])
    with pytest.raises(FormatError, match="an archive must be whole"):
        read_capture(tmp_path / "a.zip")


def test_a_file_twice_is_refused(tmp_path: Path, made) -> None:
    data = made.zipped({"Gyroscope.csv": b"time", "Gyroscope.csw": b"time"}).replace(b"csw", b"csv")
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(FormatError, match="must hold each file once"):
        read_capture(tmp_path / "a.zip")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission_is_an_error_of_ours(made, tmp_path: Path) -> None:
    path = tmp_path / "a.xdf"
    path.write_bytes(made.xdf())
    path.chmod(0)
    with pytest.raises(StorageError, match="must be readable"):
        read_capture(path)


def test_too_many_cells_are_refused() -> None:
    with pytest.raises(FormatError, match="may have at most 134217728 cells: got 1000001 lines of 200"):
        parse_columns(b",".join([b"a"] * 200) + b"\n" * 1_000_001, "x")


def test_names_are_cut_before_a_pattern_goes_back_and_forth_over_them() -> None:
    names, _, _ = header_of(b'"a' + b" " * 60_000 + b'b x (m/s^2)",t\n')
    assert [len(name) for name in names] == [300, 1]


def test_a_table_without_rows_is_empty() -> None:
    table = parse_columns(b"a,b\n", "x")
    assert table.numbers(0).shape == (0,)
    assert table.n_rows == 0


def test_an_unknown_unit_never_reaches_a_stream() -> None:
    from dcdp.data.readers.streams import make_stream

    with pytest.raises(ConfigError, match="unit must be one of"):
        make_stream("wrist", "acc", np.zeros(1), np.zeros((1, 3)), "x", "furlong")


@pytest.mark.parametrize(
    ("marks", "segments"),
    [
        ([], []),
        ([(1.0, "walk")], [(1.0, 9.0, "walk")]),
        ([(3.0, "sit"), (1.0, "walk")], [(1.0, 3.0, "walk"), (3.0, 9.0, "sit")]),
        ([(1.0, "walk"), (2.0, ""), (4.0, "run")], [(1.0, 2.0, "walk"), (4.0, 9.0, "run")]),
        ([(1.0, "walk_start"), (2.0, "walk_stop")], [(1.0, 2.0, "walk")]),
        ([(1.0, "a"), (1.0, "b")], [(1.0, 9.0, "b")]),
        ([(float("nan"), "a"), (11.0, "b")], []),
    ],
)
def test_marks_become_segments(marks: list[tuple[float, str]], segments: list[tuple[float, float, str]]) -> None:
    assert [(s.start_s, s.stop_s, s.label) for s in segments_of(marks, 9.0)] == segments


def test_text_of_a_file_is_safe_to_print() -> None:
    assert clean("a\x1b[31m\n\tb" + "c" * 1000) == "a [31m b" + "c" * 192
