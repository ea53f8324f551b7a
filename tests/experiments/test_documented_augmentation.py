"""The page about augmentation says of every option what a run has by default."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path

from dcdp.config import default_config

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "augmentation.md").read_text(encoding="utf-8")


def test_the_table_holds_the_defaults_of_a_run():
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| ([\d.]+) \|", PAGE, re.MULTILINE)
    told = {name: float(value) for names, value in rows for name in re.findall(r"\w+", names)}
    assert told == asdict(default_config("hapt").augment)
