"""Read recordings without their labels: those that a description names, or new files of the same kind."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dcdp.data.own.description import Description, DeviceDescription
from dcdp.data.own.description_file import load_description
from dcdp.data.own.pattern import list_paths
from dcdp.data.own.plan import Group, plan_groups
from dcdp.data.own.recordings import read_group, settle_signals
from dcdp.data.readers import recognise
from dcdp.data.tables import SUFFIXES, column_names
from dcdp.errors import ConfigError, DcdpError, FormatError, MissingError, unknown_name
from dcdp.records import Recording

__all__ = ["read_like", "read_named"]

_MOST_NAMED = 12


def read_named(path: str | Path, name: str = "") -> Recording:
    """Read one recording of a description, its labels left out.

    Parameters
    ----------
    path
        TOML file, or the folder that holds ``dcdp.toml``.
    name
        Of the recording; may be left out where there is one only.

    Raises
    ------
    ConfigError
        If there is none of this name, or several and none is named.
    DcdpError
        As `dcdp.data.own.read_own`.
    """
    description = load_description(path)
    groups = plan_groups(description)
    guessed = {_name_of(description, group): group for group in groups}
    if None in guessed:  # columns name the people: only reading tells
        return _only(_read_all(description, groups), name, description)
    names = [str(known) for known in guessed]
    if not name and len(names) > 1:
        raise _several(names, description.path)
    if name and name not in names:
        raise unknown_name("recording", name, names)
    (recording,) = _read_all(description, [guessed[name or names[0]]])
    return recording


def read_like(path: str | Path, like: str | Path) -> Recording:
    """Read files that are like those of a description, wherever they lie, as one recording without labels.

    Parameters
    ----------
    path
        A file of one device; or a folder with one of each, or of some.
    like
        The description.

    Raises
    ------
    FormatError
        If a file is of none of its devices, or two are of one.
    DcdpError
        As `dcdp.data.own.read_own`.
    """
    description, path = load_description(like), Path(path)
    files = [path] if not path.is_dir() else [path / name for name in list_paths(path)[0]]
    if not path.exists():
        raise MissingError("the recording must exist", f"'{path}'", "Give a file or folder.")
    found: dict[str, tuple[str, ...]] = {}
    for device in description.devices:
        own = [file for file in ([path, *files] if device.format != "table" else files) if _fits(device, file)]
        own = own[:1] if own and own[0] == path else own
        if len(own) > 1:
            raise FormatError(f"one file of device '{device.name}' must be given", f"'{own[0]}' and '{own[1]}'",
                              "Give a folder with the files of one recording.")
        if own:
            found[device.name] = (str(own[0].resolve()),)
    if not found:
        columns = ", ".join(c for d in description.devices for s in d.signals for c in s.columns)
        raise FormatError(f"a recording must have the columns of a device of '{description.path}'", f"'{path}'",
                          f"They are {columns}.")
    group = Group((), found)
    return _only(_read_all(description, [group]), "", description)


def _read_all(description: Description, groups: Sequence[Group]) -> list[Recording]:
    rates = {signal.name: signal.rate_hz for signal in settle_signals(description, groups)}
    return [recording for group in groups for recording in read_group(description, group, rates, labelled=False)]


def _only(recordings: Sequence[Recording], name: str, description: Description) -> Recording:
    names = [recording.name for recording in recordings]
    if not name and len(names) > 1:
        raise _several(names, description.path)
    if name and name not in names:
        raise unknown_name("recording", name, names)
    return next(recording for recording in recordings if name in ("", recording.name))


def _name_of(description: Description, group: Group) -> str | None:
    """Return the name that the recording of a group will have, None if a column decides."""
    devices = [device for device in description.devices if device.name in group.files]
    if any(device.subject_column or device.session_column for device in devices):
        return None
    subject = next((d.subject for d in devices if d.subject), "") or group.field("subject")
    session = next((d.session for d in devices if d.session), "") or group.field("session") or "1"
    others = [text for field, text in group.fields if field not in ("subject", "session")]
    return "_".join([subject, session, *others])


def _fits(device: DeviceDescription, path: Path) -> bool:
    try:
        if device.format != "table":
            return recognise(path) in ((device.format,) if device.format != "auto" else _known(path))
        if path.suffix.lower() not in SUFFIXES:
            return False
        names = column_names(path, device.dialect)
    except DcdpError:
        return False
    wanted = [column for signal in device.signals for column in signal.columns]
    return {*wanted, *([device.time.column] if device.time else [])} <= set(names)


def _known(path: Path) -> tuple[str, ...]:
    found = recognise(path)
    return (found,) if found else ()


def _several(names: Sequence[str], path: Path) -> ConfigError:
    shown = ", ".join(names[:_MOST_NAMED]) + (", ..." if len(names) > _MOST_NAMED else "")
    return ConfigError("one recording must be named", f"{len(names)} in '{path}'",
                       f"Choose one (--recording): {shown}.")
