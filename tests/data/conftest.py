"""Tiny made-up data sets in their original formats, and the ways to lay them on disk."""

import io
import runpy
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.io import savemat

Tree = dict[str, bytes]
MODULES = ("trees_a", "trees_b")
"""Files beside this one that make trees of further sets, as ``TREES``."""


def _text(values: np.ndarray, separator: str) -> bytes:
    return "".join(separator.join(f"{value:.6f}" for value in row) + "\n" for row in values).encode()


def _hapt() -> Tree:
    rng, root, tree = np.random.default_rng(1), "hapt/HAPT Data Set/", {}
    for experiment, user, n_samples in ((1, 1, 80), (2, 1, 60), (3, 2, 70)):
        for kind in ("acc", "gyro"):
            values = rng.normal(size=(n_samples, 3))
            tree[f"{root}RawData/{kind}_exp{experiment:02d}_user{user:02d}.txt"] = _text(values, " ")
    tree[root + "RawData/labels.txt"] = b"1 1 5 11 30\n1 1 7 31 40\n2 1 1 1 60\n3 2 12 21 70\n"
    tree[root + "README.txt"] = b"not read"
    return tree


def _dsads() -> Tree:
    rng = np.random.default_rng(2)
    return {
        f"data/a{activity:02d}/p{subject}/s{segment:02d}.txt": _text(rng.normal(size=(125, 45)), ",")
        for activity in (1, 19)
        for subject in (1, 2)
        for segment in (1, 2)
    }


def _uschad() -> Tree:
    rng, tree = np.random.default_rng(3), {}
    for subject, activity, trial in ((1, 1, 1), (1, 12, 2), (10, 1, 1), (2, 12, 1)):
        file = io.BytesIO()
        savemat(file, {"sensor_readings": rng.normal(size=(40 + trial, 6)), "activity": "anything"})
        tree[f"uschad/USC-HAD/data/Subject{subject}/a{activity}t{trial}.mat"] = file.getvalue()
    return tree


@pytest.fixture(scope="session")
def tree_modules() -> dict[str, SimpleNamespace]:
    """Return what the files that make trees define."""
    folder = Path(__file__).parent
    return {name: SimpleNamespace(**runpy.run_path(str(folder / f"{name}.py"))) for name in MODULES}


@pytest.fixture(scope="session")
def tiny_tree(tree_modules: dict[str, SimpleNamespace]) -> Callable[[str], Tree]:
    """Return the files of a tiny set: path in the archive -> bytes."""
    trees = {"hapt": _hapt(), "dsads": _dsads(), "uschad": _uschad()}
    for module in tree_modules.values():
        trees |= module.TREES
    return lambda name: dict(trees[name])


def _write_folder(folder: Path, name: str, tree: Tree) -> Path:
    del name
    for path, data in tree.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


def _write_tar(folder: Path, name: str, tree: Tree) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.tar.xz"
    with tarfile.open(path, "w:xz", preset=0) as archive:
        for member, data in tree.items():
            info = tarfile.TarInfo(member)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def _write_zip(folder: Path, name: str, tree: Tree) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in tree.items():
            archive.writestr(member, data)
    return path


@pytest.fixture(scope="session")
def write_tree() -> Callable[[str, Path, str, Tree], Path]:
    """Return ``write(form, folder, set name, tree)`` for the forms folder, tar and zip."""
    writers = {"folder": _write_folder, "tar": _write_tar, "zip": _write_zip}
    return lambda form, folder, name, tree: writers[form](folder, name, tree)
