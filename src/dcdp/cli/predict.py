"""``dcdp predict``: name the activities in a recording."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dcdp.prediction import Prediction

__all__ = ["predict"]


def predict(
    bundle: Path,
    file: Path,
    /,
    *,
    rate_hz: float | None = None,
    like: Path | None = None,
    recording: str = "",
    out: Path | None = None,
) -> None:
    """Name the activities in a recording.

    Parameters
    ----------
    bundle
        Model file that dcdp train wrote.
    file
        Recording as CSV, TSV or Parquet: a column for each channel (see dcdp info BUNDLE), perhaps with a unit,
        such as "waist_acc_x [g]"; and time_s [s]. Or an export of a phone recorder (see dcdp data show). Or the TOML
        description of your own recordings (see dcdp data describe), or the folder that holds it.
    rate_hz
        Sampling rate of the file [Hz], if it has no column time_s.
    like
        TOML description of recordings that this file, or the files in this folder, are like.
    recording
        Name of the recording, where FILE describes several.
    out
        Also write one row for each window to this CSV file.
    """
    from dcdp.cli.summary import print_lines, print_table
    from dcdp.prediction import predict_file

    prediction = predict_file(bundle, file, rate_hz, like=like, recording=recording)
    rows = [
        [bout.label, float(bout.start_s), float(bout.stop_s), float(bout.stop_s - bout.start_s)]
        for bout in prediction.bouts
    ]
    print_lines(f"sensors used: {', '.join(prediction.branches_used)}", *prediction.notes, "")
    print_table(["activity", "from [s]", "to [s]", "lasting [s]"], rows)
    if out is not None:
        write_windows(prediction, out)
        print_lines(f"windows  {out}")


def write_windows(prediction: Prediction, path: Path) -> None:
    """Write start, label and probability of each window as CSV."""
    import polars as pl

    from dcdp.files import atomic_path

    columns = {"time_s": prediction.times_s, "label": prediction.label, "probability": prediction.probability}
    with atomic_path(path) as temporary:
        pl.DataFrame(columns).write_csv(temporary)
