"""Write the tables of docs/results.md from the committed results: new people, absent and failing sensors, rules, parts.

    python studies/results_tables.py [--check]

Pictures are written too: of the first table docs/images/arena.svg, of failing sensors failing_SET.svg. ``--check``
writes nothing and exits with code 1 where the page says something else than ``results/``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dcdp.evaluation import (
    Comparison,
    Endurance,
    MethodResult,
    Row,
    check_comparable,
    endurance_of,
    read_method_results,
    read_result,
    standings,
    with_absent,
)
from dcdp.experiments.verdicts import OFF, TIE
from dcdp.files import write_text
from dcdp.reports.benchmark_plots import draw_means, looks_of
from dcdp.reports.ink import Drawing
from dcdp.reports.robustness import draw_curves

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "results.md"
IMAGES = ROOT / "docs" / "images"
SETS = {"dsads": "DSADS", "hapt": "HAPT", "uschad": "USC-HAD"}
METHODS = {
    "dcdp": "**dcdp**", "forest": "forest", "forest_extended": "forest, extended statistics", "lightgbm": "LightGBM",
    "minirocket": "MiniRocket", "cnn_har": "CNN-HAR", "deepconv_lstm": "DeepConvLSTM", "tinyhar": "TinyHAR",
    "attend_discriminate": "Attend and Discriminate", "tinierhar": "TinierHAR", "mlp_mixer": "MLP-Mixer",
    "dynamic_whar": "DynamicWHAR", "cnn_har_hidden": "CNN-HAR, sensors hidden",
    "drift_trained": "dcdp, drift in training", "noise_trained": "dcdp, drift and noise",
    "lightgbm@ours": "LightGBM, varied windows", "forest@ours": "forest, varied windows",
    "minirocket@ours": "MiniRocket, varied windows", "no_trees": "dcdp, without trees",
}  # fmt: skip
OURS = ("dcdp", "no_trees")
SENSORS = {"acc": "accelerometer", "gyr": "gyroscope", "mag": "magnetometer"}
BAR = 0.5

PUBLISHED_MODELS = {
    "dsads": {"cnn_har": 0.8687, "tinyhar": 0.8677, "tinierhar": 0.864, "attend_discriminate": 0.8615,
              "dynamic_whar": 0.8785, "forest": 0.8933, "deepconv_lstm": 0.8198, "mlp_mixer": 0.815},
    "hapt": {"cnn_har": 0.848, "tinyhar": 0.8102, "tinierhar": 0.8142, "attend_discriminate": 0.8138,
             "dynamic_whar": 0.7941, "forest": 0.6713, "deepconv_lstm": 0.7733, "mlp_mixer": 0.805},
    "uschad": {"cnn_har": 0.7616, "tinyhar": 0.7809, "tinierhar": 0.7567, "attend_discriminate": 0.7332,
               "dynamic_whar": 0.757, "forest": 0.7268, "deepconv_lstm": 0.735, "mlp_mixer": 0.7883},
}  # fmt: skip
"""What others report of the same models on the same test groups: WHAR Arena, arXiv 2606.13194, figure 6."""

FAILING_METHODS = (
    "dcdp", "no_trees", "drift_trained", "noise_trained", "cnn_har@ours", "cnn_har_hidden", "attend_discriminate@ours",
    "mlp_mixer@ours", "tinyhar@ours", "tinierhar@ours", "dynamic_whar@ours", "deepconv_lstm@ours",
    "minirocket", "lightgbm", "forest",
)  # fmt: skip
HALVES = {"hapt": "HAPT", "dsads": "DSADS"}
"""Sets of the tables that come from two halves of the people."""
FAILING = {
    "noise": "noise, .1 .25 .5 1 of the spread", "bias": "bias, the same", "drift": "drift, the same",
    "rotation": "mounting rotated by 10 20 45 90 degrees", "rate": "half and a quarter of the rate",
    "clock": "clocks apart by .1 .25 .5 1 s", "lost": "1 to 30 % of single samples lost",
    "packets": "1 to 30 % of packets of 0.5 s lost",
}  # fmt: skip

RULES = {
    "joint_only": "joint loss alone", "weak_branch_losses": "branch losses of weight .05",
    "branch_losses": "branch losses of weight 1", "dcdp_own": "ours, on the own loss (brake and lift)",
    "dcdp_rule": "ours", "dcdp": "ours and contrast: the default", "mmpareto": "MMPareto", "pmr": "PMR",
    "g_blending": "G-Blending", "agm": "AGM", "dgl": "DGL", "ogm_ge": "OGM-GE", "cggm": "CGGM (mended)",
}  # fmt: skip
RECIPES = {"wave_": "rule, waveforms alone", "": "rule, as we train"}
"""Start of the methods' names -> head of the table."""

