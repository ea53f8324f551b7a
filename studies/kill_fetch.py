"""Kill a fetch with SIGKILL at random moments, and show that no half archive is ever taken for a whole one.

    python studies/kill_fetch.py --kills 50 --out results/kill_fetch.json

A server on this machine gives a made-up archive slowly. A process fetches it and is killed; then the folder is looked
at: under the archive's name there is nothing, or the whole archive. The next process goes on. When one has finished,
the archive is removed and everything begins again, until all kills are spent.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from dcdp.data.declaration import DataSet, Download, inertial_signal
from dcdp.data.fetch import fetch_set
from dcdp.data.layout import Layout
from dcdp.records import LabelSet, SignalSpec

LAYOUT = Layout(re.compile(r"data/s(?P<subject>\d)\.bin\Z"), "data", ("",), ("toy.zip",), 4, 10**8, 10**8)
BLOCK = 1 << 16


def toy(url: str) -> DataSet:
    """Return a data set that is known by its archive's own checksums alone."""
    return DataSet(
        name="toy", title="Toy", licence="none", citation="nobody", urls=("https://toy.example/",), layout=LAYOUT,
        spec=SignalSpec((inertial_signal("hip", "acc", 50.0),)), subjects=("s01",), labels=LabelSet(("walk",)),
        n_recordings=1, branches=(), digests={}, parse=lambda _: iter(()), download=Download(url, "toy.zip"),
    )  # fmt: skip


def archive(seed: int, n_bytes: int) -> bytes:
    """Return a zip of four files of random bytes."""
    held, draw = io.BytesIO(), random.Random(seed)
    with zipfile.ZipFile(held, "w") as file:
        for k in range(4):
            file.writestr(zipfile.ZipInfo(f"data/s{k}.bin"), draw.randbytes(n_bytes // 4))
    return held.getvalue()


@contextmanager
def slow_server(body: bytes, seconds: float) -> Iterator[str]:
    """Serve one file, with ranges, in about so many seconds."""
    pause = seconds / (len(body) / BLOCK)

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            told = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
            start = int(told[1]) if told and self.headers["If-Range"] == '"one"' else 0
            if start >= len(body):
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            self.send_header("Content-Length", str(len(body) - start))
            self.send_header("ETag", '"one"')
            self.end_headers()
            try:
                for at in range(start, len(body), BLOCK):
                    self.wfile.write(body[at : at + BLOCK])
                    time.sleep(pause)
            except OSError:  # the process was killed
                pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/toy.zip"
        server.shutdown()


def kill_fetches(folder: Path, kills: int, seed: int, n_bytes: int = 8_000_000, seconds: float = 1.0) -> dict[str, int]:
    """Return how often a killed or finished fetch left nothing, a part, or the whole archive.

    Raises
    ------
    AssertionError
        If something else than the whole archive ever lay under its name.
    """
    body, draw, seen = archive(seed, n_bytes), random.Random(seed), Counter[str]()
    whole, final, part = hashlib.sha256(body).hexdigest(), folder / "toy.zip", folder / ".fetching.toy.zip"
    with slow_server(body, seconds) as url:
        spent = 0
        while spent < kills:
            before = part.stat().st_size if part.exists() else 0
            command = [sys.executable, __file__, "--child", url, str(folder)]
            process = subprocess.Popen(command, stderr=subprocess.PIPE)
            wait_for_start(process, part, before)
            try:
                left_s = seconds * (1 - before / len(body))
                process.wait(draw.uniform(0, 1.1 * left_s))  # the last moments are those of verifying and renaming
                assert process.returncode == 0, process.stderr and process.stderr.read().decode()
                seen["finished"] += 1
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
                spent += 1
                seen["killed"] += 1
            if final.exists():
                found = hashlib.sha256(final.read_bytes()).hexdigest()
                assert found == whole, "a half archive under the whole one's name"
                seen["whole"] += 1
                final.unlink()
            else:
                seen["part" if part.exists() and part.stat().st_size else "nothing"] += 1
                begun = part.read_bytes() if part.exists() else b""
                assert body.startswith(begun), "a part that is not the file's beginning"
        fetch_set(toy(url), folder)
        assert hashlib.sha256(final.read_bytes()).hexdigest() == whole
        left = sorted(path.name for path in folder.iterdir() if path.name not in ("toy.zip", ".toy.zip.lock"))
        assert not left, left
    return dict(seen)


def wait_for_start(process: subprocess.Popen[bytes], part: Path, before: int) -> None:
    """Wait until the process has begun to write, so that moments are drawn from the fetch and not from the imports."""
    while process.poll() is None and (part.stat().st_size if part.exists() else 0) <= before:
        time.sleep(0.005)


def main() -> None:
    """Kill, count, and write what was counted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--child", nargs=2, metavar=("URL", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        fetch_set(toy(options.child[0]), Path(options.child[1]))
        return
    with tempfile.TemporaryDirectory() as folder:
        counted = kill_fetches(Path(folder), options.kills, options.seed)
    print(json.dumps(counted))
    if options.out:
        options.out.write_text(json.dumps({"kills": options.kills, "seed": options.seed, "counted": counted}) + "\n")


if __name__ == "__main__":
    main()
