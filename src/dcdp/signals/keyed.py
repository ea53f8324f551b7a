"""Draw random numbers that belong to a place, not to an order: the same key gives the same number, whenever asked."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Keys", "key_of", "key_of_words", "normal", "uniform"]

Keys = NDArray[np.uint64]

_STEP = np.uint64(0x9E3779B97F4A7C15)
_FACTORS = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def key_of(*parts: ArrayLike) -> Keys:
    """Return one key for each place.

    Parameters
    ----------
    parts
        Integers that name the place (a seed, a row, a channel), as numbers or as arrays that broadcast.

    Notes
    -----
    Each part is added to the key so far and mixed by the finaliser of SplitMix64, whose outputs for successive inputs
    pass the usual batteries of tests. It is a hash and no cipher.

    References
    ----------
    Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014, figure 16 (with the factors
    of its variant 13).

    Examples
    --------
    >>> bool(key_of(1, 2) == key_of(1, 2)), bool(key_of(1, 2) == key_of(2, 1))
    (True, False)
    """
    with np.errstate(over="ignore"):  # arithmetic modulo 2**64 is what is meant
        key = np.zeros((), np.uint64)
        for part in parts:
            key = _mixed((key + np.asarray(part).astype(np.uint64)) + _STEP)
    return key


def key_of_words(words: ArrayLike) -> Keys:
    """Return one key for each word (a subject, a placement): the same on every machine and in every session."""
    told, place = np.unique(np.asarray(words, dtype=np.str_), return_inverse=True)
    digests = [hashlib.blake2b(word.encode(), digest_size=8).digest() for word in told.tolist()]
    keys = np.array([int.from_bytes(digest, "little") for digest in digests], dtype=np.uint64)
    return keys[place].reshape(np.shape(words))


def uniform(key: Keys) -> NDArray[np.float64]:
    """Return numbers uniform in the open interval (0, 1), one for each key."""
    return ((key >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def normal(key: Keys) -> NDArray[np.float64]:
    """Return standard normal numbers, one for each key (Box and Muller 1958)."""
    radius = np.sqrt(-2 * np.log(uniform(key)))
    turned: NDArray[np.float64] = radius * np.cos(2 * np.pi * uniform(key_of(key, 1)))
    return turned


def _mixed(key: Keys) -> Keys:
    key = (key ^ (key >> np.uint64(30))) * _FACTORS[0]
    key = (key ^ (key >> np.uint64(27))) * _FACTORS[1]
    return key ^ (key >> np.uint64(31))
