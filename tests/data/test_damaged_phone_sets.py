"""Damaged files of UCI-HAR, MotionSense, Shoaib, WISDM and RealWorld: each error names the place."""

import pytest

from dcdp.data import get_set
from dcdp.errors import FormatError

UCI = "UCI HAR Dataset/"
PHONE = "wisdm-dataset/raw/phone/accel/data_1600_accel_phone.txt"
WALK = "proband1/data/acc_walking_csv.zip/acc_walking_chest.csv"


def _parse(name, tree):
    data_set = get_set(name)
    files = ((data_set.layout.relative(path), data) for path, data in tree.items())
    return list(data_set.parse(file for file in files if file[0]))


def _line(number, change):
    """Return an edit of one line of a file, counted from 1."""

    def edit(data):
        lines = data.split(b"\n")
        lines[number - 1] = change(lines[number - 1])
        return b"\n".join(lines)

    return edit


def _field(number, place, text, separator=b","):
    def change(line):
        fields = line.split(separator) if separator != b" " else line.split()
        fields[place] = text
        return separator.join(fields)

    return _line(number, change)


def _check(name, tree, path, edit, match):
    data = tree.pop(path, b"")
    if edit is not None:
        tree[path] = edit(data)
    with pytest.raises(FormatError, match=match):
        _parse(name, tree)


@pytest.mark.parametrize(
    ("path", "edit", "match"),
    [
        ("train/Inertial Signals/total_acc_y_train.txt", None,
         r"complete: got no 'train/Inertial Signals/total_acc_y_train\.txt'"),
        ("test/subject_test.txt", None, r"complete: got no 'test/subject_test\.txt'"),
        ("train/Inertial Signals/body_gyro_x_train.txt", _line(3, lambda line: line.rsplit(None, 1)[0]),
         r"128 fields: got 127 in 'train/Inertial Signals/body_gyro_x_train\.txt' line 3"),
        ("train/Inertial Signals/body_gyro_x_train.txt", _field(2, 4, b"five", b" "),
         r"number or nan: got 'five' in 'train/Inertial Signals/body_gyro_x_train\.txt' line 2, field sample_5"),
        ("test/Inertial Signals/total_acc_z_test.txt", lambda data: data[: data.index(b"\n") + 1],
         r"equal numbers of lines: got subject_test\.txt 2, .*total_acc_z_test\.txt 1"),
        ("train/y_train.txt", _line(2, lambda _: b"7"),
         r"activity must be one of 1, .*6: got 7 in 'train/y_train\.txt' line 2"),
        ("train/y_train.txt", _line(2, lambda _: b"1.5"), r"got 1\.5 in 'train/y_train\.txt' line 2"),
        ("train/subject_train.txt", _line(3, lambda _: b"2"),
         r"a subject of the train part must be one of 1, 3, .*: got 2 in 'train/subject_train\.txt' line 3"),
        ("test/y_test.txt", lambda _: b"", r"hold a sample: got 'test/y_test\.txt' without a line"),
    ],
)
def test_damaged_ucihar(path, edit, match, tiny_tree):
    _check("ucihar", tiny_tree("ucihar"), UCI + path, edit, match)


