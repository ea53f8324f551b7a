"""Hostile and damaged archives, and where a set is looked for."""

import dataclasses
import io
import re
import stat
import tarfile
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dcdp.data.archive import Source, open_source
from dcdp.data.layout import Layout
from dcdp.errors import FormatError, MissingError, StorageError

LAYOUT = Layout(
    re.compile(r"raw/(?P<subject>\d)\.txt\Z"), "raw", ("", "top"), ("set.tar.xz", "set.zip"), 3, 10_000, 25_000
)
TREE = {f"top/raw/{i}.txt": bytes([48 + i]) * 2000 * i + b"end" for i in range(1, 4)} | {"top/README": b"not read"}
FILES = {path.removeprefix("top/"): data for path, data in TREE.items() if "raw" in path}


def _tar(path, tree, mode="w:xz", extra=()):
    with tarfile.open(path, mode) as archive:
        for member in extra:
            archive.addfile(member, io.BytesIO(bytes(member.size)) if member.isreg() else None)
        for name, data in tree.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def _zip(path, tree):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in tree.items():
            archive.writestr(name, data)
    return path


def _member(name, kind=tarfile.REGTYPE, target="", size=0):
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.size = kind, target, size
    return member


def _read(path, layout=LAYOUT):
    return dict(Source(path, layout))


@pytest.mark.parametrize(
    ("name", "mode"), [("s.tar", "w"), ("s.tar.gz", "w:gz"), ("s.tar.bz2", "w:bz2"), ("s.txz", "w:xz")]
)
def test_every_tar_is_read_in_its_order(name, mode, tmp_path):
    path = _tar(tmp_path / name, dict(reversed(TREE.items())), mode)
    assert _read(path) == FILES
    assert list(_read(path)) == sorted(FILES, reverse=True)


@pytest.mark.parametrize(
    ("member", "match"),
    [
        (_member("../raw/1.txt"), r"stay inside its archive: got '../raw/1.txt'"),
        (_member("a/../../raw/1.txt"), r"stay inside its archive"),
        (_member("/raw/1.txt"), r"stay inside its archive: got '/raw/1.txt'"),
        (_member("C:/raw/1.txt"), r"stay inside its archive"),
        (_member("..\\raw\\1.txt"), r"stay inside its archive"),
        (_member("raw/1.txt", tarfile.SYMTYPE, "/etc/passwd"), r"plain files: got a link 'raw/1.txt'"),
        (_member("elsewhere", tarfile.LNKTYPE, "raw/1.txt"), r"plain files: got a link 'elsewhere'"),
        (_member("raw/1.txt", tarfile.CHRTYPE), r"plain files: got a special file"),
        (_member("raw/1.txt", tarfile.FIFOTYPE), r"plain files: got a special file"),
        (_member("raw/9.txt", size=10_001), r"'raw/9.txt' may unpack to at most 10000 bytes: got 10001"),
        (_member("unread", size=10_001), r"'unread' may unpack to at most 10000 bytes"),
        (_member("top/raw/1.txt"), r"each file once: got 'raw/1.txt' twice"),
    ],
)
def test_hostile_tar_members(member, match, tmp_path):
    with pytest.raises(FormatError, match=match):
        _read(_tar(tmp_path / "s.tar.xz", TREE, extra=[member]))


@pytest.mark.parametrize("form", [_tar, _zip])
def test_bomb_of_many_files(form, tmp_path):
    layout = Layout(LAYOUT.pattern, "raw", (), (), 0, 200_000, 300_000)
    bomb = {f"junk{i}": bytes(190_000) for i in range(40)}
    path = form(tmp_path / ("s.zip" if form is _zip else "s.tar.xz"), bomb)
    assert path.stat().st_size < 30_000
    with pytest.raises(FormatError, match=r"'the archive' may unpack to at most"):
        _read(path, layout)


def test_bomb_behind_the_last_member(tmp_path):
    import lzma

    path = _tar(tmp_path / "s.tar.xz", TREE)
    path.write_bytes(lzma.compress(lzma.decompress(path.read_bytes()) + bytes(50_000_000), preset=0))
    with pytest.raises(FormatError, match=r"'the archive' may unpack to at most"):
        _read(path)


