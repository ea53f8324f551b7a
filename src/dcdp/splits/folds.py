"""The rules of splitting: which subjects train, which validate, which test."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from dcdp.errors import ConfigError, DataError, unknown_name
from dcdp.splits.split import Session, Split

__all__ = ["arena", "group_k_fold", "hold_out", "inner_folds", "leave_one_subject_out", "official"]

_ARENA_GROUPS = 10
_VALIDATION_SHARE = 0.15
_VALIDATION_EVERY = 5


def arena(subjects: Iterable[str]) -> tuple[Split, ...]:
    """Make the folds of the WHAR Arena benchmark, with validation by subject.

    Subjects are sorted (numbers by value) and dealt round-robin into ten groups; with ten subjects or fewer each is
    a group. Each group is tested once, while the next one (cyclically) validates.

    Raises
    ------
    DataError
        If there are fewer than three subjects.

    References
    ----------
    WHAR Arena, arXiv 2606.13194.

    Notes
    -----
    The benchmark validates on random windows, most of which share samples with training windows. Here a whole group
    of subjects validates; the test groups are the same.
    """
    order = _ordered(subjects)
    groups = _deal(order, _ARENA_GROUPS)
    return tuple(
        _fold("arena", order, test=group, validation=groups[(number + 1) % len(groups)])
        for number, group in enumerate(groups)
    )


def leave_one_subject_out(subjects: Iterable[str], n_validation: int | None = None) -> tuple[Split, ...]:
    """Test each subject once; the ``n_validation`` subjects that follow it (cyclically) validate.

    Parameters
    ----------
    n_validation
        From 1 to two less than there are subjects; 15 % of the remaining subjects if not given.

    Raises
    ------
    ConfigError
        If ``n_validation`` is out of range.
    DataError
        If there are fewer than three subjects.
    """
    order = _ordered(subjects)
    return _each_group_once("leave_one_subject_out", order, [(subject,) for subject in order], n_validation)


def group_k_fold(subjects: Iterable[str], k: int = 5, name: str = "group_k_fold") -> tuple[Split, ...]:
    """Deal the sorted subjects into ``k`` groups and test each group once.

    Of the remaining subjects 15 % validate: those that follow the group's first subject (cyclically). ``name`` is what
    the folds say of their rule.

    Raises
    ------
    ConfigError
        If ``k`` is below 2, above the number of subjects, or leaves fewer than two subjects beside a group.
    DataError
        If there are fewer than three subjects.
    """
    order = _ordered(subjects)
    if not 2 <= k <= len(order):
        raise ConfigError(f"k must be from 2 to the {len(order)} subjects", k, "Choose k in between.")
    groups = _deal(order, k)
    if len(order) - len(groups[0]) < 2:
        raise ConfigError("a fold must leave two subjects to train and validate", f"k={k} for {len(order)} subjects",
                          f"Set k={len(order)}.")
    return _each_group_once(name, order, groups, None)


def hold_out(subjects: Iterable[str], test: Sequence[str], validation: Sequence[str] = ()) -> tuple[Split, ...]:
    """Test on named subjects, in one fold.

    Parameters
    ----------
    test
        The held-out subjects.
    validation
        The validating subjects; every fifth of the remaining ones if empty.

    Raises
    ------
    ConfigError
        If no test subject is named, or a named subject does not exist.
    DataError
        If too few subjects remain.
    SplitError
        If a subject is named in both parts.
    """
    order = _ordered(subjects)
    _require_known([*test, *validation], order)
    if not test:
        raise ConfigError("hold_out must name its test subjects", "none", f"Name some of {', '.join(order)}.")
    chosen = tuple(validation) or _every_fifth([subject for subject in order if subject not in test])
    return (_fold("hold_out", order, test=tuple(test), validation=chosen),)


def official(subjects: Iterable[str], groups: Mapping[str, Sequence[str | Session]]) -> tuple[Split, ...]:
    """Make the split that the authors of a data set published, in one fold named ``official``.

    Parameters
    ----------
    groups
        ``train``, ``test`` and perhaps ``validation``: subjects. Where the authors name no validating subjects, every
        fifth training subject validates. Subjects in no group are not used.
        Where the authors split by session: (subject, session) pairs of all three parts. They may share people, never
        a session, and `leak_audit` lists who is shared.

    Raises
    ------
    ConfigError
        If a named subject does not exist, or a split by session names no validating sessions.
    DataError
        If one training subject is all there is.
    SplitError
        If a subject or session is in two parts.
    """
    order = _ordered(subjects)
    sessions = {part: tuple(one for one in group if not isinstance(one, str)) for part, group in groups.items()}
    named = {part: tuple(one for one in group if isinstance(one, str)) for part, group in groups.items()}
    if any(sessions.values()) and any(named.values()):
        raise ConfigError("an official split must name subjects or sessions", "both", "Name the sessions of everyone.")
    if any(sessions.values()):
        return (_by_session(order, sessions),)
    _require_known([subject for group in named.values() for subject in group], order)
    train, test = _natural(named["train"]), _natural(named["test"])
    validation = _natural(named.get("validation", ())) or _every_fifth(train)
    if "validation" not in groups:
        train = tuple(subject for subject in train if subject not in validation)
    return (Split("official", "official", train, validation, test),)


def inner_folds(split: Split, k: int) -> tuple[Split, ...]:
    """Deal a fold's training and validation subjects into ``k`` inner folds, to choose settings on.

    Parameters
    ----------
    k
        1 gives the fold itself. With more, each of ``k`` groups validates once while the others train.

    Returns
    -------
    tuple of Split
        The test subjects are those of ``split``, so that whoever audits an inner fold also keeps copies of them out.

    Raises
    ------
    ConfigError
        If ``k`` is below 1 or above the number of subjects, or the split is by session.

    Examples
    --------
    >>> for inner in inner_folds(Split("arena", "e", ("a", "b", "c"), ("d",), ("e",)), 2):
    ...     print(inner.train, inner.validation, inner.test)
    ('b', 'd') ('a', 'c') ('e',)
    ('a', 'c') ('b', 'd') ('e',)
    """
    if k == 1:
        return (split,)
    if split.sessions is not None:
        raise ConfigError("inner folds are dealt by subject", "a split by session", "Use its own validation sessions.")
    order = _natural({*split.train, *split.validation})
    if not 2 <= k <= len(order):
        raise ConfigError(f"inner folds must be from 1 to the {len(order)} subjects", k, "Choose a number in between.")
    return tuple(
        Split(split.name, "+".join(group), tuple(one for one in order if one not in group), group, split.test)
        for group in _deal(order, k)
    )


def _by_session(order: Sequence[str], sessions: Mapping[str, tuple[Session, ...]]) -> Split:
    if not sessions.get("validation"):
        raise ConfigError("an official split by session must name validating sessions", "none",
                          "Declare some of the training sessions as validation.")
    _require_known([subject for pairs in sessions.values() for subject, _ in pairs], order)
    people = {part: _natural({subject for subject, _ in pairs}) for part, pairs in sessions.items()}
    return Split("official", "official", people["train"], people["validation"], people["test"], dict(sessions))


def _each_group_once(
    name: str, order: tuple[str, ...], groups: Sequence[tuple[str, ...]], n_validation: int | None
) -> tuple[Split, ...]:
    """Test each group once and validate on the subjects that follow its first one."""
    folds = []
    for group in groups:
        start = order.index(group[0])
        others = [subject for subject in order[start:] + order[:start] if subject not in group]
        count = max(1, round(_VALIDATION_SHARE * len(others))) if n_validation is None else n_validation
        if not 1 <= count < len(others):
            raise ConfigError(f"n_validation must be from 1 to {len(others) - 1}", count, "Leave a subject to train.")
        folds.append(_fold(name, order, test=group, validation=tuple(others[:count])))
    return tuple(folds)


def _fold(name: str, order: tuple[str, ...], *, test: tuple[str, ...], validation: tuple[str, ...]) -> Split:
    """Make the fold that trains on every other subject."""
    train = tuple(subject for subject in order if subject not in {*test, *validation})
    if not train:
        raise DataError("a subject must be left to train", f"none of {len(order)}", "Hold out fewer subjects.")
    return Split(name, "+".join(test), train, _natural(validation), test)


def _deal(order: tuple[str, ...], n_groups: int) -> list[tuple[str, ...]]:
    """Deal subjects round-robin into at most ``n_groups`` groups."""
    n_groups = min(n_groups, len(order))
    return [order[start::n_groups] for start in range(n_groups)]


def _every_fifth(subjects: Sequence[str]) -> tuple[str, ...]:
    """Choose a fifth of the subjects, at least one, evenly spaced."""
    if len(subjects) < 2:
        raise DataError("two subjects must remain to train and validate", len(subjects), "Hold out fewer subjects.")
    count = max(1, round(len(subjects) / _VALIDATION_EVERY))
    return tuple(subjects[(2 * number + 1) * len(subjects) // (2 * count)] for number in range(count))


def _ordered(subjects: Iterable[str]) -> tuple[str, ...]:
    """Return the subjects once each, sorted; three at least."""
    order = _natural(set(subjects))
    if len(order) < 3:
        raise DataError(
            "a split by subject must have three subjects, to train, validate and test",
            f"{len(order)} ({', '.join(order) or 'none'})",
            "Add recordings of other subjects; splitting one person's windows would measure nothing.",
        )
    return order


def _natural(subjects: Iterable[str]) -> tuple[str, ...]:
    """Sort names, numbers in them by value: s2 before s10."""

    def key(name: str) -> tuple[list[str | int], str]:
        return [int(part) if part.isdecimal() else part for part in re.split(r"([0-9]+)", name)], name

    return tuple(sorted(subjects, key=key))


def _require_known(named: Iterable[str], subjects: Sequence[str]) -> None:
    for subject in named:
        if subject not in subjects:
            raise unknown_name("subject", subject, subjects)