@pytest.mark.parametrize(
    ("path", "edit", "match"),
    [
        ("jog_9/sub_2.csv", lambda data: data.replace(b"gravity.x,", b"", 1),
         r"column 5 must be 'gravity\.x': got 'gravity\.y' in '.*jog_9/sub_2\.csv' line 1"),
        ("jog_9/sub_2.csv", lambda data: data.replace(b",userAcceleration.z", b"", 1),
         r"column 13 must be 'userAcceleration\.z': got nothing in .* line 1"),
        ("jog_9/sub_2.csv", lambda data: data.replace(b"tion.z\n", b"tion.z,more\n", 1), r"13 columns: got 14 in"),
        ("jog_9/sub_2.csv", _line(3, lambda line: line.rsplit(b",", 1)[0]),
         r"13 fields: got 12 in 'A_DeviceMotion_data/jog_9/sub_2\.csv' line 3"),
        ("jog_9/sub_2.csv", _field(4, 8, b"fast"),
         r"got 'fast' in 'A_DeviceMotion_data/jog_9/sub_2\.csv' line 4, field rotationRate\.y"),
        ("jog_9/sub_2.csv", lambda data: data[: data.index(b"\n") + 1], r"hold a sample: got '.*jog_9/sub_2\.csv'"),
        ("jog_9/sub_2.csv", lambda _: b"", r"column 2 must be 'attitude\.roll': got nothing"),
        ("jog_9/sub_2.csv", lambda data: data.replace(b"\n2,", b"\n2,9,9,9,9,9,9,9,9,9,9,9,9\n3,9,9,9,9,9,9,9,9,9,9,9,9"
                                                      b"\n4,9,9,9,9,9,9,9,9,9,9,9,9\n5,"),
         r"gravity must have a size of 1 g: got \d+\.\d+ in '.*jog_9/sub_2\.csv'"),
        ("fly_9/sub_2.csv", lambda data: data, r"activity must be one of dws, .*: got 'fly' in '.*fly_9/sub_2\.csv'"),
        ("jog_9/sub_25.csv", lambda data: data, r"subject must be 1 to 24: got 25 in '.*jog_9/sub_25\.csv'"),
    ],
)
def test_damaged_motionsense(path, edit, match, tiny_tree):
    _check("motionsense", tiny_tree("motionsense"), f"A_DeviceMotion_data/{path}", edit, match)


@pytest.mark.parametrize(
    ("path", "edit", "match"),
    [
        ("Participant_2.csv", lambda data: data.replace(b"Gx,", b"", 1),
         r"column 8 must be 'Gx': got 'Gy' in 'Participant_2\.csv' line 2"),
        ("Participant_2.csv", _line(5, lambda line: line.replace(b",", b"", 1)),
         r"70 fields: got 69 in 'Participant_2\.csv' line 5"),
        ("Participant_2.csv", _field(4, 3, b"12:00"),
         r"got '12:00' in 'Participant_2\.csv' line 4, field left_pocket_Az"),
        ("Participant_2.csv", _field(6, 69, b"swimming\r"),
         r"label must be one of walking, .*: got 'swimming' in 'Participant_2\.csv' line 6"),
        ("Participant_2.csv", _field(6, 69, b"\r"), r"label must be one of .*: got '' in 'Participant_2\.csv' line 6"),
        ("Participant_2.csv", lambda data: data[: data.rindex(b",")],
         r"70 fields: got 69 in 'Participant_2\.csv' line 23"),
        ("Participant_2.csv", lambda _: b"",
         r"column 1 must be 'time_stamp': got nothing in 'Participant_2\.csv' line 2"),
        ("Participant_11.csv", lambda data: data, r"participant must be 1 to 10: got 11"),
    ],
)
def test_damaged_shoaib(path, edit, match, tiny_tree):
    _check("shoaib", tiny_tree("shoaib"), f"DataSet/{path}", edit, match)


@pytest.mark.parametrize(
    ("edit", "match"),
    [
        (_line(4, lambda line: line.replace(b",", b"", 1)),
         r"6 fields: got 5 in 'raw/phone/accel/data_1600_accel_phone\.txt' line 4"),
        (_field(3, 4, b"x"), r"number or nan: got 'x' in 'raw/phone/accel/.* line 3, field y"),
        (_field(3, 1, b"N"), r"label must be one of A, B, .*S: got 'N' in 'raw/phone/accel/.* line 3"),
        (_field(3, 0, b"1601"), r"subject must be 1600: got 1601 in 'raw/phone/accel/.* line 3"),
        (_field(3, 2, b"nan"), r"a time must be a number: got nan in 'raw/phone/accel/.* line 3"),
        (lambda data: data[:-6], r"must end with ';': got 'raw/phone/accel/.* line 120"),
        (lambda _: b"", r"hold a sample: got 'raw/phone/accel/.*' without a line"),
    ],
)
def test_damaged_wisdm(edit, match, tiny_tree):
    _check("wisdm", tiny_tree("wisdm"), PHONE, edit, match)


