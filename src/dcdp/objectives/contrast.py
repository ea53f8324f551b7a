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
from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

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
    if embedding.shape[1] < 2:
        return _no_loss(embedding)
    z = embedding.to(torch.promote_types(embedding.dtype, torch.float32))
    with torch.no_grad():
        pulls, rivals = _masks(label, embedding.shape[2], z.dtype, positives, negatives)
    loss: Tensor = _PairContrast.apply(z, present, pulls, rivals, temperature)  # type: ignore[no-untyped-call]
    return loss


def _masks(
    label: Tensor, n_segments: int, dtype: torch.dtype, positives: Positives, negatives: Negatives
) -> tuple[Tensor, Tensor | None]:
    """Return (N, N) masks over places, N = B*S: 1 for a positive, 1 for a candidate (None: every place is one)."""
    n_windows = len(label)
    same = label[:, None] == label if "activity" in (positives, negatives.removeprefix("other_")) else None
    window = torch.eye(n_windows, dtype=torch.bool, device=label.device)
    if same is not None and positives == "activity":
        return _over_places(same, n_segments, dtype), None
    # Windows of the anchor's activity are left out as negatives, never as positives.
    rivals = None if same is None else _over_places(~same | window, n_segments, dtype)
    if positives == "segment":
        return torch.eye(n_windows * n_segments, dtype=dtype, device=label.device), rivals
    return _over_places(window, n_segments, dtype), rivals


def _over_places(windows: Tensor, n_segments: int, dtype: torch.dtype) -> Tensor:
    """Return what holds between windows (B, B) for all their places (B*S, B*S)."""
    n_windows = len(windows)
    places = windows[:, None, :, None].expand(-1, n_segments, -1, n_segments)
    return places.reshape(n_windows * n_segments, -1).to(dtype)


class _PairContrast(torch.autograd.Function):
    """The loss of one stage and its gradient, which has a closed form several times cheaper than autograd's.

    With the similarities ``s_ac = z_m[a] . z_n[c] / tau`` of a pair of branches, and u, v the weights of the anchors
    of either branch in the mean::

        dL / ds_ac = exp(s_ac) (u_a / sum_c' exp(s_ac') + v_c / sum_a' exp(s_a'c)) - (u_a / |P(a)| + v_c / |P(c)|)

    where the last bracket counts for positives alone. Both ways share one matrix of exponentials (P, N, N) over
    the places N = B*S of the pairs P: no maximum needs to be subtracted, for a cosine over the lowest temperature
    that is allowed fits float32. In the shapes below, 2 stands for the two branches of a pair.
    """

    @staticmethod
    def forward(
        ctx: Any, embedding: Tensor, present: Tensor, positive: Tensor, rival: Tensor | None, temperature: float
    ) -> Tensor:
        n_windows, n_branches, n_segments, width = embedding.shape
        absent = ~present.t()[:, :, None].expand(-1, -1, n_segments).flatten(1)  # (M, N)
        z = embedding.transpose(0, 1).flatten(1, 2).masked_fill(absent[..., None], 0.0)
        seen = (~absent).to(z.dtype)
        pairs = torch.triu_indices(n_branches, n_branches, offset=1, device=z.device)
        weight, share = _anchor_weights(seen, positive, pairs)
        left, right = z[pairs]
        similarity = (left @ right.mT).div_(temperature)
        pull = positive * _outer_sum(share)  # 0 . z where one side is absent
        mass = similarity.exp() if rival is None else similarity.exp().mul_(rival)
        seen_left, seen_right = seen[pairs]
        scale = torch.stack([(mass @ seen_right[..., None])[..., 0], (seen_left[:, None] @ mass)[:, 0]])
        scale = scale.where(scale > 0, 1.0)
        loss = (weight * scale.log()).sum() - pull.mul(similarity).sum()
        if ctx.needs_input_grad[0]:
            slope = torch.addcmul(-pull, mass, _outer_sum(weight / scale)).div_(temperature)
            slopes = torch.stack([slope @ right, slope.mT @ left]).flatten(0, 1)
            # A product sums over pairs in the same order every time, on a GPU too, unlike index_add_.
            takes_part = (torch.arange(n_branches, device=z.device)[:, None] == pairs.flatten()).to(z.dtype)
            gradient = (takes_part @ slopes.flatten(1)).view_as(z).masked_fill_(absent[..., None], 0.0)
            ctx.save_for_backward(gradient.view(n_branches, n_windows, n_segments, width).transpose(0, 1))
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_loss: Tensor) -> tuple[Tensor, None, None, None, None]:
        return ctx.saved_tensors[0] * grad_loss, None, None, None, None


def _anchor_weights(seen: Tensor, positive: Tensor, pairs: Tensor) -> tuple[Tensor, Tensor]:
    """Return the weight of each anchor in the loss, and that weight over the number of its positives, both (2, P, N).

    ``seen`` is (M, N); an anchor counts if its branch is present and the other branch has a positive for it.
    """
    n_positives = (seen @ positive)[pairs.flip(0)]
    counted = seen[pairs] * (n_positives > 0)
    n_counted = counted.sum(-1, keepdim=True)
    # One way has an anchor with a positive exactly if the other way has one: being a positive is mutual.
    n_pairs = (n_counted[0] > 0).sum().clamp(min=1)
    weight = counted / (n_counted.clamp(min=1) * (2 * n_pairs))
    return weight, weight / n_positives.clamp(min=1)


def _outer_sum(values: Tensor) -> Tensor:
    """Return ``left_a + right_c`` (P, N, N) of values (2, P, N)."""
    return values[0, :, :, None] + values[1, :, None, :]


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
