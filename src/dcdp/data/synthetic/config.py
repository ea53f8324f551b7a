"""What can be chosen about the synthetic body, and the checks on the choices."""

from __future__ import annotations

from dataclasses import dataclass

from dcdp.errors import ConfigError, unknown_name
from dcdp.records import Signal, SignalSpec

__all__ = ["MODALITIES", "PLACEMENTS", "RATES_HZ", "UNITS", "BodyConfig", "body_spec"]

PLACEMENTS = ("wrist", "chest", "ankle")
MODALITIES = ("acc", "gyr", "mag", "hr")
RATES_HZ = {"acc": 50.0, "gyr": 50.0, "mag": 25.0, "hr": 1.0}
UNITS = {"acc": "m/s2", "gyr": "deg/s", "mag": "uT", "hr": "bpm"}


@dataclass(frozen=True)
class BodyConfig:
    """The knobs of the synthetic body.

    Attributes
    ----------
    n_subjects
        People, >= 1. Person *i* is the same whatever the number of people.
    seed
        Everything random follows from it.
    minutes_per_subject
        Recorded time of a person over all recordings [min].
    recordings_per_subject
        Recordings of a person, >= 1; every activity occurs in each.
    placements
        Some of ``wrist``, ``chest``, ``ankle``.
    modalities
        Some of ``acc``, ``gyr``, ``mag`` (one sensor at each placement) and ``hr`` (one chest strap).
    dominance
        Strength of the competition between modalities, in [0, 1]; 0 is pure physics. See
        `dcdp.data.synthetic.cues`.
    dominant
        The modality that dominates: ``acc``, ``gyr`` or ``mag``.
    dead_signal
        A signal such as ``"wrist_gyr"`` that is stuck at one value in every recording.
    dropout_rate
        Share of each track that is lost, in [0, 0.5].
    dropout_s
        Length of one loss [s].
    noise
        Factor on noise, bias and drift of every sensor; 0 gives ideal sensors.
    """

    n_subjects: int = 8
    seed: int = 0
    minutes_per_subject: float = 8.0
    recordings_per_subject: int = 2
    placements: tuple[str, ...] = PLACEMENTS
    modalities: tuple[str, ...] = MODALITIES
    dominance: float = 0.0
    dominant: str = "acc"
    dead_signal: str | None = None
    dropout_rate: float = 0.005
    dropout_s: float = 0.6
    noise: float = 1.0

    def __post_init__(self) -> None:
        _check_range("n_subjects", self.n_subjects, 1, 10_000)
        _check_range("seed", self.seed, 0, 2**63 - 1)
        _check_range("recordings_per_subject", self.recordings_per_subject, 1, 1000)
        _check_range("minutes per recording", self.minutes_per_recording, 1.5, 240)
        _check_range("dominance", self.dominance, 0, 1)
        _check_range("dropout_rate", self.dropout_rate, 0, 0.5)
        _check_range("dropout_s", self.dropout_s, 0.01, 60)
        _check_range("noise", self.noise, 0, 100)
        _check_names("placement", self.placements, PLACEMENTS)
        _check_names("modality", self.modalities, MODALITIES)
        _check_names("dominant modality", (self.dominant,), tuple(m for m in self._heard if m != "hr"))
        if self.dead_signal is not None:
            _check_names("dead signal", (self.dead_signal,), body_spec(self).names)

    @property
    def _heard(self) -> tuple[str, ...]:
        return self.modalities if self.dominance else MODALITIES

    @property
    def minutes_per_recording(self) -> float:
        """Length of one recording [min]."""
        return self.minutes_per_subject / self.recordings_per_subject


def body_spec(config: BodyConfig) -> SignalSpec:
    """Return the signals that a configuration records: modality by modality, placement by placement."""
    return SignalSpec(
        tuple(
            _signal(placement, modality)
            for modality in config.modalities
            for placement in (("chest",) if modality == "hr" else config.placements)
        )
    )


def _signal(placement: str, modality: str) -> Signal:
    name = f"{placement}_{modality}"
    channels = (name,) if modality == "hr" else tuple(f"{name}_{axis}" for axis in "xyz")
    return Signal(name, modality, placement, RATES_HZ[modality], channels, UNITS[modality])


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ConfigError(f"{name} must lie in [{low}, {high}]", value, f"Choose {name} inside this range.")


def _check_names(kind: str, names: tuple[str, ...], choices: tuple[str, ...]) -> None:
    if not names or len(set(names)) != len(names):
        raise ConfigError(f"each {kind} must be named once, and at least one", names, "Name each wanted one once.")
    for name in names:
        if name not in choices:
            raise unknown_name(kind, name, choices)
