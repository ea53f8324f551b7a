"""Throw damaged files at every reader: nothing may crash, hang, eat the memory, or raise what is not ours.

    python studies/fuzz_readers.py --inputs 100000 --seed 0 --reader all --out results/fuzz_readers.json

Each input is a valid file that was cut, flipped, spliced, or made up; the containers among the formats (zip,
checksummed blocks) are also damaged inside and sealed again, so that damage reaches the parser. Input i of a target
depends on the seed, the target and i alone. Targets run in a process of their own under a limit of memory; an alarm
ends an input that takes too long, and the parent ends a process that does not answer. What did not end in an answer
or an error of ours is kept in --keep.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import inspect
import io
import json
import os
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import time
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

os.environ.setdefault("POLARS_MAX_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[1]
INPUT_S = 10.0
HANG_S = 3 * INPUT_S
MEMORY_BYTES = 4 * 2**30
PEAK_BYTES = 2**30  # of growth by one small input: it is then named as a blow-up, though it fitted

Sample = tuple[str, bytes]
Use = Callable[[Path], None]


# Targets: what is read, and valid files to start from


def load(path: Path) -> ModuleType:
    """Import a file of the tests by its path."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def recorder_samples() -> dict[str, list[Sample]]:
    """Return reader -> valid files."""
    made = load(REPOSITORY / "tests/data/readers/made_files.py")
    zipped = made.zipped
    phyphox = made.phyphox(n=60)
    return {
        "androsensor": [("a.csv", made.androsensor(40)), ("b.csv", made.androsensor(40, ",", "latin-1"))],
        "apple_health": [("export.xml", made.health()), ("e.zip", zipped({"x/export.xml": made.health()}))],
        "axivity": [(f"{kind}.cwa", made.cwa(kind, 3)) for kind in ("ax3", "ax3_packed", "ax6")],
        "gt3x": [("a.gt3x", made.gt3x("activity")), ("b.gt3x", made.gt3x("activity2")),
                 ("c.gt3x", zipped({"info.txt": made.gt3x_info(Limb="Wrist"), "log.bin": made.gt3x_imu_log(2)}))],
        "phyphox": [("a.zip", zipped(phyphox)), ("b.zip", zipped(made.phyphox("\t", ",", 60))),
                    ("c.csv", phyphox["Accelerometer.csv"])],
        "sensor_logger": [("a.zip", zipped(made.sensor_logger("ios", 40))),
                          ("b.zip", zipped(made.sensor_logger("android", 40))),
                          ("c.json", made.sensor_logger_json(40)),
                          ("Gyroscope.csv", made.sensor_logger("ios", 60)["Gyroscope.csv"])],
        "sensorlog": [("a.csv", made.sensorlog(60))],
        "xdf": [("a.xdf", made.xdf(60))],
    }  # fmt: skip


def read_recorder(path: Path) -> None:
    """Read as `data show` does: the capture, then every stream on a clock."""
    from dcdp.data.readers import read_capture
    from dcdp.errors import DcdpError
    from dcdp.signals.clock import regularise

    for stream in read_capture(path).streams:
        assert stream.values.dtype == stream.times_s.dtype == np.float64
        with contextlib.suppress(DcdpError):
            regularise(stream)


def table_samples() -> list[Sample]:
    """Return one table of ten channels in each format."""
    import polars as pl

    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"time_s": np.arange(50) / 50, **{f"c{i}": rng.normal(size=50) for i in range(6)}})
    text, tabs, parquet, arrow = io.BytesIO(), io.BytesIO(), io.BytesIO(), io.BytesIO()
    frame.write_csv(text)
    frame.write_csv(tabs, separator="\t")
    frame.write_parquet(parquet)
    frame.write_ipc(arrow)
    found = [("a.csv", text.getvalue()), ("b.tsv", tabs.getvalue()), ("c.parquet", parquet.getvalue())]
    return [*found, ("d.feather", arrow.getvalue())] if importlib.util.find_spec("dcdp.data.tables") else found


def read_table(path: Path) -> None:
    """Read every column of a table."""
    try:
        from dcdp.data.tables import column_names, read_columns
    except ImportError:  # as long as it has not moved
        from dcdp.prediction.tables import column_names, read_columns

    names = column_names(path)
    read_columns(path, list(range(len(names))))


def fixture(module: ModuleType, name: str) -> Any:
    """Return the value of a fixture of pytest, made from the fixtures it asks for."""
    found = getattr(module, name)
    function = getattr(found, "__wrapped__", None) or found._get_wrapped_function()
    return function(*(fixture(module, argument) for argument in inspect.signature(function).parameters))


