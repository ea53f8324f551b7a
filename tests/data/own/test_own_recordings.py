"""Described folders as recordings: one clock, known units, labels; what is wrong is told by file and line."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from dcdp.data.own import load_description, open_own, read_like, read_named, read_own, summarise_notes
from dcdp.data.store import Store
from dcdp.errors import ConfigError, DataError, DcdpError, FormatError, MissingError
from dcdp.records import Recording, Segment
from dcdp.signals.frames import rotation_matrix

G = 9.80665
Make = Callable[..., Path]
Edit = Callable[..., None]


@pytest.fixture
def folder(make_folder: Make, tmp_path: Path) -> Path:
    return make_folder(tmp_path / "mine", people=1)


@pytest.fixture
def read(folder: Path) -> Callable[[], Recording]:
    def one() -> Recording:
        (recording,) = read_own(load_description(folder))
        return recording

    return one


def truth(folder: Path) -> pl.DataFrame:
    return pl.read_csv(folder / "s01" / "phone.csv")


# What comes out


def test_two_devices_of_one_session_are_one_recording(read: Callable[[], Recording], folder: Path) -> None:
    recording = read()
    assert (recording.name, recording.subject, recording.session) == ("s01_1", "s01", "1")
    assert [(t.signal.name, t.signal.rate_hz, t.signal.unit, t.values.shape) for t in recording.tracks] == [
        ("waist_acc", 50.0, "m/s2", (3000, 3)),
        ("waist_gyr", 50.0, "deg/s", (3000, 3)),
        ("wrist_acc", 32.0, "m/s2", (1920, 3)),
    ]
    assert recording.tracks[0].signal.channels == ("waist_acc_x", "waist_acc_y", "waist_acc_z")
    table = truth(folder)
    acc, gyr = recording.tracks[0].values, recording.tracks[1].values
    assert acc == pytest.approx(G * table.select("ax", "ay", "az").to_numpy(), rel=1e-5, abs=1e-5)
    assert gyr == pytest.approx(np.degrees(table.select("gx", "gy", "gz").to_numpy()), rel=1e-5, abs=1e-4)
    assert [track.start_s for track in recording.tracks] == pytest.approx([0, 0, 0], abs=1e-6)
    assert recording.segments == (Segment(0, 30, "walk"), Segment(30, 60, "sit"))
    assert {(note.kind, note.signal) for note in recording.notes} == {("unit", "waist_acc"), ("unit", "waist_gyr")}


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns", "iso", "parquet", "feather"])
def test_times_of_every_unit_are_the_same_clock(
    unit: str, read: Callable[[], Recording], folder: Path, edit: Edit
) -> None:
    expected = read()
    path, table = folder / "s01" / "phone.csv", truth(folder)
    ms = pl.col("time")
    written = {
        "s": ms / 1000, "ms": ms, "us": ms * 1000, "ns": ms * 1_000_000,
        "iso": ms.cast(pl.Datetime("ms")).dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ"),
    }.get(unit, ms.cast(pl.Datetime("ms")).cast(pl.Datetime("ns")))  # fmt: skip
    table = table.with_columns(written.alias("time"))
    if unit in ("parquet", "feather"):
        path.unlink()
        (table.write_parquet if unit == "parquet" else table.write_ipc)(path.with_suffix(f".{unit}"))
        edit(folder / "dcdp.toml", "phone.csv", f"phone.{unit}")
    else:
        table.write_csv(path)
        edit(folder / "dcdp.toml", 'unit = "ms"', f'unit = "{unit}"')
    found = read()
    for track, other in zip(found.tracks, expected.tracks, strict=True):
        assert track.values == pytest.approx(other.values, abs=2e-4)
        assert track.start_s == pytest.approx(other.start_s, abs=1e-6)


@pytest.mark.parametrize(
    ("write", "keys"),
    [
        (lambda t: t.write_csv().replace(",", ";"), ""),
        (lambda t: t.write_csv().replace(",", ";").replace(".", ","), 'decimal = ","'),
        (lambda t: "\ufeff" + t.write_csv(), ""),
        (lambda t: t.write_csv().replace("\n", "\r\n") + "\r\n\r\n", ""),
        (lambda t: "# made by hand\n# twice\n" + t.write_csv(), "skip_lines = 2"),
        (lambda t: t.write_csv(separator="|"), 'separator = "|"'),
        (lambda t: t.write_csv().replace(",", "   "), 'separator = " "'),
    ],
    ids=["semicolon", "decimal comma", "BOM", "windows", "preamble", "bar", "blanks"],
)
def test_dialects_are_read(
    write: Callable[[pl.DataFrame], str], keys: str, read: Callable[[], Recording], folder: Path, edit: Edit
) -> None:
    expected = read()
    (folder / "s01" / "phone.csv").write_text(write(truth(folder)), encoding="utf-8")
    edit(folder / "dcdp.toml", "rate_hz = 50", f"rate_hz = 50\n{keys}")
    assert np.array_equal(read().tracks[0].values, expected.tracks[0].values)


def test_a_table_without_header_is_read_by_place(read: Callable[[], Recording], folder: Path, edit: Edit) -> None:
    expected = read()
    truth(folder).write_csv(folder / "s01" / "phone.csv", include_header=False)
    edit(folder / "dcdp.toml", 'column = "time", unit = "ms" }', 'column = "column_1", unit = "ms" }\nheader = false')
    for name, place in zip(("ax", "ay", "az", "gx", "gy", "gz"), range(2, 8), strict=True):
        edit(folder / "dcdp.toml", f'"{name}"', f'"column_{place}"')
    assert np.array_equal(read().tracks[0].values, expected.tracks[0].values)


def test_without_times_the_rate_is_the_clock(read: Callable[[], Recording], folder: Path, edit: Edit) -> None:
    edit(folder / "dcdp.toml", 'time = { column = "time", unit = "ms" }\n', "")
    edit(folder / "dcdp.toml", 'time = { column = "timestamp", unit = "s" }', 'clock = "start"')
    tracks = read().tracks
    assert [(track.start_s, len(track.values)) for track in tracks] == [(0, 3000), (0, 3000), (0, 1920)]


def test_rates_are_found_where_none_are_given_and_changed_where_asked(
    read: Callable[[], Recording], folder: Path, edit: Edit
) -> None:
    edit(folder / "dcdp.toml", "rate_hz = 50\n", "")
    edit(folder / "dcdp.toml", 'unit = "rad/s"', 'unit = "rad/s"\nrate_hz = 25')
    recording = read()
    assert [track.signal.rate_hz for track in recording.tracks] == [50.0, 25.0, 32.0]
    assert len(recording.tracks[1].values) == 1500
    assert "resampled from 50 Hz to 25 Hz" in [note.text for note in recording.notes]


def test_axes_and_mounting_are_applied_in_this_order(read: Callable[[], Recording], folder: Path, edit: Edit) -> None:
    plain = read().tracks[0].values
    edit(folder / "dcdp.toml", 'unit = "g"', 'unit = "g"\naxes = "x,-z,y"\nrotation = [0, 0, 90]')
    recording = read()
    moved = plain[:, [0, 2, 1]] * np.array([1, -1, 1])
    assert recording.tracks[0].values == pytest.approx(moved @ rotation_matrix("0,0,90").T, abs=1e-4)
    assert [note.signal for note in recording.notes if note.kind == "axes"] == ["waist_acc"]


def test_a_mirror_is_refused_unless_asked_for(read: Callable[[], Recording], folder: Path, edit: Edit) -> None:
    edit(folder / "dcdp.toml", 'unit = "g"', 'unit = "g"\naxes = "-x,y,z"')
    with pytest.raises(ConfigError, match=r"device 'phone', signal 'acc'.*must not mirror: got '-x,y,z'"):
        read()
    edit(folder / "dcdp.toml", 'axes = "-x,y,z"', 'axes = "-x,y,z"\nmirror = true')
    assert read().tracks[0].values[0, 0] <= 0


# Clocks


def test_a_watch_that_is_late_is_aligned_and_it_is_told(make_folder: Make, tmp_path: Path, edit: Edit) -> None:
    folder = make_folder(tmp_path / "late", people=1, seconds=150, watch_late_s=2.5)
    edit(folder / "dcdp.toml", 'placement = "wrist"', 'placement = "wrist"\nalign = true')
    (recording,) = read_own(load_description(folder))
    assert recording.tracks[2].start_s == pytest.approx(0, abs=0.02)
    (note,) = [note for note in recording.notes if note.kind == "clock_offset"]
    assert note.value == pytest.approx(-2.5, abs=0.02)


def test_a_clock_that_movement_does_not_tell_is_refused_dropped_or_kept(
    folder: Path, read: Callable[[], Recording], edit: Edit
) -> None:
    table = pl.read_csv(folder / "s01" / "watch.csv")
    noise = np.random.default_rng(0).normal(size=(len(table), 3)) * 0.1 + [0, 0, G]
    table.with_columns(pl.Series(f"accel_{x}", noise[:, i]) for i, x in enumerate("xyz")).write_csv(
        folder / "s01" / "watch.csv"
    )
    edit(folder / "dcdp.toml", 'placement = "wrist"', 'placement = "wrist"\nalign = true')
    with pytest.raises(DataError, match=r"the clock of 'watch' must be told by the movement in 's01_1'.*offset_s"):
        read()
    edit(folder / "dcdp.toml", "align = true", 'align = true\npoor_alignment = "drop"')
    dropped = read()
    assert [track.signal.name for track in dropped.tracks] == ["waist_acc", "waist_gyr"]
    assert [note.kind for note in dropped.notes if "watch" in note.text] == ["not_aligned"]
    edit(folder / "dcdp.toml", '"drop"', '"keep"')
    assert len(read().tracks) == 3


def test_an_offset_by_hand_and_clocks_that_only_start_together(
    folder: Path, read: Callable[[], Recording], edit: Edit
) -> None:
    edit(folder / "dcdp.toml", 'placement = "wrist"', 'placement = "wrist"\noffset_s = 1.5')
    assert read().tracks[2].start_s == pytest.approx(1.5)
    shifted = pl.read_csv(folder / "s01" / "watch.csv").with_columns(pl.col("timestamp") - 1.7e9 - 3600)
    shifted.write_csv(folder / "s01" / "watch.csv")
    with pytest.raises(DataError, match=r"devices of 's01_1' must have recorded at the same time.*clock = \"start\""):
        read()
    edit(folder / "dcdp.toml", "offset_s = 1.5", 'clock = "start"')
    edit(folder / "dcdp.toml", 'placement = "waist"', 'placement = "waist"\nclock = "start"')
    assert read().tracks[2].start_s == pytest.approx(0, abs=1e-6)


def test_a_sensor_may_be_missing_for_part_of_a_session_or_all_of_it(
    make_folder: Make, tmp_path: Path
) -> None:
    folder = make_folder(tmp_path / "mine", people=2)
    pl.read_csv(folder / "s01" / "watch.csv")[640:1280].write_csv(folder / "s01" / "watch.csv")
    (folder / "s02" / "watch.csv").unlink()
    one, two = read_own(load_description(folder))
    assert (one.tracks[2].start_s, one.tracks[2].stop_s) == pytest.approx((20, 40), abs=0.01)
    assert [track.signal.name for track in two.tracks] == ["waist_acc", "waist_gyr"]


def test_parts_of_one_recording_are_put_behind_one_another(
    folder: Path, read: Callable[[], Recording], edit: Edit
) -> None:
    expected, table = read(), truth(folder)
    (folder / "s01" / "phone.csv").unlink()
    for part, rows in ((10, table[2000:]), (9, table[:2000])):  # by number, not by letter
        rows.write_csv(folder / "s01" / f"phone{part}.csv")
    edit(folder / "dcdp.toml", "phone.csv", "phone{part}.csv")
    found = read()
    assert np.array_equal(found.tracks[0].values, expected.tracks[0].values)
    assert found.notes == expected.notes
    edit(folder / "dcdp.toml", 'time = { column = "time", unit = "ms" }', 'clock = "start"')
    edit(folder / "dcdp.toml", 'placement = "wrist"', 'placement = "wrist"\nclock = "start"')
    assert np.array_equal(read().tracks[0].values, expected.tracks[0].values)


def test_one_table_may_hold_many_people(folder: Path) -> None:
    table = truth(folder)
    many = pl.concat([table.with_columns(pl.lit(name).alias("who")) for name in ("ann", "bob")])
    many.write_csv(folder / "all.csv")
    annotation = pl.read_csv(folder / "s01" / "labels.csv")
    pl.concat([annotation.with_columns(pl.lit(name).alias("who")) for name in ("ann", "bob")])[:3].write_csv(
        folder / "marks.csv"
    )
    text = (folder / "dcdp.toml").read_text(encoding="utf-8")
    first = text[: text.index('[[devices]]\nname = "watch"')].replace("{subject}/phone.csv", "all.csv")
    labels = text[text.index("[labels]") :].replace("{subject}/labels", "marks") + 'subject_column = "who"\n'
    first = first.replace('placement = "waist"', 'placement = "waist"\nsubject_column = "who"')
    (folder / "dcdp.toml").write_text(first + labels, encoding="utf-8")
    ann, bob = read_own(load_description(folder))
    assert (ann.subject, bob.subject) == ("ann", "bob")
    assert np.array_equal(ann.tracks[0].values, bob.tracks[0].values)
    assert ([s.label for s in ann.segments], [s.label for s in bob.segments]) == (["walk", "sit"], ["walk"])


# Labels


@pytest.fixture
def labelled(folder: Path) -> Callable[[str], Path]:
    """Replace [labels] of the description."""

    def change(keys: str) -> Path:
        text = (folder / "dcdp.toml").read_text(encoding="utf-8")
        (folder / "dcdp.toml").write_text(text[: text.index("[labels]")] + "[labels]\n" + keys, encoding="utf-8")
        return folder

    return change


def test_a_column_of_labels(folder: Path, labelled: Callable[[str], Path], read: Callable[[], Recording]) -> None:
    codes = np.repeat(["1", "", "2", "0"], 750)
    truth(folder).with_columns(pl.Series("code", codes)).write_csv(folder / "s01" / "phone.csv")
    labelled('column = "code"\nnames = { 1 = "walk", 2 = "sit" }\nnull = ["0"]\n')
    assert read().segments == (Segment(0, 15, "walk"), Segment(30, 45, "sit"))


def test_a_label_does_not_last_over_a_gap(
    folder: Path, labelled: Callable[[str], Path], read: Callable[[], Recording]
) -> None:
    table = truth(folder).with_columns(pl.lit("walk").alias("code"))
    pl.concat([table[:1000], table[1500:]]).write_csv(folder / "s01" / "phone.csv")
    labelled('column = "code"\n')
    assert [(s.start_s, s.stop_s) for s in read().segments] == [pytest.approx((0, 20)), pytest.approx((30, 60))]


def test_labels_in_the_path(folder: Path, labelled: Callable[[str], Path]) -> None:
    (folder / "s01" / "phone.csv").rename(folder / "s01" / "walk.csv")
    truth_again = pl.read_csv(folder / "s01" / "walk.csv").with_columns(pl.col("ax") * 1.01)
    truth_again.write_csv(folder / "s01" / "sit.csv")
    labelled("")
    text = (folder / "dcdp.toml").read_text(encoding="utf-8")
    text = text[: text.index('[[devices]]\nname = "watch"')].replace("phone.csv", "{label}.csv")
    (folder / "s01" / "labels.csv").unlink()
    (folder / "s01" / "watch.csv").unlink()
    (folder / "dcdp.toml").write_text(text, encoding="utf-8")
    found = list(read_own(load_description(folder)))
    assert [(r.name, r.segments) for r in found] == [
        ("s01_1_sit", (Segment(0, 60, "sit"),)), ("s01_1_walk", (Segment(0, 60, "walk"),)),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "keys"),
    [
        ("start,long,label\n0,30,walk\n30,30,sit\n", 'duration = "long"\n'),
        ("start,label\n0,walk\n30,sit\n", ""),
        ("start,stop,label\n0,30000,walk\n30000,60000,sit\n", 'stop = "stop"\nunit = "ms"\n'),
        ("start,stop,label\n0,1500,walk\n1500,3000,sit\n", 'stop = "stop"\nunit = "samples"\n'),
        (
            "start,stop,label\n1700003600,1700003630,walk\n1700003630,1700003660,sit\n",
            'stop = "stop"\nclock = "device"\n',
        ),
        (
            "start,stop,label\n2023-11-14T23:13:20Z,2023-11-14T23:13:50Z,walk\n"
            "2023-11-15 00:13:50+01:00,2023-11-14 23:14:20,sit\n",
            'stop = "stop"\nunit = "iso"\nclock = "device"\n',
        ),
    ],
    ids=["duration", "until the next", "ms", "samples", "clock of the device", "dates"],
)
def test_annotation_files_of_every_kind(
    rows: str, keys: str, folder: Path, labelled: Callable[[str], Path], read: Callable[[], Recording]
) -> None:
    (folder / "s01" / "labels.csv").write_text(rows, encoding="utf-8")
    labelled('file = "{subject}/labels.csv"\n' + keys)
    found = read().segments
    assert [segment.label for segment in found] == ["walk", "sit"]
    assert [t for s in found for t in (s.start_s, s.stop_s)] == pytest.approx([0, 30, 30, 60], abs=1e-3)


@pytest.mark.parametrize(
    ("rows", "message", "lifted", "expected"),
    [
        ("0,40,walk\n30,60,sit\n", r"must not overlap: got 'walk' 0 to 40 s, then 'sit' 30 to 60 s in line 3 of",
         'overlap = "first"', [(0, 40), (40, 60)]),
        ("0,40,walk\n30,60,sit\n", "must not overlap", 'overlap = "last"', [(0, 30), (30, 60)]),
        ("0,30,walk\n30,90,sit\n", r"must lie inside its recording \('s01_1', 0 to 60 s\): got 30 to 90 s in line 3",
         'outside = "cut"', [(0, 30), (30, 60)]),
        ("0,30,walk\n70,90,sit\n", "must lie inside its recording", 'outside = "cut"', [(0, 30)]),
    ],
)  # fmt: skip
def test_annotations_that_overlap_or_leave_the_recording(
    rows: str, message: str, lifted: str, expected: list[tuple[float, float]], folder: Path,
    labelled: Callable[[str], Path], read: Callable[[], Recording],
) -> None:  # fmt: skip
    (folder / "s01" / "labels.csv").write_text("start,stop,label\n" + rows, encoding="utf-8")
    labelled('file = "{subject}/labels.csv"\nstop = "stop"\n')
    with pytest.raises(DataError, match=message):
        read()
    labelled(f'file = "{{subject}}/labels.csv"\nstop = "stop"\n{lifted}\n')
    recording = read()
    assert [(s.start_s, s.stop_s) for s in recording.segments] == expected
    assert [note.kind for note in recording.notes if note.kind.startswith("labels")] == [
        "labels_cut" if "cut" in lifted else "labels_overlap"
    ]


def test_an_annotation_that_ends_first_and_an_unknown_label_are_refused(
    folder: Path, labelled: Callable[[str], Path], read: Callable[[], Recording]
) -> None:
    (folder / "s01" / "labels.csv").write_text("start,stop,label\n30,20,walk\n", encoding="utf-8")
    labelled('file = "{subject}/labels.csv"\nstop = "stop"\n')
    with pytest.raises(DataError, match=r"must end after it starts: got 30 to 20 s in line 2"):
        read()
    (folder / "s01" / "labels.csv").write_text("start,stop,label\n0,20,wlak\n", encoding="utf-8")
    labelled('file = "{subject}/labels.csv"\nstop = "stop"\norder = ["walk", "sit"]\n')
    with pytest.raises(ConfigError, match=r"the label in line 2 of .*labels.csv' must be one of sit, walk: got 'wlak'"):
        read()


def test_a_missing_annotation_file(make_folder: Make, tmp_path: Path, edit: Edit) -> None:
    folder = make_folder(tmp_path / "mine", people=2)
    (folder / "s02" / "labels.csv").unlink()
    with pytest.raises(MissingError, match=r"each recording must have its annotation file: .* for subject s02"):
        list(read_own(load_description(folder)))
    edit(folder / "dcdp.toml", 'stop = "stop"', 'stop = "stop"\nmissing = "unlabelled"')
    assert [len(recording.segments) for recording in read_own(load_description(folder))] == [2, 0]


# What is refused


def spoil(file: str, change: Callable[[str], str | bytes]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        path = folder / file
        text = change(path.read_text(encoding="utf-8"))
        path.write_bytes(text if isinstance(text, bytes) else text.encode())

    return apply


def line(number: int, text: str) -> Callable[[str], str]:
    def change(content: str) -> str:
        lines = content.split("\n")
        lines[number - 1] = text
        return "\n".join(lines)

    return change


def set_back(path: Path) -> None:
    late = pl.when(pl.int_range(pl.len()) >= 2000).then(20_007).otherwise(0)
    pl.read_csv(path).with_columns(pl.col("time") - late).write_csv(path)


PHONE, TOML = "s01/phone.csv", "dcdp.toml"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: shutil.rmtree(f / "s01"), r"device 'phone' must have files: .*It is empty: add recordings|It holds"),
        (lambda f: (f / PHONE).unlink(), r"device 'phone' must have files: got nothing like '\{subject\}/phone.csv'"),
        (lambda f: (f / TOML).unlink(), r"the description must exist: got .*dcdp.toml'"),
        (spoil(PHONE, lambda t: t.replace("ax", "accx", 1)), r"phone.csv' must have the column 'ax'.*Did you mean"),
        (spoil(PHONE, line(7, "1,2,x7,3,4,5,6")), r"column 'ay' must hold numbers: got 'x7' in line 7 of '.*phone.csv"),
        (spoil(PHONE, line(7, "1,2,3")), r"must have 7 fields, as the first: got 3 in line 7"),
        (spoil(PHONE, line(7, ",1,2,3,4,5,6")), r"'time' must hold a time in each row: got nothing in line 7"),
        (spoil(PHONE, lambda t: t.encode("utf-16")), r"whole table: .*not UTF-8"),
        (spoil(PHONE, lambda t: t.split("\n")[0] + "\n"), "a recording must hold samples: got no row in"),
        (lambda f: set_back(f / PHONE), "the clock of 'waist_acc' must not be set back: got .* in row 2001"),
        (spoil(TOML, lambda t: t.replace('unit = "g"', 'unit = "furlong"')),
         r"in '.*dcdp.toml', device 'phone', signal 'acc': unit must be one of"),
        (spoil(TOML, lambda t: t.replace('unit = "g"', 'unit = "deg/s"')), r"'acc': 'deg/s' must be converted to"),
        (spoil(TOML, lambda t: t.replace('unit = "g"', 'unit = "m/s2"')),
         r"'waist_acc' must be in m/s2: got acceleration at rest is 1\.?\d* m/s2, which looks like g in .*phone.csv'\. "
         r'Set unit = "g"'),
        (spoil(TOML, lambda t: t.replace("{subject}/phone", "*/phone")), "'phone' must say once whose recordings"),
        (spoil(TOML, lambda t: t.replace("placement", "plcement", 1)), r"got 'devices\[0\].plcement'.*\[0\].plac"),
        (spoil(TOML, line(8, "rate_hz = = 50")), r"a description must be TOML: got .*at line 8, column"),
        (spoil(TOML, lambda t: b"\xff" + t.encode()), "a description must be UTF-8"),
        (spoil(TOML, lambda t: t.replace("{subject}/phone", "../{subject}/phone")), "must lie inside the folder"),
        (spoil(TOML, lambda t: t.replace("{subject}/phone", "/etc/{subject}")), "must lie inside the folder"),
        (spoil(TOML, lambda t: t.replace('placement = "wrist"', 'placement = "waist"')),
         "two files must not hold the same signal|must be alike in all files"),
        (spoil(TOML, lambda t: t.replace("{subject}/phone.csv", "{subject}/*.csv")), "must have one file of device"),
        (spoil(TOML, lambda t: t.replace('"watch"', '"phone"')), "devices must be named once each"),
        (spoil(TOML, lambda t: t.replace("rate_hz = 50", "rate_hz = -50")), "rate_hz must be positive"),
        (spoil(TOML, lambda t: t.replace("[labels]", '[labels]\ncolumn = "a"')), "labels must stand in one place"),
        (spoil("s01/labels.csv", lambda t: t.replace("activity", "what")), "must have the column 'activity'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_in_one_line(damage: Callable[[Path], None], message: str, folder: Path) -> None:
    damage(folder)
    with pytest.raises(DcdpError, match=message) as told:
        list(read_own(load_description(folder)))
    assert "\n" not in str(told.value)


def test_a_device_with_one_sample_is_left_out_and_a_recording_with_one_is_refused(
    folder: Path, read: Callable[[], Recording]
) -> None:
    for name in ("phone.csv", "watch.csv"):
        spoil(f"s01/{name}", lambda text: "\n".join(text.split("\n")[:2]))(folder)
        if name == "phone.csv":
            recording = read()
            assert [track.signal.name for track in recording.tracks] == ["wrist_acc"]
            assert {n.signal for n in recording.notes if n.kind == "too_short"} == {"waist_acc", "waist_gyr"}
    with pytest.raises(DataError, match="a recording must have two samples or more"):
        read()


def test_a_wrong_unit_is_converted_on_request_and_noted(
    folder: Path, edit: Edit, read: Callable[[], Recording]
) -> None:
    expected = read().tracks[0].values
    edit(folder / "dcdp.toml", 'unit = "g"', 'unit = "m/s2"')
    edit(folder / "dcdp.toml", 'name = "mine"', 'name = "mine"\nwrong_unit = "convert"')
    recording = read()
    assert np.array_equal(recording.tracks[0].values, expected)
    assert [note.signal for note in recording.notes if note.kind == "wrong_unit"] == ["waist_acc"]


def test_a_link_out_of_the_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    (folder / PHONE).rename(tmp_path / "elsewhere.csv")
    (folder / PHONE).symlink_to(tmp_path / "elsewhere.csv")
    with pytest.raises(FormatError, match=r"must lie inside the folder of its description: got the link .*phone.csv'"):
        list(read_own(load_description(folder)))


# The store


def test_only_new_and_changed_files_are_read_again(
    make_folder: Make, tmp_path: Path, edit: Edit
) -> None:
    folder, cache = make_folder(tmp_path / "mine", people=3), tmp_path / "cache"
    shutil.move(folder / "s03", tmp_path / "later")
    steps: list[str] = []
    first = open_own(folder, cache, progress=lambda done, total, text: steps.append(f"{done}/{total} {text}"))
    assert (first.n_read, [e.name for e in first.store.recordings]) == (2, ["s01_1", "s02_1"])
    assert (steps[0], steps[-1]) == ("0/2 mine: s01/phone.csv", "2/2 mine")
    whole = {signal.name: first.store.array(signal.name).copy() for signal in first.store.spec}
    again = open_own(folder, cache)
    assert again.n_read == 0
    shutil.move(tmp_path / "later", folder / "s03")
    grown = open_own(folder, cache)
    assert (grown.n_read, len(grown.store.recordings)) == (1, 3)
    for name, values in whole.items():
        assert np.array_equal(grown.store.array(name)[: len(values)], values)
    edit(folder / "s02" / "phone.csv", "\n", ",extra\n", 1)
    with pytest.raises(FormatError, match="as the first"):
        open_own(folder, cache)
    edit(folder / "s02" / "phone.csv", ",extra\n", "\n", 1)
    assert open_own(folder, cache).n_read == 1  # its time of change is new
    edit(folder / "dcdp.toml", 'name = "mine"', 'name = "mine"\n# a remark\ntitle = "Mine"')
    assert open_own(folder, cache).n_read == 0
    edit(folder / "dcdp.toml", 'placement = "wrist"', 'placement = "ankle"')
    assert open_own(folder, cache).n_read == 3
    shutil.rmtree(folder / "s01")
    shrunk = open_own(folder, cache)
    assert (shrunk.n_read, shrunk.store.subjects) == (0, ("s02", "s03"))


def test_a_damaged_store_is_made_anew(make_folder: Make, tmp_path: Path) -> None:
    folder, cache = make_folder(tmp_path / "mine", people=1), tmp_path / "cache"
    open_own(folder, cache)
    for name in ("index.json", "*.npy"):
        (file, *_) = cache.rglob(name)
        file.write_bytes(file.read_bytes()[:100])
        assert open_own(folder, cache).n_read == 1
        assert open_own(folder, cache).n_read == 0


@pytest.mark.parametrize(
    ("late", "label", "appended"), [("s03", "walk", True), ("s03", "zigzag", True), ("s03", "run", False),
                                    ("s01", "walk", False)],
)  # fmt: skip
def test_a_store_that_has_grown_is_that_of_a_fresh_import(
    late: str, label: str, appended: bool, make_folder: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    append = Store.append
    monkeypatch.setattr(Store, "append", lambda *args, **named: (calls.append("append"), append(*args, **named)))
    folder = make_folder(tmp_path / "mine", people=3)
    shutil.move(folder / late, tmp_path / "later")
    (tmp_path / "later" / "labels.csv").write_text(f"start,stop,activity\n0,9,walk\n9,20,{label}\n", encoding="utf-8")
    open_own(folder, tmp_path / "cache")
    shutil.move(tmp_path / "later", folder / late)
    grown = open_own(folder, tmp_path / "cache").store
    assert bool(calls) == appended
    fresh = open_own(folder, tmp_path / "other").store
    assert (grown.labels, grown.recordings) == (fresh.labels, fresh.recordings)
    for name in fresh.spec.names:
        assert np.array_equal(grown.array(name), fresh.array(name))


def test_gaps_are_held_once_however_often_the_store_grows(make_folder: Make, tmp_path: Path) -> None:
    folder, cache = make_folder(tmp_path / "mine", people=2), tmp_path / "cache"
    shutil.move(folder / "s02", tmp_path / "later")
    table = pl.read_csv(folder / "s01" / "phone.csv")
    pl.concat([table[:1000], table[1100:]]).write_csv(folder / "s01" / "phone.csv")
    gap = np.isnan(open_own(folder, cache).store.array("waist_acc")).sum()
    assert gap == 3 * 90  # of 100 samples, 0.2 s are held
    shutil.move(tmp_path / "later", folder / "s02")
    assert np.isnan(open_own(folder, cache).store.array("waist_acc")).sum() == gap


def test_copies_are_refused_unless_meant(make_folder: Make, tmp_path: Path, edit: Edit) -> None:
    folder = make_folder(tmp_path / "mine", people=2)
    shutil.copy(folder / "s01" / "phone.csv", folder / "s02" / "phone.csv")
    shutil.copy(folder / "s01" / "watch.csv", folder / "s02" / "watch.csv")
    with pytest.raises(DataError, match=r"must differ: got the same content in 's01/watch.csv' and 's02/watch.csv'"):
        open_own(folder, tmp_path / "cache")
    edit(folder / "dcdp.toml", 'name = "mine"', 'name = "mine"\ncopies = "keep"')
    assert len(open_own(folder, tmp_path / "cache").store.recordings) == 2


def test_nothing_is_stored_of_a_folder_that_is_refused(make_folder: Make, tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "mine", people=2)
    (folder / "s02" / "phone.csv").write_text("time\n1\n", encoding="utf-8")
    with pytest.raises(FormatError, match=r"s02/phone\.csv"):
        open_own(folder, tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("*.npy"))


def test_notes_are_summed_up_over_recordings(make_folder: Make, tmp_path: Path) -> None:
    store = open_own(make_folder(tmp_path / "mine", people=2), tmp_path / "cache").store
    assert summarise_notes(store.recordings) == [
        ("waist_acc", "2", "converted from g to m/s2"), ("waist_gyr", "2", "converted from rad/s to deg/s"),
    ]  # fmt: skip


# One recording, without labels


def test_one_recording_is_read_by_name_without_labels(make_folder: Make, tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "mine", people=2)
    expected = next(iter(read_own(load_description(folder))))
    found = read_named(folder, "s01_1")
    assert np.array_equal(found.tracks[0].values, expected.tracks[0].values)
    assert (found.name, found.segments) == ("s01_1", ())
    with pytest.raises(ConfigError, match=r"one recording must be named: got 2 in .*Choose one.*: s01_1, s02_1"):
        read_named(folder)
    with pytest.raises(ConfigError, match="recording must be one of s01_1, s02_1: got 's03_1'"):
        read_named(folder, "s03_1")


def test_new_files_are_read_like_described_ones(make_folder: Make, tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "mine", people=2)
    new = tmp_path / "new"
    new.mkdir()
    shutil.copy(folder / "s02" / "phone.csv", new / "a.csv")
    alone = read_like(new / "a.csv", folder)
    assert [track.signal.name for track in alone.tracks] == ["waist_acc", "waist_gyr"]
    shutil.copy(folder / "s02" / "watch.csv", new / "b.csv")
    both = read_like(new, folder)
    expected = read_named(folder, "s02_1")
    for track, other in zip(both.tracks, expected.tracks, strict=True):
        assert np.array_equal(track.values, other.values)
    shutil.copy(folder / "s01" / "watch.csv", new / "c.csv")
    with pytest.raises(FormatError, match=r"one file of device 'watch' must be given: got .*b.csv' and .*c.csv'"):
        read_like(new, folder)
    with pytest.raises(FormatError, match="must have the columns of a device"):
        read_like(folder / "s01" / "labels.csv", folder)
