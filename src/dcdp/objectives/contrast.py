"""Contrast between branches at several depths: the same segment, the same window, the same activity.

Branch m gives stage k the embeddings ``z_m^k`` (S_k segments of one window, length 1). For the anchor
``a = (b, s)`` of branch m and the branch n::

    l(a) = log sum_{c in C(a)} exp(z_m[a] . z_n[c] / tau_k)  -  mean_{p in P(a)} z_m[a] . z_n[p] / tau_k

    L_k  = mean over unordered pairs {m, n} of  (mean_a l_{m->n}(a) + mean_a l_{n->m}(a)) / 2
    L    = sum_k w_k(progress) L_k

``P(a)`` are the positives and ``C(a)`` the candidates (positives and negatives) among the windows in which
branch n is present. With one positive this is symmetric InfoNCE; with several, supervised contrast in
its "out" form (the mean is outside the logarithm).

References
----------
Ji, Song, Lu, Xiao, Liu, Li (2025). Confidence-driven Gradient Modulation for Multimodal Human Activity
Recognition: A Dynamic Contrastive Dual-Path Learning Approach. arXiv 2507.02826.
van den Oord, Li, Vinyals (2018). Representation Learning with Contrastive Predictive Coding. arXiv 1807.03748.
Khosla et al. (2020). Supervised Contrastive Learning. arXiv 2004.11362, equation 2.

Notes
-----
The paper says that alignment goes "from local perception to semantic abstraction"; its equations are not
known to us. Every formula here (positives per stage, schedule of the weights) is ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from dcdp.errors import ConfigError, unknown_name

__all__ = ["ContrastConfig", "Negatives", "Positives", "contrast_loss", "stage_loss", "stage_weights"]

Positives = Literal["segment", "window", "activity"]
Negatives = Literal["all", "other_activity"]
Schedule = Literal["progressive", "constant"]

LOWEST_TEMPERATURE = 0.02  # exp(1 / tau), summed over a batch, must fit float32


@dataclass(frozen=True, slots=True)
class ContrastConfig:
    """What each stage contrasts, from the local stage to the semantic one; one entry per stage.

    Attributes
    ----------
    positives
        ``segment`` (same segment of the same window), ``window`` (same window) or ``activity`` (same label).
    negatives
        ``all``: every other window; ``other_activity``: other windows of the anchor's activity are left out.
        Without effect where the positives are ``activity``.
    temperatures
        tau_k, at least 0.02.
    weights
        Factor of each stage on top of the schedule, >= 0; 0 turns the stage off.
    schedule
        ``progressive`` moves the weight from the first stage to the last over training.
    focus
        Share of the weight that moves, in ``[0, 1]``; the rest is spread evenly.
    """

    positives: tuple[Positives, ...] = ("segment", "window", "activity")
    negatives: tuple[Negatives, ...] = ("all", "all", "all")
    temperatures: tuple[float, ...] = (0.1, 0.1, 0.1)
    weights: tuple[float, ...] = (1.0, 1.0, 1.0)
    schedule: Schedule = "progressive"
    focus: float = 0.5

    def __post_init__(self) -> None:
        sizes = [len(self.positives), len(self.negatives), len(self.temperatures), len(self.weights)]
        if len(set(sizes)) != 1 or not sizes[0]:
            raise ConfigError("contrast needs one entry per stage in positives, negatives, temperatures and weights",
                              f"{sizes} entries", "Give all four the same length.")
        _check_names(self)
        if not all(tau >= LOWEST_TEMPERATURE for tau in self.temperatures):
            raise ConfigError(f"temperatures must be at least {LOWEST_TEMPERATURE}", self.temperatures, "Try 0.1.")
        if not all(0 <= weight < float("inf") for weight in self.weights):
            raise ConfigError("stage weights must be finite and not negative", self.weights, "0 turns a stage off.")
        if not 0 <= self.focus <= 1:
            raise ConfigError("focus must lie in [0, 1]", self.focus, "0 is the constant schedule.")


def stage_weights(config: ContrastConfig, progress: float) -> tuple[float, ...]:
    """Return w_k at this moment of training.

    ``w_k = weights_k * ((1 - focus) / K + focus * max(0, 1 - |progress * (K - 1) - k|))``; the constant
    schedule has ``focus = 0``. With unit weights they sum to 1 at every moment.

    Parameters
    ----------
    config
        Schedule, focus and the factors of the stages.
    progress
        Share of the training that is done, in ``[0, 1]``.

    Examples
    --------
    >>> config = ContrastConfig()
    >>> [[round(weight, 2) for weight in stage_weights(config, progress)] for progress in (0.0, 0.5, 1.0)]
    [[0.67, 0.17, 0.17], [0.17, 0.67, 0.17], [0.17, 0.17, 0.67]]
    """
    if not 0 <= progress <= 1:
        raise ConfigError("progress must lie in [0, 1]", progress, "Give steps done over steps in all.")
    n_stages = len(config.weights)
    focus = config.focus if config.schedule == "progressive" else 0.0
    place = progress * (n_stages - 1)
    return tuple(
        weight * ((1 - focus) / n_stages + focus * max(0.0, 1 - abs(place - stage)))
        for stage, weight in enumerate(config.weights)
    )


def contrast_loss(
    stages: Sequence[Tensor], present: Tensor, label: Tensor, config: ContrastConfig, progress: float
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Return the weighted sum over stages and the unweighted loss of each stage.

    Parameters
    ----------
    stages
        K embeddings (B, M, S_k, D), each of length 1 along D.
    present
        (B, M) bool, True where the branch was recorded.
    label
        (B,) int64 class index.
    config
        What each stage contrasts.
    progress
        Share of the training that is done, in ``[0, 1]``.

    Raises
    ------
    ConfigError
        If the network has another number of stages than the configuration.
    """
    if len(stages) != len(config.weights):
        raise ConfigError("contrast needs one entry per stage of the network",
                          f"{len(config.weights)} entries for {len(stages)} stages",
                          "Change objective.contrast_config or the number of stages of the encoders.")
    weights = stage_weights(config, progress)
    losses = tuple(
        stage_loss(stage, present, label, tau, positives, negatives) if weight else _no_loss(stage)
        for stage, weight, tau, positives, negatives in zip(
            stages, weights, config.temperatures, config.positives, config.negatives, strict=True
        )
    )
    return torch.stack([weight * loss for weight, loss in zip(weights, losses, strict=True)]).sum(), losses


