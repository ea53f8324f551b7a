"""Kill imports and appends with ``kill -9`` at random moments: the store must be the old or the new one, never half.

    python studies/kill_import.py [--data FOLDER] [--kills 50] [--out results/kill_import.json]

Three rounds: ``import`` (a real set, parsed into an empty cache by the command line), ``replace`` (a store written
over another) and ``append`` (recordings added to a store). After each kill the store is opened and every value that
its index names is compared with the state that it must be; then the next run works on what was left.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from killing import kill_at_random_moments, time_whole_run

from dcdp.data import Store
from dcdp.data.declaration import inertial_signal
from dcdp.errors import MissingError
from dcdp.records import LabelSet, Recording, Segment, SignalSpec, Track

SPEC = SignalSpec((inertial_signal("wrist", "acc", 50.0), inertial_signal("wrist", "gyr", 50.0)))
LABELS = LabelSet(("walk",))


def recordings(first: int, count: int, n_rows: int) -> Iterator[Recording]:
    """Yield recordings whose values tell their number: (row % 7 + number) / 1."""
    for number in range(first, first + count):
        values = np.repeat(np.float32(number) + np.arange(n_rows, dtype=np.float32)[:, None] % 7, 3, axis=1)
        tracks = tuple(Track(signal, values) for signal in SPEC)
        yield Recording(f"r{number}", f"s{number}", "1", tracks, (Segment(0.0, n_rows / 50, "walk"),))


def is_right(store: Store) -> bool:
    """Compare every value that the index names with what its recording must hold."""
    for entry in store.recordings:
        number = int(entry.name[1:])
        for name, (first, n_rows) in entry.rows.items():
            expected = np.float32(number) + np.arange(n_rows, dtype=np.float32)[:, None] % 7
            if not n_rows or not (store.array(name)[first : first + n_rows] == expected).all():
                return False
    return True


def work(action: str, folder: Path, marker: Path, count: int, n_rows: int) -> None:
    """Be the process that is killed: write or append once."""
    marker.touch()
    if action == "append":
        start = len(Store.open(folder).recordings)
        Store.append(folder, recordings(start, count, n_rows))
    else:
        old = Store.open(folder)
        start = 1 + int(old.recordings[0].name[1:])
        Store.write(folder, SPEC, LABELS, recordings(start, count, n_rows))


def kill_own(action: str, n_kills: int, folder: Path, count: int = 12, n_rows: int = 60_000) -> dict[str, object]:
    """Kill appends or replacements of a made-up store."""
    store, marker = folder / action, folder / f"{action}.started"
    Store.write(store, SPEC, LABELS, recordings(0, count, n_rows))
    command = [sys.executable, __file__, "--work", action, str(store), str(marker), str(count), str(n_rows)]
    time_whole_run(command)
    whole_s = _work_s(command, marker)
    first = Store.open(store)
    before, truth = [first], {name: np.array(first.array(name)) for name in SPEC.names}

    def look(_: int) -> dict[str, object]:
        now, was = Store.open(store), before[0]
        names, old = [e.name for e in now.recordings], [e.name for e in was.recordings]
        grown = len(names) == len(old) + count and names[: len(old)] == old
        replaced = len(names) == count and int(names[0][1:]) == int(old[0][1:]) + 1
        state = "old" if names == old else "new" if (grown if action == "append" else replaced) else "half"
        before[0] = now
        return {"state": state if is_right(now) else "wrong values"}

    outcomes = kill_at_random_moments(command, n_kills, whole_s * 1.05, look, marker=marker)
    time_whole_run(command)  # the next run works, and cleans
    known = {"index.json", ".lock", *(path.name for path in store.glob("*.npy"))}
    left = [path.name for path in store.iterdir() if path.name not in known]
    kept = [np.array_equal(first.array(name), values) for name, values in truth.items()]
    return {"whole_s": round(whole_s, 3), **_summary(outcomes), "left_over": left,
            "n_arrays": len(list(store.glob("*.npy"))), "open_reader_kept_its_state": all(kept),
            "outcomes": outcomes}  # fmt: skip


def kill_import(name: str, data: Path, n_kills: int, folder: Path) -> dict[str, object]:
    """Kill the import of a data set from the command line; a finished import is removed, to be made again."""
    import shutil

    cache = folder / "cache"
    command = [sys.executable, "-c", "from dcdp.cli import main; main()", "data", "check", name]
    command += ["--data", str(data), "--cache", str(cache)]
    whole_s = time_whole_run(command)
    (store,) = cache.iterdir()
    right = Store.open(store)
    truth = {n: np.array(right.array(n)) for n in right.spec.names}
    entries = right.recordings
    shutil.rmtree(store)

    def look(_: int) -> dict[str, object]:
        try:
            now = Store.open(store)
        except MissingError:
            return {"state": "old", "left_over_files": len(list(store.glob("*"))) if store.exists() else 0}
        whole = now.recordings == entries and all((now.array(n) == v).all() for n, v in truth.items())
        shutil.rmtree(store)
        return {"state": "new" if whole else "half"}

    outcomes = kill_at_random_moments(command, n_kills, whole_s, look)
    time_whole_run(command)
    left = sorted(path.name for path in store.iterdir() if path.suffix != ".npy")
    again = Store.open(store)
    return {"set": name, "whole_s": round(whole_s, 3), **_summary(outcomes), "files_at_the_end": left,
            "next_run_whole": again.recordings == entries, "outcomes": outcomes}  # fmt: skip


def _work_s(command: list[str], marker: Path) -> float:
    import time

    marker.unlink(missing_ok=True)
    time_whole_run(command)
    return time.time() - marker.stat().st_mtime


def _summary(outcomes: list[dict[str, object]]) -> dict[str, object]:
    return {
        "kills": sum(bool(outcome["killed"]) for outcome in outcomes),
        "states": dict(Counter(str(outcome["state"]) for outcome in outcomes)),
    }


def main() -> None:
    """Run the three rounds, print a line each, and write the outcome."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--set", default="hapt")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--rounds", default="import,replace,append")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rounds: dict[str, Callable[[Path], dict[str, object]]] = {
        "import": lambda folder: kill_import(options.set, options.data, options.kills, folder),
        "replace": lambda folder: kill_own("replace", options.kills, folder),
        "append": lambda folder: kill_own("append", options.kills, folder),
    }
    found = {}
    for name in options.rounds.split(","):
        with tempfile.TemporaryDirectory() as folder:
            found[name] = rounds[name](Path(folder))
        print(json.dumps({"round": name} | {key: value for key, value in found[name].items() if key != "outcomes"}))
    if options.out is not None:
        options.out.write_text(json.dumps(found, indent=1) + "\n")
    if any(state in ("half", "wrong values") for own in found.values() for state in own["states"]):
        raise SystemExit("a half store was taken for a whole one")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        work(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]), int(sys.argv[5]), int(sys.argv[6]))
    else:
        main()