PEOPLE = "| set | method | seeds | by subject | by group | minus dcdp | p | published (by group) |"
ABSENT = "| set | absent | dcdp | best peer | its loss | ratio | least of any peer |"


def people_table() -> list[str]:
    """Return the lines of the main table: every method on every set, ours first, then the highest mean."""
    lines = [PEOPLE, "|---" * 8 + "|"]
    for name, title in SETS.items():
        results = _results(name)
        check_comparable(results)
        (table,) = standings(results)
        for row in sorted(table.rows, key=lambda row: row.method != "dcdp"):
            published = _published(name, row.method)
            lines.append(f"| {title if row.method == 'dcdp' else ''} | {' | '.join(_cells(row))} | {published} |")
    return lines


def people_picture() -> str:
    """Return the SVG of the main table: each method's mean and interval, and the published best."""
    tables = []
    for name, title in SETS.items():
        (table,) = standings(_results(name))
        rows = tuple(replace(row, method=_called(row.method).strip("*")) for row in table.rows)
        tables.append(replace(table, data=title, rows=rows))
    methods = sorted({row.method for table in tables for row in table.rows})
    return _on_white(draw_means(tables, looks_of(methods, "dcdp")))


def absent_table() -> list[str]:
    """Return the lines of the table of absent modalities: what dcdp loses beside what the best peer loses."""
    lines = [ABSENT, "|---" * 7 + "|"]
    for name, title in SETS.items():
        (table,) = standings(_results(name))
        best = next(row.method for row in table.rows if row.method not in OURS)
        several = "s" if name == "dsads" else ""  # one at each of five places
        for i, (branch, losses) in enumerate(_losses(name).items()):
            least = min((loss, method) for method, loss in losses.items() if method not in OURS)
            ratio = losses["dcdp"] / losses[best]
            cells = [
                title if i == 0 else "", SENSORS[branch] + several, f"**{_short(losses['dcdp'])}**", _called(best),
                _short(losses[best]), _short(ratio, 2) + ("" if ratio < BAR else ": not met"),
                f"{_short(least[0])} ({_called(least[1])})",
            ]  # fmt: skip
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def failing_table(name: str) -> list[str]:
    """Return the lines of a set's table of absent and failing sensors: what is left and, in brackets, what is lost."""
    methods = _failing(name)
    lines = [f"| {HALVES[name]} | {' | '.join(_called(one.method).strip('*') for one in methods)} |"]
    lines.append("|---" * (len(methods) + 1) + "|")
    clean = [one.clean_mean for one in methods]
    lines.append(f"| undisturbed | {' | '.join(_best_bold(clean, [_short(score) for score in clean]))} |")
    costs = [(f"no {sensor}s", "absent_modality", branch) for branch, sensor in SENSORS.items()]
    costs.append(("one of five places absent (mean over places)", "absent_placement", ""))
    costs += [(title, corruption, "") for corruption, title in FAILING.items()]
    for title, corruption, severity in costs:
        losses = [loss for one in methods if (loss := _cost(one, corruption, severity)) is not None]
        if losses:
            left = [score - loss for score, loss in zip(clean, losses, strict=True)]
            told = [f"{_short(score)} ({_short(loss)})" for score, loss in zip(left, losses, strict=True)]
            lines.append(f"| {title} | {' | '.join(_best_bold(left, told))} |")
    return lines


def failing_picture(name: str) -> str:
    """Return the SVG of the curves of a set: macro-F1 of each method against the severity of each corruption."""
    methods = [replace(one, method=_called(one.method).strip("*")) for one in _failing(name)]
    drawing = draw_curves(name, methods, looks_of([one.method for one in methods], "dcdp"))
    assert drawing is not None
    return _on_white(drawing)


