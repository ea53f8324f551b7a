"""A model file gives back what was saved, and nothing else: cut, altered, hostile files are refused."""

from __future__ import annotations

import hashlib
import json
import pickle
import resource
import struct
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save

from dcdp.bundle import Bundle, load_bundle, save_bundle
from dcdp.errors import BundleError, MissingError, StorageError
from dcdp.models.network import NetworkConfig, build_experts, build_network, lay_out
from dcdp.records import Branch, LabelSet, Signal, SignalSpec
from dcdp.signals import WindowConfig

SPEC = SignalSpec(
    (
        Signal("wrist_acc", "acc", "wrist", 25.0, ("wrist_acc_x", "wrist_acc_y", "wrist_acc_z"), "m/s2"),
        Signal("chest_hr", "hr", "chest", 1.0, ("chest_hr",), "bpm"),
    )
)
BRANCHES = (Branch("acc", ("wrist_acc",)), Branch("hr", ("chest_hr",), "dense"))


def make_bundle(**changes: Any) -> Bundle:
    torch.manual_seed(0)
    windows, config = WindowConfig(2.0, 1.0, null="keep"), NetworkConfig(preset="tiny")
    network = build_network(lay_out(SPEC, BRANCHES, 2.0), 3, config)
    for name, encoder in network.encoders.items():
        encoder.fit(torch.randn(40, *inputs(1)[name].shape[1:]) + 3)
    labels = LabelSet(("sit", "walk", "null"), "null")
    bundle = Bundle(network.eval(), SPEC, BRANCHES, labels, windows, config, 1.25, {"data": "made", "seed": 3})
    return replace(bundle, **changes)


