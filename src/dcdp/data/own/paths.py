"""Guess what the parts of paths mean: whose recording, which session, which activity; and the pattern that says so."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

__all__ = ["GuessedPattern", "constant_words", "guess_pattern", "split_words"]

_SEPARATORS = re.compile(r"([_\-. ]+)")
_PERSON = re.compile(r"(s|sub|subj|subject|p|pp|part|participant|person|user|u|id|proband|vp|pid)\d+", re.IGNORECASE)
_PERSON_WORDS = {"subject", "sub", "subj", "user", "participant", "person", "proband", "pid", "id", "subjects", "users"}
_SESSION = re.compile(r"(session|sess|ses|trial|run|rec|recording|day|visit|exp|take|t|r|d)\d+", re.IGNORECASE)
_SESSION_WORDS = {"session", "sess", "ses", "trial", "run", "rec", "recording", "day", "visit", "exp", "take"}
_PART_WORDS = {"part", "piece", "chunk"}


@dataclass(frozen=True, slots=True)
class GuessedPattern:
    """A pattern for some paths, the values of its fields, and what of it is unsure."""

    pattern: str
    fields: dict[str, tuple[str, ...]]
    unsure: tuple[str, ...]


@dataclass
class _Word:
    """One place in the paths: its text in each, whether it varies, and the word before it if that is constant."""

    texts: tuple[str, ...]
    before: str

    @property
    def varies(self) -> bool:
        return len(set(self.texts)) > 1


def guess_pattern(paths: Sequence[str]) -> GuessedPattern:
    """Guess a pattern that fits all paths of one kind of file.

    Examples
    --------
    >>> guess_pattern(["s01/phone_1.csv", "s01/phone_2.csv", "s02/phone_1.csv"]).pattern
    '{subject}/phone_{session}.csv'
    """
    split = [_words(path) for path in paths]
    shape = [tuple("" if place % 2 == 0 else word for place, word in enumerate(words)) for words in split]
    if len(set(shape)) > 1:
        return _by_levels(paths)
    columns = list(zip(*split, strict=True))
    words = {
        place: _Word(tuple(column), _constant(columns[place - 2]) if place > 1 else "")
        for place, column in enumerate(columns)
        if place % 2 == 0
    }
    names, unsure = _named(words)
    if any("" in words[place].texts for place in names):  # "0_.csv" beside "_.csv": a field is never empty
        return _by_levels(paths)
    parts = [f"{{{names[place]}}}" if place in names else _literal(column[0]) for place, column in enumerate(columns)]
    pattern = "".join(parts)
    fields = {name: words[place].texts for place, name in names.items()}
    return GuessedPattern(pattern, fields, tuple(unsure))


def split_words(path: str) -> tuple[str, ...]:
    """Return the words of a path in small letters."""
    return tuple(word.lower() for place, word in enumerate(_words(path)) if place % 2 == 0 and word)


def constant_words(paths: Sequence[str]) -> tuple[str, ...]:
    """Return the words that stand in every path, in the order of the first."""
    shared = set.intersection(*(set(split_words(path)) for path in paths))
    return tuple(word for word in dict.fromkeys(split_words(paths[0])) if word in shared)


def _constant(texts: Sequence[str]) -> str:
    return texts[0].lower() if len(set(texts)) == 1 else ""


def _literal(text: str) -> str:
    """Return text as a pattern that fits it: any letter where a sign means something else there."""
    return re.sub(r"[{}*?\\]", "?", text)


def _words(path: str) -> list[str]:
    """Split a path into words and what stands between them; the ending of a file stands between, too."""
    suffix = PurePosixPath(path).suffix
    parts: list[str] = []
    for level in path[: len(path) - len(suffix)].split("/"):
        parts += [*(["/"] if parts else []), *_SEPARATORS.split(level)]
    return [*parts, suffix]


def _by_levels(paths: Sequence[str]) -> GuessedPattern:
    """Take whole names of folders and files where the words do not line up."""
    levels = [path.split("/") for path in paths]
    suffix = PurePosixPath(paths[0]).suffix
    suffix = suffix if all(PurePosixPath(path).suffix == suffix for path in paths) else ""
    if len({len(parts) for parts in levels}) > 1:
        return GuessedPattern(f"**/{{subject}}{suffix}", {"subject": tuple(PurePosixPath(path).stem for path in paths)},
                              ("whose recordings are these? The paths are not alike",))  # fmt: skip
    stems = [[*parts[:-1], parts[-1].removesuffix(suffix)] for parts in levels]
    words = {2 * place: _Word(tuple(column), "") for place, column in enumerate(zip(*stems, strict=True))}
    names, unsure = _named(words)
    parts = [f"{{{names[place]}}}" if place in names else _literal(word.texts[0]) for place, word in words.items()]
    return GuessedPattern("/".join(parts) + suffix, {name: words[place].texts for place, name in names.items()},
                          tuple(unsure))  # fmt: skip


def _named(words: dict[int, _Word]) -> tuple[dict[int, str], list[str]]:
    """Return place -> field for the words that vary, and those that look like a person."""
    names: dict[int, str] = {}
    unsure: list[str] = []
    for place, word in words.items():
        kind = _kind(word)
        if kind in ("subject", "session", "part") and kind not in names.values() and (word.varies or kind == "subject"):
            names[place] = kind
        twin = next((n for p, n in names.items() if p != place and words[p].texts == word.texts and word.varies), None)
        if twin and place not in names:
            names[place] = twin
    free = [place for place, word in words.items() if word.varies and place not in names]
    if "subject" not in names.values() and free:
        place = free.pop(0)
        names[place] = "subject"
        unsure.append(f"is '{words[place].texts[0]}' a person? (subject)")
    for place in free:
        texts = words[place].texts
        twin = next((n for p, n in names.items() if words[p].texts == texts), None)
        if twin:
            names[place] = twin
        elif all(re.search(r"[A-Za-z]{2}", text) and not re.search(r"\d", text) for text in texts) and (
            "label" not in names.values()
        ):
            names[place] = "label"
        elif "session" not in names.values():
            names[place] = "session"
            unsure.append(f"is '{texts[0]}' a session?")
        else:
            names[place] = f"take{sum(name.startswith('take') for name in names.values()) or ''}"
    return names, unsure


def _kind(word: _Word) -> str:
    if word.before in _PERSON_WORDS or all(_PERSON.fullmatch(text) for text in word.texts):
        return "subject"
    if word.before in _PART_WORDS:
        return "part"
    if word.before in _SESSION_WORDS or all(_SESSION.fullmatch(text) for text in word.texts):
        return "session"
    return ""
