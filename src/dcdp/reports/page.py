"""Lay the numbers and figures of a run out as one self-contained HTML page."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from dcdp.reports.ink import COLOURS, SERIES, Drawing, clean
from dcdp.reports.number_text import NONE, count, plain, plain_p, signed
from dcdp.reports.run_folder import Run, mapping, numbers, shared_people
from dcdp.reports.subjects import compare, scores_of

__all__ = ["flat_settings", "render", "render_page", "reproduce"]


def render_page(run: Run, drawings: Mapping[str, Drawing]) -> str:
    """Return the page as HTML; everything that comes from files is escaped."""
    return render("report.html", drawings, _context(run))


def render(template: str, drawings: Mapping[str, Drawing], context: Mapping[str, Any]) -> str:
    """Fill a template of this folder with figures (``svg``), our style sheet (``style``) and the context."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    pages = Environment(
        loader=PackageLoader("dcdp.reports", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters.update(score=plain, signed=signed, p=plain_p, count=count, duration=_duration, clean=clean)
    style = pages.get_template("report.css").render(light=_variables(0), dark=_variables(1))
    # Markup is text that is not escaped again: our own style, and SVG whose labels matplotlib has escaped
    svgs = {name: Markup(drawing.inline) for name, drawing in drawings.items()}
    return pages.get_template(template).render(style=Markup(style), svg=svgs, **context)


def _variables(scheme: int) -> str:
    return " ".join(f"--{name}: {pair[scheme]};" for name, pair in COLOURS.items())


def _context(run: Run) -> dict[str, Any]:
    result, methods = run.result, scores_of(run)
    ours, peers = methods[0], methods[1:]
    folds = [fold for fold in mapping(result, "split").get("folds") or [] if isinstance(fold, dict)]
    return {
        "run": run.path.name,
        "data": result.get("data", "unnamed"),
        "ours": ours,
        "folds": folds,
        "split": mapping(result, "split").get("name", "unnamed"),
        "seed": result.get("seed"),
        "labels": run.labels,
        "null_label": result.get("null_label"),
        "branches": result.get("branches") or [],
        "peers": [(peer, compare(ours.by_subject, peer.by_subject)) for peer in peers],
        "peer_seconds": {peer.name: numbers(result, "peers", peer.name).get("seconds") for peer in peers},
        "tiles": _tiles(run),
        "audit": _audit(result),
        "absent": _absent(run),
        "alignment": _alignment(run),
        "by_fold": numbers(run.test, "macro_f1", "by_fold"),
        "validation": {
            name: numbers(result, "validation", name).get("macro_f1") for name in mapping(result, "validation")
        },
        "training": {name: numbers(result, "training", name) for name in mapping(result, "training")},
        "n_windows": {name: numbers(result, "training", name, "n_windows") for name in mapping(result, "training")},
        "seconds": numbers(result, "seconds"),
        "versions": flat_settings(mapping(result, "versions")),
        "machine": flat_settings(mapping(result, "machine")),
        "config": run.config,
        "settings": flat_settings(mapping(result, "config")),
        "command": reproduce(run),
        "some_folds": not run.result.get("command") and _tests_some(folds),
        "branch_colours": _branch_colours(run),
        "damaged": sum(fold.history.n_damaged for fold in run.folds if fold.history is not None),
    }


def _tiles(run: Run) -> list[tuple[str, float, float | None, str]]:
    """Return (name, mean, spread, note) of the figures beside macro-F1."""
    told = (
        ("accuracy", "Accuracy", "share of windows right"),
        ("balanced_accuracy", "Balanced accuracy", "mean recall of the activities"),
        ("weighted_f1", "Weighted F1", "F1 weighted by windows"),
        ("calibration_error", "Calibration error", "confidence against share right; lower is better"),
    )
    found = [(name, numbers(run.test, key), note) for key, name, note in told]
    return [(name, values["mean"], values.get("std"), note) for name, values, note in found if "mean" in values]


def _audit(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return whether the audit passed (None: there was none), whether people are shared, and its checks by fold."""
    audit = mapping(result, "leak_audit")
    checks = {str(fold): flat_settings(mapping(audit, "folds", fold)) for fold in mapping(audit, "folds")}
    passed = audit.get("passed") is True if audit else None
    return {"passed": passed, "folds": checks, "shared_people": shared_people(result)}


def _absent(run: Run) -> list[dict[str, Any]]:
    """Return a row per absent branch, the greatest loss first; ``share`` scales its bar."""
    found = {name: numbers(run.test, "absent", name) for name in mapping(run.test, "absent")}
    found = {name: values for name, values in found.items() if {"macro_f1", "loss"} <= values.keys()}
    largest = max((abs(values["loss"]) for values in found.values()), default=0.0) or 1.0
    order = sorted(found, key=lambda name: (-found[name]["loss"], name))
    return [
        {"branch": name, **found[name], "share": round(100 * abs(found[name]["loss"]) / largest, 1)} for name in order
    ]


def _alignment(run: Run) -> dict[str, Any]:
    stages = {name: numbers(run.test, "alignment", name) for name in mapping(run.test, "alignment")}
    return {"stages": stages, "measures": list(dict.fromkeys(key for values in stages.values() for key in values))}


def _branch_colours(run: Run) -> dict[str, str]:
    names = {pair[0]: name for name, pair in COLOURS.items()}
    branches = run.result.get("branches") or []
    return {str(branch): names[SERIES[place % len(SERIES)]] for place, branch in enumerate(branches)}


def reproduce(run: Run) -> str:
    """Return the command that makes the run again: as the run recorded it, else put together from its result."""
    told = run.result.get("command")
    if isinstance(told, list) and told:
        return shlex.join(map(clean, told))
    if isinstance(told, str) and told:
        return clean(told)
    split, folds = str(mapping(run.result, "split").get("name", "arena")), mapping(run.result, "split").get("folds")
    words = ["dcdp", "train", str(run.result.get("data", "NAME"))]
    words += [] if words[-1] == "synthetic" else ["--data", "DATA"]
    words += ["--split", split, "--seed", str(run.result.get("seed", 0))]
    if mapping(run.test, "utilisation"):
        words.append("--alone")
    if split in ("hold_out", "holdout") and folds:
        for part in ("test", "validation"):
            words += [f"--{part}", ",".join(map(str, folds[0].get(part) or []))]
    peers = ",".join(mapping(run.result, "peers"))
    words += ["--peers", peers] if peers else []
    words += ["--config", f"{run.path.name}/config.toml"] if run.config else []
    return shlex.join(map(clean, [*words, "--out", f"{run.path.name}-again"]))


def _tests_some(folds: list[dict[str, Any]]) -> bool:
    """Whether subjects of one fold's training are tested in no fold, though there are several folds."""
    parts = {part: {str(one) for fold in folds for one in fold.get(part) or []} for part in ("train", "test")}
    return len(folds) > 1 and not parts["train"] <= parts["test"]


def flat_settings(value: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return nested settings as (dotted name, text)."""
    rows: list[tuple[str, str]] = []
    for key, item in value.items():
        name = f"{prefix}{key}"
        rows += flat_settings(item, f"{name}.") if isinstance(item, dict) else [(name, _plain(item))]
    return rows


def _plain(item: Any) -> str:
    if isinstance(item, bool) or item is None:
        return {True: "yes", False: "no", None: "none"}[item]
    if isinstance(item, float):
        return f"{item:.6g}"
    return ", ".join(map(_plain, item)) if isinstance(item, (list, tuple)) else clean(item)


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return NONE
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
