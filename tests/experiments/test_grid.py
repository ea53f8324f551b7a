"""A grid file becomes cells, each once, and everything in it is checked before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from dcdp.errors import ConfigError, FormatError
from dcdp.experiments.grid import make_grid, read_grid, select_cells
from dcdp.experiments.methods import Method
from dcdp.models.network import resolve_network

REPOSITORY = Path(__file__).resolve().parents[2]
BLOCK = {"data": ["hapt", "dsads"], "methods": ["dcdp", "forest"], "seeds": [0, 1]}


def grid(*blocks, **rest):
    return make_grid({"cells": list(blocks or (BLOCK,)), **rest}, "main")


def test_a_block_is_the_product_of_its_lists_in_the_order_of_the_file():
    found = grid()
    assert found.out == Path("runs/main")
    assert [cell.name for cell in found.cells] == [
        "hapt-arena/dcdp/s0", "hapt-arena/dcdp/s1", "hapt-arena/forest/s0", "hapt-arena/forest/s1",
        "dsads-arena/dcdp/s0", "dsads-arena/dcdp/s1", "dsads-arena/forest/s0", "dsads-arena/forest/s1",
    ]  # fmt: skip


def test_a_cell_that_is_asked_for_twice_is_there_once():
    assert len(grid(BLOCK, BLOCK | {"seeds": [1, 2]}).cells) == 12
    with pytest.raises(ConfigError, match=r"same folds, .*everywhere: got 'hapt-arena/dcdp/s0' with others"):
        grid(BLOCK, BLOCK | {"folds": "1"})


def test_a_split_has_one_name():
    cells = grid(BLOCK | {"split": "loso"}, BLOCK | {"split": "leave_one_subject_out"}).cells
    assert len(cells) == 8
    assert {cell.split for cell in cells} == {"leave_one_subject_out"}


def test_settings_reach_every_method_and_a_variants_own_come_last():
    variants = {"plain": {"set": ["objective.contrast=0", "training.epochs=3"]}, "small": {"base": "tinyhar@ours"}}
    block = BLOCK | {"methods": ["dcdp", "plain", "small"], "seeds": [0], "data": ["hapt"]}
    ours, plain, small = grid(block, methods=variants, settings={"set": ["training.epochs=7"]}).cells
    assert (ours.config.training.epochs, ours.config.objective.contrast > 0) == (7, True)
    assert (plain.config.training.epochs, plain.config.objective.contrast) == (3, 0)
    assert plain.method == Method("plain", "dcdp", ("objective.contrast=0", "training.epochs=3"))
    assert (small.method.base, small.config.training.epochs, small.name) == ("tinyhar@ours", 7, "hapt-arena/small/s0")


@pytest.mark.parametrize(
    ("change", "rest", "message"),
    [
        ({"data": ["hatp"]}, {}, r"data set must be one of .*: got 'hatp'\. Did you mean 'hapt'"),
        ({"split": "aren"}, {}, r"split must be one of .*: got 'aren'\. Did you mean 'arena'"),
        ({"split": "holdout"}, {}, "the split of a grid must name nobody: got 'holdout'"),
        ({"data": ["dsads"], "split": "official"}, {}, "the data set must have an official split: got 'dsads'"),
        ({"methods": ["forrest"]}, {}, r"method must be one of .*: got 'forrest'\. Did you mean 'forest'"),
        ({"methods": ["forest@hidden"]}, {}, "only from a deep peer are branches hidden"),
        ({"seeds": [-1]}, {}, "a seed must not be negative"),
        ({"sedes": [1]}, {}, r"key must be one of .*: got 'cells\[0\]\.sedes'\. Did you mean 'cells\[0\]\.seeds'"),
        ({"seeds": ["1"]}, {}, r"cells\[0\]\.seeds\[0\] must be an integer"),
        ({"seeds": [10**20]}, {}, "a seed must not be above 2147483647: got 1000"),
        ({"set": ["training.learning_rate=inf"]}, {}, "learning_rate must be positive and finite: got inf"),
        ({}, {"out": ""}, "out must name a folder: got ''"),
        ({}, {"setting": {}}, r"got 'setting'\. Did you mean 'settings'"),
        ({}, {"settings": {"set": ["training.epoch=3"]}}, r"got 'training\.epoch'\. Did you mean 'training\.epochs'"),
        ({}, {"methods": {"x": {"sets": []}}}, r"got 'methods\.x\.sets'\. Did you mean 'methods\.x\.set'"),
        ({}, {"methods": {"forest": {}}}, "a variant must have a name of its own: got 'forest'"),
        ({}, {"methods": {"tinyhar@mine": {}}}, "a variant must have a name of its own"),
        ({}, {"methods": {"../x": {}}}, r"the name of a method must be a word: got '\.\./x'"),
        ({}, {"methods": {"x": 3}}, r"methods\.x must be a table: got 3"),
        ({}, {"methods": 3}, "methods must be tables: got 3"),
        ({"methods": ["x"]}, {"methods": {"x": {"base": "y"}}}, r"base of methods\.x must be one of .*: got 'y'"),
        ({"methods": ["x"]}, {"methods": {"x": {"base": "x"}}}, "of a peer: got 'x', a variant of itself"),
        ({"methods": ["x"]}, {"methods": {"x": {"base": "y"}, "y": {}}}, "a variant of 'y', which is a variant too"),
        ({}, {"methods": {"unused": {"base": "forrest"}}}, r"base of methods\.unused .*Did you mean 'forest'"),
        ({}, {"methods": {"unused": {"set": ["training.epoch=3"]}}}, r"Did you mean 'training\.epochs'"),
        ({}, {"methods": {"unused": {"base": "forest", "set": ["training.epochs=3"]}}}, "set what its base reads"),
    ],
)
def test_every_name_is_checked(change, rest, message):
    with pytest.raises(ConfigError, match=message):
        grid(BLOCK | change, **rest)


@pytest.mark.parametrize(
    ("key", "rule"), [("data", "name a data set"), ("seeds", "have a seed"), ("methods", "name a method")]
)
def test_no_table_is_left_out_without_a_word(key, rule):
    with pytest.raises(ConfigError, match=f"cells must {rule}: got none for"):
        grid(BLOCK, BLOCK | {key: []})
    with pytest.raises(ConfigError, match="a grid must have a cell"):
        make_grid({"cells": []}, "main")


@pytest.mark.parametrize("setting", ["windows.window_s=2.0", "body.noise=2.0"])
def test_methods_that_would_not_see_the_same_are_refused_before_anything_runs(setting):
    short = {"base": "forest", "set": [setting]}
    block = BLOCK | {"methods": ["forest", "short"]}
    key = setting.partition("=")[0]
    message = rf"same windows and body: got {key} .* of 'hapt-arena/forest/s0', 2\.0 of 'hapt-arena/short/s0'\. Set it"
    with pytest.raises(ConfigError, match=message):
        grid(block, methods={"short": short})
    assert len(grid(block, methods={"short": short}, settings={"set": [setting]}).cells) == 8
    apart = grid(BLOCK | {"data": ["hapt"], "set": [setting]}, BLOCK | {"data": ["hapt"], "split": "official"})
    assert len(apart.cells) == 8


def test_a_package_that_is_missing_is_told_before_anything_runs(monkeypatch):
    monkeypatch.setattr("dcdp.models.peers.packages.find_spec", lambda _: None)
    with pytest.raises(ConfigError, match="peer 'minirocket' needs the package sktime"):
        grid(BLOCK | {"methods": ["minirocket"]})


def test_cells_are_picked_by_patterns():
    found = grid()
    picked = {
        ("hapt",): 4, ("*/dcdp",): 4, ("hapt/forest",): 2, ("dsads-arena/dcdp/s1",): 1, ("hapt", "*/dcdp"): 6, (): 8,
    }  # fmt: skip
    assert {patterns: len(select_cells(found, patterns)) for patterns in picked} == picked
    with pytest.raises(ConfigError, match=r"cell must be one of .*: got 'hapt/forrest'\. Did you mean 'hapt/forest'"):
        select_cells(found, ["hapt", "hapt/forrest"])


def test_a_file_is_read(tmp_path):
    file = tmp_path / "small.toml"
    file.write_text('out = "somewhere"\n[[cells]]\ndata = ["hapt"]\nmethods = ["dcdp"]\nfolds = "1,4"\n')
    found = read_grid(file)
    assert found.out == Path("somewhere")
    assert [(cell.name, cell.folds) for cell in found.cells] == [("hapt-arena/dcdp/s0", "1,4")]
    file.write_text("[[cells\n")
    with pytest.raises(FormatError, match="a configuration file must be TOML"):
        read_grid(file)


@pytest.mark.parametrize(
    ("base", "setting"),
    [
        ("forest", "training.epochs=5"),
        ("cnn_har@ours", "network.branch_dropout=0.1"),
        ("cnn_har@ours", "objective.contrast=0"),
        ("cnn_har", "augment.vigour=0"),
        ("cnn_har", "training.learning_rate=0.01"),
    ],
)
def test_a_variant_that_sets_what_its_base_never_reads_is_refused(base, setting):
    variant = {"base": base, "set": ["windows.stride_s=1", setting]}
    message = rf"must set what its base reads: got '{setting}' of methods\.x, a '{base}'\. Leave it out"
    with pytest.raises(ConfigError, match=message):
        grid(BLOCK | {"methods": ["x"]}, methods={"x": variant})
    shared = grid(BLOCK | {"methods": ["x"], "set": [setting]}, methods={"x": variant | {"set": []}},
                  settings={"set": [setting]})  # fmt: skip
    assert len(shared.cells) == 4


@pytest.mark.parametrize("name", ["arena", "check", "rivals", "robustness"])
def test_the_grids_of_the_repository_can_be_read(name, monkeypatch):
    monkeypatch.setattr("dcdp.models.peers.packages.find_spec", lambda _: True)
    assert read_grid(REPOSITORY / "grids" / f"{name}.toml").cells


def test_a_peer_with_hidden_branches_is_tried_against_absent_sensors(monkeypatch):
    monkeypatch.setattr("dcdp.models.peers.packages.find_spec", lambda _: True)
    cells = read_grid(REPOSITORY / "grids" / "robustness.toml").cells
    hidden = [cell for cell in cells if cell.method.base.endswith("@hidden")]
    ours = next(cell for cell in cells if cell.method.name == "dcdp")
    assert [cell.data_name for cell in hidden] == ["hapt", "dsads"]
    for cell in hidden:
        assert cell.robustness
        assert cell.config.network.branch_dropout == resolve_network(ours.config.network).branch_dropout


def test_a_table_may_have_settings_of_its_own():
    one = {"data": ["synthetic"], "methods": ["dcdp"], "set": ["training.epochs=3"]}
    grid = make_grid({"cells": [one, one | {"seeds": [1], "set": []}], "settings": {"set": ["training.epochs=2"]}}, "g")
    assert [cell.config.training.epochs for cell in grid.cells] == [3, 2]
    with pytest.raises(ConfigError, match="same folds, settings and robustness everywhere"):
        make_grid({"cells": [one, one | {"set": []}]}, "g")
