"""Write the tables of people never seen and of absent modalities into docs/results.md, from the committed results.

    python studies/results_tables.py [--check]

``--check`` writes nothing and exits with code 1 where the page says something else than ``results/arena``.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from dcdp.evaluation import MethodResult, Row, check_comparable, read_method_results, read_result, standings
from dcdp.files import write_text

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "results.md"
SETS = {"dsads": "DSADS", "hapt": "HAPT", "uschad": "USC-HAD"}
METHODS = {
    "dcdp": "**dcdp**", "forest": "forest", "forest_extended": "forest, extended statistics", "lightgbm": "LightGBM",
    "minirocket": "MiniRocket", "cnn_har": "CNN-HAR", "deepconv_lstm": "DeepConvLSTM", "tinyhar": "TinyHAR",
    "attend_discriminate": "Attend and Discriminate", "tinierhar": "TinierHAR", "mlp_mixer": "MLP-Mixer",
    "dynamic_whar": "DynamicWHAR",
}  # fmt: skip
SENSORS = {"acc": "accelerometer", "gyr": "gyroscope", "mag": "magnetometer"}
BAR = 0.5

PEOPLE = "| set | method | seeds | by subject | by group | minus dcdp | p | published best (by group) |"
ABSENT = "| set | absent | dcdp | best peer | its loss | ratio | least of any peer |"


def people_table() -> list[str]:
    """Return the lines of the main table: every method on every set, ours first, then the highest mean."""
    lines = [PEOPLE, "|---" * 8 + "|"]
    for name, title in SETS.items():
        results = _results(name)
        check_comparable(results)
        (table,) = standings(results)
        for row in sorted(table.rows, key=lambda row: row.method != "dcdp"):
            best = f"{table.published.macro_f1:.4f}"[1:] if table.published and row.method == "dcdp" else ""
            lines.append(f"| {title if row.method == 'dcdp' else ''} | {' | '.join(_cells(row))} | {best} |")
    return lines


def absent_table() -> list[str]:
    """Return the lines of the table of absent modalities: what dcdp loses beside what the best peer loses."""
    lines = [ABSENT, "|---" * 7 + "|"]
    for name, title in SETS.items():
        (table,) = standings(_results(name))
        best = next(row.method for row in table.rows if row.method != "dcdp")
        several = "s" if name == "dsads" else ""  # one at each of five places
        for i, (branch, losses) in enumerate(_losses(name).items()):
            least = min((loss, method) for method, loss in losses.items() if method != "dcdp")
            ratio = losses["dcdp"] / losses[best]
            cells = [
                title if i == 0 else "", SENSORS[branch] + several, f"**{_short(losses['dcdp'])}**", _called(best),
                _short(losses[best]), _short(ratio, 2) + ("" if ratio < BAR else ": not met"),
                f"{_short(least[0])} ({_called(least[1])})",
            ]  # fmt: skip
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def put(text: str, lines: Sequence[str]) -> str:
    """Return the text of a page with the table that has the same head replaced."""
    page = text.split("\n")
    start = page.index(lines[0])
    end = next(k for k in range(start, len(page) + 1) if k == len(page) or not page[k].startswith("|"))
    return "\n".join([*page[:start], *lines, *page[end:]])


def main() -> int:
    """Write the tables, or compare them with the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if the page says otherwise")
    options = parser.parse_args()
    before = PAGE.read_text(encoding="utf-8")
    after = put(put(before, people_table()), absent_table())
    if options.check:
        for line in sorted(set(after.split("\n")) - set(before.split("\n"))):
            print(f"not on the page: {line}")
        return int(after != before)
    write_text(PAGE, after)
    return 0


def _results(name: str) -> list[MethodResult]:
    return read_method_results(ROOT / "results" / "arena" / f"{name}-arena")


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
    return METHODS[method.partition("@")[0]]


def _short(value: float, digits: int = 3) -> str:
    return f"{value:.{digits}f}".replace("0.", ".", 1)


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("0.", ".", 1)


if __name__ == "__main__":
    sys.exit(main())
