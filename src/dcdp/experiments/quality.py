"""Check recordings by name: open them, measure, judge, and write what was found."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from dcdp.data.quality import Finding, Quality, Verdict, judge, measure_store, note_table, to_plain, verdict
from dcdp.data.registry import Progress, list_sets
from dcdp.errors import MissingError
from dcdp.experiments.source import load
from dcdp.files import write_text

__all__ = ["CheckedData", "check_data", "write_quality_json"]

FORMAT = 1
DESCRIPTION = "dcdp.toml"


@dataclass(frozen=True)
class CheckedData:
    """What a check found.

    Attributes
    ----------
    name
        Of the data set, folder or description.
    quality, findings, verdict
        The figures, what is odd in them (the worst first), and what that comes to.
    """

    name: str
    quality: Quality
    findings: tuple[Finding, ...]
    verdict: Verdict


def check_data(
    name: str,
    data: Path | None = None,
    cache: Path | None = None,
    *,
    verify: bool = True,
    progress: Progress | None = None,
) -> CheckedData:
    """Open recordings by name and check them.

    Parameters
    ----------
    name
        ``synthetic``, a data set, a folder that holds ``dcdp.toml``, or a description ``FILE.toml``.
    data, cache, verify, progress
        As of `dcdp.experiments.source.load`.

    Raises
    ------
    MissingError
        If the name is a folder without a description, or files are nowhere to be found.
    DcdpError
        As `dcdp.experiments.source.load`.
    """
    known = (*list_sets(), "synthetic")
    if name not in known and Path(name).is_dir() and not (Path(name) / DESCRIPTION).is_file():
        raise MissingError(
            f"a folder of recordings must hold a {DESCRIPTION}", f"'{name}' without one",
            f"Write a draft with: dcdp data describe {name}. For a public set: dcdp data check NAME --data {name}.",
        )  # fmt: skip
    store = load(name, data, cache=cache, verify=verify, progress=progress).store
    quality = measure_store(store, progress)
    findings = judge(quality)
    return CheckedData(name, quality, findings, verdict(findings))


def write_quality_json(path: Path, checked: CheckedData) -> Path:
    """Write verdict, findings, notes by signal and all figures as JSON.

    Raises
    ------
    StorageError
        If the disk is full or not writable.
    """
    document = {
        "format": FORMAT,
        "name": checked.name,
        "verdict": asdict(checked.verdict),
        "findings": [asdict(odd) for odd in checked.findings],
        "notes": [asdict(row) for row in note_table(checked.quality)],
        "quality": to_plain(checked.quality),
    }
    write_text(Path(path), json.dumps(document, allow_nan=False, separators=(",", ":")) + "\n")
    return Path(path)
