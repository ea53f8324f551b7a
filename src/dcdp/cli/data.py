"""``dcdp data``: list and describe the data sets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dcdp.data import DataSet
    from dcdp.records import SignalSpec

__all__ = ["info", "list_all"]

SYNTHETIC = "synthetic"
REAL_FILES = "real files"


def list_all(*, data: Path | None = None, cache: Path | None = None) -> None:
    """List the data sets, and say which are here.

    Parameters
    ----------
    data
        Folder in which to look for archives and unpacked sets; $DCDP_DATA, or where dcdp data fetch puts them.
    cache
        Folder for parsed recordings; $DCDP_CACHE or ~/.cache/dcdp if left out.
    """
    from dcdp.cli.summary import print_lines, print_table
    from dcdp.data import get_set, list_sets

    columns = ["name", "people", "activities", "modalities", "rate", "MB", "licence", "files"]
    rows = []
    for name in list_sets():
        declared = get_set(name)
        sizes = (len(declared.subjects), len(declared.labels))
        state = _state(declared, data, cache)
        megabytes = "?" if declared.megabytes is None else f"{declared.megabytes:g}"
        sensors = (_modalities(declared.spec), _rates(declared.spec))
        rows.append([name, *sizes, *sensors, megabytes, _short_licence(declared.licence), state])
    body, n_activities = _synthetic_spec()
    rows.append([SYNTHETIC, "any", n_activities, _modalities(body), _rates(body), "-", "part of dcdp", "built in"])
    print_table(columns, rows)
    print_lines(
        "",
        "MB: unpacked. files: cached (parsed), here (in the data folder), - (get it with dcdp data fetch NAME).",
        "Terms in full and the paper to cite: dcdp data info NAME.",
    )
    if untried := [name for name in list_sets() if get_set(name).tested_on != REAL_FILES]:
        print_lines("", f"Not run on their real files: {', '.join(untried)} (see dcdp data info NAME).")


def info(name: str, /, *, cache: Path | None = None) -> None:
    """Describe a data set: sensors, activities, source, terms.

    Parameters
    ----------
    name
        Data set (see dcdp data list), or the TOML description of your own recordings or the folder that holds it.
    cache
        Folder for parsed recordings.
    """
    from dcdp.cli.own import import_own, is_own, print_own
    from dcdp.cli.summary import print_lines, print_table
    from dcdp.data import get_set

    if is_own(name):
        print_own(import_own(name, cache))
        return
    if name == SYNTHETIC:
        from dcdp.data.synthetic.activities import ACTIVITIES

        spec, labels = _synthetic_spec()[0], tuple(activity.name for activity in ACTIVITIES)
        print_lines("Synthetic body: a simulator of people who wear sensors, deterministic by seed; needs no file.", "")
    else:
        declared = get_set(name)
        spec, labels = declared.spec, declared.labels.names
        print_lines(*_describe(declared), "")
    print_table(
        ["signal", "modality", "placement", "rate [Hz]", "unit", "channels"],
        [[s.name, s.modality, s.placement, f"{s.rate_hz:g}", s.unit, ", ".join(s.channels)] for s in spec],
    )
    print_table(["class", "activity"], [[str(index), label] for index, label in enumerate(labels)])


def _state(declared: DataSet, data: Path | None, cache: Path | None) -> str:
    """Say whether a set is parsed already (cached), lies in the data folder (here), or neither."""
    from dcdp.data.archive import open_source
    from dcdp.data.registry import cache_folder, data_folder
    from dcdp.errors import MissingError

    folder = cache or cache_folder()
    kind = "verified" if declared.digests else "unverified"
    if any(folder.glob(f"{declared.name}-v{declared.version}-{kind}-*")):
        return "cached"
    try:
        open_source(data or data_folder(), declared.layout)
    except MissingError:
        return "-"
    return "here"


def _short_licence(text: str) -> str:
    """Return the name of a licence without the terms that follow it."""
    return text.partition(";")[0].partition(" according")[0].removesuffix(" known")


def _describe(declared: DataSet) -> list[str]:
    lines = [
        f"{declared.title} ({declared.name})",
        f"people      {len(declared.subjects)}",
        f"recordings  {declared.n_recordings or 'not documented'}",
        f"licence     {declared.licence}",
        f"cite        {declared.citation}",
        *(f"source      {url}" for url in declared.urls),
        f"tested on   {declared.tested_on}{'' if declared.tested_on == REAL_FILES else ': not run on the real ones'}",
        f"hashes      {'known: files are verified' if declared.digests else 'not known: files are not verified'}",
    ]
    if declared.labels.null_label:
        lines.append(f"null class  {declared.labels.null_label}")
    if declared.official:
        parts = ", ".join(f"{len(members)} {part}" for part, members in declared.official.items())
        by_person = all(isinstance(one, str) for members in declared.official.values() for one in members)
        lines.append(f"official    {parts} {'people' if by_person else 'sessions: some people are in several parts'}")
    lines += [f"branch      {branch.name}: {', '.join(branch.signals)}" for branch in declared.branches]
    return lines


def _synthetic_spec() -> tuple[SignalSpec, int]:
    """Return the signals of the built-in body and its number of activities, without simulating it."""
    from dcdp.data.synthetic.activities import ACTIVITIES
    from dcdp.data.synthetic.config import BodyConfig, body_spec

    return body_spec(BodyConfig()), len(ACTIVITIES)


def _modalities(spec: SignalSpec) -> str:
    return ", ".join(dict.fromkeys(signal.modality for signal in spec))


def _rates(spec: SignalSpec) -> str:
    return ", ".join(f"{rate:g}" for rate in sorted({signal.rate_hz for signal in spec}, reverse=True)) + " Hz"