def set_samples(name: str) -> list[Sample]:
    """Return the tiny tree of a data set as a zip and as a tar."""
    made = load(REPOSITORY / "tests/data/conftest.py")
    tree, write = fixture(made, "tiny_tree")(name), fixture(made, "write_tree")
    with tempfile.TemporaryDirectory() as folder:
        files = [write(form, Path(folder), "set", tree) for form in ("zip", "tar")]
        return [(file.name, file.read_bytes()) for file in files]


def read_set(name: str) -> Use:
    """Return a use that parses a data set from its archive."""

    def use(path: Path) -> None:
        from dcdp.data import get_set
        from dcdp.data.archive import open_source

        declared = get_set(name)
        for _ in declared.parse(open_source(path, declared.layout)):
            pass

    return use


DESCRIPTION = b"""
name = "mine"

[[devices]]
name = "phone"
files = "{subject}/{session}/phone_*.csv"
placement = "pocket"
rate_hz = 50.0
time = { column = "t", unit = "ms" }

[[devices.signals]]
modality = "acc"
columns = ["ax", "ay", "az"]
unit = "g"
axes = "x,-z,y"

[[devices]]
name = "watch"
files = "{subject}/{session}/watch.zip"
format = "sensor_logger"
align = true
"""


def description_samples() -> list[Sample]:
    """Return the description of a phone and a watch."""
    return [("dcdp.toml", DESCRIPTION)]


def read_description(path: Path) -> None:
    """Load a description of own recordings."""
    from dcdp.data.own.description_file import load_description

    load_description(path)


def targets() -> dict[str, tuple[Callable[[], list[Sample]], Use]]:
    """Return target -> (valid files, use of a file), in a fixed order."""
    from dcdp.data import list_sets

    found: dict[str, tuple[Callable[[], list[Sample]], Use]] = {}
    for name, files in sorted(recorder_samples().items()):
        found[name] = (lambda files=files: files, read_recorder)
    found["tables"] = (table_samples, read_table)
    for name in list_sets():
        found[f"set:{name}"] = (lambda name=name: set_samples(name), read_set(name))
    found["description"] = (description_samples, read_description)
    return found


# Damage


def damaged(data: bytes, others: list[bytes], rng: np.random.Generator) -> bytes:
    """Return a file that a disk, a network or an enemy may have made of a valid one."""
    for _ in range((1, 1, 1, 2, 3)[int(rng.integers(5))]):
        data = DAMAGES[int(rng.integers(len(DAMAGES)))](data, others, rng)[: 2**20]
    return data


def _place(data: bytes, rng: np.random.Generator) -> int:
    return int(rng.integers(len(data) + 1))


def _cut(data: bytes, _: list[bytes], rng: np.random.Generator) -> bytes:
    return data[: _place(data, rng)]


def _flip(data: bytes, _: list[bytes], rng: np.random.Generator) -> bytes:
    changed = bytearray(data)
    for place in rng.integers(len(data), size=int(rng.integers(1, 9))) if data else ():
        changed[int(place)] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def _noise(data: bytes, _: list[bytes], rng: np.random.Generator) -> bytes:
    place = _place(data, rng)
    return data[:place] + rng.bytes(int(rng.integers(1, 65))) + data[place + int(rng.integers(65)) :]


def _drop(data: bytes, _: list[bytes], rng: np.random.Generator) -> bytes:
    place = _place(data, rng)
    return data[:place] + data[place + int(rng.integers(1, 257)) :]


def _repeat(data: bytes, _: list[bytes], rng: np.random.Generator) -> bytes:
    place = _place(data, rng)
    return data[:place] + data[place : place + int(rng.integers(1, 513))] * int(rng.integers(2, 30)) + data[place:]


def _splice(data: bytes, others: list[bytes], rng: np.random.Generator) -> bytes:
    other = others[int(rng.integers(len(others)))]
    return data[: _place(data, rng)] + other[_place(other, rng) :]


def _number(data: bytes, _: list[bytes], rng: np.random.Generator) -> bytes:
    """Put a number where a size may stand."""
    value = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1][
        int(rng.integers(13))
    ]
    form = ["<B", "<H", "<I", "<Q", ">H", ">I"][int(rng.integers(6))]
    piece = struct.pack(form, value % 256 ** struct.calcsize(form))
    place = _place(data, rng)
    return data[:place] + piece + data[place + len(piece) :]


def _text(data: bytes, _: list[bytes], rng: np.random.Generator) -> bytes:
    """Put a word where a number or a name may stand."""
    words = [
        b"nan", b"inf", b"-1e308", b"1e999", b"9" * 400, b"", b"\0", b'"', b"\n", b"\r\n", b",", b";", b"\t", b"<",
        b"]]>", b"&lol;", b"<!ENTITY a 'b'>", b"{", b"[" * 5000, b"null", b"true", b"\xff\xfe", b"\xc2\xb5", b"-",
        b"0x1", b"'", b" " * 3000,
        b"2023-99-99 25:61:61 +9999", b"../../etc/passwd", b"1e-320", b"18446744073709551616", b"=cmd", b"\x1b[31m",
    ]  # fmt: skip
    word = words[int(rng.integers(len(words)))]
    place = _place(data, rng)
    return data[:place] + word + data[place + int(rng.integers(9)) :]


