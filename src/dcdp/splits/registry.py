"""Splits by name, and folds by number or subject."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from dcdp.errors import ConfigError, unknown_name
from dcdp.splits import folds as rules
from dcdp.splits.split import Session, Split

__all__ = ["list_splits", "make_folds", "select_folds", "split_name"]

_NAMES = ("arena", "group_k_fold", "hold_out", "leave_one_subject_out", "official")
_ALIASES = {"holdout": "hold_out", "kfold": "group_k_fold", "loso": "leave_one_subject_out"}
_COUNTED = re.compile(r"(?:kfold([0-9]{1,3})|group_([0-9]{1,3})_fold)")


def list_splits() -> tuple[str, ...]:
    """Return the names that `make_folds` knows, sorted."""
    return _NAMES


def split_name(name: str) -> str:
    """Return the full name of a split; ``kfold2`` is ``group_2_fold``, and so with any number of groups.

    Raises
    ------
    ConfigError
        If the name is unknown.

    Examples
    --------
    >>> split_name("loso")
    'leave_one_subject_out'
    >>> split_name("kfold2")
    'group_2_fold'
    """
    if k := _groups(name):
        return f"group_{k}_fold"
    if name not in (*_NAMES, *_ALIASES):
        raise unknown_name("split", name, (*_NAMES, *_ALIASES))
    return _ALIASES.get(name, name)


def make_folds(
    name: str,
    subjects: Iterable[str],
    *,
    official: Mapping[str, Sequence[str | Session]] | None = None,
    test: Sequence[str] = (),
    validation: Sequence[str] = (),
) -> tuple[Split, ...]:
    """Make the folds of a split by its name; ``loso`` stands for ``leave_one_subject_out``, ``kfold2`` for two groups.

    Parameters
    ----------
    official
        The published groups of the data set, for ``official``: subjects, or (subject, session) pairs.
    test, validation
        Named subjects, for ``hold_out``.

    Raises
    ------
    ConfigError
        If the name is unknown, or the set has no official split.

    Examples
    --------
    >>> [fold.fold for fold in make_folds("kfold2", "abcde")]
    ['a+c+e', 'b+d']
    """
    name = split_name(name)
    if name == "arena":
        return rules.arena(subjects)
    if name == "leave_one_subject_out":
        return rules.leave_one_subject_out(subjects)
    if groups := _groups(name):
        return rules.group_k_fold(subjects, groups, name)
    if name == "group_k_fold":
        return rules.group_k_fold(subjects)
    if name == "hold_out":
        return rules.hold_out(subjects, test, validation)
    if official is None:
        raise ConfigError("the data set must have an official split", "none", "Choose split 'arena', for example.")
    return rules.official(subjects, official)


def _groups(name: str) -> int | None:
    """Return the number of groups that a name of a split holds; None if it holds none."""
    found = _COUNTED.fullmatch(name)
    return int(found[1] or found[2]) if found else None


def select_folds(folds: Sequence[Split], which: str | None) -> tuple[Split, ...]:
    """Pick folds by number from 1, by name, or by a subject that they test; all of them for None.

    Parameters
    ----------
    which
        Separated by commas, such as ``"1,4"``. A number within range is a number, even where a subject has that name.

    Returns
    -------
    tuple of Split
        Each once, in the order of ``folds``.

    Raises
    ------
    ConfigError
        If nothing is picked, or a name fits no fold.
    """
    if which is None:
        return tuple(folds)
    wanted = [token.strip() for token in which.split(",") if token.strip()]
    if not wanted:
        raise ConfigError("folds must be named", f"'{which}'", f"Give numbers from 1 to {len(folds)}, or subjects.")
    picked = {_find_fold(folds, token) for token in wanted}
    return tuple(folds[number] for number in sorted(picked))


def _find_fold(folds: Sequence[Split], token: str) -> int:
    """Return the position of the fold that ``token`` means."""
    if token.isdecimal() and 1 <= int(token) <= len(folds):
        return int(token) - 1
    for number, fold in enumerate(folds):
        if token == fold.fold or token in fold.test:
            return number
    numbers = (str(number + 1) for number in range(len(folds)))
    raise unknown_name("fold", token, {*numbers, *(fold.fold for fold in folds)})
