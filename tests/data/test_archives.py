"""Hostile and damaged archives, and where a set is looked for."""

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


def test_a_disk_error_is_told_as_one(tmp_path, monkeypatch):
    path = _tar(tmp_path / "s.tar.xz", TREE)

    def broken(*_):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("dcdp.data.unpack._decompressed", broken)
    with pytest.raises(StorageError, match=r"data must be readable: got '.*s\.tar\.xz' .*denied"):
        _read(path)