def _line(data: bytes, _: list[bytes], rng: np.random.Generator) -> bytes:
    """Change the order of lines, or lose one."""
    lines = data.split(b"\n")
    one, other = (int(place) for place in rng.integers(len(lines), size=2))
    if rng.integers(2):
        lines[one], lines[other] = lines[other], lines[one]
    else:
        del lines[one]
    return b"\n".join(lines)


def _random(_: bytes, __: list[bytes], rng: np.random.Generator) -> bytes:
    return rng.bytes(int(rng.integers(2048)))


DAMAGES = (
    _cut,
    _cut,
    _flip,
    _flip,
    _flip,
    _noise,
    _drop,
    _repeat,
    _splice,
    _number,
    _number,
    _text,
    _text,
    _text,
    _line,
)


def made_up(samples: list[Sample], rng: np.random.Generator) -> Sample:
    """Return the next input: mostly damage, now and then inside a sealed container, or bytes without sense."""
    name, data = samples[int(rng.integers(len(samples)))]
    others = [other for _, other in samples]
    kind = rng.random()
    if kind < 0.05:
        return name, _random(data, others, rng)
    if kind < 0.1:
        return name, data[:8] + _random(data, others, rng)  # the mark of its kind, then nothing sensible
    if kind < 0.8:
        return name, resealed(data, others, rng)
    return name, damaged(data, others, rng)


def resealed(data: bytes, others: list[bytes], rng: np.random.Generator) -> bytes:
    """Damage the inside of a container and make its checksums fit again."""
    if data[:2] == b"PK":
        return _rezipped(data, others, rng)
    if data[:2] == b"MD":
        return _blocks(damaged(data, others, rng))
    return damaged(data, others, rng)


def _rezipped(data: bytes, others: list[bytes], rng: np.random.Generator) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = list(members)[int(rng.integers(len(members)))]
    inside = [archive_member for archive_member in members.values() if archive_member] or others
    members[name] = (
        _chain(damaged(members[name], inside, rng)) if name == "log.bin" else damaged(members[name], inside, rng)
    )
    if rng.random() < 0.1:
        del members[list(members)[int(rng.integers(len(members)))]]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    return buffer.getvalue()


def _blocks(data: bytes) -> bytes:
    """Make the sums of the blocks of a CWA file fit again."""
    whole = bytearray(data)
    for start in range(1024, len(whole) - 511, 512):
        words = struct.unpack_from("<255H", whole, start)
        struct.pack_into("<H", whole, start + 510, -sum(words) & 0xFFFF)
    return bytes(whole)


def _chain(data: bytes) -> bytes:
    """Make the checksums of the records of a GT3X log fit again, as far as the chain holds."""
    whole, place = bytearray(data), 0
    while place + 9 <= len(whole):
        if whole[place] != 0x1E:
            place += 1
            continue
        end = place + 8 + struct.unpack_from("<H", whole, place + 6)[0]
        if end >= len(whole):
            break
        check = 0xFF
        for byte in whole[place:end]:
            check ^= byte
        whole[end] = check
        place = end + 1
    return bytes(whole)


# One process: read inputs and say how each ended


class TooLong(BaseException):
    """Ends an input; no `except Exception` on the way may swallow it."""


def work(target: str, first: int, last: int, seed: int, folder: Path) -> Iterator[dict[str, Any]]:
    """Read inputs ``first .. last - 1`` of one target; yield how each ended."""
    from dcdp.errors import DcdpError

    samples, use = targets()[target]
    files = samples()
    for name, data in files:  # a valid file must be read, or the run says nothing
        use(_put(folder, name, data))
    resource.setrlimit(resource.RLIMIT_AS, (_address_space() + MEMORY_BYTES,) * 2)
    signal.signal(signal.SIGALRM, _alarm)
    warnings.simplefilter("ignore")
    for i in range(first, last):
        rng = np.random.default_rng([seed, zlib.crc32(target.encode()), i])
        name, data = made_up(files, rng)
        path = _put(folder, name, data)
        before, start = _peak(), time.perf_counter()
        signal.setitimer(signal.ITIMER_REAL, INPUT_S)
        try:
            use(path)
            outcome = "read"
        except DcdpError as err:
            outcome = type(err).__name__
        except TooLong:
            outcome = "! too long"
        except MemoryError:
            outcome = "! memory"
        except BaseException as err:
            outcome = f"! {type(err).__name__}: {str(err)[:100]}"
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        grown = _peak() - before
        if grown > PEAK_BYTES:
            outcome = f"! grew by {grown >> 20} MiB"
        yield {"i": i, "outcome": outcome, "seconds": time.perf_counter() - start, "grown": grown, "name": name}