def inputs(n_windows: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    shapes = {"acc": (n_windows, 3, 50), "hr": (n_windows, 1, 2)}
    return {name: torch.randn(shape, generator=generator) * 4 for name, shape in shapes.items()}


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("bundle") / "bundle.safetensors"
    save_bundle(path, make_bundle())
    return path.read_bytes()


@pytest.fixture
def file(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "bundle.safetensors"
    path.write_bytes(content)
    return path


def rewritten(content: bytes, change: Callable[[dict[str, Any], dict[str, torch.Tensor]], None], path: Path) -> Path:
    """Write the file with another header and other tensors, and a digest that fits them: only its sense is bad."""
    path.write_bytes(content)
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["dcdp"])
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - not a mapping
    header.pop("sha256")
    change(header, tensors)
    digest = hashlib.sha256(json.dumps(header).encode())
    for name in sorted(tensors):
        digest.update(f"{name} {tensors[name].dtype} {tuple(tensors[name].shape)}".encode())
        digest.update(tensors[name].view(-1).view(torch.uint8).numpy().tobytes())
    path.write_bytes(save(tensors, {"dcdp": json.dumps(header | {"sha256": digest.hexdigest()})}))
    return path


def test_a_saved_bundle_comes_back_whole(file: Path) -> None:
    saved, loaded = make_bundle(), load_bundle(file)
    present = torch.tensor([[True, True], [True, False], [False, True], [True, True]])
    with torch.inference_mode():
        before = saved.network(inputs(4), present, contrast=True)
        after = loaded.network(inputs(4), present, contrast=True)
    assert torch.equal(before.joint, after.joint)
    assert torch.equal(before.branch, after.branch)
    assert torch.equal(before.embedding, after.embedding)
    assert all(torch.equal(a, b) for a, b in zip(before.stages, after.stages, strict=True))
    assert (loaded.spec, loaded.branches, loaded.labels) == (saved.spec, saved.branches, saved.labels)
    assert (loaded.windows, loaded.temperature) == (saved.windows, saved.temperature)
    assert dict(loaded.provenance) == dict(saved.provenance)
    assert not loaded.network.training


def test_a_bundle_from_before_a_setting_is_read_as_it_was_then(tmp_path: Path) -> None:
    made = make_bundle()
    config = replace(made.config, pool_segments=1, instance_norm=False)
    network = build_network(made.layouts, len(made.labels), config).eval()
    save_bundle(tmp_path / "new.safetensors", replace(made, network=network, config=config))

    def forget(header: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:  # noqa: ARG001
        for later in ("pool_segments", "instance_norm", "waveform_dropout", "tree_rounds"):
            del header["network"][later]

    older = load_bundle(rewritten((tmp_path / "new.safetensors").read_bytes(), forget, tmp_path / "old.safetensors"))
    assert older.config.pool_segments == 1
    assert older.config.instance_norm is False
    assert older.config.waveform_dropout == 0


def test_trees_come_back_as_they_were_and_may_not_lead_elsewhere(tmp_path: Path) -> None:
    made = make_bundle(config=NetworkConfig(preset="tiny", tree_rounds=2))
    with pytest.raises(BundleError, match=r"tree_rounds=2 must have its trees.*: got none\. Fit them"):
        made.save(tmp_path / "none.safetensors")
    assert not list(tmp_path.iterdir())
    made.network.experts = build_experts(made.layouts, 3, made.config)
    for expert in made.network.experts:
        expert.trees.value.normal_()
        expert.trees.left[:, 0], expert.trees.feature[:, 0] = 1, 0
    save_bundle(tmp_path / "trees.safetensors", made)
    loaded = load_bundle(tmp_path / "trees.safetensors")
    present = torch.ones(4, 2, dtype=torch.bool)
    with torch.inference_mode():
        before, after = made.network(inputs(4), present), loaded.network(inputs(4), present)
    assert torch.equal(before.expert, after.expert)
    assert torch.equal(before.joint, after.joint)

    def lead_astray(header: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:  # noqa: ARG001
        tensors["experts.1.trees.left"][0, 0] = 60

    bad = rewritten((tmp_path / "trees.safetensors").read_bytes(), lead_astray, tmp_path / "bad.safetensors")
    with pytest.raises(BundleError, match=r"every 'child' of a tree must be from 0 to 60: got 0 to 61"):
        load_bundle(bad)


def test_a_loaded_network_can_be_trained_and_saved_again(file: Path, content: bytes) -> None:
    loaded = load_bundle(file)
    assert all(p.requires_grad and p.device.type == "cpu" for p in loaded.network.parameters())
    loaded.network(inputs(2), torch.ones(2, 2, dtype=torch.bool)).joint.sum().backward()
    loaded.save(file)
    assert file.read_bytes() == content


def test_loading_leaves_the_random_numbers_alone(file: Path) -> None:
    before = torch.get_rng_state()
    load_bundle(file)
    assert torch.equal(before, torch.get_rng_state())


def test_a_loaded_network_outlives_its_file(file: Path) -> None:
    loaded = load_bundle(file)
    before = {name: t.clone() for name, t in loaded.network.state_dict().items()}
    with file.open("r+b") as stream:
        stream.write(b"\0" * file.stat().st_size)
    assert all(torch.equal(t, before[name]) for name, t in loaded.network.state_dict().items())


def test_an_absent_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"nowhere\.safetensors"):
        load_bundle(tmp_path / "nowhere.safetensors")
    with pytest.raises(MissingError, match="must exist"):
        load_bundle(tmp_path)


@pytest.mark.parametrize("share", [0, 0.0001, 0.01, 0.3, 0.7, 0.99, -1])
def test_a_cut_file_is_refused(share: float, file: Path, content: bytes) -> None:
    file.write_bytes(content[: -1 if share < 0 else int(share * len(content))])
    with pytest.raises(BundleError, match=r"bundle\.safetensors.*[Cc]opy it again"):
        load_bundle(file)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_flipped_bit_is_refused(
    content: bytes, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    header = 8 + struct.unpack("<Q", content[:8])[0]
    in_header = data.draw(st.booleans())
    place = data.draw(st.integers(0, header - 1) if in_header else st.integers(header, len(content) - 1))
    altered = bytearray(content)
    altered[place] ^= 1 << data.draw(st.integers(0, 7))
    path = tmp_path_factory.getbasetemp() / "flipped.safetensors"
    path.write_bytes(altered)
    with pytest.raises(BundleError, match="whole dcdp model file"):
        load_bundle(path)


class _Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("a pickle was executed",))


@pytest.mark.parametrize(
    "make",
    [lambda: pickle.dumps(_Bomb()), lambda: b"", lambda: b"\xff" * 64, lambda: b"PK\x03\x04" + b"\0" * 100,
     lambda: save({"weight": torch.zeros(3)}), lambda: save({"weight": torch.zeros(3)}, {"dcdp": "{}"}),
     lambda: save({"weight": torch.zeros(3)}, {"dcdp": "{not json"}),
     lambda: save({"weight": torch.zeros(3)}, {"dcdp": "[" * 100_000}),
     lambda: save({"weight": torch.zeros(3)}, {"dcdp": "[]"})],
    ids=["pickle", "empty", "noise", "zip", "no header", "empty header", "no json", "deep json", "a list"],
)  # fmt: skip
def test_another_file_is_refused(make: Callable[[], bytes], tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    path.write_bytes(make())
    with pytest.raises(BundleError, match=r"other\.safetensors"):
        load_bundle(path)


KEYS = ("format", "spec", "branches", "labels", "windows", "network", "temperature", "provenance")


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("value", ["left out", None, 7, "x", [], [3], {"odd": 1}], ids=repr)
def test_a_header_with_a_wrong_part_is_refused(key: str, value: Any, content: bytes, tmp_path: Path) -> None:
    def change(header: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:  # noqa: ARG001
        if value == "left out":
            del header[key]
        else:
            header[key] = value

    path = tmp_path / "bundle.safetensors"
    if (key == "provenance" and value in ([], {"odd": 1})) or (key, value) == ("temperature", 7):
        assert load_bundle(rewritten(content, change, path)).spec == SPEC  # fits
    else:
        with pytest.raises(BundleError, match=r"whole dcdp model file.*bundle\.safetensors"):
            load_bundle(rewritten(content, change, path))


@pytest.mark.parametrize(
    ("where", "value", "message"),
    [
        (("network", "widths"), [10**6, 10**6, 10**6], "weights must be those of the network"),
        (("network", "widths"), [10**5, 2 * 10**5, 3 * 10**5], r"'\S+' must be \(\d"),
        (("network", "widths"), [10**12] * 3, "whole"),
        (("network", "widths"), [-5, 16, 24], "whole"),
        (("network", "pool_segments"), 10**9, r"'\S+' must be \(\d"),
        (("network", "pool_segments"), 0, "pool_segments must be at least 1"),
        (("network", "widths"), [1] * 10**5, "network.widths must be from 0 to 32"),
        (("network", "statistics_width"), 10**9, r"'\S+' must be \(\d"),
        (("network", "width"), 10**9, r"'\S+' must be \(\d"),
        (("network", "projection"), 10**9, r"'\S+' must be \(\d"),
        (("network", "kernel"), 10**9 + 1, r"'\S+' must be \(\d"),
        (("network", "segments"), [10**9, 1, 1], "network.segments"),
        (("network", "channel_dropout"), 2.0, "channel_dropout must be in"),
        (("windows", "window_s"), 1e9, "samples of a window"),
        (("windows", "window_s"), 1e300, "samples of a window"),
        (("windows", "window_s"), 2000.0, "spectrum of a window"),
        (("windows", "stride_s"), 1e-12, "stride_s"),
        (("spec", "signals", 0, "rate_hz"), float("inf"), "whole"),
        (("spec", "signals", 0, "rate_hz"), float("nan"), "rate_hz must be positive"),
        (("spec", "signals", 0, "channels"), [f"c{i}" for i in range(50_000)], r"'\S+' must be \(\d"),
        (("labels", "names"), [f"l{i}" for i in range(100_000)], r"'\S+' must be \(\d"),
        (("temperature",), float("nan"), "temperature"),
        (("temperature",), 0.0, "temperature"),
        (("format",), 99, "format must be 1"),
    ],
)
def test_a_header_that_claims_too_much_is_refused_before_it_costs(
    where: tuple[Any, ...], value: Any, message: str, content: bytes, tmp_path: Path
) -> None:
    def change(header: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:  # noqa: ARG001
        place: Any = header
        for key in where[:-1]:
            place = place[key]
        place[where[-1]] = value

    path = rewritten(content, change, tmp_path / "hostile.safetensors")
    limit = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    tracemalloc.start()
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**30, limit[1]))  # what is not refused in time fails here
    try:
        with pytest.raises(BundleError, match=message) as refused:
            load_bundle(path)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limit)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 2**27
    assert "memory" not in str(refused.value)  # refused by its sizes, not by the allocator


@pytest.mark.parametrize("spoil", ["shape", "missing", "surplus", "type", "nan", "infinity"])
def test_weights_that_are_not_the_networks_are_refused(spoil: str, content: bytes, tmp_path: Path) -> None:
    def change(header: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:  # noqa: ARG001
        name = "joint.1.bias"
        if spoil == "shape":
            tensors[name] = torch.zeros(4)
        elif spoil == "missing":
            del tensors[name]
        elif spoil == "surplus":
            tensors["extra"] = torch.zeros(1)
        elif spoil == "type":
            tensors[name] = tensors[name].half()
        else:
            tensors[name][0] = float(spoil.replace("infinity", "inf"))

    with pytest.raises(BundleError, match=r"joint\.1\.bias|extra"):
        load_bundle(rewritten(content, change, tmp_path / "bundle.safetensors"))


def test_a_network_that_diverged_is_not_saved(tmp_path: Path) -> None:
    bundle = make_bundle()
    with torch.no_grad():
        next(bundle.network.parameters()).fill_(np.nan)
    with pytest.raises(BundleError, match="weights must be finite"):
        bundle.save(tmp_path / "bundle.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_the_file_holds_tensors_and_json_alone(content: bytes) -> None:
    n_header = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + n_header])
    metadata = header.pop("__metadata__")
    assert set(metadata) == {"dcdp"}
    assert set(json.loads(metadata["dcdp"])) == {*KEYS, "sha256"}
    ends = sorted(entry["data_offsets"] for entry in header.values())
    assert [start for start, _ in ends] == [0, *(stop for _, stop in ends[:-1])]  # no byte between the tensors
    assert ends[-1][1] == len(content) - 8 - n_header


def test_loading_unpickles_nothing(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        pytest.fail("a pickle was read")

    for module, name in ((pickle, "load"), (pickle, "loads"), (pickle, "Unpickler"), (torch, "load")):
        monkeypatch.setattr(module, name, refuse)
    assert load_bundle(file).spec == SPEC


FULL_DISK = """
import resource, sys, pathlib
from dcdp.bundle import load_bundle
from dcdp.errors import StorageError
bundle = load_bundle(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    bundle.save(pathlib.Path(sys.argv[2]))
except StorageError as err:
    print(err)
"""


def test_a_full_disk_leaves_the_old_file_and_nothing_else(file: Path, content: bytes) -> None:
    command = [sys.executable, "-c", FULL_DISK, str(file), str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "the disk must have room" in done.stdout, done.stderr
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    assert file.read_bytes() == content


def test_an_error_while_writing_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path, _: bytes) -> None:
        with path.open("wb") as stream:
            stream.write(b"half")
        raise PermissionError(13, "no")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(StorageError, match="must be writable"):
        make_bundle().save(tmp_path / "bundle.safetensors")
    assert list(tmp_path.iterdir()) == []
