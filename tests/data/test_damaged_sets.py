"""Data sets whose files are incomplete or damaged: each gets an error that names the place."""

import io

import numpy as np
import pytest
from scipy.io import savemat

from dcdp.data import get_set
from dcdp.errors import DataError, FormatError

RAW = "hapt/HAPT Data Set/RawData/"


def _parse(name, tree):
    data_set = get_set(name)
    return list(data_set.parse((data_set.layout.relative(path) or path, data) for path, data in tree.items()))


def _mat(**variables):
    file = io.BytesIO()
    savemat(file, variables)
    return file.getvalue()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"gyro_exp02_user01.txt": None}, r"in pairs: got no 'RawData/gyro_exp02_user01.txt'"),
        ({"acc_exp02_user01.txt": None}, r"in pairs: got no 'RawData/acc_exp02_user01.txt'"),
        ({"labels.txt": None}, r"complete: got no 'RawData/labels.txt'"),
        ({"gyro_exp02_user01.txt": b"1 2 3\n"}, r"equal lengths: got 60 and 1 samples of 'exp02_user01'"),
        ({"acc_exp02_user01.txt": b"1 2 3\n1 2\n"}, r"3 fields: got 2 in 'RawData/acc_exp02_user01.txt' line 2"),
        ({"acc_exp02_user01.txt": b"1 2 3 4\n"}, r"3 fields: got 4 in 'RawData/acc_exp02_user01.txt' line 1"),
        ({"acc_exp02_user01.txt": b"1 2 x\n"}, r"number or nan: got 'x' in .*line 1, field z"),
        ({"acc_exp02_user01.txt": b"1 2 inf\n"}, r"number or nan: got 'inf'"),
        ({"acc_exp02_user01.txt": b""}, r"hold a sample: got 'RawData/acc_exp02_user01.txt' without a line"),
        ({"labels.txt": b"1 1 5 11 81\n"}, r"inside its recording: got end 81 of 80 samples of 'exp01_user01'"),
        ({"labels.txt": b"1 1 13 1 2\n"}, r"activity must be 1 to 12: got '1 1 13 1 2' in .*line 1"),
        ({"labels.txt": b"1 1 5 0 2\n"}, r"start must be 1 or more"),
        ({"labels.txt": b"1 1 5 3 2\n"}, r"start must be 1 or more and not past end"),
        ({"labels.txt": b"1 1 5 1 2.5\n"}, r"whole numbers: got '1 1 5 1 2.5'"),
        ({"labels.txt": b"1 1 5 1 nan\n"}, r"whole numbers"),
        ({"labels.txt": b"1 1 5 1\n"}, r"5 fields: got 4"),
        ({"labels.txt": b"9 1 5 1 2\n"}, r"belong to a recording: got '9 1 5 1 2'"),
    ],
)
def test_damaged_hapt(change, match, tiny_tree):
    tree = tiny_tree("hapt") | {RAW + name: data for name, data in change.items()}
    with pytest.raises(FormatError, match=match):
        _parse("hapt", {path: data for path, data in tree.items() if data is not None})


def test_overlapping_labels_are_refused(tiny_tree):
    with pytest.raises(DataError, match="must not overlap"):
        _parse("hapt", tiny_tree("hapt") | {RAW + "labels.txt": b"1 1 5 11 30\n1 1 6 30 40\n"})


def test_text_nan_is_a_gap(tiny_tree):
    tree = tiny_tree("hapt")
    path = RAW + "acc_exp02_user01.txt"
    lines = tree[path].splitlines(keepends=True)
    tree[path] = b"".join([*lines[:3], b"nan NaN nan\n", *lines[4:]])
    values = _parse("hapt", tree)[1].tracks[0].values
    assert np.isnan(values[3]).all()
    assert np.isfinite(np.delete(values, 3, axis=0)).all()


@pytest.mark.parametrize(
    ("path", "edit", "match"),
    [
        ("data/a01/p1/s01.txt", None, r"follow each other: got no segment s01 of 'a01_p1'"),
        ("data/a01/p1/s01.txt", lambda d: d[: d.rindex(b"\n", 0, -1) + 1], r"125 lines: got 124 in 'a01/p1/s01.txt'"),
        ("data/a01/p1/s02.txt", lambda d: d.replace(b",", b"", 1), r"45 fields: got 44 in 'a01/p1/s02.txt' line 1"),
        ("data/a19/p2/s02.txt", lambda d: d.replace(b"\n", b",1\n", 1), r"45 fields: got 46 in 'a19/p2/s02.txt'"),
        ("data/a19/p2/s02.txt", lambda d: b"?" + d, r"number or nan: got '\?.*field torso_acc_x"),
        ("data/a20/p2/s02.txt", lambda d: d, r"activity must be 1 to 19: got 20"),
    ],
)
def test_damaged_dsads(path, edit, match, tiny_tree):
    tree = tiny_tree("dsads")
    data = tree.pop(path, b"")
    if edit is not None:
        tree[path] = edit(data)
    with pytest.raises(FormatError, match=match):
        _parse("dsads", tree)


@pytest.mark.parametrize(
    ("name", "data", "match"),
    [
        ("a1t1", b"", r"MATLAB file of version 5: got 'Subject1/a1t1.mat'"),
        ("a1t1", b"MATLAB 5.0" + bytes(300), r"MATLAB file of version 5: got 'Subject1/a1t1.mat'"),
        ("a1t1", _mat(other=np.ones((3, 6))), r"hold 'sensor_readings': got none in 'Subject1/a1t1.mat'"),
        ("a1t1", _mat(sensor_readings=np.ones((3, 5))), r"6 columns: got \(3, 5\)"),
        ("a1t1", _mat(sensor_readings="text"), r"no real matrix of floating point numbers"),
        ("a1t1", _mat(sensor_readings=np.full((3, 6), np.inf)), r"infinite number in 'Subject1/a1t1.mat'"),
        ("a13t1", _mat(sensor_readings=np.ones((3, 6))), r"activity must be 1 to 12: got 13"),
    ],
)
def test_damaged_uschad(name, data, match, tiny_tree):
    path = f"uschad/USC-HAD/data/Subject1/{name}.mat"
    with pytest.raises(FormatError, match=match):
        _parse("uschad", tiny_tree("uschad") | {path: data})


@pytest.mark.parametrize("n_bytes", [1, 100, 130, 200, 400, 800, 1500])
def test_cut_matlab_file(n_bytes, tiny_tree):
    path = "uschad/USC-HAD/data/Subject1/a1t1.mat"
    tree = tiny_tree("uschad")
    with pytest.raises(FormatError, match=r"Subject1/a1t1.mat"):
        _parse("uschad", tree | {path: tree[path][:n_bytes]})
