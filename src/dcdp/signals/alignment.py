"""Find by how much the clock of one device is off that of another, from the movement that both felt."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dcdp.errors import ConfigError, DataError
from dcdp.records import Note, Stream
from dcdp.signals.correlation import RATE_HZ, Pair, Pieces, movement, slide

__all__ = ["ClockFit", "apply_clock", "clock_notes", "estimate_clock"]

Array = NDArray[np.float64]

_PIECE_S, _SHORTEST_PIECE_S, _FEWEST_PIECES = 30.0, 8.0, 4
_MOST_PIECES, _MOST_CELLS = 120, 2e7  # of the coarse search: bounds its memory to 160 MB
_NOISE_S = 30.0  # lags on both sides that tell what chance correlates
_NEAR_S = 0.3  # half a step at a run: a wider look for the peak of a piece would find the next step
_STRIDES_S = 3.0
_TOLERANCE_S = 0.1

# Tuned on synthetic bodies and on DSADS; `docs/time.md` has the figures.
_CLEAR, _RIVAL = 10.0, 0.6
_STRONG, _STRONG_CLEAR, _STRONG_RIVAL = 0.65, 15.0, 0.75
_SURE_DRIFT = 3.0
_LEAST_DISTINCT = 0.05
_AGREEING, _LOWEST = 0.5, 0.15

_REMEDY = "Give the offset by hand, or shake both devices together a few times while they record."


@dataclass(frozen=True, slots=True)
class ClockFit:
    """What has to be added to the times of a device, and what speaks for it.

    Attributes
    ----------
    offset_s
        To be added to a time at ``origin_s`` [s].
    drift_ppm
        Growth of the offset with the device's time [1e-6]; 0 where it is within three times its error.
    origin_s
        Moment on the device's own clock, in the middle of what was compared [s].
    correlation
        Median over the pieces that agree, of the movement in the two devices; at most 1.
    n_pieces, n_agree
        Pieces of the recording that were compared, and those whose own offset lies within 0.1 s of the line.
    residual_s
        Root mean square distance of the agreeing pieces from the line [s].
    drift_error_ppm
        Standard error of the drift, by the scatter of the pieces [1e-6].
    clarity
        Height of the correlation above its median over all offsets, in robust standard deviations.
    """

    offset_s: float
    drift_ppm: float
    origin_s: float
    correlation: float
    n_pieces: int
    n_agree: int
    residual_s: float
    drift_error_ppm: float
    clarity: float

    def offset_at(self, times_s: Array) -> Array:
        """Return what to add to times of the device, any shape [s]."""
        return self.offset_s + self.drift_ppm * 1e-6 * (times_s - self.origin_s)


def estimate_clock(
    reference: Stream, other: Stream, max_offset_s: float = 60.0, max_drift_ppm: float = 300.0
) -> ClockFit:
    """Estimate offset and drift of a device's clock by the movement that it shares with a reference.

    Parameters
    ----------
    reference, other
        Acceleration of the two devices; or angular rate of both. Their rates and placements may differ.
    max_offset_s
        Largest offset to look for, > 0 [s]. Infinite for clocks that count from different zeros.
    max_drift_ppm
        Largest drift to look for, >= 0 [1e-6].

    Returns
    -------
    ClockFit
        From the clock of ``other`` to that of ``reference``.

    Raises
    ------
    ConfigError
        If an option is out of range.
    DataError
        If the streams are not of one modality, too short, or the evidence for an offset is poor: its correlation is
        not clear of chance, another offset is nearly as good (as steps and strides are alike), or pieces disagree.

    Notes
    -----
    The magnitude of both is brought to 25 Hz, less its moving average over 2 s. Pieces of 30 s of the one are
    correlated with the other (normalised, and blind to gaps). The mean over the pieces, for each offset and drift on
    a grid, has its maximum near the truth: a drift would smear one correlation of everything. The best offset of each
    piece near it, between samples by a parabola, gives a line by Theil and Sen, then by least squares over the
    pieces within 0.1 s.

    Different parts of a body move alike but not at once: an ankle swings when the wrist does, or half a stride later.
    Such a bias is not seen in ``residual_s``; that no offset a few steps away fits nearly as well guards against
    most of it, and is asked for both ways round.

    References
    ----------
    Padfield: "Masked Object Registration in the Fourier Domain", 2012 (normalised correlation with gaps).
    Sen: "Estimates of the Regression Coefficient Based on Kendall's Tau", 1968.
    """
    if not max_offset_s > 0 or not 0 <= max_drift_ppm < 1e5:
        raise ConfigError("max_offset_s must be positive and max_drift_ppm in [0, 1e5)",
                          f"{max_offset_s} s and {max_drift_ppm}", "Give them in seconds and millionths.")
    if reference.modality != other.modality:
        raise DataError("clocks must be compared by signals of one modality",
                        f"'{reference.name}' and '{other.name}'", "Give the acceleration of both devices.")
    pair = Pair(*movement(reference), *movement(other))
    duration_s = min(len(pair.still), len(pair.moved)) / RATE_HZ
    if duration_s < _FEWEST_PIECES * _SHORTEST_PIECE_S:
        raise DataError(f"clocks need {_FEWEST_PIECES * _SHORTEST_PIECE_S:g} s of both devices to be compared",
                        f"{duration_s:.3g} s of '{reference.name}' and '{other.name}'", _REMEDY)
    piece_s = min(_PIECE_S, max(_SHORTEST_PIECE_S, duration_s / 6))
    where = f"{other.name}' against '{reference.name}"
    pieces = Pieces.of(pair, piece_s)
    match = _search(pair, pieces, max_offset_s, max_drift_ppm)
    _require_evidence(match, where, max_offset_s)
    _require_evidence(_search(pair.swapped, Pieces.of(pair.swapped, piece_s), max_offset_s, max_drift_ppm), where,
                      max_offset_s)
    return _refine(pair, pieces, match, max_drift_ppm, where)


def apply_clock(stream: Stream, fit: ClockFit) -> Stream:
    """Return the stream on the clock of the reference; the rows stay as they are."""
    return replace(stream, times_s=stream.times_s + fit.offset_at(stream.times_s))


def clock_notes(fit: ClockFit, device: str) -> tuple[Note, ...]:
    """Return what was done to the clock of a device, as notes of kinds ``clock_offset`` and ``clock_drift``."""
    evidence = (
        f"{fit.n_agree} of {fit.n_pieces} pieces agree to {1e3 * fit.residual_s:.2g} ms, "
        f"correlation {fit.correlation:.2f}"
    )
    drift = f"{fit.drift_ppm:+.3g} ppm, give or take {fit.drift_error_ppm:.2g}"
    return (
        Note("clock_offset", "", fit.offset_s, "s", f"clock of '{device}' moved by {fit.offset_s:+.3f} s: {evidence}"),
        Note("clock_drift", "", fit.drift_ppm, "ppm", f"clock of '{device}' stretched by {drift}"),
    )


@dataclass(frozen=True, slots=True)
class _Match:
    """The best offset (in the middle of the pieces) and drift on a grid, with what rivals it."""

    offset_s: float
    drift_ppm: float
    middle_s: float
    height: float
    clarity: float
    rival: float
    rival_offset_s: float


def _search(pair: Pair, pieces: Pieces, max_offset_s: float, max_drift_ppm: float) -> _Match:
    """Find the offset and the drift at which most pieces correlate."""
    longest = len(pair.still) + len(pair.moved)
    wide_s = max(max_offset_s, _NOISE_S)
    low = math.ceil(max((-wide_s - pair.base_s) * RATE_HZ, -longest))
    high = math.floor(min((wide_s - pair.base_s) * RATE_HZ, longest))
    if high - low < 2:
        raise DataError("two devices must have recorded at the same time",
                        f"starts {pair.base_s:.6g} s apart, beyond an offset of {max_offset_s:g} s",
                        "Raise max_offset_s, if the clocks may be that far apart.")
    n_lags = high - low + 1
    pieces = pieces.take(min(_MOST_PIECES, max(12, int(_MOST_CELLS / n_lags))))
    table = np.stack([slide(pair, start, pieces.n_samples, low, high) for start in pieces.start])
    table *= _distinct(table)[:, None]
    since_s = pieces.middle_s - pieces.middle_s.mean()
    step_ppm = 1e6 / (RATE_HZ * max(float(np.abs(since_s).max()), 1.0))
    n_steps = math.ceil(max_drift_ppm / step_ppm)
    drifts = np.linspace(-max_drift_ppm, max_drift_ppm, 2 * n_steps + 1)
    best, height = 0, -np.inf
    for number, drift in enumerate(drifts):
        top = float(_stacked(table, drift * 1e-6 * since_s).max())
        # Where drifts are alike the least is taken: they are told apart later.
        if top > height + 1e-9 or (top > height - 1e-9 and abs(drift) < abs(drifts[best])):
            best, height = number, top
    stack = _stacked(table, drifts[best] * 1e-6 * since_s)
    place = int(stack.argmax())
    offset_s = pair.base_s + (low + np.arange(n_lags)) / RATE_HZ
    rival, rival_at = _rival(stack, place)
    overlap = stack != 0
    noise = 1.4826 * float(np.median(np.abs(stack[overlap] - np.median(stack[overlap])))) if overlap.any() else 0.0
    clarity = (height - float(np.median(stack[overlap]))) / noise if noise > 0 else 0.0
    return _Match(
        float(offset_s[place]), float(drifts[best]), float(pieces.middle_s.mean()), height, clarity,
        rival / max(height, 1e-12), float(offset_s[rival_at]),
    )  # fmt: skip


def _stacked(table: Array, delay_s: Array) -> Array:
    """Return the mean over the pieces (rows) of a table, each looked up later by its own delay."""
    shift = np.round(delay_s * RATE_HZ).astype(np.int64)
    total = np.zeros(table.shape[1])
    for row, by in zip(table, shift, strict=True):
        if by >= 0:
            total[: len(total) - by] += row[by:]
        else:
            total[-by:] += row[:by]
    return total / len(table)


def _distinct(table: Array) -> Array:
    """Return a weight of mean 1 for each piece (row): how far its best peak stands above those a few steps away.

    A piece of steady walking fits at every step; one in which the devices were shaken fits at one offset alone.
    """
    stands = np.empty(len(table))
    for number, row in enumerate(table):
        place = int(row.argmax())
        stands[number] = max(row[place] - _rival(row, place)[0], 0.0) + _LEAST_DISTINCT
    stands /= stands.mean()
    return stands


def _rival(stack: Array, place: int) -> tuple[float, int]:
    """Return the height and the place of the highest other peak within a few strides."""
    peak = np.flatnonzero((stack[1:-1] > stack[:-2]) & (stack[1:-1] >= stack[2:])) + 1
    near = peak[(np.abs(peak - place) <= _STRIDES_S * RATE_HZ) & (np.abs(peak - place) > 2)]
    if not len(near):
        return 0.0, place
    at = int(near[stack[near].argmax()])
    return float(stack[at]), at


def _require_evidence(match: _Match, where: str, max_offset_s: float) -> None:
    """Raise if chance could have made the match, or another offset is nearly as good."""
    if match.clarity < _CLEAR:
        raise DataError(
            "two devices must show the same movement for their clocks to be compared",
            f"a best correlation of {match.height:.2f} for '{where}', {match.clarity:.1f} standard deviations above "
            f"that of other offsets, not {_CLEAR:g}", _REMEDY,
        )  # fmt: skip
    if abs(match.offset_s) > max_offset_s:
        raise DataError("an offset must be within max_offset_s", f"{match.offset_s:.3f} s for '{where}'",
                        f"Set max_offset_s to {math.ceil(1.2 * abs(match.offset_s))}, if this can be.")
    strong = match.height >= _STRONG and match.clarity >= _STRONG_CLEAR
    if match.rival > (_STRONG_RIVAL if strong else _RIVAL):
        raise DataError(
            "one offset must fit better than those a few steps away",
            f"{match.offset_s:.2f} s and nearly as good {match.rival_offset_s:.2f} s for '{where}'", _REMEDY,
        )  # fmt: skip


def _refine(pair: Pair, pieces: Pieces, match: _Match, max_drift_ppm: float, where: str) -> ClockFit:
    """Fit a line through the best offset of each piece near the match."""
    since_s = pieces.middle_s - match.middle_s
    near = round(_NEAR_S * RATE_HZ)
    found_s, height = np.zeros(len(pieces.start)), np.zeros(len(pieces.start))
    for number, start in enumerate(pieces.start):
        expected_s = match.offset_s + match.drift_ppm * 1e-6 * since_s[number]
        expected = round((expected_s - pair.base_s) * RATE_HZ)
        curve = slide(pair, start, pieces.n_samples, expected - near, expected + near)
        place, height[number] = _peak(curve)
        found_s[number] = pair.base_s + (expected - near + place) / RATE_HZ
    use = height > _LOWEST
    n_pieces = int((height != 0).sum())
    if use.sum() >= _FEWEST_PIECES - 1:
        slope, level = _robust_line(since_s[use], found_s[use])
        use &= np.abs(found_s - level - slope * since_s) < _TOLERANCE_S
    n_agree = int(use.sum())
    if n_agree < max(_FEWEST_PIECES - 1, _AGREEING * n_pieces):
        raise DataError("pieces of a recording must agree on the offset of a clock",
                        f"{n_agree} of {n_pieces} that do for '{where}'", _REMEDY)
    fit = _line(since_s, found_s, height, use, n_pieces, match, pair.moved_start_s + match.middle_s)
    if abs(fit.drift_ppm) > max_drift_ppm + fit.drift_error_ppm:
        raise DataError("the drift of a clock must be within max_drift_ppm",
                        f"{fit.drift_ppm:.0f} ppm for '{where}'", _REMEDY)
    return fit


def _line(
    since_s: Array, found_s: Array, height: Array, use: NDArray[np.bool_], n_pieces: int, match: _Match, origin_s: float
) -> ClockFit:
    """Fit by least squares; a drift within three times its error is none."""
    time_s, offset_s = since_s[use], found_s[use]
    centred = time_s - time_s.mean()
    spread = float((centred**2).sum())
    slope = float((centred * offset_s).sum() / spread)
    left = offset_s - offset_s.mean() - slope * centred
    error = math.sqrt(float((left**2).sum()) / max(len(time_s) - 2, 1) / spread)
    if abs(slope) < _SURE_DRIFT * error:
        slope, left = 0.0, offset_s - offset_s.mean()
    return ClockFit(
        float(offset_s.mean() - slope * time_s.mean()), 1e6 * slope, origin_s, float(np.median(height[use])), n_pieces,
        len(time_s), math.sqrt(float((left**2).mean())), 1e6 * error, match.clarity,
    )  # fmt: skip


def _peak(curve: Array) -> tuple[float, float]:
    """Return place and height of the highest point inside a curve, between samples by a parabola; 0 if at an end."""
    place = int(curve.argmax())
    if not 0 < place < len(curve) - 1:
        return float(place), 0.0
    before, top, after = curve[place - 1 : place + 2]
    bend = before - 2 * top + after
    return place + (0.5 * (before - after) / bend if bend < 0 else 0.0), float(top)


def _robust_line(x: Array, y: Array) -> tuple[float, float]:
    """Return slope and level of the line by the median of all slopes between two points (Theil, Sen)."""
    if len(x) > 400:  # the pairs of more would ask for memory, and tell no more
        chosen = np.linspace(0, len(x) - 1, 400).astype(np.int64)
        x, y = x[chosen], y[chosen]
    one, two = np.triu_indices(len(x), 1)
    slope = float(np.median((y[two] - y[one]) / (x[two] - x[one])))
    return slope, float(np.median(y - slope * x))
