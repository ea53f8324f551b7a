"""Write a run's report: the figures as SVG files, and one HTML page that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from dcdp.files import write_text
from dcdp.reports.embedding_map import draw_embedding
from dcdp.reports.ink import Drawing
from dcdp.reports.page import render_page
from dcdp.reports.run_folder import Run, mapping, numbers, read_run, shared_people
from dcdp.reports.score_plots import draw_by_activity, draw_by_subject, draw_calibration
from dcdp.reports.sensor_plots import draw_sensors
from dcdp.reports.subjects import scores_of
from dcdp.reports.training_plots import draw_balance, draw_losses, draw_validation

__all__ = ["FIGURES", "draw_figures", "write_report"]

FIGURES = ("by_subject", "by_activity", "calibration", "sensors", "balance", "losses", "validation", "embedding")

Progress = Callable[[int, int], None]


def write_report(run: Path, progress: Progress | None = None) -> Path:
    """Write ``report.html`` and ``plots/*.svg`` into a run folder, from its result files alone.

    What a run does not have (peers, history, predictions, contrast) is left out of the page. The same
    files give the same bytes.

    Parameters
    ----------
    run
        Folder with ``result.json`` and, where there are, ``config.toml`` and ``folds/``.
    progress
        Called with (figures done, figures in all).

    Returns
    -------
    Path
        Of the page.

    Raises
    ------
    MissingError
        If there is no ``result.json``.
    FormatError
        If a file is damaged or of another format.
    StorageError
        If the disk is full or not writable.
    """
    found = read_run(Path(run))
    drawings = draw_figures(found, progress)
    for name in FIGURES:
        plot = found.path / "plots" / f"{name}.svg"
        if name in drawings:
            write_text(plot, drawings[name].svg)
        else:  # of an earlier result in this folder
            plot.unlink(missing_ok=True)
    page = found.path / "report.html"
    write_text(page, render_page(found, drawings))
    return page


def draw_figures(run: Run, progress: Progress | None = None) -> dict[str, Drawing]:
    """Draw every figure for which the run has the numbers."""
    drawings = {}
    for done, (name, make) in enumerate(_makers(run).items(), start=1):
        drawing = make()
        if drawing is not None:
            drawings[name] = drawing
        if progress is not None:
            progress(done, len(FIGURES))
    return drawings


def _makers(run: Run) -> dict[str, Callable[[], Drawing | None]]:
    histories = {fold.name: fold.history for fold in run.folds if fold.history is not None}
    predictions = [fold.predictions for fold in run.folds if fold.predictions is not None]
    makers: list[Callable[[], Drawing | None]] = [
        lambda: draw_by_subject(scores_of(run), new_people=not shared_people(run.result)),
        lambda: draw_by_activity(run.labels, _confusion(run), numbers(run.test, "per_class_f1")),
        lambda: draw_calibration(predictions),
        lambda: _sensors(run),
        lambda: draw_balance(histories),
        lambda: draw_losses(histories),
        lambda: draw_validation(histories),
        lambda: draw_embedding(run.folds, run.labels, numbers(run.test, "macro_f1", "by_fold")),
    ]
    return dict(zip(FIGURES, makers, strict=True))


def _confusion(run: Run) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    try:
        return np.array(run.test.get("confusion") or [], dtype=np.float64)
    except (TypeError, ValueError):  # ragged, or not numbers: left out, like a missing one
        return np.empty(0)


def _sensors(run: Run) -> Drawing | None:
    heads = {
        name: values["accuracy"]
        for name in mapping(run.test, "by_branch")
        if "accuracy" in (values := numbers(run.test, "by_branch", name))
    }
    branches = [str(name) for name in run.result.get("branches") or []]
    joint = numbers(run.test, "accuracy").get("mean")
    trained_alone = {
        name: values["alone"]
        for name in mapping(run.test, "utilisation")
        if "alone" in (values := numbers(run.test, "utilisation", name))
    }
    return draw_sensors(branches, heads, joint, numbers(run.test, "shapley"), trained_alone)
