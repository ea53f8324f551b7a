"""Open recordings by name: a data set from its files, one's own from a description, or the built-in synthetic body."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dcdp.data import get_set, list_sets, open_set
from dcdp.data.own import default_branches, is_description, open_own
from dcdp.data.registry import Progress
from dcdp.data.store import GAP_S, Store, memory_store
from dcdp.data.synthetic import BodyConfig, synthetic_body
from dcdp.errors import unknown_name
from dcdp.records import Branch, LabelSet, SignalSpec

__all__ = ["DataSource", "load"]


@dataclass(frozen=True)
class DataSource:
    """A store with what its data set declares.

    Attributes
    ----------
    name
        Of the data set or description, or ``synthetic``.
    store
        Recordings, on disk or in memory.
    branches
        The declared branches.
    official
        The declared split, by part, if there is one: subjects, or (subject, session) pairs.
    described
        The description of one's own recordings.
    """

    name: str
    store: Store
    branches: tuple[Branch, ...]
    official: Mapping[str, tuple[str | tuple[str, str], ...]] | None = None
    described: Path | None = None

    @property
    def subjects(self) -> tuple[str, ...]:
        """Subject names, sorted."""
        return self.store.subjects

    @property
    def spec(self) -> SignalSpec:
        """The signals."""
        return self.store.spec

    @property
    def labels(self) -> LabelSet:
        """The activities."""
        return self.store.labels


def load(
    name: str | Path,
    data: str | Path | None = None,
    *,
    cache: str | Path | None = None,
    verify: bool = True,
    gap_s: float = GAP_S,
    body: BodyConfig | None = None,
    progress: Progress | None = None,
) -> DataSource:
    """Open a data set by name, or recordings of one's own by their description.

    Parameters
    ----------
    name
        ``synthetic``; one of `dcdp.data.list_sets`; or the path of a TOML file, or of a folder with a ``dcdp.toml``,
        that describes recordings (see docs/own_recordings.md).
    data
        Folder or archive with the original files; not needed once they are in the cache. Of recordings of one's own:
        where their description lies now, if not where ``name`` says.
    cache
        Folder of the parsed recordings.
    verify
        False accepts files that are not the known ones.
    gap_s
        Longest gap over which a sensor's last value is held [s].
    body
        What the synthetic body is like.
    progress
        Called as ``progress(done, total, text)`` while files are read.

    Raises
    ------
    ConfigError
        If there is no such data set, or a description has a key that does not fit.
    MissingError
        If its files are nowhere to be found.
    FormatError
        If they are damaged, or not the known ones.
    DataError
        If recordings break a rule that their description does not lift.
    """
    name = str(name)
    if name not in ("synthetic", *list_sets()) and (is_description(name) or Path(name).is_dir()):
        place = data if data is not None and is_description(data) else name
        return _load_own(place, Path(cache) if cache else None, gap_s, progress)
    if name == "synthetic":
        made = synthetic_body(body or BodyConfig())
        return DataSource(name, memory_store(made.spec, made.labels, made.recordings, gap_s), made.branches)
    if name not in list_sets():
        raise unknown_name("data set", name, ("synthetic", *list_sets()))
    declared = get_set(name)
    store = open_set(
        name, Path(data) if data else None, Path(cache) if cache else None, verify=verify, gap_s=gap_s,
        progress=progress,
    )  # fmt: skip
    return DataSource(name, store, declared.branches, declared.official)


def _load_own(path: str | Path, cache: Path | None, gap_s: float, progress: Progress | None) -> DataSource:
    """Open recordings of one's own; what they leave open (branches) is chosen as for the sets."""
    own = open_own(path, cache, gap_s=gap_s, progress=progress)
    described, split = own.description, own.description.split
    official = None
    if split is not None:
        official = {"train": split.train, "validation": split.validation, "test": split.test}
        official = {part: people for part, people in official.items() if people}
    return DataSource(described.name, own.store, described.branches or default_branches(own.store.spec), official,
                      described.path.resolve())