def test_wisdm_of_an_unknown_person(tiny_tree):
    tree = tiny_tree("wisdm")
    tree[PHONE.replace("1600", "1651")] = tree[PHONE]
    with pytest.raises(FormatError, match=r"subject must be 1600 to 1650: got 1651 in"):
        _parse("wisdm", tree)


def test_wisdm_clock_that_is_set_back_names_the_file(tiny_tree, trees_b):
    times_ns = [trees_b.WISDM_START_NS["phone"] + 50_000_000 * i + 7 * (n // 100)
                for n, i in enumerate([*range(100), *range(100)])]
    data = trees_b.wisdm_rows(1600, "A", times_ns, [(float(n), 1.0, 2.0) for n in range(200)])
    with pytest.raises(FormatError, match=r"must make a recording: got 'raw/phone/accel/.*must not be set back"):
        _parse("wisdm", tiny_tree("wisdm") | {PHONE: data})


@pytest.fixture(scope="module")
def trees_b(tree_modules):
    return tree_modules["trees_b"]


@pytest.mark.parametrize(
    ("path", "edit", "match"),
    [
        (WALK, lambda data: data.replace(b",attr_y", b"", 1),
         r"column 4 must be 'attr_y': got 'attr_z' in 'proband1/data/acc_walking_csv\.zip/.*_chest\.csv' line 1"),
        (WALK, _line(3, lambda line: line.rsplit(b",", 1)[0]), r"5 fields: got 4 in 'proband1/.*chest\.csv' line 3"),
        (WALK, _field(3, 2, b"x"), r"got 'x' in 'proband1/.*chest\.csv' line 3, field attr_x"),
        (WALK, _field(3, 1, b"nan"), r"must make a recording: got 'proband1/.*chest\.csv' .*times .* must be finite"),
        (WALK, lambda data: data[:-12], r"5 fields: got 4 in 'proband1/.*chest\.csv' line 41"),
        (WALK, lambda data: data[: data.index(b"\n") + 1], r"hold a sample: got 'proband1/.*chest\.csv'"),
        (WALK.replace("chest", "nose"), None, r"placement must be one of chest, .*: got 'nose' in"),
        (WALK.replace("walking_chest", "flying_chest"), None, r"activity must be one of climbing.*: got 'flying'"),
        (WALK.replace("proband1", "proband16"), None, r"subject must be one of 1, .*15: got '16' in"),
        (WALK.replace("_csv.zip", ""), None, r"one file in a recording: got 'proband1/.*csv\.zip/.*' and 'proband1/"),
    ],
)
def test_damaged_realworld(path, edit, match, trees_b):
    data = trees_b.realworld_csv()
    tree = {WALK: data}
    tree[path] = data if edit is None else edit(data)
    with pytest.raises(FormatError, match=match):
        _parse("realworld", tree)


@pytest.mark.parametrize("cut", [0.3, 0.9])
def test_realworld_damaged_inner_archive(cut, tiny_tree, write_tree, tmp_path):
    from dcdp.data.archive import open_source

    tree = tiny_tree("realworld")
    path = "proband1/data/gyr_walking_csv.zip"
    tree[path] = tree[path][: int(cut * len(tree[path]))]
    data_set = get_set("realworld")
    for form in ("folder", "zip"):
        source = open_source(write_tree(form, tmp_path / form, "realworld", tree), data_set.layout)
        with pytest.raises(FormatError, match=r"archive must be whole: got '.*gyr_walking_csv\.zip'"):
            list(data_set.parse(source))