def stage_loss(
    embedding: Tensor,
    present: Tensor,
    label: Tensor,
    temperature: float = 0.1,
    positives: Positives = "window",
    negatives: Negatives = "all",
) -> Tensor:
    """Return L_k, the contrast of one stage, for all pairs of branches at once.

    Parameters
    ----------
    embedding
        (B, M, S, D), of length 1 along D. Absent entries may hold anything, NaN included.
    present
        (B, M) bool.
    label
        (B,) int64 class index.
    temperature
        tau, at least 0.02.
    positives, negatives
        As in `ContrastConfig`.

    Returns
    -------
    Tensor
        Scalar; 0 (with a usable gradient) if no pair of branches has a positive.

    Notes
    -----
    Other segments of the anchor's own window stay negatives of the ``segment`` stage under ``other_activity`` too:
    telling them apart is what the stage is for.
    """
    n_branches = embedding.shape[1]
    if n_branches < 2:
        return _no_loss(embedding)
    z = embedding.to(torch.promote_types(embedding.dtype, torch.float32))
    z = z.masked_fill(~present[..., None, None], 0.0).transpose(0, 1)
    seen = present.t().to(z.dtype)
    mate, has_mate = _positives(z, seen, label, positives)
    left, right = torch.triu_indices(n_branches, n_branches, offset=1, device=z.device)
    # Windows of the anchor's activity are left out as negatives, never as positives.
    rivals = label if negatives == "other_activity" and positives != "activity" else None
    scale_left, scale_right = _log_scales(z[left] / temperature, z[right], seen[left], seen[right], rivals)
    pull_left, pull_right = (z[left] * mate[right]).sum(-1), (z[right] * mate[left]).sum(-1)
    counted_left, counted_right = seen[left] * has_mate[right], seen[right] * has_mate[left]
    there = _mean_anchor(scale_left - pull_left / temperature, counted_left)
    back = _mean_anchor(scale_right - pull_right / temperature, counted_right)
    # One way has an anchor with a positive exactly if the other way has one: being a positive is mutual.
    n_pairs = counted_left.any(dim=1).sum()
    return (there + back).sum() / (2 * n_pairs.clamp(min=1))


def _positives(z: Tensor, seen: Tensor, label: Tensor, positives: str) -> tuple[Tensor, Tensor]:
    """Return the mean embedding of each place's positives in each branch, and whether there are any.

    ``z`` is (M, B, S, D) with zeros where absent, ``seen`` (M, B); the mean is (M, B, S or 1, D), the other (M, B).
    """
    if positives == "segment":
        return z, seen
    window = z.mean(dim=2)
    if positives == "window":
        return window[:, :, None], seen
    same = (label[:, None] == label).to(z.dtype)
    count = seen @ same
    return ((same @ window) / count.clamp(min=1)[..., None])[:, :, None], (count > 0).to(z.dtype)


def _log_scales(
    left: Tensor, right: Tensor, seen_left: Tensor, seen_right: Tensor, label: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Return ``log sum_c exp(similarity)`` of every anchor of the left and of the right branches, each (P, B, S).

    Both ways share one matrix of exponentials (P, N, N), N = B*S: no maximum needs to be subtracted, for a cosine over
    the lowest temperature that is allowed fits float32. Given labels, other windows of the same label do not count.
    """
    n_segments = left.shape[2]
    places_left, places_right = (seen.repeat_interleave(n_segments, dim=1) for seen in (seen_left, seen_right))
    mass = (left.flatten(1, 2) @ right.flatten(1, 2).mT).exp()
    if label is not None:
        rival = (label[:, None] != label) | torch.eye(len(label), dtype=torch.bool, device=label.device)
        mass = mass * rival.to(mass.dtype).repeat_interleave(n_segments, 0).repeat_interleave(n_segments, 1)
    scale_left = mass @ places_right[..., None]
    scale_right = places_left[:, None] @ mass
    return tuple(  # type: ignore[return-value]
        scale.where(scale > 0, 1.0).log().view(left.shape[:3]) for scale in (scale_left, scale_right)
    )


def _mean_anchor(loss: Tensor, counted: Tensor) -> Tensor:
    """Return the mean (P,) of the losses (P, B, S) over the windows that count (P, B); 0 if none does."""
    return (loss.mean(dim=2) * counted).sum(dim=1) / counted.sum(dim=1).clamp(min=1)


def _no_loss(embedding: Tensor) -> Tensor:
    """Return 0 with a gradient of zeros, whatever the embedding holds."""
    return embedding.flatten()[:0].sum()


def _check_names(config: ContrastConfig) -> None:
    named: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
        ("positives", config.positives, get_args(Positives)),
        ("negatives", config.negatives, get_args(Negatives)),
        ("schedule", (config.schedule,), get_args(Schedule)),
    )
    for kind, names, choices in named:
        for name in names:
            if name not in choices:
                raise unknown_name(kind, name, choices)