def rules_table(recipe: str) -> list[str]:
    """Return the lines of the table of balancing rules under a recipe: score, and what is gained on the joint loss."""
    base = f"{recipe}joint_only"
    told: list[tuple[dict[str, Row], dict[str, Row]]] = []
    for name in HALVES:
        folder = ROOT / "results" / "rivals" / f"{name}-group_2_fold"
        found = [one for one in read_method_results(folder) if one.method in {recipe + rule for rule in RULES}]
        told.append((_rows(found, base), _rows(with_absent(found), base)))
    head = " | ".join(f"{title} | minus joint | absent, minus joint" for title in HALVES.values())
    lines = [f"| {RECIPES[recipe]} | {head} |", "|---" * (1 + 3 * len(HALVES)) + "|"]
    for rule, title in RULES.items():
        if any(recipe + rule in rows for rows, _ in told):
            cells = [cell for rows, absent in told for cell in _gains(recipe + rule, rows, absent)]
            lines.append(f"| {title} | {' | '.join(cells)} |")
    return lines


def parts_table() -> list[str]:
    """Return the lines of the ablation: each part added or left out, with all sensors and with one absent."""
    sets = json.loads((ROOT / "results" / "ablation.json").read_text(encoding="utf-8"))["sets"]
    judged = {
        name: {(one["component"], one["group"]): one for one in sets[f"{name}-group_2_fold"]["components"]}
        for name in HALVES
    }
    lines = [f"| part | | {' | '.join(f'{title} | absent' for title in HALVES.values())} |", "|---" * 6 + "|"]
    for part, group in {key: None for parts in judged.values() for key in parts}:
        told = [judged[name].get((part, group)) for name in HALVES]
        seeds = max(len(one["seeds"]) for one in told if one)
        cells = [cell for one in told for cell in _verdicts(one, seeds)]
        lines.append(f"| {part}{' (2 seeds)' if seeds == 2 else ''} | {group} | {' | '.join(cells)} |")
    return lines


def put(text: str, lines: Sequence[str]) -> str:
    """Return the text of a page with the table replaced whose head begins with the same two cells."""
    page = text.split("\n")
    start = next(k for k, line in enumerate(page) if line.split("|")[:3] == lines[0].split("|")[:3])
    end = next(k for k in range(start, len(page) + 1) if k == len(page) or not page[k].startswith("|"))
    return "\n".join([*page[:start], *lines, *page[end:]])


