"""Jobs side by side: each gives its own result, and one that fails is raised here."""

from __future__ import annotations

import pytest

from dcdp.experiments.processes import side_by_side

pytestmark = pytest.mark.slow  # every process imports torch


def test_every_job_gives_its_own_result() -> None:
    # getattr(number, name, report): a function that any process can find
    found = side_by_side(getattr, {"a": (3, "real"), "b": (4, "imag"), "c": (5, "real")}, 2, {})
    assert found == {"a": 3, "b": 0, "c": 5}


def test_the_error_of_a_job_is_raised() -> None:
    with pytest.raises(TypeError, match="attribute name must be string"):
        side_by_side(getattr, {"a": (3, "real"), "b": (4, 7)}, 2, {})
