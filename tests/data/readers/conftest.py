"""The writers of recorder files, and a way to read what they write."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType

import pytest

from dcdp.data.readers import read_capture
from dcdp.records import Capture, Note, Stream


@pytest.fixture(scope="session")
def made() -> ModuleType:
    """Writers of small files in the genuine formats."""
    spec = importlib.util.spec_from_file_location("made_files", Path(__file__).with_name("made_files.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def read(tmp_path: Path, made: ModuleType) -> Callable[..., Capture]:
    """``read(name, bytes)`` or ``read(folder, {name: bytes})``: write, then read."""

    def write_and_read(name: str, content: bytes | Mapping[str, bytes], placement: str | None = None) -> Capture:
        path = tmp_path / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            made.put(path, content)
        return read_capture(path, placement)

    return write_and_read


@pytest.fixture(scope="session")
def stream_of() -> Callable[[Capture, str], Stream]:
    """Return ``stream_of(capture, name)``."""
    return lambda capture, name: next(stream for stream in capture.streams if stream.name == name)


@pytest.fixture(scope="session")
def note_of() -> Callable[..., Note]:
    """Return ``note_of(capture, kind, signal)``: the only note of that kind."""

    def find(capture: Capture, kind: str, signal: str = "") -> Note:
        (note,) = [note for note in capture.notes if (note.kind, note.signal) == (kind, signal)]
        return note

    return find
