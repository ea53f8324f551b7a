"""Damaged files of the sets that were written from their documentation: each error names file and line."""

import pytest

from dcdp.data import get_set
from dcdp.errors import FormatError


def _parse(name, tree):
    data_set = get_set(name)
    files = ((data_set.layout.relative(path), data) for path, data in tree.items())
    return list(data_set.parse(file for file in files if file[0]))


def _line(number, edit):
    """Return ``change(data)`` that edits one line, from 1, as a list of its fields."""

    def change(data):
        lines = data.decode().split("\n")
        separator = "\t" if "\t" in lines[number - 1] else " "
        lines[number - 1] = separator.join(edit(lines[number - 1].split(separator)))
        return "\n".join(lines).encode()

    return change


def _put(place, text):
    return lambda fields: [*fields[:place], text, *fields[place + 1 :]]


def _cut(data):
    return data[: data.rindex(b"\n", 0, -1) + 20]


def _cut_to_nothing(_):
    return b""


def _less(fields):
    return fields[1:]


PAMAP2 = "PAMAP2_Dataset/Protocol/subject104.dat"
OPPORTUNITY = "OpportunityUCIDataset/dataset/S3-ADL2.dat"
MHEALTH = "MHEALTHDATASET/mHealth_subject4.log"
HUGADB = "HuGaDB v2/Data/HuGaDB_v2_walking_01_00.txt"


@pytest.mark.parametrize(
    ("name", "path", "change", "match"),
    [
        ("pamap2", PAMAP2, _line(7, _less), r"54 fields: got 53 in 'Protocol/subject104.dat' line 7"),
        ("pamap2", PAMAP2, _line(7, _put(5, "x")), r"got 'x' in 'Protocol/subject104.dat' line 7, field hand_acc16_y"),
        ("pamap2", PAMAP2, _line(7, _put(2, "inf")), r"got 'inf' in .*line 7, field heart_rate"),
        ("pamap2", PAMAP2, _cut, r"54 fields: got \d+ in 'Protocol/subject104.dat' line 148"),
        ("pamap2", PAMAP2, _cut_to_nothing, r"hold a sample: got 'Protocol/subject104.dat' without a line"),
        ("pamap2", PAMAP2, _line(7, _put(1, "9")), r"label must be one of 0, 1, .*: got 9 in '.*104.dat' line 7"),
        ("pamap2", PAMAP2, _line(7, _put(1, "1.5")), r"label must be one of .*: got 1.5 in .* line 7"),
        ("pamap2", PAMAP2, _line(7, _put(1, "NaN")), r"label must be one of .*: got nan in .* line 7"),
        ("pamap2", PAMAP2, _line(7, _put(0, "8.43")), r"rise from line to line: got 8.43 s in .*104.dat' line 7"),
        ("pamap2", PAMAP2, _line(7, _put(0, "NaN")), r"rise from line to line: got nan s in .* line 7"),
        ("pamap2", PAMAP2, _line(1, _put(0, "NaN")), r"rise from line to line: got nan s in .* line 1"),
        ("pamap2", PAMAP2, _line(148, _put(0, "9e19")), r"leap over most .*: got 9e\+19 s more in .*line 148"),
        ("opportunity_gestures", OPPORTUNITY, _line(3, _less), r"250 fields: got 249 in 'S3-ADL2.dat' line 3"),
        ("opportunity_gestures", OPPORTUNITY, _line(3, _put(108, "?")), r"'S3-ADL2.dat' line 3, field left_shoe_acc_x"),
        ("opportunity_gestures", OPPORTUNITY, _line(3, _put(249, "7")), r"label must be .*: got 7 in .*2.dat' line 3"),
        ("opportunity_locomotion", OPPORTUNITY, _line(3, _put(243, "3")), r"one of 0, 1, 2, 4, 5: got 3 in .* line 3"),
        ("opportunity_locomotion", OPPORTUNITY, _line(3, _put(0, "33")), r"rise .*: got 0.033 s in .*ADL2.dat' line 3"),
        ("opportunity_locomotion", OPPORTUNITY, _cut, r"250 fields: got \d+ in 'S3-ADL2.dat' line 45"),
        ("mhealth", MHEALTH, _line(2, _less), r"24 fields: got 23 in 'mHealth_subject4.log' line 2"),
        ("mhealth", MHEALTH, _line(2, _put(4, "-")), r"got '-' in 'mHealth_subject4.log' line 2, field chest_ecg_2"),
        ("mhealth", MHEALTH, _line(2, _put(23, "13")), r"label must be .*: got 13 in 'mHealth_subject4.log' line 2"),
        ("mhealth", MHEALTH, _cut, r"24 fields: got \d+ in 'mHealth_subject4.log' line 113"),
        ("hugadb", HUGADB, _line(6, _less), r"39 fields: got 38 in 'HuGaDB_v2_walking_01_00.txt' line 6"),
        ("hugadb", HUGADB, _line(6, _put(1, "x")), r"got 'x' in .*_01_00.txt' line 6, field right_foot_acc_y"),
        ("hugadb", HUGADB, _line(6, _put(38, "0")), r"label must be .*: got 0 in .*_01_00.txt' line 6"),
        ("hugadb", HUGADB, _line(4, _less), r"name the 39 columns, .*: got 38 names, or others, in .*.txt' line 4"),
        ("hugadb", HUGADB, _line(4, _put(0, "RF_gyro_x")), r"name the 39 columns, .* in .*_01_00.txt' line 4"),
        ("hugadb", HUGADB, lambda data: data[:30], r"name the 39 columns, .*: got 0 names"),
        ("hugadb", HUGADB, lambda data: b"\n".join(data.split(b"\n")[:4]), r"hold a sample: got 'HuGaDB_v2_walking"),
        ("hugadb", HUGADB, _cut, r"39 fields: got \d+ in 'HuGaDB_v2_walking_01_00.txt' line 34"),
        ("hugadb", HUGADB, _cut_to_nothing, r"name the 39 columns, .*: got 0 names"),
    ],
)
def test_damage_names_file_and_line(name, path, change, match, tiny_tree):
    tree = tiny_tree(name)
    with pytest.raises(FormatError, match=match):
        _parse(name, {path: change(tree[path])})


def test_two_versions_of_hugadb_are_not_mixed(tiny_tree):
    tree = tiny_tree("hugadb")
    other = HUGADB.replace("HuGaDB_v2", "HuGaDB_v1")
    with pytest.raises(FormatError, match=r"of one version: got 'HuGaDB_v2_.*' and 'HuGaDB_v1_walking_01_00.txt'"):
        _parse("hugadb", tree | {other: tree[HUGADB]})


def test_windows_line_ends_and_stray_blanks_are_read(tiny_tree):
    tree = tiny_tree("pamap2")
    plain = _parse("pamap2", {PAMAP2: tree[PAMAP2]})[0]
    stray = _parse("pamap2", {PAMAP2: tree[PAMAP2].replace(b"\n", b" \r\n")})[0]
    assert stray.segments == plain.segments
    assert stray.track("wrist_acc").values.tobytes() == plain.track("wrist_acc").values.tobytes()