def test_hostile_zip_members(tmp_path):
    path = tmp_path / "s.zip"
    for name, match in (("../raw/1.txt", "stay inside"), ("/raw/1.txt", "stay inside"), ("a\\..\\b", "stay inside")):
        with pytest.raises(FormatError, match=match):
            _read(_zip(path, {name: b""}))
    with zipfile.ZipFile(path, "w") as archive:
        link = zipfile.ZipInfo("raw/1.txt")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(FormatError, match=r"plain files: got a link or special file 'raw/1.txt'"):
        _read(path)
    with pytest.raises(FormatError, match=r"'raw/1.txt' may unpack to at most 10000 bytes"):
        _read(_zip(path, {"raw/1.txt": bytes(10_001)}))


def test_zip_that_lies_about_a_size(tmp_path):
    path = _zip(tmp_path / "s.zip", {"raw/1.txt": bytes(9_000)})
    data = path.read_bytes()
    path.write_bytes(data.replace((9_000).to_bytes(4, "little"), (5).to_bytes(4, "little")))
    with pytest.raises(FormatError, match="an archive must be whole"):
        _read(path)


def test_encrypted_zip(tmp_path):
    path = _zip(tmp_path / "s.zip", {"raw/1.txt": b"1"})
    data = bytearray(path.read_bytes())
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(FormatError, match="encrypted file"):
        _read(path)