def main() -> int:
    """Write the tables, or compare them with the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if the page says otherwise")
    options = parser.parse_args()
    before = PAGE.read_text(encoding="utf-8")
    after = before
    tables = [people_table(), absent_table(), *map(failing_table, HALVES), *map(rules_table, RECIPES), parts_table()]
    for table in tables:
        after = put(after, table)
    if options.check:
        for line in sorted(set(after.split("\n")) - set(before.split("\n"))):
            print(f"not on the page: {line}")
        return int(after != before)
    write_text(PAGE, after)
    write_text(IMAGES / "arena.svg", people_picture())
    for name in HALVES:
        write_text(IMAGES / f"failing_{name}.svg", failing_picture(name))
    return 0


def _published(name: str, method: str) -> str:
    """Return what others report of the same model; beside ours the best that they report of any."""
    models = PUBLISHED_MODELS[name]
    if method == "dcdp":
        return f"best: {_short(max(models.values()))}"
    figure = None if method in METHODS and "@" in method else models.get(method.partition("@")[0])
    return "" if figure is None else _short(figure)


def _results(name: str) -> list[MethodResult]:
    return read_method_results(ROOT / "results" / "arena" / f"{name}-arena")


def _failing(name: str) -> list[Endurance]:
    """Return what the methods keep of a set when sensors fail, those in the order of the table."""
    files = [path for part in ("robustness", "sensor_errors")
             for path in sorted((ROOT / "results" / part / f"{name}-group_2_fold").glob("*/s*.json"))]  # fmt: skip
    found = {one.method: one for one in endurance_of(map(read_result, files))}
    return [found[method] for method in FAILING_METHODS if method in found]


def _on_white(drawing: Drawing) -> str:
    """Return a picture as it stands in a page that may be dark, which would swallow the letters."""
    return drawing.svg.replace("<svg ", '<svg style="background: white" ', 1)


def _cost(one: Endurance, corruption: str, severity: str = "") -> float | None:
    """Return the loss at a severity, or the mean over all of them; None where the set has no such sensor."""
    severities = [at for at in one.points.get(corruption, ()) if severity in ("", at)]
    return float(np.mean([one.loss(corruption, at) for at in severities])) if severities else None


def _best_bold(scores: Sequence[float], told: Sequence[str]) -> list[str]:
    """Return the cells of a line, those of the highest score bold."""
    return [f"**{cell}**" if score == max(scores) else cell for score, cell in zip(scores, told, strict=True)]


def _rows(results: Sequence[MethodResult], baseline: str) -> dict[str, Row]:
    check_comparable(results)
    (table,) = standings(results, baseline)
    return {row.method: row for row in table.rows}


def _gains(method: str, rows: Mapping[str, Row], absent: Mapping[str, Row]) -> Iterator[str]:
    """Yield the cells of a rule on one set: its score, its gain, and its gain with one branch absent."""
    if method not in rows:
        yield from ("", "", "")
        return
    score = _short(rows[method].mean)
    yield f"**{score}**" if rows[method].mean == max(row.mean for row in rows.values()) else score
    for row in (rows[method], absent[method]):
        yield "" if row.difference is None else _clear(row.difference)


def _clear(difference: Comparison) -> str:
    """Return a difference with its interval, bold where that leaves out 0."""
    low, high = difference.interval
    mean = _signed(difference.mean_difference)
    marked = mean if difference.verdict == "tie" else f"**{mean}**"
    return f"{marked} [{_signed(low)}, {_signed(high)}]"


def _verdicts(one: Mapping[str, Any] | None, seeds: int) -> Iterator[str]:
    """Yield the cells of a part on one set: all sensors, one absent; with the seeds where they are fewer."""
    for facts in (one, one and one["absent"]):
        if not facts or facts["verdict"] == OFF:
            yield ""
            continue
        low, high = facts["interval"]
        mean = _signed(facts["difference"])
        few = "" if len(facts["seeds"]) == seeds else f", {len(facts['seeds'])} seed"
        yield f"{mean if facts['verdict'] == TIE else f'**{mean}**'} [{_signed(low)}, {_signed(high)}]{few}"


def _losses(name: str) -> dict[str, dict[str, float]]:
    """Return by branch and method the loss of macro-F1 by subject when the branch is absent, mean over seeds."""
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for path in sorted((ROOT / "results" / "arena" / f"{name}-arena").glob("*/s*.json")):
        for branch, facts in read_result(path)["test"]["absent"].items():
            found[branch][path.parent.name].append(facts["loss"])
    return {
        branch: {method: sum(each) / len(each) for method, each in methods.items()} for branch, methods in found.items()
    }


def _cells(row: Row) -> Iterator[str]:
    yield _called(row.method)
    yield ", ".join(map(str, row.seeds))
    low, high = row.interval or (row.mean, row.mean)
    mean = f"**{_short(row.mean)}**" if row.method == "dcdp" else _short(row.mean)
    yield f"{mean} ± {_short(row.spread)} [{_short(low)}, {_short(high)}]"
    yield "" if row.by_group is None else _short(row.by_group)
    if row.difference is None or row.p_holm is None:
        yield from ("", "")
        return
    low, high = row.difference.interval
    yield f"{_signed(row.difference.mean_difference)} [{_signed(low)}, {_signed(high)}] {row.difference.verdict}"
    yield "< .001" if row.p_holm < 0.001 else _short(row.p_holm, 3 if row.p_holm < 0.1 else 2)


def _called(method: str) -> str:
    return METHODS.get(method) or METHODS[method.partition("@")[0]]


def _short(value: float, digits: int = 3) -> str:
    return f"{value:.{digits}f}".replace("0.", ".", 1)


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("0.", ".", 1)


if __name__ == "__main__":
    sys.exit(main())
