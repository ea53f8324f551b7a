"""Find the files of each recording: those of all devices whose paths say the same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from dcdp.data.own.description import Description, DeviceDescription
from dcdp.data.own.pattern import Match, list_paths, match_paths, pattern_fields
from dcdp.errors import DataError, FormatError, MissingError

__all__ = ["Group", "plan_groups", "refuse_copies"]

PART = "part"
_MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Group:
    """Files that are read together; one recording, unless a column names several people.

    Attributes
    ----------
    fields
        What the paths say, sorted by field, without ``part``.
    files
        Device -> its files in the order of their parts, relative to the folder of the description.
    annotation
        Its annotation file, if it has one.
    """

    fields: tuple[tuple[str, str], ...]
    files: Mapping[str, tuple[str, ...]]
    annotation: str | None = None

    @property
    def key(self) -> str:
        """Name of the group, unique in its folder."""
        return "/".join(f"{field}={text}" for field, text in self.fields) or next(iter(self.files.values()))[0]

    @property
    def paths(self) -> tuple[str, ...]:
        """All its files."""
        recorded = [path for paths in self.files.values() for path in paths]
        return (*recorded, *([self.annotation] if self.annotation else []))

    def field(self, name: str) -> str:
        """Return what the paths say of a field, ``""`` if nothing."""
        return dict(self.fields).get(name, "")


def plan_groups(description: Description) -> tuple[Group, ...]:
    """Return the groups of files of a folder, sorted by what their paths say.

    Raises
    ------
    MissingError
        If no file fits, a device has none, or a recording has no annotation file.
    FormatError
        If two files of one device say the same, or a link leaves the folder.
    """
    files, folders = list_paths(description.folder)
    found: dict[tuple[tuple[str, str], ...], dict[str, tuple[str, ...]]] = {}
    for device in description.devices:
        places = files if device.format == "table" else (*folders, *files)
        matches = list(match_paths(description.folder, device.files, places))
        if not matches:
            raise _nothing(description, device, files)
        for fields, paths in _by_fields(device, matches).items():
            found.setdefault(fields, {})[device.name] = paths
    groups = [Group(fields, by_device) for fields, by_device in sorted(found.items())]
    return tuple(_annotated(description, groups, files))


def refuse_copies(folder: Path, groups: Iterable[Group]) -> None:
    """Refuse two recorded files with the same content: under two names one recording would be two people.

    Raises
    ------
    DataError
        Naming the two files.
    """
    paths = sorted({path for group in groups for paths in group.files.values() for path in paths})
    plain = [(path, (folder / path).stat().st_size) for path in paths if (folder / path).is_file()]
    for size, same_size in groupby(sorted(plain, key=lambda found: found[1]), key=lambda found: found[1]):
        alike = [path for path, _ in same_size]
        if len(alike) < 2 or not size:
            continue
        known: dict[bytes, str] = {}
        for path in alike:
            with (folder / path).open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").digest()
            if digest in known:
                raise DataError("files must differ", f"the same content in '{known[digest]}' and '{path}'",
                                'Delete the copy, or set copies = "keep" if both are meant.')
            known[digest] = path


def _by_fields(
    device: DeviceDescription, matches: Sequence[Match]
) -> dict[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """Return fields without ``part`` -> paths in the order of the parts."""
    by_fields: dict[tuple[tuple[str, str], ...], list[Match]] = {}
    for match in matches:
        fields = tuple(sorted((field, text) for field, text in match.fields.items() if field != PART))
        by_fields.setdefault(fields, []).append(match)
    for fields, same in by_fields.items():
        parts = [match.fields.get(PART, "") for match in same]
        if len(set(parts)) < len(same):
            raise FormatError(
                f"a recording must have one file of device '{device.name}'",
                f"'{same[0].path}' and '{same[1].path}' for {_said(fields)}",
                "Make the pattern in files narrower, or tell them apart by a field: {session}, or {part} for "
                "pieces of one recording.",
            )
        same.sort(key=lambda match: _in_order(match.fields.get(PART, "")))
    return {fields: tuple(match.path for match in same) for fields, same in by_fields.items()}


def _annotated(description: Description, groups: Sequence[Group], files: tuple[str, ...]) -> Iterable[Group]:
    labels = description.labels
    if not labels.file:
        yield from groups
        return
    fields = pattern_fields(labels.file)
    known = {
        tuple(sorted(match.fields.items())): match.path
        for match in match_paths(description.folder, labels.file, files)
    }
    if not known:
        raise MissingError("a description must name annotation files that exist", f"nothing like '{labels.file}' in "
                           f"'{description.folder}'", "Correct labels.file, or leave [labels] out.")
    for group in groups:
        own = tuple(sorted((field, text) for field, text in group.fields if field in fields))
        path = known.get(own)
        if path is None and labels.missing == "refuse":
            raise MissingError(
                "each recording must have its annotation file",
                f"nothing like '{labels.file}' for {_said(group.fields)}",
                'Add it, or set labels.missing = "unlabelled".',
            )
        yield Group(group.fields, group.files, path)


def _nothing(description: Description, device: DeviceDescription, files: Sequence[str]) -> MissingError:
    there = ", ".join(f"'{path}'" for path in files[:_MOST_NAMED]) + (", ..." if len(files) > _MOST_NAMED else "")
    remedy = f"It holds {there}. Correct files of device '{device.name}'." if files else "It is empty: add recordings."
    return MissingError(f"device '{device.name}' must have files", f"nothing like '{device.files}' in "
                        f"'{description.folder}'", remedy)


def _said(fields: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f"{field} {text}" for field, text in fields) or "the whole folder"


def _in_order(text: str) -> tuple[int, int, str]:
    return (0, int(text), "") if text.isdecimal() else (1, 0, text)
