"""What every test shares: one thread of torch, the real data where it is, a cache for it."""

from __future__ import annotations

import os
import runpy
from pathlib import Path
from types import SimpleNamespace

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read once, when torch is first imported

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


def pytest_configure() -> None:
    """Keep torch on one thread: two busy threads on two cores are several times slower."""
    import torch
    from hypothesis import settings

    torch.set_num_threads(1)
    settings.register_profile("dcdp", deadline=None)  # a busy machine is no fault of the code
    settings.load_profile("dcdp")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder with the real archives: DCDP_DATA, else ../shared/data beside the repository."""
    folder = Path(os.environ.get("DCDP_DATA") or REPOSITORY.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no real data: '{folder}' is not a folder (set DCDP_DATA)")
    return folder


@pytest.fixture(scope="session")
def real_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder for parsed real recordings: DCDP_TEST_CACHE to keep them between runs, else a new one."""
    kept = os.environ.get("DCDP_TEST_CACHE")
    if kept:
        Path(kept).mkdir(parents=True, exist_ok=True)
        return Path(kept)
    return tmp_path_factory.mktemp("real_cache")


@pytest.fixture(scope="session")
def made_up() -> SimpleNamespace:
    """Makers of made-up result files: ``make_benchmark``, ``make_cell`` and ``write_cell``."""
    return SimpleNamespace(**runpy.run_path(str(REPOSITORY / "tests" / "made_up_benchmark.py")))
