"""The page about the peers names every one, with the parameters that it has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dcdp.data import get_set
from dcdp.models.network import lay_out
from dcdp.models.peers import build_peer, get_peer, list_peers

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "peers.md").read_text(encoding="utf-8")
TABLE = PAGE.partition("## Deviations")[0]
ROWS = {row[1]: row[0] for row in re.finditer(r"^\| `(\w+)` \| .*\|$", TABLE, re.MULTILINE)}


def cells(name):
    return [cell.strip() for cell in ROWS[name].strip("|").split("|")]


def test_every_peer_has_its_row_and_paper():
    assert set(ROWS) == set(list_peers())
    for name in list_peers():
        author, year = get_peer(name).paper.split()
        assert year in cells(name)[1]
        assert author in cells(name)[1].replace("ó", "o").replace("ñ", "n")


@pytest.mark.parametrize("name", list_peers("deep"))
def test_parameters_are_those_of_the_table(name):
    for column, data in ((3, "hapt"), (4, "dsads")):
        declared = get_set(data)
        layouts = lay_out(declared.spec, declared.branches, 3.0)
        network = build_peer(name, layouts, len(declared.labels))
        assert sum(p.numel() for p in network.parameters()) == int(cells(name)[column].replace(" ", ""))
