"""``dcdp compare``: put the results of several methods side by side, with intervals, tests and verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from dcdp.errors import ConfigError

if TYPE_CHECKING:
    from dcdp.evaluation import MethodResult, Overall, Ranking, Row, Standing

__all__ = ["compare"]

_COLUMNS = ("method", "seeds", "by subject", "95 % interval", "by group")
_TOO_SMALL = "People of one set share their training people, so this p is too small: read the order, not the p."
_AGAINST = ("minus {0}", "95 % interval", "p (Holm)", "against {0}")


def compare(
    *results: str,
    baseline: str = "dcdp",
    split: str = "",
    absent: str = "",
    html: Path | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
    partial: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Put the results of several methods side by side, with intervals, tests and verdicts.

    Macro-F1 of each test person first, seeds averaged; then mean and spread over people. Differences are paired by
    person. Results of different folds, people, windows or labels are refused.

    Parameters
    ----------
    results
        Result files, run folders, or folders to search for them, such as a benchmark's. NAME=PATH gives the method of
        these results another name.
    baseline
        Method that the others are compared with.
    split
        Only the results of this split; needed where those of one data set come from several.
    absent
        Compare by what is left when this branch is absent at test, e.g. acc; ``any`` takes the mean over branches.
    html
        Write the report as one HTML page.
    json
        Print JSON in place of tables.
    partial
        Accept results that tested some folds of the split only; they are compared on their people alone.
    """
    from dcdp.cli.summary import print_lines
    from dcdp.evaluation import check_comparable, check_one_split, overall, standings, unique_results

    if not results:
        raise ConfigError("there must be a result to compare", "none", "Give result files, run folders or a benchmark.")
    found = _read(results, split)
    check_one_split(found)
    check_comparable(found, partial=partial)
    found = unique_results(found)
    if absent:
        found = _without(found, absent, html)
    tables = standings(found, baseline)
    ranks = overall(tables)
    if json:
        print_lines(_as_json(tables, ranks))
    else:
        for table in tables:
            _print_standing(table, absent)
        _print_overall(ranks, tables)
    if html is not None:
        from dcdp.reports.benchmark import write_benchmark_report

        page = write_benchmark_report(found, html, baseline=baseline)
        if not json:
            print_lines(f"report  {page}")


def _read(words: Sequence[str], split: str) -> list[MethodResult]:
    from dcdp.evaluation import read_method_results

    found = []
    for word in words:
        name, path = _named(word)
        found += read_method_results(path, name)
    chosen = [one for one in found if split in ("", one.split)]
    if not chosen:
        there = ", ".join(sorted({one.split for one in found}))
        raise ConfigError("--split must be that of a result", f"'{split}'", f"There are results of {there}.")
    return chosen


def _named(word: str) -> tuple[str, Path]:
    """Split NAME=PATH; a file whose own name has an equals sign is taken as it is."""
    name, equals, path = word.partition("=")
    if not equals or (word and Path(word).exists()):
        name, path = "", word
    if not path:  # Path("") is the current folder, and all results below it would be read
        raise ConfigError("a result must have a path", f"'{word}'", "Give PATH or NAME=PATH.")
    return name, Path(path)


def _without(results: Sequence[MethodResult], absent: str, html: Path | None) -> list[MethodResult]:
    from dcdp.evaluation import with_absent

    if html is not None:
        raise ConfigError("--html shows the scores with all sensors", f"--absent {absent} with it", "Leave one out.")
    return with_absent(results, "" if absent == "any" else absent)


def _print_standing(table: Standing, absent: str) -> None:
    from dcdp.cli.summary import print_lines, print_table

    columns = [column.format(table.baseline or "baseline") for column in (*_COLUMNS, *_AGAINST)]
    n_people = max(len(row.by_subject) for row in table.rows)
    title = f"{table.data}, {table.split}: macro-F1 on {_counted(n_people, 'test person', 'test people')}, "
    title += _counted(table.n_folds, "fold", "folds")
    title += {"": "", "any": ", one branch absent (mean)"}.get(absent, f", {absent} absent")
    print_table(columns, [_row_cells(row, table) for row in table.rows], title)
    if table.published is not None:
        best = table.published
        print_lines(f"published best, by group: {_score(best.macro_f1, 4)} ({best.method}; {best.source})")
    print_lines(*table.notes, "")


def _row_cells(row: Row, table: Standing) -> list[object]:
    seeds = ", ".join(map(str, row.seeds))
    seeds += "" if row.n_folds == table.n_folds else f" ({_counted(row.n_folds, 'fold', 'folds')})"
    scores = [f"{_score(row.mean)} ± {_score(row.spread)}", _interval(row.interval)]
    scores.append("" if row.by_group is None else _score(row.by_group))
    if row.difference is None or row.p_holm is None:
        return [row.method, seeds, *scores, "", "", "", ""]
    found = row.difference
    interval = f"[{found.interval[0]:+.3f}, {found.interval[1]:+.3f}]"
    return [row.method, seeds, *scores, f"{found.mean_difference:+.3f}", interval, _p(row.p_holm), found.verdict]


def _print_overall(ranks: Overall, tables: Sequence[Standing]) -> None:
    from dcdp.cli.summary import print_lines, print_table

    by_set, by_subject = ranks.by_set, ranks.by_subject
    if len(tables) > 1 and by_set is not None and by_subject is not None:
        people = dict(zip(by_subject.methods, by_subject.mean_ranks, strict=True))
        ranked = zip(by_set.methods, by_set.mean_ranks, strict=True)
        rows = [[name, _score(rank, 2), _score(people[name], 2)] for name, rank in ranked]
        columns = ["method", f"over {by_set.n_blocks} sets", f"over {by_subject.n_blocks} people"]
        print_table(columns, rows, "mean rank (1 is best)")
        print_lines(_told("sets", by_set), f"{_told('people', by_subject)} {_TOO_SMALL}")
    for method, names in ranks.missing.items() if len(tables) > 1 else ():
        print_lines(f"{method} has no rank: not run on {', '.join(names)}, or not on all folds.")


def _told(blocks: str, found: Ranking) -> str:
    note = f" {found.note.replace('blocks', blocks)}." if found.note else ""
    return (
        f"over {blocks}: Friedman p {_p(found.p_value)}; mean ranks closer than {found.critical_difference:.2f} "
        f"cannot be told apart (Nemenyi, 5 %).{note}"
    )


def _as_json(tables: Sequence[Standing], ranks: Overall) -> str:
    import json
    from dataclasses import asdict

    return json.dumps({"tables": [asdict(table) for table in tables], "ranks": asdict(ranks)}, indent=1)


def _counted(n: int, one: str, several: str) -> str:
    return f"{n} {one if n == 1 else several}"


def _score(value: float, digits: int = 3) -> str:
    return f"{value:.{digits}f}"


def _interval(ends: tuple[float, float] | None) -> str:
    return "" if ends is None else f"[{_score(ends[0])}, {_score(ends[1])}]"


def _p(value: float) -> str:
    return "< .001" if value < 0.001 else f"{value:.3f}"
