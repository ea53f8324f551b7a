"""What the names of columns, files and folders say: a modality, a place on the body, a unit."""

from __future__ import annotations

import re

__all__ = ["modality_of", "one_channel_modality_of", "place_in", "plain", "unit_in", "without_axis", "without_unit"]

_UNIT = re.compile(r"\s*[\[(]([^\[\]()]*)[\])]\s*$")
_UNIT_WORDS = {
    "m/s2": "m/s2", "m/s^2": "m/s2", "m/s²": "m/s2", "m/s/s": "m/s2", "ms-2": "m/s2", "g": "g", "mg": "mg",
    "deg/s": "deg/s", "°/s": "deg/s", "dps": "deg/s", "degrees/s": "deg/s", "rad/s": "rad/s", "rps": "rad/s",
    "ut": "uT", "µt": "uT", "μt": "uT", "gauss": "G", "mgauss": "mG", "bpm": "bpm", "mv": "mV", "uv": "uV", "µv": "uV",
    "s": "s", "sec": "s", "seconds": "s", "ms": "ms", "msec": "ms", "millis": "ms", "milliseconds": "ms", "us": "us",
    "µs": "us", "usec": "us", "micros": "us", "ns": "ns", "nanos": "ns", "nanoseconds": "ns", "hpa": "hPa", "pa": "Pa",
}  # fmt: skip
_SINGLES = (
    ("hr", r"heart|(^|_)hr($|_)|bpm|pulse"), ("ecg", r"ecg|ekg"), ("emg", r"emg"), ("eeg", r"eeg"),
    ("eda", r"eda|gsr"), ("ppg", r"ppg|bvp"), ("temp", r"temp"), ("press", r"press|baro"), ("spo2", r"spo2"),
)  # fmt: skip
_TRIADS = (
    ("lin", r"linear|lin_?acc|lacc|user_?acc|motion_?acc"), ("grav", r"grav"),
    ("gyr", r"gyr|angular|ang_?vel|rot(ation)?_?rate|omega|^g$|^w$"), ("acc", r"acc|^a$"),
    ("mag", r"mag(?!nitude)|compass|^m$|^b$"),
)  # fmt: skip
_PLACES = (
    "wrist", "chest", "ankle", "waist", "hip", "pocket", "belt", "thigh", "shin", "shank", "calf", "knee", "foot",
    "upperarm", "forearm", "arm", "leg", "hand", "head", "neck", "ear", "torso", "trunk", "back", "shoulder", "sternum",
)  # fmt: skip
_DEVICE_PLACES = {"watch": "wrist", "smartwatch": "wrist", "band": "wrist", "wristband": "wrist", "strap": "chest"}


def modality_of(text: str) -> str:
    """Return the modality that a name suggests, ``""`` if none.

    Examples
    --------
    >>> [modality_of(name) for name in ("userAcceleration", "Gyroscope", "heart_rate", "remark")]
    ['lin', 'gyr', 'hr', '']
    """
    return _first_of((*_TRIADS, *_SINGLES), text)


def one_channel_modality_of(name: str) -> str:
    """Return the modality of one channel that a name suggests, ``""`` if none: a heart rate, no acceleration."""
    return _first_of(_SINGLES, name)


def _first_of(patterns: tuple[tuple[str, str], ...], name: str) -> str:
    return next((modality for modality, pattern in patterns if re.search(pattern, plain(name))), "")


def place_in(text: str) -> str:
    """Return where a name says that something is worn, ``""`` if it does not.

    Examples
    --------
    >>> place_in("LeftWrist_acc"), place_in("smartwatch")
    ('left_wrist', 'wrist')
    """
    name = plain(text)
    words = name.split("_")
    for place in _PLACES:
        if any(word in (place, f"left{place}", f"right{place}", f"l{place}", f"r{place}") for word in words):
            side = next((side for side in ("left", "right") if side in name), "")
            return f"{side}_{place}" if side else place
    return next((place for word, place in _DEVICE_PLACES.items() if word in words), "")


def unit_in(name: str) -> str:
    """Return the unit that a column's name gives in brackets or as its last word, ``""`` if none.

    Examples
    --------
    >>> unit_in("Acceleration x (m/s^2)"), unit_in("time_ms"), unit_in("ax")
    ('m/s2', 'ms', '')
    """
    match = _UNIT.search(name)
    if match:
        return _UNIT_WORDS.get(match[1].strip().lower(), "")
    last = re.split(r"[_ ]", plain(name))[-1]
    return _UNIT_WORDS.get(last, "") if last not in ("g", "s", "t") or "time" in plain(name) else ""


def without_unit(name: str) -> str:
    """Return a name without the unit in brackets at its end."""
    return _UNIT.sub("", name).strip()


def without_axis(name: str) -> str:
    """Return a name without unit and without the x, y, z or digit at its end."""
    return re.sub(r"[ _\-.]*[xyzXYZ0-3]$", "", without_unit(name))


def plain(name: str) -> str:
    """Return a name without unit, in small letters, words joined by ``_``.

    Examples
    --------
    >>> plain("userAcceleration x [m/s2]")
    'user_acceleration_x'
    """
    text = re.sub(r"([a-z])([A-Z])", r"\1_\2", without_unit(name))
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
