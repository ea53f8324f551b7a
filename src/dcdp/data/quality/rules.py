"""Judge what was measured: each rule reads `Quality` and yields findings; ``docs/quality.md`` says why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from dcdp.data.quality.figures import ChannelFigures, Copy, Quality, SignalFigures
from dcdp.data.quality.finding import SEVERITIES, Finding
from dcdp.data.quality.note_rules import judge_notes

__all__ = ["check_channels", "check_labelled", "check_subjects", "judge"]

WHOLE = "the whole set"
MISSING_SHARE = 0.05
SUBJECT_MISSING_SHARE = 0.2
CLIPPED_SHARE, CLIPPED_NOTE_SHARE = 0.01, 1e-4
STUCK_SHARE = 0.01
LABELLED_SHARE = 0.5
IMBALANCE = 20
FEW_WINDOWS = 20
FEW_SUBJECTS = 5
SUBJECT_SHARE, SUBJECT_LEAST = 0.5, 0.1
SHORT_SIGNAL_SHARE = 0.1
TURNED_DEG, ALIGNED_DEG = 60.0, 30.0
LEAST_MOVING_MPS2, LEAST_TURNING_DPS = 5.0, 15.0
FIELD_UT = (10.0, 200.0)


def judge(quality: Quality) -> tuple[Finding, ...]:
    """Return what is odd, the worst first, and within a severity the weightiest rule first."""
    rules = (
        _subjects, _labels, _dead, _units, _copies, _classes, _clipping, _missing, _stuck, _infinite, _absent,
        judge_notes, _balance, _frames,
    )  # fmt: skip
    found = [finding for rule in rules for finding in rule(quality)]
    return tuple(sorted(found, key=lambda finding: SEVERITIES.index(finding.severity)))


def check_subjects(subjects: Sequence[str]) -> Iterator[Finding]:
    """Judge the number of people: training must have two."""
    if len(subjects) < 2:
        yield Finding("error", "training must have two subjects or more", WHOLE, f"only {', '.join(subjects)}",
                      "Add the recordings of other people.")


def check_labelled(labelled_s: float) -> Iterator[Finding]:
    """Judge whether there is any label."""
    if not labelled_s > 0:
        yield Finding("error", "recordings must have labels", WHOLE, "the null class only",
                      "Check the annotation files.")


def check_channels(signal: str, extremes: Mapping[str, tuple[float | None, float | None]]) -> Iterator[Finding]:
    """Judge whether each channel of a signal was measured, and varies.

    Parameters
    ----------
    extremes
        Channel -> its lowest and highest value; None without a value.
    """
    remedy = "Leave the signal out of the branches."
    if all(low is None for low, _ in extremes.values()):
        yield Finding("error", "a signal must be measured", signal, "no value in the whole set", remedy)
        return
    for channel, (low, high) in extremes.items():
        if low is None:
            yield Finding("error", "a channel must be measured", channel, "no value in the whole set", remedy)
        elif low == high:
            yield Finding("error", "a channel must vary", channel, f"{low:g} throughout",
                          "The sensor is dead or its column is wrong: leave the signal out.")


def _dead_channel(channel: ChannelFigures) -> bool:
    return channel.low is None or channel.low == channel.high


def _subjects(quality: Quality) -> Iterator[Finding]:
    subjects = quality.coverage.subjects
    yield from check_subjects(subjects)
    if 2 <= len(subjects) < FEW_SUBJECTS:
        yield Finding("note", f"figures on new people should rest on {FEW_SUBJECTS} subjects or more", WHOLE,
                      f"{len(subjects)}", "Differences between methods will be within chance: add people.")


def _labels(quality: Quality) -> Iterator[Finding]:
    coverage = quality.coverage
    labelled_s = sum(map(sum, coverage.labelled_s))
    yield from check_labelled(labelled_s)
    recorded_s = sum(coverage.recorded_s)
    if labelled_s and labelled_s < LABELLED_SHARE * recorded_s:
        yield Finding("note", f"at least {LABELLED_SHARE:.0%} of the time should be labelled", WHOLE,
                      f"{labelled_s / recorded_s:.1%}", "The rest is the null class: keep or drop its windows.")
    if labelled_s and not sum(map(sum, coverage.windows)):
        yield Finding("warning", "some window should hold an activity", WHOLE, f"none of {coverage.window_s:g} s",
                      "Set a shorter windows.window_s.")  # fmt: skip


def _dead(quality: Quality) -> Iterator[Finding]:
    for signal in quality.signals:
        yield from check_channels(signal.name, {one.name: (one.low, one.high) for one in signal.channels})
    for signal in quality.signals:
        for channel in signal.channels:
            for subject, level in ({} if _dead_channel(channel) else channel.stuck_on or {}).items():
                yield Finding("warning", "a channel must vary", f"{channel.name} of {subject}", f"{level:g} throughout",
                              "The sensor was dead on this subject: expect its branch to mislead there.")


def _units(quality: Quality) -> Iterator[Finding]:
    for signal in quality.signals:
        if signal.rest_problem and not any(map(_dead_channel, signal.channels)):
            yield Finding("warning", "acceleration at rest should be 9.8 m/s2", signal.name, signal.rest_problem,
                          "Check the unit in the data set's declaration.")
    moving = any(signal.unit == "m/s2" and _reach(signal) > LEAST_MOVING_MPS2 for signal in quality.signals)
    for signal in quality.signals:
        if signal.modality == "gyr" and signal.unit == "deg/s" and moving and 0 < _reach(signal) < LEAST_TURNING_DPS:
            yield Finding("warning", f"people who move turn by more than {LEAST_TURNING_DPS:g} deg/s", signal.name,
                          f"at most {_reach(signal):.3g} in 98 % of the values, which looks like rad/s",
                          "Check the unit in the data set's declaration.")
        if signal.modality == "mag" and signal.unit == "uT" and not FIELD_UT[0] <= _size(signal) <= FIELD_UT[1]:
            yield Finding("note", f"a magnetic field should be {FIELD_UT[0]:g} to {FIELD_UT[1]:g} uT", signal.name,
                          f"about {_size(signal):.3g}", "The Earth's is 25 to 65: check the unit, or a magnet is near.")


def _reach(signal: SignalFigures) -> float:
    """Return the widest span, from the middle, of 98 % of a channel's values; 0 without a value."""
    spread = [one.quantiles for one in signal.channels if one.quantiles]
    return max((max(of[7] - of[4], of[4] - of[1]) for of in spread), default=0.0)


