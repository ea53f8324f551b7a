"""Fetch from a real server on this machine, which does all that servers do: breaks off, changes, refuses, redirects."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from dcdp.data.declaration import DataSet, Download, inertial_signal
from dcdp.data.digests import TreeDigest
from dcdp.data.fetch import fetch_set
from dcdp.data.layout import Layout
from dcdp.errors import FormatError, MissingError, NetworkError, StorageError
from dcdp.records import LabelSet, SignalSpec

FINE = 0
LAYOUT = Layout(re.compile(r"data/s(?P<subject>\d)\.bin\Z"), "data", ("",), ("toy.zip",), 2, 10**7, 10**7)
FILES = {f"data/s{k}.bin": np.random.default_rng(k).bytes(400_000) for k in (1, 2)}


def _zip(files: dict[str, bytes]) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return held.getvalue()


def _digests(files: dict[str, bytes]) -> dict[str, str]:
    tree = TreeDigest(LAYOUT)
    list(tree.watch(files.items()))
    return tree.digests()


@dataclass
class Served:
    """What the server gives, and what it was asked."""

    body: bytes
    tag: str | None = '"one"'
    ranges: bool = True
    length: bool = True
    break_after: list[int] = field(default_factory=list)
    status: list[int] = field(default_factory=list)
    redirect: str | None = None
    lie_about_range: bool = False
    asked: list[str | None] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def served() -> Iterator[Served]:
    state = Served(_zip(FILES))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            state.asked.append(self.headers["Range"])
            self.close_connection = True
            if state.status and (code := state.status.pop(0)):
                self.send_error(code)
                return
            if state.redirect:
                self.send_response(302)
                self.send_header("Location", state.redirect)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            start = 0
            told = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
            if told and state.ranges and self.headers["If-Range"] == state.tag:
                start = int(told[1])
                if start >= len(state.body):
                    self.send_error(416)
                    return
            rest = state.body[start:]
            self.send_response(206 if start else 200)
            if start:
                first = start + 1 if state.lie_about_range else start
                self.send_header("Content-Range", f"bytes {first}-{len(state.body) - 1}/{len(state.body)}")
            if state.length:
                self.send_header("Content-Length", str(len(rest)))
            if state.tag:
                self.send_header("ETag", state.tag)
            self.end_headers()
            with suppress(OSError):  # the client may have seen enough
                self.wfile.write(rest[: state.break_after.pop(0)] if state.break_after else rest)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        state.url = f"http://127.0.0.1:{server.server_port}/toy.zip"
        yield state
        server.shutdown()


def toy(served: Served, digests: dict[str, str] | None = None, url: str | None = None) -> DataSet:
    return DataSet(
        name="toy", title="Toy", licence="none", citation="nobody", urls=("https://toy.example/",), layout=LAYOUT,
        spec=SignalSpec((inertial_signal("hip", "acc", 50.0),)), subjects=("s01", "s02"), labels=LabelSet(("walk",)),
        n_recordings=2, branches=(), digests=_digests(FILES) if digests is None else digests, parse=lambda _: iter(()),
        download=Download(url or served.url, "toy.zip"),
    )  # fmt: skip


def hidden(folder):
    return sorted(path.name for path in folder.iterdir() if path.name not in ("toy.zip", ".toy.zip.lock"))


def test_an_archive_is_fetched_verified_and_not_fetched_again(served, tmp_path):
    said = []
    found = fetch_set(toy(served), tmp_path / "new", progress=lambda *told: said.append(told))
    assert found.path.read_bytes() == served.body
    assert (found.known, found.fresh) == (True, True)
    assert said[-1] == (2, 2, "verifying")
    assert max(done for done, _, text in said if text == "fetching") == len(served.body)
    assert hidden(tmp_path / "new") == []
    again = fetch_set(toy(served), tmp_path / "new")
    assert (again.fresh, again.sha256) == (False, found.sha256)
    assert served.asked == [None]


def test_it_goes_on_where_the_connection_broke(served, tmp_path):
    served.break_after = [300_000, 300_000]
    found = fetch_set(toy(served), tmp_path, pause_s=0)
    assert found.path.read_bytes() == served.body
    assert served.asked == [None, "bytes=300000-", "bytes=600000-"]


def test_it_goes_on_in_a_later_call(served, tmp_path):
    served.break_after = [300_000]
    served.status = [FINE, 404]
    with pytest.raises(NetworkError, match=r"Try again later, or fetch it by hand.*0\.3 MB\) is kept"):
        fetch_set(toy(served), tmp_path, pause_s=0)
    assert not (tmp_path / "toy.zip").exists()
    assert fetch_set(toy(served), tmp_path).path.read_bytes() == served.body
    assert served.asked[-1] == "bytes=300000-"


@pytest.mark.parametrize("how", ["changed", "no ranges", "no tag"])
def test_another_version_is_never_joined_to_the_old_one(served, tmp_path, how):
    served.break_after = [300_000]
    if how == "no tag":
        served.tag = None
    data_set = toy(served)
    part = tmp_path / ".fetching.toy.zip"
    part.write_bytes(b"x" * 1000)
    (tmp_path / ".fetching.toy.zip.json").write_text(
        f'{{"url": "{served.url}", "etag": "\\"zero\\"", "last_modified": null, "n_bytes": 9}}'
    )
    served.ranges = how != "no ranges"
    assert fetch_set(data_set, tmp_path, pause_s=0).path.read_bytes() == served.body


def test_a_part_of_another_address_is_not_gone_on_with(served, tmp_path):
    (tmp_path / ".fetching.toy.zip").write_bytes(b"x" * 1000)
    (tmp_path / ".fetching.toy.zip.json").write_text('{"url": "http://other/", "etag": "\\"one\\""}')
    assert fetch_set(toy(served), tmp_path).path.read_bytes() == served.body
    assert served.asked == [None]


def test_a_part_that_is_longer_than_the_file_is_begun_again(served, tmp_path):
    (tmp_path / ".fetching.toy.zip").write_bytes(b"x" * (len(served.body) + 5))
    (tmp_path / ".fetching.toy.zip.json").write_text(f'{{"url": "{served.url}", "etag": "\\"one\\""}}')
    assert fetch_set(toy(served), tmp_path).path.read_bytes() == served.body


def test_a_busy_server_is_asked_again_and_a_lie_about_the_range_is_not_believed(served, tmp_path):
    served.status = [503, 429]
    served.break_after = [100_000]
    served.lie_about_range = True
    with pytest.raises(NetworkError, match="asked from byte 100000"):
        fetch_set(toy(served), tmp_path, pause_s=0)
    served.lie_about_range = False
    assert fetch_set(toy(served), tmp_path).path.read_bytes() == served.body


def test_without_a_length_the_end_is_found_by_the_archive(served, tmp_path):
    served.length = False
    served.break_after = [500_000]  # looks like the end: only the archive can tell
    with pytest.raises(FormatError, match="an archive must be whole"):
        fetch_set(toy(served), tmp_path)
    assert hidden(tmp_path) == []
    assert fetch_set(toy(served), tmp_path).path.read_bytes() == served.body


def test_altered_files_are_refused_and_removed(served, tmp_path):
    served.body = _zip(FILES | {"data/s2.bin": b"other"})
    with pytest.raises(FormatError, match=r"must be the known ones: got altered, missing or surplus files of s02\."):
        fetch_set(toy(served), tmp_path)
    assert hidden(tmp_path) == []
    assert not (tmp_path / "toy.zip").exists()


def test_a_set_without_hashes_says_so(served, tmp_path):
    assert fetch_set(toy(served, digests={}), tmp_path).known is False


def test_an_archive_of_something_else_is_refused(served, tmp_path):
    served.body = _zip({"index.html": b"moved"})
    with pytest.raises(FormatError, match="the archive must hold the files of 'toy'"):
        fetch_set(toy(served, digests={}), tmp_path)


@pytest.mark.parametrize("told", [True, False])
def test_more_than_the_set_can_have_is_not_fetched(served, tmp_path, told):
    served.body, served.length = bytes(10**7 + 2**24 + 10), told
    with pytest.raises(FormatError, match="may have at most 26777216 bytes"):
        fetch_set(toy(served), tmp_path)


def test_redirections_stay_on_the_web(served, tmp_path):
    served.redirect = "file:///etc/passwd"
    with pytest.raises(NetworkError, match=r"file:///etc/passwd"):
        fetch_set(toy(served), tmp_path, pause_s=0)


def test_offline_the_message_says_where_a_file_fetched_by_hand_belongs(served, tmp_path):
    data_set = toy(served, url="http://127.0.0.1:1/toy.zip")
    place = re.escape(str(tmp_path / "toy.zip"))
    with pytest.raises(NetworkError, match=rf"reachable.*refused.*https://toy.example/\) and put it at '{place}'"):
        fetch_set(data_set, tmp_path, pause_s=0)
    (tmp_path / "toy.zip").write_bytes(served.body)
    assert fetch_set(data_set, tmp_path).fresh is False


def test_a_set_without_an_address_is_fetched_by_hand(served, tmp_path):
    with pytest.raises(MissingError, match=r"by hand from https://toy.example/ and put it into .*'toy.zip'"):
        fetch_set(replace(toy(served), download=None), tmp_path)


def test_a_missing_page_is_not_asked_for_again(served, tmp_path):
    served.status = [404]
    with pytest.raises(NetworkError, match="HTTP 404"):
        fetch_set(toy(served), tmp_path)
    assert len(served.asked) == 1


def test_two_at_a_time_are_refused(served, tmp_path):
    from filelock import FileLock

    with FileLock(tmp_path / ".toy.zip.lock"), pytest.raises(StorageError, match="by one process at a time"):
        fetch_set(toy(served), tmp_path)


def test_killed_at_any_moment_there_is_nothing_or_the_whole_archive():
    script = Path(__file__).parents[2] / "studies" / "kill_fetch.py"
    ended = subprocess.run([sys.executable, script, "--kills", "6"], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["killed"] == 6
