"""Say how a folder of one's own recordings is to be read: frozen records that check themselves."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from dcdp.data.own.pattern import pattern_fields
from dcdp.data.readers import list_readers
from dcdp.data.readers.streams import UNITS
from dcdp.data.tables import Dialect
from dcdp.errors import ConfigError, unknown_name
from dcdp.records import Branch
from dcdp.signals.frames import axes_matrix, rotation_matrix
from dcdp.signals.units import convert

__all__ = [
    "DESCRIPTION_NAME",
    "Description",
    "DeviceDescription",
    "LabelDescription",
    "SignalDescription",
    "SplitDescription",
    "TimeDescription",
]

DESCRIPTION_NAME = "dcdp.toml"
"""File that describes the folder it lies in."""

_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_PLACEMENT = re.compile(r"[a-z0-9][a-z0-9_]*")
_SPELLINGS = {
    "m/s^2": "m/s2", "m/s²": "m/s2", "ms-2": "m/s2", "°/s": "deg/s", "dps": "deg/s", "rad/sec": "rad/s", "µT": "uT",
    "μT": "uT", "µV": "uV", "μV": "uV", "G": "G", "gauss": "G",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class TimeDescription:
    """The column of times: ``unit`` is s, ms, us, ns, or iso for dates."""

    column: str
    unit: Literal["s", "ms", "us", "ns", "iso"] = "s"


@dataclass(frozen=True, slots=True)
class SignalDescription:
    """One sensor of a device.

    Attributes
    ----------
    modality
        ``acc``, ``gyr``, ``mag``, ``hr``, ``lin`` (acceleration without gravity), ``ecg``, ``emg``, ... or a word of
        your own.
    columns
        Its columns in order; left out where a reader of a recorder's format knows them.
    unit
        Of the columns; that of `docs/conventions.md` if left out.
    placement
        Where it is worn; that of the device if left out.
    rate_hz
        Rate at which it is stored [Hz]; that of the device if left out.
    axes
        New axes by the old ones, such as ``"x,-z,y"``.
    rotation
        Euler angles [degrees] of the mounting, or a matrix of three rows.
    mirror
        Whether axes and rotation may turn a right-handed frame into a left-handed one.
    """

    modality: str
    columns: tuple[str, ...] = ()
    unit: str = ""
    placement: str = ""
    rate_hz: float | None = None
    axes: str = ""
    rotation: tuple[float, ...] | tuple[tuple[float, ...], ...] = ()
    mirror: bool = False

    def __post_init__(self) -> None:
        _require_word("modality", self.modality, _PLACEMENT)
        if self.placement:
            _require_word("placement", self.placement, _PLACEMENT)
        if len(set(self.columns)) != len(self.columns):
            raise ConfigError("columns must be named once each", ", ".join(self.columns), "Name each column once.")
        _require_positive("rate_hz", self.rate_hz)
        if (self.axes or self.rotation) and self.columns and len(self.columns) != 3:
            raise ConfigError("axes and rotation need three columns", f"{len(self.columns)} of '{self.modality}'",
                              "Leave them out.")
        if self.axes:
            axes_matrix(self.axes, self.mirror)
        if self.rotation:
            rotation_matrix(np.array(self.rotation), self.mirror)
        if self.unit:  # an unknown unit, or one of another quantity, is told with its nearest name
            convert(np.ones(1), self.given_unit, UNITS.get(self.modality, self.given_unit))

    @property
    def given_unit(self) -> str:
        """Unit of the columns, in the spelling of `dcdp.signals.units`."""
        return _SPELLINGS.get(self.unit, self.unit) or UNITS.get(self.modality, "1")

    @property
    def stored_unit(self) -> str:
        """Unit in which the values are stored."""
        return UNITS.get(self.modality, self.given_unit)


@dataclass(frozen=True, slots=True)
class DeviceDescription:
    """One kind of file: what a phone, a watch, a strap wrote.

    Attributes
    ----------
    name
        A word, for messages.
    files
        Pattern of paths, relative to the folder of the description. ``{subject}``, ``{session}`` and ``{label}`` say
        what a part of the path means, ``{part}`` numbers the pieces of one recording, other fields tell recordings
        apart; ``*`` and ``**`` match anything. Files of several devices with the same fields are one recording.
    format
        ``table``, or a reader of a recorder's format (see ``dcdp data readers``), or ``auto``: the one that fits.
    placement
        Where it is worn.
    subject, session
        Where the path does not say: a fixed name, or ...
    subject_column, session_column
        ... a column of the table; each value makes a recording of its own.
    time
        The column of times; left out, rows are evenly spaced at ``rate_hz``.
    rate_hz
        Nominal rate [Hz]; estimated from the times of the files if left out.
    clock
        ``shared``: times may be compared with those of the other devices. ``start``: each file begins at time 0,
        together with the others.
    offset_s
        Added to all times of the device [s].
    align
        Whether offset and drift against the first device are estimated from the movement (acceleration).
    max_offset_s
        Largest offset to look for [s].
    poor_alignment
        Where the movement does not tell the offset: ``refuse`` the recording, ``drop`` the device from it, or ``keep``
        the device's own clock.
    separator, decimal, header, skip_lines
        How the text is written; see `dcdp.data.tables.Dialect`.
    signals
        The sensors. Empty takes all that a recorder's format has.
    """

    name: str
    files: str
    format: str = "table"
    placement: str = ""
    subject: str = ""
    session: str = ""
    subject_column: str = ""
    session_column: str = ""
    time: TimeDescription | None = None
    rate_hz: float | None = None
    clock: Literal["shared", "start"] = "shared"
    offset_s: float = 0.0
    align: bool = False
    max_offset_s: float = 60.0
    poor_alignment: Literal["refuse", "drop", "keep"] = "refuse"
    separator: str | None = None
    decimal: str = "."
    header: bool = True
    skip_lines: int = 0
    signals: tuple[SignalDescription, ...] = ()

    def __post_init__(self) -> None:
        _require_word("name of a device", self.name, _WORD)
        pattern_fields(self.files)
        if self.placement:
            _require_word("placement", self.placement, _PLACEMENT)
        _require_positive("rate_hz", self.rate_hz)
        _require_positive("max_offset_s", self.max_offset_s)
        formats = ("table", "auto", *(reader.name for reader in list_readers()))
        if self.format not in formats:
            raise unknown_name("format", self.format, formats)
        self._require_subject()
        if self.format == "table":
            self._require_table()
        names = [self.signal_name(signal) for signal in self.signals]
        if len(set(names)) != len(names):
            raise ConfigError("the signals of a device must differ", f"{', '.join(names)} of '{self.name}'",
                              "Give each a placement of its own.")

    @property
    def dialect(self) -> Dialect:
        """How its tables are written."""
        return Dialect(self.separator, self.decimal, self.header, self.skip_lines)

    @property
    def fields(self) -> tuple[str, ...]:
        """What its paths say."""
        return pattern_fields(self.files)

    def signal_name(self, signal: SignalDescription) -> str:
        """Return ``placement_modality``."""
        return f"{self.place_of(signal)}_{signal.modality}"

    def place_of(self, signal: SignalDescription) -> str:
        """Return where a signal is worn."""
        return signal.placement or self.placement or self.name.lower().replace("-", "_")

    def _require_subject(self) -> None:
        told = [bool(self.subject), bool(self.subject_column), "subject" in self.fields]
        if sum(told) != 1:
            raise ConfigError(
                f"device '{self.name}' must say once whose recordings it holds",
                f"{sum(told)} of subject, subject_column and {{subject}} in files",
                "Mark the person in the path, as in files = '{subject}/*.csv', or give subject or subject_column.",
            )
        if sum([bool(self.session), bool(self.session_column), "session" in self.fields]) > 1:
            raise ConfigError(f"device '{self.name}' must say its session once", "several of session, session_column "
                              "and {session} in files", "Leave one.")

    def _require_table(self) -> None:
        _ = self.dialect  # its own rules
        if not self.signals:
            raise ConfigError(f"device '{self.name}' must have a signal", "none", "Add a [[devices.signals]].")
        for signal in self.signals:
            if not signal.columns:
                raise ConfigError(f"signal '{signal.modality}' of device '{self.name}' must name its columns", "none",
                                  'Give for example columns = ["ax", "ay", "az"].')
        if self.time is None and self.rate_hz is None:
            raise ConfigError(f"device '{self.name}' must say when its samples were taken", "neither time nor rate_hz",
                              'Give time = { column = "time", unit = "ms" }, or rate_hz.')


@dataclass(frozen=True, slots=True)
class LabelDescription:
    """Where the activities stand: in a column of a device's tables, in annotation files, or in ``{label}`` of a path.

    Attributes
    ----------
    column
        Column of labels, one a row, in the tables of ``device``.
    device
        The device whose tables hold the column, and whose clock annotation files follow; the first if left out.
    file
        Pattern of annotation files, with fields as in ``files`` of a device; one without fields serves all recordings.
    start, stop, duration, label
        Its columns: start, and either stop or duration. Without both a label holds until the next begins.
    unit
        Of these times: s, ms, us, ns, iso; or ``samples`` of the device.
    clock
        ``recording``: times count from the first sample of the device. ``device``: they are those of its time column.
    subject_column, session_column
        Columns that say whose annotation a row is, where one file serves many.
    separator, decimal
        How the annotation is written.
    names
        Label in the file -> activity, such as ``{ 1 = "walking" }``.
    null
        Labels in the file that mean no activity.
    order
        The activities in class order; a label that is not among them is refused. Left out, those found, sorted.
    overlap
        Where two annotations overlap: ``refuse``, or the ``first`` or ``last`` of them holds.
    outside
        Annotations beyond the recording: ``refuse``, or ``cut`` them.
    missing
        A recording without annotation file: ``refuse``, or keep it ``unlabelled``.
    """

    column: str = ""
    device: str = ""
    file: str = ""
    start: str = "start"
    stop: str = ""
    duration: str = ""
    label: str = "label"
    unit: Literal["s", "ms", "us", "ns", "iso", "samples"] = "s"
    clock: Literal["recording", "device"] = "recording"
    subject_column: str = ""
    session_column: str = ""
    separator: str | None = None
    decimal: str = "."
    names: tuple[tuple[str, str], ...] = ()
    null: tuple[str, ...] = ("",)
    order: tuple[str, ...] = ()
    overlap: Literal["refuse", "first", "last"] = "refuse"
    outside: Literal["refuse", "cut"] = "refuse"
    missing: Literal["refuse", "unlabelled"] = "refuse"

    def __post_init__(self) -> None:
        if self.column and self.file:
            raise ConfigError("labels must stand in one place", "labels.column and labels.file", "Give one of them.")
        if self.file:
            pattern_fields(self.file)
        if self.stop and self.duration:
            raise ConfigError("an annotation ends once", "labels.stop and labels.duration", "Give one of them.")
        if self.unit == "iso" and self.clock == "recording":
            raise ConfigError("dates follow the clock of a device", 'labels.unit = "iso" with clock = "recording"',
                              'Set labels.clock = "device".')
        if len(set(self.order)) != len(self.order):
            raise ConfigError("labels.order must name each activity once", ", ".join(self.order), "Leave one out.")

    @property
    def dialect(self) -> Dialect:
        """How the annotation is written."""
        return Dialect(self.separator, self.decimal)


@dataclass(frozen=True, slots=True)
class SplitDescription:
    """The subjects of a split of your own, used by ``--split official``."""

    train: tuple[str, ...]
    test: tuple[str, ...]
    validation: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Description:
    """A folder of one's own recordings.

    Attributes
    ----------
    name
        Names the runs; the file or its folder if left out.
    devices, labels
        What was recorded, and what was done.
    branches
        Signals that share an encoder; by modality and rate if left out.
    split
        A split of your own.
    null_class
        Name of the class of time without activity, for ``windows.null = "keep"``.
    wrong_unit
        An acceleration whose gravity fits another unit than it says: ``refuse`` it, or ``convert`` and note it.
    copies
        Two files with the same content: ``refuse``, or ``keep`` both.
    title
        A line on what this is.
    path
        The TOML file; its folder holds the recordings.
    """

    devices: tuple[DeviceDescription, ...]
    labels: LabelDescription = LabelDescription()
    name: str = ""
    title: str = ""
    branches: tuple[Branch, ...] = ()
    split: SplitDescription | None = None
    null_class: str = ""
    wrong_unit: Literal["refuse", "convert"] = "refuse"
    copies: Literal["refuse", "keep"] = "refuse"
    path: Path = Path(DESCRIPTION_NAME)

    def __post_init__(self) -> None:
        if not self.devices:
            raise ConfigError("a description must have a device", "none", "Add a [[devices]] (see dcdp data describe).")
        if self.name:
            _require_word("name", self.name, _WORD)
        names = [device.name for device in self.devices]
        if len(set(names)) != len(names):
            raise ConfigError("devices must be named once each", ", ".join(names), "Give each its own name.")
        if self.labels.device and self.labels.device not in names:
            raise unknown_name("labels.device", self.labels.device, names)
        if self.devices[0].align:
            raise ConfigError("the first device is the clock of the others", f"align = true for '{names[0]}'",
                              "Leave align out there.")
        if self.labels.column and self.label_device.format != "table":
            raise ConfigError("labels.column must lie in a table", f"device '{self.label_device.name}'",
                              "Name another labels.device, or use labels.file.")

    @property
    def folder(self) -> Path:
        """Where the recordings lie."""
        return self.path.parent

    @property
    def label_device(self) -> DeviceDescription:
        """The device whose tables or clock the labels follow."""
        return next((d for d in self.devices if d.name == self.labels.device), self.devices[0])


def _require_word(what: str, text: str, pattern: re.Pattern[str]) -> None:
    if not pattern.fullmatch(text):
        raise ConfigError(f"{what} must be a plain word", f"'{text}'",
                          "Use small letters, digits and _ only." if pattern is _PLACEMENT else
                          "Use letters, digits, - and _ only.")  # fmt: skip


def _require_positive(what: str, value: float | None) -> None:
    if value is not None and not 0 < value <= 1e6:
        raise ConfigError(f"{what} must be positive", value, "Give it in the unit that its name says.")