def _size(signal: SignalFigures) -> float:
    """Return about how long the vectors of a signal are, from the spread of their components."""
    spread = [one.quantiles for one in signal.channels if one.quantiles]
    squares = [(of[3] ** 2 + of[4] ** 2 + of[5] ** 2) / 3 for of in spread]
    return float(sum(squares) ** 0.5) if squares else FIELD_UT[0]


def _copies(quality: Quality) -> Iterator[Finding]:
    between = [copy for copy in quality.copies if copy.subject != copy.other_subject]
    for copy in between:
        yield Finding("warning", "two people never give the same values", f"{copy.recording} and {copy.other}",
                      _copied(copy, f"of {copy.subject} and {copy.other_subject}"),
                      "One file stands for two people: leave one out, or a test is not on new people.")
    for copy in quality.copies:
        if copy in between:
            continue
        if copy.recording == copy.other:
            rule, where = "a recording should not repeat itself", copy.recording
        else:
            rule, where = "a stretch should be stored once", f"{copy.recording} and {copy.other}"
        yield Finding("note", rule, where, _copied(copy, f"of {copy.subject}"),
                      "It weighs double in training and scores: leave one out.")


def _copied(copy: Copy, whose: str) -> str:
    extent = "the whole of the shorter one, " if copy.whole else ""
    moved = f", at {copy.start_s:.1f} s and at {copy.other_start_s:.1f} s"
    more = f", {copy.total_s:.1f} s in all" if copy.total_s > copy.length_s * 1.001 else ""
    return f"{extent}{copy.length_s:.1f} s{more} {whose}{moved}, {copy.n_windows} windows"


