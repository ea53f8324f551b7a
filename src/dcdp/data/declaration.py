"""What is declared of a data set: one frozen record for each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from dcdp.data.layout import Layout
from dcdp.records import Branch, LabelSet, Recording, Signal, SignalSpec

__all__ = ["DataSet", "Download", "Files", "inertial_signal", "subject_name"]

Files = Iterable[tuple[str, bytes]]
"""``(relative path, bytes)`` of each file, as a `dcdp.data.archive.Source` gives them."""

_UNITS = {"acc": "m/s2", "gyr": "deg/s", "mag": "uT"}


@dataclass(frozen=True, slots=True)
class Download:
    """Where the archive of a set is fetched from.

    Attributes
    ----------
    url
        Official address of one archive.
    filename
        Under which it is kept; one of the layout's ``archives``.
    sha256
        Of the archive, where it is known. The files inside are compared with the set's digests anyway.
    """

    url: str
    filename: str
    sha256: str | None = None


@dataclass(frozen=True)
class DataSet:
    """A data set as declared in its file under ``sets/``.

    Attributes
    ----------
    name, title, licence, citation, urls
        What it is, on what terms, whom to cite, where it comes from.
    layout
        Files and archives.
    spec, subjects, labels
        Signals, sorted subject names, activities in the documented order. ``labels.null_label`` is set
        where time outside every activity is a class of its own.
    n_recordings
        Recordings of the whole set; None where its documentation does not say.
    branches
        Default branches.
    digests
        Group of files (a subject, or ``labels``) -> sha256 over its files; see `dcdp.data.digests`. Empty where no
        hashes of genuine files are known: then none are compared, and `dcdp data info` says so.
    file_hash
        How a single file is hashed below a group: ``sha256``, or ``git_blob_sha1`` where only that is published.
    tested_on
        ``real files``, or ``made-up files in the documented format`` for a set whose files were not at hand.
    parse
        Reads the recordings from the files; converts to the units of `dcdp.records`, once.
    official
        The set's own split, if it has one: part -> subjects, or -> (subject, session) where its authors split by
        session, so that people are shared.
    download
        Where `dcdp.data.fetch` gets it; None where it has to be fetched by hand.
    megabytes
        Size of the files that the loader reads, unpacked [MB]; None where it is not known.
    version
        Raised whenever `parse` gives other values, so that old caches are not read.
    """

    name: str
    title: str
    licence: str
    citation: str
    urls: tuple[str, ...]
    layout: Layout
    spec: SignalSpec
    subjects: tuple[str, ...]
    labels: LabelSet
    n_recordings: int | None
    branches: tuple[Branch, ...]
    digests: Mapping[str, str] = field(repr=False)
    parse: Callable[[Files], Iterator[Recording]] = field(repr=False)
    official: Mapping[str, tuple[str | tuple[str, str], ...]] | None = None
    version: int = 1
    file_hash: Literal["sha256", "git_blob_sha1"] = "sha256"
    tested_on: str = "real files"
    download: Download | None = None
    megabytes: float | None = None


def subject_name(number: int | str) -> str:
    """Return the name of a subject: two digits, so that names sort like numbers.

    Examples
    --------
    >>> subject_name("7")
    's07'
    """
    return f"s{int(number):02d}"


def inertial_signal(placement: str, modality: str, rate_hz: float, unit: str | None = None) -> Signal:
    """Return a signal of three axes, in the unit of its modality unless given.

    Examples
    --------
    >>> inertial_signal("hip", "acc", 100.0).channels
    ('hip_acc_x', 'hip_acc_y', 'hip_acc_z')
    """
    name = f"{placement}_{modality}"
    channels = tuple(f"{name}_{axis}" for axis in "xyz")
    return Signal(name, modality, placement, rate_hz, channels, unit or _UNITS[modality])
