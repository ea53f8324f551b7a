"""A run folder: what is asked of it, whether it may be used, and what marks it as that run's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from dcdp.config import RunConfig
from dcdp.errors import ConfigError, StorageError, require_seed
from dcdp.experiments.claim import claimed_folder, empty_claimed, is_vacant
from dcdp.files import write_text
from dcdp.models.network import resolve_network
from dcdp.settings import to_toml

__all__ = ["RunRequest", "claimed_run", "require_usable_folder"]


@dataclass(frozen=True)
class RunRequest:
    """What to train on, how to split it, and where the run goes.

    Attributes
    ----------
    data, data_dir, cache, verify
        Data set by name, its original files, the folder of parsed stores, and whether hashes must be the known ones.
    split, folds, test, validation
        Split by name; which of its folds; named subjects of ``holdout``.
    seed
        Of everything that is drawn.
    out
        Run folder.
    peers
        Rivals to score under the same folds.
    alone
        Whether each branch is also trained by itself.
    resume, force
        Go on with what is in the run folder, or replace it.
    device
        ``auto``, ``cpu`` or ``cuda``.
    workers
        Folds trained at a time, each in a process of its own.
    """

    data: str
    out: Path
    data_dir: Path | None = None
    cache: Path | None = None
    verify: bool = True
    split: str = "arena"
    folds: str | None = None
    test: tuple[str, ...] = ()
    validation: tuple[str, ...] = ()
    seed: int = 0
    peers: tuple[str, ...] = ()
    alone: bool = False
    resume: bool = False
    force: bool = False
    device: str = "auto"
    workers: int = 1

    def __post_init__(self) -> None:
        require_seed(self.seed)


def require_usable_folder(request: RunRequest, config: RunConfig) -> None:
    """Refuse a folder that holds something else than what would go on or be replaced; nothing is written yet."""
    out = request.out
    if is_vacant(out):
        return
    if request.force:
        _require_run_folder(out)
    elif not request.resume:
        raise ConfigError(
            "the run folder must be empty", f"'{out}'", "Set resume to go on with it, force to replace it."
        )
    else:
        _require_same(out / "config.toml", to_toml(config), "configuration")
        _require_same(out / "run.txt", _identity(request, config), "data, split, seed, peers and network")


@contextmanager
def claimed_run(request: RunRequest, config: RunConfig) -> Iterator[None]:
    """Make the run folder ours alone, once everything else has been checked: emptied on ``force``, then marked.

    Raises
    ------
    ConfigError
        As `require_usable_folder`, of what another process has left there since.
    StorageError
        If another process trains in the folder, or the disk is full or not writable.
    """
    taken = StorageError(
        "a run must be trained by one process at a time", f"another one that trains in '{request.out}'",
        "Wait until it is done, stop it, or choose another folder with --out.",
    )  # fmt: skip
    with claimed_folder(request.out, taken):
        require_usable_folder(request, config)
        if request.force:
            empty_claimed(request.out)
        write_text(request.out / "run.txt", _identity(request, config))
        write_text(request.out / "config.toml", to_toml(config))
        yield


def _require_same(file: Path, text: str, what: str) -> None:
    if not file.is_file() and (file.parent / "folds").exists():  # its folds may be those of any run
        raise ConfigError(
            "a run that goes on must have said what it is", f"no '{file}'", "Set force to replace it, or choose --out."
        )
    if file.is_file() and file.read_text(encoding="utf-8") != text:
        raise ConfigError(
            f"a run goes on with the {what} it began with", f"others in '{file}'",
            "Give the same options again, or start a new run with --out.",
        )  # fmt: skip


def _identity(request: RunRequest, config: RunConfig) -> str:
    """Return what a run must share with the one it goes on with, beside the configuration.

    The network stands there with nothing left out: what a preset means may change between two versions of the program.
    """
    facts = {
        "data": request.data,
        "split": request.split,
        "test": " ".join(request.test),
        "validation": " ".join(request.validation),
        "seed": request.seed,
        "peers": " ".join(request.peers),
        "verified": request.verify,
        "network": json.dumps(asdict(resolve_network(config.network))),
    } | ({"alone": True} if request.alone else {})
    return "".join(f"{name} {value}".rstrip() + "\n" for name, value in facts.items())


def _require_run_folder(out: Path) -> None:
    """Refuse to empty a folder that is no run: --force must never delete somebody's photographs."""
    if not (out / "run.txt").is_file():
        raise ConfigError("only a run folder is replaced", f"'{out}'", "Choose another folder with --out.")
