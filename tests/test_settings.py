"""Configurations from mappings, command lines and TOML."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcdp import settings
from dcdp.errors import ConfigError, FormatError, MissingError


@dataclass(frozen=True)
class Stage:
    width: int = 8
    positives: Literal["segment", "window", "activity"] = "window"


@dataclass(frozen=True)
class Inner:
    lr: float = 1e-3
    clip: float | None = 1.0
    patience: int | None = None
    amp: bool = False
    folder: Path = Path("runs")
    optimiser: Literal["sgd", "adamw"] = "adamw"


@dataclass(frozen=True)
class Outer:
    name: str = "base"
    inner: Inner = field(default_factory=Inner)
    widths: tuple[int, ...] = (16, 32)
    span: tuple[float, str] = (1.0, "s")
    stages: tuple[Stage, ...] = (Stage(), Stage(16))
    epochs: int | float = 10


@dataclass(frozen=True)
class Needs:
    value: int


@dataclass(frozen=True)
class Kinds:
    level: Literal[0, 1, 2] = 0
    share: float | int = 0.5


texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
numbers = st.floats(allow_nan=False)
integers = st.integers(-(2**63), 2**63 - 1)
stages = st.builds(Stage, width=integers, positives=st.sampled_from(["segment", "window", "activity"]))
inners = st.builds(
    Inner,
    lr=numbers,
    clip=st.none() | numbers,
    patience=st.none() | integers,
    amp=st.booleans(),
    folder=st.sampled_from([Path("a"), Path("a/b c"), Path("/tmp")]),
    optimiser=st.sampled_from(["sgd", "adamw"]),
)
outers = st.builds(
    Outer,
    name=texts,
    inner=inners,
    widths=st.lists(integers, max_size=4).map(tuple),
    span=st.tuples(numbers, texts),
    stages=st.lists(stages, max_size=3).map(tuple),
    epochs=integers | numbers,
)


@given(outers)
def test_toml_gives_every_configuration_back(config: Outer) -> None:
    import tomllib

    back = settings.build(Outer, tomllib.loads(settings.to_toml(config)))
    assert back == config
    assert type(back.epochs) is type(config.epochs)
    assert type(back.folder if hasattr(back, "folder") else back.inner.folder) is type(config.inner.folder)


@given(outers)
def test_merging_a_complete_configuration_replaces_every_key(config: Outer) -> None:
    merged = settings.merge(Outer(), settings.to_dict(config))
    left_out = dataclasses.replace(merged.inner, patience=config.inner.patience)
    assert dataclasses.replace(merged, inner=left_out) == config


def test_from_toml_reads_a_file(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text('name = "ä"\n[inner]\nlr = 1\n[[stages]]\nwidth = 3\n', encoding="utf-8")
    config = settings.from_toml(Outer, path)
    assert config == Outer(name="ä", inner=Inner(lr=1.0), stages=(Stage(3),))
    assert isinstance(config.inner.lr, float)


@pytest.mark.parametrize(
    ("assignment", "path", "value"),
    [
        ("inner.lr=1e-2", "inner.lr", 0.01),
        ("inner.lr = 2", "inner.lr", 2.0),
        ("inner.optimiser=sgd", "inner.optimiser", "sgd"),
        ("inner.amp=true", "inner.amp", True),
        ("inner.clip=none", "inner.clip", None),
        ("inner.patience=4", "inner.patience", 4),
        ("name=5", "name", "5"),
        ("name=2024-05-01", "name", "2024-05-01"),
        ('name="a=b"', "name", "a=b"),
        ("name=a=b", "name", "a=b"),
        ("name=", "name", ""),
        ("widths=[1, 2, 3]", "widths", (1, 2, 3)),
        ("inner.folder=/tmp/x", "inner.folder", Path("/tmp/x")),
        ("epochs=2.5", "epochs", 2.5),
        ("epochs=2", "epochs", 2),
    ],
)
def test_override_replaces_one_key(assignment: str, path: str, value: Any) -> None:
    config: Any = settings.override(Outer(), assignment)
    group, _, key = path.rpartition(".")
    holder = getattr(config, group) if group else config
    found = getattr(holder, key)
    assert found == value
    assert type(found) is type(value)
    original = getattr(Outer(), group) if group else Outer()
    restored = dataclasses.replace(holder, **{key: getattr(original, key)})
    assert (dataclasses.replace(config, inner=restored) if group else restored) == Outer()


def test_overrides_are_made_at_once_and_the_last_of_a_key_counts() -> None:
    config = settings.override(Outer(), "inner.lr=3", "name=walk", "inner.patience=4", "inner.lr=2")
    assert config == dataclasses.replace(Outer(), name="walk", inner=Inner(lr=2.0, patience=4))
    assert settings.override(Outer()) == Outer()


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("inner.lrr=1", r"must be one of inner\.amp.*got 'inner\.lrr'\. Did you mean 'inner\.lr'\?"),
        ("iner.lr=1", r"got 'iner'\. Did you mean 'inner'\?"),
        ("inner.lr=fast", r"inner\.lr must be a number: got 'fast'"),
        ("inner.amp=1", r"inner\.amp must be true or false: got 1"),
        ("inner.patience=1.5", r"inner\.patience must be an integer: got 1\.5"),
        ("inner.optimiser=adam", r"inner\.optimiser must be one of adamw, sgd: got 'adam'\. Did you mean 'adamw'"),
        ("widths=[1, 2.5]", r"widths\[1\] must be an integer: got 2\.5"),
        ("span=[1.0]", r"span must be a list of 2 \(a number, text\): got \[1\.0\]"),
        ("inner=3", r"must name a single key: got 'inner'\. Give one of inner\.lr"),
        ("name.first=3", r"name must be a single value: got 'name\.first'"),
        ("name", r"must be key=value: got 'name'"),
        ("epochs=soon", r"epochs must be an integer or a number: got 'soon'"),
        ("inner.lr=1\nname=2", r"inner\.lr must be a number"),
    ],
)
def test_override_says_what_does_not_fit(assignment: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        settings.override(Outer(), assignment)


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"inner": {"lr": True}}, r"inner\.lr must be a number: got True"),
        ({"widths": [True]}, r"widths\[0\] must be an integer: got True"),
        ({"inner": 3}, r"inner must be a table with the keys lr, clip"),
        ({"stages": [{"widht": 1}]}, r"got 'stages\[0\]\.widht'\. Did you mean 'stages\[0\]\.width'"),
        ({"stages": {"width": 1}}, r"stages must be a list, each item a table"),
        ({"name": None}, r"name must be text: got None"),
        ({"inner": {"optimiser": 3}}, r"inner\.optimiser must be one of sgd, adamw: got 3"),
    ],
)
def test_build_says_what_does_not_fit(mapping: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        settings.build(Outer, mapping)


def test_build_asks_for_a_key_without_default_and_names_where() -> None:
    assert settings.build(Needs, {"value": 3}) == Needs(3)
    with pytest.raises(ConfigError, match=r"training\.value must be given: got nothing\. It is an integer"):
        settings.build(Needs, {}, where="training")


def test_an_exact_type_is_kept() -> None:
    assert type(settings.build(Kinds, {"share": 1}).share) is int
    with pytest.raises(ConfigError, match="level must be one of 0, 1, 2: got True"):
        settings.build(Kinds, {"level": True})


def test_none_is_left_out_where_it_is_the_default_and_written_where_it_is_not() -> None:
    written = settings.to_dict(Inner(clip=None, patience=None))
    assert "patience" not in written
    assert written["clip"] == "none"
    assert settings.build(Inner, written).clip is None


def test_infinity_and_nan_survive_toml(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text(settings.to_toml(Inner(lr=math.inf, clip=math.nan)), encoding="utf-8")
    back = settings.from_toml(Inner, path)
    assert back.lr == math.inf
    assert back.clip is not None
    assert math.isnan(back.clip)


def test_a_file_that_is_absent_or_not_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"must exist: got '.*nothing\.toml'"):
        settings.from_toml(Outer, tmp_path / "nothing.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("lr = = 3", encoding="utf-8")
    with pytest.raises(FormatError, match=r"must be TOML: got .*line 1.*broken\.toml"):
        settings.from_toml(Outer, broken)
    broken.write_bytes(b"\xff\xfe")
    with pytest.raises(FormatError, match="must be TOML"):
        settings.from_toml(Outer, broken)


def test_brackets_without_end_are_no_toml(tmp_path):
    (tmp_path / "deep.toml").write_text("x = " + "[" * 5000)
    with pytest.raises(FormatError, match="a configuration file must be TOML: got brackets too deep"):
        settings.load_toml(tmp_path / "deep.toml")
