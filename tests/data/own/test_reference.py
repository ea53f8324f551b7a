"""docs/own_recordings.md names every key, and its example is a description."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from dcdp.data.own.description import (
    Description,
    DeviceDescription,
    LabelDescription,
    SignalDescription,
    SplitDescription,
    TimeDescription,
)
from dcdp.data.own.description_file import load_description
from dcdp.errors import ConfigError

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "own_recordings.md").read_text(encoding="utf-8")
SECTIONS = {
    "### The file": Description, "### `[[devices]]`": DeviceDescription,
    "### `[[devices.signals]]`": SignalDescription, "### `[labels]`": LabelDescription,
}  # fmt: skip


@pytest.mark.parametrize("section", SECTIONS)
def test_every_key_stands_in_its_table_and_no_other(section: str) -> None:
    text = PAGE.split(section)[1].split("\n#")[0]
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", text, flags=re.MULTILINE)
    told = {key.strip("`") for row in rows for key in row.split(", ")}
    assert told == {field.name for field in dataclasses.fields(SECTIONS[section])} - {"path"}


def test_the_small_tables_are_named_too() -> None:
    assert all(f"`{field.name}`" in PAGE for field in dataclasses.fields(SplitDescription))
    assert "{ column, unit }" in PAGE
    assert [field.name for field in dataclasses.fields(TimeDescription)] == ["column", "unit"]


def test_the_example_is_a_description(tmp_path: Path) -> None:
    (example,) = re.findall(r"^```toml\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    (tmp_path / "dcdp.toml").write_text(example, encoding="utf-8")
    described = load_description(tmp_path)
    assert [device.name for device in described.devices] == ["phone", "watch"]
    assert described.devices[1].align
    assert described.split == SplitDescription(("s01", "s02", "s03"), ("s05",), ("s04",))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("path = 'x'", "must not name its own path"),
        ("name = 'my run'", "name must be a plain word: got 'my run'"),
        ("nmae = 'x'", "got 'nmae'. Did you mean 'name'"),
        ("copies = 'no'", "copies must be one of keep, refuse"),
        ("devices = 3", "devices must be a list"),
    ],
)
def test_keys_that_do_not_fit_are_told_with_the_file(keys: str, message: str, tmp_path: Path) -> None:
    device = '\n[[devices]]\nname = "a"\nfiles = "{subject}.zip"\nformat = "auto"\n'
    (tmp_path / "dcdp.toml").write_text(keys + ("" if keys.startswith("devices") else device), encoding="utf-8")
    with pytest.raises(ConfigError, match=message) as told:
        load_description(tmp_path)
    assert "dcdp.toml" in str(told.value)


def test_a_name_comes_from_the_file_or_its_folder(tmp_path: Path) -> None:
    text = '[[devices]]\nname = "a"\nfiles = "{subject}.zip"\nformat = "auto"\n'
    folder = tmp_path / "my walks"
    folder.mkdir()
    for name, expected in (("dcdp.toml", "my-walks"), ("evening.toml", "evening")):
        (folder / name).write_text(text, encoding="utf-8")
        assert load_description(folder / name).name == expected