def _classes(quality: Quality) -> Iterator[Finding]:
    coverage = quality.coverage
    if not sum(map(sum, coverage.labelled_s)):
        if coverage.classes:
            yield _nowhere(coverage.classes)
        return
    shown = {label: [who for who, row in zip(coverage.subjects, coverage.labelled_s, strict=True) if row[place] > 0]
             for place, label in enumerate(coverage.classes)}  # fmt: skip
    nowhere = [label for label, who in shown.items() if not who]
    if nowhere:
        yield _nowhere(nowhere)
    if len(coverage.subjects) > 1:
        for label, who in shown.items():
            if len(who) == 1:
                yield Finding("warning", "a class should be shown by two subjects or more", label, f"only {who[0]}",
                              "It cannot be learned from one and tested on another: leave it out, or record it again.")
    for place, subject in enumerate(coverage.subjects):
        if not any(coverage.labelled_s[place]):
            yield Finding("warning", "every subject should have labels", subject, "none",
                          "There is nothing to learn from or to test on: annotate, or leave the subject out.")
            continue
        lacking = [label for label, who in shown.items() if who and subject not in who]
        if lacking:
            yield Finding("note", "every subject should show every class", subject, f"none of {', '.join(lacking)}",
                          "Scores of this subject do not include these classes.")


def _nowhere(classes: Iterable[str]) -> Finding:
    return Finding("warning", "every class should have a segment", WHOLE, f"none of {', '.join(classes)}",
                   "A class without examples cannot be learned: leave it out.")


def _clipping(quality: Quality) -> Iterator[Finding]:
    for signal in quality.signals:
        for channel in signal.channels:
            if _dead_channel(channel):
                continue
            ends = ("lowest", channel.at_low, channel.low), ("highest", channel.at_high, channel.high)
            for which, count, bound in ends:
                share = count / channel.n_measured
                if share > CLIPPED_NOTE_SHARE and bound is not None:
                    yield Finding("warning" if share > CLIPPED_SHARE else "note",
                                  "a channel should not sit at its limit", channel.name,
                                  f"{share:.2%} of the values in runs at the {which}, {bound:g}",
                                  "The sensor's range is too small, or a default value stands for a gap.")


def _missing(quality: Quality) -> Iterator[Finding]:
    rule, remedy = "a channel should have no long gaps", "Windows with a long gap count the signal as absent."
    for signal in quality.signals:
        gappy = [one for one in signal.channels if 0 < one.missing_share < 1]
        together = len(gappy) == len(signal.channels) > 1 and len({one.missing_share for one in gappy}) == 1
        for channel in gappy[:1] if together else gappy:
            share = channel.missing_share
            yield Finding("warning" if share > MISSING_SHARE else "note", rule,
                          signal.name if together else channel.name, f"{share:.2%} missing", remedy)
        for subject, share in _missing_by_subject(quality, signal.name).items():
            if share > SUBJECT_MISSING_SHARE > signal.gaps.share:
                yield Finding("warning", rule, f"{signal.name} of {subject}", f"{share:.0%} missing",
                              "Few windows of this subject have the signal: expect scores without it.")


def _missing_by_subject(quality: Quality, signal: str) -> dict[str, float]:
    recorded: dict[str, float] = {}
    missing: dict[str, float] = {}
    for recording in quality.recordings:
        if signal in recording.spans_s:
            start_s, stop_s = recording.spans_s[signal]
            recorded[recording.subject] = recorded.get(recording.subject, 0.0) + stop_s - start_s
        if signal in recording.gaps:
            missing[recording.subject] = missing.get(recording.subject, 0.0) + recording.gaps[signal].total_s
    return {subject: lost / recorded[subject] for subject, lost in missing.items()}


def _stuck(quality: Quality) -> Iterator[Finding]:
    for signal in quality.signals:
        for channel in signal.channels:
            known = {} if _dead_channel(channel) else channel.stuck_on or {}
            found = {one.name: one.flat_s[channel.name] for one in quality.recordings
                     if channel.name in one.flat_s and one.subject not in known}  # fmt: skip
            if found and not _dead_channel(channel):
                worst = max(found, key=lambda name: found[name])
                yield Finding("warning" if channel.flat_share > STUCK_SHARE else "note",
                              "a sensor should not hold one value for long", channel.name,
                              f"up to {found[worst]:.1f} s ('{worst}'), in {len(found)} recordings",
                              "The sensor hung, or a driver repeated its last value: mark these stretches as missing.")