def _put(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _address_space() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def _alarm(*_: object) -> None:
    raise TooLong


# The parent: processes that may die


def run(target: str, n_inputs: int, seed: int, keep: Path | None) -> dict[str, Any]:
    """Run all inputs of a target, starting a new process where one died or hung."""
    outcomes: Counter[str] = Counter()
    escaped: list[dict[str, Any]] = []
    longest = grown = 0.0
    start = time.perf_counter()
    first = 0
    while first < n_inputs:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, __file__, "--worker", target, "--first", str(first), "--inputs", str(n_inputs),
                       "--seed", str(seed), "--folder", folder]  # fmt: skip
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            died = None
            for one in _lines(process):
                if isinstance(one, str):
                    died = one
                    break
                first = one["i"] + 1
                outcomes[one["outcome"]] += 1
                longest, grown = max(longest, one["seconds"]), max(grown, one["grown"])
                if one["outcome"].startswith("!"):
                    escaped.append(one)
            process.kill()
            said = process.stderr.read().decode(errors="replace") if process.stderr else ""
            process.wait()
            if died is None and first < n_inputs:
                died = f"! died with {process.returncode}"
            if died is not None:
                if not outcomes and first == 0:  # its valid files are not read: nothing to damage
                    return {"target": target, "inputs": 0, "outcomes": {"! cannot start": 1}, "escaped": [said[-1000:]],
                            "seconds": 0.0, "longest_s": 0.0, "grown_mib": 0.0}  # fmt: skip
                outcomes[died] += 1
                escaped.append({"i": first, "outcome": died, "said": said[-500:]})
                first += 1
            if keep and escaped:
                keep.mkdir(parents=True, exist_ok=True)
                for one in escaped[-20:]:
                    _save(target, one["i"], seed, keep)
    return {"target": target, "inputs": n_inputs, "outcomes": dict(outcomes.most_common()), "escaped": escaped[:100],
            "seconds": round(time.perf_counter() - start, 1), "longest_s": round(longest, 3),
            "grown_mib": round(grown / 2**20, 1)}  # fmt: skip


def _lines(process: subprocess.Popen[bytes]) -> Iterator[dict[str, Any] | str]:
    """Yield what a worker says; a word if it says nothing for too long."""
    import selectors

    assert process.stdout is not None
    stream = process.stdout
    os.set_blocking(stream.fileno(), False)
    waiting = selectors.DefaultSelector()
    waiting.register(stream, selectors.EVENT_READ)
    rest = b""
    patience = 120.0  # to import and to read the valid files
    while True:
        if not waiting.select(patience):
            yield "! hung"
            return
        part = stream.read()
        if not part:
            return
        patience = HANG_S
        *whole, rest = (rest + part).split(b"\n")
        yield from (json.loads(line) for line in whole)


def _save(target: str, i: int, seed: int, keep: Path) -> None:
    samples = targets()[target][0]()
    name, data = made_up(samples, np.random.default_rng([seed, zlib.crc32(target.encode()), i]))
    (keep / f"{target.replace(':', '_')}-{i}-{name}").write_bytes(data)


def main() -> None:
    """Share the inputs among the targets, run them, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--inputs", type=int, default=10_000, help="in all, shared among the targets")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reader", default="all", help="a target, several with commas, or all")
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--keep", type=Path, default=None, help="folder for inputs that escaped")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--first", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        for one in work(options.worker, options.first, options.inputs, options.seed, options.folder):
            print(json.dumps(one), flush=True)
        return
    names = list(targets()) if options.reader == "all" else options.reader.split(",")
    results = []
    for place, name in enumerate(names):
        n_inputs = options.inputs // len(names) + (place < options.inputs % len(names))
        results.append(run(name, n_inputs, options.seed, options.keep))
        print(
            json.dumps(
                {key: results[-1][key] for key in ("target", "inputs", "outcomes", "seconds", "longest_s", "grown_mib")}
            )
        )
    n_escaped = sum(n for one in results for outcome, n in one["outcomes"].items() if outcome.startswith("!"))
    total = {"inputs": sum(one["inputs"] for one in results), "seed": options.seed, "escaped": n_escaped,
             "seconds": round(sum(one["seconds"] for one in results), 1), "targets": results}  # fmt: skip
    print(f"{total['inputs']} inputs, {n_escaped} escaped")
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(total, indent=1) + "\n", encoding="utf-8")
    sys.exit(1 if n_escaped else 0)


if __name__ == "__main__":
    main()