@pytest.fixture(scope="module")
def sound_archives(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sound")
    paths = [_tar(folder / "s.tar.xz", TREE), _tar(folder / "s.tar.gz", TREE, "w:gz"), _zip(folder / "s.zip", TREE)]
    return folder, {path.suffix: path.read_bytes() for path in paths}


@given(suffix=st.sampled_from([".xz", ".gz", ".zip"]), cut=st.floats(0, 1, exclude_max=True))
def test_truncated_archives_never_pass(sound_archives, suffix, cut):
    folder, sound = sound_archives
    path = folder / f"cut.tar{suffix}"
    path.write_bytes(sound[suffix][: int(cut * len(sound[suffix]))])
    with pytest.raises(FormatError, match=r"must be whole: got '.*cut\.tar.*fetch it again"):
        _read(path)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(suffix=st.sampled_from([".xz", ".gz", ".zip"]), data=st.data())
def test_altered_archives_pass_only_unharmed(sound_archives, suffix, data):
    folder, sound = sound_archives
    altered = bytearray(sound[suffix])
    altered[data.draw(st.integers(0, len(altered) - 1))] ^= data.draw(st.integers(1, 255))
    path = folder / f"altered.tar{suffix}"
    path.write_bytes(altered)
    try:
        found = _read(path)
    except FormatError:
        return
    assert set(found.items()) <= set(FILES.items()), "a file may go unrecognised, but not be other than it was"


def test_the_set_is_found_in_every_place(tmp_path):
    for path in ("raw/1.txt", "nested/top/raw/1.txt"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_bytes(b"1")
    assert open_source(tmp_path, LAYOUT).path == tmp_path
    assert open_source(tmp_path / "nested", LAYOUT).path == tmp_path / "nested" / "top"
    (tmp_path / "packed").mkdir()
    packed = _tar(tmp_path / "packed" / "set.tar.xz", TREE)
    assert open_source(tmp_path / "packed", LAYOUT).path == packed
    assert open_source(packed, LAYOUT).path == packed


def test_a_missing_set_names_what_was_looked_for(tmp_path):
    with pytest.raises(MissingError, match=r"one of set\.tar\.xz, set\.zip, raw/, top/raw/: got none of them"):
        open_source(tmp_path, LAYOUT)
    with pytest.raises(MissingError, match="no such folder"):
        open_source(tmp_path / "absent", LAYOUT)
    (tmp_path / "set.rar").touch()
    with pytest.raises(FormatError, match=r"tar or zip file: got '.*set\.rar'"):
        open_source(tmp_path / "set.rar", LAYOUT)


def test_a_folder_is_not_left_through_links(tmp_path):
    outside = tmp_path / "secret.txt"
    outside.write_bytes(b"1")
    raw = tmp_path / "set" / "raw"
    raw.mkdir(parents=True)
    (raw / "1.txt").symlink_to(outside)
    with pytest.raises(FormatError, match=r"inside its data folder: got '.*1\.txt' links to"):
        _read(tmp_path / "set")
    (raw / "1.txt").unlink()
    (raw / "2.txt").write_bytes(b"2")
    (raw / "1.txt").symlink_to(raw / "2.txt")
    assert _read(tmp_path / "set") == {"raw/1.txt": b"2", "raw/2.txt": b"2"}


def test_folder_limits_and_copies(tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "1.txt").write_bytes(bytes(10_001))
    with pytest.raises(FormatError, match=r"'raw/1\.txt' may unpack to at most 10000 bytes"):
        _read(tmp_path)
    (raw / "1.txt").write_bytes(b"1")
    (tmp_path / "copy" / "raw").mkdir(parents=True)
    (tmp_path / "copy" / "raw" / "1.txt").write_bytes(b"1")
    with pytest.raises(FormatError, match=r"each file once: got 'raw/1\.txt' twice"):
        _read(tmp_path)


NESTED = dataclasses.replace(LAYOUT, nested=re.compile(r"in\w*\.(?:zip|tar\.xz)\Z"))


def _packed(form, tree, folder):
    path = form(folder / ("inner.zip" if form is _zip else "inner.tar.xz"), tree)
    data = path.read_bytes()
    path.unlink()
    return data


@pytest.mark.parametrize("outer", [_tar, _zip])
@pytest.mark.parametrize("inner", [_tar, _zip])
def test_archives_in_archives_are_read_as_if_unpacked(inner, outer, tmp_path):
    deepest = _packed(inner, {"top/raw/3.txt": TREE["top/raw/3.txt"]}, tmp_path)
    suffix = "zip" if inner is _zip else "tar.xz"
    middle = _packed(_zip, {"raw/2.txt": TREE["top/raw/2.txt"], f"deeper/in2.{suffix}": deepest}, tmp_path)
    tree = {"top/raw/1.txt": TREE["top/raw/1.txt"], "top/in1.zip": middle, "unread.zip": b"not read"}
    path = outer(tmp_path / ("set.zip" if outer is _zip else "set.tar.xz"), tree)
    assert _read(path, NESTED) == FILES
    assert list(_read(path)) == ["raw/1.txt"], "without 'nested' they stay closed"


def test_an_inner_archive_with_the_name_of_the_set_is_read(tmp_path):
    tree = {"set.zip": _packed(_zip, TREE, tmp_path)}
    assert _read(_zip(tmp_path / "downloaded.zip", tree)) == FILES


def test_archives_in_folders_are_read(tmp_path):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "1.txt").write_bytes(TREE["top/raw/1.txt"])
    _zip(tmp_path / "raw" / "in1.zip", {f"raw/{i}.txt": TREE[f"top/raw/{i}.txt"] for i in (2, 3)})
    _zip(tmp_path / "raw" / "in2.zip", {})
    _zip(tmp_path / "raw" / "set.zip", TREE)  # the whole set, packed: must not be read a second time
    assert _read(tmp_path, NESTED) == FILES
    outside = _zip(tmp_path.parent / f"{tmp_path.name}.zip", {})
    (tmp_path / "in3.zip").symlink_to(outside)
    with pytest.raises(FormatError, match=r"inside its data folder: got '.*in3\.zip' links to"):
        _read(tmp_path, NESTED)


def test_the_path_of_an_inner_archive_is_known_to_the_pattern(tmp_path):
    layout = dataclasses.replace(NESTED, pattern=re.compile(r"p(?P<subject>\d)/(?:in\.zip/)?(?P<file>\d)\.txt\Z"))
    tree = {f"p{i}/in.zip": _packed(_zip, {"1.txt": b"%d" % i}, tmp_path) for i in (1, 2)}
    expected = {"p1/in.zip/1.txt": b"1", "p2/in.zip/1.txt": b"2"}
    assert _read(_zip(tmp_path / "s.zip", tree), layout) == expected
    (tmp_path / "folder").mkdir()
    for path, data in tree.items():
        (tmp_path / "folder" / path).parent.mkdir()
        (tmp_path / "folder" / path).write_bytes(data)
    assert _read(tmp_path / "folder", layout) == expected


@pytest.mark.parametrize("outer", [_tar, _zip, None])
@pytest.mark.parametrize("inner", [_tar, _zip])
@pytest.mark.parametrize(
    ("tree", "match"),
    [
        ({"../raw/1.txt": b"1"}, r"stay inside its archive: got '\.\./raw/1\.txt' in '.*in1\.(zip|tar\.xz)'"),
        ({"/raw/1.txt": b"1"}, r"stay inside its archive"),
        ({"raw/1.txt": bytes(10_001)}, r"'raw/1\.txt' may unpack to at most 10000 bytes: got 10001 or more in '.*in1"),
        ({f"raw/{i}.txt": bytes(9_000) for i in range(3)}, r"'the archive' may unpack to at most 25000 bytes"),
        ({f"junk{i}": bytes(9_000) for i in range(3)}, r"'the archive' may unpack to at most 25000 bytes"),
    ],
)
def test_limits_hold_inside(tree, match, inner, outer, tmp_path):
    data = _packed(inner, tree, tmp_path)
    name = "in1.zip" if inner is _zip else "in1.tar.xz"
    if outer is None:
        (tmp_path / name).write_bytes(data)
        path = tmp_path
    else:
        path = outer(tmp_path / ("s.zip" if outer is _zip else "s.tar.xz"), {name: data})
    with pytest.raises(FormatError, match=match):
        _read(path, NESTED)


def test_links_and_encrypted_files_inside(tmp_path):
    path = _tar(tmp_path / "inner.tar.xz", {}, extra=[_member("raw/1.txt", tarfile.SYMTYPE, "/etc/passwd")])
    link = _zip(tmp_path / "link.zip", {"in1.tar.xz": path.read_bytes()})
    with pytest.raises(FormatError, match=r"plain files: got a link 'raw/1\.txt' in '.*link\.zip/in1\.tar\.xz'"):
        _read(link, NESTED)
    data = bytearray(_packed(_zip, {"raw/1.txt": b"1"}, tmp_path))
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(FormatError, match=r"encrypted file 'raw/1\.txt' in '.*in1\.zip'"):
        _read(_zip(tmp_path / "s.zip", {"in1.zip": bytes(data)}), NESTED)


def test_damage_inside_names_the_inner_archive(tmp_path):
    for inner, name in ((_zip, "in1.zip"), (_tar, "in1.tar.xz")):
        data = _packed(inner, TREE, tmp_path)
        for damaged in (data[: len(data) // 2], b"", b"no archive"):
            with pytest.raises(FormatError, match=rf"must be whole: got '.*s\.zip/{name}'.*fetch it again"):
                _read(_zip(tmp_path / "s.zip", {name: damaged}), NESTED)


def test_bomb_spread_over_inner_archives(tmp_path):
    bomb = _packed(_zip, {f"raw/{i}.txt": bytes(9_900) for i in range(2)}, tmp_path)
    tree = {f"in{i}.zip": bomb for i in range(2)}
    assert len(_read(_zip(tmp_path / "one.zip", {"in0.zip": bomb}), NESTED)) == 2
    with pytest.raises(FormatError, match=r"'the archive' may unpack to at most 25000 bytes"):
        _read(_zip(tmp_path / "s.zip", tree), NESTED)
    for name, data in tree.items():
        (tmp_path / "folder").mkdir(exist_ok=True)
        (tmp_path / "folder" / name).write_bytes(data)
    with pytest.raises(FormatError, match=r"'the archive' may unpack to at most 25000 bytes"):
        _read(tmp_path / "folder", NESTED)


def test_padding_of_inner_tars_is_counted_together(tmp_path):
    import lzma

    padded = lzma.compress(lzma.decompress(_packed(_tar, {}, tmp_path)) + bytes(3_000_000), preset=0)
    assert _read(_zip(tmp_path / "one.zip", {"in1.tar.xz": padded}), NESTED) == {}
    tree = {f"in{i}.tar.xz": padded for i in range(2)}
    with pytest.raises(FormatError, match=r"'the archive' may unpack to at most"):
        _read(_zip(tmp_path / "s.zip", tree), NESTED)


def test_depth_is_limited(tmp_path):
    data, layout = _packed(_zip, {"raw/1.txt": b"1"}, tmp_path), dataclasses.replace(NESTED, total_bytes=10**6)
    for depth in range(1, 6):
        path = _zip(tmp_path / "s.zip", {"in1.zip": data})
        if depth <= 3:
            assert _read(path, layout) == {"raw/1.txt": b"1"}
        else:
            with pytest.raises(FormatError, match=r"at most 3 deep in each other: got '.*in1\.zip/in1\.zip/in1\.zip"):
                _read(path, layout)
        data = path.read_bytes()


def test_an_archive_that_seems_to_hold_itself_ends(tmp_path, monkeypatch):
    # what a quine does, without one: every archive opened is the same again
    path = _zip(tmp_path / "in1.zip", {"in1.zip": b"x" * 100})
    monkeypatch.setattr(zipfile.ZipFile, "read", lambda *_: path.read_bytes())
    with pytest.raises(FormatError, match="at most 3 deep"):
        _read(path, NESTED)


def test_the_number_of_members_is_limited(tmp_path):
    for form, name in ((_zip, "s.zip"), (_tar, "s.tar")):
        path = tmp_path / name
        tree = {f"e{i}": b"" for i in range(10_100)}
        form(path, tree) if form is _zip else form(path, tree, "w")
        with pytest.raises(FormatError, match=r"no more members than its files explain: got more than 10030"):
            _read(path, dataclasses.replace(LAYOUT, total_bytes=10**8))


def test_a_table_of_contents_too_large_is_not_read(tmp_path, monkeypatch):
    path = _zip(tmp_path / "s.zip", TREE)
    whole = path.read_bytes()
    end = whole.rindex(b"PK\x05\x06")
    large = whole[: end + 12] + (2**27).to_bytes(4, "little") + whole[end + 16 :]
    size = (2**40).to_bytes(8, "little")
    large_64 = whole[:end] + b"PK\x06\x06" + bytes(36) + size + bytes(8) + b"PK\x06\x07" + bytes(16) + whole[end:]
    assert _read(path) == FILES
    monkeypatch.setattr(zipfile, "ZipFile", lambda *_: pytest.fail("the table was read"))
    for data in (large, large_64):
        path.write_bytes(data)
        with pytest.raises(FormatError, match="no more members than its files explain"):
            _read(path)


def test_files_of_a_folder_are_counted_together(tmp_path):
    for i in range(3):
        (tmp_path / f"{i}" / "raw").mkdir(parents=True)
        (tmp_path / f"{i}" / "raw" / f"{i}.txt").write_bytes(bytes(9_000))
    with pytest.raises(FormatError, match=r"'the archive' may unpack to at most 25000 bytes: got 27000"):
        _read(tmp_path)


def test_a_name_that_only_ends_like_a_nested_archive_stays_closed(tmp_path):
    tree = {"xin1.zip": _packed(_zip, TREE, tmp_path), **TREE}
    assert _read(_zip(tmp_path / "s.zip", tree), NESTED) == FILES


def test_a_disk_error_is_told_as_one(tmp_path, monkeypatch):
    path = _tar(tmp_path / "s.tar.xz", TREE)

    def broken(*_):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("dcdp.data.unpack._decompressed", broken)
    with pytest.raises(StorageError, match=r"data must be readable: got '.*s\.tar\.xz' .*denied"):
        _read(path)