def _infinite(quality: Quality) -> Iterator[Finding]:
    for signal in quality.signals:
        for channel in signal.channels:
            if float("inf") in (channel.high, -(channel.low or 0.0)):
                yield Finding("warning", "values should be finite", channel.name, "infinite values",
                              "Windows with one count the signal as absent: write them as missing.")


def _absent(quality: Quality) -> Iterator[Finding]:
    n = len(quality.recordings)
    for signal in quality.signals:
        with_it = {one.subject for one in quality.recordings if signal.name in one.spans_s}
        without = [subject for subject in quality.coverage.subjects if subject not in with_it]
        if without and with_it:
            yield Finding("warning", "every subject should wear every sensor", signal.name,
                          f"never on {_listed(without)}",
                          "Its branch learns nothing there: expect lower scores, or leave these people out.")
        elif 0 < signal.n_recordings < n:
            yield Finding("note", "every recording should have every sensor", signal.name,
                          f"absent from {n - signal.n_recordings} of {n}", "The signal counts as absent there.")
        short = [one.name for one in quality.recordings if signal.name in one.spans_s and
                 one.duration_s - (one.spans_s[signal.name][1] - one.spans_s[signal.name][0])
                 > SHORT_SIGNAL_SHARE * one.duration_s]  # fmt: skip
        if short:
            yield Finding("note", "a signal should last as long as its recording", signal.name,
                          f"more than {SHORT_SIGNAL_SHARE:.0%} shorter in {_listed(short)}",
                          "It counts as absent for the rest: was the sensor switched on late?")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _balance(quality: Quality) -> Iterator[Finding]:
    coverage = quality.coverage
    by_class = {label: sum(row[place] for row in coverage.windows) for place, label in enumerate(coverage.classes)}
    by_class = {label: n for label, n in by_class.items() if n}
    if by_class:
        most, least = max(by_class, key=lambda x: by_class[x]), min(by_class, key=lambda x: by_class[x])
        if by_class[most] > IMBALANCE * by_class[least]:
            yield Finding("note", f"no class should be {IMBALANCE} times as frequent as another", f"{most} and {least}",
                          f"{by_class[most]} windows and {by_class[least]}",
                          "Read macro-F1, not accuracy; expect the rare one to be learned last.")
        few = [label for label, n in by_class.items() if n < FEW_WINDOWS]
        if few and by_class[most] >= FEW_WINDOWS:
            yield Finding("note", f"a class should have {FEW_WINDOWS} windows or more", _listed(few),
                          f"{min(by_class.values())} at least", "Its score will jump from fold to fold: record more.")
    yield from _subject_balance(dict(zip(coverage.subjects, map(sum, coverage.windows), strict=True)))


def _subject_balance(windows: Mapping[str, int]) -> Iterator[Finding]:
    if len(windows) < 3 or not any(windows.values()):
        return
    most = max(windows, key=lambda who: windows[who])
    share = windows[most] / sum(windows.values())
    if share > SUBJECT_SHARE:
        yield Finding("warning", f"no subject should be more than {SUBJECT_SHARE:.0%} of the windows", most,
                      f"{share:.0%}", "The model will be of this person: record others for as long.")
    middle = sorted(windows.values())[len(windows) // 2]
    for subject, n in windows.items():
        if n < SUBJECT_LEAST * middle:
            yield Finding("note", f"a subject should have {SUBJECT_LEAST:.0%} of the usual windows", subject,
                          f"{n}, against {middle}", "A score on so few says little: check that nothing is lost.")


def _frames(quality: Quality) -> Iterator[Finding]:
    for signal in quality.signals:
        angles = {one.subject: one.angle_deg for one in signal.frames if one.angle_deg is not None}
        if not angles or sorted(angles.values())[len(angles) // 2] > ALIGNED_DEG:
            continue  # the sensor sits loosely on everyone: an angle says nothing
        for subject, angle in angles.items():
            if angle > TURNED_DEG:
                yield Finding("note", "gravity should point where it does on the others", f"{signal.name} of {subject}",
                              f"{angle:.0f} degrees away, in the same activities",
                              "The sensor was worn turned, or its axes are named otherwise: remap its axes.")
